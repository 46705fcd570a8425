"""IDX files, written byte by byte."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hpo.data.errors import DataError
from hpo.data.loading import load, load_features

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = bytes(range(24))  # four images of two rows and three columns
IMAGES = struct.pack(">IIII", 0x0803, 4, 2, 3) + PIXELS
LABELS = struct.pack(">II", 0x0801, 4) + bytes([7, 3, 7, 3])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few-images-idx3-ubyte").write_bytes(IMAGES)
    (tmp_path / "few-labels-idx1-ubyte").write_bytes(LABELS)
    return tmp_path


def message(source: str = "few-images-idx3-ubyte", labels: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load(source, labels=labels)
    return str(caught.value)


def check(source: str, labels: str | None = None) -> None:
    dataset = load(source, labels=labels)
    assert dataset.name == "few"
    assert dataset.features.image_shape == (2, 3)
    assert dataset.features.numeric.dtype == np.uint8
    np.testing.assert_array_equal(dataset.features.numeric, np.arange(24).reshape(4, 6))
    assert dataset.features.columns == (
        "pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_1_0", "pixel_1_1", "pixel_1_2",
    )  # fmt: skip
    assert dataset.target.name == "label"
    np.testing.assert_array_equal(dataset.target.values, [7, 3, 7, 3])


def test_plain(folder: Path) -> None:
    check("few-images-idx3-ubyte")
    check(str(folder / "few-images-idx3-ubyte"))


def test_zipped(folder: Path) -> None:
    (folder / "few-images-idx3-ubyte.gz").write_bytes(gzip.compress(IMAGES))
    check("few-images-idx3-ubyte.gz")
    (folder / "few-labels-idx1-ubyte").rename(folder / "other")
    (folder / "few-labels-idx1-ubyte.gz").write_bytes(gzip.compress(LABELS))
    check("few-images-idx3-ubyte.gz")
    check("few-images-idx3-ubyte", labels="other")


@pytest.mark.usefixtures("folder")
def test_images_alone() -> None:
    table = load_features("few-images-idx3-ubyte", numeric=[], text=[])
    assert table.n_rows == 4


FAULTS = {
    "empty": (b"", "no IDX file of images, which begins with 0x00000803"),
    "magic": (b"\0\0\x08\x01" + IMAGES[4:], "no IDX file of images"),
    "short header": (IMAGES[:10], "no IDX file of images"),
    "truncated": (IMAGES[:-1], " announces 24 bytes and has only 23; fetch it again"),
    "too long": (IMAGES + b"x", " announces 24 bytes and has more; fetch it again"),
    "huge": (
        struct.pack(">IIII", 0x0803, 2**31, 28, 28) + PIXELS,
        " announces 1,683,627,180,032 bytes; more than 4,294,967,296 are refused",
    ),
    "no images": (struct.pack(">IIII", 0x0803, 0, 2, 3), " has no images, its shape is (0, 2, 3)"),
    "gzip cut short": (gzip.compress(IMAGES)[:-9], "the gzip file is damaged"),
    "gzip damaged": (gzip.compress(IMAGES)[:-8] + bytes(8), "the gzip file is damaged"),
}


@pytest.mark.parametrize(("content", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(folder: Path, content: bytes, expected: str) -> None:
    (folder / "few-images-idx3-ubyte").write_bytes(content)
    assert message().startswith("few-images-idx3-ubyte")
    assert expected in message()


@pytest.mark.parametrize("announced", [24, 4 * 10**9])
def test_memory_follows_what_is_there(folder: Path, announced: int) -> None:
    header = struct.pack(">IIII", 0x0803, announced // 4, 2, 2)
    bomb = gzip.compress(header + bytes(2**24 if announced == 24 else 24))
    (folder / "few-images-idx3-ubyte.gz").write_bytes(bomb)
    tracemalloc.start()
    assert "announces" in message("few-images-idx3-ubyte.gz")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_labels(folder: Path) -> None:
    assert message(labels="none") == "none: there is no such file"
    (folder / "few-labels-idx1-ubyte").write_bytes(LABELS[:4] + b"\0\0\0\3\1\2\1")
    assert message() == (
        "few-images-idx3-ubyte has 4 images and few-labels-idx1-ubyte has 3 labels; they are not a "
        "pair"
    )
    (folder / "few-labels-idx1-ubyte").write_bytes(IMAGES)
    assert "few-labels-idx1-ubyte: no IDX file of labels, which begins with" in message()
    (folder / "few-labels-idx1-ubyte").write_bytes(LABELS[:8] + bytes(4))
    assert "target 'label' has only one value (0)" in message()
    (folder / "few-labels-idx1-ubyte").unlink()
    assert message() == (
        "few-images-idx3-ubyte: its labels (few-labels-idx1-ubyte) are not beside it; name them "
        "with --labels"
    )
