"""Splits by time: training before validation before test, equal times together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data.errors import DataError
from hpo.data.splitting import Split, rounded_up
from hpo.data.time_splitting import split_times

sizes = st.floats(0.1, 0.4)
moments = st.lists(st.integers(-9, 9), min_size=20, max_size=120).filter(
    lambda times: len(set(times)) > 4 and times.count(min(times)) > 1
)


def lengths(split: Split) -> list[int]:
    return [len(part) for part in (split.train, split.validation, split.test)]


@given(moments, sizes, sizes)
def test_forward_in_time(moments: list[int], test: float, validation: float) -> None:
    times = np.array(moments)
    split = split_times(times, test_size=test, validation_size=validation)
    everything = np.concatenate([split.train, split.validation, split.test])
    assert sorted(everything.tolist()) == list(range(len(times)))
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()
    for part in (split.train, split.validation, split.test):
        assert (np.diff(part) > 0).all()
        assert part.dtype == np.int64


@given(moments, sizes, sizes)
def test_no_other_cut_is_nearer_to_the_size(
    moments: list[int], test: float, validation: float
) -> None:
    times = np.array(moments)
    split = split_times(times, test_size=test, validation_size=validation)
    rest = np.concatenate([split.train, split.validation])
    for part, rows, size, left in (
        (split.test, np.arange(len(times)), test, 2),
        (split.validation, rest, validation, 1),
    ):
        possible = [
            int(np.sum(times[rows] >= cut)) for cut in np.unique(times[rows])[left:].tolist()
        ]
        wanted = rounded_up(size, len(rows))
        assert abs(len(part) - wanted) == min(abs(each - wanted) for each in possible)
        assert len(part) == min(
            each for each in possible if abs(each - wanted) == abs(len(part) - wanted)
        )


@given(st.permutations(range(50)), sizes)
def test_of_distinct_times_the_sizes_are_exact(order: list[int], size: float) -> None:
    split = split_times(np.array(order), test_size=size, validation_size=size)
    assert len(split.test) == math.ceil(size * 50)
    assert len(split.validation) == math.ceil(size * (50 - len(split.test)))


def test_hand_worked() -> None:
    # 10 rows, 2 for the test: of 1 and 4 the first is nearer; then 9 rows, 2 for validation: of 3
    # and 5 the first.
    times = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3, 4])
    split = split_times(times)
    assert lengths(split) == [6, 3, 1]
    assert times[split.validation].tolist() == [3, 3, 3]


def test_of_two_sizes_that_are_equally_near_the_smaller_is_taken() -> None:
    # 3 for the test, of 2 and 4.
    times = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3])
    assert len(split_times(times, test_size=0.27).test) == 2


def test_large_numbers_are_told_apart() -> None:
    times = np.array([2**62 + i for i in range(10)])
    assert lengths(split_times(times)) == [6, 2, 2]


def test_as_many_times_as_parts_and_without_a_test_part() -> None:
    assert lengths(split_times(np.repeat([3, 1, 2], 10))) == [10, 10, 10]
    assert lengths(split_times(np.repeat([3, 1], 10), test_size=None)) == [10, 10, 0]


@pytest.mark.parametrize(
    ("n_times", "test_size", "n_parts"), [(1, 0.2, 3), (2, 0.2, 3), (1, None, 2)]
)
def test_too_few_times(n_times: int, test_size: float | None, n_parts: int) -> None:
    with pytest.raises(DataError) as caught:
        split_times(np.arange(30) % n_times, test_size=test_size)
    noun = "distinct time" if n_times == 1 else "distinct times"
    assert str(caught.value) == (
        f"{n_times} {noun} cannot be split into {n_parts} parts, each of which needs one; give "
        "more rows, or name another column"
    )


def test_too_few_rows_to_train_on() -> None:
    with pytest.raises(DataError, match=r"^3 rows cannot be split: "):
        split_times(np.arange(3))
    with pytest.raises(DataError) as caught:
        split_times(np.array([0] + [1] * 10 + [2] * 3))
    assert str(caught.value) == (
        "rows of equal time stay together, which leaves 1 row to train on, and at least 2 are "
        "needed; give more rows or smaller sizes"
    )
