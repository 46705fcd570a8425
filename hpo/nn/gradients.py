"""Gradient checking: the backward pass against central differences, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.losses import LOSSES, Loss, Target, one_hot, smoothed
from hpo.nn.measuring import Targets, row_losses, shares_of
from hpo.nn.names import find
from hpo.nn.network import (
    Stack,
    TrainingPass,
    Workspace,
    backward,
    forward,
    inplace_output_delta,
    with_ones,
)
from hpo.nn.regularizers import draw_dropout, inplace_penalty_gradient, penalty
from hpo.nn.threads import one_blas_thread

DIFFERENCE = 1e-5
"""Half the distance of the two points of a central difference."""

TOLERANCE = 1e-6
"""Largest relative error of a derivative that is right."""

SMALLEST = 1e-3
"""Derivatives are compared absolutely below this: differences of a loss round at about 1e-10."""


@dataclass(frozen=True)
class GradientReport:
    """Where the backward pass and central differences differ most.

    ``error`` is relative. ``member``, ``layer`` (from 0), ``part`` (``weights``, ``biases``,
    ``scale`` or ``shift``) and ``index`` in that part say where; ``analytic`` and ``numerical``
    are the two values there.
    """

    error: float
    member: int
    layer: int
    part: str
    index: tuple[int, ...]
    analytic: float
    numerical: float

    @property
    def passed(self) -> bool:
        """Whether the largest error is below the tolerance."""
        return self.error < TOLERANCE

    def __str__(self) -> str:
        place = f"layer {self.layer} {self.part}{list(self.index)} of member {self.member}"
        return (
            f"largest relative error {self.error:.2g} at {place}: the backward pass gives "
            f"{self.analytic:.8g}, central differences {self.numerical:.8g}"
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows and everything that makes the loss of a stack on them, in float64.

    ``X`` (rows, inputs), a target for each head, ``weights`` (rows,) or (members, rows),
    ``masks`` of dropout, penalties ``l1`` and ``l2`` (members,).
    """

    X: Floats
    targets: Targets
    weights: Floats | None = None
    masks: Sequence[Floats] = ()
    l1: ArrayLike = 0.0
    l2: ArrayLike = 0.0

    def training_pass(self) -> TrainingPass:
        """Shares of the rows; moving statistics stay where they are."""
        shares = shares_of(self.weights, np.arange(len(self.X)), np.float64)
        return TrainingPass(shares, np.zeros((1, 1, 1)), self.masks)

    def of_member(self, member: int, members: int) -> Batch:
        """The batch as one of the ``members`` sees it, for a stack of any size."""
        l1, l2 = self.penalties(members)
        weights, one = self.weights, slice(member, member + 1)
        if weights is not None and weights.ndim == 2:
            weights = weights[member]
        targets = tuple(each[one] if each.ndim == 3 else each for each in self.targets)
        masks = [mask[one] for mask in self.masks]
        return Batch(self.X, targets, weights, masks, l1[member], l2[member])

    def penalties(self, members: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``l1`` and ``l2`` of every member."""
        l1, l2 = (np.broadcast_to(np.asarray(each, float), members) for each in (self.l1, self.l2))
        return l1, l2


def mean_loss(stack: Stack, batch: Batch) -> NDArray[np.float64]:
    """The weighted mean loss of the batch and the penalties, (members,)."""
    work = _workspace(stack, batch)
    training = batch.training_pass()
    inputs = with_ones(batch.X, np.float64)
    prediction = np.ascontiguousarray(forward(stack, inputs, work, training))
    losses = row_losses(stack.architecture, prediction, batch.targets)
    data: NDArray[np.float64] = (training.shares[:, 0] * losses).sum(axis=1)
    weights = [layer.weights for layer in stack.layers]
    return data + penalty(weights, *batch.penalties(len(stack)))


def analytic_gradient(stack: Stack, batch: Batch) -> Floats:
    """What the backward pass gives for `mean_loss`, (members, trainable)."""
    work = _workspace(stack, batch)
    training = batch.training_pass()
    gradient = np.full((len(stack), stack.architecture.n_trainable), np.nan)
    layers = stack.architecture.layers(gradient)
    inputs = with_ones(batch.X, np.float64)
    prediction = forward(stack, inputs, work, training)
    inplace_output_delta(stack, prediction, batch.targets, training.shares)
    backward(stack, layers, inputs, work, training)
    for each, layer in zip(layers, stack.layers, strict=True):
        inplace_penalty_gradient(each.weights, layer.weights, *batch.penalties(len(stack)))
    return gradient


def numerical_gradient(stack: Stack, batch: Batch, difference: float = DIFFERENCE) -> Floats:
    """Central differences of `mean_loss`, (members, trainable).

    The networks with one parameter moved are themselves a stack.
    """
    gradient = np.empty((len(stack), stack.architecture.n_trainable))
    moves = difference * np.eye(gradient.shape[1], stack.architecture.n_params)
    for member, params in enumerate(stack.params):
        alone = batch.of_member(member, len(stack))
        rise = mean_loss(Stack(stack.architecture, params + moves), alone)
        fall = mean_loss(Stack(stack.architecture, params - moves), alone)
        gradient[member] = (rise - fall) / (2 * difference)
    return gradient


def compare(architecture: Architecture, analytic: Floats, numerical: Floats) -> GradientReport:
    """Where two gradients (members, trainable) differ most; NaN differs from everything."""
    scale = np.maximum(np.abs(analytic) + np.abs(numerical), SMALLEST)
    errors = np.abs(analytic - numerical) / scale
    errors[~np.isfinite(errors)] = np.inf
    member, place = np.unravel_index(int(errors.argmax()), errors.shape)
    layer, part, index = locate(architecture, int(place))
    return GradientReport(
        error=float(errors[member, place]),
        member=int(member),
        layer=layer,
        part=part,
        index=index,
        analytic=float(analytic[member, place]),
        numerical=float(numerical[member, place]),
    )


def locate(architecture: Architecture, place: int) -> tuple[int, str, tuple[int, ...]]:
    """Layer, part and index in it of a place in the flat buffer."""
    marks = np.zeros((1, architecture.n_trainable))
    marks[0, place] = 1
    for number, layer in enumerate(architecture.layers(marks)):
        for part in ("weights", "biases", "scale", "shift"):
            found = np.argwhere(getattr(layer, part)[0])
            if len(found):
                index = found[0] if part == "weights" else found[0][1:]
                return number, part, tuple(map(int, index))
    raise IndexError(f"a network of {architecture.n_trainable} parameters has no number {place}")


def gradient_check(
    architecture: Architecture,
    X: ArrayLike | None = None,
    targets: Targets | None = None,
    *,
    weights: ArrayLike | None = None,
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    members: int = 2,
    random_state: int = 0,
) -> GradientReport:
    """Compare the backward pass of ``architecture`` with central differences.

    Parameters
    ----------
    architecture : what to check, with any registered activation and losses
    X : (rows, inputs); seven random rows if None
    targets : one for each head; random ones if None
    weights : (rows,) or (members, rows) row weights
    dropout, label_smoothing, l1, l2 : as in training; dropout's masks are drawn once
    members : networks with random parameters
    random_state : seeds all that is random

    Returns
    -------
    GradientReport
        The largest relative error and where it is.

    Raises
    ------
    ValueError
        If a name in ``architecture`` is unknown, or its activation cannot be trained.
    """
    rng = np.random.default_rng(random_state)
    rows = 7 if X is None else len(np.asarray(X))
    X = rng.normal(size=(rows, architecture.n_inputs)) if X is None else np.asarray(X, float)
    targets = targets or tuple(
        random_target(find(LOSSES, h.loss, "loss"), h.n_outputs, rows, rng)
        for h in architecture.heads
    )
    stack = Stack(architecture, _random_params(architecture, members, rng))
    if not stack.activation.trainable:
        raise ValueError(f"{architecture.activation} has no derivative that could train a network")
    batch = Batch(
        X,
        tuple(_softened(architecture, targets, label_smoothing, members)),
        None if weights is None else np.asarray(weights, dtype=np.float64),
        _masks(architecture, members, rows, dropout, random_state),
        l1,
        l2,
    )
    with one_blas_thread(), np.errstate(all="ignore"):
        analytic = analytic_gradient(stack, batch)
        return compare(architecture, analytic, numerical_gradient(stack, batch))


def _workspace(stack: Stack, batch: Batch) -> Workspace:
    return Workspace.allocate(stack, len(batch.X), training=True, dropout=bool(batch.masks))


def _random_params(architecture: Architecture, members: int, rng: np.random.Generator) -> Floats:
    params = rng.normal(size=(members, architecture.n_params))
    for layer in architecture.layers(params):
        layer.weights[...] /= np.sqrt(layer.weights.shape[1])
    for moving in architecture.moving(params):
        moving.variance[...] = 1
    return params


def random_target(loss: Loss, n_outputs: int, rows: int, rng: np.random.Generator) -> Target:
    """A target of the kind that ``loss`` takes."""
    if loss.kind == "classes":
        return rng.integers(n_outputs, size=rows)
    if loss.kind == "labels":
        return rng.integers(2, size=(rows, n_outputs)).astype(np.float64)
    return rng.normal(size=(rows, n_outputs))


def _softened(
    architecture: Architecture, targets: Targets, smoothing: float, members: int
) -> list[Target]:
    share = np.full(members, smoothing)
    return [
        smoothed(one_hot(target, head.n_outputs, np.float64), share)
        if smoothing and head.loss == "cross_entropy"
        else target
        for head, target in zip(architecture.heads, targets, strict=True)
    ]


def _masks(
    architecture: Architecture, members: int, rows: int, rate: float, random_state: int
) -> list[Floats]:
    if not rate:
        return []
    masks: list[Any] = [np.empty((members, rows, units)) for units in architecture.hidden]
    generators = [np.random.default_rng((random_state, member)) for member in range(members)]
    draw_dropout(masks, np.full((members, len(masks)), rate), generators)
    return masks
