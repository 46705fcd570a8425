"""No point is tried twice where a space has only so many."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.search.narrowing import (
    Choices,
    NarrowingSettings,
    Point,
    Shape,
    countable,
    place,
    without_repeats,
)

SPACE: dict[str, Any] = {
    "a": CategoricalDistribution((True, 1, None)),
    "b": IntDistribution(2, 8, step=3),
    "c": FloatDistribution(0.5, 0.5),
}
POINTS = [{"a": a, "b": b, "c": 0.5} for a in (True, 1, None) for b in (2, 5, 8)]
SETTINGS = NarrowingSettings(seed=3, trials_per_round=6, n_rounds=4)


def tried_in(rounds: int, box: Any, shape: Shape = Shape(), space: Any = SPACE) -> list[Point]:  # noqa: B008
    tried: list[Point] = []
    for index in range(rounds):
        numbers = range(6 * index, 6 * index + 6)
        points = place(space, box, SETTINGS, numbers, shape)
        tried += without_repeats(points, numbers, tried, space, box, SETTINGS, shape)
    return tried


def test_all_points_are_tried_once_and_then_there_is_none() -> None:
    tried = tried_in(3, {})
    assert sorted(map(repr, tried)) == sorted(map(repr, POINTS))


def test_what_is_left_of_the_box_comes_first() -> None:
    box = {"a": Choices((None,)), "b": (5, 8)}
    tried = tried_in(3, box)
    assert sorted(map(repr, tried)) == sorted(map(repr, POINTS))
    inside = [point["a"] is None and point["b"] >= 5 for point in tried]
    assert any(inside[:8])


@given(st.integers(0, 5))
def test_a_round_in_two_parts_is_the_same(cut: int) -> None:
    whole = place(SPACE, {}, SETTINGS, range(6))
    at_once = without_repeats(whole, range(6), [], SPACE, {}, SETTINGS)
    first = without_repeats(whole[:cut], range(cut), [], SPACE, {}, SETTINGS)
    rest = without_repeats(whole[cut:], range(cut, 6), first, SPACE, {}, SETTINGS)
    assert first + rest == at_once


def test_points_that_differ_in_what_has_no_meaning_are_one() -> None:
    space = {"a": CategoricalDistribution("xy"), "b": IntDistribution(1, 3)}

    def meaningful(point: Point) -> Point:
        return point if point["a"] == "x" else {"a": "y"}

    tried = tried_in(2, {}, Shape(meaningful=meaningful), space)
    assert sorted(map(repr, tried)) == sorted(
        map(repr, [{"a": "x", "b": b} for b in (1, 2, 3)] + [{"a": "y"}])
    )


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (SPACE, True),
        ({"x": FloatDistribution(0, 1)}, False),
        ({"x": FloatDistribution(0, 1, step=0.1), "y": IntDistribution(0, 900)}, True),
        ({"x": FloatDistribution(0, 1, step=0.1), "y": IntDistribution(0, 910)}, False),
        ({}, True),
    ],
)
def test_countable(space: dict[str, Any], expected: bool) -> None:
    assert countable(space) == expected
