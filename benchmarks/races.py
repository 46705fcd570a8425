"""Searches of tables by samplers: in rounds as in ``hpo search``, or one trial at a time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.lookup import Scores, Table
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, Point
from hpo.search.proposals import NARROWING, missing, proposer
from hpo.search.pruning import Course
from hpo.settings import DEFAULT_ROUNDS

BUDGETS = 40, 100

ONE_AT_A_TIME: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe-sequential": lambda seed: TPESampler(seed=seed),
    "gp-sequential": lambda seed: GPSampler(seed=seed),
    "cmaes-sequential": lambda seed: CmaEsSampler(seed=seed),
}
CONTESTANTS = (NARROWING, "random", "tpe", "gp", "cmaes", "qmc", *ONE_AT_A_TIME)


class Record(NamedTuple):
    """A search: its regrets, and the processor time of its sampler a trial.

    ``tried`` is the regret on the validation rows of the best point tried.
    """

    kind: str
    table: str
    contestant: str
    trials: int
    seed: int
    test: float
    validation: float
    tried: float
    milliseconds: float


@dataclass
class Remembered:
    """The trials of one search, and what each got."""

    points_: list[Point] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def losses(self) -> list[FinishedTrial]:
        """The trials that did not fail."""
        pairs = enumerate(zip(self.points_, self.scores, strict=True))
        found = [FinishedTrial(n, -got.seen, point) for n, (point, got) in pairs]
        return [each for each in found if np.isfinite(each.value)]

    def courses(self) -> list[Course]:
        """None: no trial is dropped early."""
        return []

    def objectives(self) -> dict[int, tuple[float, ...]]:
        """The losses by the trials' numbers."""
        return {each.number: (each.value,) for each in self.losses()}

    def points(self) -> list[Point]:
        """The points that were tried, in their order."""
        return list(self.points_)

    def add(self, point: Point, scores: Scores, seconds: float) -> None:
        """Remember a trial, and what its point cost to find."""
        self.points_.append(point)
        self.scores.append(scores)
        self.seconds.append(seconds)

    def chosen(self, trials: int) -> Scores:
        """What the first of the best of so many trials got."""
        seen = np.array([each.seen for each in self.scores[:trials]])
        return self.scores[int(np.nan_to_num(seen, nan=-np.inf).argmax())]


def lacking(contestant: str) -> list[str]:
    """The packages that a contestant needs and that are not installed."""
    return list(missing(contestant.removesuffix("-sequential")))


def race(kind: str, name: str, table: Table, contestant: str, seed: int) -> list[Record]:
    """Search a table with each budget.

    One trial at a time is the same search whatever the budget is.
    """
    lacking(contestant)  # which imports packages before the clock starts
    best_validation, best_test = table.best
    own = seed_of(kind, name, seed)
    records, longest = [], None
    for trials in sorted(BUDGETS, reverse=True):
        if contestant in ONE_AT_A_TIME:
            longest = longest or one_at_a_time(contestant, table, own, trials)
            found = longest
        else:
            found = in_rounds(contestant, table, own, trials)
        got = found.chosen(trials)
        milliseconds = 1000 * sum(found.seconds[:trials]) / trials
        tried = max(each.validation for each in found.scores[:trials])
        regrets = best_test - got.test, best_validation - got.validation, best_validation - tried
        records.append(Record(kind, name, contestant, trials, seed, *regrets, milliseconds))
    return records


def in_rounds(contestant: str, table: Table, seed: int, trials: int) -> Remembered:
    """Search as ``hpo search`` does."""
    size = -(-trials // DEFAULT_ROUNDS)
    settings = NarrowingSettings(seed, size, DEFAULT_ROUNDS)
    found = Remembered()
    proposals = proposer(contestant, found, table.space, settings, "adam")
    with _silence():
        for first in range(0, trials, size):
            numbers = range(first, min(first + size, trials))
            start = time.process_time()
            points = proposals.points(numbers, proposals.box(first // size))
            seconds = (time.process_time() - start) / len(points)
            for number, point in zip(numbers, points, strict=True):
                found.add(point, table.look(point, noise(seed, number)), seconds)
    return found


def one_at_a_time(contestant: str, table: Table, seed: int, trials: int) -> Remembered:
    """Search as most users of Optuna do: a sampler knows all earlier trials."""
    found = Remembered()
    with _silence():
        sampler = ONE_AT_A_TIME[contestant](seed)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for number in range(trials):
            start = time.process_time()
            trial = study.ask(dict(table.space.distributions))
            asked = time.process_time() - start
            got = table.look(trial.params, noise(seed, number))
            start = time.process_time()
            if np.isfinite(got.seen):
                study.tell(trial, got.seen)
            else:
                study.tell(trial, state=TrialState.FAIL)
            found.add(trial.params, got, asked + time.process_time() - start)
    return found


def seed_of(kind: str, name: str, seed: int) -> int:
    """A search's own seed: the same first points on all data sets would be one piece of luck."""
    return int(np.random.SeedSequence((seed, *f"{kind} {name}".encode())).generate_state(1)[0])


def noise(seed: int, number: int) -> np.random.Generator:
    """What the initial values of a trial make of it, the same for all contestants."""
    return np.random.default_rng((seed, number))


@contextmanager
def _silence() -> Iterator[None]:
    """Without Optuna's lines for every trial, and its warnings of experimental samplers."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
