"""The models that an ensemble is built from, and what each predicts for rows it did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ensembles.losses import Values
from ensembles.value import Cost
from hpo.data.schema import Task
from hpo.ensembling.fitting import Fitted, Trained, fit, train
from hpo.ensembling.learners import SLOWEST_FIRST
from hpo.ensembling.parts import Learners, Networks, Part
from hpo.ensembling.pools import Pool
from hpo.ensembling.side_by_side import Call, side_by_side
from hpo.errors import NoFiniteTrialError
from hpo.handover import best_epochs
from hpo.preparation import Prepared
from hpo.search.folds import count_folds
from hpo.search.repeats import Job, Repeat
from hpo.search.stacks import stacks
from hpo.study_store import StudyStore
from storage.errors import ArtifactError
from storage.records import TrialRecord


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


@dataclass(frozen=True)
class Work:
    """Calls, the slowest first, and what makes candidates of what they return, in their order."""

    calls: Sequence[Call]
    gather: Callable[[Sequence[Any]], list[Candidate]]


def carry_out(works: Sequence[Work], n_workers: int) -> list[Candidate]:
    """The candidates of all works, in their order, by ``n_workers`` processes, this one included.

    Processes begin with the calls of the first work, so the slowest should come first.
    """
    found = iter(side_by_side([call for work in works for call in work.calls], n_workers))
    gathered = [work.gather([next(found) for _ in work.calls]) for work in works]
    return [each for candidates in gathered for each in candidates]


def folded_networks(
    prepared: Prepared, pool: Pool, trials: Sequence[TrialRecord], n_stacks: int
) -> Work:
    """The hyperparameters of ``trials`` trained again, a network for each fold, in a few stacks.

    Raises ``NoFiniteTrialError``, once it is done, if none of them could be.
    """
    problem, n_folds = prepared.problem, count_folds(pool.folds)
    jobs = [
        Job(trial.number, trial.params, best_epochs(prepared, trial), fold)
        for trial in trials
        for fold in range(n_folds)
    ]

    def gather(trained: Sequence[Trained]) -> list[Candidate]:
        repeats = [each for stack in trained for each in stack.repeats]
        seconds = sum(stack.seconds for stack in trained) / max(1, len(trials))
        found = []
        for trial in trials:
            own = [each for each in repeats if each.number == trial.number]
            if all(each.trained for each in own):
                found.append(_folded(prepared, pool, trial, own, seconds))
        if trials and not found:
            raise NoFiniteTrialError(
                "none of the best trials could be trained again over the folds"
            )
        return found

    # Where folds scored the trials, the same ones divide the training rows, which are all there is.
    calls = [Call(train, (problem, pool.folds, each)) for each in stacks(problem, jobs, n_stacks)]
    return Work(calls, gather)


def _folded(
    prepared: Prepared, pool: Pool, trial: TrialRecord, own: Sequence[Repeat], seconds: float
) -> Candidate:
    """The networks of one trial, one for each fold."""
    own = sorted(own, key=lambda each: each.repeat)
    prediction = np.empty((len(pool.y), own[0].prediction.shape[1]))
    for fold, each in enumerate(own):
        prediction[pool.folds == fold] = each.prediction
    architecture = prepared.problem.recipe.of(trial.params).architecture
    part = Networks(architecture, np.stack([each.params for each in own]))
    return Candidate(f"trial {trial.number}", part, prediction, seconds)


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


def fitted_learners(names: Sequence[str], task: Task, pool: Pool, seed: int) -> Work:
    """Learners of scikit-learn, a model for each view of the pool; the slowest first."""
    order = sorted(names, key=SLOWEST_FIRST.index)
    calls = [
        Call(fit, (name, task, view.X, view.y, view.hidden, seed, pool.n_classes))
        for name in order
        for view in pool.views
    ]

    def gather(fitted: Sequence[Fitted]) -> list[Candidate]:
        left = iter(fitted)
        found = {name: _learner(name, pool, [next(left) for _ in pool.views]) for name in order}
        return [found[name] for name in names]

    return Work(calls, gather)


def _learner(name: str, pool: Pool, own: Sequence[Fitted]) -> Candidate:
    """The models of one learner, one for each view."""
    prediction = np.empty((len(pool.y), pool.n_classes or 1))
    for view, each in zip(pool.views, own, strict=True):
        prediction[view.place] = each.prediction
    part = Learners(tuple(each.model for each in own))
    return Candidate(name, part, prediction, sum(each.seconds for each in own))
