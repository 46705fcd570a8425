"""Small problems and stacks for the tests of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from hpo.nn.architecture import Architecture, BatchNorm, Floats, Head
from hpo.nn.losses import Target
from hpo.nn.measuring import Targets
from hpo.nn.members import Members, Rows

Numbers = dict[str, Any]
"""One member: the fields of `Members`, ``dropout`` one rate for each hidden layer."""

NEUTRAL: Numbers = {
    "random_state": 0,
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "l1": 0.0,
    "l2": 0.0,
    "label_smoothing": 0.0,
    "max_norm": np.inf,
    "clip_norm": np.inf,
}


def classifier(
    n_inputs: int,
    hidden: tuple[int, ...],
    n_classes: int,
    activation: str = "relu",
    batch_norm: BatchNorm = "none",
) -> Architecture:
    return Architecture(n_inputs, hidden, (Head(n_classes),), activation, batch_norm)


def regressor(
    n_inputs: int,
    hidden: tuple[int, ...],
    n_outputs: int = 1,
    activation: str = "relu",
    batch_norm: BatchNorm = "none",
) -> Architecture:
    heads = (Head(n_outputs, "squared_error"),)
    return Architecture(n_inputs, hidden, heads, activation, batch_norm)


def random_target(head: Head, rows: int, rng: np.random.Generator, dtype: Any) -> Target:
    if head.loss == "cross_entropy":
        return rng.integers(head.n_outputs, size=rows)
    if head.loss == "binary_cross_entropy":
        return rng.integers(2, size=(rows, head.n_outputs)).astype(dtype)
    return rng.normal(size=(rows, head.n_outputs)).astype(dtype)


def random_rows(
    architecture: Architecture,
    rows: int,
    seed: int = 0,
    weights: Floats | None = None,
    dtype: Any = np.float32,
) -> Rows:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, architecture.n_inputs)).astype(dtype)
    targets = tuple(random_target(head, rows, rng, dtype) for head in architecture.heads)
    return Rows(X, targets, weights)


def part_of(rows: Rows, chosen: Any) -> Rows:
    return Rows(rows.X[chosen], tuple(target[chosen] for target in rows.targets))


def digits(first: int, last: int) -> Rows:
    """Standardised digits; with few rows, a problem that is easily learnt by heart."""
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    return Rows(X[first:last], (y[first:last],))


def wrong(prediction: Floats, targets: Targets) -> Floats:
    return np.asarray(prediction.argmax(axis=2) != targets[0], dtype=np.float64)


def squares(prediction: Floats, _targets: Targets) -> Floats:
    return np.asarray(np.square(prediction).sum(axis=2))


def members_of(numbers: Sequence[Numbers]) -> Members:
    """A stack of the members that ``numbers`` describe."""
    each = [NEUTRAL | one for one in numbers]
    named = {name: [one[name] for one in each] for name in NEUTRAL if name != "random_state"}
    options = {name: [one["options"][name] for one in each] for name in each[0].get("options", ())}
    return Members(
        random_state=tuple(one["random_state"] for one in each),
        dropout=np.array([one.get("dropout", 0.0) for one in each]),
        initializer=tuple(one.get("initializer", "he_normal") for one in each),
        options=options,
        **named,
    )


def one_member(**numbers: Any) -> Members:
    return members_of([numbers])
