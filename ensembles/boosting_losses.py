"""What gradient boosting descends: losses of scores, their gradients and curvatures.

Scores are (rows, outputs), any numbers; ``y`` (rows,) are values, or indices of classes.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from ensembles.losses import SMALLEST, Values


class BoostingLoss(Protocol):
    """A loss that is convex in the scores."""

    @property
    def n_outputs(self) -> int:
        """How many scores a row has."""

    def initial(self, y: NDArray[Any], weights: Values) -> Values:
        """The scores (outputs,) with the least loss of all that are the same for every row."""

    def of_rows(self, y: NDArray[Any], scores: Values) -> Values:
        """The loss of each row, (rows,)."""

    def negative_gradient(self, y: NDArray[Any], scores: Values) -> Values:
        """Minus the derivative of each row's loss by its scores, (rows, outputs)."""

    def curvature(self, scores: Values, direction: Values) -> Values:
        """The second derivative of each row's loss along its ``direction`` (rows, outputs)."""


class ClassLoss(BoostingLoss, Protocol):
    """Likewise of classes."""

    def proba(self, scores: Values) -> Values:
        """Probabilities (rows, classes)."""


class HalfSquaredError:
    """``(y - F)² / 2`` (Friedman 2001, algorithm 2)."""

    n_outputs = 1

    def initial(self, y: NDArray[Any], weights: Values) -> Values:
        """The mean."""
        return np.array([np.average(y, weights=weights)])

    def of_rows(self, y: NDArray[Any], scores: Values) -> Values:
        """Half of the squared distance."""
        losses: Values = np.square(y - scores[:, 0]) / 2
        return losses

    def negative_gradient(self, y: NDArray[Any], scores: Values) -> Values:
        """The residual ``y - F``."""
        residual: Values = (y - scores[:, 0])[:, None]
        return residual

    def curvature(self, scores: Values, direction: Values) -> Values:
        """``h²``, wherever the scores are."""
        curvature: Values = np.square(direction[:, 0])
        return curvature


class Logistic:
    """``-log p`` of two classes; the score is the log-odds of the second.

    Friedman 2001, algorithm 5. His F is half of the log-odds, so his derivatives are twice these.
    """

    n_outputs = 1

    def initial(self, y: NDArray[Any], weights: Values) -> Values:
        """The log-odds of the second class's share."""
        first, second = np.log(_shares(y, weights, 2))
        return np.array([second - first])

    def of_rows(self, y: NDArray[Any], scores: Values) -> Values:
        """``log(1 + exp(-F))`` of the second class, ``log(1 + exp(F))`` of the first."""
        losses: Values = np.logaddexp(0, np.where(y == 1, -1.0, 1.0) * scores[:, 0])
        return losses

    def negative_gradient(self, y: NDArray[Any], scores: Values) -> Values:
        """``y - p``."""
        residual: Values = y[:, None] - expit(scores)
        return residual

    def curvature(self, scores: Values, direction: Values) -> Values:
        """``p (1 - p) h²``."""
        spread = expit(scores[:, 0]) * expit(-scores[:, 0])
        curvature: Values = spread * np.square(direction[:, 0])
        return curvature

    def proba(self, scores: Values) -> Values:
        """Of both classes."""
        return np.column_stack([expit(-scores[:, 0]), expit(scores[:, 0])])


class Multinomial:
    """``-log p`` of ``n_outputs`` classes, ``p`` the softmax of the scores.

    Friedman 2001, section 4.6 and algorithm 6.
    """

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs

    def initial(self, y: NDArray[Any], weights: Values) -> Values:
        """Logarithms of the classes' shares, less their mean.

        Algorithm 6 begins with zeros, from where its stages would have to learn the shares.
        """
        logs = np.log(_shares(y, weights, self.n_outputs))
        centred: Values = logs - logs.mean()
        return centred

    def of_rows(self, y: NDArray[Any], scores: Values) -> Values:
        """The negative logarithm of the own class's probability."""
        losses: Values = -log_softmax(scores, axis=1)[np.arange(len(y)), y]
        return losses

    def negative_gradient(self, y: NDArray[Any], scores: Values) -> Values:
        """``1 - p`` for the own class, ``-p`` for the others (algorithm 6, line 4)."""
        residual: Values = np.eye(self.n_outputs)[y] - softmax(scores, axis=1)
        return residual

    def curvature(self, scores: Values, direction: Values) -> Values:
        """The variance of a row's ``h`` with the probabilities of its classes."""
        proba = softmax(scores, axis=1)
        centred = direction - (proba * direction).sum(axis=1, keepdims=True)
        variance: Values = (proba * np.square(centred)).sum(axis=1)
        return variance

    def proba(self, scores: Values) -> Values:
        """The softmax."""
        proba: Values = softmax(scores, axis=1)
        return proba


def loss_of_classes(n_classes: int) -> ClassLoss:
    """`Logistic` of two classes, `Multinomial` of more."""
    return Logistic() if n_classes == 2 else Multinomial(n_classes)


def _shares(y: NDArray[Any], weights: Values, n_classes: int) -> Values:
    """The share of each class in the weights, none of them 0; (classes,)."""
    totals = np.bincount(y, weights, n_classes)
    shares: Values = np.maximum(totals / totals.sum(), SMALLEST)
    return shares
