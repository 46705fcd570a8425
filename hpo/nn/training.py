"""The epoch loop: a stack of networks trained together, each on its own terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.initializers import RandomState, initial_params
from hpo.nn.losses import LOSSES, Target, mean_over_rows
from hpo.nn.network import (
    Workspace,
    backward,
    forward,
    one_blas_thread,
    predict_blocks,
)
from hpo.nn.optimizers import OPTIMIZERS, Optimizer, State, inplace_weight_decay
from hpo.nn.stopping import Best

CURVES = ("train_loss", "train_score_loss", "val_loss", "val_score_loss")
"""What is kept of each epoch: the loss that is descended, and the mean row loss of the metric,
over the training rows (a running mean, as the weights change) and the validation rows."""

CACHE_BYTES = 1 << 19
"""State that an optimiser walks over at once; about half of a core's second-level cache."""

RowLoss = Callable[[Floats, Target], Floats]
"""Predictions (members, rows, outputs) and target (rows, ...) -> losses (members, rows)."""


@dataclass(frozen=True)
class TrainingSettings:
    """What all members of a stack share besides the architecture.

    Without ``patience`` every member trains for all ``epochs`` and keeps its last weights; with it,
    a member stops after that many epochs without a better validation loss and keeps its best
    weights. ``row_order`` seeds the one order of rows that all members share.
    """

    optimizer: str = "adam"
    epochs: int = 50
    batch_size: int = 32
    patience: int | None = 10
    row_order: RandomState = 0


@dataclass(frozen=True)
class Members:
    """What differs inside a stack; every field has one entry per member."""

    learning_rate: NDArray[np.float64]
    weight_decay: NDArray[np.float64]
    random_state: tuple[RandomState, ...]


@dataclass(frozen=True)
class Rows:
    """Encoded rows: ``X`` (rows, inputs) float32, ``target`` (rows,) classes or (rows, outputs)."""

    X: Floats
    target: Target

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Trained:
    """The outcome of ``train``.

    Shapes: ``params`` (members, n_params); each of ``curves`` (members, epochs), NaN after a
    member's last epoch; ``epochs`` (members,) epochs run; ``best_epoch`` (members,) the epoch from
    0 whose weights were kept; ``diverged`` (members,), whose params mean nothing.
    """

    params: Floats
    curves: dict[str, NDArray[np.float64]]
    epochs: NDArray[np.int64]
    best_epoch: NDArray[np.int64]
    diverged: NDArray[np.bool_]


@dataclass
class _Stack:
    """The members that still train. ``place``: where each stood when training began."""

    place: NDArray[np.int64]
    params: Floats
    gradient: Floats
    state: State
    learning_rate: NDArray[np.float64]
    weight_decay: NDArray[np.float64]
    best: Best

    def keep(self, members: NDArray[np.bool_]) -> _Stack:
        return _Stack(
            self.place[members],
            self.params[members],
            self.gradient[members],
            tuple(buffer[members] for buffer in self.state),
            self.learning_rate[members],
            self.weight_decay[members],
            self.best.keep(members),
        )


def train(
    architecture: Architecture,
    settings: TrainingSettings,
    members: Members,
    training: Rows,
    validation: Rows,
    row_loss: RowLoss,
) -> Trained:
    """Train one network per member and score it on ``validation`` after every epoch.

    A member's numbers are those it would have alone, bit for bit. One that diverges (a loss that
    is not finite) leaves the stack marked; nothing is raised.
    """
    optimizer = OPTIMIZERS[settings.optimizer]()
    with one_blas_thread(), np.errstate(all="ignore"):
        stack = _start(architecture, settings, optimizer, members)
        outcome = _blank(stack.params, settings.epochs)
        trainer = _Trainer(architecture, settings, optimizer, training, validation, row_loss)
        for epoch in range(settings.epochs):
            measured = trainer.epoch(stack)
            leaving = _settle(outcome, stack, epoch, measured, settings)
            if leaving.all():
                break
            if leaving.any():
                stack = stack.keep(~leaving)
    return outcome


def _start(
    architecture: Architecture, settings: TrainingSettings, optimizer: Optimizer, members: Members
) -> _Stack:
    params = initial_params(architecture, members.random_state)
    return _Stack(
        place=np.arange(len(params)),
        params=params,
        gradient=np.empty_like(params),
        state=optimizer.init(params),
        learning_rate=np.asarray(members.learning_rate, dtype=np.float64),
        weight_decay=np.asarray(members.weight_decay, dtype=np.float64),
        best=Best.start(_snapshot(params, settings)),
    )


def _snapshot(params: Floats, settings: TrainingSettings) -> Floats:
    """What is remembered of the best epoch: nothing where the last weights are kept."""
    return params if settings.patience is not None else params[:, :0]


