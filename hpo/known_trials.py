"""The finished trials of a study, each read once, and those of this process not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from hpo.ranking import OURS
from hpo.search.evaluation import Outcome, Slot
from hpo.search.narrowing import FinishedTrial
from hpo.search.pruning import Course
from storage import history, records

FINISHED = frozenset({"COMPLETE", "PRUNED", "FAIL"})

EPOCHS = "epochs"
"""The attribute that every finished trial of ours has: for how many epochs it was trained."""


class _Known(NamedTuple):
    """A finished trial; without a loss if it failed, or is not ours, which also has no course."""

    loss: FinishedTrial | None
    course: Course | None


class KnownTrials:
    """What is known of a study's trials; what is finished stays as it is.

    ``since``: all trials with a lower id of Optuna's are finished, and known.
    """

    def __init__(self, study_id: int) -> None:
        self.study_id = study_id
        self.since = 0
        self._losses: list[FinishedTrial] = []
        self._courses: list[Course] = []
        self._claimed: dict[int, Slot] = {}
        # Number -> what this process has entered.
        self._entered: dict[int, _Known] = {}

    def claim(self, slots: Iterable[Slot]) -> None:
        """Remember what this process is about to train."""
        self._claimed = {slot.number: slot for slot in slots}

    def enter(self, outcomes: Iterable[Outcome]) -> None:
        """Remember which results of what it claimed this process has entered."""
        for each in outcomes:
            slot = self._claimed.pop(each.number, None)
            if slot is not None:
                loss = _loss(slot.number, slot.params, each.value, pruned=each.pruned)
                course = Course(each.number, each.intermediate, each.value, each.pruned)
                self._entered[each.number] = _Known(loss, course)

    def losses(self, connection: Connection) -> list[FinishedTrial]:
        """The complete trials; the metric is maximised, so a loss is its negative. And the pruned.

        In the order of their numbers.
        """
        loose = self._read(connection)
        return self._losses + [each.loss for each in loose if each.loss is not None]

    def courses(self, connection: Connection) -> list[Course]:
        """How the finished trials of ours went, by their intermediate values; in that order too."""
        loose = self._read(connection)
        return self._courses + [each.course for each in loose if each.course is not None]

    def _read(self, connection: Connection) -> list[_Known]:
        """Take in what is new; returns the finished trials behind one that is not."""
        stages = history.stages(connection, self.study_id, self.since)
        others = self._read_others(connection, stages)
        loose: list[_Known] = []
        settled = True
        for stage in stages:
            settled = settled and stage.state in FINISHED
            known = self._entered.get(stage.number) or others.get(stage.number)
            if settled:
                self.since = stage.trial_id + 1
                self._entered.pop(stage.number, None)
            if known is None:
                continue
            if not settled:
                loose.append(known)
                continue
            if known.loss is not None:
                self._losses.append(known.loss)
            if known.course is not None:
                self._courses.append(known.course)
        return loose

    def _read_others(
        self, connection: Connection, stages: Iterable[records.Stage]
    ) -> dict[int, _Known]:
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
        names = (OURS, EPOCHS)
        found = history.trials(connection, self.study_id, first, names, intermediate=True)
        return {trial.number: _known(trial) for trial in found if trial.state in FINISHED}


def _known(trial: records.TrialRecord) -> _Known:
    pruned = trial.state == "PRUNED"
    value = trial.value if OURS in trial.attributes else None
    ours = EPOCHS in trial.attributes
    course = Course(trial.number, trial.intermediate, trial.value, pruned) if ours else None
    return _Known(_loss(trial.number, trial.params, value, pruned=pruned), course)


def _loss(
    number: int, params: Mapping[str, Any], value: float | None, *, pruned: bool
) -> FinishedTrial | None:
    if pruned:
        return FinishedTrial(number, math.inf, params, pruned=True)
    return None if value is None else FinishedTrial(number, -value, params)
