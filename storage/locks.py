"""Locks that the system releases when their process dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from storage.causes import explained
from storage.errors import StorageError


@contextmanager
def file_lock(folder: Path, name: str, seconds: float) -> Iterator[None]:
    """Hold ``folder/name.lock``; the folder is created, for the owner only.

    Raises ``StorageError`` if another process holds it for longer than ``seconds``.
    """
    lock = FileLock(folder / f"{name}.lock", mode=0o600)
    with explained(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            lock.acquire(timeout=seconds)
        except Timeout as error:
            raise StorageError(f"another process holds {lock.lock_file}") from error
    try:
        yield
    finally:
        lock.release()
