"""Encodings against scikit-learn's transformers, at the edges of float64, and as plain values."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpo.data import numbers
from hpo.data.encoding import Encoding
from hpo.data.errors import DataError
from hpo.data.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def of_numbers(values: Any, dtype: type = np.float64) -> Table:
    array: NDArray[Any] = np.asarray(values, dtype=dtype)
    return Table.of_numbers(array, tuple(f"x{i}" for i in range(array.shape[1])))


def of_texts(cells: Sequence[str | None], name: str = "colour") -> Table:
    vocabulary = tuple(sorted({cell for cell in cells if cell is not None}))
    codes = [[-1 if cell is None else vocabulary.index(cell)] for cell in cells]
    nothing = np.empty((len(cells), 0))
    return Table((name,), nothing, (), np.array(codes, dtype=np.int32), (name,), (vocabulary,))


def everything(table: Table) -> NDArray[np.int64]:
    return np.arange(table.n_rows)


def encoded(table: Table) -> list[list[float]]:
    rows: list[list[float]] = Encoding.fit(table, everything(table)).transform(table).tolist()
    return rows


def mixed(seed: int, n: int = 60) -> Table:
    rng = np.random.default_rng(seed)
    numeric = rng.normal(rng.normal(0, 100, 5), rng.lognormal(0, 3, 5), (n, 5))
    numeric[rng.random((n, 5)) < [0, 0, 0.2, 0.5, 0]] = np.nan
    numeric[:, 4] = 7
    codes = rng.integers([-1, 0], [3, 4], (n, 2)).astype(np.int32)
    names, texts = tuple("abcde"), ("t", "u")
    vocabularies = (("i", "j", "k"), ("p", "q", "r", "s"))
    return Table(names + texts, numeric, names, codes, texts, vocabularies)


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_numbers_as_scikit_learn(seed: int, scale: int) -> None:
    table = mixed(seed)
    train = np.sort(np.random.default_rng(seed).permutation(60)[:40])
    fitted = table.numeric[train][:, :4]
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(fitted)
    flags = MissingIndicator(features="missing-only", error_on_new=False).fit(fitted)
    expected = np.hstack(
        [
            np.clip(pipeline.transform(table.numeric[:, :4]), -6, 6),
            flags.transform(table.numeric[:, :4]),
        ]
    )
    found = Encoding.fit(table, train).transform(table)
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 2**32))
def test_texts_as_scikit_learn(seed: int) -> None:
    table = mixed(seed)
    train = np.arange(40)
    cells = np.stack(
        [
            np.array([*vocabulary, "~missing"], dtype=object)[table.codes[:, i]]
            for i, vocabulary in enumerate(table.vocabularies)
        ],
        axis=1,
    )
    oracle = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(cells[train])
    expected = oracle.transform(cells)
    found = Encoding.fit(table, train).transform(table)
    np.testing.assert_array_equal(found[:, -expected.shape[1] :], expected)


def test_hand_worked_numbers() -> None:
    table = of_numbers([[1, 5, np.nan], [3, 5, np.nan], [np.nan, 5, np.nan], [2, 5, np.nan]])
    # The median is 2; of 1, 3, 2, 2 the mean is 2 and the deviation sqrt(1/2).
    root = np.float32(np.sqrt(2))
    assert encoded(table) == [[-root, 0], [root, 0], [0, 1], [0, 0]]


def test_only_the_training_rows_teach() -> None:
    table = mixed(0)
    train = np.arange(30)
    changed = dataclasses.replace(table, numeric=table.numeric.copy(), codes=table.codes.copy())
    changed.numeric[30:] = 1e9
    changed.codes[30:] = 0
    first, second = (Encoding.fit(t, train).to_json() for t in (table, changed))
    assert first == second


@given(st.integers(0, 2**32))
def test_rows_in_any_order_and_number(seed: int) -> None:
    table = mixed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(60)
    shuffled = dataclasses.replace(table, numeric=table.numeric[order], codes=table.codes[order])
    encoding = Encoding.fit(table, everything(table))
    whole = encoding.transform(table)
    np.testing.assert_array_equal(encoding.transform(shuffled), whole[order])
    np.testing.assert_array_equal(encoding.transform(table, order[:7]), whole[order[:7]])
    again = Encoding.fit(shuffled, everything(shuffled)).transform(table)
    np.testing.assert_allclose(again, whole, rtol=1e-5, atol=1e-6)


any_numbers = st.floats(allow_nan=True, allow_infinity=False)


@given(
    npst.arrays(np.float64, npst.array_shapes(min_dims=2, max_dims=2), elements=any_numbers),
    npst.arrays(np.float64, (3, 1), elements=st.floats()),
)
def test_whatever_the_numbers_the_result_is_finite(values: Any, new: Any) -> None:
    table = of_numbers(values)
    try:
        encoding = Encoding.fit(table, everything(table))
    except DataError as error:
        assert "constant or empty" in str(error)  # noqa: PT017
        return
    found = encoding.transform(of_numbers(np.repeat(new, values.shape[1], axis=1)))
    assert np.isfinite(found).all()
    assert abs(found).max() <= 6
    assert abs(encoding.transform(table)).max() <= 6


def test_the_largest_and_the_smallest_numbers() -> None:
    for scale in (1.7e308, 1e-300):
        values = np.array([[-1.0], [0.5], [1.0], [0.25]])
        np.testing.assert_allclose(encoded(of_numbers(values * scale)), encoded(of_numbers(values)))


def test_numbers_whose_deviation_vanishes_are_constant() -> None:
    tiny = np.array([[0.0], [0.0], [0.0], [5e-324]])
    with pytest.raises(DataError, match="constant or empty"):
        encoded(of_numbers(tiny))


def test_wild_cells_are_clipped() -> None:
    table = of_numbers([[0], [1], [0], [1], [1e300], [-np.inf]])
    found = Encoding.fit(table, np.arange(4)).transform(table)
    assert found[4:].tolist() == [[6], [-6]]


def test_infinite_training_cells_are_refused() -> None:
    with pytest.raises(DataError, match=r"^infinite numbers in x1: correct or empty these cells$"):
        encoded(of_numbers([[1, np.inf], [2, 3]]))


def test_a_constant_column_with_missing_cells_keeps_its_flag() -> None:
    assert encoded(of_numbers([[5], [np.nan], [5]])) == [[0], [1], [0]]


def test_nothing_to_learn_from() -> None:
    with pytest.raises(
        DataError, match=r"every feature column is constant or empty on the training"
    ):
        encoded(of_numbers([[1, np.nan], [1, np.nan]]))


def test_hand_worked_texts() -> None:
    table = of_texts(["red", "blue", None, "red"])
    assert encoded(table) == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    encoding = Encoding.fit(table, np.array([0, 1, 3]))
    new = of_texts(["amber", None, "red", "blue"])
    assert encoding.transform(new).tolist() == [[0, 0], [0, 0], [0, 1], [1, 0]]


def test_a_text_column_of_one_category_is_dropped() -> None:
    with pytest.raises(DataError, match=r"constant or empty"):
        encoded(of_texts(["red", "red"]))
    assert encoded(of_texts(["red", None])) == [[1, 0], [0, 1]]


def test_rare_categories_share_one_output() -> None:
    cells = [f"common {i:03}" for i in range(100)] * 2
    table = of_texts([*cells, "rare 1", "rare 2", None])
    encoding = Encoding.fit(table, everything(table))
    assert encoding.n_outputs == 102
    outputs = encoding.transform(of_texts(["common 099", None, "rare 1", "never seen"]))
    assert outputs.argmax(axis=1).tolist() == [99, 100, 101, 101]
    assert outputs.sum(axis=1).tolist() == [1, 1, 1, 1]
    exactly = of_texts(cells)
    assert Encoding.fit(exactly, everything(exactly)).n_outputs == 100


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_pixels_share_mean_and_deviation(dtype: type) -> None:
    images: NDArray[Any] = np.random.default_rng(0).integers(0, 256, (30, 12)).astype(dtype)
    images[:, 0] = 0
    images[0, 0] = 255
    table = dataclasses.replace(of_numbers(images, dtype), image_shape=(3, 4))
    train = np.arange(1, 30)
    encoding = Encoding.fit(table, train)
    training = images[train].astype(np.float64)
    expected = (images - training.mean()) / training.std()
    np.testing.assert_allclose(encoding.transform(table), expected, rtol=1e-5, atol=1e-6)
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    np.testing.assert_array_equal(again.transform(table), encoding.transform(table))


def test_blank_images_are_refused() -> None:
    table = dataclasses.replace(of_numbers(np.ones((4, 4)), np.uint8), image_shape=(2, 2))
    with pytest.raises(DataError, match=r"all equal"):
        Encoding.fit(table, everything(table))


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    table = mixed(1)
    image = dataclasses.replace(of_numbers(table.numeric[:, :2]), image_shape=(1, 2))
    for t in (table, image):
        expected = Encoding.fit(t, everything(t)).transform(t)
        monkeypatch.setattr(numbers, "_BLOCK", 7)
        found = Encoding.fit(t, everything(t)).transform(t)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        monkeypatch.undo()


@given(st.integers(0, 2**32))
def test_json_round_trip(seed: int) -> None:
    table = mixed(seed)
    encoding = Encoding.fit(table, np.arange(40))
    record = json.loads(json.dumps(encoding.to_json(), allow_nan=False))
    again = Encoding.from_json(record)
    assert again.to_json() == record
    assert again.n_outputs == encoding.n_outputs
    np.testing.assert_array_equal(again.transform(table), encoding.transform(table))


def test_the_result_is_what_a_network_wants() -> None:
    table = mixed(0)
    encoding = Encoding.fit(table, everything(table))
    found = encoding.transform(table)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.shape == (60, encoding.n_outputs)
    assert encoding.transform(table, np.array([], dtype=np.int64)).shape == (0, encoding.n_outputs)


def test_other_columns_are_refused() -> None:
    table = mixed(0)
    encoding = Encoding.fit(table, everything(table))
    gone = dataclasses.replace(
        table, numeric=table.numeric[:, 1:], numeric_names=("b", "c", "d", "z")
    )
    with pytest.raises(DataError, match=r"those of the training: missing: a, e; unknown: z$"):
        encoding.transform(gone)
    swapped = dataclasses.replace(table, numeric_names=("b", "a", "c", "d", "e"))
    with pytest.raises(DataError, match=r"their order or the shape of the images is another$"):
        encoding.transform(swapped)
    tall, wide = (
        dataclasses.replace(of_numbers([[0, 1], [2, 3]]), image_shape=shape)
        for shape in ((2, 1), (1, 2))
    )
    with pytest.raises(DataError, match=r"their order or the shape of the images is another$"):
        Encoding.fit(tall, everything(tall)).transform(wide)
    colours, sizes = of_texts(["x", "y"], "x0"), of_numbers([[1], [2]])
    with pytest.raises(DataError, match=r"texts now, numbers then: x0$"):
        Encoding.fit(sizes, everything(sizes)).transform(colours)
    with pytest.raises(DataError, match=r"numbers now, texts then: x0$"):
        Encoding.fit(colours, everything(colours)).transform(sizes)


DAMAGE: dict[str, Any] = {
    "format": "hpo.encoding.9",
    "numeric_names": ["a", 1],
    "text_names": ["t"],
    "image_shape": [0, "x"],
    "numbers": {"median": [1.0]},
    "categories": [{"categories": ["i", "i"], "has_rare": False}] * 2,
}


@pytest.mark.parametrize("key", DAMAGE)
def test_damaged_records_are_refused(key: str) -> None:
    table = mixed(0)
    record = Encoding.fit(table, everything(table)).to_json()
    with pytest.raises(DataError, match=r"^stored encoding: "):
        Encoding.from_json({**record, key: DAMAGE[key]})
    del record[key]
    with pytest.raises(DataError, match=rf"^stored encoding: '{key}' is missing"):
        Encoding.from_json(record)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mean", [np.nan] * 5),
        ("mean", ["1"] * 5),
        ("deviation", [0.0] * 5),
        ("varies", [1] * 5),
        ("flagged", [True] * 4),
    ],
)
def test_damaged_numbers_are_refused(key: str, value: Any) -> None:
    table = mixed(0)
    record = Encoding.fit(table, everything(table)).to_json()
    record["numbers"][key] = value
    with pytest.raises(DataError, match=rf"^stored encoding: '{key}' does not hold"):
        Encoding.from_json(record)


def test_a_hundred_thousand_columns() -> None:
    table = of_numbers(np.random.default_rng(0).normal(size=(20, 100_000)))
    start = time.perf_counter()
    found = Encoding.fit(table, np.arange(12)).transform(table)
    assert found.shape == (20, 100_000)
    assert time.perf_counter() - start < 5
