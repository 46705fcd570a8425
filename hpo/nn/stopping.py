"""Early stopping per member: patience, and a snapshot of the best weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats


@dataclass(frozen=True)
class Best:
    """The best epoch of every member so far.

    ``loss`` (members,), ``epoch`` (members,) counted from 0, ``params`` (members, n_params).
    """

    loss: NDArray[np.float64]
    epoch: NDArray[np.int64]
    params: Floats

    @classmethod
    def start(cls, params: Floats) -> Self:
        """Nothing seen yet."""
        members = params.shape[0]
        return cls(np.full(members, np.inf), np.full(members, -1), params.copy())

    def observe(
        self, epoch: int, loss: NDArray[np.float64], params: Floats, min_delta: float = 0.0
    ) -> Self:
        """The state after ``epoch``; the snapshot's buffer is handed on and overwritten.

        An epoch is better if its loss is lower than the best one by more than ``min_delta``.
        """
        better = loss < self.loss - min_delta
        self.params[better] = params[better]
        return type(self)(
            np.where(better, loss, self.loss), np.where(better, epoch, self.epoch), self.params
        )

    def exhausted(self, epoch: int, patience: int | None) -> NDArray[np.bool_]:
        """Which members have not improved for ``patience`` epochs; none without a patience."""
        if patience is None:
            return np.zeros(len(self.loss), dtype=bool)
        return epoch - self.epoch >= patience

    def keep(self, members: NDArray[np.bool_]) -> Self:
        """The state of the members that stay."""
        return type(self)(self.loss[members], self.epoch[members], self.params[members])
