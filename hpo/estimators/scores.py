"""Scores as 1 - mean loss of the rows / `baseline`, so that training can add them up row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from hpo.data.metrics import zero_one
from hpo.estimators.moments import Values, moments
from hpo.nn.architecture import Floats
from hpo.nn.losses import Target


class Score(Protocol):
    """A score of one head's predictions."""

    def row_loss(self, output: Floats, target: Target) -> Floats:
        """Losses (members, rows) of ``output`` (members, rows, outputs)."""

    def baseline(self, target: Target, weights: Floats | None) -> float:
        """The mean loss of rows that has a score of 0; ``weights`` (rows,)."""


@dataclass(frozen=True)
class Accuracy:
    """The share of rows whose most probable class is the right one."""

    def row_loss(self, output: Floats, target: Target) -> Floats:
        """1 where it is another one."""
        return zero_one(output, target)

    def baseline(self, _target: Target, _weights: Floats | None) -> float:
        """1: no row is right."""
        return 1.0


@dataclass(frozen=True)
class SubsetAccuracy:
    """The share of rows of which every label is right."""

    def row_loss(self, output: Floats, target: Target) -> Floats:
        """1 where any label is wrong."""
        wrong = (output > 0.5) != (target > 0.5)
        return np.asarray(wrong.any(axis=-1), dtype=np.float64)

    def baseline(self, _target: Target, _weights: Floats | None) -> float:
        """1: no row is right."""
        return 1.0


@dataclass(frozen=True, eq=False)
class R2:
    """R², of several outputs its mean over them: squares in units of each output's ``variance``.

    An output without variance has, as in scikit-learn, the score 1 if every row is right and else
    0.
    """

    variance: Values

    @classmethod
    def of(cls, target: Target, weights: Floats | None) -> Self:
        """In units of the variance of ``target`` (rows, outputs)."""
        return cls(np.square(moments(target, weights)[1]))

    def row_loss(self, output: Floats, target: Target) -> Floats:
        """Mean over the outputs of squares in units of the variance."""
        squares = np.square(np.subtract(output, target, dtype=np.float64))
        right = (squares > 0).astype(np.float64)
        shares = np.divide(squares, self.variance, out=right, where=self.variance > 0)
        return np.asarray(np.ascontiguousarray(shares).mean(axis=-1))

    def baseline(self, target: Target, weights: Floats | None) -> float:
        """The mean variance of these rows, which may be others, in the same units."""
        variance = np.square(moments(target, weights)[1])
        ones = np.ones_like(variance)
        return float(np.divide(variance, self.variance, out=ones, where=self.variance > 0).mean())
