"""URLs: which name a file of ours, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.engine import masked, sqlite_path
from storage.errors import StorageError


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
    assert sqlite_path(url) == Path(expected)


def test_a_relative_file_stands_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path("sqlite:///a.db") == tmp_path.resolve() / "a.db"


def test_two_names_of_one_file_are_one_storage(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert sqlite_path(f"sqlite:///{tmp_path}/link.db") == tmp_path.resolve() / "real.db"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://a.db"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match=r"names no file; use --storage sqlite:///FILE\.db"):
        sqlite_path(url)


def test_two_slashes_are_no_folder() -> None:
    with pytest.raises(StorageError, match=r"sqlite://data/a\.db names no file"):
        sqlite_path("sqlite://data/a.db")


def test_options_are_refused() -> None:
    with pytest.raises(StorageError, match=r"may follow .* sqlite:////data/a\.db; a"):
        sqlite_path("sqlite:////data/a.db?timeout=3")


@pytest.mark.parametrize("url", ["", "hpo.db", "/data/hpo.db", "postgresql", "C:\\hpo.db"])
def test_what_is_no_url_is_not_repeated(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        sqlite_path(url)
    assert str(caught.value) == "the storage is no URL; use --storage sqlite:///FILE.db"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret@host/db",
        "postgresql+psycopg2://user:s3cret@host:5432/db?sslmode=require",
        "mysql://user:s3c/s3cret@host/db",
        "mysql://user:p@s3cret@host/db",
        "mysql://user:p:s3cret@host/db",
        "postgresql://user:s3cret@host:port/db",
        "postgresql://user:s3cret@host:5432x/db",
        "postgresql://user:s3cret",
        "postgresql://host/db?user=user&password=s3cret",
        "nonsense://user:s3cret@host/db",
        "sqlite://user:s3cret@host/a.db",
        "sqlite:////data/a.db?key=s3cret",
        "user:s3cret@host",
    ],
)
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        sqlite_path(url)
    message = str(caught.value)
    assert "s3cret" not in message
    assert "\n" not in message
    assert "sqlite:///FILE.db" in message or "sqlite:////data/a.db" in message
    # Nor may a traceback show it.
    assert caught.value.__cause__ is None


def test_another_database_is_named() -> None:
    with pytest.raises(
        StorageError, match=r"^studies are kept in SQLite files: mysql://u:\*\*\*@h/d"
    ):
        sqlite_path("mysql://u:p@h/d")


@given(st.text("ab@:/?#%[]", min_size=1, max_size=12))
def test_no_password_shows_whatever_it_holds(noise: str) -> None:
    try:
        shown = masked(f"postgresql://user:S3{noise}CRET@host/db")
    except StorageError as error:
        shown = str(error)
    assert "S3" not in shown
    assert "CRET" not in shown
