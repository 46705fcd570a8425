"""One network in float64, in the plainest way: layers one by one, derivatives by differences.

It shares no code with what it is compared with, and no formula of a derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, huber, log_expit

from hpo.nn.architecture import Architecture
from hpo.nn.members import Rows

Doubles = NDArray[np.float64]

CURVES: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "softplus": lambda z: -log_expit(-z),
    "identity": lambda z: z,
    "relu": lambda z: np.where(z > 0, z, 0.0),
}


@dataclass
class PlainLayer:
    """Weights, biases, and what batch normalisation has, if there is any."""

    weights: Doubles
    biases: Doubles
    scale: Doubles
    shift: Doubles
    mean: Doubles
    variance: Doubles


def unpack(architecture: Architecture, flat: Any) -> list[PlainLayer]:
    """Cut one member's numbers into layers, in the order that the documentation gives."""
    numbers, used = np.asarray(flat, dtype=np.float64), 0

    def take(*shape: int) -> Doubles:
        nonlocal used
        start, used = used, used + math.prod(shape)
        return numbers[start:used].reshape(shape).copy()

    nothing = np.empty(0)
    layers = []
    for place, (inputs, outputs) in enumerate(pairwise(architecture.sizes)):
        layer = PlainLayer(take(inputs, outputs), take(outputs), *[nothing] * 4)
        if architecture.batch_norm != "none" and place < len(architecture.hidden):
            layer.scale, layer.shift = take(outputs), take(outputs)
        layers.append(layer)
    if architecture.batch_norm != "none":
        for layer in layers[:-1]:
            layer.mean, layer.variance = take(len(layer.biases)), take(len(layer.biases))
    assert used == len(numbers)
    return layers


def pack(layers: list[PlainLayer]) -> Doubles:
    trained = [[x.weights.ravel(), x.biases, x.scale, x.shift] for x in layers]
    moving = [[x.mean, x.variance] for x in layers]
    return np.concatenate([part for parts in [*trained, *moving] for part in parts])


def outputs_of(
    architecture: Architecture,
    layers: list[PlainLayer],
    X: Any,
    shares: Doubles | None = None,
    frozen: int = 0,
    statistics: dict[int, tuple[Doubles, Doubles]] | None = None,
) -> Doubles:
    """Last pre-activations (rows, outputs), with the rows' own statistics if there are shares.

    ``statistics`` collects those of each layer.
    """
    values = np.asarray(X, dtype=np.float64)
    curve = CURVES[architecture.activation]
    for place, layer in enumerate(layers[:-1]):

        def normalised(z: Doubles, place: int = place, layer: PlainLayer = layer) -> Doubles:
            mean, variance = layer.mean, layer.variance
            if shares is not None and place >= frozen:
                mean = (shares[:, None] * z).sum(axis=0)
                variance = (shares[:, None] * (z - mean) ** 2).sum(axis=0)
                if statistics is not None:
                    statistics[place] = mean, variance
            return layer.scale * (z - mean) / np.sqrt(variance + 1e-5) + layer.shift

        values = values @ layer.weights + layer.biases
        if architecture.batch_norm == "before":
            values = normalised(values)
        values = curve(values)
        if architecture.batch_norm == "after":
            values = normalised(values)
    return values @ layers[-1].weights + layers[-1].biases


def losses_of(
    architecture: Architecture, outputs: Doubles, targets: Any, smoothing: float = 0.0
) -> Doubles:
    """Loss of each row, (rows,)."""
    total: Doubles = np.zeros(len(outputs))
    start = 0
    for head, target in zip(architecture.heads, targets, strict=True):
        z = outputs[:, start : start + head.n_outputs]
        start += head.n_outputs
        if head.loss == "cross_entropy":
            wanted = np.eye(head.n_outputs)[target]
            wanted = (1 - smoothing) * wanted + smoothing / head.n_outputs
            losses = wanted * (np.log(np.exp(z).sum(axis=1, keepdims=True)) - z)
        elif head.loss == "binary_cross_entropy":
            losses = -target * log_expit(z) - (1 - target) * log_expit(-z)
        elif head.loss == "huber":
            losses = huber(1.0, z - target)
        else:
            losses = (z - target) ** 2 / 2
        total = total + head.weight * losses.sum(axis=1)
    return total


