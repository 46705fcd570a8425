"""How AdaBoost judges a learner and weighs the rows for the next one: SAMME and R2.

A round of boosting is a function of the weights that the learner saw and of what it got wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values

PERFECT = 1.0
"""Importance of a learner without an error, as in scikit-learn: the formulas give infinity."""

NEGLIGIBLE = 1e-12
"""A learner that is better than chance by no more is so by rounding only."""

SMALLEST = np.finfo(np.float64).eps
"""A row keeps this much of all the weight, so that no learner meets a row that has lost it all."""


class Round(NamedTuple):
    """What is found out about one learner.

    error : its mean loss, 0 … 1, in the weights that it learnt with
    importance : what it counts in the ensemble
    useful : whether it is better than chance, so that it can be one of the ensemble
    weights : (rows,), sum 1, for the next learner
    """

    error: float
    importance: float
    useful: bool
    weights: Values


def samme(weights: Values, wrong: NDArray[Any], n_classes: int, learning_rate: float) -> Round:
    """One round of SAMME (Zhu, Zou, Rosset & Hastie 2009, algorithm 2, lines 2b to 2e).

    Of two classes it is AdaBoost (Freund & Schapire 1997).

    Parameters
    ----------
    weights : (rows,), sum 1
    wrong : (rows,), whether the learner errs
    learning_rate : what importances are multiplied by; 1 in the paper
    """
    error = float(np.average(wrong, weights=weights))
    if error <= 0:
        return Round(0.0, PERFECT, useful=True, weights=weights)
    with np.errstate(divide="ignore"):
        advantage = np.log((1 - error) / error) + np.log(n_classes - 1)  # line 2c
    importance = learning_rate * float(advantage)
    useful = bool(advantage > NEGLIGIBLE)
    # Line 2d raises the weights of wrong rows. To lower the others is the same, and never infinite.
    updated = weights * np.exp(importance * (wrong - 1.0)) if useful else weights
    return Round(error, importance, useful, updated / updated.sum())


def r2(weights: Values, distance: Values, loss: str, learning_rate: float) -> Round:
    """One round of AdaBoost.R2 (Drucker 1997, steps 4 to 7 of the algorithm).

    Parameters
    ----------
    weights : (rows,), sum 1
    distance : (rows,), how far the learner is off, not negative
    loss : one of `R2_LOSSES`
    learning_rate : what importances, and logarithms of the factors of the weights, are multiplied
        by; 1 in the paper
    """
    there = weights > 0
    largest = distance[there].max()
    relative = distance[there] / (largest if largest > 0 else 1.0)
    losses = R2_LOSSES[loss](relative)
    error = float((weights[there] * losses).sum())
    if error <= 0:
        return Round(0.0, PERFECT, useful=True, weights=weights)
    with np.errstate(divide="ignore"):
        advantage = np.log(np.maximum(1 - error, 0) / error)  # log(1 / beta) of step 6
    useful = bool(advantage > NEGLIGIBLE)
    updated = weights.copy()
    if useful:
        beta = error / (1 - error)
        updated[there] *= beta ** ((1 - losses) * learning_rate)
    return Round(error, learning_rate * float(advantage), useful, updated / updated.sum())


def _linear(relative: Values) -> Values:
    return relative


def _square(relative: Values) -> Values:
    squares: Values = np.square(relative)
    return squares


def _exponential(relative: Values) -> Values:
    losses: Values = 1 - np.exp(-relative)
    return losses


R2_LOSSES: Mapping[str, Callable[[Values], Values]] = {
    "linear": _linear,
    "square": _square,
    "exponential": _exponential,
}
"""Losses of distances in units of the largest one (Drucker 1997, step 4)."""


def lifted(weights: Values, there: NDArray[np.bool_]) -> Values:
    """Weights (rows,) of at least `SMALLEST`, but 0 for rows that are not ``there``."""
    raised: Values = np.where(there, np.maximum(weights, SMALLEST), 0.0)
    return raised


def weighted_median(predictions: Values, importances: Values) -> Values:
    """The least prediction such that those up to it have half the importance; (rows,).

    Parameters
    ----------
    predictions : (members, rows)
    importances : (members,), not negative

    Drucker 1997, step 8.
    """
    order = np.argsort(predictions, axis=0)
    reached = np.cumsum(importances[order], axis=0)
    place = (reached >= 0.5 * reached[-1]).argmax(axis=0)
    columns = np.arange(predictions.shape[1])
    median: Values = predictions[order[place, columns], columns]
    return median