def _blank(params: Floats, epochs: int) -> Trained:
    members = len(params)
    return Trained(
        params=np.empty_like(params),
        curves={name: np.full((members, epochs), np.nan) for name in CURVES},
        epochs=np.zeros(members, dtype=np.int64),
        best_epoch=np.zeros(members, dtype=np.int64),
        diverged=np.zeros(members, dtype=bool),
    )


def _settle(
    outcome: Trained,
    stack: _Stack,
    epoch: int,
    measured: dict[str, NDArray[np.float64]],
    settings: TrainingSettings,
) -> NDArray[np.bool_]:
    """Write one epoch into ``outcome`` and tell which members of ``stack`` leave it."""
    for name, values in measured.items():
        outcome.curves[name][stack.place, epoch] = values
    finite = np.isfinite(measured["train_loss"]) & np.isfinite(measured["val_loss"])
    snapshot = _snapshot(stack.params, settings)
    stack.best = stack.best.observe(epoch, measured["val_loss"], snapshot)
    leaving = ~finite | stack.best.exhausted(epoch, settings.patience)
    if epoch == settings.epochs - 1:
        leaving[:] = True
    gone = stack.place[leaving]
    restore = settings.patience is not None
    outcome.params[gone] = (stack.best.params if restore else stack.params)[leaving]
    outcome.best_epoch[gone] = stack.best.epoch[leaving] if restore else epoch
    outcome.epochs[gone] = epoch + 1
    outcome.diverged[gone] = ~finite[leaving]
    return leaving


@dataclass
class _Trainer:
    """What stays the same from epoch to epoch, and buffers that shrink when members leave."""

    architecture: Architecture
    settings: TrainingSettings
    optimizer: Optimizer
    training: Rows
    validation: Rows
    row_loss: RowLoss
    steps: int = 0
    orders: np.random.Generator = field(init=False)
    batch: Floats = field(init=False)
    work: Workspace | None = None

    def __post_init__(self) -> None:
        self.orders = np.random.default_rng(np.random.SeedSequence(self.settings.row_order))
        size = min(self.settings.batch_size, len(self.training))
        self.batch = np.empty((size, self.training.X.shape[1]), dtype=self.training.X.dtype)

    def epoch(self, stack: _Stack) -> dict[str, NDArray[np.float64]]:
        """One pass over the training rows and one look at the validation rows."""
        totals = np.zeros((2, len(stack.params)))
        for X, target in self._batches():
            totals += len(X) * self._step(stack, X, target)
        prediction = predict_blocks(self.architecture, stack.params, self.validation.X)
        means = totals / len(self.training)
        return {
            "train_loss": means[0],
            "train_score_loss": means[1],
            "val_loss": LOSSES[self.architecture.loss].value(prediction, self.validation.target),
            "val_score_loss": mean_over_rows(self.row_loss(prediction, self.validation.target)),
        }

    def _batches(self) -> Iterator[tuple[Floats, Target]]:
        order = self.orders.permutation(len(self.training))
        for start in range(0, len(order), len(self.batch)):
            rows = order[start : start + len(self.batch)]
            batch = self.batch[: len(rows)]
            # "clip" because the default mode copies through a buffer of its own.
            np.take(self.training.X, rows, axis=0, out=batch, mode="clip")
            yield batch, self.training.target[rows]

    def _step(self, stack: _Stack, X: Floats, target: Target) -> NDArray[np.float64]:
        """One update of every member; the loss and the mean row loss before it, (2, members)."""
        work = self._workspace(len(stack.params)).first(len(X))
        layers = self.architecture.layers(stack.params)
        prediction = forward(self.architecture, layers, X, work)
        loss = LOSSES[self.architecture.loss].value(prediction, target)
        measure = mean_over_rows(self.row_loss(prediction, target))
        gradients = self.architecture.layers(stack.gradient)
        backward(self.architecture, layers, gradients, X, target, work)
        self._update(stack)
        return np.stack([loss, measure])

    def _workspace(self, members: int) -> Workspace:
        if self.work is None or len(self.work.activations[0]) != members:
            dtype = self.training.X.dtype
            self.work = Workspace(self.architecture, members, len(self.batch), dtype)
        return self.work

    def _update(self, stack: _Stack) -> None:
        self.steps += 1
        row = stack.params.shape[1] * stack.params.itemsize * (2 + len(stack.state))
        size = max(1, CACHE_BYTES // row)
        for start in range(0, len(stack.params), size):
            part = slice(start, start + size)
            rate, params = stack.learning_rate[part], stack.params[part]
            weights = params[:, : self.architecture.n_weights]
            inplace_weight_decay(weights, rate, stack.weight_decay[part])
            state = tuple(buffer[part] for buffer in stack.state)
            self.optimizer.update_inplace(params, stack.gradient[part], state, self.steps, rate)
