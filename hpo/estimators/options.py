"""From an estimator's flat parameters to the frozen settings that training takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import check_random_state

from hpo.estimators.inputs import SCALINGS, Scaling
from hpo.estimators.targets import TargetCoder
from hpo.estimators.tasks import Classification, Regression, SeveralTasks, Task
from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Architecture, BatchNorm
from hpo.nn.augmentation import Augmentation
from hpo.nn.initializers import RandomState, natural_initializer
from hpo.nn.members import Members, TrainingSettings
from hpo.nn.names import find
from hpo.nn.optimizers import OPTIMIZERS
from hpo.nn.schedules import Schedule


def task(estimator: Any) -> Task:
    """What the estimator makes of its target."""
    if is_classifier(estimator):
        return Classification()
    if is_regressor(estimator):
        return Regression(estimator.loss)
    return SeveralTasks(estimator.tasks, estimator.loss_weights)


def architecture(estimator: Any, n_inputs: int, coders: Sequence[TargetCoder]) -> Architecture:
    """The network's shape for ``n_inputs`` features and the targets of ``coders``."""
    activation = find(ACTIVATIONS, estimator.activation, "activation")
    if not activation.trainable:
        raise ValueError(f"activation {estimator.activation!r} has no derivative to train with")
    return Architecture(
        n_inputs=n_inputs,
        hidden=hidden_sizes(estimator),
        heads=tuple(coder.head for coder in coders),
        activation=estimator.activation,
        batch_norm=batch_norm(estimator),
    )


def hidden_sizes(estimator: Any) -> tuple[int, ...]:
    """Units of each hidden layer; one number is one layer."""
    given = estimator.hidden_layer_sizes
    try:
        sizes = np.atleast_1d(np.asarray(given))
    except ValueError:
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {given!r}") from None
    if sizes.ndim != 1 or (sizes.size and not np.issubdtype(sizes.dtype, np.integer)):
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {sizes.tolist()}")
    if sizes.size and sizes.min() < 1:
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes.tolist()}")
    return tuple(sizes.tolist())


def batch_norm(estimator: Any) -> BatchNorm:
    """Where the network normalises; `Architecture` refuses what is no such place."""
    given = estimator.batch_norm
    if isinstance(given, bool | np.bool_):
        return "before" if given else "none"
    chosen: BatchNorm = given
    return chosen


def settings(
    estimator: Any, n_rows: int, has_validation: bool, row_order: RandomState
) -> TrainingSettings:
    """What the members of a stack share."""
    stops = stops_early(estimator, has_validation)
    if estimator.monitor not in ("loss", "score"):
        raise ValueError(f"monitor is 'loss' or 'score', not {estimator.monitor!r}")
    return TrainingSettings(
        optimizer=estimator.optimizer,
        epochs=at_least_one("max_epochs", estimator.max_epochs),
        batch_size=batch_size(estimator.batch_size, n_rows),
        patience=at_least_one("patience", estimator.patience) if stops else None,
        min_delta=min_delta(estimator),
        monitor="val_loss" if estimator.monitor == "loss" else "val_score_loss",
        schedule=schedule(estimator),
        frozen_layers=frozen_layers(estimator),
        augmentation=augmentation(estimator),
        gradient_norms=True,
        row_order=row_order,
    )


def stops_early(estimator: Any, has_validation: bool) -> bool:
    """Whether validation rows decide when to stop."""
    given = estimator.early_stopping
    if given not in ("auto", True, False):
        raise ValueError(f"early_stopping is True, False or 'auto', not {given!r}")
    if given is True and not has_validation:
        raise ValueError("early_stopping=True needs validation rows: give X_val and y_val")
    return has_validation and given in ("auto", True)


def one_epoch(estimator: Any, n_rows: int, row_order: RandomState) -> TrainingSettings:
    """What ``partial_fit`` does: an epoch without a schedule and without stopping."""
    return TrainingSettings(
        optimizer=estimator.optimizer,
        epochs=1,
        batch_size=batch_size(estimator.batch_size, n_rows),
        patience=None,
        frozen_layers=frozen_layers(estimator),
        augmentation=augmentation(estimator),
        gradient_norms=True,
        row_order=row_order,
    )


def schedule(estimator: Any) -> Schedule:
    """The learning rate's schedule."""
    if isinstance(estimator.schedule, Schedule):
        return estimator.schedule
    return Schedule(estimator.schedule, warmup=estimator.warmup)


def augmentation(estimator: Any) -> Augmentation | None:
    """How images are changed."""
    given = estimator.augment
    if given is None or isinstance(given, Augmentation):
        return given
    raise ValueError(f"augment is an Augmentation or None, not {given!r}")


