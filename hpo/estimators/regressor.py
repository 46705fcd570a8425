"""`MLPRegressor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from hpo.estimators.base import BaseMLP
from hpo.nn.augmentation import Augmentation
from hpo.nn.schedules import Schedule


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts one or several numbers.

    Targets are learnt in standard deviations from their mean. Parameters and attributes are those
    of `MLPClassifier`, but for those that concern classes; some defaults are others, those that did
    best on tables with such targets. There are besides

    Parameters
    ----------
    loss : ``"squared_error"``, or ``"huber"``, which minds outliers less

    Attributes
    ----------
    history_ : as for `MLPClassifier`; losses in squares of standard deviations. The score is R², of
        several outputs its mean: each output's squares count in units of its variance among the
        validation rows, or the training rows if there are no others.
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        activation: str = "silu",
        optimizer: str = "adam",
        learning_rate: float = 5e-3,
        weight_decay: float = 0.2,
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        loss: str = "squared_error",
        batch_norm: bool | str = False,
        batch_size: int | str = "auto",
        max_epochs: int = 100,
        schedule: str | Schedule = "cosine",
        warmup: float = 0.05,
        early_stopping: bool | str = "auto",
        monitor: str = "loss",
        patience: int = 10,
        min_delta: float = 0.0,
        scaling: str = "robust",
        initializer: str = "auto",
        optimizer_options: Mapping[str, float] | None = None,
        augment: Augmentation | None = None,
        init_from: BaseMLP | None = None,
        freeze: int | str | None = None,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.l1 = l1
        self.l2 = l2
        self.dropout = dropout
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.loss = loss
        self.batch_norm = batch_norm
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.schedule = schedule
        self.warmup = warmup
        self.early_stopping = early_stopping
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.scaling = scaling
        self.initializer = initializer
        self.optimizer_options = optimizer_options
        self.augment = augment
        self.init_from = init_from
        self.freeze = freeze
        self.warm_start = warm_start
        self.random_state = random_state

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
