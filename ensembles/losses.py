"""What an ensemble is chosen by: log loss of classes, squared error of numbers.

Predictions have the members first, (members, rows, outputs): probabilities of classes, or values. A
loss keeps of them what it needs, which is linear in them; so the average of members may be taken
before or after.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SMALLEST = 1e-15
"""A probability below this counts as this, so that no single row decides everything."""

TIE = 1e-12
"""Losses, or scores, that differ by less than this share of them are equal: sums round in different
ways."""


class Loss(Protocol):
    """How wrong predictions are, row by row."""

    def evidence(self, predictions: NDArray[Any], y: NDArray[Any]) -> Values:
        """What matters of predictions (..., rows, outputs): (..., rows, parts), linear in them.

        ``y``: class indices (rows,), or values (rows, outputs).
        """

    def of_rows(self, evidence: Values) -> Values:
        """The loss of each row, (..., rows)."""


class LogLoss:
    """The negative logarithm of the probability of the row's own class."""

    def evidence(self, predictions: NDArray[Any], y: NDArray[Any]) -> Values:
        """The probability of the row's own class, (..., rows, 1)."""
        index = np.broadcast_to(y[:, None], (*predictions.shape[:-1], 1))
        return np.take_along_axis(np.asarray(predictions, np.float64), index, axis=-1)

    def of_rows(self, evidence: Values) -> Values:
        """``-log p``."""
        losses: Values = -np.log(np.maximum(evidence[..., 0], SMALLEST))
        return losses


class SquaredLoss:
    """The squared distance from the row's own value, of several outputs the mean."""

    def evidence(self, predictions: NDArray[Any], y: NDArray[Any]) -> Values:
        """The distance from the row's own values, (..., rows, outputs)."""
        distance: Values = np.asarray(predictions, np.float64) - y.reshape(len(y), -1)
        return distance

    def of_rows(self, evidence: Values) -> Values:
        """The mean of squares."""
        losses: Values = np.square(evidence).mean(axis=-1)
        return losses


def mean_loss(loss: Loss, evidence: Values, sample_weight: NDArray[Any] | None = None) -> Values:
    """The mean over rows, (...,); ``sample_weight`` (rows,)."""
    losses: Values = np.average(loss.of_rows(evidence), axis=-1, weights=sample_weight)
    return losses


def loss_of(
    loss: Loss,
    prediction: NDArray[Any],
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None = None,
) -> float:
    """The mean loss of one prediction (rows, outputs)."""
    return float(mean_loss(loss, loss.evidence(prediction, y), sample_weight))
