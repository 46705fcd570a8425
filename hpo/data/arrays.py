"""Reading `.npz` files that nobody vouches for.

Nothing is unpickled or evaluated, and every size is checked before memory is asked for.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpo.data.errors import DataError
from hpo.data.wording import counted, shown

if TYPE_CHECKING:
    from typing import IO

    from numpy.typing import NDArray

_MOST_MEMBERS = 1000
_MOST_DIMENSIONS = 8
_LARGEST_RATIO = 100  # of unpacked to packed size
_RATIO_FREE = 2**24  # a member as small as this may be packed as tightly as it likes
_LONGEST_HEADER = 2**14
_CHUNK = 2**20

# RuntimeError is an encrypted member; TypeError and OverflowError come of forged headers.
_DAMAGE = (
    OSError, EOFError, ValueError, TypeError, OverflowError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_MAGIC = re.compile(rb"\x93NUMPY[\x01\x02\x03]\x00")
_HEADER = re.compile(
    r"\{'descr': '([<>|=]([biufSUO])\d*)', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,15}, ?)*(?:\d{1,15})?)\), \} *\n"
)


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    fortran_order: bool
    shape: tuple[int, ...]
    length: int  # bytes before the data


def read_npz(source: Path | str | bytes, *, max_bytes: int = 2**32) -> dict[str, NDArray[Any]]:
    """Return the arrays of a `.npz` file by name.

    Parameters
    ----------
    source : the file, or its content
    max_bytes : the largest sum of the unpacked sizes that is accepted

    Returns
    -------
    Arrays of booleans, integers, floats, bytes or texts, in this machine's byte order.

    Raises
    ------
    DataError
        The file is damaged or no `.npz`, is too large or packed too tightly, lies about its
        sizes, or holds objects.
    """
    what = "these bytes" if isinstance(source, bytes) else str(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            archive = zipfile.ZipFile(file)
            members = archive.infolist()
            _check_members(members, max_bytes, packed_size=file.seek(0, io.SEEK_END))
            return {member.filename[:-4]: _read_member(archive, member) for member in members}
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    except _DAMAGE as error:
        raise DataError(f"{what}: a damaged NPZ file, or none ({error}); save it again") from None


def _check_members(members: list[zipfile.ZipInfo], max_bytes: int, packed_size: int) -> None:
    if len(members) > _MOST_MEMBERS:
        raise DataError(f"{counted(len(members), 'array')}, more than {_MOST_MEMBERS:,}")
    if len({member.filename for member in members}) < len(members):
        raise DataError("two arrays have the same name; save it again")
    size = sum(member.file_size for member in members)
    if size > max_bytes:
        raise DataError(f"unpacked it has {size:,} bytes, more than the {max_bytes:,} allowed")
    if sum(member.compress_size for member in members) > packed_size:
        raise DataError("its arrays claim more bytes than it has; it is damaged")
    for member in members:
        _check_member(member)


def _check_member(member: zipfile.ZipInfo) -> None:
    name = shown(member.filename)
    if not member.filename.endswith(".npy"):
        raise DataError(f"{name} is no array; leave it out")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DataError(f"{name} is packed in a way that NumPy does not use; save it again")
    if member.file_size > max(_RATIO_FREE, _LARGEST_RATIO * member.compress_size):
        raise DataError(
            f"{name} unpacks to over {_LARGEST_RATIO} times its size; if you trust it, save it "
            "with np.savez"
        )


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    name = shown(member.filename[:-4])
    with archive.open(member) as stream:
        header = _read_header(stream, name)
        size = math.prod(header.shape) * header.dtype.itemsize
        if header.length + size != member.file_size:
            raise DataError(
                f"array {name} claims {size:,} bytes for its shape and type and "
                f"{member.file_size - header.length:,} are there; it is damaged"
            )
        data = np.empty(size, dtype=np.uint8)
        _inplace_read(stream, data)
    array = data.view(header.dtype).reshape(
        header.shape, order="F" if header.fortran_order else "C"
    )
    _check_texts(array, name)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _read_header(stream: IO[bytes], name: str) -> _Header:
    magic = stream.read(8)
    if not _MAGIC.fullmatch(magic):
        raise DataError(f"array {name} does not begin as an array does; it is damaged")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(length).decode("latin-1") if length <= _LONGEST_HEADER else ""
    match = _HEADER.fullmatch(text)
    if match is None:
        raise DataError(f"array {name} is neither numbers nor texts, or its header is damaged")
    descr, kind, fortran_order, shape = match.groups()
    if kind == "O":
        raise DataError(f"array {name} holds Python objects, which are never loaded; save numbers")
    dtype = np.dtype(descr)
    sides = tuple(int(side) for side in shape.split(",") if side.strip())
    if len(sides) > _MOST_DIMENSIONS or not dtype.itemsize:
        raise DataError(f"array {name} has {len(sides)} dimensions of type {descr}: unusable")
    return _Header(dtype, fortran_order == "True", sides, 8 + width + length)


def _inplace_read(stream: IO[bytes], data: NDArray[np.uint8]) -> None:
    """Fill `data` from the stream, of which it must be the rest; the archive checks the CRC."""
    start = 0
    while start < len(data) and (chunk := stream.read(min(_CHUNK, len(data) - start))):
        data[start : start + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
        start += len(chunk)
    if start < len(data) or stream.read(1):
        raise EOFError("fewer or more bytes than announced")


def _check_texts(array: NDArray[Any], name: str) -> None:
    """Refuse code points that are no characters: NumPy would fail on them later."""
    if array.dtype.kind == "U" and array.size:
        points = np.ascontiguousarray(array).view(array.dtype.byteorder.replace("|", "") + "u4")
        if points.max() > 0x10FFFF:
            raise DataError(f"array {name} has texts with impossible characters; it is damaged")
