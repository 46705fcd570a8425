"""What happens to files: bytes that change or are lost."""

from __future__ import annotations

from pathlib import Path


def corrupt(path: Path, start: int = 4096) -> None:
    """Overwrite all but the beginning; the first page of a database is as long as that."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * (path.stat().st_size - start))


def truncate(path: Path) -> None:
    """Lose the last byte."""
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    """Leave a link to the file in its place."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
