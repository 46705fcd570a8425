"""How a stack goes down its losses: rows block by block, members part by part, batch by batch.

An epoch's rows are taken in blocks of several mini-batches. For each block, a part of the members
whose parameters, gradients and buffers fit the cache together makes all its steps, then the next
part does. The order of the parts changes no number: members do not know of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats, Layer
from hpo.nn.augmentation import augment
from hpo.nn.losses import one_hot, smoothed
from hpo.nn.measuring import PerMember, RowLoss, Targets, means_of, shares_of, sums
from hpo.nn.members import Rows, Strengths, TrainingSettings
from hpo.nn.network import (
    Stack,
    TrainingPass,
    Workspace,
    backward,
    forward,
    inplace_output_delta,
    member_parts,
    with_ones,
)
from hpo.nn.normalization import statistics_rate
from hpo.nn.optimizers import Columns, Optimizer, State
from hpo.nn.regularizers import (
    draw_dropout,
    inplace_clip,
    inplace_max_norm,
    inplace_penalty_gradient,
    inplace_weight_decay,
    norms_of,
)

BLOCK_ROWS = 1024
"""Rows of a block, about: few calls to gather and to measure them, and little memory."""

BUFFERS = 3
"""Arrays as large as the widest layer's activations that a step needs besides these, about."""


@dataclass(eq=False)
class Progress:
    """What changes as members train, everything with one entry per member.

    ``steps``: updates made. ``seen``: rows that moving statistics have seen. ``state``: the
    optimiser's buffers. ``generators``: of dropout.
    """

    stack: Stack
    state: State
    steps: NDArray[np.int64]
    seen: PerMember
    strengths: Strengths
    generators: list[np.random.Generator]

    def keep(self, members: NDArray[np.bool_]) -> Progress:
        """The members that stay, in buffers of their own."""
        return Progress(
            Stack(self.stack.architecture, self.stack.params[members]),
            tuple(buffer[members] for buffer in self.state),
            self.steps[members],
            self.seen[members],
            self.strengths.part(members),
            [each for each, stays in zip(self.generators, members, strict=True) if stays],
        )


class _Batch(NamedTuple):
    """One mini-batch, and the numbers of the step that is made with it.

    ``rows``: its place in the block. ``shares`` and ``rate``: of `TrainingPass`. ``columns``
    (members, 1): the optimiser's coefficients; ``kept`` (members,): what weight decay leaves.
    """

    rows: slice
    shares: Floats
    rate: Floats
    columns: Columns
    kept: Floats


class _Block(NamedTuple):
    """Rows of several batches: inputs that end with ones, targets, row weights.

    ``wanted`` are the targets as what predictions are compared with, `one_hot` for classes.
    """

    inputs: Floats
    targets: Targets
    wanted: Targets
    weights: Floats | None
    batches: Sequence[_Batch]


