"""Looks at files from outside: plain SQL, bytes, descriptors; and errors as a user sees them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageError

NOBODY = 65534
"""A user without any right of root's."""


def sql(path: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement through a connection of its own, and commit."""
    with closing(sqlite3.connect(path, timeout=0)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def schema(path: Path) -> dict[str, str]:
    """Every table and index by name, as SQL."""
    return dict(sql(path, "SELECT name, coalesce(sql, '') FROM sqlite_master"))


def content(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder`` with its bytes; folders end in a slash."""
    return {
        str(each.relative_to(folder)) + "/" * each.is_dir(): b""
        if each.is_dir()
        else each.read_bytes()
        for each in folder.rglob("*")
    }


def open_files(folder: Path) -> set[str]:
    """Files under ``folder`` that this process holds open."""
    descriptors = Path("/proc/self/fd")
    targets = {str(each.readlink()) for each in descriptors.iterdir() if each.is_symlink()}
    return {target for target in targets if target.startswith(str(folder))}


def error_line(work: Callable[[], object]) -> str:
    """The one line of the ``StorageError`` that ``work`` ends with."""
    with pytest.raises(StorageError) as caught:
        work()
    message = str(caught.value)
    assert "\n" not in message
    return message


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
