"""Forward and backward: the only matrix products of the project.

The input rows are shared by all members, (rows, features); from the first layer on every array is
(members, rows, units). ``np.matmul`` makes one product per member, of the same shape whatever the
stack, so a member's numbers do not depend on its neighbours.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Architecture, Floats, Layer
from hpo.nn.losses import LOSSES, Target

PREDICTION_ROWS = 512
"""Rows of one block of ``predict``: fixed, because a product's last bit depends on its shape."""


class Workspace:
    """Buffers for one batch of a stack, allocated once.

    ``activations[i]`` and ``deltas[i]``: (members, rows, units of layer i + 1).
    """

    def __init__(self, architecture: Architecture, members: int, rows: int, dtype: Any) -> None:
        shapes = [(members, rows, units) for units in architecture.sizes[1:]]
        self.activations = [np.empty(shape, dtype=dtype) for shape in shapes]
        self.deltas = [np.empty(shape, dtype=dtype) for shape in shapes[:-1]]
        self.ones = np.ones((1, rows), dtype=dtype)

    def first(self, rows: int) -> Workspace:
        """Views of the first ``rows`` rows of the buffers, for the short last batch."""
        part = object.__new__(Workspace)
        part.activations = [buffer[:, :rows] for buffer in self.activations]
        part.deltas = [buffer[:, :rows] for buffer in self.deltas]
        part.ones = self.ones[:, :rows]
        return part


def forward(architecture: Architecture, layers: list[Layer], X: Floats, work: Workspace) -> Floats:
    """Predictions (members, rows, outputs) for ``X`` (rows, inputs), in a buffer of ``work``."""
    activation = ACTIVATIONS[architecture.activation]
    inputs = X
    for (weights, biases), outputs in zip(layers, work.activations, strict=True):
        np.matmul(inputs, weights, out=outputs)
        outputs += biases
        if outputs is not work.activations[-1]:
            activation.apply_inplace(outputs)
        inputs = outputs
    LOSSES[architecture.loss].activate_inplace(inputs)
    return inputs


def backward(
    architecture: Architecture,
    layers: list[Layer],
    gradients: list[Layer],
    X: Floats,
    target: Target,
    work: Workspace,
) -> None:
    """Write the gradient of the mean loss into ``gradients``; the predictions are overwritten.

    ``work`` must hold the activations of ``forward`` for the same ``X``.
    """
    activation = ACTIVATIONS[architecture.activation]
    delta = work.activations[-1]
    LOSSES[architecture.loss].inplace_delta(delta, target)
    for index in reversed(range(len(layers))):
        inputs = work.activations[index - 1] if index else X
        np.matmul(inputs.swapaxes(-1, -2), delta, out=gradients[index].weights)
        np.matmul(work.ones, delta, out=gradients[index].biases)
        if index:
            below = work.deltas[index - 1]
            np.matmul(delta, layers[index].weights.swapaxes(-1, -2), out=below)
            activation.inplace_derivative(work.activations[index - 1], below)
            delta = below


def predict(architecture: Architecture, params: Floats, X: Floats) -> Floats:
    """Probabilities or values (members, rows, outputs) of the stack ``params`` for ``X``."""
    with one_blas_thread(), np.errstate(all="ignore"):
        return predict_blocks(architecture, params, X)


def predict_blocks(architecture: Architecture, params: Floats, X: Floats) -> Floats:
    """``predict`` for a caller that holds one BLAS thread already."""
    members, rows = params.shape[0], X.shape[0]
    layers = architecture.layers(params)
    work = Workspace(architecture, members, min(rows, PREDICTION_ROWS), params.dtype)
    prediction = np.empty((members, rows, architecture.n_outputs), dtype=params.dtype)
    for start in range(0, rows, PREDICTION_ROWS):
        block = X[start : start + PREDICTION_ROWS]
        part = work.first(len(block))
        prediction[:, start : start + len(block)] = forward(architecture, layers, block, part)
    return prediction


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Hold the BLAS to one thread: with two, the last bit of a product depends on the machine."""
    limit: AbstractContextManager[Any] = _thread_pools().limit(limits=1, user_api="blas")
    return limit
