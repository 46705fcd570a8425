"""Points that are tried first, and a first round that another study narrows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import search
from hpo.search.narrowing import (
    Choices,
    FinishedTrial,
    NarrowingSettings,
    Point,
    adopted,
    place,
    warmed,
    without_repeats,
)
from hpo.search.proposals import SAMPLERS, missing
from hpo.search.pruning import Judge
from hpo.search.space import SearchSpace
from hpo.search.start import Start
from tests.search.test_loop import MemoryStore

SETTINGS = NarrowingSettings(seed=3, trials_per_round=8, n_rounds=4)
SPACE = SearchSpace()
MINE: tuple[Point, ...] = (
    {"learning_rate": 0.003, "weight_decay": 1e-4},
    {"weight_decay": 0.5},
    {"learning_rate": 0.02},
)


def trained(slots: Sequence[Slot], _judge: Judge | None = None) -> list[list[Outcome]]:
    values = [-abs(math.log(slot.params["learning_rate"] / 0.01)) for slot in slots]
    pairs = zip(slots, values, strict=True)
    return [[Outcome(slot.number, value, None, 0.0) for slot, value in pairs]]


def found(start: Start, total: int, sampler: str = "narrowing", **changes: Any) -> list[Point]:
    store = MemoryStore()
    settings = NarrowingSettings(**(SETTINGS.to_json() | changes))
    for _ in search(store, trained, SPACE, settings, total, sampler=sampler, start=start):
        pass
    return [dict(slot.params) for _, slot in sorted(store.study.slots.items())]


# ------------------------------------------------------------------ points


def test_points_are_tried_first_and_the_rest_of_them_is_drawn() -> None:
    plain, given_first = found(Start(), 8), found(Start(MINE), 8)
    assert given_first[:3] == [plain[slot] | MINE[slot] for slot in range(3)]
    assert given_first[3:] == plain[3:]


def test_more_points_than_a_round_has_slots_go_on_in_the_next() -> None:
    mine = tuple({"learning_rate": 1e-4 * (number + 1)} for number in range(11))
    rates = [point["learning_rate"] for point in found(Start(mine), 16)]
    assert rates[:11] == [point["learning_rate"] for point in mine]
    assert not set(rates[11:]) & set(rates[:11])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_optunas_samplers_try_them_first_too(sampler: str) -> None:
    if list(missing(sampler)):
        pytest.skip(f"{sampler} needs {', '.join(missing(sampler))}")
    points = found(Start(MINE), 12, sampler)
    assert [points[slot] | MINE[slot] for slot in range(3)] == points[:3]
    assert len({repr(point) for point in points}) == 12


GRID: dict[str, Any] = {"a": IntDistribution(0, 2), "b": CategoricalDistribution("xy")}


def tried_on_the_grid(given_first: Sequence[Point], n_trials: int = 8) -> list[Point]:
    numbers = range(n_trials)
    points = place(GRID, {}, SETTINGS, numbers, given=given_first)
    return without_repeats(points, numbers, [], GRID, {}, SETTINGS, given=given_first)


PARTS = st.fixed_dictionaries({}, optional={"a": st.integers(0, 2), "b": st.sampled_from("xy")})


@given(st.lists(PARTS.filter(bool), max_size=8))
def test_in_a_finite_space_only_what_was_asked_for_comes_again(mine: list[Point]) -> None:
    points = tried_on_the_grid(mine)
    assert [point | part for point, part in zip(points, mine, strict=False)] == points[: len(mine)]
    seen: list[Point] = []
    for number, point in enumerate(points):
        part = mine[number] if number < len(mine) else {}
        fits = [{"a": a, "b": b} | part for a in range(3) for b in "xy"]
        if point in seen:
            assert part, "a point that nobody asked for came again"
            assert all(each in seen for each in fits)
        seen.append(point)
    assert len(points) >= min(len(mine), 8)
    assert len(points) == 8 or len({repr(point) for point in points}) == 6


# ------------------------------------------------------------------ another study


def others(*points: Point) -> list[FinishedTrial]:
    """Trials of another study, the best first, numbered from the last."""
    return [FinishedTrial(99 - rank, rank, point) for rank, point in enumerate(points)]


def test_the_first_box_worked_by_hand() -> None:
    # Of 12 trials the best quarter is 3, but at least 4 span a box: 2, 4, 3 and 6. A quarter of
    # their span of 4 stands on each side.
    trials = others(*({"x": x} for x in (2.0, 4.0, 3.0, 6.0, 0.0, 10.0, 9.0, 0.0, 8.0, 9.0, 1, 1)))
    assert warmed({"x": FloatDistribution(0, 10)}, trials, SETTINGS) == {"x": (1.0, 7.0)}
    # Of 40 it is 10, not a quarter of a round: what was best there need not be so here.
    trials = others(*({"x": float(x)} for x in range(40)))
    assert warmed({"x": FloatDistribution(0, 100)}, trials, SETTINGS) == {"x": (0.0, 11.25)}


def test_choices_are_dropped_on_evidence_and_what_is_unknown_stays() -> None:
    space: dict[str, Any] = {
        "c": CategoricalDistribution("ab"), "x": FloatDistribution(0, 1)
    }  # fmt: skip
    trials = others(*({"c": each, "z": 3} for each in "a" * 6 + "b" * 12 + "a" * 6))
    assert warmed(space, trials, SETTINGS) == {"c": Choices(("a",)), "x": (0.0, 1.0)}
    assert warmed(space, trials[:3], SETTINGS)["c"] == Choices(("a", "b"))


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), max_size=30), st.data())
def test_only_the_order_of_the_values_counts(
    pairs: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Values on other data are no measure: any increasing function of them leads to the same."""
    space = {"x": FloatDistribution(0, 1)}
    trials = [FinishedTrial(number, *pair[:1], {"x": pair[1]}) for number, pair in enumerate(pairs)]
    ranks = sorted({trial.value for trial in trials})
    other = [FinishedTrial(t.number, 7.0 * ranks.index(t.value) - 90, t.params) for t in trials]
    shuffled = data.draw(st.permutations(other))
    box = warmed(space, trials, SETTINGS)
    assert box == warmed(space, shuffled, SETTINGS)
    assert 0 <= box["x"][0] < box["x"][1] <= 1  # type: ignore[index]


