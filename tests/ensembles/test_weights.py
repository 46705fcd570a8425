"""Weights on the simplex: conditions for a minimum, closed forms, SciPy's general solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from ensembles.losses import LogLoss, Loss, SquaredLoss, loss_of, mean_loss
from ensembles.weights import simplex_weights

LOSSES = [LogLoss(), SquaredLoss()]


def problem(
    loss: Loss, members: int, rows: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    generator = np.random.default_rng(seed)
    if isinstance(loss, LogLoss):
        y = generator.integers(3, size=rows)
        scores = generator.normal(size=(members, rows, 3)) + np.eye(3)[y]
        proba = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        return proba, y
    values = generator.normal(size=(rows, 1))
    return values + generator.normal(size=(members, rows, 1)), values


def combined_loss(
    weights: NDArray[Any], predictions: NDArray[Any], y: NDArray[Any], loss: Loss
) -> float:
    return loss_of(loss, np.tensordot(weights, predictions, 1), y)


@pytest.mark.parametrize("loss", LOSSES)
@given(members=st.integers(1, 6), rows=st.integers(5, 40), seed=st.integers(0, 999))
def test_weights_are_on_the_simplex_and_no_other_ones_are_better(
    loss: Loss, members: int, rows: int, seed: int
) -> None:
    predictions, y = problem(loss, members, rows, seed)
    weights = simplex_weights(predictions, y, loss)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    best = combined_loss(weights, predictions, y, loss)
    corners = [combined_loss(each, predictions, y, loss) for each in np.eye(members)]
    assert best <= min(corners) + 1e-6
    found = minimize(
        lambda w: combined_loss(w, predictions, y, loss),
        np.full(members, 1 / members),
        bounds=[(0, 1)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert best <= found.fun + 1e-6


def test_two_members_by_hand() -> None:
    """Errors 1 and -3 in turn cancel out three to one."""
    predictions = np.array([[[1.0], [1.0]], [[-3.0], [-3.0]]])
    weights = simplex_weights(predictions, np.zeros((2, 1)), SquaredLoss())
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=1e-12)


def test_a_mixture_by_hand() -> None:
    """One member is right on three rows and never else, the other on the fourth."""
    own = np.array([[1.0, 1, 1, 0], [0, 0, 0, 1]])
    predictions = np.stack([own, 1 - own], axis=-1)
    weights = simplex_weights(predictions, np.zeros(4, dtype=int), LogLoss())
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_two_is_a_row_twice(loss: Loss) -> None:
    predictions, y = problem(loss, 3, 20, 1)
    repeats = np.arange(20) % 3
    rows = np.repeat(np.arange(20), repeats)
    weighted = simplex_weights(predictions, y, loss, repeats)
    repeated = simplex_weights(predictions[:, rows], y[rows], loss)
    np.testing.assert_allclose(weighted, repeated, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_members_that_are_all_alike_share(loss: Loss) -> None:
    predictions, y = problem(loss, 1, 20, 1)
    twice = np.repeat(predictions, 2, axis=0)
    weights = simplex_weights(twice, y, loss)
    assert weights.sum() == pytest.approx(1)
    assert combined_loss(weights, twice, y, loss) == pytest.approx(
        float(mean_loss(loss, loss.evidence(predictions, y))[0])
    )


def test_members_that_are_all_right_share_alike() -> None:
    y = np.arange(5.0)[:, None]
    weights = simplex_weights(np.stack([y, y, y]), y, SquaredLoss())
    np.testing.assert_allclose(weights, 1 / 3)


def test_another_loss_is_refused() -> None:
    class Alike(SquaredLoss):
        pass

    class Strange:
        def evidence(self, predictions: Any, y: Any) -> Any:
            return SquaredLoss().evidence(predictions, y)

        def of_rows(self, evidence: Any) -> Any:
            return np.abs(evidence[..., 0])

    with pytest.raises(TypeError, match="not for"):
        simplex_weights(np.zeros((1, 2, 1)), np.zeros((2, 1)), Strange())
    assert simplex_weights(np.zeros((1, 2, 1)), np.zeros((2, 1)), Alike()).tolist() == [1]
