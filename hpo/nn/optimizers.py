"""Optimisers as pairs of plain functions over the flat buffer, hyperparameters per member.

``init(params)`` gives the zeroed state buffers, each shaped like ``params`` (members, n_params).
``update_inplace(params, gradient, state, step, learning_rate)`` makes step number ``step`` (from
1); it overwrites ``params`` and ``state``, and the gradient, which serves as scratch.
``learning_rate`` has the shape (members,).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats

State = tuple[Floats, ...]
PerMember = NDArray[np.float64]


class Optimizer(NamedTuple):
    """See the module: ``init`` and ``update_inplace``."""

    init: Callable[[Floats], State]
    update_inplace: Callable[[Floats, Floats, State, int, PerMember], None]


def sgd() -> Optimizer:
    """Stochastic gradient descent, ``w <- w - lr * g``."""
    return Optimizer(lambda _params: (), _sgd_update)


def _sgd_update(
    params: Floats, gradient: Floats, _state: State, _step: int, learning_rate: PerMember
) -> None:
    gradient *= _column(learning_rate, params)
    params -= gradient


def adam(beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam (Kingma & Ba 2015, algorithm 1)."""
    return Optimizer(
        lambda params: (np.zeros_like(params), np.zeros_like(params)),
        partial(_adam_update, beta1=beta1, beta2=beta2, eps=eps),
    )


def _adam_update(
    params: Floats,
    gradient: Floats,
    state: State,
    step: int,
    learning_rate: PerMember,
    *,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    # The buffers hold the plain sums m / (1 - beta1) and v / (1 - beta2): the factors and both
    # bias corrections meet in two scalars, which saves three passes over the parameters.
    first, second = state
    first *= beta1
    first += gradient
    np.square(gradient, out=gradient)
    second *= beta2
    second += gradient
    root = np.sqrt((1 - beta2) / (1 - beta2**step))
    np.sqrt(second, out=gradient)
    gradient += params.dtype.type(eps / root)
    np.divide(first, gradient, out=gradient)
    gradient *= _column(learning_rate * ((1 - beta1) / (1 - beta1**step) / root), params)
    params -= gradient


def inplace_weight_decay(weights: Floats, learning_rate: PerMember, decay: PerMember) -> None:
    """Decoupled: ``w <- (1 - lr * decay) * w`` (Loshchilov & Hutter 2019, algorithm 2, line 12).

    ``weights`` (members, n_weights); biases do not decay.
    """
    weights *= _column(1.0 - learning_rate * decay, weights)


def _column(values: PerMember, like: Floats) -> Floats:
    return values.astype(like.dtype)[:, None]


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {"sgd": sgd, "adam": adam}
