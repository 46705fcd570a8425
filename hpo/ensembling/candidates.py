"""The models that an ensemble is built from, and what each predicts for rows it did not see."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from ensembles.losses import Values
from ensembles.members import outputs
from ensembles.value import Cost
from hpo.data.schema import Task
from hpo.ensembling import learners
from hpo.ensembling.parts import Learners, Networks, Part
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.handover import best_epochs
from hpo.nn.threads import one_blas_thread
from hpo.preparation import Prepared
from hpo.search.folds import Folds, count_folds, deal_folds
from hpo.search.problem import Problem
from hpo.search.repeats import Job, pooled_target, repeat
from hpo.study_store import StudyStore
from storage.errors import ArtifactError
from storage.records import TrialRecord

NESTED_FOLDS = 5
"""Into how many parts rows are dealt that score a choice, where no folds trained the models."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model with a name, and its ``prediction`` (rows, outputs) for rows that it did not see.

    ``seconds`` it took to train, None for one that was stored; ``about`` tells more, in plain
    values; ``cost`` is what it takes to predict 1,000 rows and to be stored, if it was measured.
    """

    name: str
    part: Part
    prediction: Values
    seconds: float | None
    about: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows that no candidate's prediction saw, which say how good an ensemble is.

    ``X`` (rows, inputs) encoded; ``y`` class indices (rows,), or standardised values (rows, 1);
    ``target`` as metrics are measured against. ``folds`` (rows,): what is chosen by some is scored
    on the others.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    target: NDArray[Any]
    folds: Folds
    n_classes: int | None


def fold_pool(prepared: Prepared, n_folds: int) -> Pool:
    """The training and the validation rows, dealt to folds.

    Raises ``UsageError`` where they cannot be: too few rows or groups, or rows in time.
    """
    problem = prepared.problem
    dealt = problem.folds if problem.folds is not None else prepared.folds(n_folds)
    if dealt is None:
        why = "time decides how rows are split" if _in_time(prepared) else "the rows are too few"
        raise UsageError(f"--folds {n_folds}: {why}; use --no-refit")
    X = np.concatenate([problem.training.X, problem.validation.X])
    y = np.concatenate([problem.training.targets[0], problem.validation.targets[0]])
    return _pool(problem, X, y, pooled_target(problem), dealt)


def validation_pool(prepared: Prepared) -> Pool:
    """The rows that scored the trials: of the validation part, or of the folds of ``--cv``."""
    problem = prepared.problem
    scored = problem.scored
    rows = problem.validation if problem.folds is None else problem.training
    y = np.asarray(rows.targets[0])
    n_folds = min(NESTED_FOLDS, len(y))
    dealt = problem.folds
    if dealt is None:
        dealt = deal_folds(len(y), y if problem.target.classes else None, problem.seed, n_folds)
    return _pool(problem, np.asarray(scored.X), y, scored.target, dealt)


def _pool(
    problem: Problem, X: NDArray[Any], y: NDArray[Any], target: NDArray[Any], folds: Folds
) -> Pool:
    n_classes = len(problem.target.classes) or None
    y = y if n_classes else y.astype(np.float64)
    return Pool(np.asarray(X, np.float32), y, target, folds, n_classes)


def folded_networks(
    prepared: Prepared,
    pool: Pool,
    trials: Sequence[TrialRecord],
    n_workers: int,
    deadline: float,
) -> list[Candidate]:
    """The hyperparameters of ``trials`` trained again, a network for each fold, all together.

    Raises ``NoFiniteTrialError`` if none of them could be.
    """
    n_folds = count_folds(pool.folds)
    jobs = [
        Job(trial.number, trial.params, best_epochs(prepared, trial), fold)
        for trial in trials
        for fold in range(n_folds)
    ]
    began = time.perf_counter()
    # Where folds scored the trials, the same ones divide the training rows, which are all there is.
    done = [
        each
        for part in repeat(prepared.problem, pool.folds, jobs, n_workers, deadline)
        for each in part
    ]
    seconds = (time.perf_counter() - began) / max(1, len(trials))
    found = []
    for trial in trials:
        own = sorted((each for each in done if each.number == trial.number), key=lambda e: e.repeat)
        if len(own) < n_folds or not all(len(each.params) for each in own):
            continue
        prediction = np.empty((len(pool.y), own[0].prediction.shape[1]))
        for fold, each in enumerate(own):
            prediction[pool.folds == fold] = each.prediction
        architecture = prepared.problem.recipe.of(trial.params).architecture
        part = Networks(architecture, np.stack([each.params for each in own]))
        found.append(Candidate(f"trial {trial.number}", part, prediction, seconds))
    if trials and not found:
        raise NoFiniteTrialError("none of the best trials could be trained again over the folds")
    return found


def stored_networks(
    store: StudyStore, trials: Sequence[TrialRecord], pool: Pool
) -> list[Candidate]:
    """The networks of ``trials`` that are kept whole, with their stored predictions."""
    numbers = [trial.number for trial in trials]
    kept = {each.number: each.digest for each in store.kept() if each.number in set(numbers)}
    predictions = store.predictions([number for number in numbers if number in kept])
    found = []
    for number in numbers:
        if number not in kept or number not in predictions:
            continue
        network = store.model(number, kept[number])
        if len(predictions[number]) != len(pool.y):
            raise ArtifactError(f"trial {number}: its stored predictions are of other rows")
        part = Networks(network.architecture, network.params)
        prediction = predictions[number].astype(np.float64)
        found.append(Candidate(f"trial {number}", part, prediction, None))
    return found


def folded_learners(
    names: Sequence[str], task: Task, pool: Pool, seed: int, n_workers: int
) -> list[Candidate]:
    """Learners of scikit-learn, a model for each fold."""
    views = []
    for fold in range(count_folds(pool.folds)):
        own = pool.folds == fold
        views.append(_View(pool.X[~own], _flat(pool.y[~own]), pool.X[own], np.flatnonzero(own)))
    return _candidates(names, task, views, pool, seed, n_workers)


def trained_learners(
    names: Sequence[str], prepared: Prepared, pool: Pool, seed: int, n_workers: int
) -> list[Candidate]:
    """Learners that are trained on the training rows, and predict the validation rows.

    With the folds of ``--cv`` a model for each fold.
    """
    problem = prepared.problem
    if problem.folds is not None:
        return folded_learners(names, problem.target.task, pool, seed, n_workers)
    X, y = np.asarray(problem.training.X), _flat(np.asarray(problem.training.targets[0]))
    view = _View(X, y, pool.X, np.arange(len(pool.y)))
    return _candidates(names, problem.target.task, [view], pool, seed, n_workers)


class _View(NamedTuple):
    """The rows and targets that a model learns from, and those that it predicts, with places."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    hidden: NDArray[np.float32]
    place: NDArray[np.int64]


