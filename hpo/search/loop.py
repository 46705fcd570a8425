"""The rounds: propose, train, record, narrow, repeat. Every durable fact is in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo.search.evaluation import Outcome, Slot
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, narrow, propose
from hpo.search.space import SearchSpace

Ranges = dict[str, list[float]]
Evaluate = Callable[[Sequence[Slot]], Iterable[list[Outcome]]]


class RoundStore(Protocol):
    """Where a search keeps its trials. Numbers are dense: trial ``n`` exists if ``n + 1`` does."""

    def size(self) -> int:
        """How many trials there are, in whatever state."""

    def losses(self) -> list[FinishedTrial]:
        """The complete trials, the values as losses: smaller is better."""

    def create_round(self, index: int, ranges: Ranges, slots: Sequence[Slot]) -> None:
        """Enter new trials that wait to be trained; all of them, or none."""

    def claim(self, below: int) -> list[Slot]:
        """Take all waiting trials numbered under ``below``."""

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Record what became of claimed trials; all of them, or none."""


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


def search(
    store: RoundStore,
    evaluate: Evaluate,
    space: SearchSpace,
    settings: NarrowingSettings,
    total: int,
) -> Iterator[RoundClaimed | Recorded]:
    """Train until ``total`` trials have finished; yields after each step that the store holds.

    It may be broken off anywhere: called again, it goes on to the same trials.
    """
    while True:
        slots = store.claim(below=total)
        if slots:
            yield from _train(store, evaluate, space, settings, slots)
        elif (first := store.size()) < total:
            _create_round(store, space, settings, first, total)
        else:
            return


def _train(
    store: RoundStore,
    evaluate: Evaluate,
    space: SearchSpace,
    settings: NarrowingSettings,
    slots: list[Slot],
) -> Iterator[RoundClaimed | Recorded]:
    index = slots[0].number // settings.trials_per_round
    ranges = space.ranges(narrow(space.distributions, store.losses(), settings, index))
    yield RoundClaimed(index, ranges, tuple(slots))
    for outcomes in evaluate(slots):
        store.finish(outcomes)
        yield Recorded(tuple(outcomes))


def _create_round(
    store: RoundStore, space: SearchSpace, settings: NarrowingSettings, first: int, total: int
) -> None:
    """Enter the next slots: the rest of a round that a smaller total cut short, or a new round."""
    index = first // settings.trials_per_round
    end = min(total, (index + 1) * settings.trials_per_round)
    numbers = range(first, end)
    losses = store.losses()
    points = propose(space.distributions, losses, settings, numbers)
    ranges = space.ranges(narrow(space.distributions, losses, settings, index))
    store.create_round(index, ranges, [Slot(*pair) for pair in zip(numbers, points, strict=True)])
