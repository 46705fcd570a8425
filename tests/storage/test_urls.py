"""URLs: which name a file of ours, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.engine import sqlite_path
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


def refusal(url: str) -> str:
    with pytest.raises(StorageError) as caught:
        sqlite_path(url)
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
    ("url", "kind"),
    [
        ("postgresql://user@host/db", "postgresql"),
        ("postgresql+psycopg2://host:5432/db?sslmode=require", "postgresql"),
        ("mysql+pymysql://user:secret@host/db", "mysql"),
        ("nonsense://user:secret@host/db", "nonsense"),
    ],
)
def test_other_databases_are_named(url: str, kind: str) -> None:
    assert refusal(url) == (
        f"studies are kept in SQLite files, not in {kind}: use --storage sqlite:///FILE.db"
    )


@given(
    st.sampled_from(["postgresql://", "mysql+pymysql://", "sqlite://", "postgresql:"]),
    st.text("ab1@:/?#%[]", max_size=12),
    st.sampled_from(["@host/db", "@host:5432/db", "@host:port/db?a=b", "@/db", "@", ""]),
)
def test_no_password_shows_wherever_it_stands(start: str, noise: str, end: str) -> None:
    for text in (f"{start}user:S3{noise}CRET{end}?", f"{start}host/db?password=S3{noise}CRET"):
        message = refusal(text)
        assert "S3" not in message
        assert "CRET" not in message