def differences(loss: Callable[[Doubles], float], flat: Doubles, distance: float = 1e-5) -> Doubles:
    """Central differences of ``loss`` in each number."""
    gradient = np.empty_like(flat)
    for place in range(len(flat)):
        up, down = flat.copy(), flat.copy()
        up[place] += distance
        down[place] -= distance
        gradient[place] = (loss(up) - loss(down)) / (2 * distance)
    return gradient


@dataclass(frozen=True)
class Descent:
    """Settings of plain gradient descent."""

    epochs: int
    batch_size: int
    rate: float
    decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    smoothing: float = 0.0
    max_norm: float = np.inf
    clip_norm: float = np.inf
    frozen: int = 0
    row_order: int = 0


def descend(
    architecture: Architecture, flat: Any, rows: Rows, how: Descent, weights: Any = None
) -> Doubles:
    """All numbers of one network after gradient descent on ``rows``."""
    numbers: Doubles = np.array(flat, dtype=np.float64)
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, float)
    orders = np.random.default_rng(np.random.SeedSequence(how.row_order))
    size, seen = min(how.batch_size, len(rows)), 0
    for _ in range(how.epochs):
        order = orders.permutation(len(rows))
        for start in range(0, len(rows), size):
            chosen = order[start : start + size]
            present = int(np.count_nonzero(weights[chosen]))
            seen += present
            rate = max(present / seen, 0.1 * present / size)
            shares = weights[chosen] / weights[chosen].sum()
            batch = Rows(rows.X[chosen], tuple(target[chosen] for target in rows.targets))
            numbers = _descend_once(architecture, numbers, batch, shares, rate, how)
    return numbers


def _descend_once(
    architecture: Architecture,
    flat: Doubles,
    batch: Rows,
    shares: Doubles,
    statistics_rate: float,
    how: Descent,
) -> Doubles:
    normalised = architecture.batch_norm != "none"
    frozen = list(pairwise(architecture.sizes))[: how.frozen]
    first = sum((inputs + 1 + 2 * normalised) * outputs for inputs, outputs in frozen)
    last = len(flat) - 2 * normalised * sum(architecture.hidden)

    def loss(numbers: Doubles) -> float:
        layers = unpack(architecture, np.concatenate([flat[:first], numbers, flat[last:]]))
        outputs = outputs_of(architecture, layers, batch.X, shares, how.frozen)
        total = shares @ losses_of(architecture, outputs, batch.targets, how.smoothing)
        for layer in layers[how.frozen :]:
            total += how.l1 * np.abs(layer.weights).sum() + how.l2 / 2 * (layer.weights**2).sum()
        return float(total)

    gradient = differences(loss, flat[first:last])
    gradient *= min(1.0, how.clip_norm / np.sqrt((gradient**2).sum()))
    layers = unpack(architecture, flat)
    statistics: dict[int, tuple[Doubles, Doubles]] = {}
    outputs_of(architecture, layers, batch.X, shares, how.frozen, statistics)
    for layer in layers[how.frozen :]:
        layer.weights *= 1 - how.rate * how.decay
    for place, (mean, variance) in statistics.items():
        layers[place].mean += statistics_rate * (mean - layers[place].mean)
        layers[place].variance += statistics_rate * (variance - layers[place].variance)
    flat = pack(layers)
    flat[first:last] -= how.rate * gradient
    layers = unpack(architecture, flat)
    for layer in layers[how.frozen :]:
        for unit in range(layer.weights.shape[1]):
            norm = np.sqrt((layer.weights[:, unit] ** 2).sum())
            if norm > how.max_norm:
                layer.weights[:, unit] *= how.max_norm / norm
    return pack(layers)
