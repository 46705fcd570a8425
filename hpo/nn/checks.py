"""Checks before a long training: can a network learn a few rows, and at which learning rates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture
from hpo.nn.initializers import RandomState
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.training import train

LEARNT = 0.05
"""Rows count as learnt when this share of the first loss, or less, is left."""


@dataclass(frozen=True)
class RangeReport:
    """Training at many learning rates, side by side.

    ``learning_rate`` (rates,), ``loss`` (rates, epochs) running mean over the training rows, NaN
    after a network diverged.
    """

    learning_rate: NDArray[np.float64]
    loss: NDArray[np.float64]

    @property
    def final_loss(self) -> NDArray[np.float64]:
        """Loss of the last epoch, infinite where the network diverged."""
        return np.where(np.isfinite(self.loss[:, -1]), self.loss[:, -1], np.inf)

    @property
    def best(self) -> float:
        """The learning rate with the lowest loss at the end."""
        return float(self.learning_rate[self.final_loss.argmin()])

    @property
    def learnt(self) -> bool:
        """Whether some learning rate brings the loss down to almost nothing.

        The lowest rate's first loss is the least spoilt by steps that were too long.
        """
        return bool(self.final_loss.min() <= LEARNT * self.loss[0, 0])


def learning_rate_range(
    architecture: Architecture,
    settings: TrainingSettings,
    rows: Rows,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    rates: int = 32,
    random_state: RandomState = 0,
) -> RangeReport:
    """Train one network at each of ``rates`` learning rates between ``low`` and ``high``.

    Smith 2017, section 3.3, raises the rate step by step in one run; here the rates are members
    of one stack with the same initial values, so that none meets weights that another one spoilt.
    Patience is ignored.
    """
    grid = np.geomspace(low, high, rates)
    members = Members((random_state,) * rates, learning_rate=grid)
    plain = replace(settings, patience=None, monitor="train_loss")
    trained = train(architecture, plain, members, rows, None)
    loss = trained.curves["train_loss"].copy()
    loss[trained.diverged, trained.epochs[trained.diverged] - 1] = np.nan
    return RangeReport(grid, loss)


def overfit_small_batch(
    architecture: Architecture,
    rows: Rows,
    *,
    size: int = 16,
    epochs: int = 300,
    optimizer: str = "adam",
    random_state: RandomState = 0,
) -> RangeReport:
    """Try to learn ``size`` rows by heart, at nine learning rates side by side.

    A network that cannot (``not report.learnt``) has a fault that no tuning mends: rows with equal
    inputs and different targets, inputs of wild scales, a target that is not what it seems.
    """
    chosen = np.linspace(0, len(rows) - 1, min(size, len(rows))).astype(np.int64)
    few = Rows(rows.X[chosen], tuple(target[chosen] for target in rows.targets))
    settings = TrainingSettings(optimizer, epochs, batch_size=size, patience=None)
    return learning_rate_range(
        architecture, settings, few, low=1e-4, high=1.0, rates=9, random_state=random_state
    )
