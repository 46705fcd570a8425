"""URLs: which name a file of ours, and what is said about the others."""

from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from storage.errors import StorageError
from storage.urls import locate, masked


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////data/a.db", "/data/a.db"),
        ("sqlite:////data/../a.db", "/a.db"),
        ("sqlite+pysqlite:////data/a.db", "/data/a.db"),
        ("sqlite:////data/a b.db", "/data/a b.db"),
        ("sqlite:////data/{a}.db", "/data/{a}.db"),
        ("sqlite:////data/100%.db", "/data/100%.db"),
        ("sqlite:////data/a#b.db", "/data/a#b.db"),
    ],
)
def test_a_url_names_a_file(url: str, expected: str) -> None:
    place = locate(url)
    assert (place.kind, place.path) == ("sqlite", Path(expected))
    assert str(place) == expected


def test_a_relative_file_stands_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///a.db").path == tmp_path.resolve() / "a.db"


def test_two_names_of_one_file_are_one_storage(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert locate(f"sqlite:///{tmp_path}/link.db").path == tmp_path.resolve() / "real.db"


def refusal(url: str) -> str:
    with pytest.raises(StorageError) as caught:
        locate(url)
    # Nor may a traceback show a password.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://a.db", "sqlite://data/a.db"],
)
def test_a_url_without_a_file_is_refused(url: str) -> None:
    assert refusal(url) == "the storage names no file: use --storage sqlite:///FILE.db"


def test_options_are_refused() -> None:
    assert refusal("sqlite:////data/a.db?timeout=3").startswith("--storage takes no options after")


@pytest.mark.parametrize("url", ["", "hpo.db", "/data/hpo.db", "postgresql", "C:\\hpo.db"])
def test_what_is_no_url(url: str) -> None:
    assert refusal(url) == "the storage is no URL: use --storage sqlite:///FILE.db"


@pytest.mark.parametrize(
    ("url", "kind", "driver"),
    [
        ("postgresql://user@host/db", "postgresql", "psycopg"),
        ("postgres://user@host/db", "postgresql", "psycopg"),
        ("postgresql+psycopg://host:5432/db?sslmode=require", "postgresql", "psycopg"),
        ("mysql://user:secret@host/db", "mysql", "pymysql"),
        ("mariadb://user:secret@host/db", "mysql", "pymysql"),
        ("mysql+pymysql://user:secret@host:3306/db?charset=utf8mb4", "mysql", "pymysql"),
    ],
)
def test_a_server_is_reached_with_a_driver_that_is_installed(
    url: str, kind: str, driver: str
) -> None:
    place = locate(url)
    assert (place.kind, place.path) == (kind, None)
    assert place.url.drivername == f"{kind}+{driver}"
    assert place.url.get_dialect()().name == kind
    # Nothing but the driver is changed.
    assert place.url.set(drivername="x") == make_url(url).set(drivername="x")


@pytest.mark.parametrize(
    ("installed", "url", "driver"),
    [
        ({"psycopg2"}, "postgresql://host/db", "postgresql+psycopg2"),
        ({"psycopg", "psycopg2"}, "postgresql://host/db", "postgresql+psycopg"),
        ({"psycopg", "psycopg2"}, "postgresql+psycopg2://host/db", "postgresql+psycopg2"),
        ({"MySQLdb"}, "mysql://host/db", "mysql+mysqldb"),
        ({"MySQLdb"}, "mysql+mysqldb://host/db", "mysql+mysqldb"),
        ({"MySQLdb", "pymysql"}, "mysql://host/db", "mysql+pymysql"),
    ],
)
def test_the_preferred_driver_of_those_that_are_installed(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], url: str, driver: str
) -> None:
    monkeypatch.setattr("storage.urls.find_spec", lambda name: name if name in installed else None)
    assert locate(url).url.drivername == driver


