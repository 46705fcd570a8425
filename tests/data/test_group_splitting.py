"""Splits by groups: no group in two parts, sizes and shares near to what was asked for."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data.errors import DataError
from hpo.data.group_splitting import split_groups
from hpo.data.splitting import Split

sizes = st.floats(0.1, 0.4)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Groups of 1 to 6 rows in mixed order, and a class for each row."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=12, max_size=60))
    group = np.repeat(np.arange(len(lengths)), lengths)
    shuffled = np.random.default_rng(draw(st.integers(0, 99))).permutation(group)
    n_classes = draw(st.integers(1, 4))
    classes = draw(
        st.lists(st.integers(0, n_classes - 1), min_size=len(group), max_size=len(group))
    )
    return shuffled, np.array(classes)


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


@given(grouped(), sizes, sizes, seeds, st.booleans())
def test_no_group_stands_in_two_parts(
    table: tuple[np.ndarray, np.ndarray], test: float, validation: float, seed: int, stratify: bool
) -> None:
    groups, classes = table
    split, _ = split_groups(
        groups,
        classes if stratify else None,
        test_size=test,
        validation_size=validation,
        seed=seed,
    )
    assert sorted(np.concatenate(parts(split)).tolist()) == list(range(len(groups)))
    seen = [set(groups[part].tolist()) for part in parts(split)]
    assert all(seen)
    assert sum(map(len, seen)) == len(set(groups.tolist()))
    for part in parts(split):
        assert (np.diff(part) > 0).all()
        assert part.dtype == np.int64


@given(grouped(), sizes, sizes, seeds)
def test_parts_are_off_by_half_a_group_at_most(
    table: tuple[np.ndarray, np.ndarray], test: float, validation: float, seed: int
) -> None:
    """A group that is left out would have made it worse, so would one left out of those taken."""
    groups, _ = table
    split, _ = split_groups(groups, None, test_size=test, validation_size=validation, seed=seed)
    largest = np.bincount(groups).max()
    wanted = math.ceil(test * len(groups))
    # A part smaller than half a group gets one all the same.
    assert abs(len(split.test) - wanted) <= max(largest / 2, largest - wanted)
    wanted = math.ceil(validation * (len(groups) - len(split.test)))
    assert abs(len(split.validation) - wanted) <= max(largest / 2, largest - wanted)


@given(grouped(), seeds)
def test_the_same_arguments_give_the_same_split(
    table: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    first, second = (split_groups(*table, seed=seed)[0] for _ in range(2))
    assert first.digest() == second.digest()


@given(grouped(), seeds)
def test_what_groups_and_classes_are_called_does_not_matter(
    table: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    groups, classes = table
    first = split_groups(groups, classes, seed=seed)[0]
    again = split_groups(0.5 + 7 * groups, 3.0 * classes - 9, seed=seed)[0]
    assert first.digest() == again.digest()


def cost(chosen: tuple[bool, ...], groups: np.ndarray, classes: np.ndarray, share: float) -> float:
    """How far a part is from its shares, as the module defines it; the slow way."""
    taken = np.array(chosen)[groups]

    def off(rows: np.ndarray) -> float:
        return float((np.sum(taken & rows) - share * np.sum(rows)) ** 2 / np.sum(rows))

    by_class = [off(classes == label) for label in np.unique(classes)]
    return len(by_class) * off(np.ones(len(groups), bool)) + sum(by_class)


@pytest.mark.parametrize("seed", range(10))
def test_few_groups_are_split_about_as_well_as_can_be(seed: int) -> None:
    """Against all subsets of ten groups of very different sizes and classes."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(10), rng.integers(1, 40, size=10))
    classes = (rng.random(len(groups)) < rng.random(10)[groups]).astype(int)
    share = math.ceil(0.2 * len(groups)) / len(groups)
    split, _ = split_groups(groups, classes, seed=seed)
    ours = tuple(np.isin(np.arange(10), groups[split.test]).tolist())
    everything = [
        cost(chosen, groups, classes, share) for chosen in product((False, True), repeat=10)
    ]
    better = np.mean(np.array(everything) < cost(ours, groups, classes, share))
    assert better < 0.02


def test_classes_keep_their_shares_where_groups_allow() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), 4)
    classes = np.repeat(rng.choice(3, size=300, p=[0.7, 0.2, 0.1]), 4)  # one class to a group
    for seed in range(20):
        split, rare = split_groups(groups, classes, seed=seed)
        assert rare == ()
        for part in parts(split):
            shares = np.bincount(classes[part]) / np.bincount(classes)
            assert np.abs(shares - len(part) / 1200).max() < 0.03


def test_every_group_comes_into_the_test_with_some_seed() -> None:
    groups = np.repeat(np.arange(20), 5)
    count = np.zeros(20)
    for seed in range(400):
        count[np.unique(groups[split_groups(groups, None, seed=seed)[0].test])] += 1
    # Each count is binomial(400, 0.2): deviation 8.
    assert abs(count - 80).max() < 5 * 8


def test_a_group_larger_than_a_part_is_trained_on() -> None:
    groups = np.array([0] * 70 + [1] * 10 + [2] * 10 + [3] * 10)
    for seed in range(20):
        split, _ = split_groups(groups, None, seed=seed)
        assert set(groups[split.train].tolist()) >= {0}
        assert len(split.test) == 20


def test_as_many_groups_as_parts() -> None:
    groups = np.repeat([0, 1, 2], 10)
    split, _ = split_groups(groups, None)
    assert [len(part) for part in parts(split)] == [10, 10, 10]


def test_without_a_test_part() -> None:
    groups = np.repeat([5, 7], 10)
    split, _ = split_groups(groups, None, test_size=None)
    assert [len(part) for part in parts(split)] == [10, 10, 0]


def test_classes_in_few_groups_are_reported() -> None:
    groups = np.repeat(np.arange(10), 4)
    classes = np.repeat([0] * 8 + [1, 1], 4)
    assert split_groups(groups, classes)[1] == (1,)
    assert split_groups(groups, None)[1] == ()


@pytest.mark.parametrize(
    ("n_groups", "test_size", "n_parts"), [(1, 0.2, 3), (2, 0.2, 3), (1, None, 2)]
)
def test_too_few_groups(n_groups: int, test_size: float | None, n_parts: int) -> None:
    groups = np.arange(30) % n_groups
    with pytest.raises(DataError) as caught:
        split_groups(groups, None, test_size=test_size)
    noun = "group" if n_groups == 1 else "groups"
    assert str(caught.value) == (
        f"{n_groups} {noun} cannot be split into {n_parts} parts, each of which needs one; give "
        "more groups, or name another column"
    )


def test_too_few_rows_to_train_on() -> None:
    with pytest.raises(DataError, match=r"^3 rows cannot be split: "):
        split_groups(np.arange(3), None)
    groups = np.array([0] * 5 + [1, 2])
    with pytest.raises(DataError) as caught:
        split_groups(groups, None, test_size=0.1, validation_size=0.6)
    assert str(caught.value) == (
        "rows of one group stay together, which leaves 1 row to train on, and at least 2 are "
        "needed; give more rows or smaller sizes"
    )


def test_many_groups_are_split_in_reasonable_time() -> None:
    groups = np.arange(200_000) // 2
    split, _ = split_groups(groups, groups % 7)
    assert abs(len(split.test) - 40_000) < 200
    shares = np.bincount(groups[split.test] % 7) / np.bincount(groups % 7)
    assert np.abs(shares - 0.2).max() < 0.002
