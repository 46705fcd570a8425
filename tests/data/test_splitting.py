"""Splits: partitions of the rows, in which each class keeps its share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from hpo.data.errors import DataError
from hpo.data.loading import load
from hpo.data.splitting import Split, split_rows

sizes = st.floats(0.05, 0.45)
labels = st.lists(st.integers(0, 4), min_size=12, max_size=120)


def parts(split: Split) -> list[np.typing.NDArray[np.int64]]:
    return [split.train, split.validation, split.test]


@given(labels, sizes, sizes, st.integers(0, 2**32), st.booleans())
def test_a_partition_of_the_announced_sizes(
    classes: list[int], test_size: float, validation_size: float, seed: int, stratified: bool
) -> None:
    n = len(classes)
    split, _ = split_rows(
        n,
        np.array(classes) if stratified else None,
        test_size=test_size,
        validation_size=validation_size,
        seed=seed,
    )
    assert sorted(np.concatenate(parts(split)).tolist()) == list(range(n))
    for part in parts(split):
        assert (np.diff(part) > 0).all()
        assert part.dtype == np.int64
    assert len(split.test) == math.ceil(test_size * n)
    assert len(split.validation) == math.ceil(validation_size * (n - len(split.test)))


@given(labels, sizes, st.integers(0, 9))
def test_each_class_is_within_one_of_its_share(classes: list[int], size: float, seed: int) -> None:
    y = np.array(classes)
    split, rare = split_rows(len(y), y, test_size=size, validation_size=size, seed=seed)
    rest = np.concatenate([split.train, split.validation])
    for label in set(classes) - set(rare):
        share = len(split.test) * np.mean(y == label)
        assert abs(np.sum(y[split.test] == label) - share) < 1
        share = len(split.validation) * np.mean(y[rest] == label)
        assert abs(np.sum(y[split.validation] == label) - share) < 1


@given(labels, st.integers(0, 99))
def test_the_same_arguments_give_the_same_split(classes: list[int], seed: int) -> None:
    y = np.array(classes)
    first, second = (split_rows(len(y), y, seed=seed)[0] for _ in range(2))
    for a, b in zip(parts(first), parts(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_names_of_classes_do_not_matter() -> None:
    y = np.repeat([0.0, 1.0, 2.0], [30, 20, 50])
    first, second = split_rows(100, y)[0], split_rows(100, 10 + 3 * y)[0]
    np.testing.assert_array_equal(first.test, second.test)


def test_every_row_is_equally_likely_in_the_test() -> None:
    y = np.repeat([0, 1], [30, 10])
    count = np.zeros(40)
    for seed in range(2000):
        count[split_rows(40, y, seed=seed)[0].test] += 1
    # Each count is binomial(2000, 0.2): deviation 17.9.
    assert abs(count - 400).max() < 5 * 17.9


def test_digits() -> None:
    y = load("digits").target.values
    split, rare = split_rows(len(y), y)
    assert [len(part) for part in parts(split)] == [1149, 288, 360]
    assert rare == ()
    _, expected = train_test_split(y, test_size=0.2, stratify=y, random_state=0)
    ours, theirs = np.unique_counts(y[split.test]), np.unique_counts(expected)
    assert abs(ours.counts - theirs.counts).max() <= 1


def test_rare_classes_are_kept_and_reported() -> None:
    y = np.array([0] * 20 + [1] * 20 + [2, 2, 3])
    split, rare = split_rows(len(y), y)
    assert list(rare) == [2, 3]
    assert len(np.concatenate(parts(split))) == len(y)


def test_only_rare_classes() -> None:
    split, rare = split_rows(10, np.arange(10))
    assert len(rare) == 10
    assert len(split.test) == 2


def test_hand_worked() -> None:
    # 7 and 5 rows, 5 for the test: shares 2.92 and 2.08, so 3 and 2; then 4 and 3, 2 for
    # validation: 1.14 and 0.86, so 1 and 1.
    y = np.array([0] * 7 + [1] * 5)
    split, _ = split_rows(12, y, test_size=0.4, validation_size=0.25)
    assert np.bincount(y[split.test]).tolist() == [3, 2]
    assert np.bincount(y[split.validation]).tolist() == [1, 1]


@pytest.mark.parametrize("n_rows", [0, 1, 2, 3])
def test_too_few_rows(n_rows: int) -> None:
    with pytest.raises(DataError, match=rf"^{n_rows} rows? cannot be split: .* leave -?[0-9] to"):
        split_rows(n_rows, None)


def test_four_rows_are_enough() -> None:
    assert [len(part) for part in parts(split_rows(4, None)[0])] == [2, 1, 1]


@pytest.mark.parametrize("size", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_sizes_outside(size: float) -> None:
    with pytest.raises(DataError, match=rf"^test_size is {size}: it must lie between 0 and 1"):
        split_rows(10, None, test_size=size)
    with pytest.raises(DataError, match=r"^validation_size is "):
        split_rows(10, None, validation_size=size)


def test_which_of_equal_classes_come_into_the_test_is_drawn_by_lot() -> None:
    classes = np.repeat(np.arange(300), 3)
    tested = [
        frozenset(classes[split_rows(900, classes, seed=seed)[0].test].tolist())
        for seed in range(4)
    ]
    assert len(set(tested)) == 4
    assert len(frozenset.union(*tested)) > 280


def test_the_digest_tells_splits_apart() -> None:
    one, again, other = (split_rows(50, None, seed=seed)[0] for seed in (1, 1, 2))
    assert one.digest() == again.digest() != other.digest()
    swapped = Split(one.train, one.test, one.validation)
    assert swapped.digest() != one.digest()
