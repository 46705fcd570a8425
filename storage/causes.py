"""From drivers' errors, however wrapped, to one clear line that says what to do."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from storage.errors import PassingError, StorageError
from storage.urls import Place

_LOCKED = "the database is locked by another process: {place}; try again when it has finished"
_FULL = "disk full: {place}; make room and run the same command again"
_READONLY = "the storage cannot be written: {place}; check its permissions and its folder's"
_LOST = "the connection to the database failed: {place}: {text}; run the same command again later"

_SQLITE = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READONLY,
    sqlite3.SQLITE_PERM: _READONLY,
    sqlite3.SQLITE_NOTADB: "this file is no SQLite database: {place}; choose another --storage",
    sqlite3.SQLITE_CORRUPT: "the database is corrupt: {place}; restore it from a copy",
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened: {place}; check the folder and its permissions"
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk fails to read or write the database: {place}; check it, and run the same "
        "command again"
    ),
}
"""SQLite's primary result code -> one line."""

_SQLITE_PASSING = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL}

_FILES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _READONLY,
    errno.EPERM: _READONLY,
    errno.EROFS: _READONLY,
}

_SQLSTATES = {
    "28": "the database refuses the login: {place}: {text}; check user and password",
    "3D": "the database does not exist: {place}; create it, or choose another --storage",
    "53100": _FULL,
    "42501": "the user of the storage may not do this: {place}: {text}",
    "25006": _READONLY,
}
"""PostgreSQL's code, or its class, -> one line."""

_SQLSTATES_LOST = ("08", "25P03", "53300", "57")
"""Connections lost or not had, a server that stops or starts."""

_SQLSTATES_CONFLICT = ("40", "55P03")
"""Conflicts and deadlocks, locks not had."""

_REFUSALS = {
    r'FATAL: .*database ".*" does not exist': "3D000",
    r'FATAL: .*(authentication failed|role ".*" does not exist|pg_hba\.conf)': "28000",
    r"no password supplied": "28000",
}
"""What PostgreSQL says to who may not connect -> the code, which its library does not pass on."""

_MYSQL = {
    1044: "the user of the storage may not do this: {place}: {text}",
    1142: "the user of the storage may not do this: {place}: {text}",
    1045: "the database refuses the login: {place}: {text}; check user and password",
    1698: "the database refuses the login: {place}: {text}; check user and password",
    1049: "the database does not exist: {place}; create it, or choose another --storage",
    1021: _FULL,
    1114: _FULL,
    1290: _READONLY,
    1836: _READONLY,
}
_MYSQL_LOST = {1040, 1053, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031}
_MYSQL_CONFLICT = {1020, 1205, 1213}


@contextmanager
def explained(place: Place | Path) -> Iterator[None]:
    """Turn the drivers' errors into a ``StorageError`` that says what to do.

    What may succeed when it is tried again becomes a ``PassingError``.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error, OSError) as error:
        kind = PassingError if is_passing(error) else StorageError
        raise kind(explain(error, place)) from error


def explain(error: BaseException, place: Place | Path) -> str:
    """The cause of ``error`` in one line, without a password."""
    root = root_cause(error)
    text = (isinstance(root, OSError) and root.strerror) or str(root) or type(root).__name__
    # A driver's first line says what, the rest where.
    text = _message(root) or text.splitlines()[0]
    line = known_cause(error)
    line = (
        line.replace("{place}", str(place)).replace("{text}", text) if line else f"{text}: {place}"
    )
    return place.hide(line) if isinstance(place, Place) else line


def known_cause(error: BaseException) -> str | None:
    """The line for a cause that we know, with ``{place}`` and ``{text}`` to fill in."""
    root = root_cause(error)
    if isinstance(root, sqlite3.Error):
        return _SQLITE.get(_sqlite_code(root))
    if (code := _mysql_code(root)) is not None:
        return _MYSQL.get(code, _LOST if code in _MYSQL_LOST else None)
    if (state := _sqlstate(root)) is not None:
        known = _SQLSTATES.get(state) or _SQLSTATES.get(state[:2])
        return known or (_LOST if state.startswith(_SQLSTATES_LOST) else None)
    if is_passing(error):
        return _LOST
    if isinstance(root, OSError) and root.errno is not None:
        return _FILES.get(root.errno)
    return None


def is_passing(error: BaseException) -> bool:
    """Whether the same again may succeed."""
    root = root_cause(error)
    if isinstance(root, sqlite3.Error):
        return _sqlite_code(root) in _SQLITE_PASSING
    if not (wrapped := _wrapped(error)):
        return False
    # A row that another process has just entered is there when it is looked for again. MySQL's
    # own numbers come first, because its drivers tell the state too, which says less.
    if (code := _mysql_code(root)) is not None:
        return code in _MYSQL_LOST | _MYSQL_CONFLICT or isinstance(wrapped, IntegrityError)
    if (state := _sqlstate(root)) is not None:
        passing = state.startswith(_SQLSTATES_LOST + _SQLSTATES_CONFLICT)
        return passing or isinstance(wrapped, IntegrityError)
    return wrapped.connection_invalidated or isinstance(wrapped, OperationalError | InterfaceError)


def root_cause(error: BaseException) -> BaseException:
    """The first error of a chain: Optuna and SQLAlchemy wrap the driver's."""
    while (wrapped := getattr(error, "orig", None) or _outer_cause(error)) is not None:
        error = wrapped
    return error


def _outer_cause(error: BaseException) -> BaseException | None:
    # What stands behind a driver's own error is its machinery.
    wraps = (StorageInternalError, SQLAlchemyError, StorageError)
    return error.__cause__ if isinstance(error, wraps) else None


def _sqlite_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, the low byte of an extended one."""
    code = getattr(error, "sqlite_errorcode", 0)
    # The disk has no room for the index of the log.
    return sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_IOERR_SHMSIZE else code & 0xFF


def _wrapped(error: BaseException) -> DBAPIError | None:
    """SQLAlchemy's error in the chain."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, DBAPIError):
        found = found.__cause__
    return found


def _sqlstate(error: BaseException) -> str | None:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return state
    text = str(error)
    return next((code for said, code in _REFUSALS.items() if re.search(said, text)), None)


def _mysql_code(error: BaseException) -> int | None:
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) and not isinstance(error, OSError) else None


def _message(error: BaseException) -> str | None:
    """What a server says, apart from its number and from the place, which the line has already."""
    if _mysql_code(error) is not None and len(error.args) > 1:
        return str(error.args[1]).splitlines()[0] if error.args[1] else None
    return str(error).partition("FATAL:")[2].strip().partition("\n")[0] or None
