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
from ensembles.losses import Values, loss_of
from ensembles.value import cost
from hpo.choice import MOST_FOLDED_ROWS
from hpo.ensembling import learners
from hpo.ensembling.assembling import (
    BEST,
    FREE,
    METHODS,
    Assembled,
    Budget,
    alone,
    assemble,
    combiner,
    trimmed,
)
from hpo.ensembling.candidates import (
    Candidate,
    Work,
    carry_out,
    fitted_learners,
    folded_networks,
    stored_networks,
)
from hpo.ensembling.figures import figures
from hpo.ensembling.learners import DEFAULT as DEFAULT_LEARNERS
from hpo.ensembling.model import EnsembleModel
from hpo.ensembling.parts import Learners, Part
from hpo.ensembling.picking import beaten, pick
from hpo.ensembling.pools import Pool, fold_pool, validation_pool
from hpo.ensembling.reweighted import bagged, boosted
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.nn.threads import one_blas_thread
from hpo.preparation import Prepared
from hpo.ranking import WINNER
from hpo.safe_learners import UnsafeLearnerError
from hpo.search.expectation import Expectation, expected_score
from hpo.study_store import StudyStore
from storage import catalogue
from storage.artifacts import Artifact
from storage.records import EnsembleRecord

DEFAULT_TOP = 8
DEFAULT_FOLDS = 5
DEFAULT_NAME = "ensemble"
DEFAULT_METHODS = ("greedy", "stacking", "blend")
LONGEST_NAME = 64
MEASURED_ROWS = 1000
"""Rows for which it is measured how long a member takes."""

CALLS = 3
"""How often, where it decides what is built; to be told once is enough."""

ADDED_ROWS = 2000
"""On so many rows it is measured what each member adds."""


@dataclass(frozen=True)
class Plan:
    """What to build. ``top``: how many of the best trials take part; None: all that are kept.

    ``folds`` None keeps the networks that are stored, and trains learners on the training rows.
    ``budget`` is what the ensemble may take; methods that need more are not chosen.
    """

    learners: tuple[str, ...]
    methods: tuple[str, ...] = DEFAULT_METHODS
    top: int | None = DEFAULT_TOP
    folds: int | None = DEFAULT_FOLDS
    name: str = DEFAULT_NAME
    budget: Budget = FREE


