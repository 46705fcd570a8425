"""Text files read block by block: the same cells as at once, and no more memory for more rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo.data.errors import DataError
from hpo.data.loading import load_features, stream_features
from hpo.data.table import Table

CELLS = st.tuples(
    st.one_of(st.just(""), st.integers(-9, 9).map(str)),
    st.sampled_from(["", "red", "green", "blue", " blue "]),
)


def texts(table: Table, column: int) -> list[str | None]:
    words = table.vocabularies[column]
    return [None if code < 0 else words[code] for code in table.codes[:, column].tolist()]


def stream(path: Path, height: int) -> Iterator[Table]:
    return stream_features(str(path), numeric=["n"], text=["colour"], height=height)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(CELLS, min_size=1, max_size=30), height=st.integers(1, 12))
def test_blocks_are_the_file_cut_in_pieces(
    tmp_path: Path, rows: list[tuple[str, str]], height: int
) -> None:
    path = tmp_path / "new.csv"
    lines = [f"{number},x,{colour}" for number, colour in rows]
    path.write_text("\n".join(["n,other,colour", *lines]) + "\n")
    blocks = list(stream(path, height))
    whole = load_features(str(path), numeric=["n"], text=["colour"])
    assert [block.n_rows for block in blocks[:-1]] == [height] * (len(blocks) - 1)
    assert 0 < blocks[-1].n_rows <= height
    np.testing.assert_array_equal(np.concatenate([each.numeric for each in blocks]), whole.numeric)
    assert [text for each in blocks for text in texts(each, 0)] == texts(whole, 0)
    for each in blocks:
        assert (each.columns, each.numeric_names) == (whole.columns, whole.numeric_names)
        assert set(each.vocabularies[0]) == set(texts(each, 0)) - {None}


def test_a_fault_in_the_last_line_is_found_before_the_first_block(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("n,colour\n" + "1,red\n" * 50 + "many,red\n")
    with pytest.raises(DataError, match=r"line 52, column 1 \(n\): 'many' is a text where"):
        next(stream(path, 10))


@pytest.mark.parametrize("later", ["1,red\n" * 9, "1,red\n" * 14, "1,red\n" * 9 + "many,red\n"])
def test_a_file_that_changes_between_the_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    path = tmp_path / "new.csv"
    path.write_text("n,colour\n" + "1,red\n" * 10)

    def change(*_: object) -> None:
        path.write_text("n,colour\n" + later)

    monkeypatch.setattr("hpo.data.delimited.check_numbers", change)
    with pytest.raises(DataError, match="was changed while it was read; try again"):
        list(stream(path, 4))


def peak(path: Path, rows: int) -> int:
    path.write_text("n,colour\n" + "1.5,red\n" * rows)
    tracemalloc.start()
    for _ in stream(path, 500):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_more_rows_take_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.data.rows._CELLS_OF_A_BLOCK", 1000)
    path = tmp_path / "new.csv"
    few, many = peak(path, 4_000), peak(path, 12_000)
    assert many < 1.1 * few
