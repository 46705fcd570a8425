"""From a finished search to an ensemble: candidates, methods, the choice, and what is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.combining import contributions, loss_for
from ensembles.losses import loss_of
from hpo.ensembling import learners
from hpo.ensembling.assembling import BEST, Assembled, assemble, combiner, trimmed
from hpo.ensembling.candidates import (
    Candidate,
    Pool,
    fold_pool,
    folded_learners,
    folded_networks,
    stored_networks,
    trained_learners,
    validation_pool,
)
from hpo.ensembling.learners import DEFAULT as DEFAULT_LEARNERS
from hpo.ensembling.model import EnsembleModel
from hpo.ensembling.parts import Learners
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.preparation import Prepared
from hpo.ranking import WINNER
from hpo.safe_learners import UnsafeLearnerError
from hpo.search.expectation import Expectation, expected_score
from hpo.study_store import StudyStore
from storage import catalogue
from storage.artifacts import Artifact
from storage.records import EnsembleRecord

MOST_FOLDED_ROWS = 5000
"""With more rows to train on and validate, the validation rows tell enough."""

DEFAULT_TOP = 4
DEFAULT_FOLDS = 5
DEFAULT_NAME = "ensemble"
DEFAULT_METHODS = ("greedy", "stacking")
LONGEST_NAME = 64
ADDED_ROWS = 2000
"""On so many rows it is measured what each member adds."""


@dataclass(frozen=True)
class Plan:
    """What to build. ``top``: how many of the best trials take part; None: all that are kept.

    ``folds`` None keeps the networks that are stored, and trains learners on the training rows.
    """

    learners: tuple[str, ...]
    methods: tuple[str, ...] = DEFAULT_METHODS
    top: int | None = DEFAULT_TOP
    folds: int | None = DEFAULT_FOLDS
    name: str = DEFAULT_NAME


def planned(
    prepared: Prepared,
    *,
    learners: tuple[str, ...] | None = None,
    methods: tuple[str, ...] = DEFAULT_METHODS,
    top: int | None = None,
    folds: int | None = None,
    refit: bool = True,
    name: str = DEFAULT_NAME,
) -> Plan:
    """What to build of this study, what is None being chosen by its data.

    ``refit``: everything is trained over folds, if there are not too many rows for that or folds
    were asked for; else the stored networks are taken.
    """
    chosen = (folds or default_folds(prepared)) if refit else None
    if learners is None:
        learners = DEFAULT_LEARNERS[prepared.problem.target.task]
    if top is None and chosen is not None:
        top = DEFAULT_TOP
    return Plan(learners, methods, top, chosen, name)


def may_be_called(name: str) -> bool:
    """Whether an ensemble may have this name."""
    return name != WINNER and 0 < len(name) <= LONGEST_NAME


def default_folds(prepared: Prepared) -> int | None:
    """How many folds to train over: none with many rows, or where time decides."""
    problem = prepared.problem
    if len(problem.training) + len(problem.validation) > MOST_FOLDED_ROWS:
        return None
    if problem.folds is None and prepared.folds(DEFAULT_FOLDS) is None:
        return None
    return DEFAULT_FOLDS


@dataclass(frozen=True)
class Builder:
    """Builds ensembles of one study."""

    store: StudyStore
    prepared: Prepared
    seed: int

    def build(self, plan: Plan, n_workers: int, deadline: float = math.inf) -> EnsembleRecord:
        """Build, choose the best method and keep it, in place of one of the same name.

        Raises
        ------
        NoFiniteTrialError
            If there is nothing to build from.
        UsageError
            If something that was asked for cannot be.
        """
        learners.check_names(plan.learners, self.prepared.problem.target.task)
        began = time.perf_counter()
        pool, candidates = self.candidates(plan, n_workers, deadline)
        methods = tuple(dict.fromkeys((BEST, *plan.methods)))
        assembled = [assemble(method, candidates, pool) for method in methods]
        chosen = min(assembled, key=lambda each: each.loss)
        candidates = _written(chosen, candidates, n_workers)
        record = self._described(plan, pool, candidates, assembled, chosen)
        record["seconds"] = round(time.perf_counter() - began, 3)
        return self._keep(plan.name, chosen, candidates, record)

    def candidates(
        self, plan: Plan, n_workers: int, deadline: float
    ) -> tuple[Pool, list[Candidate]]:
        """The rows that score, and the models to combine."""
        prepared, ranked = self.prepared, self.store.ranked()
        trials = ranked if plan.top is None else ranked[: plan.top]
        task = prepared.problem.target.task
        if plan.folds is None:
            pool = validation_pool(prepared)
            found = stored_networks(self.store, trials, pool)
            found += trained_learners(plan.learners, prepared, pool, self.seed, n_workers)
        else:
            pool = fold_pool(prepared, plan.folds)
            found = folded_networks(prepared, pool, trials, n_workers, deadline)
            found += folded_learners(plan.learners, task, pool, self.seed, n_workers)
        if not found:
            raise NoFiniteTrialError(
                "there is nothing to build an ensemble from: no network is kept, and no learner "
                "was asked for (--with)"
            )
        return pool, found

    def _described(
        self,
        plan: Plan,
        pool: Pool,
        candidates: Sequence[Candidate],
        assembled: Sequence[Assembled],
        chosen: Assembled,
    ) -> dict[str, Any]:
        """In plain values, what was built and how good it is."""
        classes = pool.n_classes is not None
        loss = loss_for(classes=classes)
        alone = {each.name: loss_of(loss, each.prediction, pool.y) for each in candidates}
        weights = chosen.combination.weights
        _, kept = trimmed(chosen, candidates)
        added = self._added(chosen, kept, pool)
        expectation = self._expectation(assembled, pool)
        return {
            "method": chosen.method,
            "loss": "log_loss" if classes else "squared_error",
            "folds": plan.folds,
            "rows": len(pool.y),
            "expected": expectation.score,
            "expected_se": expectation.standard_error,
            "methods": [
                {
                    "method": each.method,
                    "loss": each.loss,
                    "score": self._score(each.prediction, pool),
                }
                for each in assembled
            ],
            "members": [
                {
                    "name": each.name,
                    "models": each.part.n_models,
                    "loss": alone[each.name],
                    "score": self._score(each.prediction, pool),
                    "weight": None if weights is None else float(weights[place]),
                    "adds": added.get(each.name),
                    "bytes": each.part.n_bytes,
                    "seconds": each.seconds,
                }
                for place, each in enumerate(candidates)
                if each in kept
            ],
            "left_out": sorted(set(alone) - {each.name for each in kept}),
        }

    def _added(self, chosen: Assembled, kept: Sequence[Candidate], pool: Pool) -> dict[str, float]:
        """How much the loss rises without each member."""
        classes = pool.n_classes is not None
        if len(kept) < 2 or chosen.method == BEST:
            return {}
        rows = np.arange(len(pool.y))[:: -(-len(pool.y) // ADDED_ROWS)]
        predictions = np.stack([each.prediction[rows] for each in kept])
        how = combiner(chosen.method, classes=classes)
        parts = np.unique(pool.folds[rows], return_inverse=True)[1].astype(np.int64)
        found = contributions(how, predictions, pool.y[rows], parts, classes=classes)
        return {each.name: float(value) for each, value in zip(kept, found, strict=True)}

    def _score(self, prediction: NDArray[Any], pool: Pool) -> float | None:
        problem = self.prepared.problem
        value = float(problem.metric(problem.in_units(prediction[None]), pool.target)[0])
        return value if math.isfinite(value) else None

    def _expectation(self, assembled: Sequence[Assembled], pool: Pool) -> Expectation:
        """The score to expect of the best method, without what it owes to being the best."""
        problem = self.prepared.problem
        evidence = np.concatenate(
            [
                problem.metric.evidence(problem.in_units(each.prediction[None]), pool.target)
                for each in sorted(assembled, key=lambda each: each.loss)
            ]
        )
        return expected_score(evidence, pool.target, problem.metric, self.seed)

    def _keep(
        self,
        name: str,
        chosen: Assembled,
        candidates: Sequence[Candidate],
        record: dict[str, Any],
    ) -> EnsembleRecord:
        combination, kept = trimmed(chosen, candidates)
        prepared, store = self.prepared, self.store
        model = EnsembleModel(
            prepared.encoding,
            prepared.problem.target,
            tuple(each.name for each in kept),
            tuple(each.part for each in kept),
            combination,
            {"experiment": store.uid, "ensemble": name, "method": chosen.method},
        )
        (digest,) = store.artifacts.save_all([Artifact(*model.to_bytes())])
        new = EnsembleRecord(name, digest, record)
        now = datetime.now(UTC).isoformat(timespec="seconds")

        def enter(connection: Any) -> list[str]:
            old = catalogue.save_ensemble(connection, store.uid, new, now)
            return catalogue.unreferenced(connection, [old] if old else [])

        for unused in store.write(enter):
            store.artifacts.delete(unused)
        return new


def _written(chosen: Assembled, candidates: Sequence[Candidate], n_workers: int) -> list[Candidate]:
    """The candidates, those that the chosen combination needs with the bytes to keep them as.

    Raises ``UsageError`` for a learner that cannot be kept.
    """
    _, kept = trimmed(chosen, candidates)
    try:
        return [
            replace(each, part=each.part.written(n_workers))
            if each in kept and isinstance(each.part, Learners)
            else each
            for each in candidates
        ]
    except UnsafeLearnerError as error:
        raise UsageError(str(error)) from error
