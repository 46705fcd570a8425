"""Rows in two parts: planted ones, and against comparing all pairs of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpo.checking.duplicates import check_contradictions, check_duplicates, row_keys
from hpo.checking.subject import Subject
from hpo.data.splitting import Split
from hpo.data.table import Table
from tests.checking.making import clean, faults, subject, table


def three_parts(n_rows: int) -> Split:
    """The first half, a quarter and the rest."""
    half, most = n_rows // 2, 3 * n_rows // 4
    return Split(np.arange(half), np.arange(half, most), np.arange(most, n_rows))


def with_copies(n: int) -> Subject:
    """400 rows, of which the last ``n`` are those of the training part."""
    columns, classes = clean()
    for cells in columns.values():
        cells[-n:] = cells[:n]
    return subject(columns, classes, three_parts(400))


def test_a_clean_table_has_none() -> None:
    found = list(check_duplicates(subject(*clean())))
    assert [(each.level, each.what) for each in found] == [
        ("ok", "no row stands in two parts of the split")
    ]


def test_copies_are_counted_and_named() -> None:
    (found,) = check_duplicates(with_copies(5))
    assert (found.level, found.rows) == ("warning", (395, 396, 397, 398, 399))
    assert found.what == (
        "5 of 100 test rows have the features of a training or validation row (the first is row "
        "395, counted from 0)"
    )
    levels = [next(check_duplicates(with_copies(n))).level for n in (1, 2, 3, 24, 25)]
    assert levels == ["note", "note", "warning", "warning", "problem"]


def test_the_target_does_not_count() -> None:
    made = with_copies(5)
    other = replace(made.dataset.target, values=np.arange(400.0) % 2)
    again = replace(made, dataset=replace(made.dataset, target=other))
    assert list(check_duplicates(again)) == list(check_duplicates(made))


def test_the_rows_of_a_test_file_are_compared_by_their_texts() -> None:
    data = subject({"a": np.arange(8.0), "b": list("ppqqrrss")}, np.arange(8) % 2, three_parts(8))
    file = table({"a": np.array([2.0, 3.0, 9.0]), "b": ["q", "s", "q"]})
    assert file.vocabularies != data.dataset.features.vocabularies
    test = replace(data.dataset, features=file)
    split = Split(np.arange(6), np.arange(6, 8), np.arange(0))
    made = replace(data, dataset=replace(data.dataset, test=test), split=split)
    (found,) = check_duplicates(made)
    assert (found.level, found.rows) == ("note", (0,))
    assert "1 of 3 test rows has the features of a training or validation row" in found.what


def test_signs_of_zero_and_kinds_of_nan_are_no_difference() -> None:
    other_nan = np.frombuffer(np.uint64(0x7FF8000000000001).tobytes(), np.float64)[0]
    made = table({"a": np.array([0.0, -0.0, np.nan, other_nan])})
    keys = row_keys(made, np.arange(4), ())
    assert (keys[0] == keys[1], keys[2] == keys[3], keys[0] == keys[2]) == (True, True, False)


def test_pixels_are_compared_as_they_are() -> None:
    pixels = np.array([[0, 255], [255, 0], [0, 255]], dtype=np.uint8)
    keys = row_keys(Table.of_numbers(pixels, ("p0", "p1"), (1, 2)), np.arange(3), ())
    assert keys[0] == keys[2] != keys[1]


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.sampled_from(["x", "y", None])),
        min_size=8,
        max_size=60,
    )
)
def test_as_comparing_all_pairs(rows: list[tuple[float, str | None]]) -> None:
    split = three_parts(len(rows))
    columns = {"a": np.array([a for a, _ in rows]), "b": [b for _, b in rows]}
    named = list(check_duplicates(subject(columns, np.arange(len(rows)) / 7, split)))
    texts = [str(row) for row in rows]
    expected = [
        tuple(i for i in part.tolist() if texts[i] in {texts[j] for j in range(part[0])})
        for part in (split.validation, split.test)
    ]
    found = [each.rows for each in named if each.level != "ok"]
    assert found == [each[:20] for each in expected if each]


def test_contradictions_bound_what_can_be_right() -> None:
    # Of four rows alike one is of another class, and of two: two must be missed.
    columns = {"v": np.array([1.0, 1, 1, 1, 2, 3, 3, 4])}
    classes = np.array(list("aaabaabb"))
    split = Split(np.arange(6), np.arange(6, 8), np.arange(0))
    (found,) = check_contradictions(subject(columns, classes, split))
    assert found.rows == (0, 1, 2, 3, 5, 6)
    assert "6 rows have the features of others of another class" in found.what
    assert "more than 75.0% of these rows" in found.what
    assert faults(list(check_contradictions(subject(*clean())))) == []
