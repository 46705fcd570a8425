"""Hopeless trials leave early: by a rule on earlier rounds alone, which harms nobody who stays."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.choice import CANDIDATES
from hpo.search.evaluation import Outcome, Slot, Workers, train_slots
from hpo.search.loop import search
from hpo.search.narrowing import NarrowingSettings
from hpo.search.problem import Problem
from hpo.search.pruning import LEAST, Bars, Course, Judge, Rungs, bars, is_rung, steps
from hpo.search.space import SearchSpace
from tests.search.test_cross_validation import folded
from tests.search.test_evaluation import essence, problem, slots
from tests.search.test_loop import MemoryStore

# The rule


def course(number: int, *scores: float, value: float | None = 0.0, pruned: bool = False) -> Course:
    """One with these scores after 1, 2, 4 … epochs."""
    reached = {1 << place: score for place, score in enumerate(scores)}
    return Course(number, reached, None if pruned else value, pruned)


def test_the_best_third_goes_on_then_the_best_sixth_and_so_on() -> None:
    """By hand: 40 trials, half of them dropped after 4 epochs, of 50."""
    earlier = [
        course(n, n, n, 100 - n, *([n] * 3 if n >= 20 else []), pruned=n < 20) for n in range(40)
    ]
    assert bars(earlier, 40, 50) == Bars(
        {
            1: 13,  # of 0 to 39 two thirds, 26.7, may go on: the 27th best is 13
            2: 26,  # a third, 13.3: the 14th best
            4: 94,  # a sixth, 6.7, of 61 to 100: the 7th best
            # A twelfth would be 4, but so many go on as compete to win: the 6th best of 20 to 39.
            8: 34,
            16: 34,
            32: 34,
        }
    )


def test_as_many_go_on_as_compete_to_win() -> None:
    assert LEAST == CANDIDATES


@pytest.mark.parametrize(
    ("epochs", "rungs", "first"),
    [
        (200, [4, 8, 16], 33),  # a fiftieth of the epochs: two thirds of 100 may go on
        (50, [1, 2, 4, 8, 16], 33),
        (20, [1, 2, 4, 8, 16], 73),  # a twentieth: 2 / 7.5 of them
        (1, [], None),
    ],
)
def test_what_counts_is_the_share_of_the_epochs(
    epochs: int, rungs: list[int], first: int | None
) -> None:
    earlier = [course(n, *[n] * 5) for n in range(100)]
    found = bars(earlier, 100, epochs).least
    assert [each for each in found if each < epochs] == rungs
    assert not rungs or found[rungs[0]] == first


def test_failed_trials_count_as_worse_and_later_ones_not_at_all() -> None:
    good = [course(n, 0.0, float(n)) for n in range(12)]
    failed = [course(n, 0.0, 99.0, value=None) for n in range(12, 20)]
    later = [course(n, 0.0, 99.0) for n in range(20, 40)]
    # A third of 20 are 7, of which 12 have a score. Two thirds would be 14.
    assert bars([*later, *failed, *good], 20, 50) == Bars({2: 5.0})


def test_with_few_trials_before_none_is_dropped() -> None:
    assert bars([], 0, 50) == Bars({})
    few = [course(n, 0.5, 0.5) for n in range(12)]
    assert bars(few, 11, 50) == Bars({})
    assert bars(few, 12, 50) == Bars({1: 0.5, 2: 0.5})
    # So few came as far that one more is among the best in any case.
    many = [course(n, 0.5, *[0.5] * (n < 6)) for n in range(20)]
    assert bars(many, 20, 50) == Bars({1: 0.5})


scores_of = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=6)


@given(
    st.lists(st.tuples(scores_of, st.sampled_from(["complete", "pruned", "failed"])), max_size=40),
    st.sampled_from([8, 20, 50, 200]),
    st.randoms(use_true_random=False),
)
def test_who_goes_on_has_few_that_are_better(
    trials: list[tuple[list[float], str]], epochs: int, random: object
) -> None:
    """Counted one by one, in any order."""
    earlier = [
        course(n, *scores, value=None if end == "failed" else 1.0, pruned=end == "pruned")
        for n, (scores, end) in enumerate(trials)
    ]
    mixed = list(earlier)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    judge = bars(mixed, len(earlier), epochs)
    for rung in (1, 2, 4, 8, 16, 32):
        for score in (0.0, 0.3, 0.5, 1.0):
            reached = [each for each in earlier if not each.failed and rung in each.scores]
            better = sum(each.scores[rung] > score for each in reached)
            share = epochs / 75 / rung
            among = (
                len(earlier) < 12
                or share >= 1
                or better < max(6, math.ceil(round(len(earlier) * share, 9)))
            )
            (behind,) = judge.behind([99], rung, np.array([score]))
            assert behind != among


def test_rungs_double_and_the_last_epoch_is_a_step() -> None:
    assert [each for each in range(1, 40) if is_rung(each)] == [1, 2, 4, 8, 16, 32]
    assert steps(11) == [1, 2, 4, 8, 11]
    assert steps(8) == [1, 2, 4, 8]
    assert steps(0) == []


# In a stack


@dataclasses.dataclass
class Listed:
    """Drops what is listed for a rung, and notes what it was asked."""

    at: dict[int, set[int]]
    asked: list[tuple[int, list[int], list[float]]] = dataclasses.field(default_factory=list)

    def behind(self, numbers: Sequence[int], epochs: int, scores: np.ndarray) -> np.ndarray:
        self.asked.append((epochs, list(numbers), scores.tolist()))
        return np.array([each in self.at.get(epochs, set()) for each in numbers])


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_who_stays_is_what_it_would_be_and_who_leaves_has_the_same_curve(name: str) -> None:
    task = problem(name, epochs=16)
    free = {each.number: each for each in train_slots(task, slots(6))}
    judge = Listed({1: {4}, 4: {0, 2}})
    found = {each.number: each for each in train_slots(task, slots(6), judge=judge)}
    for number in (1, 3, 5):
        assert essence(found[number]) == essence(free[number])
    for number, epochs in {0: 4, 2: 4, 4: 1}.items():
        gone = found[number]
        assert (gone.pruned, gone.failed, gone.value, gone.reason) == (True, False, None, None)
        assert (gone.epochs, gone.params, gone.prediction) == (epochs, None, None)
        assert gone.curves is not None
        for curve, values in gone.curves.items():
            whole = free[number].curves
            assert whole is not None
            assert values.tobytes() == whole[curve][:epochs].tobytes()
        assert gone.intermediate == {
            step: score for step, score in free[number].intermediate.items() if step <= epochs
        }
    # It is asked at the rungs, but not at the end, of those who are there, what they are then.
    assert [(epochs, numbers) for epochs, numbers, _ in judge.asked] == [
        (1, [0, 1, 2, 3, 4, 5]), (2, [0, 1, 2, 3, 5]), (4, [0, 1, 2, 3, 5]), (8, [1, 3, 5]),
    ]  # fmt: skip
    for epochs, numbers, scores in judge.asked:
        assert scores == [free[number].intermediate[epochs] for number in numbers]


def test_all_networks_of_a_trial_leave_together() -> None:
    """With folds a trial is judged by what all of them give, as it is recorded."""
    task = folded(epochs=16)
    free = {each.number: each for each in train_slots(task, slots(4))}
    judge = Listed({4: {1}})
    found = {each.number: each for each in train_slots(task, slots(4), judge=judge)}
    for number in (0, 2, 3):
        assert essence(found[number]) == essence(free[number])
    assert (found[1].pruned, found[1].epochs, found[1].params) == (True, 4, None)
    assert found[1].intermediate == {step: free[1].intermediate[step] for step in (1, 2, 4)}
    for epochs, numbers, scores in judge.asked:
        assert scores == [free[number].intermediate[epochs] for number in numbers]
    assert sum(each.seconds for each in found.values()) > 0


def test_who_diverges_is_no_business_of_the_judge() -> None:
    task = problem("diabetes", optimizer="sgd")
    wild = Slot(3, {"learning_rate": 1e6, "weight_decay": 0.0})
    judge = Listed({1: {3}})
    failed, _ = train_slots(task, [wild, slots(1)[0]], judge=judge)
    assert failed.failed
    assert failed.reason is not None
    assert all(3 not in numbers for _, numbers, _ in judge.asked)


def test_an_epoch_is_paid_by_those_who_train_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 16 epochs takes a second of this clock: one is for four trials, others for three."""
    task, moments = problem(epochs=16), itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(moments)))
    gone, *others = train_slots(task, slots(4), judge=Listed({1: {0}}))
    assert [each.seconds - gone.seconds for each in others] == pytest.approx([15 / 3] * 3)
    assert gone.seconds >= 1 / 4
    whole = train_slots(task, slots(4))
    assert len({each.seconds for each in whole}) == 1


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_the_division_into_stacks_changes_nothing(n_workers: int) -> None:
    task = problem(epochs=16)
    chosen = [
        Slot(number, {"learning_rate": rate, "weight_decay": 0.0})
        for number, rate in enumerate(np.geomspace(1e-4, 1e-1, 14).tolist())
    ]
    whole = train_slots(task, chosen)
    judge = bars([Course(each.number, each.intermediate, each.value) for each in whole], 14, 16)
    expected = {each.number: shown(each) for each in train_slots(task, chosen, judge=judge)}
    groups = Workers(task, n_workers).evaluate(chosen, judge)
    found = {each.number: each for group in groups for each in group}
    assert {number: shown(each) for number, each in found.items()} == expected
    assert {each.pruned for each in found.values()} == {True, False}


