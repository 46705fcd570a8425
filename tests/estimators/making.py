"""Small problems and quick estimators for the tests of the estimators."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP

Kind = TypeVar("Kind", bound=BaseMLP)
Table = tuple[NDArray[Any], NDArray[Any]]

KINDS: tuple[type[BaseMLP], ...] = (MLPClassifier, MLPRegressor, MLPMultiTask)

PLAIN: dict[str, Any] = {
    "optimizer": "sgd",
    "schedule": "constant",
    "warmup": 0.0,
    "batch_size": 10_000,
}
"""Gradient descent on all rows at once, at one learning rate."""

BARE: dict[str, Any] = {
    "activation": "relu",
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "dropout": 0.0,
}
"""Nothing but the descent of the loss, whatever is best on real tables."""


def small(kind: type[Kind], **params: Any) -> Kind:
    """An estimator that trains in a few milliseconds, without what blurs a comparison."""
    given: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
    return kind(**(BARE | given | params))


@cache
def iris() -> Table:
    """Rows in random order: 150 flowers of three kinds."""
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@cache
def digits() -> Table:
    """Rows of 8 x 8 images."""
    X, y = load_digits(return_X_y=True)
    return X, y


@cache
def diabetes() -> Table:
    """Rows of 442 patients, and how their disease went on."""
    X, y = load_diabetes(return_X_y=True)
    return X, y


def target_for(kind: type[BaseMLP]) -> NDArray[Any]:
    """A target for the rows of `iris` that the estimator can learn."""
    X, y = iris()
    if kind is MLPClassifier:
        return y
    return X[:, 0] if kind is MLPRegressor else np.column_stack([y, X[:, 0]])


def own_fit(leader: Kind, params: dict[str, Any], *args: Any, **kwargs: Any) -> Kind:
    """What `leader` would be with ``params``, fitted by itself."""
    alone: Kind = clone(leader).set_params(**params)
    return alone.fit(*args, **kwargs)


def assert_same_network(left: BaseMLP, right: BaseMLP) -> None:
    """Assert that two fitted estimators are the same, bit for bit."""
    assert left.params_.tobytes() == right.params_.tobytes()
    assert left.scaling_.centre.tobytes() == right.scaling_.centre.tobytes()
    assert left.scaling_.factor.tobytes() == right.scaling_.factor.tobytes()
    assert (left.n_iter_, left.best_epoch_) == (right.n_iter_, right.best_epoch_)
    assert left.history_.keys() == right.history_.keys()
    for name in left.history_.keys() - {"seconds"}:
        np.testing.assert_array_equal(left.history_[name], right.history_[name], err_msg=name)
