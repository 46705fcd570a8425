"""What can be tuned: each hyperparameter's usual range, its values, and where it has a meaning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import BatchNorm
from hpo.nn.initializers import find_initializer
from hpo.nn.members import RANGES
from hpo.nn.names import find
from hpo.nn.optimizers import OPTIMIZERS
from hpo.nn.schedules import SCHEDULES

AUTO = "auto"
"""The initial values that go with the activation."""

Kind = Literal["number", "whole", "name"]
"""What the values are: numbers, whole numbers, or names, which are no range."""


@dataclass(frozen=True)
class Tunable:
    """A hyperparameter that can be tuned.

    ``usual`` is what ``--space NAME`` searches, and ``--space wide`` if it is one of `WIDE`.
    ``check`` raises ``ValueError`` for a value that cannot be used. Members of one stack share a
    ``structural`` parameter; any other may differ between them.
    """

    kind: Kind
    usual: BaseDistribution
    check: Callable[[Any], object]
    structural: bool = False


def hidden_sizes(text: str) -> tuple[int, ...]:
    """Layer sizes such as ``64,64`` as numbers."""
    parts = [part.strip() for part in text.split(",")]
    digits = all(part.isascii() and part.isdigit() for part in parts)
    sizes = tuple(int(part) for part in parts) if digits else ()
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{text!r} are no layer sizes; write e.g. 64,64")
    return sizes


def _within(low: float, high: float, *, below: bool = False) -> Callable[[Any], object]:
    """A check that a number lies from ``low`` to ``high``, or ``below`` it."""

    def check(value: Any) -> None:
        if not (low <= value < high if below else low <= value <= high):
            if math.isinf(high):
                raise ValueError(f"{value:g} is below {low:g}, the least that it can be")
            words = f"at least {low:g} and below {high:g}" if below else f"from {low:g} to {high:g}"
            raise ValueError(f"{value:g} is not {words}")

    return check


def _one_of(table: Mapping[str, Any], kind: str) -> Callable[[Any], object]:
    return lambda name: find(table, name, kind)


def _check_activation(name: Any) -> None:
    if not find(ACTIVATIONS, name, "activation").trainable:
        raise ValueError(f"activation {name!r} has no derivative to train with")


def _check_initializer(name: Any) -> None:
    if name != AUTO:
        find_initializer(name)


def _number(
    name: str, low: float, high: float, *, log: bool = False, least: float | None = None
) -> Tunable:
    limits = RANGES[name]
    usual = FloatDistribution(low, high, log=log)
    return Tunable("number", usual, _within(limits[0] if least is None else least, limits[1]))


def _share(low: float, high: float, *, structural: bool = False) -> Tunable:
    """A number from 0 to below 1."""
    check = _within(0, 1, below=True)
    return Tunable("number", FloatDistribution(low, high), check, structural)


def _names(check: Callable[[Any], object], *usual: str, structural: bool = True) -> Tunable:
    return Tunable("name", CategoricalDistribution(usual), check, structural)


TUNABLE: Mapping[str, Tunable] = {
    "learning_rate": _number("learning_rate", 1e-5, 1e-1, log=True),
    "weight_decay": _number("weight_decay", 1e-5, 10.0, log=True),
    "dropout": _number("dropout", 0.0, 0.5),
    "l1": _number("l1", 1e-7, 1e-3, log=True),
    "l2": _number("l2", 1e-7, 1e-2, log=True),
    "label_smoothing": _number("label_smoothing", 0.0, 0.2),
    "max_norm": _number("max_norm", 0.5, 8.0, log=True),
    "clip_norm": _number("clip_norm", 0.1, 10.0, log=True),
    "momentum": _share(0.5, 0.99),
    "beta1": _share(0.8, 0.95),
    "beta2": _share(0.9, 0.999),
    "initializer": _names(
        _check_initializer, AUTO, "normal", "xavier_normal", "he_normal", structural=False
    ),
    "batch_size": Tunable(
        "whole", CategoricalDistribution((32, 64, 128, 256)), _within(1, math.inf), structural=True
    ),
    "hidden": _names(hidden_sizes, "32", "64", "128", "64,64", "128,128", "64,64,64"),
    "activation": _names(_check_activation, "relu", "tanh", "selu", "gelu", "silu"),
    "optimizer": _names(
        _one_of(OPTIMIZERS, "optimizer"), "sgd", "momentum", "nesterov", "rmsprop", "adam", "nadam"
    ),
    "schedule": _names(_one_of(SCHEDULES, "schedule"), "constant", "cosine", "one_cycle"),
    "warmup": _share(0.0, 0.2, structural=True),
    "batch_norm": _names(
        _one_of(dict.fromkeys(get_args(BatchNorm)), "place of batch_norm"), *get_args(BatchNorm)
    ),
}
"""Everything that can be tuned, by name."""

WIDE = frozenset(TUNABLE) - {"l2", "max_norm", "clip_norm", "warmup"}
"""What ``--space wide`` tunes, as far as it has a meaning for the task and the optimizer."""

STRUCTURAL = frozenset(name for name, each in TUNABLE.items() if each.structural)

OPTIONS = frozenset({"momentum", "beta1", "beta2"})
"""Hyperparameters of an optimizer, which others do not have."""


def has_option(optimizer: str, name: str) -> bool:
    """Whether ``name`` has a meaning for this optimizer."""
    return name not in OPTIONS or name in OPTIMIZERS[optimizer].defaults
