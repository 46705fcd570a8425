"""A study that this process has joined: searched, its winner chosen and tested."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.choice import Chooser
from hpo.data.table import Dataset
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.handover import agreed
from hpo.known_trials import FINISHED
from hpo.nn.architecture import Architecture
from hpo.preparation import Model, Prepared, prepare_whole
from hpo.refit import Refit
from hpo.search.evaluation import Workers
from hpo.search.expectation import Expectation, expected_score
from hpo.search.loop import Evaluate, Event, search
from hpo.search.narrowing import NarrowingSettings, countable
from hpo.search.objectives import Costs, with_costs
from hpo.search.optuna_pruning import OPTUNA_PRUNERS, AskedPruner
from hpo.search.pruning import NONE, RUNGS, NoPruner, Pruner, Rungs
from hpo.search.repeats import Heard, unheard
from hpo.search.start import NOTHING, Start
from hpo.settings import Settings
from hpo.study_store import StudyStore
from storage import catalogue, ledger
from storage.records import Look, RoundRecord, SelectionRecord, TrialRecord

CANDIDATE_BYTES = 1 << 28
"""Bounds the row losses or predictions with which the winner's expected score is estimated."""

READ_AT_ONCE = 500
"""How many trials' predictions are held at once."""


@dataclass(frozen=True)
class JoinedStudy:
    """A study that this process has joined, with its data ready to be trained on.

    ``hpo.Experiment`` is a study as users open it, which joins it only to build ensembles.
    """

    study: str
    settings: Settings
    narrowing: NarrowingSettings
    prepared: Prepared
    store: StudyStore
    dataset: Dataset
    start: Start = NOTHING

    def search(self, total: int, n_workers: int, deadline: float = math.inf) -> Iterator[Event]:
        """Train until ``total`` trials have finished; yields what the storage holds by then.

        At ``deadline``, by ``time.time``, it ends, at the end of an epoch. Raises ``UsageError``
        for more workers than the pruner can have.
        """
        check_pruner(self.settings.pruner, alone=n_workers == 1)
        workers = Workers(self.prepared.problem, n_workers, deadline)
        store, space = self.store, self.store.space
        evaluate: Evaluate = workers.evaluate
        if names := self.settings.objectives[1:]:
            problem = self.prepared.problem
            costs = Costs(names, problem.training.X, self._costs)
            evaluate = with_costs(evaluate, problem.recipe, costs)
        return search(
            store,
            evaluate,
            space,
            self.narrowing,
            total,
            workers.is_over,
            self.settings.optimizer,
            self.settings.sampler,
            self.pruner(),
            self.start,
            self.settings.asynchronous,
            len(self.settings.objectives),
        )

    def pruner(self) -> Pruner:
        """Who drops trials before their end."""
        name, size = self.settings.pruner, self.narrowing.trials_per_round
        if name == NONE:
            return NoPruner()
        if name == RUNGS:
            return Rungs(self.store, size, self.settings.epochs)
        return AskedPruner(name, self.store, self.settings.seed, size, self.settings.epochs)

    def _costs(self) -> dict[Architecture, tuple[float, ...]]:
        """The costs that the study holds of networks of a shape: the first that were entered."""
        recipe, trials = self.prepared.problem.recipe, self.store.ranked()
        trials.sort(key=lambda each: -each.number)
        return {recipe.of(each.params).architecture: each.costs for each in trials}

    @property
    def has_few_points(self) -> bool:
        """Whether the space has so few points that a search may try all of them."""
        return countable(self.store.space.distributions)

    def is_finished(self, total: int) -> bool:
        """Whether as many trials as were asked for have finished."""
        states = self.store.states()
        return sum(states.get(state, 0) for state in FINISHED) >= total

    def rounds(self) -> list[RoundRecord]:
        """The ranges of every round."""
        return self.store.rounds.read(lambda each: catalogue.load_rounds(each, self.store.uid))

    def winner(self) -> TrialRecord:
        """The trial with the best validation score.

        Raises
        ------
        NoFiniteTrialError
            If every trial failed; names the first reason.
        """
        ranked = self.store.ranked()
        if ranked:
            return ranked[0]
        failed = [trial for trial in self.store.trials() if trial.state == "FAIL"]
        if not failed:
            raise NoFiniteTrialError(
                "no trial has finished yet: run the same command again, and give it more time"
            )
        reason = str(failed[0].attributes.get("reason", "no reason was kept"))
        advice = "; try lower learning rates (--space learning_rate=1e-6..1e-3:log)"
        raise NoFiniteTrialError(
            f"all {len(failed)} trials failed; trial {failed[0].number}: {reason}"
            f"{advice if reason.startswith('diverged') else ''}"
        )

    def expectation(self) -> Expectation:
        """The score to expect of the winner on new rows."""
        problem = self.prepared.problem
        target = problem.scored.target
        ranked = [trial.number for trial in self.store.ranked()]
        most = problem.metric.most_trials(len(target), problem.target.n_outputs, CANDIDATE_BYTES)
        numbers = sorted(ranked[:most])
        evidence: NDArray[Any] = np.empty(0)
        for start in range(0, len(numbers), READ_AT_ONCE):
            found = self.store.predictions(numbers[start : start + READ_AT_ONCE])
            for place, number in enumerate(numbers[start : start + READ_AT_ONCE], start):
                prediction = problem.in_units(found[number][None])
                each = problem.metric.evidence(prediction, target)[0]
                if place == 0:
                    evidence = np.empty((len(numbers), *each.shape), each.dtype)
                evidence[place] = each
        return expected_score(evidence, target, problem.metric, self.settings.seed)

    def choose(
        self,
        repeats: int,
        n_workers: int,
        deadline: float = math.inf,
        *,
        refit: bool = False,
        heard: Heard = unheard,
    ) -> SelectionRecord | None:
        """The winner among the best trials, each trained ``repeats`` times more.

        None if ``repeats`` is 0, if the best could not be trained again, or if ``deadline``, by
        ``time.time``, passes before they are. With ``refit`` it is then trained on all rows but
        those for the test; without repeats that is the first of the ranking. What was chosen stands
        if ``deadline`` passes in between. ``heard`` is told how many networks are trained.

        Raises
        ------
        NoFiniteTrialError
            If the winner cannot be trained on all rows.
        """
        ranked = self.store.ranked()
        states = self.store.states()
        finished = sum(states.get(state, 0) for state in FINISHED)
        if not ranked or not (repeats or refit):
            return None

        seed = self.settings.seed
        chooser = Chooser(self.store, self.prepared, seed, repeats, ranked, finished, heard)

        def choose() -> SelectionRecord | None:
            return self._choose(chooser, n_workers, deadline, refit=refit)

        def help_others() -> bool:
            return bool(repeats) and chooser.help(n_workers, deadline)

        return agreed(self.store, finished, repeats, choose, help_others, deadline, refit=refit)

    def _choose(
        self, chooser: Chooser, n_workers: int, deadline: float, *, refit: bool
    ) -> SelectionRecord | None:
        ranked, finished, repeats = chooser.ranked, chooser.finished, chooser.repeats
        chosen = None
        if repeats:
            chosen = chooser.stored() or chooser.choose(n_workers, deadline)
        if not refit or time.time() >= deadline:
            return chosen
        whole = prepare_whole(self.dataset, self.settings, self.prepared)
        trial = next(each for each in ranked if chosen is None or each.number == chosen.number)
        told = self._unchosen() if chosen is None else chosen.record
        again = Refit(self.store, whole, repeats, chooser.heard)
        return again.train(trial, told, finished, n_workers, deadline) or chosen

    def _unchosen(self) -> dict[str, Any]:
        """What is to be told of the first of the ranking where none was trained again."""
        expected, standard_error = self.expectation()
        told = {"expected": expected, "expected_se": standard_error}
        return {**told, "folds": None, "candidates": []}

    def test(self, trial: TrialRecord, selection: SelectionRecord | None = None) -> Look:
        """The score on the test rows; a look that the ledger counts, once per model.

        Of the mean of the repeats, if the trial was trained again, else of the trial's own network.
        """
        if selection is None:
            digest, network = self.store.network(trial.number)
        else:
            digest, network = selection.digest, self.store.model(trial.number, selection.digest)
        again = ", refitted" if selection is not None and selection.refit else ""
        return self.look(network, digest, f"winner of the search (trial {trial.number}{again})")

    def look(self, model: Model, digest: str, why: str) -> Look:
        """The score of a stored model on the test rows; a look that the ledger counts, once each.

        ``why`` is what the ledger says of it.
        """
        metric = self.prepared.problem.metric
        return ledger.look(
            self.store.write,
            self.store.uid,
            self.store.owner,
            digest,
            why,
            lambda: self.prepared.sealed.score(model, metric),
        )

    def looks(self) -> list[Look]:
        """Every look at the test rows so far."""
        return self.store.rounds.read(lambda each: ledger.looks(each, self.store.uid))


def check_pruner(name: str, *, alone: bool) -> None:
    """Raise ``UsageError`` if none can be dropped so; ``alone``: one process trains all of them."""
    if name in OPTUNA_PRUNERS and not alone:
        raise UsageError(
            f"--pruner {name} compares trials while they are trained, in one process: add "
            "--workers 1, or use --pruner rungs"
        )