def test_a_warm_first_round_is_a_latin_hypercube_in_its_box_beside_slots_that_explore() -> None:
    box = {"learning_rate": (1e-3, 1.001e-3), "weight_decay": (0.1, 0.2)}
    points = found(Start(box=box), 8, warm=True, explore=0.25)
    inside = [p for p in points if 1e-3 <= p["learning_rate"] <= 1.001e-3]
    assert len(inside) == 6
    assert all(0.1 <= p["weight_decay"] <= 0.2 for p in inside)
    strata = [math.floor(6 * math.log2(p["weight_decay"] / 0.1)) for p in inside]
    assert sorted(strata) == list(range(6))


def test_only_values_that_lie_in_our_ranges_are_adopted() -> None:
    space: dict[str, Any] = {
        "rate": FloatDistribution(1e-3, 1.0, log=True),
        "n": IntDistribution(2, 8, step=2),
        "c": CategoricalDistribution(("a", 64)),
        "absent": FloatDistribution(0, 1),
    }
    point = adopted(space, {"rate": 1, "n": 4.0, "c": 64, "other": 5})
    assert point == {"rate": 1.0, "n": 4, "c": 64}
    assert [type(point[name]) for name in ("rate", "n")] == [float, int]
    assert adopted(space, {"rate": 2.0, "n": 3, "c": "b", "absent": None}) == {}


# ------------------------------------------------------------------ how a point is written

WIDE = SearchSpace.parse(
    ["hidden=8|16,16", "optimizer=adam|momentum", "momentum", "batch_size=16..64"]
)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("learning_rate=0.003,weight_decay=1e-4", {"learning_rate": 0.003, "weight_decay": 1e-4}),
        (" learning_rate = 1e-5 ", {"learning_rate": 1e-5}),
        ("hidden=16,16,batch_size=32", {"hidden": "16,16", "batch_size": 32}),
        ("hidden=8", {"hidden": "8"}),
        ("optimizer=momentum,momentum=0.9", {"optimizer": "momentum", "momentum": 0.9}),
    ],
)  # fmt: skip
def test_a_point_is_written_as_names_and_values(text: str, point: Point) -> None:
    assert WIDE.point(text) == point


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no NAME=VALUE; write e.g. learning_rate=0.003"),
        ("learning_rate", "'learning_rate' is no NAME=VALUE"),
        ("learning_rate=", "'learning_rate=' is no NAME=VALUE"),
        ("learning_rate=0.1,learning_rate=0.2", "learning_rate is given twice; keep one value"),
        ("learning_rat=0.1", "'learning_rat' is not searched. Did you mean learning_rate?"),
        ("dropout=0.1", "dropout is not searched; add --space dropout"),
        ("learning_rate=fast", "learning_rate is a number, not 'fast'"),
        ("batch_size=16.5", "batch_size is a whole number, not '16.5'"),
        ("learning_rate=0.5", "learning_rate=0.5 lies outside of what is searched; widen --space"),
        ("learning_rate=nan", "learning_rate is a number, not 'nan'"),
        ("hidden=32", "hidden=32 lies outside of what is searched; widen --space hidden=8|16,16"),
        ("momentum=0.9", "adam has no momentum: give the optimizer too"),
        ("momentum=0.9,optimizer=adam", "adam has no momentum"),
    ],
)
def test_what_is_no_point_of_the_space_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^point '") as caught:
        WIDE.point(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
