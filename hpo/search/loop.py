"""The rounds: propose, train, record, narrow, repeat. Every durable fact is in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from hpo.search.evaluation import Outcome, Slot
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, Point
from hpo.search.proposals import NARROWING, Proposer, proposer
from hpo.search.pruning import Course, Judge, NoPruner, Pruner
from hpo.search.space import Ranges, SearchSpace
from hpo.search.start import NOTHING, Start

Evaluate = Callable[[Sequence[Slot], Judge | None], Iterable[list[Outcome]]]


class RoundStore(Protocol):
    """Where searches keep the trials of a study, any number of them at once.

    Numbers are dense: trial ``n`` exists if ``n + 1`` does.
    """

    def size(self) -> int:
        """How many trials there are, in whatever state."""

    def losses(self) -> list[FinishedTrial]:
        """The complete trials, the values as losses: smaller is better; and those dropped early."""

    def courses(self) -> list[Course]:
        """How every finished trial went."""

    def objectives(self) -> dict[int, tuple[float, ...]]:
        """Number -> every objective of a complete trial as a loss, the score's first."""

    def points(self) -> list[Point]:
        """The parameters of every trial, in whatever state."""

    def ranges(self, index: int) -> Ranges | None:
        """What a round searches, as it was entered; None if there is no such round."""

    def create_round(self, index: int, ranges: Ranges, slots: Sequence[Slot]) -> None:
        """Enter new trials that wait to be trained; none, if another search entered them."""

    def claim(self, below: int) -> list[Slot]:
        """Take a share of the waiting trials under ``below``: all, if nobody else is there.

        What was claimed and not finished before is part of it.
        """

    def wait(self, below: int) -> bool:
        """Wait a while if others train trials under ``below``; False, at once, if none is left."""

    def finish(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Record what became of claimed trials; returns what was recorded.

        A trial that was taken away meanwhile is not: another search trains it, to the same result.
        """


@dataclass(frozen=True)
class RoundClaimed:
    """Slots of a round are about to be trained."""

    index: int
    ranges: Ranges
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Recorded:
    """Outcomes stand in the store."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class OthersTrain:
    """There is nothing to do until other searches have finished what they train."""


Event = RoundClaimed | Recorded | OthersTrain


def search(
    store: RoundStore,
    evaluate: Evaluate,
    space: SearchSpace,
    settings: NarrowingSettings,
    total: int,
    is_over: Callable[[], bool] = lambda: False,
    optimizer: str = "adam",
    sampler: str = NARROWING,
    pruner: Pruner | None = None,
    start: Start = NOTHING,
    asynchronous: bool = False,
    n_objectives: int = 1,
) -> Iterator[Event]:
    """Train until ``total`` trials have finished; yields after each step that the store holds.

    It may be broken off anywhere: called again, it goes on to the same trials. ``is_over`` ends it
    before the next step. It also ends when every point of a space was tried that has only so many.
    ``optimizer`` is the one that trains where none is tuned; ``sampler`` proposes the points, by
    the score and whatever ``n_objectives`` there are, and ``start`` is what it knows beforehand.
    ``pruner``, if there is one, drops trials before their end.

    A round begins when all earlier ones are finished, and so the trials do not depend on who trains
    what. If it is ``asynchronous``, a search that finds nothing to train begins the next round at
    once, from what has finished by then.
    """
    pruner = pruner or NoPruner()
    proposals = proposer(sampler, store, space, settings, optimizer, start, n_objectives)
    while not is_over():
        slots = store.claim(below=total)
        if slots:
            # The slots of searches that died may belong to earlier rounds.
            for index, own in groupby(slots, lambda slot: slot.number // settings.trials_per_round):
                claimed = tuple(own)
                yield RoundClaimed(index, store.ranges(index) or space.ranges({}), claimed)
                for outcomes in evaluate(claimed, pruner.judge(index)):
                    yield Recorded(tuple(store.finish(outcomes)))
            continue
        # Read before it is seen that nothing is unfinished: a round that another search enters in
        # between must not pass for one that is done.
        first = store.size()
        if (
            asynchronous
            and first < total
            and _create_round(store, proposals, space, settings, first, total)
        ):
            continue
        if store.wait(below=total):
            yield OthersTrain()
        elif first >= total or not _create_round(store, proposals, space, settings, first, total):
            return


def _create_round(
    store: RoundStore,
    proposals: Proposer,
    space: SearchSpace,
    settings: NarrowingSettings,
    first: int,
    total: int,
) -> bool:
    """Enter the next slots: the rest of a round that a smaller total cut off, or a new one.

    The rest of a round is drawn from what the round was created with. Returns whether there are any
    slots: a space may have no other point.
    """
    index = first // settings.trials_per_round
    numbers = range(first, min(total, (index + 1) * settings.trials_per_round))
    stored = store.ranges(index)
    box = proposals.box(index) if stored is None else space.box(stored)
    points = proposals.points(numbers, box)
    slots = [Slot(*pair) for pair in zip(numbers, points, strict=False)]
    if slots:
        store.create_round(index, space.ranges(box), slots)
    return bool(slots)