def planned(
    prepared: Prepared,
    *,
    learners: tuple[str, ...] | None = None,
    methods: tuple[str, ...] = DEFAULT_METHODS,
    top: int | None = None,
    folds: int | None = None,
    refit: bool = True,
    name: str = DEFAULT_NAME,
    budget: Budget = FREE,
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
    return Plan(learners, methods, top, chosen, name, budget)


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

    def build(self, plan: Plan, n_workers: int) -> EnsembleRecord:
        """Build, choose the best method and keep it, in place of one of the same name.

        Raises
        ------
        NoFiniteTrialError
            If there is nothing to build from.
        UsageError
            If something that was asked for cannot be.
        """
        learners.check_names(plan.learners, self.prepared.problem.target.task)
        # What is multiplied is small, and threads that wait for a core that others use spin.
        with one_blas_thread():
            return self._build(plan, n_workers)

    def _build(self, plan: Plan, n_workers: int) -> EnsembleRecord:
        """As `build` does, whatever the threads."""
        began = time.perf_counter()
        pool, candidates = self.candidates(plan, n_workers)
        single = self._reweighted(plan, pool, n_workers)
        if not plan.budget.is_free:
            single, candidates = (
                [_costed(_written(each), pool, CALLS) for each in group]
                for group in (single, candidates)
            )
        affordable = _affordable(candidates, plan.budget)
        combined = (BEST, *(each for each in plan.methods if each in METHODS))
        assembled = [
            assemble(each, affordable, pool, plan.budget) for each in dict.fromkeys(combined)
        ]
        assembled = [trimmed(each) for each in assembled] + [alone(each, pool) for each in single]
        possible = [each for each in assembled if plan.budget.holds(each.members)]
        best = pick(possible, pool)
        members = [_costed(_written(each), pool, 1) for each in best.members]
        chosen = replace(best, members=members)
        expectation = self._expectation(beaten(best, possible), pool)
        record = self._described(plan, pool, candidates, possible, chosen, expectation)
        record["seconds"] = round(time.perf_counter() - began, 3)
        return self._keep(plan.name, chosen, record)

    def _reweighted(self, plan: Plan, pool: Pool, n_workers: int) -> list[Candidate]:
        """The best trial's network in a bag, and boosted, if that is asked for."""
        trials = self.store.ranked()[:1]
        found = []
        if trials and "bagging" in plan.methods:
            found.append(bagged(self.prepared, pool, trials[0], n_workers))
        if trials and "boosting" in plan.methods:
            found.append(boosted(self.prepared, pool, trials[0]))
        return found

    def candidates(self, plan: Plan, n_workers: int) -> tuple[Pool, list[Candidate]]:
        """The rows that score, and the models to combine."""
        prepared, ranked = self.prepared, self.store.ranked()
        trials = ranked if plan.top is None else ranked[: plan.top]
        task = prepared.problem.target.task
        found: list[Candidate] = []
        works: list[Work] = []
        if plan.folds is None:
            pool = validation_pool(prepared)
            found = stored_networks(self.store, trials, pool)
        else:
            pool = fold_pool(prepared, plan.folds)
            works.append(folded_networks(prepared, pool, trials, n_workers))
        works.append(fitted_learners(plan.learners, task, pool, self.seed))
        found += carry_out(works, n_workers)
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
        expectation: Expectation,
    ) -> dict[str, Any]:
        """In plain values, what was built and how good it is."""
        classes = pool.n_classes is not None
        loss = loss_for(classes=classes)
        weights = chosen.combination.weights
        added = self._added(chosen, pool)
        taken = {each.name for each in chosen.members}
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
                    **(each.members[0].about if len(each.members) == 1 else {}),
                }
                for each in assembled
            ],
            "members": [
                {
                    "name": each.name,
                    "models": each.part.n_models,
                    "loss": loss_of(loss, each.prediction, pool.y),
                    "score": self._score(each.prediction, pool),
                    "weight": None if weights is None else float(weights[place]),
                    "adds": added.get(each.name),
                    "bytes": each.part.n_bytes,
                    "milliseconds": each.cost and each.cost.milliseconds,
                    "seconds": each.seconds,
                }
                for place, each in enumerate(chosen.members)
            ],
            "left_out": sorted(each.name for each in candidates if each.name not in taken),
            **figures(chosen, candidates, pool),
        }

    def _added(self, chosen: Assembled, pool: Pool) -> dict[str, float]:
        """How much the loss of rows that had no part in it rises without each member."""
        classes, kept = pool.n_classes is not None, chosen.members
        if len(kept) < 2:
            return {}
        rows = np.arange(len(pool.y))[:: -(-len(pool.y) // ADDED_ROWS)]
        predictions = np.stack([each.prediction[rows] for each in kept])
        how = combiner(chosen.method, kept, FREE, classes=classes)
        parts = np.unique(pool.folds[rows], return_inverse=True)[1].astype(np.int64)
        found = contributions(how, predictions, pool.y[rows], parts, classes=classes)
        return {each.name: float(value) for each, value in zip(kept, found, strict=True)}

    def _score(self, prediction: NDArray[Any], pool: Pool) -> float | None:
        problem = self.prepared.problem
        value = float(problem.metric(problem.in_units(prediction[None]), pool.target)[0])
        return value if math.isfinite(value) else None

    def _expectation(self, assembled: Sequence[Assembled], pool: Pool) -> Expectation:
        """The score to expect of the first method, without what it owes to being the best."""
        problem = self.prepared.problem
        evidence = np.concatenate(
            [
                problem.metric.evidence(problem.in_units(each.prediction[None]), pool.target)
                for each in assembled
            ]
        )
        return expected_score(evidence, pool.target, problem.metric, self.seed)

    def _keep(self, name: str, chosen: Assembled, record: dict[str, Any]) -> EnsembleRecord:
        prepared, store = self.prepared, self.store
        model = EnsembleModel(
            prepared.encoding,
            prepared.problem.target,
            tuple(each.name for each in chosen.members),
            tuple(each.part for each in chosen.members),
            chosen.combination,
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


def _affordable(candidates: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    """Those that fit the budget alone; raises ``UsageError`` if none does."""
    found = [each for each in candidates if budget.holds([each])]
    if found:
        return found
    costs = [each.cost for each in candidates if each.cost is not None]
    least = min(each.milliseconds for each in costs), min(each.n_bytes for each in costs)
    raise UsageError(
        "no model fits --max-latency and --max-size: the quickest takes "
        f"{least[0]:.2g} ms for 1,000 rows, the smallest {least[1]:,} bytes"
    )


def _costed(candidate: Candidate, pool: Pool, calls: int) -> Candidate:
    """Likewise with what it takes to predict, in so many ``calls``, and to be stored."""
    if candidate.cost is not None:
        return candidate

    def ask(part: Part, X: NDArray[np.float32]) -> Values:
        return part.outputs(X, pool.n_classes)

    rows = np.resize(np.arange(len(pool.X)), MEASURED_ROWS)
    measured = cost(
        candidate.part, pool.X[rows], ask=ask, calls=calls, size=lambda part: int(part.n_bytes)
    )
    return replace(candidate, cost=measured)


def _written(candidate: Candidate) -> Candidate:
    """Likewise with the bytes that learners are kept as.

    Raises ``UsageError`` for a learner that cannot be kept.
    """
    if not isinstance(candidate.part, Learners):
        return candidate
    try:
        return replace(candidate, part=candidate.part.written())
    except UnsafeLearnerError as error:
        raise UsageError(str(error)) from error
