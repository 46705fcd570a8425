"""A fresh, empty database for a test, and plain looks at it through drivers alone.

The servers are those of ``HPO_TEST_POSTGRESQL`` and ``HPO_TEST_MYSQL``: a database in which the
user may create schemas, and one of a user who may create databases.
"""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from sqlalchemy.engine import URL, make_url

from tests.running import Trial

SERVERS = ("postgresql", "mysql")
KINDS = ("sqlite", *SERVERS)
FILE = "hpo.db"

Rows = list[tuple[Any, ...]]

_VARIABLES = {"postgresql": "HPO_TEST_POSTGRESQL", "mysql": "HPO_TEST_MYSQL"}
_DEFAULTS = {
    "postgresql": "postgresql://postgres@127.0.0.1/test",
    "mysql": "mysql://root@127.0.0.1/test",
}
_CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Database:
    """A database of a test's own. ``name`` is that of its schema, or its own on MySQL."""

    kind: str
    url: str
    name: str

    def sql(self, statement: str, *values: object) -> Rows:
        """Run one statement, ``?`` for each value, through a connection of its own, and commit."""
        return _run(self.kind, self.url, statement, values)

    def stored_trials(self, study: str) -> dict[int, Trial]:
        """What `tests.running.stored_trials` reads of a file: alike on every kind of database."""
        chosen = "FROM trials t JOIN studies s ON s.study_id = t.study_id"
        rows = self.sql(
            f"SELECT t.trial_id, t.number, t.state {chosen} WHERE s.study_name = ? "
            "ORDER BY t.trial_id",
            study,
        )
        found = {
            trial_id: {"state": state, "params": [], "values": [], "intermediate": []}
            for trial_id, _, state in rows
        }
        numbers = [number for _, number, _ in rows]
        assert len(set(numbers)) == len(numbers), f"a number twice: {numbers}"
        for field, columns, table in (
            ("params", "d.param_name, d.param_value, d.distribution_json", "trial_params"),
            ("values", "d.objective, d.value, d.value_type", "trial_values"),
            ("intermediate", "d.step, d.intermediate_value", "trial_intermediate_values"),
        ):
            query = (
                f"SELECT d.trial_id, {columns} {chosen} JOIN {table} d ON d.trial_id = t.trial_id "
                "WHERE s.study_name = ?"
            )
            for trial_id, *detail in self.sql(query, study):
                found[trial_id][field].append(tuple(detail))
        for trial in found.values():
            for field in ("params", "values", "intermediate"):
                trial[field].sort()
        return {number: found[trial_id] for trial_id, number, _ in rows}

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.sql(f"SELECT count(*) FROM {table}")[0][0])

    def tables(self) -> list[str]:
        """The names of all tables."""
        if self.kind == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        else:
            own = "current_schema()" if self.kind == "postgresql" else "database()"
            query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = {own}"
        return sorted(name for (name,) in self.sql(query))

    def text(self) -> str:
        """Every row of every table, as text, in an order that only the rows decide."""
        tables = self.tables()
        assert "studies" in tables
        rows = [(name, *row) for name in tables for row in self.sql(f"SELECT * FROM {name}")]
        return "\n".join(sorted(map(repr, rows)))

    def at(self, **parts: Any) -> Database:
        """The same by another way: another ``port``, or another ``username``, say."""
        url = make_url(self.url).set(**parts).render_as_string(hide_password=False)
        return replace(self, url=url)

    @property
    def optunas(self) -> str:
        """The URL as Optuna wants it, with the name of a driver."""
        drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
        return self.at(drivername=drivers.get(self.kind, self.kind)).url

    @property
    def port(self) -> int:
        """Where the server listens."""
        return make_url(self.url).port or {"postgresql": 5432, "mysql": 3306}[self.kind]

    @property
    def host(self) -> str:
        """The server's machine."""
        return make_url(self.url).host or "127.0.0.1"

    def backends(self) -> list[int]:
        """The server's numbers of all connections to this database, but for the asking one."""
        if self.kind == "postgresql":
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = ?"
        else:
            query = "SELECT id FROM information_schema.processlist WHERE db = ?"
        return [number for (number,) in _on_server(self.kind, query, self.name)]

    def terminate(self) -> int:
        """Let the server end all connections to this database; returns how many there were."""
        numbers = self.backends()
        for number in numbers:
            self.end(number)
        return len(numbers)

    def end(self, backend: int) -> None:
        """Let the server end one connection."""
        if self.kind == "postgresql":
            _on_server(self.kind, "SELECT pg_terminate_backend(?)", backend)
        else:
            _kill(backend)


