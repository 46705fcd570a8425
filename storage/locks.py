"""Locks that the system releases when their process dies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from storage.engine import explained
from storage.errors import StorageError, StudyBusyError


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


@contextmanager
def study_lock(folder: Path, study: str) -> Iterator[None]:
    """Hold the study, or raise ``StudyBusyError`` at once if another search does."""
    # A hash, because a study's name may hold any character.
    name = hashlib.sha256(study.encode(errors="surrogatepass")).hexdigest()[:16]
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(folder, name, seconds=0))
        except StorageError as error:
            if not isinstance(error.__cause__, Timeout):
                raise
            raise StudyBusyError(
                f"another search of study {study!r} is running: wait until it ends, "
                "or use another --study"
            ) from error
        yield
