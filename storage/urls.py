"""What a storage URL names, and how it is shown: never with a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StorageError

Kind = Literal["sqlite", "postgresql", "mysql"]

_KINDS: dict[str, Kind] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("pymysql", "MySQLdb")}
"""Kind -> drivers that are taken where the URL names none, the preferred one first."""

_DIALECTS = {"MySQLdb": "mysqldb"}
_SECRET = re.compile("pass|secret|key|token", re.IGNORECASE).search
"""Finds the names of options that are not shown."""

_HINT = "use --storage sqlite:///FILE.db"

ARTIFACTS = "hpo.artifacts"
"""The folder of a server's artifacts, in the current one, if nothing else is said."""


@dataclass(frozen=True)
class Place:
    """A database: a SQLite file, or one on a server, for which ``path`` is None."""

    kind: Kind
    url: URL
    path: Path | None

    def __str__(self) -> str:
        return str(self.path) if self.path else _shown(self.url)

    @property
    def folder(self) -> Path:
        """Where artifacts stand if nothing else is said: beside a SQLite file."""
        if self.path is None:
            return Path(ARTIFACTS).resolve()
        # Only .db is cut off: study.v1 and study.v2 are two databases.
        return self.path.with_name(self.path.name.removesuffix(".db") + ".artifacts")

    def hide(self, text: str) -> str:
        """``text`` without the password, wherever it stands in it."""
        for secret in _secrets(self.url):
            quoted = {quote(secret, safe=""), quote(secret, safe=" +"), quote_plus(secret)}
            for written in {secret, *quoted} - {""}:
                text = text.replace(written, "***")
        return text


def locate(url: str) -> Place:
    """The database behind ``url``.

    Raises ``StorageError`` for a URL that names none. No message repeats the URL: a password may
    stand in it, and not only where it belongs.
    """
    parsed = _parse(url)
    if _is_torn(url, parsed):
        raise StorageError("the storage has an '@' too many: write %40 for one in a password")
    kind = _KINDS.get(parsed.get_backend_name())
    if kind is None:
        raise StorageError(
            f"studies are kept in SQLite, PostgreSQL or MySQL, not in "
            f"{parsed.get_backend_name()}: {_HINT}"
        )
    if kind == "sqlite":
        path = _file(parsed)
        return Place(kind, URL.create("sqlite", database=str(path)), path)
    if not parsed.database:
        raise StorageError(f"the storage names no database: write {kind}://USER@HOST/DATABASE")
    return Place(kind, parsed.set(drivername=_driver(parsed, kind)), None)


def masked(url: str) -> str:
    """The URL for people's eyes; one that cannot be read is not shown at all."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "***"
    if _is_torn(url, parsed):
        return "***"
    # A URL without a password is shown as it was typed.
    return _shown(parsed) if _secrets(parsed) else url


def _shown(url: URL) -> str:
    if not any(map(_SECRET, url.query)):
        return url.render_as_string(hide_password=True)
    # An '&' in a password has torn it into several options.
    return url.set(query={}).render_as_string(hide_password=True) + "?***"


def _secrets(url: URL) -> list[str]:
    """The password of ``url``, and what else is one in its options."""
    found = [] if url.password is None else [url.password]
    for key, value in url.query.items():
        if _SECRET(key):
            found += [value] if isinstance(value, str) else value
    return found


def _is_torn(text: str, url: URL) -> bool:
    """Whether a part of a password with an '@' in it was taken for something else."""
    return url.username is not None and text.count("@") > 1


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise StorageError(f"the storage is no URL: {_HINT}") from None


def _file(url: URL) -> Path:
    if url.query:
        raise StorageError("--storage takes no options after the file; write a '?' in it as %3F")
    if url.database in {None, "", ":memory:"} or url.host or url.username:
        raise StorageError(f"the storage names no file: {_HINT}")
    # Two names of one file must lead to one lock and one folder of artifacts.
    return Path(str(url.database)).resolve()


def _driver(url: URL, kind: Kind) -> str:
    """The dialect and driver, one that is installed where the URL leaves the choice."""
    _, _, named = url.drivername.partition("+")
    wanted = _DRIVERS[kind] if not named else (named,)
    for driver in wanted:
        module = next((name for name, dialect in _DIALECTS.items() if dialect == driver), driver)
        if re.fullmatch(r"\w+", module) and find_spec(module) is not None:
            return f"{kind}+{_DIALECTS.get(driver, driver)}"
    raise StorageError(
        f"the driver {wanted[0]} of {kind} is not installed: pip install 'hpo-stacks[{kind}]'"
    )
