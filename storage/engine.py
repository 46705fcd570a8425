"""From a storage URL to connections, and from driver errors to one clear line.

Studies are kept in SQLite files. Every connection runs in WAL mode with ``synchronous=FULL``: what
a commit has written survives a power cut, and readers never wait for the writer.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from storage.errors import StorageError

BUSY_SECONDS = 30.0
"""How long a connection waits for a lock that another process holds."""

SMALLEST_DATABASE = 512
"""Bytes of SQLite's smallest page."""

_LOCKED = "the database is locked by another process: {path}; try again when it has finished"
_FULL = "disk full: {path}; make room and run the same command again"
_READONLY = "the storage cannot be written: {path}; check its permissions and its folder's"

_DATABASE_CAUSES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READONLY,
    sqlite3.SQLITE_PERM: _READONLY,
    sqlite3.SQLITE_NOTADB: "this file is no SQLite database: {path}; choose another --storage",
    sqlite3.SQLITE_CORRUPT: "the database is corrupt: {path}; restore it from a copy",
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened: {path}; check the folder and its permissions"
    ),
    sqlite3.SQLITE_IOERR: "the disk fails to read or write the database: {path}",
}
"""SQLite's primary result code -> one line."""

_FILE_CAUSES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _READONLY,
    errno.EPERM: _READONLY,
    errno.EROFS: _READONLY,
}


def sqlite_path(url: str) -> Path:
    """The file behind ``url``; raises ``StorageError`` for anything but a SQLite file.

    No message repeats the URL: a password may stand in it, and not only where it belongs.
    """
    parsed = _parse(url)
    if (kind := parsed.get_backend_name()) != "sqlite":
        raise StorageError(
            f"studies are kept in SQLite files, not in {kind}: use --storage sqlite:///FILE.db"
        )
    if parsed.query:
        raise StorageError("--storage takes no options after the file; write a '?' in it as %3F")
    if parsed.database in {None, "", ":memory:"} or parsed.host or parsed.username:
        raise StorageError("the storage names no file: use --storage sqlite:///FILE.db")
    # Two names of one file must lead to one lock and one folder of artifacts.
    return Path(str(parsed.database)).resolve()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise StorageError("the storage is no URL: use --storage sqlite:///FILE.db") from None


def check_before_writing(path: Path, revision: str) -> None:
    """Refuse a file that is not ours to write in, before anything is changed.

    Raises ``StorageError`` for a missing folder, a file that cannot be written, is no database, is
    corrupt, belongs to another program, or has Optuna's tables in another ``revision``. A new file
    is created readable by its owner only.
    """
    with explained(path):
        if not path.parent.is_dir():
            raise StorageError(f"the folder of the storage does not exist: {path.parent}")
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        if not (_writable(path) and _writable(path.parent)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _check_owner(path, revision)


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _check_owner(path: Path, revision: str) -> None:
    """A database with tables must hold Optuna's, or it is another program's."""
    # SQLite takes a short file for an empty database, and would write over a note of the user's.
    if 0 < path.stat().st_size < SMALLEST_DATABASE and path.is_file():
        raise StorageError(_DATABASE_CAUSES[sqlite3.SQLITE_NOTADB].format(path=path))
    # Not mode=ro, which leaves -wal and -shm files behind and cannot undo a killed transaction.
    uri = f"{path.as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows}
        if tables and not {"studies", "trials", "version_info"} <= tables:
            raise StorageError(
                f"this database belongs to another program (tables {_some(tables)}): {path}; "
                "choose another --storage"
            )
        if "alembic_version" in tables:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            check_revision(path, found[0] if found else revision, revision)


def check_revision(path: Path, found: str, wanted: str) -> None:
    """Raise ``StorageError`` if Optuna's tables are ``found`` in another revision than ours."""
    if found != wanted:
        raise StorageError(
            f"{path} has Optuna's tables in version {found}, but {wanted} is needed: "
            "use the version of Optuna that made it, or choose another --storage"
        )


def _some(names: set[str]) -> str:
    first = sorted(names)[:3]
    return ", ".join(first) + (", …" if len(names) > len(first) else "")


def connect(path: Path) -> sqlite3.Connection:
    """One connection with our pragmas; its transactions are begun as ``prepare`` says."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(engine: Engine) -> None:
    """Let ``engine`` begin real transactions, and explain the driver's errors.

    A transaction is IMMEDIATE where the option ``immediate`` asks for it. The driver's own begin
    comes too late to cover a read that a write depends on.
    """

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    @event.listens_for(engine, "handle_error")
    def explain_known(context: ExceptionContext) -> BaseException | None:
        # Here, because calls of Optuna's own code reach the user without passing `explained`.
        line = _known_cause(context.original_exception)
        return None if line is None else StorageError(line.format(path=_file(engine)))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One writing transaction: everything inside happens, or nothing."""
    with (
        explained(_file(engine)),
        engine.connect().execution_options(immediate=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reading; what it sees does not change meanwhile."""
    with explained(_file(engine)), engine.connect() as connection:
        yield connection


def _file(engine: Engine) -> Path:
    return Path(str(engine.url.database))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the driver's errors, however wrapped, into a ``StorageError`` that says what to do."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error, OSError) as error:
        raise StorageError(explain(error, path)) from error


def explain(error: BaseException, path: Path) -> str:
    """The cause of ``error`` in one line."""
    root = root_cause(error)
    line = _known_cause(root)
    if line:
        return line.format(path=path)
    text = (isinstance(root, OSError) and root.strerror) or str(root) or type(root).__name__
    return f"{text.splitlines()[0]}: {path}"


def _known_cause(error: BaseException) -> str | None:
    if isinstance(error, sqlite3.Error):
        # The low byte of an extended code is the primary one.
        return _DATABASE_CAUSES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if isinstance(error, OSError) and error.errno is not None:
        return _FILE_CAUSES.get(error.errno)
    return None


def root_cause(error: BaseException) -> BaseException:
    """The first error of a chain: Optuna and SQLAlchemy wrap the driver's."""
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return error
