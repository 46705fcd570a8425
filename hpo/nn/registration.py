"""Activations, losses and optimisers of the user's own: checked, then entered under a name.

What is wrong is refused with the place where it is worst, before anything trains with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hpo.nn.activations import ACTIVATIONS, Activation
from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.gradients import gradient_check, random_target
from hpo.nn.losses import LOSSES, Loss
from hpo.nn.optimizers import OPTIMIZERS, Optimizer, columns_of


def register_activation(name: str, activation: Activation) -> None:
    """Enter an activation; a trainable one must pass the gradient check.

    Raises ``ValueError`` if the name is taken, if the derivative is wrong, or if a member's
    numbers depend on its neighbours.
    """
    _check_name(ACTIVATIONS, name, "activation")
    ACTIVATIONS[name] = activation
    try:
        if activation.trainable:
            _check_gradient(Architecture(3, (4, 3), (Head(2, "squared_error"),), name), name)
        _check_alone(name, activation)
    except BaseException:
        del ACTIVATIONS[name]
        raise


def register_loss(name: str, loss: Loss) -> None:
    """Enter a loss; ``loss.kind`` says what targets it is checked with.

    Raises ``ValueError`` as `register_activation` does.
    """
    _check_name(LOSSES, name, "loss")
    LOSSES[name] = loss
    try:
        _check_gradient(Architecture(3, (4,), (Head(2, name),), "tanh"), name)
        _check_loss_alone(name, loss)
    except BaseException:
        del LOSSES[name]
        raise


def register_optimizer(name: str, optimizer: Optimizer) -> None:
    """Enter an optimiser; it must lower a simple quadratic, each member on its own.

    Raises ``ValueError`` if the name is taken, if it does not descend, or if a member's update
    depends on its neighbours.
    """
    _check_name(OPTIMIZERS, name, "optimizer")
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 5))
    with np.errstate(all="ignore"):
        together = _descend(optimizer, start)
        alone = np.concatenate([_descend(optimizer, start[i : i + 1]) for i in range(len(start))])
        before, after = np.square(start).sum(axis=1), np.square(together).sum(axis=1)
    _refuse_difference(name, together, alone)
    worst = int(np.argmax(np.where(np.isfinite(after), after / before, np.inf)))
    if not after[worst] < before[worst]:
        raise ValueError(
            f"{name} does not descend: the sum of squares of member {worst} went from "
            f"{before[worst]:.6g} to {after[worst]:.6g} in 100 steps at a rate of 0.01"
        )
    OPTIMIZERS[name] = optimizer


def _descend(optimizer: Optimizer, start: Floats, steps: int = 100) -> Floats:
    """``steps`` steps on the sum of squares, whose gradient is ``2 * params``."""
    params = start.copy()
    state = optimizer.init(params)
    numbers = {"learning_rate": 0.01, **optimizer.defaults}
    hyper = {key: np.full(len(params), value) for key, value in numbers.items()}
    for step in range(1, steps + 1):
        numbers_of_step = np.full(len(params), step)
        columns = columns_of(optimizer.coefficients(numbers_of_step, hyper), params)
        optimizer.update_inplace(params, 2 * params, state, *columns)
    return params


def _check_name(table: Mapping[str, object], name: str, kind: str) -> None:
    if not name.isidentifier():
        raise ValueError(f"{kind} {name!r}: a name is made of letters, digits and underscores")
    if name in table:
        raise ValueError(f"the {kind} {name!r} exists already; choose another name")


def _check_gradient(architecture: Architecture, name: str) -> None:
    report = gradient_check(architecture, weights=[1, 2, 0, 1, 0.5, 1, 3])
    if not report.passed:
        raise ValueError(f"{name} has a wrong derivative: {report}")


def _check_alone(name: str, activation: Activation) -> None:
    z = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)

    def applied(z: Floats) -> Floats:
        z = z.copy()
        out = np.empty_like(z) if activation.from_input else z
        activation.apply(z, out)
        return out

    alone = np.concatenate([applied(z[i : i + 1]) for i in range(len(z))])
    _refuse_difference(name, applied(z), alone)


def _check_loss_alone(name: str, loss: Loss) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4, 7, 2)).astype(np.float32)
    target = random_target(loss, 2, 7, rng)

    def measured(part: Floats) -> Floats:
        prediction = part.copy()
        loss.activate_inplace(prediction)
        losses = loss.row_loss(prediction, target)
        loss.inplace_delta(prediction, target)
        return np.concatenate([losses[..., None], prediction], axis=2)

    alone = np.concatenate([measured(z[i : i + 1]) for i in range(len(z))])
    _refuse_difference(name, measured(z), alone)


def _refuse_difference(name: str, together: Floats, alone: Floats) -> None:
    # What is no number in both places is no difference.
    differ = np.argwhere((together != alone) & ~(np.isnan(together) & np.isnan(alone)))
    if len(differ):
        place = tuple(map(int, differ[0]))
        raise ValueError(
            f"{name} gives a member other numbers in a stack than alone, at {list(place)}: "
            f"{together[place]:.8g} against {alone[place]:.8g}"
        )
