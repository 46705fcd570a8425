"""The epoch loop: a stack of networks trained together, each on its own terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.descent import Descent, Progress
from hpo.nn.initializers import RandomState, initial_params
from hpo.nn.measuring import RowLoss, WholeLoss, means
from hpo.nn.members import LEAST, MONITORS, PRECISIONS, Members, Rows, Strengths, TrainingSettings
from hpo.nn.names import find
from hpo.nn.network import Predictor, Stack
from hpo.nn.optimizers import OPTIMIZERS, Optimizer, State
from hpo.nn.stopping import Best
from hpo.nn.threads import one_blas_thread

CURVES = ("train_loss", "train_score_loss", "val_loss", "val_score_loss", "gradient_norm")
"""What is kept of each epoch: the loss, without penalties and label smoothing, and the mean row
loss of the metric, over the training rows (a running mean, as the weights change) and the
validation rows, of these also the whole loss instead, NaN where there is none; and the mean norm of
the gradients before clipping, NaN where it was neither asked for nor needed."""

Curves = Mapping[str, NDArray[np.float64]]
Hopeless = Callable[[int, Curves], NDArray[np.bool_]]
"""Epoch from 0 and the curves so far -> which of all members to drop, (members,)."""


@dataclass(frozen=True)
class Start:
    """Where training goes on.

    ``params`` (members, n_params), whose type all is computed in, and, to continue an optimiser's
    path, its ``state``, buffers of shape (members, trainable), after ``steps`` steps, one number or
    one for each member.
    """

    params: Floats
    state: State = ()
    steps: int | NDArray[np.int64] = 0

    def check(
        self,
        architecture: Architecture,
        settings: TrainingSettings,
        members: int,
        optimizer: Optimizer,
    ) -> None:
        """Raise ``ValueError`` if ``members`` networks cannot start here."""
        if self.params.shape != (members, architecture.n_params):
            raise ValueError(
                f"parameters of shape {self.params.shape} are no start for {members} networks of "
                f"{architecture.n_params}"
            )
        if self.params.dtype not in PRECISIONS:
            raise ValueError(f"parameters must be float32 or float64, got {self.params.dtype}")
        first = architecture.layer_starts[settings.frozen_layers]
        shape = (members, architecture.n_trainable - first)
        if self.state and [each.shape for each in self.state] != [shape] * optimizer.slots:
            raise ValueError(
                f"state of shapes {[each.shape for each in self.state]} does not fit "
                f"{settings.optimizer}, which keeps {optimizer.slots} of {shape}"
            )
        steps = np.asarray(self.steps)
        if steps.shape not in ((), (members,)):
            raise ValueError(f"{steps.size} numbers of steps are no start for {members} networks")
        if not np.issubdtype(steps.dtype, np.integer) or (steps < 0).any():
            raise ValueError(f"steps are whole numbers from 0, got {steps.min()}")


@dataclass(frozen=True)
class Trained:
    """The outcome of ``train``.

    Shapes: ``params`` (members, n_params); each of ``curves`` (members, epochs), NaN after a
    member's last epoch; ``epochs`` (members,) epochs run; ``best_epoch`` (members,) the epoch from
    0 whose weights were kept; ``diverged`` (members,), whose params mean nothing; ``dropped``
    (members,), which were called hopeless. ``seconds`` (epochs,) of the whole stack. ``state`` and
    ``steps`` (members,) are the optimiser's after a member's last epoch, for a `Start`.
    """

    params: Floats
    curves: dict[str, NDArray[np.float64]]
    epochs: NDArray[np.int64]
    best_epoch: NDArray[np.int64]
    diverged: NDArray[np.bool_]
    dropped: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    state: State
    steps: NDArray[np.int64]


@dataclass(eq=False)
class _Running:
    """The members that still train. ``place``: where each stood when training began."""

    place: NDArray[np.int64]
    progress: Progress
    best: Best

    def __len__(self) -> int:
        return len(self.place)

    @property
    def params(self) -> Floats:
        """Their present parameters."""
        return self.progress.stack.params

    def keep(self, members: NDArray[np.bool_]) -> _Running:
        return _Running(self.place[members], self.progress.keep(members), self.best.keep(members))


def train(
    architecture: Architecture,
    settings: TrainingSettings,
    members: Members,
    training: Rows,
    validation: Rows | None,
    row_loss: RowLoss | None = None,
    *,
    whole_loss: WholeLoss | None = None,
    start: Start | None = None,
    hopeless: Hopeless | None = None,
) -> Trained:
    """Train one network per member and measure it on ``validation`` after every epoch.

    ``row_loss`` or ``whole_loss`` is what a metric comes to: one that is a mean over rows, or not.

    A member's numbers are those it would have alone, bit for bit. One that diverges (a loss that
    is not finite) leaves the stack marked, and so does one that ``hopeless`` names; nothing is
    raised for them. ``ValueError`` is raised for settings and rows that cannot be used.
    """
    optimizer = find(OPTIMIZERS, settings.optimizer, "optimizer")
    _check_settings(architecture, settings, validation, row_loss)
    strengths = Strengths.of(members, len(architecture.hidden), optimizer)
    training.check(architecture, len(members), "training rows")
    if validation is not None:
        validation.check(architecture, len(members), "validation rows")
    with one_blas_thread(), np.errstate(all="ignore"):
        if start is None:
            params = initial_params(architecture, members.random_state, members.initializer)
            start = Start(params.astype(training.X.dtype, copy=False))
        start.check(architecture, settings, len(members), optimizer)
        descent = Descent(settings, optimizer, training, row_loss)
        running = _begin(architecture, settings, members, strengths, start, optimizer, descent)
        first_steps = running.progress.steps.copy()
        outcome = _blank(running, settings.epochs)
        held_out = _Validation(validation, row_loss, whole_loss)
        for epoch in range(settings.epochs):
            began = time.perf_counter()
            measured = descent.epoch(running.progress, running.place, first_steps[running.place])
            measured |= held_out.measure(running, epoch)
            outcome.seconds[epoch] = time.perf_counter() - began
            leaving = _settle(outcome, running, epoch, measured, settings, validation, hopeless)
            if leaving.all():
                break
            if leaving.any():
                running = running.keep(~leaving)
    return outcome


def _check_settings(
    architecture: Architecture,
    settings: TrainingSettings,
    validation: Rows | None,
    row_loss: RowLoss | None,
) -> None:
    activation = find(ACTIVATIONS, architecture.activation, "activation")
    if not activation.trainable and settings.frozen_layers < len(architecture.hidden):
        raise ValueError(f"activation {architecture.activation!r} has no derivative to train with")
    for name, least in LEAST.items():
        value = getattr(settings, name)
        if value is not None and not value >= least:  # NaN is not
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 <= settings.frozen_layers <= len(architecture.hidden):
        raise ValueError(
            f"of {len(architecture.hidden) + 1} layers, {settings.frozen_layers} cannot be frozen: "
            "at least the last one trains"
        )
    if settings.patience is not None:
        _check_monitor(settings, validation, row_loss)


def _check_monitor(
    settings: TrainingSettings, validation: Rows | None, row_loss: RowLoss | None
) -> None:
    if settings.monitor not in MONITORS:
        raise ValueError(f"monitor is one of {', '.join(MONITORS)}, not {settings.monitor!r}")
    if settings.monitor == "train_loss":
        return
    if validation is None:
        raise ValueError(f"patience watches {settings.monitor}, and there are no validation rows")
    if settings.monitor == "val_score_loss" and row_loss is None:
        raise ValueError("patience watches val_score_loss, and there is no row_loss to give it")


def _begin(
    architecture: Architecture,
    settings: TrainingSettings,
    members: Members,
    strengths: Strengths,
    start: Start,
    optimizer: Optimizer,
    descent: Descent,
) -> _Running:
    params = start.params.copy()
    first = architecture.layer_starts[settings.frozen_layers]
    trained = params[:, first : architecture.n_trainable]
    steps = np.broadcast_to(start.steps, len(params)).astype(np.int64)
    progress = Progress(
        stack=Stack(architecture, params),
        state=tuple(map(np.copy, start.state)) or optimizer.init(trained),
        steps=steps,
        # Of earlier training only the steps are known; statistics are past their first rows.
        seen=steps.astype(np.float64) * descent.batch_size,
        strengths=strengths,
        generators=[_dropout_generator(state) for state in members.random_state],
    )
    return _Running(np.arange(len(params)), progress, Best.start(_snapshot(params, settings)))


def _dropout_generator(random_state: RandomState) -> np.random.Generator:
    seeds = np.random.SeedSequence(random_state, spawn_key=(1,))
    return np.random.Generator(np.random.SFC64(seeds))


def _snapshot(params: Floats, settings: TrainingSettings) -> Floats:
    """What is remembered of the best epoch: nothing where the last weights are kept."""
    return params if settings.patience is not None else params[:, :0]


def _blank(running: _Running, epochs: int) -> Trained:
    members = len(running)
    return Trained(
        params=np.empty_like(running.params),
        curves={name: np.full((members, epochs), np.nan) for name in CURVES},
        epochs=np.zeros(members, dtype=np.int64),
        best_epoch=np.zeros(members, dtype=np.int64),
        diverged=np.zeros(members, dtype=bool),
        dropped=np.zeros(members, dtype=bool),
        seconds=np.full(epochs, np.nan),
        state=tuple(np.empty_like(buffer) for buffer in running.progress.state),
        steps=np.zeros(members, dtype=np.int64),
    )


class _Validation:
    """Measures the members that still train on the validation rows, if there are any."""

    def __init__(
        self, rows: Rows | None, row_loss: RowLoss | None, whole_loss: WholeLoss | None
    ) -> None:
        self.rows = rows
        self.row_loss = row_loss
        self.whole_loss = whole_loss
        self._predictor: Predictor | None = None

    def measure(self, running: _Running, epoch: int) -> dict[str, NDArray[np.float64]]:
        """Loss, and mean row loss or whole loss, of every member, NaN without rows."""
        stack, rows = running.progress.stack, self.rows
        if rows is None:
            nothing = np.full(len(stack), np.nan)
            return {"val_loss": nothing, "val_score_loss": nothing}
        if self._predictor is None or self._predictor.stack is not stack:
            self._predictor = Predictor(stack, len(rows))
        prediction, weights = self._predictor(rows.X), rows.weights_of(running.place)
        loss, score = means(stack.architecture, prediction, rows.targets, weights, self.row_loss)
        if self.whole_loss is not None:
            score = self.whole_loss(epoch, running.place, prediction)
        return {"val_loss": loss, "val_score_loss": score}


def _settle(
    outcome: Trained,
    running: _Running,
    epoch: int,
    measured: Curves,
    settings: TrainingSettings,
    validation: Rows | None,
    hopeless: Hopeless | None,
) -> NDArray[np.bool_]:
    """Write one epoch into ``outcome`` and tell which members of ``running`` leave it."""
    for name, values in measured.items():
        outcome.curves[name][running.place, epoch] = values
    finite = np.isfinite(measured["train_loss"])
    if validation is None:
        finite &= np.isfinite(running.params).all(axis=1)
    else:
        finite &= np.isfinite(measured["val_loss"])
    snapshot = _snapshot(running.params, settings)
    watched = (
        measured[settings.monitor] if settings.patience is not None else measured["train_loss"]
    )
    running.best = running.best.observe(epoch, watched, snapshot, settings.min_delta)
    dropped = np.zeros(len(running), dtype=bool)
    if hopeless is not None:
        dropped = hopeless(epoch, outcome.curves)[running.place] & finite
    leaving = ~finite | dropped | running.best.exhausted(epoch, settings.patience)
    if epoch == settings.epochs - 1:
        leaving[:] = True
    _release(outcome, running, epoch, leaving, restore=settings.patience is not None)
    outcome.diverged[running.place[leaving]] = ~finite[leaving]
    outcome.dropped[running.place[leaving]] = dropped[leaving]
    return leaving


def _release(
    outcome: Trained, running: _Running, epoch: int, leaving: NDArray[np.bool_], *, restore: bool
) -> None:
    """Write the networks of the members that leave."""
    gone = running.place[leaving]
    params = running.best.params if restore else running.params
    outcome.params[gone] = params[leaving]
    for kept, buffer in zip(outcome.state, running.progress.state, strict=True):
        kept[gone] = buffer[leaving]
    outcome.best_epoch[gone] = running.best.epoch[leaving] if restore else epoch
    outcome.epochs[gone] = epoch + 1
    outcome.steps[gone] = running.progress.steps[leaving]
