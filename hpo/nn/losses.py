"""Losses with the output activation that belongs to them: name -> (activate, row loss, delta).

Softmax goes with cross entropy, the sigmoid with binary cross entropy and the identity with squared
error, so that the derivative with respect to the last pre-activation is prediction - target
(Bishop 2006, section 5.2); Huber's is that difference, clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats

Target = NDArray[Any]


class Loss(NamedTuple):
    """A loss and its output activation.

    ``activate_inplace(z)`` turns pre-activations (members, rows, outputs) into predictions.
    ``row_loss(prediction, target)`` is the loss of each row, (members, rows).
    ``inplace_delta(prediction, target)`` overwrites predictions by the derivative of a row's loss
    with respect to its pre-activations. The target is (rows,) ``classes``, (rows, outputs)
    ``labels`` of 0 and 1, or (rows, outputs) ``values``, as ``kind`` says.
    """

    activate_inplace: Callable[[Floats], None]
    row_loss: Callable[[Floats, Target], Floats]
    inplace_delta: Callable[[Floats, Target], None]
    kind: Literal["classes", "labels", "values"] = "values"


def weighted_sums(
    values: Floats, weights: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over the rows of weighted ``values`` (members, rows) and of the weights, (members,).

    ``weights`` are (rows,) or (members, rows).
    """
    weights = np.ascontiguousarray(np.broadcast_to(weights, values.shape), dtype=np.float64)
    # A row without weight counts for nothing, whatever was computed for it.
    products = np.where(weights > 0, weights * values, 0.0)
    return products.sum(axis=1), weights.sum(axis=1)


def inplace_softmax(z: Floats) -> None:
    """Softmax over the last axis of ``z`` (members, rows, classes)."""
    z -= z.max(axis=-1, keepdims=True)
    np.exp(z, out=z)
    # A product with ones adds in one order, whatever the strides.
    z /= z @ np.ones((z.shape[-1], 1), dtype=z.dtype)


def one_hot(classes: Target, n_classes: int, dtype: Any) -> Floats:
    """1 for a row's class, else 0: (rows, classes), class by class in memory as outputs are."""
    rows: Floats = (np.arange(n_classes)[:, None] == classes).astype(dtype)
    return rows.T


def smoothed(distribution: Floats, smoothing: Floats) -> Floats:
    """Distributions (members, rows, classes) that leave ``smoothing`` to all classes alike.

    Szegedy et al. 2016, section 7: ``(1 - e) * p + e / n_classes`` for p (rows, classes) and e
    (members,).
    """
    share = smoothing.astype(distribution.dtype)[:, None, None]
    distributions: Floats = (1 - share) * distribution + share / distribution.shape[1]
    return distributions


def cross_entropy(probabilities: Floats, target: Target) -> Floats:
    """-log p(class); ``target`` class indices (rows,) or distributions (…, rows, classes)."""
    # float32 rounds a hopeless probability to 0; the smallest normal number keeps the loss finite.
    least = np.finfo(np.float32).tiny
    if target.ndim == 1:
        chosen = probabilities[:, np.arange(len(target)), target].astype(np.float64)
        return np.asarray(-np.log(np.maximum(chosen, least)))
    logs = np.log(np.maximum(probabilities, least, dtype=np.float64))
    return np.asarray(-np.ascontiguousarray(target * logs).sum(axis=-1))


def inplace_cross_entropy_delta(probabilities: Floats, target: Target) -> None:
    """``p <- p - one_hot(class)``, or p minus the distribution."""
    if target.ndim == 1:
        probabilities[:, np.arange(len(target)), target] -= 1
    else:
        probabilities -= target


def inplace_sigmoid(z: Floats) -> None:
    """``z <- 1 / (1 + exp(-z))``."""
    z *= -1  # not np.negative, which NumPy 2.4 gets wrong where elements are 16 bytes apart
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)


def binary_cross_entropy(probabilities: Floats, target: Target) -> Floats:
    """``-t log p - (1 - t) log(1 - p)``, summed over the outputs; ``target`` in [0, 1]."""
    # 1 - p is not told apart below half a unit in the last place of p.
    least = np.finfo(probabilities.dtype).eps / 2
    p = np.clip(probabilities, least, 1 - least, dtype=probabilities.dtype).astype(np.float64)
    losses = target * np.log(p) + (1 - target) * np.log1p(-p)
    return np.asarray(-np.ascontiguousarray(losses).sum(axis=-1))


def inplace_difference(values: Floats, target: Target) -> None:
    """``v <- v - target``."""
    values -= target


def inplace_identity(_z: Floats) -> None:
    """Leave ``z`` as it is."""


def squared_error(values: Floats, target: Target) -> Floats:
    """Half the sum of squares over the outputs; ``target`` (rows, outputs)."""
    difference = np.subtract(values, target, dtype=np.float64)
    return np.asarray(0.5 * np.ascontiguousarray(np.square(difference)).sum(axis=-1))


def huber(values: Floats, target: Target) -> Floats:
    """``r²/2`` for ``|r| <= 1``, else ``|r| - 1/2``, summed over the outputs (Huber 1964)."""
    size = np.abs(np.subtract(values, target, dtype=np.float64))
    losses = np.where(size <= 1, 0.5 * size * size, size - 0.5)
    return np.asarray(np.ascontiguousarray(losses).sum(axis=-1))


def inplace_huber_delta(values: Floats, target: Target) -> None:
    """``v <- clip(v - target, -1, 1)``."""
    values -= target
    np.clip(values, -1, 1, out=values)


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(inplace_softmax, cross_entropy, inplace_cross_entropy_delta, "classes"),
    "binary_cross_entropy": Loss(
        inplace_sigmoid, binary_cross_entropy, inplace_difference, "labels"
    ),
    "squared_error": Loss(inplace_identity, squared_error, inplace_difference),
    "huber": Loss(inplace_identity, huber, inplace_huber_delta),
}