def _candidates(
    names: Sequence[str],
    task: Task,
    views: Sequence[_View],
    pool: Pool,
    seed: int,
    n_workers: int,
) -> list[Candidate]:
    work = (
        joblib.delayed(_fitted)(name, task, view, seed, pool.n_classes)
        for name in names
        for view in views
    )
    done = iter(joblib.Parallel(n_jobs=n_workers)(work))
    found = []
    for name in names:
        own = [next(done) for _ in views]
        prediction = np.empty((len(pool.y), pool.n_classes or 1))
        for view, (_, predicted, _) in zip(views, own, strict=True):
            prediction[view.place] = predicted
        part = Learners(tuple(model for model, _, _ in own))
        found.append(Candidate(name, part, prediction, sum(seconds for _, _, seconds in own)))
    return found


def _fitted(
    name: str, task: Task, view: _View, seed: int, n_classes: int | None
) -> tuple[Any, Values, float]:
    """The model, what it predicts for the rows that it did not see, and its seconds."""
    began = time.perf_counter()
    # Other processes train beside this one, and threads of OpenMP that wait for a core spin.
    with one_blas_thread(), threadpool_limits(1, user_api="openmp"), warnings.catch_warnings():
        # A model that has not converged is a candidate like others: its predictions are scored.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = learners.make(name, task, view.y, seed).fit(view.X, view.y)
        predicted = outputs(model, view.hidden, n_classes)
    return model, predicted, time.perf_counter() - began


def _flat(y: NDArray[Any]) -> NDArray[Any]:
    """Targets (rows,) as learners of scikit-learn take them."""
    return y if y.ndim == 1 else y[:, 0].astype(np.float64)


def _in_time(prepared: Prepared) -> bool:
    return prepared.steering is not None and prepared.steering.kind == "time"
