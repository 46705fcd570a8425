"""Optuna's storage with our tables beside its own.

Optuna, its command line and its dashboard read and write the same database; only what would take a
transaction per trial is written directly, by `storage.slots`.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from sqlalchemy import Connection
from sqlalchemy.dialects import mysql
from sqlalchemy.pool import NullPool

from storage import migrations, ordinary, revisions, servers, sqlite
from storage.causes import explained
from storage.engine import engine_options, patiently, prepare, reading, transaction
from storage.locks import file_lock
from storage.urls import Place, locate

T = TypeVar("T")


class RoundStorage(RDBStorage):
    """An Optuna storage on SQLite, PostgreSQL or MySQL that also holds our tables.

    ``place`` is the database, ``folder`` where artifacts stand if nothing else is said: beside a
    SQLite file. Raises ``StorageError`` for a database that is not ours to write in.
    """

    def __init__(self, url: str) -> None:
        self.place = locate(url)
        self.folder = self.place.folder
        self._is_ordinary = False
        if (path := self.place.path) is not None:
            patiently(lambda: sqlite.check_before_writing(path))
        patiently(self._create_and_open)

    def _create_and_open(self) -> None:
        # Two processes that create the tables at the same time would hinder each other.
        with explained(self.place), _creation_lock(self.place, self.folder):
            try:
                self._open()
            except BaseException:
                if "scoped_session" in self.__dict__:
                    self.close()
                raise

    def _open(self) -> None:
        place, url = self.place, self.place.url.render_as_string(hide_password=False)
        options = engine_options(place)
        _create_tables(place)
        super().__init__(
            url.replace("{", "{{").replace("}", "}}"),
            engine_kwargs=options,
            # It imports every migration that Optuna ever had; ours below is as strict.
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
        prepare(self.engine, place)
        # A storage that nobody holds any more is closed, at the latest when the process ends.
        weakref.finalize(self, self.engine.dispose)
        if place.kind == "sqlite":
            # Optuna's sessions read before they write; begun deferred, such a one fails at once,
            # and not after a wait, when another process has written in between.
            self.scoped_session.remove()
            self.scoped_session.configure(bind=self.engine.execution_options(immediate=True))
        revision = self.get_current_version()
        revisions.check(place, revision)
        self._is_ordinary = not revisions.is_known(revision)
        with self.transaction() as connection:
            migrations.upgrade(connection)

    def __reduce__(self) -> tuple[type[RoundStorage], tuple[str]]:
        return RoundStorage, (self.place.url.render_as_string(hide_password=False),)

    def transaction(self) -> AbstractContextManager[Connection]:
        """A writing transaction over Optuna's tables and ours: all of it happens, or nothing."""
        return transaction(self.engine, self.place, **self._options())

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for reading; what it sees does not change meanwhile."""
        return reading(self.engine, self.place, **self._options())

    def _options(self) -> dict[str, Any]:
        return {ordinary.OPTION: self} if self._is_ordinary else {}

    def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns for a writing transaction, tried again for reasons that may pass.

        ``work`` may have succeeded without our hearing of it, so it must find that out.
        """

        def once() -> T:
            with self.transaction() as connection:
                return work(connection)

        return patiently(once)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns for a connection for reading, tried again likewise."""

        def once() -> T:
            with self.reading() as connection:
                return work(connection)

        return patiently(once)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self.scoped_session.remove()
        self.engine.dispose()


@contextmanager
def _creation_lock(place: Place, folder: Path) -> Iterator[None]:
    if place.path is None:
        with servers.creation_lock(place):
            yield
    else:
        with file_lock(folder, "tables", sqlite.BUSY_SECONDS):
            yield


def _create_tables(place: Place) -> None:
    """Create Optuna's tables, all or none: some alone look like those of another program."""
    # Its word about each step is for its own users.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    options = {key: value for key, value in engine_options(place).items() if key[:5] != "pool_"}
    engine = sa.create_engine(place.url, poolclass=NullPool, **options)
    prepare(engine, place)
    if place.path is None:
        servers.refuse_clash(engine, place)
    with transaction(engine, place) as connection:
        tables = _tables(place)
        tables.create_all(connection)
        if place.kind == "mysql" and migrations.current(connection) is None:
            # There every step stays: one who died in between has left a table without its index.
            for index in (each for table in tables.sorted_tables for each in table.indexes):
                index.create(connection, checkfirst=True)


def _tables(place: Place) -> sa.MetaData:
    """Optuna's tables; on MySQL with parts of a second, which its own leave out of every time."""
    own: sa.MetaData = models.BaseModel.metadata
    if place.kind != "mysql":
        return own
    exact = sa.MetaData()
    for table in own.sorted_tables:
        for column in table.to_metadata(exact).columns:
            if isinstance(column.type, sa.DateTime):
                column.type = mysql.DATETIME(fsp=6)
    return exact
