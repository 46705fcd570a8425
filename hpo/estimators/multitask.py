"""`MLPMultiTask`: one network for several targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, r2_score

from hpo.estimators import options
from hpo.estimators.base import BaseMLP
from hpo.estimators.encoding import dense
from hpo.estimators.moments import Values
from hpo.estimators.parameters import documented
from hpo.estimators.tasks import kinds_of


@documented
@dataclass(eq=False, repr=False, kw_only=True)
class MLPMultiTask(BaseMLP):
    """One multilayer perceptron with a head for each column of the target.

    The heads share all hidden layers (Caruana 1997). Losses in ``history_`` are the weighted sum,
    scores are those of the first column.

    Parameters
    ----------
    {parameters}
    tasks : for each column ``"classification"`` or ``"regression"``; ``"auto"`` takes numbers that
        are not all whole for regression and everything else for classification
    loss_weights : weight of each column's loss in the sum, 1 unless given; values are learnt in
        standard deviations
    label_smoothing : share of a class's target that is spread over all classes of its column

    Attributes
    ----------
    {attributes}
    tasks_ : what each column was taken for
    """

    tasks: Sequence[str] | str = "auto"
    loss_weights: Sequence[float] | None = None
    label_smoothing: float = 0.0

    @property
    def tasks_(self) -> list[str]:
        """What each column was taken for."""
        return kinds_of(self.coders_)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """What each head says, (rows, columns); of type object if the columns' types differ."""
        columns = self._columns(X)
        kinds = {column.dtype for column in columns}
        table = np.empty(
            (len(columns[0]), len(columns)), kinds.pop() if len(kinds) == 1 else object
        )
        for index, column in enumerate(columns):
            table[:, index] = column
        return table

    def predict_task_proba(self, X: ArrayLike, task: int) -> NDArray[np.float64]:
        """Probabilities (rows, classes) of the classes in column ``task``, from 0."""
        heads = self._heads(X)
        if not 0 <= task < len(heads):
            raise ValueError(f"there is no column {task}: columns are 0 to {len(heads) - 1}")
        if self.tasks_[task] == "regression":
            raise ValueError(f"column {task} is a regression; it has no probabilities")
        probabilities: Values = heads[task] / heads[task].sum(axis=1, keepdims=True)
        return probabilities

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Mean over the columns of accuracy or R²."""
        task = options.task(self)
        truth = task.columns(task.shaped(dense(y, object)))
        if len(truth) != len(self.coders_):
            raise ValueError(f"y has {len(truth)} columns, not {len(self.coders_)}")
        scores = [
            (r2_score if kind == "regression" else accuracy_score)(
                true, given, sample_weight=sample_weight
            )
            for kind, true, given in zip(self.tasks_, truth, self._columns(X), strict=True)
        ]
        return float(np.mean(scores))

    def _columns(self, X: ArrayLike) -> list[NDArray[Any]]:
        """The prediction of each head, (rows,), of the type of its column."""
        heads = self._heads(X)
        return [coder.decode(head) for coder, head in zip(self.coders_, heads, strict=True)]

    def _heads(self, X: ArrayLike) -> list[Values]:
        outputs = self._outputs(X)
        return [outputs[:, where] for where in self.architecture_.head_slices]
