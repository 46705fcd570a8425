"""Matrix products alone: the machine's peak, and the floor under a workload."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from benchmarks.workloads import Floats, Workload

Product = tuple[Floats, Floats, Floats]
"""Two factors and where their product goes."""


def gemm_peak(sides: tuple[int, ...] = (1024, 2048), tries: int = 2) -> float:
    """The most floating-point operations per processor second seen in square float32 products."""
    rng = np.random.default_rng(0)
    best = 0.0
    for side in sides:
        A, B = rng.random((2, side, side), dtype=np.float32)
        out = np.empty_like(A)
        for _ in range(tries):
            start = time.process_time()
            np.matmul(A, B, out=out)
            best = max(best, 2.0 * side**3 / (time.process_time() - start))
    return best


def contestant(workload: Workload, members: int) -> Callable[[], float]:
    """The products of training a stack and nothing else, in its shapes and with its buffers."""
    sizes, batches = workload.sizes, [batch.stop - batch.start for batch in workload.batches()]
    training = {rows: _products(sizes, members, rows, training=True) for rows in set(batches)}
    epoch = [product for rows in batches for product in training[rows]]
    epoch += _products(sizes, members, len(workload.split.X_validation), training=False)

    def run() -> float:
        for _ in range(workload.epochs):
            for left, right, out in epoch:
                np.matmul(left, right, out=out)
        return float("nan")

    return run


def _products(sizes: tuple[int, ...], members: int, rows: int, *, training: bool) -> list[Product]:
    """Forward and, for ``training``, the gradients of the weights and the hidden deltas."""
    weights = [_filled(1 / shape[0], members, *shape) for shape in pairwise(sizes)]
    outputs = [_filled(1, rows, sizes[0])]
    outputs += [_filled(1, members, rows, units) for units in sizes[1:]]
    products = list(zip(outputs, weights, outputs[1:], strict=False))
    if not training:
        return products
    gradients = [np.empty_like(matrix) for matrix in weights]
    deltas = [np.ones_like(output) for output in outputs]
    for index in reversed(range(len(weights))):
        delta = deltas[index + 1]
        products.append((_transposed(outputs[index]), delta, gradients[index]))
        if index:
            products.append((delta, _transposed(weights[index]), deltas[index]))
    return products


def _filled(value: float, *shape: int) -> Floats:
    return np.full(shape, value, dtype=np.float32)


def _transposed(array: Floats) -> Floats:
    return array.swapaxes(-1, -2)