def min_delta(estimator: Any) -> float:
    """What counts as improvement."""
    value = number("min_delta", estimator.min_delta)
    if not 0 <= value < np.inf:
        raise ValueError(f"min_delta must be 0 or more, and finite, got {value:g}")
    return value


def batch_size(size: int | str, n_rows: int) -> int:
    """Rows of a mini-batch; ``auto`` grows with the table so that an epoch has enough steps."""
    if isinstance(size, str) and size == "auto":
        return min(256, max(32, 1 << (n_rows // 100).bit_length()))
    return min(at_least_one("batch_size", size), n_rows)


def frozen_layers(estimator: Any) -> int:
    """How many of the first layers keep their parameters."""
    freeze, n_hidden = estimator.freeze, len(hidden_sizes(estimator))
    if freeze is None:
        return 0
    if isinstance(freeze, str) and freeze == "all_but_last":
        return n_hidden
    if isinstance(freeze, bool) or not isinstance(freeze, int | np.integer) or freeze < 0:
        raise ValueError(f"freeze is a number of layers, 'all_but_last' or None, not {freeze!r}")
    return int(freeze)


def at_least_one(name: str, value: Any) -> int:
    """A whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, got {value!r}")
    return int(value)


def number(name: str, value: Any) -> float:
    """A number; where it must lie is for those to say who use it."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")  # noqa: TRY004
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a number: {str(value)[:20]}…") from None


def bound(name: str, value: Any) -> float:
    """A number, infinite for None."""
    return np.inf if value is None else number(name, value)


def members(estimators: Sequence[Any], states: Sequence[RandomState]) -> Members:
    """What differs between the estimators."""

    def each(name: str) -> list[float]:
        return [number(name, getattr(estimator, name, 0.0)) for estimator in estimators]

    def bounds(name: str) -> list[float]:
        return [bound(name, getattr(estimator, name)) for estimator in estimators]

    n_hidden = len(hidden_sizes(estimators[0]))
    return Members(
        random_state=tuple(states),
        learning_rate=each("learning_rate"),
        weight_decay=each("weight_decay"),
        l1=each("l1"),
        l2=each("l2"),
        dropout=np.stack([dropout(estimator.dropout, n_hidden) for estimator in estimators]),
        label_smoothing=each("label_smoothing"),
        max_norm=bounds("max_norm"),
        clip_norm=bounds("clip_norm"),
        options=optimizer_options(estimators),
        initializer=tuple(initializer(estimator) for estimator in estimators),
    )


def dropout(rate: Any, n_hidden: int) -> NDArray[np.float64]:
    """The rate of each hidden layer, (hidden,)."""
    if not isinstance(rate, list | tuple | np.ndarray):
        return np.full(n_hidden, number("dropout", rate))
    rates = np.atleast_1d(rate).tolist() if isinstance(rate, np.ndarray) else rate
    if len(rates) != n_hidden:
        raise ValueError(
            f"dropout is one number or one for each of {n_hidden} hidden layers, got {rate!r}"
        )
    return np.array([number("dropout", each) for each in rates], dtype=np.float64)


def optimizer_options(estimators: Sequence[Any]) -> dict[str, list[float]]:
    """Hyperparameters of the optimiser by name, one for each estimator."""
    defaults = find(OPTIMIZERS, estimators[0].optimizer, "optimizer").defaults
    given = [_options_of(estimator) for estimator in estimators]
    # For a name that the optimiser does not have any number does: training refuses it.
    return {
        name: [own.get(name, defaults.get(name, 0.0)) for own in given]
        for name in sorted({name for own in given for name in own})
    }


def _options_of(estimator: Any) -> dict[str, float]:
    given = {} if estimator.optimizer_options is None else estimator.optimizer_options
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"optimizer_options is a mapping of names to numbers, not {given!r}")
    return {name: number(name, value) for name, value in given.items()}


def initializer(estimator: Any) -> str:
    """The name of the estimator's initial values."""
    name = estimator.initializer
    if not isinstance(name, str):
        raise ValueError(f"initializer is a name, not {name!r}")  # noqa: TRY004
    if name == "auto":
        return natural_initializer(estimator.activation)
    return name


def scaling_of(estimator: Any) -> Scaling:
    """How inputs are scaled."""
    chosen: Scaling = find({name: name for name in SCALINGS}, estimator.scaling, "scaling")
    return chosen


def seed_of(random_state: Any) -> int:
    """A seed: the number that was given, or one drawn from the generator that was."""
    if isinstance(random_state, int | np.integer):
        if random_state < 0:
            raise ValueError(f"random_state must not be negative, got {random_state}")
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
