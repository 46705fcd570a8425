"""Cross-validation inside the stack: members times folds are trained together.

A row that is held out has weight 0, so that all folds share the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.initializers import RandomState
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.network import predict
from hpo.nn.training import Trained, train

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows to train on and rows held out, as scikit-learn's splitters give them."""


@dataclass(frozen=True)
class OutOfFold:
    """Members that were trained once for each fold.

    ``prediction`` (members, rows, outputs): the mean of the networks that a row was held out from;
    NaN where there is none. ``counts`` (rows,): how many folds held the row out. ``trained``: the
    networks, member by member, fold by fold.
    """

    prediction: Floats
    counts: NDArray[np.int64]
    trained: Trained
    n_folds: int

    def params_of(self, member: int) -> Floats:
        """The networks of one member, (folds, n_params)."""
        start = member * self.n_folds
        return self.trained.params[start : start + self.n_folds]


def train_folds(
    architecture: Architecture,
    settings: TrainingSettings,
    members: Members,
    rows: Rows,
    folds: Sequence[Fold],
) -> OutOfFold:
    """Train every member once on each fold, all as one stack, and predict what was held out.

    Rows that stand in neither part of a fold are left out of it, as in splits by time. Held-out
    rows never stop a network: ``settings`` has no patience, or one that watches the training loss.
    """
    weights = np.concatenate([_fold_weights(rows, member, folds) for member in range(len(members))])
    repeated = repeat(members, len(folds))
    trained = train(architecture, settings, repeated, replace(rows, weights=weights), None)
    prediction = np.zeros((len(members), len(rows), architecture.n_outputs), trained.params.dtype)
    counts = np.zeros(len(rows), dtype=np.int64)
    for fold, (_, held_out) in enumerate(folds):
        params = trained.params[fold :: len(folds)]
        prediction[:, held_out] += predict(architecture, params, rows.X[held_out])
        counts[held_out] += 1
    with np.errstate(invalid="ignore"):
        prediction /= counts[:, None].astype(prediction.dtype)
    return OutOfFold(prediction, counts, trained, len(folds))


def _fold_weights(rows: Rows, member: int, folds: Sequence[Fold]) -> Floats:
    """Weights (folds, rows): those of the member, 0 for all rows outside the training part."""
    own = rows.weights_of(np.array([member]))
    own = np.ones((1, len(rows)), np.float32) if own is None else np.atleast_2d(own)
    masks = np.zeros((len(folds), len(rows)), dtype=np.float32)
    for mask, (trained_on, held_out) in zip(masks, folds, strict=True):
        if np.intersect1d(trained_on, held_out).size:
            raise ValueError("a fold trains on rows that it holds out")
        mask[trained_on] = 1
    return masks * own


def repeat(members: Members, times: int) -> Members:
    """Each member ``times`` times in a row; copy k adds k to the entropy of its random state."""
    states: list[RandomState] = [
        (*np.atleast_1d(np.asarray(state)).tolist(), copy)
        for state in members.random_state
        for copy in range(times)
    ]

    def each(values: Any) -> Any:
        return np.repeat(values, times, axis=0) if np.ndim(values) else values

    numbers = {
        name: each(getattr(members, name))
        for name in vars(members)
        if name not in ("random_state", "options", "initializer")
    }
    options = {name: each(values) for name, values in members.options.items()}
    names = members.initializer
    initializer = names if isinstance(names, str) else tuple(np.repeat(names, times).tolist())
    return Members(tuple(states), **numbers, options=options, initializer=initializer)
