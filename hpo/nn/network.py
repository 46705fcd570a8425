"""Forward and backward, where the time is spent: the matrix products of the layers.

The input rows are shared by all members, (rows, features + 1); from the first layer on every array
is (members, rows, units). ``np.matmul`` makes one product per member, of the same shape whatever
the stack, so a member's numbers do not depend on its neighbours.

Inputs and every buffer of activations have one more column, which holds a 1 and meets the biases.
The outputs stand class by class in memory, (outputs, members, rows), and are seen as (members,
rows, outputs): a softmax over few classes is then made of long rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from hpo.nn.activations import ACTIVATIONS, Activation
from hpo.nn.architecture import Architecture, Floats, Layer, Moving
from hpo.nn.losses import LOSSES, Loss, Target
from hpo.nn.names import find
from hpo.nn.normalization import (
    Normalized,
    inplace_normalize,
    inplace_normalize_by_moving,
    inplace_normalize_delta,
)
from hpo.nn.threads import one_blas_thread

PREDICTION_ROWS = 512
"""Rows of one block of ``predict``."""

CACHE_BYTES = 6 << 20
"""What is worked on at once: a few times the second-level cache, for the calls' own cost counts."""


@dataclass(frozen=True, eq=False)
class Stack:
    """The parameters of a stack of networks, ``params`` (members, n_params), and views of them."""

    architecture: Architecture
    params: Floats

    def __len__(self) -> int:
        return len(self.params)

    @cached_property
    def layers(self) -> list[Layer]:
        """Views of each layer."""
        return self.architecture.layers(self.params)

    @cached_property
    def moving(self) -> list[Moving]:
        """Views of each hidden layer's moving statistics."""
        return self.architecture.moving(self.params)

    @cached_property
    def activation(self) -> Activation:
        """The hidden activation."""
        return find(ACTIVATIONS, self.architecture.activation, "activation")

    @cached_property
    def heads(self) -> list[tuple[slice, Loss, float]]:
        """Where each head stands among the outputs, its loss and its weight."""
        heads = zip(self.architecture.head_slices, self.architecture.heads, strict=True)
        return [(where, find(LOSSES, head.loss, "loss"), head.weight) for where, head in heads]

    @cached_property
    def keeps_ones(self) -> bool:
        """Whether the activation leaves a 1 as it is, so that columns of ones stay such."""
        ones = np.ones((1, 1, 1), self.params.dtype)
        out = np.empty_like(ones) if self.activation.from_input else ones
        self.activation.apply(ones, out)
        return bool(out[0, 0, 0] == 1)

    def part(self, members: slice) -> Stack:
        """The same networks, but only ``members`` of them."""
        return Stack(self.architecture, self.params[members])


class TrainingPass(NamedTuple):
    """What makes a forward pass one of training.

    ``shares`` (1 or members, 1, rows): each row's share in the batch, adding up to 1 (or 0, if no
    row counts for a member). ``rate`` (1 or members, 1, 1): how far moving statistics move.
    ``masks``: dropout of each hidden layer, (members, rows, units), or none. Layers before
    ``frozen`` work as in inference, without dropout too.
    """

    shares: Floats
    rate: Floats
    masks: Sequence[Floats] = ()
    frozen: int = 0


