"""The models that an ensemble is built from, and what each predicts for rows it did not see."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np

from ensembles.losses import Values
from ensembles.value import Cost
from hpo.data.schema import Task
from hpo.ensembling.fitting import fit
from hpo.ensembling.parts import Learners, Networks, Part
from hpo.ensembling.pools import Pool
from hpo.errors import NoFiniteTrialError
from hpo.handover import best_epochs
from hpo.preparation import Prepared
from hpo.search.folds import count_folds
from hpo.search.repeats import Job, repeat
from hpo.study_store import StudyStore
from storage.errors import ArtifactError
from storage.records import TrialRecord

QUICK_SECONDS = 1.0
"""Networks that train in less do so in this process: others take as long to start."""


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
    if n_folds * sum(trial.attributes.get("seconds", math.inf) for trial in trials) < QUICK_SECONDS:
        n_workers = 1
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


def fitted_learners(
    names: Sequence[str], task: Task, pool: Pool, seed: int, n_workers: int
) -> list[Candidate]:
    """Learners of scikit-learn, a model for each view of the pool."""
    work = (
        joblib.delayed(fit)(name, task, view.X, view.y, view.hidden, seed, pool.n_classes)
        for name in names
        for view in pool.views
    )
    done = iter(joblib.Parallel(n_jobs=n_workers)(work))
    found = []
    for name in names:
        own = [next(done) for _ in pool.views]
        prediction = np.empty((len(pool.y), pool.n_classes or 1))
        for view, each in zip(pool.views, own, strict=True):
            prediction[view.place] = each.prediction
        part = Learners(tuple(each.model for each in own))
        found.append(Candidate(name, part, prediction, sum(each.seconds for each in own)))
    return found
