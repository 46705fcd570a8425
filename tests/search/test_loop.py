"""The rounds against a store in memory: what is broken off goes on to the same trials."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import Event, OthersTrain, Recorded, RoundClaimed, search
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, Point, narrow, place
from hpo.search.pruning import Course, Judge
from hpo.search.space import Listed, Ranges, SearchSpace


def nothing() -> None:
    """Nobody else does anything."""


@dataclass
class MemoryStudy:
    """What several searches share; a claim is the name of the search that holds the trial."""

    slots: dict[int, Slot] = field(default_factory=dict)
    claims: dict[int, int] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    ranges: dict[int, Ranges] = field(default_factory=dict)
    searches: set[int] = field(default_factory=set)
    asynchronous: bool = False
    known: dict[int, list[FinishedTrial]] = field(default_factory=dict)

    def release(self, name: int) -> None:
        """Take a search for dead."""
        self.searches.discard(name)
        self.claims = {number: each for number, each in self.claims.items() if each != name}


@dataclass
class MemoryStore:
    """A `RoundStore` as plain as can be; ``meanwhile`` is what others do before each call."""

    study: MemoryStudy = field(default_factory=MemoryStudy)
    name: int = 0
    meanwhile: Callable[[], None] = nothing

    def size(self) -> int:
        self.meanwhile()
        return len(self.study.slots)

    def losses(self) -> list[FinishedTrial]:
        self.meanwhile()
        found = self.study.known[self.name] = [
            FinishedTrial(number, -outcome.value, self.study.slots[number].params)
            for number, outcome in self.study.outcomes.items()
            if outcome.value is not None
        ] + [
            FinishedTrial(number, math.inf, self.study.slots[number].params, pruned=True)
            for number, outcome in self.study.outcomes.items()
            if outcome.pruned
        ]
        return found

    def courses(self) -> list[Course]:
        self.meanwhile()
        return [
            Course(number, outcome.intermediate, outcome.value, outcome.pruned)
            for number, outcome in self.study.outcomes.items()
        ]

    def objectives(self) -> dict[int, tuple[float, ...]]:
        self.meanwhile()
        return {
            number: (-outcome.value, *outcome.costs)
            for number, outcome in self.study.outcomes.items()
            if outcome.value is not None
        }

    def points(self) -> list[Point]:
        self.meanwhile()
        return [dict(slot.params) for slot in self.study.slots.values()]

    def ranges(self, index: int) -> Ranges | None:
        self.meanwhile()
        stored = self.study.ranges.get(index)
        # As a database keeps it.
        return None if stored is None else cast("Ranges", json.loads(json.dumps(stored)))

    def create_round(self, index: int, ranges: Ranges, slots: Sequence[Slot]) -> None:
        self.meanwhile()
        known = self.study.slots
        assert [slot.number for slot in slots] == list(range(slots[0].number, slots[-1].number + 1))
        assert slots[0].number <= len(known)
        if not self.study.asynchronous:
            # Whoever is second has come to the same points, as far as both have entered them.
            for slot in slots:
                assert known.get(slot.number, slot) == slot
        if slots[0].number == len(known):
            known |= {slot.number: slot for slot in slots}
            if self.study.asynchronous and index and index not in self.study.ranges:
                box = narrow(SPACE.distributions, self.study.known[self.name], SETTINGS, index)
                assert ranges == SPACE.ranges(box)
            assert self.study.ranges.setdefault(index, ranges) == ranges

    def claim(self, below: int) -> list[Slot]:
        self.meanwhile()
        study = self.study
        study.searches.add(self.name)
        if not (mine := self._held()):
            waiting = study.slots.keys() - study.claims.keys() - study.outcomes.keys()
            free = sorted(number for number in waiting if number < below)
            mine = free[: math.ceil(len(free) / len(study.searches))]
            study.claims |= dict.fromkeys(mine, self.name)
        return [study.slots[number] for number in mine]

    def wait(self, below: int) -> bool:
        self.meanwhile()
        unfinished = self.study.slots.keys() - self.study.outcomes.keys()
        return any(number < below for number in unfinished)

    def finish(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        self.meanwhile()
        taken = [each for each in outcomes if self.study.claims.get(each.number) == self.name]
        for outcome in taken:
            assert outcome.number not in self.study.outcomes
            self.study.outcomes[outcome.number] = outcome
            del self.study.claims[outcome.number]
        return taken

    def _held(self) -> list[int]:
        return sorted(number for number, name in self.study.claims.items() if name == self.name)


def evaluate(slots: Sequence[Slot], _judge: Judge | None) -> Iterator[list[Outcome]]:
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


SETTINGS = NarrowingSettings(seed=1, trials_per_round=10, n_rounds=4)
SPACE = SearchSpace()


def begin(
    store: MemoryStore, total: int, space: SearchSpace = SPACE
) -> Generator[Event, None, None]:
    events = search(store, evaluate, space, SETTINGS, total, asynchronous=store.study.asynchronous)
    assert isinstance(events, Generator)
    return events


def run(store: MemoryStore, total: int, stop_after: int = -1) -> MemoryStudy:
    """Search until the end, or break off after so many events, as a kill would."""
    for count, event in enumerate(begin(store, total), start=1):
        assert not isinstance(event, OthersTrain), "there is nobody else"
        if count == stop_after:
            break
    return store.study


CALM = run(MemoryStore(), 40)


def assert_calm(study: MemoryStudy) -> None:
    assert study.slots == CALM.slots
    assert study.outcomes == CALM.outcomes
    assert study.ranges == CALM.ranges
    assert study.claims == {}


def numbers(listed: Listed) -> list[float]:
    assert isinstance(listed, list)
    return listed


def test_numbers_are_dense_and_ranges_narrow() -> None:
    assert list(CALM.slots) == list(range(40))
    assert sorted(CALM.outcomes) == list(range(40))
    widths = [
        math.log(high / low)
        for low, high in (numbers(each["learning_rate"]) for each in CALM.ranges.values())
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
        store.study.release(store.name)
    assert_calm(run(store, 40))


def test_a_total_is_never_passed() -> None:
    store = MemoryStore()
    assert sorted(run(store, 25).outcomes) == list(range(25))
    assert run(store, 20).outcomes.keys() == set(range(25))
    assert run(store, 33).slots == {number: CALM.slots[number] for number in range(33)}


def test_events_tell_what_the_store_holds() -> None:
    store = MemoryStore()
    seen: list[int] = []
    for event in begin(store, 20):
        if isinstance(event, RoundClaimed):
            assert {slot.number for slot in event.slots} == store.study.claims.keys()
            assert store.study.ranges[event.index] == event.ranges
        else:
            assert isinstance(event, Recorded)
            seen += [outcome.number for outcome in event.outcomes]
            assert set(seen) == store.study.outcomes.keys()
    assert sorted(seen) == list(range(20))


def test_it_ends_before_the_next_step_once_it_is_over() -> None:
    store = MemoryStore()
    over = iter([False, False, True])
    events = search(store, evaluate, SearchSpace(), SETTINGS, 40, lambda: next(over))
    # The first time it creates the round, the second time it trains it.
    assert [type(event) for event in events] == [RoundClaimed, Recorded, Recorded]
    assert (len(store.study.slots), len(store.study.outcomes)) == (10, 10)
    assert_calm(run(store, 40))


# Several searches


@dataclass
class Crowd:
    """Searches of one study that are advanced as it is drawn, each by one event at a time.

    ``others`` says, before each call of a search to the store, which search is advanced meanwhile.
    """

    others: Iterator[int]
    study: MemoryStudy = field(default_factory=MemoryStudy)
    living: dict[int, Generator[Event, None, None]] = field(default_factory=dict)
    moving: list[int] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)
    started: int = 0

    space: SearchSpace = SPACE
    totals: dict[int, int] = field(default_factory=dict)

    def start(self, total: int) -> int:
        name = self.started = self.started + 1
        store = MemoryStore(self.study, name, self._meanwhile)
        self.living[name] = begin(store, total, self.space)
        self.totals[name] = total
        return name

    def advance(self, place: int) -> Event | None:
        """Let the search at this place take its next step, if it is there and not in one."""
        name = dict(enumerate(self.living)).get(place)
        if name is None or name in self.moving:
            return None
        self.moving.append(name)
        event = next(self.living[name], None)
        self.moving.pop()
        if event is None:
            self._leave(name)
        elif isinstance(event, OthersTrain) and self.study.asynchronous and self.space is SPACE:
            assert len(self.study.slots) >= self.totals[name], "it waits, and could begin a round"
        elif isinstance(event, Recorded):
            self.recorded += [outcome.number for outcome in event.outcomes]
        return event

    def kill(self, place: int) -> None:
        """It does nothing any more, but that it is dead is seen later."""
        name = dict(enumerate(self.living)).get(place)
        if name is not None:
            self.living.pop(name).close()

    def take_for_dead(self, name: int) -> None:
        """Whether or not it is: it was silent for too long."""
        self.study.release(name)

    def play(self, moves: list[tuple[str, int]]) -> None:
        """Two searches for 40 trials, then ``moves``, then all go on to their end."""
        for total in (40, 40):
            self.start(total)
        for move, number in moves:
            if move == "advance":
                self.advance(number)
            elif move == "kill":
                self.kill(number)
            elif move == "take for dead":
                self.take_for_dead(number)
            else:
                self.start(TOTALS[number])
        self.finish()

    def finish(self) -> None:
        """Let all dead be seen, and the others go on in turn until nothing is left to do."""
        for name in range(self.started + 1):
            if name not in self.living:
                self.study.release(name)
        self.start(40)
        for step in range(1000):
            if not self.living:
                return
            self.advance(step % len(self.living))
        raise AssertionError("it never ends")

    def _leave(self, name: int) -> None:
        del self.living[name]
        self.study.release(name)

    def _meanwhile(self) -> None:
        self.advance(next(self.others, -1))


MOVES = st.sampled_from(["advance"] * 6 + ["kill", "take for dead", "start"])
TOTALS = (40, 40, 40, 25, 13)


@settings(max_examples=200)
@example([("advance", 1)], [1, 1, 0])  # a round is entered while another search looks for one
@given(
    st.lists(st.tuples(MOVES, st.integers(0, 4)), max_size=60),
    st.lists(st.integers(-2, 3), max_size=200),
)
def test_searches_that_share_a_study_lead_to_the_trials_of_one(
    moves: list[tuple[str, int]], others: list[int]
) -> None:
    crowd = Crowd(iter(others))
    crowd.play(moves)
    assert_calm(crowd.study)
    assert sorted(crowd.recorded) == list(range(40)), "a result was lost, or told twice"


def test_two_searches_share_a_round_and_wait_for_each_other() -> None:
    crowd = Crowd(iter([]))
    crowd.start(20)
    crowd.start(20)
    crowd.study.searches |= {1, 2}
    first, second = crowd.advance(0), crowd.advance(1)
    assert isinstance(first, RoundClaimed)
    assert isinstance(second, RoundClaimed)
    assert [slot.number for slot in first.slots] == [0, 1, 2, 3, 4]
    assert [slot.number for slot in second.slots] == [5, 6, 7]
    while not isinstance(event := crowd.advance(1), OthersTrain):
        assert event is not None
    # The next round needs the results of this one, all of them.
    assert crowd.study.outcomes.keys() == {5, 6, 7, 8, 9}
    assert len(crowd.study.slots) == 10
    crowd.finish()
    assert_calm(crowd.study)


def test_what_was_taken_away_meanwhile_is_not_told_as_recorded() -> None:
    crowd = Crowd(iter([]))
    late = crowd.start(10)
    claimed = crowd.advance(0)
    assert isinstance(claimed, RoundClaimed)
    crowd.take_for_dead(late)
    crowd.start(10)
    assert isinstance(crowd.advance(1), RoundClaimed)
    event = crowd.advance(0)
    assert event == Recorded(())
    crowd.finish()
    assert_calm(crowd.study)


# Rounds that do not wait


def assert_sound(study: MemoryStudy) -> None:
    """Numbers are dense, all is trained once, and rounds have the points of their stored ranges."""
    assert list(study.slots) == list(range(40))
    assert study.outcomes.keys() == study.slots.keys()
    assert study.claims == {}
    assert study.ranges.keys() == {0, 1, 2, 3}
    for index, ranges in study.ranges.items():
        numbers = range(10 * index, 10 * index + 10)
        points = place(SPACE.distributions, SPACE.box(ranges), SETTINGS, numbers)
        assert [study.slots[number].params for number in numbers] == points


def test_one_search_alone_has_nobody_to_wait_for() -> None:
    assert_calm(run(MemoryStore(MemoryStudy(asynchronous=True)), 40))


@settings(max_examples=200)
@example([("advance", 0)] * 2 + [("advance", 1)] * 12, [])
@given(
    st.lists(st.tuples(MOVES, st.integers(0, 4)), max_size=60),
    st.lists(st.integers(-2, 3), max_size=200),
)
def test_asynchronous_searches_lose_and_double_nothing(
    moves: list[tuple[str, int]], others: list[int]
) -> None:
    crowd = Crowd(iter(others), MemoryStudy(asynchronous=True))
    crowd.play(moves)
    assert_sound(crowd.study)
    assert sorted(crowd.recorded) == list(range(40)), "a result was lost, or told twice"


def asynchronous_pair() -> Crowd:
    """Two searches, of which the first holds the first five trials, and never goes on."""
    crowd = Crowd(iter([]), MemoryStudy(asynchronous=True))
    crowd.start(40)
    crowd.start(40)
    crowd.study.searches |= {1, 2}
    assert isinstance(crowd.advance(0), RoundClaimed)
    assert crowd.study.claims == dict.fromkeys(range(5), 1)
    return crowd


def test_a_search_begins_the_next_round_from_what_has_finished() -> None:
    crowd = asynchronous_pair()
    while len(crowd.study.slots) == 10:
        assert not isinstance(crowd.advance(1), OthersTrain)
    assert crowd.study.outcomes.keys() == {5, 6, 7, 8, 9}
    told = [
        FinishedTrial(number, -outcome.value, crowd.study.slots[number].params)
        for number, outcome in crowd.study.outcomes.items()
        if outcome.value is not None
    ]
    box = narrow(SPACE.distributions, told, SETTINGS, 1)
    assert box != narrow(SPACE.distributions, [], SETTINGS, 1)
    assert crowd.study.ranges[1] == SPACE.ranges(box)


def test_what_died_in_an_earlier_round_is_trained_beside_the_next_one() -> None:
    crowd = asynchronous_pair()
    while len(crowd.study.slots) == 10:
        crowd.advance(1)
    before = crowd.study.ranges[1]
    crowd.kill(0)
    crowd.finish()
    assert_sound(crowd.study)
    assert crowd.study.ranges[1] == before


def test_the_rest_of_a_round_is_drawn_from_what_it_was_created_with() -> None:
    crowd = Crowd(iter([]), MemoryStudy(asynchronous=True))
    for total in (15, 40):
        crowd.start(total)
    crowd.study.searches |= {1, 2}
    crowd.advance(1)
    while not isinstance(crowd.advance(0), OthersTrain):
        pass
    # Five trials of the second round exist, entered while five of the first were trained.
    assert (len(crowd.study.slots), len(crowd.study.outcomes)) == (15, 10)
    before = crowd.study.ranges[1]
    crowd.finish()
    assert crowd.study.ranges[1] == before
    assert_sound(crowd.study)


def test_where_every_point_was_tried_it_waits_for_the_others_and_ends() -> None:
    space = SearchSpace.parse(["learning_rate=1e-3|1e-2|1e-1", "weight_decay=1e-3|1e-2"])
    crowd = Crowd(iter([]), MemoryStudy(asynchronous=True), space=space)
    crowd.start(40)
    crowd.start(40)
    crowd.study.searches |= {1, 2}
    crowd.advance(0)
    events = [crowd.advance(1) for _ in range(8)]
    assert isinstance(events[-1], OthersTrain)
    assert len(crowd.study.slots) == 6
    while crowd.living:
        crowd.advance(0)
    assert len({repr(slot.params) for slot in crowd.study.slots.values()}) == 6
    assert crowd.study.outcomes.keys() == set(range(6))
