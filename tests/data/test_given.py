"""Rows in memory: what a file of the same cells would be, and what cannot be used."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from hpo.data.encoding import Encoding
from hpo.data.errors import DataError, OptionError
from hpo.data.given import rows_of, table_of
from hpo.data.loading import load, load_features
from hpo.data.table import Table

N_ROWS = 6
AWARE = timezone(timedelta(hours=2))


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def cells() -> pd.DataFrame:
    """Columns of every kind."""
    times = ["2020-02-29 12:00:01.5", "1969-12-31 23:59:59", None, *["2021-01-01"] * 3]
    when = pd.to_datetime(times, format="ISO8601")
    return frame(
        whole=np.arange(N_ROWS),
        small=np.arange(N_ROWS, dtype=np.uint8),
        single=np.linspace(0, 1, N_ROWS, dtype=np.float32),
        number=[1.5, np.nan, -2.0, 0.0, 1e300, 3.0],
        nullable=pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
        text=["b", "a", None, "NA", " b ", ""],
        kind=pd.Categorical(["x", None, "y", "x", "x", "z"]),
        flag=[True, False, True, True, False, True],
        maybe=pd.array([True, None, False, True, True, True], dtype="boolean"),
        when=when,
        there=when.tz_localize("Europe/Paris"),
    )


NUMERIC = ("whole", "small", "single", "number", "nullable", "when", "there")
TEXT = ("text", "kind", "flag", "maybe")


def encoding(numeric: tuple[str, ...] = NUMERIC, text: tuple[str, ...] = TEXT) -> Encoding:
    """One that was fitted on such columns."""
    numbers = np.random.default_rng(0).normal(size=(9, len(numeric)))
    codes = np.random.default_rng(1).integers(0, 2, (9, len(text))).astype(np.int32)
    vocabularies = tuple(("a", "b") for _ in text)
    table = Table((*numeric, *text), numbers, numeric, codes, text, vocabularies)
    return Encoding.fit(table, np.arange(9))


def assert_same(one: Table, other: Table) -> None:
    assert (one.numeric_names, one.text_names) == (other.numeric_names, other.text_names)
    np.testing.assert_array_equal(one.numeric, other.numeric)
    assert texts(one) == texts(other)


def texts(table: Table) -> list[list[str | None]]:
    """The texts themselves: each table has codes of its own."""
    return [
        [(*vocabulary, None)[code] for code in codes]
        for codes, vocabulary in zip(table.codes.T, table.vocabularies, strict=True)
    ]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_a_frame_is_what_a_parquet_file_of_it_would_be(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    cells().to_parquet(path)
    given: Any = cells()
    if kind == "polars":
        given = pl.read_parquet(path)
    elif kind == "arrow":
        given = pa.Table.from_pandas(given)
    expected = load_features(str(path), numeric=NUMERIC, text=TEXT)
    assert_same(table_of(given, encoding()), expected)


def test_texts_of_numbers_are_what_they_would_be_in_a_csv_file(tmp_path: Path) -> None:
    lines = [" 1.5", "NA", "-2 ", "?", "1e3", "nan"]
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "\n".join(lines), encoding="utf-8")
    expected = load_features(str(path), numeric=("a",), text=())
    np.testing.assert_array_equal(
        table_of(frame(a=lines), encoding(("a",), ())).numeric, expected.numeric
    )


def test_numbers_where_texts_were_are_written_as_in_a_file() -> None:
    given = frame(a=np.array([1, 2.0, np.float64(2.5), None, np.int64(4), "w"], dtype=object))
    assert texts(table_of(given, encoding((), ("a",)))) == [["1", "2", "2.5", None, "4", "w"]]
    whole = frame(a=[1.0, np.nan, 3.0])
    assert texts(table_of(whole, encoding((), ("a",)))) == [["1", None, "3"]]


def test_dates_as_objects_are_seconds_since_1970() -> None:
    days = [date(1970, 1, 2), datetime(1970, 1, 1, 0, 1), datetime(1970, 1, 1, 3, tzinfo=AWARE)]  # noqa: DTZ001
    given = frame(a=np.array([*days, None], dtype=object))
    found = table_of(given, encoding(("a",), ())).numeric[:, 0]
    np.testing.assert_array_equal(found, [86400, 60, 3600, np.nan])


def test_columns_are_found_by_name_in_any_order_and_others_passed_over() -> None:
    given = cells()
    other = given[given.columns[::-1]].assign(more=1)
    other = other.rename(columns={"number": " number "})
    assert_same(table_of(other, encoding()), table_of(given, encoding()))


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist, pd.DataFrame, np.asfortranarray])
def test_without_names_columns_are_those_of_training_in_their_order(make: Any) -> None:
    numbers = np.array([[1.5, 2], [np.nan, 4], [5, 6]])
    table = table_of(make(numbers), encoding(("a", "b"), ()))
    np.testing.assert_array_equal(table.numeric, numbers)
    assert table.numeric_names == ("a", "b")
    as_texts = table_of(numbers.astype(str), encoding(("a", "b"), ()))
    np.testing.assert_array_equal(as_texts.numeric, numbers)


def test_images_come_in_rows_or_as_they_are_or_in_columns() -> None:
    digits = load("digits").features
    pixels = Encoding.fit(digits, np.arange(100))
    rows = np.arange(20)
    flat = digits.numeric[rows]
    expected = pixels.transform(digits, rows)
    for given in (
        flat,
        flat.reshape(20, 8, 8),
        flat.astype(np.float64),
        flat.tolist(),
        pd.DataFrame(flat, columns=digits.numeric_names),
    ):
        found = pixels.transform(table_of(given, pixels))
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("source", ["digits", "iris"])
def test_there_and_back_without_texts(source: str) -> None:
    table = load(source).features
    fitted = Encoding.fit(table, np.arange(table.n_rows))
    rows = np.array([5, 3, 140])
    found = table_of(rows_of(table, rows), fitted)
    assert found.numeric.dtype == table.numeric.dtype
    np.testing.assert_array_equal(found.numeric, table.numeric[rows])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_there_and_back_with_texts(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.data.given._FRAMES", ("no_such_library", library))
    table = table_of(cells(), encoding())
    rows = np.array([4, 1, 2])
    given = rows_of(table, rows)
    assert type(given).__module__.startswith(library)
    assert list(given.columns) == list(cells().columns)
    found = table_of(given, encoding())
    np.testing.assert_array_equal(found.numeric, table.numeric[rows])
    assert texts(found) == [[column[row] for row in rows] for column in texts(table)]


def test_texts_need_a_library_that_makes_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.data.given._FRAMES", ("no_such_library",))
    with pytest.raises(OptionError, match="pip install pandas"):
        rows_of(table_of(cells(), encoding()), np.arange(2))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (np.zeros(2), r"X must be of shape \(rows, 2\), not \(2,\); a single row is X.reshape"),
        (np.zeros((3, 4)), r"X must be of shape \(rows, 2\), not \(3, 4\)"),
        (np.zeros((0, 2)), "X has no rows"),
        (frame(a=[], b=[]), "X has no rows"),
        (np.array([[1, 2], [3, np.inf]]), r"X has 1 number that .* \(inf\) in column 1, row 1"),
        (np.array([["1", "x"]]), r"X, column 1, row 0 .*: 'x' is a text where a number must be"),
        (np.zeros((1, 2), complex), "column 0 is of the type complex128, which is neither numb"),
        (sparse.csr_matrix((2, 2)), r"X is sparse, .*: use X.toarray\(\)"),
        (frame(a=[1], c=[2]), "X: there is no column b; the columns are: a, c"),
        (pd.DataFrame([[1, 2, 3]], columns=["a", "b", "b"]), "two columns are named 'b'; rename"),
        (frame(a=[1, 2], b=["3", "large"]), r"X, column 'b', row 1 .*: 'large' is a text where"),
        (frame(a=[1, 2], b=[3, -np.inf]), r"X has 1 number .* \(-inf\) in column 'b', row 1"),
        (frame(a=[1], b=[[2, 3]]), r"'\[2, 3\]' is a list where a number must be"),
        (frame(a=[1], b=[pd.Timedelta(1)]), r"'b' is of the type timedelta64\[ns\], which is nei"),
        (pl.DataFrame({"a": [1], "b": [[2]]}), "where a number must be"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(given: Any, line: str) -> None:
    with pytest.raises(DataError, match=line) as caught:
        table_of(given, encoding(("a", "b"), ()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", [["p"], {"p": 1}, b"p"])
def test_what_is_no_text_is_refused_where_texts_were(cell: Any) -> None:
    with pytest.raises(DataError, match=r"column 'a', row 0 .*: .* where a text must be"):
        table_of(frame(a=pd.Series([cell], dtype=object)), encoding((), ("a",)))


def test_an_array_does_not_say_which_column_holds_texts() -> None:
    with pytest.raises(DataError, match=r"X must be a frame of pandas or polars .*: text"):
        table_of(np.zeros((2, 2)), encoding(("number",), ("text",)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_pixel_is_never_missing(wrong: float) -> None:
    digits = load("digits").features
    pixels = Encoding.fit(digits, np.arange(100))
    given = digits.numeric[:2].astype(np.float64)
    given[1, 3] = wrong
    for each in (given, pd.DataFrame(given, columns=digits.numeric_names)):
        with pytest.raises(DataError, match="1 number that cannot be used"):
            table_of(each, pixels)
    with pytest.raises(DataError, match=r"\(rows, 64\) or \(rows, 8, 8\), not \(2, 4\)"):
        table_of(np.zeros((2, 4)), pixels)
