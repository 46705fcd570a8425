"""Parquet files: what each declared type becomes, the same as its CSV where that can say it."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from hpo.data.arrow import arrow_columns, load_arrow
from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load, load_features
from hpo.data.table import Dataset, fingerprint
from tests.data.making import refusal


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str = "t.parquet", **columns: Any) -> str:
    """Write columns, and a target beside them unless they have one; return the file's name."""
    n = len(next(iter(columns.values())))
    table = pa.table({**columns, **({} if "y" in columns else {"y": ["a", "b"] * (n // 2)})})
    parquet.write_table(table, name)
    return name


def numbers(dataset: Dataset, name: str = "x") -> list[float]:
    assert name in dataset.features.numeric_names
    found: list[float] = dataset.features.pop(name)[1].values.tolist()
    return found


def texts(dataset: Dataset, name: str = "x") -> list[str | None]:
    assert name in dataset.features.text_names
    column = dataset.features.pop(name)[1]
    return [None if math.isnan(value) else column.label(value) for value in column.values]


HOUR = 3600.0
NUMBERS = {
    "int8": (pa.array([1, -2], pa.int8()), [1, -2]),
    "int64": (pa.array([2**53, None]), [2**53, None]),
    "uint64": (pa.array([2**63, 0], pa.uint64()), [2.0**63, 0]),
    "half": (pa.array(np.array([0.5, 1], np.float16)), [0.5, 1]),
    "float": (pa.array([0.5, 1], pa.float32()), [0.5, 1]),
    "double": (pa.array([0.1, math.nan]), [0.1, None]),
    "null": (pa.nulls(2), [None, None]),
    "decimal": (pa.array([Decimal("1.25"), None]), [1.25, None]),
    "large decimal": (pa.array([Decimal("-7.5"), Decimal(3)], pa.decimal256(60, 3)), [-7.5, 3]),
    "date": (pa.array([date(1970, 1, 2), None]), [24 * HOUR, None]),
    "date64": (pa.array([date(1970, 1, 2), None], pa.date64()), [24 * HOUR, None]),
    "seconds": (pa.array([3600, None], pa.timestamp("s")), [HOUR, None]),
    "milliseconds": (pa.array([1500, None], pa.timestamp("ms")), [1.5, None]),
    "microseconds": (pa.array([1_500_000, None], pa.timestamp("us")), [1.5, None]),
    "nanoseconds": (pa.array([1_500_000_000, None], pa.timestamp("ns")), [1.5, None]),
    "zone": (
        pa.array([datetime(1970, 1, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "Asia/Tokyo")),
        [HOUR, None],
    ),
}


@pytest.mark.parametrize(("column", "expected"), NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers(column: pa.Array, expected: list[float | None]) -> None:
    found = numbers(load(write(x=column), target="y"))
    np.testing.assert_array_equal(found, [math.nan if v is None else v for v in expected])


TEXTS = {
    "string": (pa.array(["b", "a "]), ["b", "a"]),
    "large string": (pa.array(["b", None], pa.large_string()), ["b", None]),
    "missing": (pa.array(["b", " NA"]), ["b", None]),
    "boolean": (pa.array([True, None]), ["True", None]),
    "category": (pa.array(["b", "a"]).dictionary_encode(), ["b", "a"]),
    "category of booleans": (
        pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array([False, True])),
        ["True", "False"],
    ),
    "digits": (pa.array(["07", "8"]), ["07", "8"]),
}


@pytest.mark.parametrize(("column", "expected"), TEXTS.values(), ids=TEXTS.keys())
def test_texts(column: pa.Array, expected: list[str | None]) -> None:
    assert texts(load(write(x=column), target="y")) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([7, 30, None, 7], ["7", "30", None, "7"]),
        ([7.0, 0.5, None, 7], ["7", "0.5", None, "7"]),
        (["u", "v", None, "u"], ["u", "v", None, "u"]),
        ([True, False, True, True], ["True", "False", "True", "True"]),
    ],
)
def test_categories_of_pandas(cells: list[Any], expected: list[str | None]) -> None:
    """A category of numbers is one: that is why it was declared. Parquet itself forgets it."""
    frame = pd.DataFrame({"x": pd.Categorical(cells), "n": [1, 2, 3, 4], "y": list("abab")})
    frame.to_parquet("t.parquet")
    dataset = load("t.parquet", target="y")
    assert texts(dataset) == expected
    assert dataset.features.numeric_names == ("n",)


def test_categories_without_a_row_are_no_categories() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([2, 0]), pa.array(["a", "b", "c"]))
    assert load(write(x=column), target="y").features.vocabularies == (("a", "c"),)


REFUSED = {
    "list": pa.array([[1], [2]]),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "binary": pa.array([b"a", b"b"]),
    "time": pa.array([time(1), time(2)]),
    "duration": pa.array([timedelta(1), timedelta(2)]),
}


@pytest.mark.parametrize("column", REFUSED.values(), ids=REFUSED.keys())
def test_types_that_are_not_read_are_named(column: pa.Array) -> None:
    name = write(x=column)
    kind = parquet.read_schema(name).field("x").type
    line = refusal(name, target="y")
    assert line == (
        f"t.parquet, column 'x' is of the type {kind}, which is neither numbers, dates nor "
        "texts; leave it out, or save its parts as columns of their own"
    )


frames = st.fixed_dictionaries(
    {
        "i": st.lists(st.integers(-(2**40), 2**40), min_size=6, max_size=6),
        "f": st.lists(st.none() | st.floats(-1e9, 1e9), min_size=6, max_size=6),
        "s": st.lists(st.none() | st.sampled_from(["u", "v ", "ü,w", '"']), min_size=6, max_size=6),
        "b": st.lists(st.booleans(), min_size=6, max_size=6),
        "y": st.just(["p", "q"] * 3),
    }
)


@given(frames)
def test_the_same_as_the_csv_of_the_same_frame(columns: dict[str, list[Any]]) -> None:
    """With one text at least, or the CSV would say of an empty column that it is of numbers."""
    columns["s"][0] = "u"
    frame = pd.DataFrame(columns)
    frame.to_csv("same.csv", index=False)
    frame.to_parquet("same.parquet")
    straight, packed = (
        load(name, target="y", numeric=["i", "f"]) for name in ("same.csv", "same.parquet")
    )
    assert fingerprint(straight) == fingerprint(packed)


def test_dates_where_the_data_have_texts() -> None:
    """As a CSV file writes them, so that a test file may be Parquet."""
    stamp = pa.array([1_553_372_469_000_000_001, None], pa.timestamp("ns"))
    name = write(day=[date(2019, 3, 23), None], at=stamp, cost=[Decimal("1.50"), None])
    table = load_features(name, numeric=[], text=["day", "at", "cost"])
    assert table.vocabularies == (("2019-03-23",), ("2019-03-23 20:21:09",), ("1.50",))
    assert table.codes.tolist() == [[0, 0, 0], [-1, -1, -1]]


def test_pieces_are_put_together() -> None:
    with parquet.ParquetWriter(
        "t.parquet", pa.schema([("x", pa.dictionary(pa.int32(), pa.string())), ("y", pa.int64())])
    ) as writer:
        for i, piece in enumerate((["b", "a"], ["c", None], ["a", "b"])):
            column = pa.array(piece).dictionary_encode()
            writer.write_table(pa.table({"x": column, "y": [i, i + 1]}), row_group_size=1)
    assert texts(load("t.parquet", target="y")) == ["b", "a", "c", None, "a", "b"]
    rows = pa.chunked_array([pa.array(["b"]), pa.array(["a", "b"]), pa.array([], pa.string())])
    table = arrow_columns(pa.table({"x": rows}), "t", numeric=[], text=["x"])
    assert table.codes[:, 0].tolist() == [1, 0, 1]


def test_an_index_of_pandas_is_no_column() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": list("abab")})
    frame[frame.index != 2].to_parquet("t.parquet")
    assert load("t.parquet", target="y").features.columns == ("x",)
    frame.set_index(pd.Index([5, 8, 6, 7], name="day")).to_parquet("t.parquet")
    assert load("t.parquet", target="y", time="day").features.columns == ("x",)


def test_dates_are_told_as_dates() -> None:
    days = [date(2019, 1, 1) + timedelta(i) for i in range(20)]
    stamps = [datetime(2019, 1, 1, i) for i in range(20)]  # noqa: DTZ001
    name = write(day=days, at=stamps, x=list(range(20)))
    for column, text in (("day", "2019-01-04 00:00:00"), ("at", "2019-01-01 03:00:00")):
        steering = load(name, target="y", time=column).steering
        assert steering is not None
        assert steering.label(3) == text


def test_a_column_of_texts_that_must_be_numbers() -> None:
    name = write(x=["1.5", "NA", "3", "1.5"], z=["1", "2", "3", "4"])
    assert numbers(load(name, target="y", numeric=["x"]))[::2] == [1.5, 3.0]
    name = write(x=["1.5", "soon", "3", "1.5"])
    assert refusal(name, target="y", numeric=["x"]) == (
        "t.parquet, column 'x', row 1 (the first is 0): 'soon' is a text where a number must be; "
        "correct or empty the cell"
    )


def test_new_rows_are_read_as_the_columns_of_the_training() -> None:
    name = write(zip=[7, 8], size=["1", None], extra=[[1], [2]])
    table = load_features(name, numeric=["size"], text=["zip"])
    assert table.columns == ("zip", "size")
    assert table.vocabularies == (("7", "8"),)
    np.testing.assert_array_equal(table.numeric, [[1], [np.nan]])
    with pytest.raises(DataError, match="there is no column depth; the columns are: zip, size"):
        load_features(name, numeric=["depth"], text=[])


def test_a_test_file_beside_a_csv() -> None:
    Path("data.csv").write_text(
        "x,k,y\n" + "".join(f"{i},{'uv'[i % 2]},{i % 2}\n" for i in range(40))
    )
    write("test.parquet", y=[0, 1], k=["u", "w"], x=[5, 6])
    test = load("data.csv", target="y", test_file="test.parquet").test
    assert test is not None
    assert test.features.numeric.tolist() == [[5.0], [6.0]]
    assert test.features.vocabularies == (("u", "w"),)
    write("test.parquet", y=[0, 1], k=["u", "w"], x=[5, 6], id=[1, 2])
    assert refusal("data.csv", target="y", test_file="test.parquet") == (
        "test.parquet has columns that the data lack: id; delete them"
    )
    write("test.parquet", y=[0, None], k=["u", "w"], x=[5, 6])
    assert refusal("data.csv", target="y", test_file="test.parquet") == (
        "test.parquet: target 'y' has 1 missing cell, the first in row 1 (the first is 0); fill "
        "them or delete their rows"
    )


def test_targets() -> None:
    assert load(write(x=[1, 2], y=[True, False]), target="y").target.vocabulary == ("False", "True")
    assert load(write(x=[1, 2], y=[0.5, 1.5]), target="y").target.vocabulary is None
    with pytest.raises(OptionError) as caught:
        load(write(x=[1, 2]))
    assert str(caught.value) == (
        "t.parquet: say which column to predict, with --target; the columns are: x, y"
    )
    assert refusal(write(x=[1, 2]), target="z") == (
        "t.parquet: there is no column 'z'; the columns are: x, y"
    )
    assert refusal(write(y=[1, 2]), target="y").endswith("nothing is left to learn from")


FAULTS = {
    "infinite": (
        {"x": [1.0, -math.inf]},
        ("t.parquet, column 'x', row 1 (the first is 0): -inf is no finite number; correct or "
        "empty the cell"),
    ),
    "no rows": ({"x": [], "y": []}, "t.parquet has no rows"),
    "nameless": ({" ": [1, 2]}, "t.parquet, column 1: the column has no name; give it one"),
    "missing group": (
        {"x": [1, 2], "k": ["a", None]},
        ("t.parquet: --group 'k' has 1 missing cell, the first in row 1 (the first is 0); fill "
        "them or delete their rows"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(columns: dict[str, Any], expected: str) -> None:
    group = "k" if "k" in columns else None
    assert refusal(write(**columns), target="y", group=group) == expected


def test_two_columns_of_one_name() -> None:
    table = pa.Table.from_arrays([pa.array([1, 2])] * 3, names=["a", "y", "a"])
    with pytest.raises(DataError, match=r"^t: two columns are named 'a'; rename one$"):
        load_arrow(table, "t", target="y", numeric=())
    with pytest.raises(DataError, match=r"^t has no columns$"):
        load_arrow(pa.table({}), "t", target="y", numeric=())


def test_texts_that_are_no_utf_8() -> None:
    bad = pa.array([b"\xff", b"b"]).view(pa.string())
    with pytest.raises(DataError, match=r"^t, column 'x' has bytes that are not UTF-8; save texts"):
        arrow_columns(pa.table({"x": bad}), "t", numeric=[], text=["x"])


@pytest.mark.parametrize("cut", [0, 3, 40, -9])
def test_damaged_files(cut: int) -> None:
    name = write(x=[1, 2])
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[:cut])
    assert refusal(name, target="y").startswith("t.parquet: a damaged Parquet file, or none (")


@given(st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    content = bytearray(Path(write(x=["a", "b", "c", "a"], z=[1, 2, None, 4])).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    Path("t.parquet").write_bytes(content)
    with suppress(DataError):
        load("t.parquet", target="y")


def test_what_would_become_huge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    name = write(x=np.zeros(100_000))
    assert Path(name).stat().st_size < 5000
    monkeypatch.setattr("hpo.data.parquet._MOST_BYTES", 10**6)
    assert refusal(name, target="y") == (
        "t.parquet has 100,000 rows of 2 columns, which take 1,600,000 bytes, more than the "
        "1,000,000 allowed; leave columns or rows out"
    )


def test_the_content_tells_what_the_name_does_not() -> None:
    write("rows", x=[1, 2])
    assert load("rows", target="y").features.columns == ("x",)
    assert refusal("rows", target="y", labels="l") == (
        "rows is no IDX file of images; leave --labels 'l' out"
    )
    assert refusal("rows", target="y", header=False) == (
        "rows holds the names of its columns; leave --no-header out"
    )


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    name = write(x=[1, 2])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionError) as caught:
        load(name, target="y")
    assert str(caught.value) == (
        "t.parquet: reading Parquet needs pyarrow: pip install 'hpo-stacks[parquet]'"
    )
