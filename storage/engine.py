"""From a storage URL to connections, and from driver errors to one clear line.

Studies are kept in SQLite files. Every connection runs in WAL mode with ``synchronous=FULL``: what
a commit has written survives a power cut, and readers never wait for the writer.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from storage.errors import StorageError

BUSY_SECONDS = 30.0
"""How long a connection waits for a lock that another process holds."""

_CAUSES = {
    "locked": "the database is locked by another process: {path}; try again when it has finished",
    "full": "disk full: {path}; make room and run the same command again",
    "readonly": "the database cannot be written: {path}; check its permissions and its folder's",
    "not a database": "this file is no SQLite database: {path}; choose another --storage",
    "malformed": "the database is corrupt: {path}; restore it from a copy",
    "unable to open": "the database cannot be opened: {path}; check the folder and its permissions",
}


def sqlite_path(url: str) -> Path:
    """The file behind ``url``; raises ``StorageError`` for anything but a SQLite file."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        raise StorageError(
            f"studies are kept in SQLite files: {masked(parsed)} is another database; "
            "use --storage sqlite:///FILE.db"
        )
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise StorageError(f"{masked(parsed)} names no file; use --storage sqlite:///FILE.db")
    return Path(parsed.database).absolute()


def masked(url: str | URL) -> str:
    """``url`` without its password."""
    return (
        _parse(url).render_as_string(hide_password=True)
        if isinstance(url, str)
        else (url.render_as_string(hide_password=True))
    )


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        # The text may hold a password, so it is not repeated.
        raise StorageError("the storage is no URL; use --storage sqlite:///FILE.db") from error


def check_before_writing(path: Path) -> None:
    """Refuse a file that is not ours to write in, before anything is changed.

    Raises ``StorageError`` for a missing folder, a file that cannot be written, is no database, is
    corrupt, or belongs to another program. A new file is created readable by its owner only.
    """
    if not path.parent.is_dir():
        raise StorageError(f"the folder of the storage does not exist: {path.parent}")
    with explained(path):
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        _check_owner(path)
        if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise sqlite3.OperationalError("attempt to write a readonly database")


def _check_owner(path: Path) -> None:
    """A database with tables must hold Optuna's, or it is another program's."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA schema_version")
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows}
    if tables and not {"studies", "trials", "version_info"} <= tables:
        raise StorageError(
            f"this database belongs to another program (tables {_some(tables)}): {path}; "
            "choose another --storage"
        )


def _some(names: set[str]) -> str:
    first = sorted(names)[:3]
    return ", ".join(first) + (", …" if len(names) > len(first) else "")


def connect(path: Path) -> sqlite3.Connection:
    """One connection with our pragmas; transactions are begun by ``begin_when_asked``."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def begin_when_asked(engine: Engine) -> None:
    """Let ``engine`` begin real transactions: IMMEDIATE where ``transaction`` asks for it.

    The driver's own begin comes too late to cover a read that a write depends on.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: everything inside happens, or nothing."""
    with (
        explained(Path(str(engine.url.database))),
        engine.connect().execution_options(immediate=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reading; what it sees does not change meanwhile."""
    with explained(Path(str(engine.url.database))), engine.connect() as connection:
        yield connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the driver's errors, however wrapped, into a ``StorageError`` that says what to do."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StorageError(explain(error, path)) from error


def explain(error: BaseException, path: Path) -> str:
    """The cause of ``error`` in one line."""
    root = root_cause(error)
    text = str(root)
    for part, line in _CAUSES.items():
        if part in text:
            return line.format(path=path)
    return f"{text.splitlines()[0] if text else type(root).__name__}: {path}"


def root_cause(error: BaseException) -> BaseException:
    """The first error of a chain: Optuna and SQLAlchemy wrap the driver's."""
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error
