"""The line search beside SciPy's, closed forms, and where there is no minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ensembles.boosting_losses import BoostingLoss, HalfSquaredError, Logistic, Multinomial
from ensembles.line_search import Slope, line_search, safe_newton
from tests.ensembles.test_boosting_losses import LOSSES, problem


def line(
    loss: BoostingLoss, rows: int, seed: int
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Targets, scores, the gradient learnt badly, and weights.

    Every fourth row is led away from its target, so that there is a minimum along the direction.
    """
    y, scores = problem(loss, rows, seed)
    generator = np.random.default_rng(seed)
    led = np.where(np.arange(rows) % 4 == 0, -0.5, 1.0)[:, None]
    direction = led * loss.negative_gradient(y, scores)
    direction += generator.normal(scale=0.05, size=scores.shape)
    return y, scores, direction, generator.uniform(0.1, 2, rows)


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 999))
def test_the_factor_is_scipys(loss: BoostingLoss, seed: int) -> None:
    y, scores, direction, weights = line(loss, 40, seed)

    def total(factor: float) -> float:
        return float(weights @ loss.of_rows(y, scores + factor * direction))

    found = line_search(loss, y, scores, direction, weights)
    expected = minimize_scalar(total, bracket=(-1, 1), tol=1e-10)
    assert found == pytest.approx(expected.x, abs=1e-5, rel=1e-5)
    assert total(found) <= expected.fun * (1 + 1e-12)
    assert total(found) <= total(0)


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 999), max_step=st.floats(0.01, 3))
def test_no_score_changes_by_more_than_the_bound(
    loss: BoostingLoss, seed: int, max_step: float
) -> None:
    y, scores, direction, weights = line(loss, 40, seed)
    limit = max_step / np.abs(direction).max()
    free = line_search(loss, y, scores, direction, weights)
    bound = line_search(loss, y, scores, direction, weights, max_step)
    assert bound == pytest.approx(np.clip(free, -limit, limit), rel=1e-6, abs=1e-9)


def test_squared_error_has_the_closed_form() -> None:
    y, scores, direction, weights = line(HalfSquaredError(), 40, 0)
    residual = y - scores[:, 0]
    expected = (weights * residual) @ direction[:, 0] / (weights @ direction[:, 0] ** 2)
    found = line_search(HalfSquaredError(), y, scores, direction, weights)
    assert found == pytest.approx(expected, rel=1e-14)


def test_a_step_of_two_rows_by_hand() -> None:
    """Residuals 3 and 1 along 1 and 1: the mean, 2."""
    y, ones = np.array([3.0, 1.0]), np.ones((2, 1))
    assert line_search(HalfSquaredError(), y, 0 * ones, ones, np.ones(2)) == 2


def test_log_odds_of_three_to_one_by_hand() -> None:
    y, ones = np.array([1, 1, 1, 0]), np.ones((4, 1))
    found = line_search(Logistic(), y, 0 * ones, ones, np.ones(4))
    assert found == pytest.approx(math.log(3))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_other_way_is_the_same_way_back(loss: BoostingLoss) -> None:
    y, scores, direction, weights = line(loss, 40, 0)
    there = line_search(loss, y, scores, direction, weights)
    back = line_search(loss, y, scores, -3 * direction, weights)
    assert there > 0
    assert back == pytest.approx(-there / 3)


@pytest.mark.parametrize("loss", LOSSES)
def test_along_nothing_one_does_not_go(loss: BoostingLoss) -> None:
    y, scores, direction, weights = line(loss, 40, 0)
    assert line_search(loss, y, scores, 0 * direction, weights) == 0


def test_at_the_minimum_one_stays() -> None:
    y, ones = np.array([3.0, 1.0]), np.ones((2, 1))
    assert line_search(HalfSquaredError(), y, 2 * ones, ones, np.ones(2)) == 0


@pytest.mark.parametrize("loss", [Logistic(), Multinomial(3)])
@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_where_the_loss_falls_without_end_the_search_ends(loss: BoostingLoss, scale: float) -> None:
    """Along the gradient itself every row's own class gains."""
    y, scores = problem(loss, 40, 0)
    direction = scale * loss.negative_gradient(y, scores)
    found = line_search(loss, y, scores, direction, np.ones(40))
    assert np.isfinite(found)
    assert loss.of_rows(y, scores + found * direction).mean() < 1e-6
    bound = line_search(loss, y, scores, direction, np.ones(40), 2.0)
    assert np.abs(bound * direction).max() == pytest.approx(2)


@pytest.mark.parametrize("far", [3.0, 1e3, 1e6])
def test_where_newton_alone_would_run_away_the_bracket_holds_it(far: float) -> None:
    """The root of (x - far)² + 1: from afar each of Newton's steps is longer than the last."""

    def slope(x: float) -> Slope:
        root = math.hypot(x - far, 1)
        return Slope((x - far) / root, root**-3)

    assert safe_newton(slope, math.inf) == pytest.approx(far, rel=1e-9)
    assert safe_newton(slope, far / 2) == far / 2
    assert safe_newton(slope, 2 * far) == pytest.approx(far, rel=1e-9)


def test_where_there_is_no_curvature_the_bound_is_the_end() -> None:
    assert safe_newton(lambda _: Slope(-1.0, 0.0), 5.0) == 5
    assert safe_newton(lambda _: Slope(-1.0, 0.0), math.inf) == 0
