"""Which kind of file the user names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hpo.data.errors import DataError
from hpo.data.files import beginning

if TYPE_CHECKING:
    from pathlib import Path

Format = Literal["npz", "idx", "parquet", "text"]

_UNREAD = frozenset(
    (".npy", ".feather", ".arrow", ".xlsx", ".xls", ".ods", ".zip", ".bz2", ".xz",
     ".json", ".pkl", ".pickle", ".joblib", ".mat", ".h5", ".arff")
)  # fmt: skip


def format_of(path: Path, source: str) -> Format:
    """Tell by the name, and where that says nothing by the first bytes.

    Raises
    ------
    DataError
        Files of this kind are not read.
    """
    name, start = path.name.lower(), beginning(path)
    if path.suffix.lower() in _UNREAD or start.startswith(b"\x93NUMPY"):
        raise DataError(
            f"{source}: files of this kind are not read; save it as CSV, Parquet or NPZ"
        )
    if name.endswith((".csv.gz", ".tsv.gz", ".txt.gz", ".npz.gz", ".parquet.gz")):
        raise DataError(f"{source} is packed; unpack it with gunzip")
    if name.endswith((".parquet", ".pq")) or start.startswith(b"PAR1"):
        return "parquet"
    if name.endswith(".npz") or start.startswith(b"PK\x03\x04"):
        return "npz"
    if "-ubyte" in name or name.endswith(".gz") or start.startswith((b"\0\0\x08", b"\x1f\x8b")):
        return "idx"
    return "text"
