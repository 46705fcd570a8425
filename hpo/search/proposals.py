"""What a round tries: points of the narrowing search, or of one of Optuna's samplers."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from hpo.search import streams
from hpo.search.narrowing import (
    Box,
    FinishedTrial,
    NarrowingSettings,
    Point,
    countable,
    given_to,
    narrow,
    place,
    without_repeats,
)
from hpo.search.pruning import Course
from hpo.search.space import SearchSpace
from hpo.search.start import NOTHING, Start
from hpo.search.tunable import STRUCTURAL

NARROWING = "narrowing"
NSGA2 = "nsga2"

ONE_OBJECTIVE = frozenset({NARROWING, "cmaes"})
"""Those that work towards one objective alone."""


class History(Protocol):
    """What is known of the trials of a study."""

    def losses(self) -> list[FinishedTrial]:
        """The complete trials, the values as losses: smaller is better; and those dropped early."""

    def courses(self) -> list[Course]:
        """How every finished trial went."""

    def objectives(self) -> dict[int, tuple[float, ...]]:
        """Number -> every objective of a complete trial as a loss, the score's first."""

    def points(self) -> list[Point]:
        """The parameters of every trial, in whatever state, in the order of their numbers."""


class Proposer(Protocol):
    """Proposes the trials of a round, the same whenever it is asked."""

    def box(self, index: int) -> Box:
        """What a round will search that is created now; empty stands for the full ranges."""

    def points(self, numbers: Sequence[int], box: Box) -> list[Point]:
        """The parameters of these trials of one round; fewer, if a space has no other point.

        ``box`` is the round's: it may have been created before.
        """


def proposer(
    name: str,
    history: History,
    space: SearchSpace,
    settings: NarrowingSettings,
    optimizer: str,
    start: Start = NOTHING,
    n_objectives: int = 1,
) -> Proposer:
    """The proposer of this name; ``optimizer`` is the one that trains where none is tuned.

    Raises ``ValueError`` if it cannot work towards so many objectives.
    """
    check_objectives(name, n_objectives)
    if name == NARROWING:
        return _Narrowing(history, space, settings, optimizer, start)
    return _Asked(name, history, space, settings, optimizer, start, n_objectives)


def check_objectives(name: str, n_objectives: int) -> None:
    """Raise ``ValueError`` if this sampler works towards fewer objectives. One line."""
    if n_objectives > 1 and name in ONE_OBJECTIVE:
        others = ", ".join(each for each in SAMPLERS if each not in {*ONE_OBJECTIVE, "tpe"})
        raise ValueError(
            f"sampler {name} works towards one objective, and there are {n_objectives}: choose "
            f"--sampler tpe, or {others}"
        )


@dataclass(frozen=True)
class _Narrowing:
    """The ranges that the trials leave which have finished by now."""

    history: History
    space: SearchSpace
    settings: NarrowingSettings
    optimizer: str
    start: Start

    def box(self, index: int) -> Box:
        if not index:
            return self.start.box
        return narrow(self.space.distributions, self.history.losses(), self.settings, index)

    def points(self, numbers: Sequence[int], box: Box) -> list[Point]:
        distributions, shape = self.space.distributions, self.space.shape(self.optimizer)
        given = self.start.points
        points = place(distributions, box, self.settings, numbers, shape, given)
        if not countable(distributions):
            return points
        tried = self.history.points()
        return without_repeats(
            points, numbers, tried, distributions, box, self.settings, shape, given
        )


