"""Losses that are boosted: finite differences, the best constant, closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import log_loss

from ensembles.boosting_losses import (
    BoostingLoss,
    HalfSquaredError,
    Logistic,
    Multinomial,
    loss_of_classes,
)

LOSSES: list[BoostingLoss] = [HalfSquaredError(), Logistic(), Multinomial(3), Multinomial(5)]


def problem(loss: BoostingLoss, rows: int, seed: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Targets (rows,) and scores (rows, outputs)."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=2, size=(rows, loss.n_outputs))
    if isinstance(loss, HalfSquaredError):
        return generator.normal(size=rows), scores
    classes = max(loss.n_outputs, 2)
    return generator.permutation(np.arange(rows) % classes), scores


def difference(loss: BoostingLoss, y: NDArray[Any], scores: Any, direction: Any, h: float) -> Any:
    """The central difference of each row's loss along ``direction``."""
    ahead, back = (loss.of_rows(y, scores + sign * h * direction) for sign in (1, -1))
    return (ahead - back) / (2 * h)


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 999))
def test_the_gradient_is_the_finite_difference(loss: BoostingLoss, seed: int) -> None:
    y, scores = problem(loss, 7, seed)
    gradient = loss.negative_gradient(y, scores)
    assert gradient.shape == scores.shape
    for output, axis in enumerate(np.eye(loss.n_outputs)):
        expected = -difference(loss, y, scores, axis, 1e-6)
        np.testing.assert_allclose(gradient[:, output], expected, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 999))
def test_the_curvature_is_the_finite_difference_of_the_slope(loss: BoostingLoss, seed: int) -> None:
    y, scores = problem(loss, 7, seed)
    direction = np.random.default_rng(seed + 1).normal(size=scores.shape)

    def slope(h: float) -> Any:
        return -(loss.negative_gradient(y, scores + h * direction) * direction).sum(axis=1)

    expected = (slope(1e-6) - slope(-1e-6)) / 2e-6
    np.testing.assert_allclose(loss.curvature(scores, direction), expected, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_scores_are_the_best_constant(loss: BoostingLoss) -> None:
    y, _ = problem(loss, 31, 0)
    weights = np.random.default_rng(1).uniform(0, 2, 31)

    def total(constant: Any) -> float:
        return float(weights @ loss.of_rows(y, np.tile(constant, (31, 1))))

    initial = loss.initial(y, weights)
    assert initial.shape == (loss.n_outputs,)
    found = minimize(total, np.zeros(loss.n_outputs), tol=1e-12)
    assert total(initial) <= found.fun + 1e-9
    residual = loss.negative_gradient(y, np.tile(initial, (31, 1)))
    np.testing.assert_allclose(weights @ residual, 0, atol=1e-12)


def test_a_class_that_no_weight_has_is_all_but_impossible() -> None:
    weights = np.array([1.0, 1, 0])
    for loss in (Logistic(), Multinomial(3)):
        y = np.array([0, 0, 1]) if loss.n_outputs == 1 else np.array([0, 2, 1])
        initial = loss.initial(y, weights)
        assert np.isfinite(initial).all()
        assert loss.proba(initial[None])[0, 1] < 1e-14


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_the_loss_is_the_log_loss_of_the_probabilities(n_classes: int) -> None:
    loss = loss_of_classes(n_classes)
    y, scores = problem(loss, 20, 0)
    proba = loss.proba(scores)
    assert proba.shape == (20, n_classes)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert loss.of_rows(y, scores).mean() == pytest.approx(
        log_loss(y, proba, labels=range(n_classes))
    )


def test_two_classes_are_the_multinomial_of_two() -> None:
    y, scores = problem(Logistic(), 20, 0)
    both = np.column_stack([np.zeros(20), scores])
    two, general = Logistic(), Multinomial(2)
    np.testing.assert_allclose(two.of_rows(y, scores), general.of_rows(y, both))
    np.testing.assert_allclose(two.proba(scores), general.proba(both))
    np.testing.assert_allclose(
        two.negative_gradient(y, scores)[:, 0], general.negative_gradient(y, both)[:, 1]
    )


def test_friedmans_response_is_that_of_half_the_log_odds() -> None:
    """Line 3 of algorithm 5: 2y / (1 + exp(2yF)), y of -1 and 1, by his F, half of ours."""
    y, scores = problem(Logistic(), 20, 0)
    sign, half = 2 * y - 1, scores[:, 0] / 2
    response = 2 * sign / (1 + np.exp(2 * sign * half))
    np.testing.assert_allclose(2 * Logistic().negative_gradient(y, scores)[:, 0], response)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_may_be_large(n_classes: int) -> None:
    loss = loss_of_classes(n_classes)
    y, scores = problem(loss, 9, 0)
    with np.errstate(all="raise", under="ignore"):
        for found in (
            loss.of_rows(y, 1e4 * scores),
            loss.negative_gradient(y, 1e4 * scores),
            loss.curvature(1e4 * scores, scores),
            loss.proba(1e4 * scores),
        ):
            assert np.isfinite(found).all()