@contextmanager
def login(database: Database, password: str, *, write: bool = True) -> Iterator[Database]:
    """The same for a user of its own, who needs this password, if the server asks for any.

    Without ``write`` it may read the tables that are there.
    """
    kind, space = database.kind, database.name
    name = f"{space}_user"
    if kind == "postgresql":
        text = password.replace("'", "''")
        rights = ("ALL", "ALL") if write else ("USAGE", "SELECT")
        _on_server(kind, f"CREATE ROLE {name} LOGIN PASSWORD '{text}'")
        _on_server(kind, f"GRANT {rights[0]} ON SCHEMA {space} TO {name}")
        for what in ("TABLES", "SEQUENCES"):
            _on_server(kind, f"GRANT {rights[1]} ON ALL {what} IN SCHEMA {space} TO {name}")
    else:
        _on_server(kind, "CREATE USER ?@? IDENTIFIED BY ?", name, "%", password)
        _on_server(kind, f"GRANT {'ALL' if write else 'SELECT'} ON {space}.* TO ?@?", name, "%")
    try:
        yield database.at(username=name, password=password)
    finally:
        database.terminate()
        if kind == "postgresql":
            _on_server(kind, f"DROP OWNED BY {name}")
            _on_server(kind, f"DROP ROLE {name}")
        else:
            _on_server(kind, "DROP USER ?@?", name, "%")


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[Database]:
    """A database of this kind without any table; a file's is in ``folder``."""
    if kind == "sqlite":
        yield Database(kind, f"sqlite:///{folder / FILE}", "main")
        return
    require(kind)
    name = f"hpo_test_{uuid.uuid4().hex[:12]}"
    what = "SCHEMA" if kind == "postgresql" else "DATABASE"
    _on_server(kind, f"CREATE {what} {name}")
    database = Database(kind, _url(kind, name), name)
    try:
        yield database
    finally:
        # A transaction that a failed test left open would hold the tables for ever.
        database.terminate()
        _on_server(kind, f"DROP {what} {name}" + " CASCADE" * (kind == "postgresql"))


class Shelf:
    """Databases with empty tables: to empty them takes a tenth of the time of creating them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases: dict[str, tuple[Database, Tables]] = {}
        self._stack = ExitStack()

    def take(self, kind: str, folder: Path) -> Database:
        """The one of this kind, of which nobody else has need any more; a file is in ``folder``."""
        if kind not in self._databases:
            self._databases[kind] = self._create(kind)
        database, tables = self._databases[kind]
        if kind == "sqlite":
            shutil.copy(self._folder / FILE, folder)
            return database.at(database=str(folder / FILE))
        # A transaction that a failed test left open would hold its rows for ever.
        database.terminate()
        if _tables(database) != tables:
            del self._databases[kind]
            return self.take(kind, folder)
        _empty(database)
        return database

    def close(self) -> None:
        """Drop them."""
        self._stack.close()

    def _create(self, kind: str) -> tuple[Database, Tables]:
        from storage.trials import RoundStorage  # slow to import

        database = self._stack.enter_context(fresh_database(kind, self._folder))
        RoundStorage(database.url).close()
        return database, _tables(database)


Tables = dict[str, Rows]


def _tables(database: Database) -> Tables:
    """The names of all tables; what stands in those that no test may change."""
    return {
        name: database.sql(f"SELECT * FROM {name}") if "version" in name else []
        for name in database.tables()
    }


def _empty(database: Database) -> None:
    names = [name for name in database.tables() if "version" not in name]
    if database.kind == "postgresql":
        database.sql(f"TRUNCATE {', '.join(names)} RESTART IDENTITY")
        return
    with (
        closing(_mysql(make_url(database.url))) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute("SET foreign_key_checks = 0")
        for name in names:
            cursor.execute(f"DELETE FROM {name}")


def quick_on(*quick: str, of: Sequence[str] = KINDS) -> list[ParameterSet]:
    """Kinds of databases as parameters; all but these only with the slow tests."""
    return [pytest.param(kind, marks=[] if kind in quick else [pytest.mark.slow]) for kind in of]


def require(kind: str) -> None:
    """Leave out the test if there is no such server; in CI, where there must be one, fail."""
    reason = _unreachable(kind, server_url(kind))
    if reason is None:
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def server_url(kind: str) -> str:
    """Where the server is."""
    return os.environ.get(_VARIABLES[kind], _DEFAULTS[kind])


@functools.cache
def _unreachable(kind: str, url: str) -> str | None:
    """Why no test can run on this server; None if they can."""
    try:
        _run(kind, url, "SELECT 1")
    except Exception as error:  # a driver that is not installed, or any error of one that is
        cause = " ".join(str(error).split())
        return f"no {kind} server for tests, set {_VARIABLES[kind]} to the URL of one: {cause}"
    return None


def _url(kind: str, name: str) -> str:
    server = make_url(server_url(kind))
    if kind == "mysql":
        return server.set(database=name).render_as_string(hide_password=False)
    # By the application's name the connections of one test are told from all others.
    # No test cuts the power, so none has to wait for the disk.
    options = f"-csearch_path={name} -csynchronous_commit=off"
    own = {"options": options, "application_name": name}
    return server.update_query_dict(own).render_as_string(hide_password=False)


def _on_server(kind: str, statement: str, *values: object) -> Rows:
    return _run(kind, server_url(kind), statement, values)


def _run(kind: str, url: str, statement: str, values: tuple[object, ...] = ()) -> Rows:
    if kind == "sqlite":
        path = make_url(url).database
        assert path is not None
        with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()
    connect = _postgresql if kind == "postgresql" else _mysql
    with closing(connect(make_url(url))) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement.replace("?", "%s") if values else statement, values or None)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def _postgresql(url: URL) -> Any:
    import psycopg

    return psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        dbname=url.database,
        options=str(url.query.get("options", "")),
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
    )


def _mysql(url: URL) -> Any:
    import pymysql

    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=(url.password or "").encode(),
        database=url.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
    )


def _kill(number: int) -> None:
    import pymysql

    try:
        _on_server("mysql", f"KILL {number}")
    except pymysql.err.OperationalError as error:
        if error.args[0] != 1094:  # it has ended by itself
            raise
