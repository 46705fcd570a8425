"""Data sets in IDX files, as MNIST is distributed: one of images, one of labels, each may be .gz.

An image file is the numbers 0x0803, n, height, width (big-endian, 4 bytes each) and n·height·width
bytes; a label file is 0x0801, n and n bytes (Y. LeCun, "The MNIST database").
"""

from __future__ import annotations

import gzip
import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

from hpo.data.errors import DataError
from hpo.data.files import beginning, find_file
from hpo.data.loaded import Loaded, row_place
from hpo.data.matrices import pixel_names
from hpo.data.table import Table, Target
from hpo.data.targets import check_target

if TYPE_CHECKING:
    from io import BufferedIOBase
    from pathlib import Path

    from numpy.typing import NDArray

    from hpo.data.targets import Check

_IMAGES, _LABELS = 0x0803, 0x0801
_MOST_BYTES = 2**32


def load_idx(path: Path, source: str, labels: str | None, *, check: Check = check_target) -> Loaded:
    """Return images and labels; the label file is found beside the images unless given.

    `check` is what the labels must pass.

    Raises
    ------
    DataError
        A file is missing, damaged or larger than 4 GiB, or the two do not fit.
    """
    images = load_images(path, source)
    label_path = _beside(path, source) if labels is None else find_file(labels)
    values = _read(label_path, labels or label_path.name, _LABELS)
    if len(values) != images.n_rows:
        raise DataError(
            f"{source} has {images.n_rows:,} images and {label_path.name} has {len(values):,} "
            "labels; they are not a pair"
        )
    target = Target("label", values.astype(np.float64), None)
    check(target, str(label_path), row_place)
    return Loaded(images, target)


def load_images(path: Path, source: str) -> Table:
    """Return images alone; DataError when the file is damaged, empty or larger than 4 GiB."""
    images = _read(path, source, _IMAGES)
    if not images.size:
        raise DataError(f"{source} has no images, its shape is {images.shape}")
    shape = images.shape[1:]
    return Table.of_numbers(images.reshape(len(images), -1), pixel_names(shape), shape)


def _read(path: Path, source: str, magic: int) -> NDArray[np.uint8]:
    """Return (n,) labels or (n, height, width) images, as `magic` says."""
    zipped = beginning(path).startswith(b"\x1f\x8b")
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            return _read_array(file, source, magic)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{source}: the gzip file is damaged ({error}); fetch it again") from None


def _read_array(file: BufferedIOBase, source: str, magic: int) -> NDArray[np.uint8]:
    n_sides = magic & 0xFF
    header = np.frombuffer(file.read(4 + 4 * n_sides), dtype=np.uint8)
    if len(header) < 4 + 4 * n_sides or int.from_bytes(header[:4].tobytes()) != magic:
        kind = "images" if magic == _IMAGES else "labels"
        raise DataError(f"{source}: no IDX file of {kind}, which begins with 0x{magic:08x}")
    shape = tuple(int(side) for side in header[4:].view(">u4"))
    size = math.prod(shape)
    if size > _MOST_BYTES:
        raise DataError(f"{source} announces {size:,} bytes; more than {_MOST_BYTES:,} are refused")
    return _read_bytes(file, source, size).reshape(shape)


def _read_bytes(file: BufferedIOBase, source: str, size: int) -> NDArray[np.uint8]:
    """Return the rest of the file if that is `size` bytes; memory grows with what is there."""
    data = bytearray()
    while len(data) <= size and (chunk := file.read(min(2**20, size + 1 - len(data)))):
        data += chunk
    if len(data) != size:
        there = f"only {len(data):,}" if len(data) < size else "more"
        raise DataError(f"{source} announces {size:,} bytes and has {there}; fetch it again")
    return np.frombuffer(data, dtype=np.uint8)


def _beside(path: Path, source: str) -> Path:
    """Return the label file that belongs to an image file, zipped or not."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    for candidate in (name, name.removesuffix(".gz"), name + ".gz"):
        if candidate != path.name and path.with_name(candidate).is_file():
            return path.with_name(candidate)
    raise DataError(f"{source}: its labels ({name}) are not beside it; name them with --labels")
