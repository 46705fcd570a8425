"""Content-addressed files: a name is the hash of what stands in them, so damage is seen.

An artifact is a pair, ``DIGEST.npz`` for arrays and ``DIGEST.json`` for the rest; the digest is
taken over both. A file is written under a temporary name, synced and renamed, so that a name that
exists is a whole file. Entering the digest in the database comes after, and is the caller's part.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from storage.engine import explained
from storage.errors import ArtifactError

MAX_BYTES = 1 << 31
"""A file that claims to be larger is not one of ours."""

_UNFINISHED = ".new-"
_STALE_SECONDS = 3600


class Artifact(NamedTuple):
    """The bytes of the two files."""

    arrays: bytes
    document: bytes


class ArtifactStore:
    """The artifacts in ``folder``, which is created, for the owner only, when first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, artifact: Artifact) -> str:
        """Write both files and return their digest; the same content gives the same files."""
        digest = _digest(artifact)
        with explained(self.folder):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            for path, content in zip(self._paths(digest), artifact, strict=True):
                _write(path, content)
            _sync(self.folder)
        return digest

    def load(self, digest: str) -> Artifact:
        """Both files; raises ``ArtifactError`` if one is missing, a link, or not what was saved."""
        artifact = Artifact(*(_read(path) for path in self._paths(digest)))
        if _digest(artifact) != digest:
            path = self._paths(digest)[0]
            raise ArtifactError(f"{path} or its .json was changed or damaged after it was saved")
        return artifact

    def delete(self, digest: str) -> None:
        """Remove both files, as far as they exist."""
        with explained(self.folder):
            for path in self._paths(digest):
                path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a process that died while it wrote has left, once it is an hour old."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()

    def _paths(self, digest: str) -> tuple[Path, Path]:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise ArtifactError(f"{digest!r} is no name of an artifact")
        return self.folder / f"{digest}.npz", self.folder / f"{digest}.json"


def _digest(artifact: Artifact) -> str:
    head = len(artifact.arrays).to_bytes(8, "little")
    return hashlib.sha256(head + artifact.arrays + artifact.document).hexdigest()


def _write(path: Path, content: bytes) -> None:
    # mkstemp makes files that only their owner can read.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    try:
        # Before it is opened: a pipe would block.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ArtifactError(f"{path} is a link, or no file at all")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(descriptor).st_size > MAX_BYTES:
                raise ArtifactError(f"{path} is too large to be an artifact")
            return file.read()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
