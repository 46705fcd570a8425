"""The rows that say how good a model or an ensemble is, and what models see who predict them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.errors import UsageError
from hpo.preparation import Prepared
from hpo.search.folds import Folds, count_folds, deal_folds, deal_groups
from hpo.search.problem import Problem
from hpo.search.repeats import pooled_target

NESTED_FOLDS = 5
"""Into how many parts rows are dealt that score a choice, where no folds trained the models."""


class View(NamedTuple):
    """What a model learns from, and the rows that it predicts.

    ``X`` (rows, inputs) and ``y`` as encoded; ``hidden`` (rows, inputs) at these ``place`` (rows,)
    of the pool.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    hidden: NDArray[np.float32]
    place: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows that no candidate's prediction saw, which say how good an ensemble is.

    ``X`` (rows, inputs) encoded; ``y`` class indices (rows,), or standardised values (rows, 1);
    ``target`` as metrics are measured against. ``folds`` (rows,): what is chosen by some is scored
    on the others. ``views`` are what models learn from, and which rows each then predicts.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    target: NDArray[Any]
    folds: Folds
    n_classes: int | None
    views: tuple[View, ...]


def fold_pool(prepared: Prepared, n_folds: int) -> Pool:
    """The training and the validation rows, dealt to folds; models learn from all others.

    Raises ``UsageError`` where they cannot be: too few rows or groups, or rows in time.
    """
    problem = prepared.problem
    dealt = problem.folds if problem.folds is not None else prepared.folds(n_folds)
    if dealt is None:
        in_time = prepared.steering is not None and prepared.steering.kind == "time"
        why = "time decides how rows are split" if in_time else "the rows are too few"
        raise UsageError(f"--folds {n_folds}: {why}; use --no-refit")
    X = np.concatenate([problem.training.X, problem.validation.X])
    y = np.concatenate([problem.training.targets[0], problem.validation.targets[0]])
    return _folded(problem, X, y, pooled_target(problem), dealt)


def validation_pool(prepared: Prepared) -> Pool:
    """The rows that scored the trials: of the validation part, or of the folds of ``--cv``.

    Models learn from the training rows, or from those of the other folds.
    """
    problem = prepared.problem
    if problem.folds is not None:
        training = problem.training
        X, y = np.asarray(training.X), np.asarray(training.targets[0])
        return _folded(problem, X, y, problem.training_target, problem.folds)
    rows, training = problem.validation, problem.training
    X, y = np.asarray(rows.X, np.float32), np.asarray(rows.targets[0])
    view = View(np.asarray(training.X), np.asarray(training.targets[0]), X, np.arange(len(X)))
    target = problem.validation_target
    return Pool(X, _exact(y), target, _nested(prepared, y), _n_classes(problem), (view,))


def _folded(
    problem: Problem, X: NDArray[Any], y: NDArray[Any], target: NDArray[Any], folds: Folds
) -> Pool:
    rows = np.asarray(X, np.float32)
    views = []
    for fold in range(count_folds(folds)):
        own = folds == fold
        views.append(View(rows[~own], y[~own], rows[own], np.flatnonzero(own)))
    return Pool(rows, _exact(y), target, folds, _n_classes(problem), tuple(views))


def _nested(prepared: Prepared, y: NDArray[Any]) -> Folds:
    """Folds of the validation rows, for what is chosen by them; groups stay together."""
    problem = prepared.problem
    classes = y if problem.target.classes else None
    n_folds = min(NESTED_FOLDS, len(y))
    steering = prepared.steering
    if steering is not None and steering.kind == "group":
        groups = steering.keys[prepared.split.validation]
        dealt = deal_groups(groups, classes, problem.seed, n_folds)
        if dealt is not None:
            return dealt
    return deal_folds(len(y), classes, problem.seed, n_folds)


def _exact(y: NDArray[Any]) -> NDArray[Any]:
    """Class indices as they are, values in double precision."""
    return y if y.ndim == 1 else y.astype(np.float64)


def _n_classes(problem: Problem) -> int | None:
    return len(problem.target.classes) or None