@pytest.mark.parametrize(
    ("url", "driver", "kind"),
    [
        ("postgresql://me:secret@host/db", "psycopg", "postgresql"),
        ("postgres+psycopg2://me:secret@host/db", "psycopg2", "postgresql"),
        ("mysql://me:secret@host/db", "pymysql", "mysql"),
        ("mysql+mysqldb://me:secret@host/db", "mysqldb", "mysql"),
        ("mysql+no_such_driver://me:secret@host/db", "no_such_driver", "mysql"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str, kind: str
) -> None:
    monkeypatch.setattr("storage.urls.find_spec", lambda _name: None)
    assert refusal(url) == (
        f"the driver {driver} of {kind} is not installed: pip install 'hpo-stacks[{kind}]'"
    )


@pytest.mark.parametrize("url", ["postgresql://me:secret@host", "postgresql://host/"])
def test_a_server_without_a_database_is_refused(url: str) -> None:
    assert refusal(url) == ("the storage names no database: write postgresql://USER@HOST/DATABASE")


@pytest.mark.parametrize("kind", ["oracle", "mssql", "nonsense"])
def test_other_databases_are_named(kind: str) -> None:
    assert refusal(f"{kind}://user:secret@host/db") == (
        f"studies are kept in SQLite, PostgreSQL or MySQL, not in {kind}: "
        "use --storage sqlite:///FILE.db"
    )


def test_an_at_sign_in_a_password_must_be_written_as_40() -> None:
    assert refusal("postgresql://me:sec@ret@host/db") == (
        "the storage has an '@' too many: write %40 for one in a password"
    )
    assert locate("postgresql://me:sec%40ret@host/db").url.password == "sec@ret"


# What is shown

FORMS = [
    "postgresql://user:{}@host/db",
    "postgresql://user:{}@host:5432/db?sslmode=require",
    "postgresql+psycopg://user:{}@host:port/db?a=b",
    "mysql://user:{}@/db",
    "mysql+pymysql://user:{}@",
    "oracle://user:{}@host",
    "sqlite://user:{}@host/db",
    "postgresql:user:{}@host/db",
    "postgresql://host/db?password={}",
    "postgresql://user:other@host/db?a=b&sslpassword={}&c=d",
    "mysql://user@host/db?passwd={}",
]


def shown(url: str) -> list[str]:
    """All that is shown of a URL to anybody."""
    try:
        return [masked(url), str(locate(url))]
    except StorageError as error:
        return [masked(url), str(error)]


@given(st.sampled_from(FORMS), st.text("ab1@:/?#%[]&=+ ", max_size=12))
def test_no_password_shows_however_it_is_written(form: str, noise: str) -> None:
    """Written as it is it may make nonsense of the URL, and then its halves are to be found."""
    for line in shown(form.format(f"S3{noise}CRET")):
        assert "S3" not in line
        assert "CRET" not in line


@given(st.sampled_from(FORMS), st.text(max_size=12))
def test_no_quoted_password_shows_not_even_in_a_drivers_words(form: str, password: str) -> None:
    password = f"<{password}>"  # or it might be a part of the rest by chance
    written = quote(password.encode("utf-8", "surrogatepass"), safe="")
    url = form.format(written)
    lines = shown(url)
    with contextlib.suppress(StorageError):
        place = locate(url)
        told = f"{url} {place.url.render_as_string(hide_password=False)} {password}"
        lines += [place.hide(told)]
    for line in lines:
        assert password not in line
        assert written not in line


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///a b.db", "sqlite:///a b.db"),
        ("sqlite:////data/user:x@y/hpo.db", "sqlite:////data/user:x@y/hpo.db"),
        ("s3://bucket/some/prefix", "s3://bucket/some/prefix"),
        ("postgresql://me@host:5432/db?a=b", "postgresql://me@host:5432/db?a=b"),
        ("postgresql://me:x@host:5432/db?a=b", "postgresql://me:***@host:5432/db?a=b"),
        ("mysql://me@host/db?ssl_key=x&a=b", "mysql://me@host/db?***"),
        ("postgresql://me:x@y@host/db", "***"),
        ("no url at all", "***"),
    ],
)
def test_what_is_shown_of_a_url(url: str, expected: str) -> None:
    assert masked(url) == expected
