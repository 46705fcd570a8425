"""The best trial's network, many times over, each with rows of its own weight: bags and boosting.

A network for each fold and place is a member of one stack, in which rows differ by their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values
from ensembles.reweighting import Round, r2, samme
from hpo.ensembling.candidates import Candidate, Pool
from hpo.ensembling.parts import Networks
from hpo.errors import NoFiniteTrialError
from hpo.handover import best_epochs
from hpo.nn.members import Rows
from hpo.nn.network import predict
from hpo.nn.training import Curves, train
from hpo.preparation import Prepared
from hpo.search import streams
from hpo.search.folds import count_folds
from hpo.search.problem import Problem
from storage.records import TrialRecord

BAG_SIZE = 16
"""Networks of a bag, for each fold."""

STAGES = 8
"""Networks that are boosted one after the other, for each fold."""


class _View(NamedTuple):
    """What the networks of a fold are trained on, ``(rows,)`` a mask or all, and what they predict.

    ``X`` (rows, inputs) and ``y`` as encoded; ``hidden`` (rows, inputs), ``place`` (rows,) of them.
    """

    fold: int
    X: NDArray[np.float32]
    y: NDArray[Any]
    hidden: NDArray[np.float32]
    place: NDArray[np.int64]


def bagged(prepared: Prepared, pool: Pool, trial: TrialRecord, n_workers: int) -> Candidate:
    """Networks with the hyperparameters of ``trial`` on bootstrap samples (Breiman 1996).

    Raises ``NoFiniteTrialError`` if one diverges.
    """
    problem, epochs = prepared.problem, best_epochs(prepared, trial)
    views = _views(prepared, pool)
    work = (joblib.delayed(_bag)(problem, trial, epochs, view) for view in views)
    params: list[NDArray[np.float32]] = joblib.Parallel(n_jobs=n_workers)(work)
    architecture = problem.recipe.of(trial.params).architecture
    prediction = np.empty((len(pool.y), pool.n_classes or 1))
    for view, own in zip(views, params, strict=True):
        prediction[view.place] = predict(architecture, own, view.hidden).mean(axis=0)
    return Candidate("bagging", Networks(architecture, np.concatenate(params)), prediction, None)


def _bag(problem: Problem, trial: TrialRecord, epochs: int, view: _View) -> NDArray[np.float32]:
    rows = len(view.X)
    sequence = np.random.SeedSequence((problem.seed, streams.BAG, trial.number, view.fold))
    drawn = np.random.default_rng(sequence).integers(rows, size=(BAG_SIZE, rows))
    counts = np.stack([np.bincount(each, minlength=rows) for each in drawn])
    states = [
        (problem.seed, streams.BAG, trial.number, view.fold, place) for place in range(BAG_SIZE)
    ]
    return _trained(problem, trial, epochs, view.X, view.y, counts, states)


def boosted(prepared: Prepared, pool: Pool, trial: TrialRecord) -> Candidate:
    """Networks one after the other, each with more weight on what the one before got wrong.

    Rows are weighed by SAMME (Zhu, Zou, Rosset & Hastie 2009) or R2 (Drucker 1997). The stages'
    probabilities, or values, are averaged with their importance as weights: unlike counted votes,
    that gives probabilities. A fold ends with the first network that is no better than chance.

    Raises ``NoFiniteTrialError`` if one diverges.
    """
    problem, epochs = prepared.problem, best_epochs(prepared, trial)
    architecture = problem.recipe.of(trial.params).architecture
    prediction = np.empty((len(pool.y), pool.n_classes or 1))
    params, weights, stages = [], [], []
    views = _views(prepared, pool)
    for view in views:
        own, importances, told = _boost(problem, trial, epochs, view, pool.n_classes)
        shares = importances / importances.sum()
        found = predict(architecture, own, view.hidden)
        prediction[view.place] = np.tensordot(shares, found, axes=1)
        params.append(own)
        weights.append(shares / len(views))
        stages.append(told)
    part = Networks(architecture, np.concatenate(params), np.concatenate(weights))
    return Candidate("boosting", part, prediction, None, {"stages": stages})


def _boost(
    problem: Problem, trial: TrialRecord, epochs: int, view: _View, n_classes: int | None
) -> tuple[NDArray[np.float32], Values, list[dict[str, float]]]:
    """Parameters (stages, n_params), importances (stages,), and error and importance of each."""
    architecture = problem.recipe.of(trial.params).architecture
    weights = np.full(len(view.X), 1 / len(view.X))
    params: list[NDArray[np.float32]] = []
    found: list[Round] = []
    for stage in range(STAGES):
        state = (problem.seed, streams.BOOST, trial.number, view.fold, stage)
        scaled = (weights * len(weights))[None]
        own = _trained(problem, trial, epochs, view.X, view.y, scaled, [state])
        said = predict(architecture, own, view.X)[0]
        if n_classes is None:
            distance = np.abs(said - view.y).mean(axis=1).astype(np.float64)
            step = r2(weights, distance, "linear", 1.0)
        else:
            step = samme(weights, said.argmax(axis=1) != view.y, n_classes, 1.0)
        if not step.useful and found:
            break
        params.append(own)
        # One that alone is no better than chance is all that there is.
        found.append(step if step.useful else step._replace(importance=1.0))
        if step.error <= 0 or not step.useful:
            break
        weights = step.weights
    told = [{"error": each.error, "importance": each.importance} for each in found]
    return np.concatenate(params), np.array([each.importance for each in found]), told


def _views(prepared: Prepared, pool: Pool) -> list[_View]:
    """The folds of the pool; or the training rows, if the pool are others that they score."""
    problem = prepared.problem
    if problem.folds is None and len(pool.y) == len(problem.validation):
        training = problem.training
        X, y = np.asarray(training.X), np.asarray(training.targets[0])
        return [_View(0, X, y, pool.X, np.arange(len(pool.y)))]
    views = []
    y = pool.y if pool.n_classes else pool.y.astype(np.float32)
    for fold in range(count_folds(pool.folds)):
        own = pool.folds == fold
        views.append(_View(fold, pool.X[~own], y[~own], pool.X[own], np.flatnonzero(own)))
    return views


def _trained(
    problem: Problem,
    trial: TrialRecord,
    epochs: int,
    X: NDArray[np.float32],
    y: NDArray[Any],
    weights: NDArray[Any],
    states: Sequence[tuple[int, ...]],
) -> NDArray[np.float32]:
    """Parameters (members, n_params) of a stack; ``weights`` (members, rows)."""
    recipe = problem.recipe.of(trial.params)

    def done(epoch: int, _curves: Curves) -> NDArray[np.bool_]:
        return np.full(len(states), epoch + 1 >= epochs)

    trained = train(
        recipe.architecture,
        replace(recipe.settings, patience=None),
        recipe.members([trial.params] * len(states), states),
        Rows(X, (y,), weights.astype(X.dtype)),
        None,
        problem.row_loss,
        hopeless=done,
    )
    if trained.diverged.any():
        raise NoFiniteTrialError(
            f"trial {trial.number} diverged when it was trained again with other weights of rows: "
            "leave bagging and boosting out of --methods"
        )
    return trained.params