@dataclass(frozen=True, eq=False)
class Workspace:
    """Buffers for one batch of a stack, allocated once.

    For hidden layer i: ``linear[i]``, ``active[i]``, ``hidden[i]`` and ``deltas[i]`` (members,
    rows, units + 1) hold pre-activations, activations, what the next layer gets, and derivatives;
    some are the same array. ``output`` is (members, rows, outputs).
    """

    linear: tuple[Floats, ...]
    active: tuple[Floats, ...]
    hidden: tuple[Floats, ...]
    deltas: tuple[Floats, ...]
    scratch: tuple[Floats, ...]
    normalized: tuple[Normalized, ...]
    output: Floats

    @classmethod
    def allocate(
        cls, stack: Stack, rows: int, *, training: bool = False, dropout: bool = False
    ) -> Workspace:
        """Buffers for batches of at most ``rows`` rows, for inference unless ``training``."""
        architecture, members, dtype = stack.architecture, len(stack), stack.params.dtype
        shapes = [(members, rows, units + 1) for units in architecture.hidden]
        from_input = stack.activation.from_input
        changed_after = architecture.batch_norm == "after" or dropout
        linear = _buffers(shapes, dtype)
        active = _buffers(shapes, dtype) if from_input else linear
        keeps_active = training and changed_after and not from_input
        hidden = _buffers(shapes, dtype) if keeps_active else active
        # Of the derivatives, only one layer's and the next one's live at a time.
        deltas = [_shared(shapes, dtype), _shared(shapes, dtype)] if training else [(), ()]
        normalized: tuple[Normalized, ...] = ()
        if training and architecture.batch_norm != "none":
            normalized = tuple(_normalized(members, rows, n, dtype) for n in architecture.hidden)
        # One member more keeps the strides of a member alone apart from those of a plain matrix,
        # which NumPy would multiply in another way.
        output = np.ones((architecture.n_outputs, members + 1, rows), dtype)
        return cls(
            linear=linear,
            active=active,
            hidden=hidden,
            deltas=tuple(deltas[i % 2][i] for i in range(len(deltas[0]))),
            scratch=_shared(shapes, dtype) if training else (),
            normalized=normalized,
            output=output[:, :members].transpose(1, 2, 0),
        )

    def first(self, members: int, rows: int) -> Workspace:
        """Views of the buffers for fewer members or rows."""
        views: dict[int, Floats] = {}  # the same array stays the same array

        def part(buffers: tuple[Floats, ...]) -> tuple[Floats, ...]:
            return tuple(views.setdefault(id(each), each[:members, :rows]) for each in buffers)

        if (members, rows) == self.output.shape[:2]:
            return self
        return Workspace(
            linear=part(self.linear),
            active=part(self.active),
            hidden=part(self.hidden),
            deltas=part(self.deltas),
            scratch=part(self.scratch),
            normalized=tuple(each.first(members, rows) for each in self.normalized),
            output=self.output[:members, :rows],
        )


Shapes = Sequence[tuple[int, int, int]]


def _buffers(shapes: Shapes, dtype: Any) -> tuple[Floats, ...]:
    """A buffer of each shape."""
    return tuple(np.ones(shape, dtype) for shape in shapes)


def _shared(shapes: Shapes, dtype: Any) -> tuple[Floats, ...]:
    """One buffer, seen in each shape."""
    # Zeros, for the last column is multiplied by derivatives again and again; from other numbers
    # than 0 it would fade to subnormal ones, which are slow.
    memory = np.zeros(max(map(math.prod, shapes), default=0), dtype)
    return tuple(memory[: math.prod(shape)].reshape(shape) for shape in shapes)


def _normalized(members: int, rows: int, units: int, dtype: Any) -> Normalized:
    return Normalized(np.ones((members, rows, units), dtype), np.ones((members, 1, units), dtype))


def with_ones(X: Floats, dtype: Any) -> Floats:
    """``X`` (rows, features) with one more column, of ones."""
    inputs: Floats = np.ones((len(X), X.shape[1] + 1), dtype)
    inputs[:, :-1] = X
    return inputs


def forward(
    stack: Stack, inputs: Floats, work: Workspace, training: TrainingPass | None = None
) -> Floats:
    """Predictions (members, rows, outputs), in ``work.output``.

    ``inputs`` (rows, features + 1) end with a column of ones, see `with_ones`.
    """
    architecture = stack.architecture
    for index, layer in enumerate(stack.layers[:-1]):
        linear, active, outputs = work.linear[index], work.active[index], work.hidden[index]
        np.matmul(inputs, layer.matrix, out=linear[..., :-1])
        if architecture.batch_norm == "before":
            _normalize(stack, work, index, linear[..., :-1], training)
        stack.activation.apply(linear, active)
        if outputs is not active:
            np.copyto(outputs, active)
        if architecture.batch_norm == "after":
            _normalize(stack, work, index, outputs[..., :-1], training)
        if training is not None and training.masks and index >= training.frozen:
            outputs[..., :-1] *= training.masks[index]
        if not stack.keeps_ones:
            outputs[..., -1] = 1
        inputs = outputs
    np.matmul(inputs, stack.layers[-1].matrix, out=work.output)
    for where, loss, _ in stack.heads:
        loss.activate_inplace(work.output[..., where])
    return work.output


def _normalize(
    stack: Stack, work: Workspace, index: int, z: Floats, training: TrainingPass | None
) -> None:
    layer, moving = stack.layers[index], stack.moving[index]
    if training is None or index < training.frozen:
        inplace_normalize_by_moving(z, layer, moving)
    else:
        kept = work.normalized[index]
        inplace_normalize(z, layer, training.shares, kept, moving, training.rate)


def inplace_output_delta(
    stack: Stack, prediction: Floats, targets: Sequence[Target], shares: Floats
) -> None:
    """Overwrite predictions by the derivative of the weighted mean loss of the batch.

    ``targets``: one for each head. ``shares`` as in `TrainingPass`.
    """
    by_row = shares.swapaxes(1, 2)
    for (where, loss, weight), target in zip(stack.heads, targets, strict=True):
        part = prediction[..., where]
        loss.inplace_delta(part, target)
        part *= by_row if weight == 1 else by_row * part.dtype.type(weight)