@dataclass
class _Asked:
    """One of Optuna's samplers, asked for a whole round before it is told of any of it.

    It lives in a study in memory. One who goes on with a search asks and tells everything again
    from the first trial, which leads to the same points: the sampler is seeded, and what it is told
    is what the storage holds.
    """

    name: str
    history: History
    space: SearchSpace
    settings: NarrowingSettings
    optimizer: str
    start: Start = NOTHING
    n_objectives: int = 1
    _study: optuna.Study | None = None
    _rounds: list[list[tuple[optuna.Trial, Point]]] = field(default_factory=list)
    _told: int = 0

    def box(self, _index: int) -> Box:
        return {}

    def points(self, numbers: Sequence[int], _box: Box) -> list[Point]:
        size = self.settings.trials_per_round
        index = numbers[0] // size
        with warnings.catch_warnings():
            # Some samplers are experimental, and some say when they fall back to random points.
            warnings.simplefilter("ignore")
            while len(self._rounds) <= index:
                self._tell()
                self._rounds.append(self._ask())
        return [self._rounds[index][number - index * size][1] for number in numbers]

    def _ask(self) -> list[tuple[optuna.Trial, Point]]:
        """A round of points; groups of slots share what a stack shares, as when it narrows."""
        if self._study is None:
            seed = np.random.SeedSequence((self.settings.seed, streams.SAMPLER)).generate_state(1)
            sampler = SAMPLERS[self.name](int(seed[0]), self.settings.trials_per_round)
            directions = [StudyDirection.MINIMIZE] * self.n_objectives
            self._study = optuna.create_study(sampler=sampler, directions=directions)
        asked: list[tuple[optuna.Trial, Point]] = []
        for slot in range(self.settings.trials_per_round):
            fixed: Point = {}
            if slot % self.settings.group_size:
                first = asked[slot - slot % self.settings.group_size][1]
                fixed = {name: value for name, value in first.items() if name in STRUCTURAL}
            number = len(self._rounds) * self.settings.trials_per_round + slot
            if fixed := fixed | given_to(number, self.start.points):
                self._study.enqueue_trial(fixed)
            trial = self._study.ask()
            asked.append((trial, self._point(trial)))
        return asked

    def _point(self, trial: optuna.Trial) -> Point:
        # What decides whether others have a meaning comes first.
        names = sorted(self.space.distributions, key=lambda name: name != "optimizer")
        shape = self.space.shape(self.optimizer)
        point: Point = {}
        for name in names:
            if name in shape.meaningful({**point, name: None}):
                point[name] = _suggest(trial, name, self.space.distributions[name])
        return {name: point[name] for name in self.space.distributions if name in point}

    def _tell(self) -> None:
        """Tell of the rounds that were asked for, all of which have finished."""
        assert self._study is not None or not self._rounds
        if self._told == len(self._rounds):
            return
        values = self._values()
        pruned = {each.number: each.scores for each in self.history.courses() if each.pruned}
        recorded = self.history.points()
        size = self.settings.trials_per_round
        for index in range(self._told, len(self._rounds)):
            for slot, (trial, point) in enumerate(self._rounds[index]):
                number = index * size + slot
                if number < len(recorded):
                    final = _Final(values.get(number), pruned.get(number))
                    self._tell_one(trial, point, recorded[number], final)
        self._told = len(self._rounds)

    def _values(self) -> Mapping[int, tuple[float, ...]]:
        """Number -> every objective of a complete trial."""
        if self.n_objectives > 1:
            return self.history.objectives()
        return {each.number: (each.value,) for each in self.history.losses() if not each.pruned}

    def _tell_one(self, trial: optuna.Trial, point: Point, recorded: Point, final: _Final) -> None:
        assert self._study is not None
        if self.name == NSGA2 and final.state != TrialState.COMPLETE:
            # The worst of its generation, which has as many as a round whatever becomes of them.
            self._study.tell(trial, [math.inf] * self.n_objectives)
            return
        if point != recorded:  # another version of Optuna asked for it
            self._study.tell(trial, state=TrialState.FAIL)
            if final.state != TrialState.FAIL:
                self._study.add_trial(final.frozen(recorded, self.space.distributions))
            return
        for step, loss in final.course.items():
            trial.report(loss, step)
        self._study.tell(trial, final.values, state=final.state)


@dataclass(frozen=True)
class _Final:
    """What became of a trial, as its sampler is told.

    ``losses`` (objectives,) of a complete one, greater ``scores`` by step of one that was pruned.
    """

    losses: tuple[float, ...] | None
    scores: Mapping[int, float] | None

    @property
    def state(self) -> TrialState:
        if self.scores is not None:
            return TrialState.PRUNED
        return TrialState.FAIL if self.values is None else TrialState.COMPLETE

    @property
    def values(self) -> tuple[float, ...] | None:
        """The losses, if they are finite."""
        finite = self.losses is not None and all(map(math.isfinite, self.losses))
        return self.losses if finite else None

    @property
    def course(self) -> dict[int, float]:
        """Step -> loss."""
        return {step: -score for step, score in (self.scores or {}).items()}

    def frozen(
        self, point: Point, distributions: Mapping[str, BaseDistribution]
    ) -> optuna.trial.FrozenTrial:
        """A trial of its own at this point."""
        # Optuna itself gives a pruned trial the value that it had last.
        last = tuple(self.course.values())[-1:]
        return create_trial(
            state=self.state,
            params=point,
            distributions={name: distributions[name] for name in point},
            values=self.values if self.scores is None else last or None,
            intermediate_values=self.course,
        )


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    step, log = distribution.step, distribution.log  # type: ignore[attr-defined]
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, low, high, step=step, log=log)
    return trial.suggest_int(name, low, high, step=step, log=log)


def _tpe(seed: int, _size: int) -> BaseSampler:
    # With a constant liar the points of a round keep away from each other.
    return TPESampler(seed=seed, constant_liar=True)


SAMPLERS: Mapping[str, Any] = {
    "random": lambda seed, _size: RandomSampler(seed=seed),
    "tpe": _tpe,
    "gp": lambda seed, _size: GPSampler(seed=seed),
    "cmaes": lambda seed, _size: CmaEsSampler(seed=seed),
    "qmc": lambda seed, _size: QMCSampler(seed=seed),
    # A population is a round, and a pair at the least.
    NSGA2: lambda seed, size: NSGAIISampler(population_size=max(2, size), seed=seed),
}
"""Optuna's samplers by the name that ``--sampler`` takes, made from a seed and a round's size."""

_NEEDED = {"gp": ("torch",), "cmaes": ("cmaes",)}


def missing(name: str) -> Iterable[str]:
    """The packages that this sampler needs and that are not installed."""
    for package in _NEEDED.get(name, ()):
        try:
            importlib.import_module(package)
        except ImportError:
            yield package
