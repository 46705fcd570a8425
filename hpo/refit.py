"""The winner's hyperparameters trained once more, on all rows but those for the test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo.errors import NoFiniteTrialError
from hpo.handover import best_epochs, enter, mean_network
from hpo.preparation import Prepared
from hpo.search.repeats import Heard, Job, Repeat, Retrained, repeat, unheard
from hpo.study_store import StudyStore
from storage.records import SelectionRecord, TrialRecord


@dataclass(frozen=True)
class Refit:
    """Trains the winner on training and validation rows, and enters it in place of the one chosen.

    As many networks as a candidate was trained again, ``repeats``, and at least one; each with a
    seed of its own, for as many epochs as the trial was. Their mean is the model. Nothing is left
    to score it, so the score to expect stays that of the choice. ``whole`` has no validation
    rows. ``heard`` is told how many are trained.
    """

    store: StudyStore
    whole: Prepared
    repeats: int
    heard: Heard = unheard

    def train(
        self,
        trial: TrialRecord,
        told: Mapping[str, Any],
        finished: int,
        n_workers: int,
        deadline: float,
    ) -> SelectionRecord | None:
        """Train ``trial`` and enter it; None if ``deadline`` passes before.

        ``told`` is how it was chosen, and its score to expect.

        Raises
        ------
        NoFiniteTrialError
            If a network diverges.
        """
        if time.time() >= deadline:
            return None
        count, epochs = max(1, self.repeats), best_epochs(self.whole, trial)
        jobs = [Job(trial.number, trial.params, epochs, each) for each in range(count)]
        rows = len(self.whole.problem.training)
        done: list[Repeat] = []
        self.heard(Retrained(1, 0, count, rows))
        for part in repeat(self.whole.problem, None, jobs, n_workers, deadline):
            done = sorted([*done, *part], key=lambda each: each.repeat)
            self.heard(Retrained(1, len(done), count, rows))
        if len(done) < count:
            return None
        if not all(len(each.params) for each in done):
            raise NoFiniteTrialError(
                f"trial {trial.number}, the winner, could not be trained on all rows: its loss was "
                "not finite; leave --refit out"
            )
        params = [each.params for each in done]
        network = mean_network(self.store, self.whole, trial, params, refit=True)
        record = {**told, "networks": count, "refit": rows}
        new = SelectionRecord(finished, self.repeats, trial.number, "", record, refit=True)
        return enter(self.store, network, new)
