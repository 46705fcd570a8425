"""A storage of Optuna's that is only looked at: nothing of it can write, whoever asks."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from storage import revisions, servers, sqlite
from storage.causes import explained
from storage.engine import prepare
from storage.reader import forbid_writing, opened


class WatchedStorage(RDBStorage):
    """What Optuna's dashboard reads. Every connection refuses to write.

    Raises ``StorageError`` for a database that is not there, cannot be read, or holds no studies.
    """

    def __init__(self, url: str) -> None:
        with opened(url) as reader:  # says what is wrong before Optuna does
            self.place = reader.place
            reader.read(lambda connection: None)
        with explained(self.place):
            text = self.place.url.render_as_string(hide_password=False)
            super().__init__(
                text.replace("{", "{{").replace("}", "}}"),
                engine_kwargs=self._options(),
                skip_compatibility_check=True,
                skip_table_creation=True,
            )
            prepare(self.engine, self.place)
            if self.place.path is None:
                event.listen(self.engine, "connect", partial(forbid_writing, self.place.kind))
                self.engine.dispose()  # those that are open may write
            revisions.check(self.place, self.get_current_version())

    def _options(self) -> dict[str, Any]:
        if self.place.path is None:
            return servers.engine_options(self.place)
        return {"creator": partial(_connect, self.place.path), "poolclass": NullPool}

    def close(self) -> None:
        """Close all connections."""
        self.remove_session()
        self.engine.dispose()


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing, also where nothing may be written."""
    connection = sqlite.connect_to_read(path)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        # In a folder that is shut, shared memory cannot be made, but then nobody writes either.
        if sqlite.calm_state(path) is None:
            raise
        return sqlite.connect_to_read(path, calm=True)
    return connection
