"""What the members of a stack may differ in, and what they all share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.augmentation import Augmentation
from hpo.nn.initializers import RandomState
from hpo.nn.losses import LOSSES, Target
from hpo.nn.measuring import Targets
from hpo.nn.names import find
from hpo.nn.optimizers import Hyperparameters, Optimizer, PerMember
from hpo.nn.schedules import Schedule

Monitor = Literal["val_loss", "val_score_loss", "train_loss"]

MONITORS: tuple[Monitor, ...] = ("val_loss", "val_score_loss", "train_loss")

LEAST = {"epochs": 1, "batch_size": 1, "patience": 1, "min_delta": 0}
"""Least values of settings."""

PRECISIONS = (np.float32, np.float64)
"""Types of rows and parameters."""

UNBOUNDED = ("max_norm", "clip_norm")
"""Numbers that may be infinite, which means that nothing is bounded."""

RANGES: dict[str, tuple[float, float]] = {
    "learning_rate": (0, np.inf),
    "weight_decay": (0, np.inf),
    "l1": (0, np.inf),
    "l2": (0, np.inf),
    "dropout": (0, 0.99),
    "label_smoothing": (0, 1),
    "max_norm": (0, np.inf),
    "clip_norm": (0, np.inf),
}
"""Least and greatest value of each number."""


@dataclass(frozen=True)
class TrainingSettings:
    """What all members of a stack share besides the architecture.

    Each epoch takes the rows in mini-batches of ``batch_size``. Without ``patience`` every member
    trains for all ``epochs`` and keeps its last weights; with it, a member stops after that many
    epochs in which ``monitor`` did not fall below its best by more than ``min_delta``, and keeps
    its best weights. ``row_order`` seeds the one order of rows that all members share. The first
    ``frozen_layers`` layers keep their parameters. ``gradient_norms`` asks for their mean in every
    epoch, before clipping.
    """

    optimizer: str = "adam"
    epochs: int = 50
    batch_size: int = 32
    patience: int | None = 10
    min_delta: float = 0.0
    monitor: Monitor = "val_loss"
    schedule: Schedule = field(default_factory=Schedule)
    frozen_layers: int = 0
    augmentation: Augmentation | None = None
    gradient_norms: bool = False
    row_order: RandomState = 0


@dataclass(frozen=True)
class Members:
    """What differs inside a stack: one entry per member, or one number for all of them.

    ``random_state`` seeds a member's initial values and dropout. Shapes are (members,);
    ``dropout`` may be (members, hidden layers). ``options`` are hyperparameters of the optimiser
    by name. ``max_norm`` and ``clip_norm`` are infinite where nothing is bounded.
    """

    random_state: tuple[RandomState, ...]
    learning_rate: ArrayLike
    weight_decay: ArrayLike = 0.0
    l1: ArrayLike = 0.0
    l2: ArrayLike = 0.0
    dropout: ArrayLike = 0.0
    label_smoothing: ArrayLike = 0.0
    max_norm: ArrayLike = np.inf
    clip_norm: ArrayLike = np.inf
    options: Mapping[str, ArrayLike] = field(default_factory=dict)
    initializer: str | tuple[str, ...] = "he_normal"

    def __len__(self) -> int:
        return len(self.random_state)


@dataclass(frozen=True, eq=False)
class Rows:
    """Encoded rows: ``X`` (rows, inputs), float32 or float64, and a target for each head.

    A target is (rows,) classes or (rows, outputs) values. ``weights``: (rows,), or
    (members, rows) when rows count differently for each member; None where all count alike. A row
    of weight 0 is not there.
    """

    X: Floats
    targets: Targets
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.X)

    def weights_of(self, members: NDArray[np.int64]) -> Floats | None:
        """The weights that concern ``members``."""
        if self.weights is None or self.weights.ndim == 1:
            return self.weights
        chosen: Floats = self.weights[members]
        return chosen

    def check(self, architecture: Architecture, members: int, what: str) -> None:
        """Raise ``ValueError`` if ``members`` networks cannot be trained on, or measured on, these.

        ``what`` they are called in the message.
        """
        if len(self) == 0:
            raise ValueError(f"there are no {what}")
        if self.X.dtype not in PRECISIONS:
            raise ValueError(f"{what} must be float32 or float64, got {self.X.dtype}")
        if self.X.shape[1:] != (architecture.n_inputs,):
            raise ValueError(
                f"{what} of shape {self.X.shape} do not fit {architecture.n_inputs} inputs"
            )
        if len(self.targets) != len(architecture.heads):
            raise ValueError(
                f"the {what} have {len(self.targets)} targets for {len(architecture.heads)} heads"
            )
        for head, target in zip(architecture.heads, self.targets, strict=True):
            _check_target(head, target, len(self), what)
        _check_weights(self.weights, members, len(self), what)


def _check_target(head: Head, target: Target, rows: int, what: str) -> None:
    if find(LOSSES, head.loss, "loss").kind != "classes":
        if target.shape != (rows, head.n_outputs):
            raise ValueError(
                f"a target of the {what} has the shape {target.shape}, "
                f"not ({rows}, {head.n_outputs}), which {head.loss} needs"
            )
        return
    if target.shape != (rows,) or not np.issubdtype(target.dtype, np.integer):
        raise ValueError(
            f"a target of the {what} is {target.dtype} of shape {target.shape}, "
            f"where {head.loss} needs ({rows},) class numbers"
        )
    if target.min() < 0 or target.max() >= head.n_outputs:
        raise ValueError(
            f"classes of the {what} must be from 0 to {head.n_outputs - 1}, "
            f"got {target.min()} to {target.max()}"
        )


def _check_weights(weights: Floats | None, members: int, rows: int, what: str) -> None:
    if weights is None:
        return
    if weights.shape not in ((rows,), (members, rows)):
        raise ValueError(
            f"weights of the {what} have the shape {weights.shape}, "
            f"not ({rows},) or ({members}, {rows})"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"weights of the {what} must be finite and not negative")


@dataclass(frozen=True)
class Strengths:
    """The numbers of `Members`, checked, as float64 arrays: (members,) and (members, layers)."""

    learning_rate: PerMember
    weight_decay: PerMember
    l1: PerMember
    l2: PerMember
    dropout: PerMember
    label_smoothing: PerMember
    max_norm: PerMember
    clip_norm: PerMember
    options: Hyperparameters

    @classmethod
    def of(cls, members: Members, n_hidden: int, optimizer: Optimizer) -> Self:
        """Raise ``ValueError`` for a number that cannot be used, saying which and why."""
        n, defaults = len(members), optimizer.defaults
        unknown = set(members.options) - set(defaults)
        if unknown:
            names = ", ".join(sorted(unknown))
            known = ", ".join(defaults) or "none"
            raise ValueError(f"this optimizer has no {names}; it takes {known}")
        options = {
            name: _checked(name, members.options.get(name, default), (n,), (0, np.inf))
            for name, default in defaults.items()
        }
        for name, bound in optimizer.bounds.items():
            if (options[name] >= bound).any():
                raise ValueError(f"{name} must be below {bound:g}, got {options[name].max():g}")
        shapes: dict[str, tuple[int, ...]] = {"dropout": (n, n_hidden)}
        numbers = {
            name: _checked(name, getattr(members, name), shapes.get(name, (n,)), limits)
            for name, limits in RANGES.items()
        }
        return cls(**numbers, options=options)

    def part(self, members: NDArray[np.bool_] | slice) -> Self:
        """The numbers of some of the members."""
        kept: dict[str, Any] = {name: getattr(self, name)[members] for name in RANGES}
        options = {name: values[members] for name, values in self.options.items()}
        return type(self)(**kept, options=options)


def _checked(
    name: str, values: ArrayLike, shape: tuple[int, ...], limits: tuple[float, float]
) -> PerMember:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {values!r}") from None
    if array.ndim == 1 and len(shape) == 2:  # one for each member, the same in all layers
        array = array[:, None]
    try:
        array = np.broadcast_to(array, shape).copy()
    except ValueError:
        found = np.shape(values)
        raise ValueError(f"{name} has the shape {found}, which does not fit {shape}") from None
    if np.isinf(array).any() and name not in UNBOUNDED:
        raise ValueError(f"{name} must be finite, got {array[np.isinf(array)][0]:g}")
    bad = ~((array >= limits[0]) & (array <= limits[1]))
    if bad.any():
        low, high = limits
        raise ValueError(f"{name} must be from {low:g} to {high:g}, got {array[bad][0]:g}")
    return array
