"""Looking at a storage without changing it: nothing is created, written or migrated.

It works where only reading is allowed, and while searches run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from storage import condition, migrations, servers, sqlite
from storage.causes import explained, known_cause
from storage.engine import prepare, reading
from storage.errors import StorageError
from storage.urls import Place, locate

_READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}

T = TypeVar("T")


class Reader:
    """A storage that is only looked at.

    Raises ``StorageError`` for a database that is not there, cannot be read, or holds no studies.
    """

    def __init__(self, url: str) -> None:
        self.place = locate(url)
        path = self.place.path
        if path is not None:
            with explained(path):
                if not path.exists():
                    raise StorageError(
                        f"there is no database {path}: hpo search makes it, "
                        "or choose another --storage"
                    )
                if not path.is_file():
                    raise StorageError(f"{path} is no file: choose another --storage")
                sqlite.refuse_short(path)
        self._engine = _engine(self.place)
        self._calm = _engine(self.place, calm=True)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns for a connection that writes nothing; it sees one moment.

        ``work`` may be called twice.
        """
        path = self.place.path
        if path is None or (before := sqlite.calm_state(path)) is None:
            return self._read(self._engine, work)
        # Ordinary reading leaves a -wal and a -shm file behind, or needs them; this leaves and
        # needs nothing, but is only right if nobody wrote meanwhile.
        try:
            found = self._read(self._calm, work)
        except Exception:
            if sqlite.calm_state(path) == before:
                raise
        else:
            if sqlite.calm_state(path) == before:
                return found
        return self._read(self._engine, work)

    def _read(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        with reading(engine, self.place) as connection:
            if not {"studies", "trials"} <= condition.tables(connection):
                raise StorageError(
                    f"the database holds no studies: {self.place}; hpo search makes one, "
                    "or choose another --storage"
                )
            try:
                return work(connection)
            except SQLAlchemyError as error:
                if known_cause(error) is None and (why := _other_version(connection, self.place)):
                    raise StorageError(why) from error
                raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        self._calm.dispose()


@contextmanager
def opened(url: str) -> Iterator[Reader]:
    """A reader of the storage, closed in the end."""
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.close()


def _engine(place: Place, *, calm: bool = False) -> Engine:
    if place.path is not None:
        connect = partial(sqlite.connect_to_read, place.path, calm=calm)
        engine = sa.create_engine(place.url, creator=connect, poolclass=NullPool)
    else:
        engine = sa.create_engine(place.url, **servers.engine_options(place))

        event.listen(engine, "connect", partial(forbid_writing, place.kind))

    prepare(engine, place)
    return engine


def forbid_writing(kind: str, connection: Any, _record: Any) -> None:
    """Let a new connection to a server of this kind refuse to write."""
    with connection.cursor() as cursor:
        cursor.execute(_READ_ONLY[kind])
    connection.commit()


def _other_version(connection: Connection, place: Place) -> str | None:
    """Why a statement may have failed: the tables are of another version than ours."""
    from storage.revisions import KNOWN  # noqa: PLC0415  # slow to import

    connection.rollback()
    optunas, ours = condition.versions(connection)
    if optunas not in {None, KNOWN}:
        return (
            f"{place} has Optuna's tables in version {optunas}, but {KNOWN} is needed: "
            "use the version of Optuna that made it, or choose another --storage"
        )
    if ours not in {None, migrations.HEAD}:
        return f"{place} has hpo's tables in version {ours}, not {migrations.HEAD}: upgrade hpo"
    return None
