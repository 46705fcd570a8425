"""`MLPClassifier`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from hpo.estimators.base import BaseMLP
from hpo.estimators.targets import Classes, Labels
from hpo.nn.augmentation import Augmentation
from hpo.nn.schedules import Schedule


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that classifies.

    Parameters
    ----------
    hidden_layer_sizes : units of each hidden layer; ``()`` is logistic regression
    activation : of hidden units: identity, sigmoid, tanh, relu, leaky_relu, elu, selu, gelu, silu,
        softplus, mish, or one that was registered
    optimizer : sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, nadam, adamw
    learning_rate : before the schedule
    weight_decay : decoupled, ``w <- (1 - lr * weight_decay) * w``
    l1, l2 : penalties ``l1 * sum|w| + l2 / 2 * sum w²``; both make an elastic net
    dropout : share of hidden units that are dropped, one number or one for each hidden layer
    max_norm : largest norm of a unit's incoming weights
    clip_norm : largest norm of a gradient
    label_smoothing : share of the target that is spread over all classes
    batch_norm : False, or ``"before"`` (also True) or ``"after"`` the activation
    batch_size : rows of a mini-batch; ``"auto"`` is 32 to 256, growing with the rows
    max_epochs : passes over the training rows
    schedule : of the learning rate: constant, step, exponential, cosine, one_cycle, or a
        `hpo.nn.schedules.Schedule`
    warmup : share of the training in which the rate rises to its full height
    early_stopping : ``"auto"`` stops on validation rows if `fit` is given some; True demands them;
        False trains all epochs
    monitor : ``"loss"`` or ``"score"`` of the validation rows decides on stopping
    patience : epochs without improvement before stopping; the best weights are kept
    min_delta : what counts as improvement
    class_weight : class -> weight, 1 where none is given, or ``"balanced"``; of several labels
        ``"balanced"`` only
    scaling : of the inputs, learnt from the training rows: ``"robust"`` (median and quartiles,
        outliers clipped smoothly), ``"standard"`` (mean and deviation), ``"none"``; each feature
        by itself, but with ``augment`` all pixels alike
    initializer : zeros, normal, normal:DEVIATION, xavier_normal, xavier_uniform, xavier_inputs,
        lecun_normal, lecun_uniform, he_normal, he_uniform, orthogonal; ``"auto"`` goes by the
        activation
    optimizer_options : hyperparameters of the optimizer by name, such as ``{"beta2": 0.99}``
    augment : `hpo.nn.augmentation.Augmentation` of image rows, drawn anew for every batch
    init_from : a fitted network whose layers this one starts from, its head too if the classes are
        the same ones. Inputs are scaled as that network saw them. Clones start from it too; as one
        of the values of a grid search, wrap it in `sklearn.frozen.FrozenEstimator`.
    freeze : number of first layers that keep their parameters, or ``"all_but_last"``
    warm_start : go on from the last fit's parameters
    random_state : seed of initial values, dropout and the order of rows

    Attributes
    ----------
    classes_ : (classes,)
    history_ : name -> (epochs,): train_loss, train_score, learning_rate, gradient_norm, seconds
        and, with validation rows, val_loss and val_score. Training figures are running means over
        the mini-batches; the score is the accuracy, of several labels the subset accuracy. Calls of
        `partial_fit` add one entry each, NaN for validation rows.
    n_iter_ : epochs that were run, calls of `partial_fit` included
    best_epoch_ : the epoch, from 1, whose weights were kept
    params_ : (n_params,) float32
    architecture_ : `hpo.nn.architecture.Architecture`
    diverged_ : whether the loss left the finite numbers; only `fit_many` returns such a network
    progress_ : what else `partial_fit` needs to go on
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        activation: str = "relu",
        optimizer: str = "adam",
        learning_rate: float = 3e-3,
        weight_decay: float = 0.5,
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Sequence[float] = 0.1,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        batch_norm: bool | str = False,
        batch_size: int | str = "auto",
        max_epochs: int = 100,
        schedule: str | Schedule = "cosine",
        warmup: float = 0.05,
        early_stopping: bool | str = "auto",
        monitor: str = "loss",
        patience: int = 10,
        min_delta: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
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
        self.label_smoothing = label_smoothing
        self.batch_norm = batch_norm
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.schedule = schedule
        self.warmup = warmup
        self.early_stopping = early_stopping
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.class_weight = class_weight
        self.scaling = scaling
        self.initializer = initializer
        self.optimizer_options = optimizer_options
        self.augment = augment
        self.init_from = init_from
        self.freeze = freeze
        self.warm_start = warm_start
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def classes_(self) -> NDArray[Any]:
        """All classes in their order; of several labels, their numbers."""
        coder = self.coders_[0]
        if isinstance(coder, Labels):
            return np.arange(coder.n_labels)
        assert isinstance(coder, Classes)
        return coder.classes

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go through the rows once more, at a constant learning rate.

        ``classes`` (all classes that will ever come) is needed in the first call if its rows do
        not hold them all. The first call learns how inputs are scaled. A call that diverges raises
        ``ValueError`` and leaves the network as it was.
        """
        return self._partial_fit(X, y, sample_weight, self._announced(classes))

    def _announced(self, classes: ArrayLike | None) -> NDArray[Any] | None:
        """The classes that the first call learns; later ones must name the same ones, if any."""
        if classes is None:
            return None
        try:
            known = np.unique(np.asarray(classes))
        except TypeError:
            raise ValueError(f"classes must be of one type, got {classes!r}") from None
        if not known.size:
            raise ValueError("classes is empty: name all classes, or leave it out")
        if hasattr(self, "params_") and known.tolist() != self.classes_.tolist():
            raise ValueError(
                f"classes are {Classes(known).names} in this call and were "
                f"{Classes(self.classes_).names} before: name the same ones, or none"
            )
        return known

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class (rows,), or the labels (rows, labels)."""
        outputs = self._outputs(X)
        return self.coders_[0].decode(outputs)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (rows, classes); of several labels, of each one (rows, labels)."""
        outputs = self._outputs(X)
        if isinstance(self.coders_[0], Labels):
            return outputs
        probabilities: NDArray[np.float64] = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logs: NDArray[np.float64] = np.log(self.predict_proba(X))
        return logs
