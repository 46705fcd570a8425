"""One of Optuna's pruners, asked between the rungs of the trials that this process trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import TrialState

from hpo.search.pruning import Course, Courses, Judge, is_rung

_FACTOR = 4  # every second of our rungs, which double, is one of theirs

OPTUNA_PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "median": lambda _epochs: MedianPruner(),
    "percentile": lambda _epochs: PercentilePruner(25.0),
    "asha": lambda _epochs: SuccessiveHalvingPruner(1, _FACTOR),
    "hyperband": lambda epochs: HyperbandPruner(1, epochs, _FACTOR),
}
"""Optuna's pruners by the name that ``--pruner`` takes, each made from the number of epochs."""


@dataclass
class AskedPruner:
    """One of Optuna's pruners, over a study in memory.

    It is told of the rungs of a stack as they are reached, and of what the storage holds before a
    stack is trained. What an earlier process trained is told again in the same way, a round's
    trials rung by rung.
    """

    name: str
    history: Courses
    seed: int
    trials_per_round: int
    epochs: int
    _study: optuna.Study | None = None
    _trials: list[optuna.Trial] = field(default_factory=list)
    _asked_for: set[int] = field(default_factory=set)
    _finished: set[int] = field(default_factory=set)

    def judge(self, _index: int) -> Judge:
        """The same for all rounds."""
        return self

    def behind(
        self, numbers: Sequence[int], epochs: int, scores: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Those that the pruner would stop, asked in this order when it knows all scores."""
        if epochs == 1:
            self._catch_up()
        return np.array(self._ask(dict(zip(numbers, scores.tolist(), strict=True)), epochs))

    def _ask(self, scores: Mapping[int, float], epochs: int) -> list[bool]:
        self._asked_for |= set(scores)
        trials = [self._trial(number) for number in scores]
        for trial, score in zip(trials, scores.values(), strict=True):
            trial.report(score, epochs)
        return [trial.should_prune() for trial in trials]

    def _catch_up(self) -> None:
        """Tell of the trials that have finished since."""
        new = [each for each in self.history.courses() if each.number not in self._finished]
        rounds: dict[int, list[Course]] = {}
        for course in sorted(new, key=lambda each: each.number):
            rounds.setdefault(course.number // self.trials_per_round, []).append(course)
        for courses in rounds.values():
            self._replay([each for each in courses if each.number not in self._asked_for])
            for course in courses:
                self._tell(course)

    def _replay(self, courses: Sequence[Course]) -> None:
        """Ask again as it was asked when these trials were trained."""
        reached = {epochs for each in courses for epochs in each.scores}
        for epochs in sorted(filter(is_rung, reached - {self.epochs})):
            scores = {each.number: each.scores[epochs] for each in courses if epochs in each.scores}
            self._ask(scores, epochs)

    def _tell(self, course: Course) -> None:
        trial = self._trial(course.number)
        if course.pruned:
            self._memory.tell(trial, state=TrialState.PRUNED)
        elif course.value is None:
            self._memory.tell(trial, state=TrialState.FAIL)
        else:
            self._memory.tell(trial, course.value)
        self._finished.add(course.number)

    def _trial(self, number: int) -> optuna.Trial:
        """The one of this number, which decides on its bracket in Hyperband."""
        while len(self._trials) <= number:
            self._trials.append(self._memory.ask())
        return self._trials[number]

    @property
    def _memory(self) -> optuna.Study:
        if self._study is None:
            self._study = optuna.create_study(
                study_name=str(self.seed),
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(self.seed),
                pruner=OPTUNA_PRUNERS[self.name](self.epochs),
            )
        return self._study
