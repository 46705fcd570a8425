"""The winner of a search, chosen by training the best trials again."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.handover import best_epochs, enter, mean_network, stored
from hpo.persistence import Network
from hpo.preparation import Prepared
from hpo.search.expectation import Expectation, expected_score, measured_score
from hpo.search.folds import Folds, count_folds
from hpo.search.repeats import Heard, Job, Repeat, pooled_target, unheard
from hpo.search.selection import Candidate, best_candidate, complete_candidates
from hpo.search.views import out_of_fold
from hpo.shared_repeats import SharedRepeats
from hpo.study_store import StudyStore
from storage.records import SelectionRecord, TrialRecord
from storage.repeats import Choice

CANDIDATES = 6
"""How many of the best trials are trained again."""

MOST_FOLDED_ROWS = 5000
"""With more rows to train on and validate, the validation rows tell enough of a network."""


@dataclass(frozen=True)
class Chooser:
    """Chooses the winner among the best trials of a study.

    Each of the best `CANDIDATES` is trained ``repeats`` times more. Where training and validation
    rows are few, that is over folds of both, so that every row scores each candidate once, and what
    is handed over is the mean of networks that together have seen all of them. Where folds scored
    the trials, each is trained ``repeats`` times over as many folds, dealt anew.

    ``ranked`` are the complete trials, best first, of so many that have ``finished``. ``heard`` is
    told how many networks are trained.
    """

    store: StudyStore
    prepared: Prepared
    seed: int
    repeats: int
    ranked: Sequence[TrialRecord]
    finished: int
    heard: Heard = unheard

    def stored(self) -> SelectionRecord | None:
        """The winner, if a search has chosen it."""
        return stored(self.store, self.finished, self.repeats)

    def help(self, n_workers: int, deadline: float) -> bool:
        """Train some of what another search chooses by; returns whether there was any."""
        return self._shared.help(n_workers, deadline)

    def choose(self, n_workers: int, deadline: float) -> SelectionRecord | None:
        """Train the best again and enter the winner; None if ``deadline`` passes before."""
        if time.time() >= deadline:
            return None
        dealt = self._dealt
        done = self._shared.all(n_workers, deadline)
        if done is None:
            return None
        found: dict[int, dict[int, tuple[float, float]]] = {}
        for each in done:
            if math.isfinite(each.value):
                scores = each.value, each.train_value
                found.setdefault(each.number, {})[each.repeat] = scores
        places = self.repeats if dealt is None else count_folds(dealt)
        candidates = [each.by_place(places) for each in complete_candidates(found, self._networks)]
        if not candidates:
            return None
        winner = best_candidate(candidates)
        own = {number: self._of(done, number) for number in (each.number for each in candidates)}
        expectation = self._expectation(own, winner, dealt)
        (trial,) = (each for each in self.ranked if each.number == winner.number)
        params = [each.params for each in own[winner.number]]
        network = mean_network(self.store, self.prepared, trial, params)
        return self._enter(network, winner, candidates, expectation, dealt)

    @property
    def _networks(self) -> int:
        """How many of each candidate are trained."""
        return self.repeats * self.prepared.problem.n_networks

    @cached_property
    def _shared(self) -> SharedRepeats:
        jobs = [
            Job(trial.number, trial.params, best_epochs(self.prepared, trial), each)
            for trial in self.ranked[:CANDIDATES]
            for each in range(self._networks)
        ]
        choice = Choice(self.store.uid, self.finished, self.repeats)
        return SharedRepeats(self.store, self.prepared, self._dealt, jobs, choice, self.heard)

    @cached_property
    def _dealt(self) -> Folds | None:
        problem = self.prepared.problem
        if problem.folds is not None:
            anew = self.prepared.folds(problem.n_networks)
            # Groups that could be dealt out once cannot always be in another way.
            return problem.folds if anew is None else anew
        if len(problem.training) + len(problem.validation) > MOST_FOLDED_ROWS:
            return None
        return self.prepared.folds(self.repeats)

    @staticmethod
    def _of(done: Sequence[Repeat], number: int) -> list[Repeat]:
        own = [each for each in done if each.number == number]
        return sorted(own, key=lambda each: each.repeat)

    def _expectation(
        self, own: dict[int, list[Repeat]], winner: Candidate, dealt: Folds | None
    ) -> Expectation:
        """The score to expect of the model that is handed over.

        Over folds: that of the winner's networks on the rows that each did not see; of several for
        a row that of their mean. It is a little below what the mean of all will do. Else that of
        the candidates' means on the validation rows, without what the winner owes to being the best
        of them.
        """
        problem = self.prepared.problem
        if dealt is not None:
            target, n_folds = pooled_target(problem), count_folds(dealt)
            predictions = [each.prediction for each in own[winner.number]]
            means = [np.mean(predictions[fold::n_folds], axis=0) for fold in range(n_folds)]
            pooled = self._evidence(out_of_fold(means, dealt), target)
            return measured_score(pooled, target, problem.metric, self.seed)
        target = problem.validation_target
        evidence = np.stack(
            [
                self._evidence(np.mean([each.prediction for each in own[number]], axis=0), target)
                for number in sorted(own)
            ]
        )
        return expected_score(evidence, target, problem.metric, self.seed)

    def _evidence(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[Any]:
        problem = self.prepared.problem
        in_units = problem.in_units(prediction[None])
        evidence: NDArray[Any] = problem.metric.evidence(in_units, target)[0]
        return evidence

    def _enter(
        self,
        network: Network,
        winner: Candidate,
        candidates: Sequence[Candidate],
        expectation: Expectation,
        dealt: Folds | None,
    ) -> SelectionRecord | None:
        record = {
            "expected": expectation.score,
            "expected_se": expectation.standard_error,
            "folds": None if dealt is None else count_folds(dealt),
            "networks": self._networks,
            "candidates": [
                {
                    "trial": each.number,
                    "values": list(each.values),
                    "value": each.value,
                    "standard_error": float(np.std(each.values, ddof=1))
                    / math.sqrt(len(each.values))
                    if len(each.values) > 1
                    else None,
                    "gap": each.gap,
                }
                for each in sorted(candidates, key=lambda each: (-each.value, each.number))
            ],
        }
        new = SelectionRecord(self.finished, self.repeats, winner.number, "", record)
        return enter(self.store, network, new)
