"""Content-addressed files: a name is the hash of what stands in them, so damage is seen.

An artifact is a pair, ``DIGEST.npz`` for arrays and ``DIGEST.json`` for the rest; the digest is
taken over both. A file is written under a temporary name, synced and renamed, so that a name that
exists is a whole file. Entering the digest in the database comes after, and is the caller's part.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from storage.causes import explained
from storage.errors import ArtifactError, StorageError

MAX_BYTES = 1 << 31
"""A file that claims to be larger is not one of ours."""

STALE_SECONDS = 3600.0
"""What is older was left by a process that died, and is not being written."""

_UNFINISHED = ".new-"

SUFFIXES = (".npz", ".json")


class Artifact(NamedTuple):
    """The bytes of the two files."""

    arrays: bytes
    document: bytes

    @property
    def digest(self) -> str:
        """The name of the two files, 64 hexadecimal digits."""
        head = len(self.arrays).to_bytes(8, "little")
        return hashlib.sha256(head + self.arrays + self.document).hexdigest()


class Stored(NamedTuple):
    """A digest with the bytes of its files and the age of the newest in seconds."""

    digest: str
    size: int
    age: float


class Swept(NamedTuple):
    """How many unfinished files there were, and how many bytes they took."""

    files: int
    size: int


class Artifacts(Protocol):
    """Where artifacts stand. ``str`` of it says where, for people."""

    def save(self, artifact: Artifact) -> str:
        """Write both files and return their digest; the same content gives the same files."""

    def save_all(self, artifacts: Sequence[Artifact]) -> list[str]:
        """Likewise for many, which is quicker than one after the other."""

    def load(self, digest: str) -> Artifact:
        """Both files; raises ``ArtifactError`` if they are not what was saved."""

    def document(self, digest: str) -> bytes:
        """The second file alone, unchecked; raises ``ArtifactError`` if it cannot be read."""

    def delete(self, digest: str) -> None:
        """Remove both files, as far as they exist."""

    def stored(self) -> list[Stored]:
        """Everything that is there, whole or not."""

    def sweep(self, older_than: float = STALE_SECONDS, *, dry_run: bool = False) -> Swept:
        """Remove what a process that died while it wrote has left, or only count it.

        Only what is older than so many seconds.
        """


class ArtifactFolder:
    """The artifacts in ``folder``, which is created, for the owner only, when first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def check_before_writing(self) -> None:
        """Raise ``StorageError`` if the folder cannot be written to, or cannot be made."""
        with explained(self.folder):
            if self.folder.exists() and not self.folder.is_dir():
                raise StorageError(f"{self.folder} is no folder: choose other --artifacts")
            # Its own folder is not made: it may be a disk that is not mounted.
            present = self.folder if self.folder.exists() else self.folder.parent
            if not present.is_dir():
                raise StorageError(
                    f"there is no folder {present}: make or mount it, or choose other --artifacts"
                )
            effective = os.access in os.supports_effective_ids
            if not os.access(present, os.W_OK | os.X_OK, effective_ids=effective):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def save(self, artifact: Artifact) -> str:
        """Write both files and return their digest; the same content gives the same files."""
        return self.save_all([artifact])[0]

    def save_all(self, artifacts: Sequence[Artifact]) -> list[str]:
        """Likewise for many; on the disk when this returns, all of them."""
        digests = [artifact.digest for artifact in artifacts]
        # The document first: left alone by a crash, it still says whose it is.
        files = {
            path: content
            for digest, artifact in zip(digests, artifacts, strict=True)
            for path, content in zip(self._paths(digest)[::-1], artifact[::-1], strict=True)
        }
        if files:
            with explained(self.folder):
                self.folder.mkdir(mode=0o700, exist_ok=True)
                _write(files)
                _sync(self.folder)
        return digests

    def load(self, digest: str) -> Artifact:
        """Both files; raises ``ArtifactError`` if one is missing, a link, or not what was saved."""
        artifact = Artifact(*(_read(path) for path in self._paths(digest)))
        return checked(artifact, digest, str(self._paths(digest)[0]))

    def document(self, digest: str) -> bytes:
        """The second file alone, unchecked; raises ``ArtifactError`` if it cannot be read."""
        return _read(self._paths(digest)[1])

    def delete(self, digest: str) -> None:
        """Remove both files, as far as they exist."""
        with explained(self.folder):
            for path in self._paths(digest):
                path.unlink(missing_ok=True)

    def stored(self) -> list[Stored]:
        """Everything that is there, whole or not; a link is none of ours."""
        found: dict[str, Stored] = {}
        for path, status in self._files():
            if path.suffix in SUFFIXES and is_digest(path.stem):
                known = found.get(path.stem, Stored(path.stem, 0, math.inf))
                age = min(known.age, time.time() - status.st_mtime)
                found[path.stem] = Stored(path.stem, known.size + status.st_size, age)
        return list(found.values())

    def sweep(self, older_than: float = STALE_SECONDS, *, dry_run: bool = False) -> Swept:
        """Remove what a process that died while it wrote has left, or only count it.

        Only what is older than so many seconds.
        """
        stale = [
            (path, status.st_size)
            for path, status in self._files()
            if path.name.startswith(_UNFINISHED) and time.time() - status.st_mtime > older_than
        ]
        if not dry_run:
            with explained(self.folder):
                for path, _ in stale:
                    path.unlink(missing_ok=True)
        return Swept(len(stale), sum(size for _, size in stale))

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The plain files of the folder, which need not be there."""
        with explained(self.folder):
            try:
                paths = sorted(self.folder.iterdir())
            except FileNotFoundError:
                return
            for path in paths:
                with contextlib.suppress(FileNotFoundError):  # another process removed it
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        yield path, status

    def _paths(self, digest: str) -> tuple[Path, Path]:
        arrays, document = names(digest)
        return self.folder / arrays, self.folder / document


def open_artifacts(where: str) -> Artifacts:
    """The artifacts in a folder, or in the bucket ``s3://BUCKET/PREFIX``.

    Raises ``StorageError`` for a bucket that cannot be used.
    """
    if where.startswith("s3://"):
        from storage.buckets import ArtifactBucket  # noqa: PLC0415  # needs an extra

        return ArtifactBucket.open(where)
    if "://" in where:
        raise StorageError("artifacts are kept in a folder or in s3://BUCKET/PREFIX")
    return ArtifactFolder(Path(where).resolve())


def open_to_write(where: str) -> Artifacts:
    """Likewise; raises ``StorageError`` also for a folder that cannot be written to."""
    artifacts = open_artifacts(where)
    if isinstance(artifacts, ArtifactFolder):
        artifacts.check_before_writing()
    return artifacts


def located(where: str) -> str:
    """A folder by its whole path, so that it is the same from everywhere; a bucket as it is."""
    return where if "://" in where else str(Path(where).resolve())


def is_digest(text: str) -> bool:
    """Whether ``text`` may name an artifact, and leads nowhere else."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def names(digest: str) -> tuple[str, str]:
    """The names of the two files; raises ``ArtifactError`` for what is no digest."""
    if not is_digest(digest):
        raise ArtifactError(f"{digest!r} is no name of an artifact")
    return f"{digest}.npz", f"{digest}.json"


def checked(artifact: Artifact, digest: str, name: str) -> Artifact:
    """The artifact, if it is what was saved as ``digest``; else raises ``ArtifactError``."""
    if artifact.digest != digest:
        raise ArtifactError(f"{name} or its .json was changed or damaged after it was saved")
    return artifact


def _write(files: Mapping[Path, bytes]) -> None:
    """Write every file under another name, and rename them when all are on the disk."""
    written: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            # mkstemp makes files that only their owner can read.
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
            written[path] = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        # After the last was written: the first then takes most of the others to the disk with it.
        for unfinished in written.values():
            _sync(unfinished)
        for path, unfinished in written.items():
            unfinished.replace(path)
    except BaseException:
        for unfinished in written.values():
            unfinished.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
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
