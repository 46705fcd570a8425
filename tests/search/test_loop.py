"""The rounds against a store in memory: what is broken off goes on to the same trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import Ranges, Recorded, RoundClaimed, search
from hpo.search.narrowing import FinishedTrial, NarrowingSettings
from hpo.search.space import SearchSpace


@dataclass
class MemoryStore:
    """A `RoundStore` as plain as can be."""

    slots: dict[int, Slot] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    ranges: dict[int, Ranges] = field(default_factory=dict)

    def size(self) -> int:
        return len(self.slots)

    def losses(self) -> list[FinishedTrial]:
        return [
            FinishedTrial(number, -outcome.value, self.slots[number].params)
            for number, outcome in self.outcomes.items()
            if outcome.value is not None
        ]

    def create_round(self, index: int, ranges: Ranges, slots: Sequence[Slot]) -> None:
        assert [slot.number for slot in slots] == list(range(len(self.slots), slots[-1].number + 1))
        self.slots |= {slot.number: slot for slot in slots}
        assert self.ranges.setdefault(index, ranges) == ranges

    def claim(self, below: int) -> list[Slot]:
        waiting = self.slots.keys() - self.claimed - self.outcomes.keys()
        chosen = sorted(number for number in waiting if number < below)
        self.claimed |= set(chosen)
        return [self.slots[number] for number in chosen]

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            assert outcome.number in self.claimed
            assert outcome.number not in self.outcomes
            self.outcomes[outcome.number] = outcome

    def release(self) -> None:
        self.claimed = set(self.outcomes)


def evaluate(slots: Sequence[Slot]) -> Iterator[list[Outcome]]:
    """A valley at a learning rate of 1e-3; every ninth slot fails. Two stacks, the second first."""
    outcomes = [
        Outcome(slot.number, -abs(math.log10(slot.params["learning_rate"]) + 3), None, 0.0)
        if slot.number % 9
        else Outcome(slot.number, None, "diverged", 0.0)
        for slot in slots
    ]
    half = len(outcomes) // 2
    for group in (outcomes[half:], outcomes[:half]):
        if group:
            yield group


def run(store: MemoryStore, total: int, stop_after: int = -1) -> MemoryStore:
    """Search until the end, or break off after so many events, as a kill would."""
    settings = NarrowingSettings(seed=1, trials_per_round=10, n_rounds=4)
    for count, _ in enumerate(search(store, evaluate, SearchSpace(), settings, total), start=1):
        if count == stop_after:
            break
    return store


CALM = run(MemoryStore(), 40)


def test_numbers_are_dense_and_ranges_narrow() -> None:
    assert list(CALM.slots) == list(range(40))
    assert sorted(CALM.outcomes) == list(range(40))
    widths = [
        math.log(high / low) for low, high in (r["learning_rate"] for r in CALM.ranges.values())
    ]
    assert widths[0] == pytest.approx(math.log(1e4))
    assert widths[-1] < widths[0] / 2


@given(st.lists(st.integers(1, 12), max_size=6), st.lists(st.integers(1, 40), max_size=3))
def test_broken_off_anywhere_it_goes_on_to_the_same_trials(
    stops: list[int], totals: list[int]
) -> None:
    store = MemoryStore()
    for stop, total in zip(stops, [*totals, *[40] * len(stops)], strict=False):
        run(store, total, stop)
        store.release()
    run(store, 40)
    assert store.slots == CALM.slots
    assert store.outcomes == CALM.outcomes
    assert store.ranges == CALM.ranges


def test_a_total_is_never_passed() -> None:
    store = run(MemoryStore(), 25)
    assert sorted(store.outcomes) == list(range(25))
    assert run(store, 20).outcomes.keys() == set(range(25))
    assert run(store, 33).slots == {number: CALM.slots[number] for number in range(33)}


def test_events_tell_what_the_store_holds() -> None:
    store = MemoryStore()
    settings = NarrowingSettings(seed=1, trials_per_round=10, n_rounds=4)
    seen: list[int] = []
    for event in search(store, evaluate, SearchSpace(), settings, 20):
        if isinstance(event, RoundClaimed):
            assert {slot.number for slot in event.slots} <= store.claimed
            assert store.ranges[event.index] == event.ranges
        else:
            assert isinstance(event, Recorded)
            seen += [outcome.number for outcome in event.outcomes]
            assert set(seen) == store.outcomes.keys()
    assert sorted(seen) == list(range(20))
