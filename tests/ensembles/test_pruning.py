"""Pruning: by hand, the literal version, what is promised of the losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.combining import Greedy, Mean, Simplex, Single, nested_loss
from ensembles.losses import LogLoss
from ensembles.pruning import prune
from tests.ensembles.test_combining import erring
from tests.ensembles.test_weights import problem


def test_members_go_by_hand() -> None:
    """Errors 1, -1, 3, 3: the mean is 3/2. A 3 goes first (mean 1), then the other (mean 0)."""
    predictions, y, folds = erring(1, -1, 3, 3)
    found = prune(Mean(False), predictions, y, folds, classes=False)
    assert found.kept == (0, 1)
    assert found.dropped == (3, 2)
    np.testing.assert_allclose(found.losses, [9 / 4, 1, 0], atol=1e-12)


def test_of_equal_members_the_dearest_goes() -> None:
    predictions, y, folds = erring(1, 1, 1)
    plain = prune(Mean(False), predictions, y, folds, classes=False)
    assert (plain.kept, plain.dropped) == ((0,), (2, 1))
    costs = np.array([5.0, 1, 3])
    priced = prune(Mean(False), predictions, y, folds, classes=False, costs=costs)
    assert (priced.kept, priced.dropped) == ((1,), (0, 2))


def test_nobody_goes_who_helps() -> None:
    predictions, y, folds = erring(1, -1)
    found = prune(Mean(False), predictions, y, folds, classes=False)
    assert found.kept == (0, 1)
    assert found.dropped == ()


def test_the_last_member_stays() -> None:
    predictions, y, folds = erring(7)
    found = prune(Mean(False), predictions, y, folds, classes=False)
    assert (found.kept, found.losses) == ((0,), (49,))


@pytest.mark.parametrize("combiner", [Mean(True), Single(True), Greedy(True, steps=4)])
@settings(max_examples=40)
@given(seed=st.integers(0, 30), members=st.integers(1, 5))
def test_the_loss_never_rises_and_is_that_of_the_members_left(
    combiner: Any, seed: int, members: int
) -> None:
    predictions, y = problem(LogLoss(), members, 16, seed)
    folds = np.arange(16) % 2
    found = prune(combiner, predictions, y, folds, classes=True)
    assert sorted([*found.kept, *found.dropped]) == list(range(members))
    assert len(found.losses) == len(found.dropped) + 1
    assert (np.diff(found.losses) <= 1e-9).all()
    kept = predictions[list(found.kept)]
    assert found.losses[-1] == pytest.approx(nested_loss(combiner, kept, y, folds, classes=True))
    for each in range(len(kept)):
        if len(kept) > 1:
            rest = np.delete(kept, each, axis=0)
            assert nested_loss(combiner, rest, y, folds, classes=True) > found.losses[-1]


def test_weights_of_rows_count() -> None:
    """The third member is wrong on rows of weight 0 only."""
    predictions, y, folds = erring(1, 1, 0)
    predictions[2, :3] = 50
    weights = np.array([0.0, 0, 0, 1, 1, 1])
    found = prune(Mean(False), predictions, y, folds, classes=False, sample_weight=weights)
    assert found.kept == (2,)


def test_a_member_that_gets_no_weight_goes() -> None:
    predictions, y = problem(LogLoss(), 3, 60, 0)
    noise = np.full((1, 60, 3), 1 / 3)
    both = np.concatenate([predictions, noise])
    found = prune(Simplex(True), both, y, np.arange(60) % 3, classes=True)
    assert 3 in found.dropped


def test_a_budget_goes_with_its_members() -> None:
    predictions, y, folds = erring(0, 1, -1)
    combiner = Greedy(False, steps=2, costs=np.array([[9.0], [1], [1]]), budget=np.array([2.0]))
    found = prune(combiner, predictions, y, folds, classes=False)
    assert found.kept == (1, 2)


def test_costs_of_others_are_refused() -> None:
    predictions, y, folds = erring(1, 2)
    with pytest.raises(ValueError, match=r"costs must be \(2,\)"):
        prune(Mean(False), predictions, y, folds, classes=False, costs=np.ones((2, 2)))
