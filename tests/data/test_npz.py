"""NPZ files: NumPy's own writer is the oracle, and forged files must not be believed."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hpo.data.arrays import read_npz
from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load, load_features

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


def packed(compress: bool = False, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(stream, **arrays)
    return stream.getvalue()


def member(header: str, data: bytes, *, magic: bytes = b"\x93NUMPY\x01\x00") -> bytes:
    """Return an archive of one array `X` with that header."""
    text = header.encode("latin-1") + b"\n"
    return archive({"X.npy": magic + len(text).to_bytes(2, "little") + text + data})


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def refusal(content: bytes, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_npz(content, **options)
    return str(caught.value)


dtypes = (
    npst.boolean_dtypes()
    | npst.integer_dtypes(endianness="?")
    | npst.floating_dtypes(endianness="?")
    | npst.unicode_string_dtypes(endianness="?")
    | npst.byte_string_dtypes()
)


@given(
    npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    st.booleans(),
    st.booleans(),
)
def test_reads_what_numpy_writes(array: NDArray[Any], fortran: bool, compress: bool) -> None:
    array = np.asfortranarray(array) if fortran and array.ndim else array
    found = read_npz(packed(compress, a=array, b=Y))
    np.testing.assert_array_equal(found["a"], array)
    assert found["a"].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found["b"], Y)


@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    content = bytearray(packed(data.draw(st.booleans()), X=X, y=np.array(["a", "bc"])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_npz(bytes(content))
    except DataError as error:
        assert str(error).isprintable()  # noqa: PT017


@given(st.integers(0, 700))
def test_truncated_files_are_refused(length: int) -> None:
    content = packed(X=X, y=Y)
    assert "damaged" in refusal(content[: min(length, len(content) - 1)])


class Canary:
    """Leaves a trace when it is unpickled."""

    woken = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Canary, "woken", True))


def test_objects_are_never_unpickled() -> None:
    content = packed(X=np.array([Canary()], dtype=object))
    assert "holds Python objects, which are never loaded" in refusal(content)
    assert not Canary.woken


FORGED = {
    "more than there is": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
        "claims 16",
    ),
    "a petabyte": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000, 10000000), }",
        "claims 800,000,000,000,000 bytes for its shape and type and 8 are there",
    ),
    "less than there is": ("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }", "claims 0"),
    "empty but huge": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 999999999999999), }",
        "claims 0 bytes",
    ),
    "negative": ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "header is damaged"),
    "no width": ("{'descr': '<U0', 'fortran_order': False, 'shape': (9,), }", "unusable"),
    "nine dimensions": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }",
        "unusable",
    ),
    "odd width": ("{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }", "damaged NPZ"),
    "structured": (
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
        "neither numbers nor texts",
    ),
    "code": ("__import__('os').abort()", "neither numbers nor texts"),
}


@pytest.mark.parametrize(("header", "expected"), FORGED.values(), ids=FORGED.keys())
def test_forged_headers(header: str, expected: str) -> None:
    assert expected in refusal(member(header, bytes(8)))


def test_an_empty_array_of_impossible_shape() -> None:
    side = "999999999999999, "
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {side * 3}), }}"
    assert "damaged NPZ" in refusal(member(header, b""))


def test_texts_of_impossible_characters() -> None:
    header = "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }"
    assert "impossible characters" in refusal(member(header, b"\xff\xff\xff\x7f"))


def test_wrong_magic() -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"
    assert "does not begin as an array does" in refusal(
        member(header, bytes(8), magic=b"\x93NUMPX\1\0")
    )


def test_a_bomb_is_refused_before_memory_is_asked_for() -> None:
    npy = io.BytesIO()
    np.save(npy, np.zeros(2**25, dtype=np.uint8))
    bomb = archive({"X.npy": npy.getvalue()}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 50_000
    tracemalloc.start()
    assert "unpacks to over 100 times its size" in refusal(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_limits_of_the_archive() -> None:
    assert "more than the 100 allowed" in refusal(packed(X=X), max_bytes=100)
    assert "1,001 arrays" in refusal(archive({f"{i}.npy": b"" for i in range(1001)}))
    assert "'readme.txt' is no array" in refusal(archive({"readme.txt": b""}))
    assert "NumPy does not use" in refusal(archive({"X.npy": b""}, zipfile.ZIP_BZIP2))
    assert "a damaged NPZ file, or none (File is not a zip file)" in refusal(b"PK")
    lying = bytearray(packed(X=X))
    at = lying.rindex(b"PK\x01\x02")
    lying[at + 20 : at + 24] = (2**30).to_bytes(4, "little")
    assert "claim more bytes than it has" in refusal(bytes(lying))


def save(path: Path, **arrays: Any) -> str:
    np.savez(path / "set.npz", **arrays)
    return str(path / "set.npz")


@pytest.mark.parametrize(
    ("names", "target"),
    [(("X", "y"), None), (("x", "y"), None), (("data", "target"), None), (("a", "b"), "b")],
)
def test_features_and_target_by_name(
    tmp_path: Path, names: tuple[str, str], target: str | None
) -> None:
    dataset = load(save(tmp_path, **dict(zip(names, (X, Y), strict=True))), target=target)
    assert dataset.name == "set"
    assert dataset.features.columns == ("x0", "x1")
    assert dataset.target.name == names[1]
    np.testing.assert_array_equal(dataset.features.numeric, X)
    np.testing.assert_array_equal(dataset.target.values, Y)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_images(tmp_path: Path, dtype: type) -> None:
    images: NDArray[Any] = np.arange(6 * 2 * 3 * 2).reshape(6, 2, 3, 2).astype(dtype)
    features = load(save(tmp_path, X=images, y=Y)).features
    assert features.image_shape == (2, 3, 2)
    assert features.columns[:3] == ("pixel_0_0_0", "pixel_0_0_1", "pixel_0_1_0")
    assert features.numeric.dtype == (np.uint8 if dtype is np.uint8 else np.float64)
    np.testing.assert_array_equal(features.numeric, images.reshape(6, -1))


@pytest.mark.parametrize(
    ("y", "vocabulary", "values"),
    [
        (np.array(["b", "a", "b", "a", "a", "a"]), ("a", "b"), [1, 0, 1, 0, 0, 0]),
        (np.array([b"b", b"a", b"b", b"a", b"a", b"a"]), ("a", "b"), [1, 0, 1, 0, 0, 0]),
        (Y.astype(bool), None, [0, 1, 0, 1, 0, 1]),
        (Y[:, None] / 2, None, [0, 0.5, 0, 0.5, 0, 0.5]),
    ],
    ids=["texts", "bytes", "booleans", "a column"],
)
def test_kinds_of_target(
    tmp_path: Path, y: Any, vocabulary: tuple[str, ...] | None, values: list[float]
) -> None:
    target = load(save(tmp_path, X=X, y=y)).target
    assert target.vocabulary == vocabulary
    np.testing.assert_array_equal(target.values, values)


NOT_A_SET: dict[str, tuple[dict[str, Any], str]] = {
    "rows differ": ({"X": X, "y": Y[:4]}, "'X' has 6 rows and 'y' has 4; they must be as many"),
    "texts as features": ({"X": np.array([["a"]]), "y": Y}, "features must be numbers"),
    "no columns": ({"X": X[:, 0], "y": Y}, r"'X' has the shape (6,); features are"),
    "no rows": ({"X": X[:0], "y": Y}, r"has the shape (0, 2)"),
    "infinite": (
        {"X": np.where(X == 3, np.inf, X), "y": Y},
        "'X' has 1 number that cannot be used, the first (inf) in row 1, column 1 (counted from 0)",
    ),
    "two targets": ({"X": X, "y": X}, "a target is (rows,)"),
    "missing label": (
        {"X": X, "y": np.array(["a", "", "b", "a", "b", "a"])},
        "target 'y' has 1 missing cell, the first in row 1 (the first is 0)",
    ),
    "infinite target": ({"X": X, "y": Y + np.array([0, 0, 0, 0, 0, np.inf])}, "is inf in row 5"),
    "constant target": ({"X": X, "y": Y * 0}, "has only one value (0)"),
    "bytes": ({"X": X, "y": np.array([b"\xff"] * 6)}, "bytes that are not UTF-8"),
}


@pytest.mark.parametrize(("arrays", "expected"), NOT_A_SET.values(), ids=NOT_A_SET.keys())
def test_arrays_that_are_no_data_set(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError) as caught:
        load(save(tmp_path, **arrays))
    assert expected in str(caught.value)


def test_missing_features_are_kept(tmp_path: Path) -> None:
    features = load(save(tmp_path, X=np.where(X == 3, np.nan, X), y=Y)).features
    assert np.isnan(features.numeric).sum() == 1


def test_names_that_do_not_tell_the_target(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="arrays are: a, b; name them X and y, or say which"):
        load(save(tmp_path, a=X, b=Y))
    with pytest.raises(DataError, match="there is no 'yy'; did you mean 'y'"):
        load(save(tmp_path, X=X, y=Y), target="yy")
    with pytest.raises(DataError, match="beside the target there must be one"):
        load(save(tmp_path, a=X, b=Y, c=Y), target="c")


def test_new_rows(tmp_path: Path) -> None:
    for arrays in ({"X": X}, {"X": X, "y": Y}, {"anything": X}):
        table = load_features(save(tmp_path, **arrays), numeric=["x0", "x1"], text=[])
        np.testing.assert_array_equal(table.numeric, X)
    with pytest.raises(DataError, match="no array is named X; it has a, b"):
        load_features(save(tmp_path, a=X, b=X), numeric=[], text=[])
