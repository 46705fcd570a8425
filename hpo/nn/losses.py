"""Losses with the output activation that belongs to them: name -> (activate, loss and delta).

Softmax goes with cross entropy and the identity with squared error, so that in both cases the
derivative with respect to the last pre-activation is (prediction - target) / rows
(Bishop 2006, section 5.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats

Target = NDArray[Any]


class Loss(NamedTuple):
    """A loss and its output activation.

    ``activate_inplace(z)`` turns pre-activations (members, rows, outputs) into predictions.
    ``value(prediction, target)`` is the mean loss over the rows, float64 of shape (members,).
    ``inplace_delta(prediction, target)`` overwrites predictions by the derivative of that mean
    with respect to the pre-activations.
    """

    activate_inplace: Callable[[Floats], None]
    value: Callable[[Floats, Target], NDArray[np.float64]]
    inplace_delta: Callable[[Floats, Target], None]


def mean_over_rows(values: Floats) -> NDArray[np.float64]:
    """Mean of ``values`` (members, rows) over the rows, float64 of shape (members,).

    NumPy adds in an order that depends on the strides, and indexing leaves strides that depend on
    the number of members; one layout gives each member the same sum in any stack.
    """
    means: NDArray[np.float64] = np.ascontiguousarray(values, dtype=np.float64).mean(axis=1)
    return means


def inplace_softmax(z: Floats) -> None:
    """Softmax over the last axis of ``z`` (members, rows, classes)."""
    # A loop over the classes and a product with ones are several times quicker than reductions
    # over an axis as short as the number of classes.
    top = z[..., 0].copy()
    for label in range(1, z.shape[-1]):
        np.maximum(top, z[..., label], out=top)
    z -= top[..., None]
    np.exp(z, out=z)
    z /= z @ np.ones((z.shape[-1], 1), dtype=z.dtype)


def cross_entropy(probabilities: Floats, classes: Target) -> NDArray[np.float64]:
    """Mean of -log p(class) over the rows; ``classes`` are indices of shape (rows,)."""
    chosen = probabilities[:, np.arange(len(classes)), classes].astype(np.float64)
    # float32 rounds a hopeless probability to 0; the smallest normal number keeps the loss finite.
    return mean_over_rows(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)))


def inplace_cross_entropy_delta(probabilities: Floats, classes: Target) -> None:
    """``p <- (p - one_hot(class)) / rows``."""
    probabilities[:, np.arange(len(classes)), classes] -= 1
    probabilities /= len(classes)


def inplace_identity(_z: Floats) -> None:
    """Leave ``z`` as it is."""


def squared_error(values: Floats, target: Target) -> NDArray[np.float64]:
    """Half the sum of squares over the outputs, mean over the rows; ``target`` (rows, outputs)."""
    difference = np.subtract(values, target, dtype=np.float64)
    return 0.5 * mean_over_rows(np.square(difference).sum(axis=2))


def inplace_squared_error_delta(values: Floats, target: Target) -> None:
    """``v <- (v - target) / rows``."""
    values -= target
    values /= len(target)


LOSSES = {
    "cross_entropy": Loss(inplace_softmax, cross_entropy, inplace_cross_entropy_delta),
    "squared_error": Loss(inplace_identity, squared_error, inplace_squared_error_delta),
}
