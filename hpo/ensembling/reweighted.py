"""The best trial's network, many times over, each with rows of its own weight: bags and boosting.

A network for each fold and place is a member of one stack, in which rows differ by their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values
from ensembles.reweighting import Round, r2, samme
from hpo.ensembling.candidates import Candidate
from hpo.ensembling.parts import Networks
from hpo.ensembling.pools import Pool, View
from hpo.errors import NoFiniteTrialError
from hpo.handover import best_epochs
from hpo.nn.members import Rows
from hpo.nn.network import predict
from hpo.nn.training import Curves, train
from hpo.preparation import Prepared
from hpo.search import streams
from hpo.search.problem import Problem
from storage.records import TrialRecord

BAG_SIZE = 16
"""Networks of a bag, for each fold."""

STAGES = 8
"""Networks that are boosted one after the other, for each fold."""


def bagged(prepared: Prepared, pool: Pool, trial: TrialRecord, n_workers: int) -> Candidate:
    """Networks with the hyperparameters of ``trial`` on bootstrap samples (Breiman 1996).

    Raises ``NoFiniteTrialError`` if one diverges.
    """
    problem, epochs = prepared.problem, best_epochs(prepared, trial)
    work = (
        joblib.delayed(_bag)(problem, trial, epochs, view, fold)
        for fold, view in enumerate(pool.views)
    )
    params: list[NDArray[np.float32]] = joblib.Parallel(n_jobs=n_workers)(work)
    architecture = problem.recipe.of(trial.params).architecture
    prediction = np.empty((len(pool.y), pool.n_classes or 1))
    for view, own in zip(pool.views, params, strict=True):
        prediction[view.place] = predict(architecture, own, view.hidden).mean(axis=0)
    return Candidate("bagging", Networks(architecture, np.concatenate(params)), prediction, None)


def _bag(
    problem: Problem, trial: TrialRecord, epochs: int, view: View, fold: int
) -> NDArray[np.float32]:
    rows = len(view.X)
    sequence = np.random.SeedSequence((problem.seed, streams.BAG, trial.number, fold))
    drawn = np.random.default_rng(sequence).integers(rows, size=(BAG_SIZE, rows))
    counts = np.stack([np.bincount(each, minlength=rows) for each in drawn])
    states = [(problem.seed, streams.BAG, trial.number, fold, place) for place in range(BAG_SIZE)]
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
    for fold, view in enumerate(pool.views):
        own, importances, told = _boost(problem, trial, epochs, view, fold, pool.n_classes)
        shares = importances / importances.sum()
        found = predict(architecture, own, view.hidden)
        prediction[view.place] = np.tensordot(shares, found, axes=1)
        params.append(own)
        weights.append(shares / len(pool.views))
        stages.append(told)
    part = Networks(architecture, np.concatenate(params), np.concatenate(weights))
    return Candidate("boosting", part, prediction, None, {"stages": stages})


def _boost(
    problem: Problem,
    trial: TrialRecord,
    epochs: int,
    view: View,
    fold: int,
    n_classes: int | None,
) -> tuple[NDArray[np.float32], Values, list[dict[str, float]]]:
    """Parameters (stages, n_params), importances (stages,), and error and importance of each."""
    architecture = problem.recipe.of(trial.params).architecture
    weights = np.full(len(view.X), 1 / len(view.X))
    params: list[NDArray[np.float32]] = []
    found: list[Round] = []
    for stage in range(STAGES):
        state = (problem.seed, streams.BOOST, trial.number, fold, stage)
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
