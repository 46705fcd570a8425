"""Optimisers over the flat buffer as small values, hyperparameters per member.

Each is an `Optimizer`: how many state buffers it keeps, its hyperparameters with their defaults,
``coefficients`` (what step number t makes of them, one column per factor) and ``update_inplace``
(the passes over the parameters). Arithmetic on scalars is float64 and done for the whole stack and
several steps at once; the passes are done for a few members at a time, while their state is in the
cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats

State = tuple[Floats, ...]
PerMember = NDArray[np.float64]
Hyperparameters = Mapping[str, PerMember]
Columns = tuple[Floats, ...]
Step = Any
"""Number of a step, from 1: an int, or (…, members) of them."""


class Optimizer(NamedTuple):
    """An update rule.

    ``slots``: buffers of state, each shaped like the parameters and zero in the beginning.
    ``defaults``: hyperparameters besides ``learning_rate``.
    ``coefficients(step, hyper)``: factors of step number ``step``, each (…, members). ``step`` is a
    number from 1 or (members,) or (steps, members) of them; ``hyper`` holds ``learning_rate`` after
    the schedule, with as many axes, and everything in ``defaults``, (members,). Powers of ``step``
    are those of ``np.float_power``: ``**`` takes another way where a member is alone.
    ``update_inplace(params, gradient, state, *columns)``: overwrites ``params`` and ``state``
    (members, n), and the gradient, which serves as scratch; columns are the coefficients
    (members, 1) in the parameters' type.
    ``bounds``: what a hyperparameter must stay below.
    """

    slots: int
    defaults: Mapping[str, float]
    coefficients: Callable[[Step, Hyperparameters], tuple[PerMember, ...]]
    update_inplace: Callable[..., None]
    bounds: Mapping[str, float] = {}

    def init(self, params: Floats) -> State:
        """State before the first step, each buffer shaped like ``params``."""
        return tuple(np.zeros_like(params) for _ in range(self.slots))


def columns_of(coefficients: tuple[PerMember, ...], like: Floats) -> Columns:
    """Coefficients (members,) as columns (members, 1) of the type of ``like``."""
    return tuple(np.asarray(each, dtype=like.dtype)[:, None] for each in coefficients)


def _rate(_step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    return (hyper["learning_rate"],)


def _sgd(params: Floats, gradient: Floats, _state: State, rate: Floats) -> None:
    """``w <- w - lr * g``."""
    gradient *= rate
    params -= gradient


def _rate_and_momentum(_step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    return hyper["learning_rate"], hyper["momentum"]


def _momentum(
    params: Floats, gradient: Floats, state: State, rate: Floats, momentum: Floats
) -> None:
    """``v <- mu * v - lr * g``, ``w <- w + v`` (Polyak 1964; Sutskever et al. 2013, eq. 1, 2)."""
    (velocity,) = state
    velocity *= momentum
    gradient *= rate
    velocity -= gradient
    params += velocity


def _nesterov(
    params: Floats, gradient: Floats, state: State, rate: Floats, momentum: Floats
) -> None:
    """``v <- mu * v - lr * g``, ``w <- w + mu * v - lr * g`` (Nesterov 1983).

    Bengio et al. 2013, equation 7: the parameters are those that look ahead.
    """
    (velocity,) = state
    velocity *= momentum
    gradient *= rate
    velocity -= gradient
    params -= gradient
    np.multiply(velocity, momentum, out=gradient)
    params += gradient


def _rate_and_eps(_step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    return hyper["learning_rate"], hyper["eps"]


def _adagrad(params: Floats, gradient: Floats, state: State, rate: Floats, eps: Floats) -> None:
    """``h <- h + g²``, ``w <- w - lr * g / (sqrt(h) + eps)`` (Duchi et al. 2011)."""
    (squares,) = state
    squares += gradient * gradient
    _inplace_scaled_step(params, gradient, squares, rate, eps)


def _rmsprop_coefficients(_step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    # The buffer holds h / (1 - rho), which saves a pass.
    share = np.sqrt(1 - hyper["rho"])
    return hyper["learning_rate"] / share, hyper["rho"], hyper["eps"] / share


def _rmsprop(
    params: Floats, gradient: Floats, state: State, rate: Floats, rho: Floats, eps: Floats
) -> None:
    """``h <- rho * h + (1 - rho) * g²``, ``w <- w - lr * g / (sqrt(h) + eps)`` (Hinton 2012)."""
    (squares,) = state
    squares *= rho
    squares += gradient * gradient
    _inplace_scaled_step(params, gradient, squares, rate, eps)


def _inplace_scaled_step(
    params: Floats, gradient: Floats, squares: Floats, rate: Floats, eps: Floats
) -> None:
    root = np.sqrt(squares)
    root += eps
    gradient /= root
    gradient *= rate
    params -= gradient


def _adadelta_coefficients(_step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    return hyper["learning_rate"], hyper["rho"], 1 - hyper["rho"], hyper["eps"]


def _adadelta(
    params: Floats,
    gradient: Floats,
    state: State,
    rate: Floats,
    rho: Floats,
    rest: Floats,
    eps: Floats,
) -> None:
    """``w <- w - lr * sqrt(u + eps) / sqrt(h + eps) * g`` (Zeiler 2012, algorithm 1).

    h and u are the decayed means of the squares of the gradient and of the steps.
    """
    squares, steps = state
    squares *= rho
    squares += rest * gradient * gradient
    gradient *= np.sqrt((steps + eps) / (squares + eps))
    steps *= rho
    steps += rest * gradient * gradient
    gradient *= rate
    params -= gradient


def _adam_coefficients(step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    # The buffers hold the plain sums m / (1 - beta1) and v / (1 - beta2): the factors and both
    # bias corrections meet in two scalars, which saves three passes over the parameters.
    beta1, beta2 = hyper["beta1"], hyper["beta2"]
    root = np.sqrt((1 - beta2) / (1 - np.float_power(beta2, step)))
    rate = hyper["learning_rate"] * ((1 - beta1) / (1 - np.float_power(beta1, step)) / root)
    return beta1, beta2, hyper["eps"] / root, rate


def _adam(
    params: Floats,
    gradient: Floats,
    state: State,
    beta1: Floats,
    beta2: Floats,
    eps: Floats,
    rate: Floats,
) -> None:
    """Adam (Kingma & Ba 2015, algorithm 1)."""
    first, second = state
    first *= beta1
    first += gradient
    np.square(gradient, out=gradient)
    second *= beta2
    second += gradient
    np.sqrt(second, out=gradient)
    gradient += eps
    np.divide(first, gradient, out=gradient)
    gradient *= rate
    params -= gradient


NADAM_DECAY = 0.004
"""Dozat 2016: the momentum at step t is ``beta1 * (1 - 0.96 ** (0.004 * t) / 2)``."""


def _nadam_coefficients(step: Step, hyper: Hyperparameters) -> tuple[PerMember, ...]:
    beta1, beta2 = hyper["beta1"], hyper["beta2"]
    now, following = (beta1 * _nadam_factor(t) for t in (step, step + 1))
    products = _nadam_products(1 << int(np.max(step)).bit_length())[step]
    product = np.float_power(beta1, step) * products
    root = np.sqrt((1 - beta2) / (1 - np.float_power(beta2, step)))
    of_gradient = hyper["learning_rate"] * (1 - now) / (1 - product) / root
    of_first = hyper["learning_rate"] * (1 - beta1) * following / (1 - product * following) / root
    return beta1, beta2, hyper["eps"] / root, of_gradient, of_first


def _nadam_factor(step: Step) -> PerMember:
    factor: PerMember = 1 - 0.5 * np.float_power(0.96, NADAM_DECAY * step)
    return factor


@cache
def _nadam_products(length: int) -> PerMember:
    """The product of ``1 - 0.96 ** (0.004 * k) / 2`` for k = 1 … t, at place t < ``length``."""
    factors = _nadam_factor(np.arange(length))
    factors[0] = 1
    return np.cumprod(factors, dtype=np.float64)


def _nadam(
    params: Floats,
    gradient: Floats,
    state: State,
    beta1: Floats,
    beta2: Floats,
    eps: Floats,
    of_gradient: Floats,
    of_first: Floats,
) -> None:
    """Adam with Nesterov's look ahead (Dozat 2016, algorithm 2), as in PyTorch and Keras.

    The momentum rises by the published schedule, of which the paper leaves the constants open.
    """
    first, second = state
    first *= beta1
    first += gradient
    second *= beta2
    second += gradient * gradient
    gradient *= of_gradient
    gradient += of_first * first
    root = np.sqrt(second)
    root += eps
    gradient /= root
    params -= gradient


_ADAM = Optimizer(
    2,
    {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    _adam_coefficients,
    _adam,
    {"beta1": 1, "beta2": 1},
)

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(0, {}, _rate, _sgd),
    "momentum": Optimizer(1, {"momentum": 0.9}, _rate_and_momentum, _momentum),
    "nesterov": Optimizer(1, {"momentum": 0.9}, _rate_and_momentum, _nesterov),
    "adagrad": Optimizer(1, {"eps": 1e-7}, _rate_and_eps, _adagrad),
    "rmsprop": Optimizer(
        1, {"rho": 0.99, "eps": 1e-7}, _rmsprop_coefficients, _rmsprop, {"rho": 1}
    ),
    "adadelta": Optimizer(
        2,
        {"rho": 0.9, "eps": 1e-6},
        _adadelta_coefficients,
        _adadelta,
        {"rho": np.nextafter(1, 2)},  # at 1, nothing is ever learnt, but nothing is broken
    ),
    "adam": _ADAM,
    "nadam": _ADAM._replace(coefficients=_nadam_coefficients, update_inplace=_nadam),
    # Weight decay is decoupled with every optimiser here, which is what makes AdamW of Adam.
    "adamw": _ADAM,
}
