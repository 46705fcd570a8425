"""Losses: by hand, scikit-learn's metrics, what does not depend on the order of averaging."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_squared_error

from ensembles.losses import SMALLEST, LogLoss, Loss, SquaredLoss, loss_of, mean_loss
from tests.ensembles.test_weights import LOSSES, problem


def test_log_loss_by_hand() -> None:
    """Own probabilities 1/2 and 1/8: (log 2 + log 8) / 2 = 2 log 2."""
    proba = np.array([[0.5, 0.3, 0.2], [0.5, 0.375, 0.125]])
    loss = LogLoss()
    evidence = loss.evidence(proba, np.array([0, 2]))
    assert evidence.tolist() == [[0.5], [0.125]]
    np.testing.assert_allclose(loss.of_rows(evidence), [np.log(2), np.log(8)])
    assert loss_of(loss, proba, np.array([0, 2])) == pytest.approx(2 * np.log(2))


def test_squared_loss_by_hand() -> None:
    """Distances (1, -3) and (0, 2), of two outputs the mean of squares: 5 and 2."""
    values, y = np.array([[2.0, 1], [5, 7]]), np.array([[1.0, 4], [5, 5]])
    loss = SquaredLoss()
    evidence = loss.evidence(values, y)
    assert evidence.tolist() == [[1, -3], [0, 2]]
    assert loss.of_rows(evidence).tolist() == [5, 2]
    assert loss_of(loss, values, y) == 3.5


def test_a_column_of_values_is_no_matrix_of_differences() -> None:
    evidence = SquaredLoss().evidence(np.array([[1.0], [2.0]]), np.array([0.0, 0.0]))
    assert evidence.tolist() == [[1], [2]]


@pytest.mark.parametrize("own", [0.0, SMALLEST / 2, SMALLEST])
def test_a_probability_of_0_costs_as_much_as_the_smallest(own: float) -> None:
    proba = np.array([[own, 1 - own]])
    assert loss_of(LogLoss(), proba, np.array([0])) == pytest.approx(-np.log(SMALLEST))


@pytest.mark.parametrize("weighted", [False, True])
@given(seed=st.integers(0, 99), rows=st.integers(1, 20))
def test_scikit_learn_measures_likewise(weighted: bool, seed: int, rows: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 2, size=rows) if weighted else None
    proba, y = problem(LogLoss(), 1, rows, seed)
    expected = log_loss(y, proba[0], labels=range(3), sample_weight=weights)
    assert loss_of(LogLoss(), proba[0], y, weights) == pytest.approx(expected)
    values, target = problem(SquaredLoss(), 1, rows, seed)
    expected = mean_squared_error(target, values[0], sample_weight=weights)
    assert loss_of(SquaredLoss(), values[0], target, weights) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
@given(members=st.integers(1, 4), rows=st.integers(1, 15), seed=st.integers(0, 99))
def test_the_average_may_be_taken_before_or_after(
    loss: Loss, members: int, rows: int, seed: int
) -> None:
    predictions, y = problem(loss, members, rows, seed)
    weights = np.random.default_rng(seed).dirichlet(np.ones(members))
    before: Any = loss.evidence(np.tensordot(weights, predictions, 1), y)
    after = np.tensordot(weights, loss.evidence(predictions, y), 1)
    np.testing.assert_allclose(before, after, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_losses_of_members_are_those_of_each(loss: Loss) -> None:
    predictions, y = problem(loss, 4, 10, 0)
    together = mean_loss(loss, loss.evidence(predictions, y))
    np.testing.assert_allclose(together, [loss_of(loss, each, y) for each in predictions])
