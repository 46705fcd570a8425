"""The finished trials of a study, each read once, and those of this process not at all."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from hpo.ranking import OURS
from hpo.search.evaluation import Outcome, Slot
from hpo.search.narrowing import FinishedTrial
from storage import history, records

FINISHED = frozenset({"COMPLETE", "PRUNED", "FAIL"})


class KnownTrials:
    """What is known of a study's trials; what is finished stays as it is.

    ``since``: all trials with a lower id of Optuna's are finished, and known.
    """

    def __init__(self, study_id: int) -> None:
        self.study_id = study_id
        self.since = 0
        self._losses: list[FinishedTrial] = []
        self._claimed: dict[int, Slot] = {}
        # Number -> what this process has entered, None for a trial that failed.
        self._entered: dict[int, FinishedTrial | None] = {}

    def claim(self, slots: Iterable[Slot]) -> None:
        """Remember what this process is about to train."""
        self._claimed = {slot.number: slot for slot in slots}

    def enter(self, outcomes: Iterable[Outcome]) -> None:
        """Remember which results of what it claimed this process has entered."""
        for outcome in outcomes:
            slot = self._claimed.pop(outcome.number, None)
            if slot is not None:
                self._entered[outcome.number] = _finished(slot, outcome.value)

    def losses(self, connection: Connection) -> list[FinishedTrial]:
        """The complete trials; the metric is maximised, so a loss is its negative."""
        stages = history.stages(connection, self.study_id, self.since)
        others = self._read_others(connection, stages)
        loose: list[FinishedTrial] = []
        settled = True
        for stage in stages:
            settled = settled and stage.state in FINISHED
            loss = self._entered.get(stage.number) or others.get(stage.number)
            if settled:
                self.since = stage.trial_id + 1
                self._entered.pop(stage.number, None)
            if loss is not None:
                (self._losses if settled else loose).append(loss)
        return self._losses + loose

    def _read_others(
        self, connection: Connection, stages: Iterable[records.Stage]
    ) -> dict[int, FinishedTrial]:
        """The finished trials that this process has not entered itself."""
        first = min(
            (
                stage.trial_id
                for stage in stages
                if stage.state in FINISHED and stage.number not in self._entered
            ),
            default=None,
        )
        if first is None:
            return {}
        return {
            trial.number: FinishedTrial(trial.number, -trial.value, trial.params)
            for trial in history.trials(connection, self.study_id, first, OURS)
            if trial.value is not None and OURS in trial.attributes
        }


def _finished(slot: Slot, value: float | None) -> FinishedTrial | None:
    return None if value is None else FinishedTrial(slot.number, -value, slot.params)
