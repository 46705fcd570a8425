"""Weights of members that make their weighted mean as good as it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ensembles.losses import SMALLEST, LogLoss, Loss, SquaredLoss, Values

MOST_STEPS = 10_000
TOLERANCE = 1e-7
"""Weights of a mixture are good when no member could lower the log loss by more, see `_mixture`."""


def simplex_weights(
    predictions: NDArray[Any],
    y: NDArray[Any],
    loss: Loss,
    sample_weight: NDArray[Any] | None = None,
) -> Values:
    """The weights of the mean with the least loss: not negative, sum 1; (members,).

    Parameters
    ----------
    predictions : (members, rows, outputs)
    y : class indices (rows,), or values (rows, outputs)
    loss : `LogLoss` or `SquaredLoss`
    sample_weight : (rows,)

    Both problems are convex. Squared error by non-negative least squares (Lawson & Hanson 1974,
    chapter 23), log loss by expectation maximisation for the shares of a mixture (Dempster, Laird
    & Rubin 1977).
    """
    evidence = loss.evidence(predictions, y)
    rows = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    rows = rows / rows.sum()
    if isinstance(loss, SquaredLoss):
        return _least_squares(evidence, rows)
    if isinstance(loss, LogLoss):
        return _mixture(evidence[..., 0], rows)
    raise TypeError(f"weights are found for LogLoss and SquaredLoss, not for {loss!r}")


def _least_squares(distance: Values, rows: Values) -> Values:
    """Minimise ``|sum_i w_i distance_i|²`` over the simplex.

    With a last equation ``sum w = 1`` of any weight, the solution of the problem without the
    constraint is the constrained one but for a factor: the conditions for a minimum (Karush, Kuhn,
    Tucker) are the same up to it.
    """
    columns = (distance * np.sqrt(rows)[:, None]).reshape(len(distance), -1).T
    scale = np.sqrt(np.square(columns).sum(axis=0).mean())
    if scale == 0:  # all members are right everywhere
        return np.full(len(distance), 1 / len(distance))
    # Only inner products matter, and a triangle of the size of the members has the same ones.
    triangle = np.linalg.qr(columns, mode="r") if len(columns) > len(distance) else columns
    system = np.vstack([triangle / scale, np.ones(len(distance))])
    wanted = np.zeros(len(system))
    wanted[-1] = 1
    found, _ = nnls(system, wanted)
    weights: Values = found / found.sum()
    return weights


def _mixture(own: Values, rows: Values) -> Values:
    """Maximise ``sum rows log(sum_i w_i own_i)``; ``own`` (members, rows).

    The derivative for member i, ``sum rows own_i / mixture``, is at most 1 at the maximum, and by
    what it exceeds 1 bounds what is still to be gained.
    """
    own = np.maximum(own, SMALLEST)
    weights = np.full(len(own), 1 / len(own))
    for _ in range(MOST_STEPS):
        gain = (own / (weights @ own)) @ rows
        if gain.max() <= 1 + TOLERANCE:
            break
        weights = weights * gain
    # What is as good as nothing is nothing.
    weights[weights < TOLERANCE * weights.max()] = 0
    normalised: Values = weights / weights.sum()
    return normalised
