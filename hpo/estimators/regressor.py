"""`MLPRegressor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from hpo.estimators.base import BaseMLP
from hpo.estimators.parameters import documented


@documented
@dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts one or several numbers.

    Targets are learnt in standard deviations from their mean; losses in ``history_`` are in squares
    of standard deviations. The score there is R², of several outputs its mean: each one's squares
    count in units of its variance among the validation rows, or the training rows if there are no
    others.

    Parameters
    ----------
    {parameters}
    loss : ``"squared_error"``, or ``"huber"``, which minds outliers less

    Attributes
    ----------
    {attributes}
    """

    # What did best on tables with such targets.
    activation: str = "silu"
    learning_rate: float = 5e-3
    weight_decay: float = 0.2
    dropout: float | Sequence[float] = 0.0

    loss: str = "squared_error"

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Go through the rows once more, at a constant learning rate.

        The first call learns how inputs and targets are scaled. A call that diverges raises
        ``ValueError`` and leaves the network as it was.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Values (rows,), or (rows, outputs) if there are several."""
        outputs = self._outputs(X)
        values: NDArray[np.float64] = self.coders_[0].decode(outputs)
        return values
