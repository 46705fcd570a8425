"""SQLite files: checked before anything is written, and opened the one way that loses nothing.

Every connection runs in WAL mode with ``synchronous=FULL``: what a commit has written survives a
power cut, and readers never wait for the writer.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from storage import revisions
from storage.causes import explained
from storage.errors import StorageError

BUSY_SECONDS = 30.0
"""How long a connection waits for a lock that another process holds."""

SMALLEST_DATABASE = 512
"""Bytes of SQLite's smallest page."""

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK_SYSTEMS = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "orangefs", "pvfs2", "smb2", "smb3", "smbfs"),
        *("fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"),
    }
)


def check_before_writing(path: Path) -> None:
    """Refuse a file that is not ours to write in, before anything is changed.

    Raises ``StorageError`` for a missing folder, a file that cannot be written, is on a network
    file system, is no database, is corrupt, belongs to another program, or has Optuna's tables in
    a revision that we cannot use. A new file is created readable by its owner only.
    """
    with explained(path):
        if not path.parent.is_dir():
            raise StorageError(f"the folder of the storage does not exist: {path.parent}")
        _refuse_network(path)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        if not (_writable(path) and _writable(path.parent)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _check_owner(path)


def connect(path: Path) -> sqlite3.Connection:
    """One connection with our pragmas; its transactions are begun by the engine."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, *, calm: bool = False) -> sqlite3.Connection:
    """A connection that writes nothing, also where nothing can be written.

    ``calm`` if `calm_state` says so: the file alone is then the whole database, and nothing is
    created beside it.
    """
    mode = "immutable=1" if calm else "mode=ro"
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    try:
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def calm_state(path: Path) -> object | None:
    """What changes when the file is written; None while anybody has it open for writing.

    A file that is equal before and after was not written in between.
    """
    if any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal")):
        return None
    try:
        status = path.stat()
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:  # what is wrong is said when it is opened
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size, head


def network_system(path: Path) -> str | None:
    """The kind of network file system that ``path`` lies on; None for a local disk."""
    try:
        lines = os.fsdecode(MOUNTS.read_bytes()).split("\n")
    except OSError:
        return None
    kind, longest = "", -1
    for line in lines:
        fields = line.split(" ")
        if "-" not in fields[6:]:
            continue
        mount = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4]))
        # Of two mounts on one folder the later hides the earlier.
        if path.is_relative_to(mount) and len(mount.parts) >= longest:
            kind, longest = fields[fields.index("-", 6) + 1], len(mount.parts)
    return kind if kind in _NETWORK_SYSTEMS else None


def _refuse_network(path: Path) -> None:
    if kind := network_system(path):
        raise StorageError(
            f"{path} lies on a network file system ({kind}), whose locks SQLite cannot rely on: "
            "use a local disk, or PostgreSQL or MySQL for a study that machines share"
        )


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _check_owner(path: Path) -> None:
    """A database with tables must hold Optuna's, or it is another program's."""
    refuse_short(path)
    # Not mode=ro, which leaves -wal and -shm files behind and cannot undo a killed transaction.
    uri = f"{path.as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows}
        if tables and not {"studies", "trials", "version_info"} <= tables:
            raise StorageError(
                f"this database belongs to another program (tables {some(tables)}): {path}; "
                "choose another --storage"
            )
        if "alembic_version" in tables:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if found:
                revisions.check(path, found[0])


def refuse_short(path: Path) -> None:
    """SQLite takes a short file for an empty database, and would write over a user's note."""
    if path.is_file() and 0 < path.stat().st_size < SMALLEST_DATABASE:
        error = sqlite3.DatabaseError("file is not a database")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise error


def some(names: set[str]) -> str:
    """The first three names."""
    first = sorted(names)[:3]
    return ", ".join(first) + (", …" if len(names) > len(first) else "")