def shown(outcome: Outcome) -> object:
    if outcome.pruned:
        return outcome.number, outcome.epochs, outcome.intermediate
    return essence(outcome)


# In a search

SETTINGS = NarrowingSettings(seed=1, trials_per_round=8, n_rounds=3)


def run(store: MemoryStore, task: Problem, total: int = 24, stop_after: int = -1) -> MemoryStore:
    """Search with dropping, or break off after so many events."""

    def evaluate(claimed: Sequence[Slot], judge: Judge | None) -> Iterator[list[Outcome]]:
        for start in range(0, len(claimed), 3):
            yield train_slots(task, claimed[start : start + 3], judge=judge)

    pruner = Rungs(store, SETTINGS.trials_per_round, task.settings.epochs)
    events = search(store, evaluate, SearchSpace(), SETTINGS, total, pruner=pruner)
    for count, _ in enumerate(events, start=1):
        if count == stop_after:
            break
    return store


def test_the_first_round_is_whole_and_later_ones_lose_some() -> None:
    outcomes = run(MemoryStore(), problem(epochs=16)).study.outcomes
    assert not any(outcomes[number].pruned for number in range(8))
    assert 4 <= sum(each.pruned for each in outcomes.values()) <= 15


def test_broken_off_anywhere_it_goes_on_to_the_same_outcomes() -> None:
    task = problem(epochs=16)
    calm = run(MemoryStore(), task).study
    broken = MemoryStore()
    for stop, total in ((3, 24), (2, 24), (4, 13), (3, 24)):
        run(broken, task, total, stop)
        broken.study.release(broken.name)
    run(broken, task)
    assert broken.study.slots == calm.slots
    assert {n: shown(each) for n, each in broken.study.outcomes.items()} == {
        n: shown(each) for n, each in calm.outcomes.items()
    }