def backward(
    stack: Stack,
    gradients: Sequence[Layer],
    inputs: Floats,
    work: Workspace,
    training: TrainingPass,
) -> None:
    """Write the gradient of the batch's loss into ``gradients``, from ``training.frozen`` on.

    ``inputs`` are those of ``forward``; ``work`` holds its activations and, in ``output``, the
    derivative of the loss with respect to the last pre-activations; both are overwritten.
    """
    delta = work.output
    for index in reversed(range(training.frozen, len(stack.layers))):
        below_inputs = work.hidden[index - 1] if index else inputs
        np.matmul(below_inputs.swapaxes(-1, -2), delta, out=gradients[index].matrix)
        if index == training.frozen:
            return
        below = work.deltas[index - 1]
        np.matmul(delta, stack.layers[index].weights.swapaxes(-1, -2), out=below[..., :-1])
        _backward_through_units(stack, gradients[index - 1], work, training, index - 1)
        delta = below[..., :-1]


def _backward_through_units(
    stack: Stack, gradient: Layer, work: Workspace, training: TrainingPass, index: int
) -> None:
    """From the derivative by a layer's outputs to that by its products with the weights."""
    batch_norm, activation = stack.architecture.batch_norm, stack.activation
    delta, scratch = work.deltas[index], work.scratch[index]
    if training.masks:
        delta[..., :-1] *= training.masks[index]
    if batch_norm == "after":
        _backward_through_normalization(stack, gradient, work, training, index)
    kept = work.linear[index] if activation.from_input else work.active[index]
    activation.inplace_derivative(kept, delta, scratch)
    if batch_norm == "before":
        _backward_through_normalization(stack, gradient, work, training, index)


def _backward_through_normalization(
    stack: Stack, gradient: Layer, work: Workspace, training: TrainingPass, index: int
) -> None:
    delta, scratch = work.deltas[index][..., :-1], work.scratch[index][..., :-1]
    layer, kept = stack.layers[index], work.normalized[index]
    inplace_normalize_delta(delta, layer, gradient, training.shares, kept, scratch)


def predict(architecture: Architecture, params: Floats, X: Floats) -> Floats:
    """Probabilities or values (members, rows, outputs) of the stack ``params`` for ``X``.

    Computed in the type of ``params``. A member's prediction does not depend on its neighbours;
    a row's may, in the last bits, as the BLAS adds in another order at the edges of a block.
    """
    with one_blas_thread(), np.errstate(all="ignore"):
        return np.ascontiguousarray(Predictor(Stack(architecture, params), len(X))(X))


class Predictor:
    """Predicts at most ``rows`` rows with a stack, whose parameters may change in between.

    Its caller holds one BLAS thread.
    """

    def __init__(self, stack: Stack, rows: int) -> None:
        self.stack = stack
        architecture, itemsize = stack.architecture, stack.params.itemsize
        size, units = min(rows, PREDICTION_ROWS), sum(architecture.sizes[1:])
        parts = member_parts(len(stack), (architecture.n_params + size * units) * itemsize)
        self._parts = [(part, stack.part(part)) for part in parts]
        self._work = Workspace.allocate(self._parts[0][1], size)

    def __call__(self, X: Floats) -> Floats:
        """Predictions (members, rows, outputs), class by class in memory."""
        stack, dtype = self.stack, self.stack.params.dtype
        shape = (stack.architecture.n_outputs, len(stack), len(X))
        prediction = np.empty(shape, dtype).transpose(1, 2, 0)
        for start in range(0, len(X), PREDICTION_ROWS):
            inputs = with_ones(X[start : start + PREDICTION_ROWS], dtype)
            where = slice(start, start + len(inputs))
            for part, each in self._parts:
                work = self._work.first(len(each), len(inputs))
                prediction[part, where] = forward(each, inputs, work)
        return prediction


def member_parts(members: int, member_bytes: int) -> list[slice]:
    """Members in parts of about the same size, whose numbers fit the cache together."""
    largest = max(1, CACHE_BYTES // member_bytes)
    count = max(1, -(-members // largest))
    ends = [members * number // count for number in range(count + 1)]
    # The largest part stands first: its buffers serve all.
    sizes = sorted((stop - start for start, stop in pairwise(ends)), reverse=True)
    starts = [0, *accumulate(sizes)]
    return [slice(start, stop) for start, stop in pairwise(starts)]