@dataclass(eq=False)
class _Part:
    """Some members of a stack: views of what is theirs, buffers that the parts share."""

    members: slice
    stack: Stack
    strengths: Strengths
    generators: Sequence[np.random.Generator]
    trained: Floats
    state: State
    gradient: Floats
    gradients: Sequence[Layer]
    work: Workspace
    masks: Sequence[Floats]
    frozen: int
    views: dict[int, Workspace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = self.strengths
        self.decays = bool(numbers.weight_decay.any())
        self.bounded = bool(np.isfinite(numbers.max_norm).any())
        self.clips = bool(np.isfinite(numbers.clip_norm).any())
        self.smooths = bool(numbers.label_smoothing.any())
        self.penalised = bool(numbers.l1.any() or numbers.l2.any())
        self.weights = [layer.weights for layer in self.stack.layers[self.frozen :]]
        self.slopes = [layer.weights for layer in self.gradients[self.frozen :]]

    def work_for(self, rows: int) -> Workspace:
        """The buffers, as large as this part and ``rows`` rows need them."""
        if rows not in self.views:
            self.views[rows] = self.work.first(len(self.stack), rows)
        return self.views[rows]

    def of(self, numbers: Floats) -> Floats:
        """The part's own numbers, of those for each member or for all."""
        return numbers if len(numbers) == 1 else numbers[self.members]


class Descent:
    """Epochs over ``training`` rows, of a stack that members may leave in between."""

    def __init__(
        self,
        settings: TrainingSettings,
        optimizer: Optimizer,
        training: Rows,
        row_loss: RowLoss | None,
    ) -> None:
        self.settings = settings
        self.optimizer = optimizer
        self.training = training
        self.row_loss = row_loss
        self.batch_size = min(settings.batch_size, len(training))
        self.steps = -(-len(training) // self.batch_size)
        self.block_rows = self.batch_size * max(1, BLOCK_ROWS // self.batch_size)
        seeds = np.random.SeedSequence(settings.row_order)
        self._orders = np.random.default_rng(seeds)
        self._pictures = np.random.default_rng(seeds.spawn(1)[0])
        self._stack: Stack | None = None
        self._parts: list[_Part] = []
        self._memory: Floats = np.empty(0)

    def epoch(
        self, progress: Progress, members: NDArray[np.int64], first_steps: NDArray[np.int64]
    ) -> dict[str, PerMember]:
        """One pass over the training rows: running means of the losses, and of gradients' norms.

        ``members``: where each stood when training began; ``first_steps`` (members,): its steps
        before that.
        """
        self._lay_out(progress)
        architecture, weights = progress.stack.architecture, self.training.weights_of(members)
        count = len(progress.stack)
        added, norms = np.zeros((3, count)), np.zeros(count)
        for rows in self._blocks():
            block = self._gather(rows, weights, progress, first_steps)
            for part in self._parts:
                prediction = self._prediction(part, len(rows))
                for batch in block.batches:
                    norms[part.members] += self._step(part, block, batch, prediction)
                own = block.weights
                if own is not None and own.ndim == 2:
                    own = own[part.members]
                found = sums(architecture, prediction, block.targets, own, self.row_loss)
                added[:, part.members] += found
        train_loss, train_score_loss = means_of(added)
        asked = self.settings.gradient_norms | np.isfinite(progress.strengths.clip_norm)
        return {
            "train_loss": train_loss,
            "train_score_loss": train_score_loss,
            "gradient_norm": np.where(asked, norms / self.steps, np.nan),
        }

    def _blocks(self) -> Iterator[NDArray[np.int64]]:
        order = self._orders.permutation(len(self.training))
        for start in range(0, len(order), self.block_rows):
            yield order[start : start + self.block_rows]

    def _gather(
        self,
        rows: NDArray[np.int64],
        weights: Floats | None,
        progress: Progress,
        first_steps: NDArray[np.int64],
    ) -> _Block:
        """The block's rows, and what its steps need to know."""
        X, architecture = self.training.X[rows], progress.stack.architecture
        if self.settings.augmentation is not None:
            X = augment(X, self.settings.augmentation, self._pictures)
        dtype = progress.stack.params.dtype
        targets = tuple(target[rows] for target in self.training.targets)
        wanted = tuple(
            one_hot(target, head.n_outputs, dtype) if head.loss == "cross_entropy" else target
            for target, head in zip(targets, architecture.heads, strict=True)
        )
        own = None if weights is None else np.ascontiguousarray(weights[..., rows])
        batches = self._batches(len(rows), own, progress, first_steps)
        return _Block(with_ones(X, dtype), targets, wanted, own, batches)

    def _batches(
        self,
        rows: int,
        weights: Floats | None,
        progress: Progress,
        first_steps: NDArray[np.int64],
    ) -> list[_Batch]:
        """Count the steps of a block and work out their numbers, for all members at once."""
        starts = [*range(0, rows, self.batch_size), rows]
        steps = progress.steps + np.arange(1, len(starts))[:, None]
        progress.steps += len(steps)
        strengths, dtype = progress.strengths, progress.stack.params.dtype
        rates = strengths.learning_rate * self._factors(steps, first_steps)
        hyper = {**strengths.options, "learning_rate": rates}
        columns = [
            np.broadcast_to(each, steps.shape).astype(dtype)[..., None]
            for each in self.optimizer.coefficients(steps, hyper)
        ]
        kept = (1 - rates * strengths.weight_decay).astype(dtype)
        batches = []
        for number, (start, stop) in enumerate(pairwise(starts)):
            shares = shares_of(weights, np.arange(start, stop), dtype.type)
            rate = self._statistics_rate(shares, progress)
            own = tuple(column[number] for column in columns)
            batches.append(_Batch(slice(start, stop), shares, rate, own, kept[number]))
        return batches

    def _factors(self, steps: NDArray[np.int64], first_steps: NDArray[np.int64]) -> PerMember:
        """The schedule's factor at each of ``steps`` (steps, members)."""
        schedule, way = self.settings.schedule, self.settings.epochs * self.steps
        # Members that made other numbers of steps before are on ways of their own.
        factors = np.empty(steps.shape)
        for first in set(first_steps.tolist()):
            same = first_steps == first
            numbers = steps[:, same.argmax()].tolist()
            own = [schedule.factor(number, first + way) for number in numbers]
            factors[:, same] = np.array(own)[:, None]
        return factors

    def _statistics_rate(self, shares: Floats, progress: Progress) -> Floats:
        if progress.stack.architecture.batch_norm == "none":
            return shares[:, :, :1]  # nobody asks
        present = np.count_nonzero(shares, axis=(1, 2)).astype(np.float64)
        progress.seen += present
        rate = statistics_rate(present, progress.seen, self.batch_size)
        return rate.astype(shares.dtype)[:, None, None]

    def _lay_out(self, progress: Progress) -> None:
        """Cut the stack into parts, when it is another one than in the last epoch."""
        if self._stack is progress.stack:
            return
        self._stack, frozen = progress.stack, self.settings.frozen_layers
        architecture, dtype = progress.stack.architecture, progress.stack.params.dtype
        numbers = architecture.n_params * (2 + len(progress.state))
        units = sum(architecture.sizes[1:]) + BUFFERS * max(architecture.hidden, default=0)
        member_bytes = (numbers + self.batch_size * units) * dtype.itemsize
        members = member_parts(len(progress.stack), member_bytes)
        largest = progress.stack.part(members[0])
        drops = bool(progress.strengths.dropout[:, frozen:].any())
        work = Workspace.allocate(largest, self.batch_size, training=True, dropout=drops)
        masks = [
            np.ones((len(largest), self.batch_size, units), dtype)
            for units in architecture.hidden
            if drops
        ]
        gradient = np.zeros((len(largest), architecture.n_trainable), dtype)
        rows = min(self.block_rows, len(self.training))
        self._memory = np.empty(len(largest) * rows * architecture.n_outputs, dtype)
        self._parts = [self._part(progress, each, gradient, work, masks) for each in members]

    def _part(
        self,
        progress: Progress,
        members: slice,
        gradient: Floats,
        work: Workspace,
        masks: Sequence[Floats],
    ) -> _Part:
        stack, frozen = progress.stack.part(members), self.settings.frozen_layers
        architecture = stack.architecture
        trained = slice(architecture.layer_starts[frozen], architecture.n_trainable)
        gradient = gradient[: len(stack)]
        return _Part(
            members=members,
            stack=stack,
            strengths=progress.strengths.part(members),
            generators=progress.generators[members],
            trained=stack.params[:, trained],
            state=tuple(buffer[members] for buffer in progress.state),
            gradient=gradient[:, trained],
            gradients=architecture.layers(gradient),
            work=work,
            masks=[mask[: len(stack)] for mask in masks],
            frozen=frozen,
        )

    def _prediction(self, part: _Part, rows: int) -> Floats:
        """Where the part's predictions of a block are collected, (members, rows, outputs)."""
        shape = (part.stack.architecture.n_outputs, len(part.stack), rows)
        return self._memory[: math.prod(shape)].reshape(shape).transpose(1, 2, 0)

    def _step(self, part: _Part, block: _Block, batch: _Batch, seen: Floats) -> PerMember | float:
        """One update of every member of the part; the norms of the gradients, if asked for."""
        rows, frozen = batch.rows, part.frozen
        inputs = block.inputs[rows]
        work = part.work_for(len(inputs))
        masks = [mask[:, : len(inputs)] for mask in part.masks]
        if masks:
            draw_dropout(masks[frozen:], part.strengths.dropout[:, frozen:], part.generators)
        training = TrainingPass(part.of(batch.shares), part.of(batch.rate), masks, frozen)
        prediction = forward(part.stack, inputs, work, training)
        seen[:, rows] = prediction
        wanted = self._wanted(part, block, rows)
        inplace_output_delta(part.stack, prediction, wanted, training.shares)
        backward(part.stack, part.gradients, inputs, work, training)
        norms = self._adjust_gradient(part)
        self._update(part, batch)
        return norms

    def _wanted(self, part: _Part, block: _Block, rows: slice) -> Targets:
        chosen = tuple(target[rows] for target in block.wanted)
        if not part.smooths:
            return chosen
        heads = part.stack.architecture.heads
        return tuple(
            smoothed(target, part.strengths.label_smoothing)
            if head.loss == "cross_entropy"
            else target
            for target, head in zip(chosen, heads, strict=True)
        )

    def _adjust_gradient(self, part: _Part) -> PerMember | float:
        """Add the penalties' gradients and clip; the norms before clipping."""
        l1, l2 = part.strengths.l1, part.strengths.l2
        if part.penalised:
            for slope, weights in zip(part.slopes, part.weights, strict=True):
                inplace_penalty_gradient(slope, weights, l1, l2)
        if not (part.clips or self.settings.gradient_norms):
            return 0.0
        norms = norms_of(part.gradient)
        if part.clips:
            inplace_clip(part.gradient, norms, part.strengths.clip_norm)
        return norms

    def _update(self, part: _Part, batch: _Batch) -> None:
        if part.decays:
            kept = batch.kept[part.members]
            for weights in part.weights:
                inplace_weight_decay(weights, kept)
        columns = [column[part.members] for column in batch.columns]
        self.optimizer.update_inplace(part.trained, part.gradient, part.state, *columns)
        if part.bounded:
            for weights in part.weights:
                inplace_max_norm(weights, part.strengths.max_norm)
