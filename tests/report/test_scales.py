"""From values to places: closed forms."""

from __future__ import annotations

import pytest

from hpo.report.scales import Choices, Scale, thinned, tick_text


def test_a_linear_scale_is_a_straight_line() -> None:
    scale = Scale(2.0, 4.0, 100.0, 0.0)  # a picture's y goes down
    assert [scale.at(value) for value in (2.0, 2.5, 4.0)] == [100.0, 75.0, 0.0]


def test_beyond_its_ends_a_value_is_at_the_end() -> None:
    scale = Scale(0.0, 1.0, 0.0, 10.0)
    assert (scale.at(-5.0), scale.at(7.0)) == (0.0, 10.0)


def test_a_log_scale_is_even_in_the_logarithm() -> None:
    scale = Scale(1e-5, 1e-1, 0.0, 400.0, log=True)
    assert [scale.at(10.0**power) for power in (-5, -4, -1)] == pytest.approx([0, 100, 400])
    assert scale.at(0.0) == 0.0


def test_a_scale_without_width_has_all_in_its_middle() -> None:
    assert Scale(3.0, 3.0, 0.0, 10.0).at(3.0) == 5.0
    assert Scale(3.0, 3.0, 0.0, 10.0).ticks() == [3.0]


@pytest.mark.parametrize(
    ("low", "high", "log", "most", "expected"),
    [
        (0.0, 1.0, False, 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 1.0, False, 3, [0.0, 0.5, 1.0]),
        (0.17, 0.93, False, 5, [0.2, 0.4, 0.6, 0.8]),
        (1.0, 50.0, False, 6, [10.0, 20.0, 30.0, 40.0, 50.0]),
        (-3.0, 3.0, False, 4, [-2.0, 0.0, 2.0]),
        (1e-5, 1e-1, True, 5, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        (1e-5, 10.0, True, 4, [1e-5, 1e-3, 1e-1, 10.0]),
        (0.2, 0.7, True, 5, [0.2, 0.4, 0.6]),
    ],
)
def test_ticks_are_round(
    low: float, high: float, log: bool, most: int, expected: list[float]
) -> None:
    assert Scale(low, high, 0.0, 1.0, log).ticks(most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (1e-5, "1e-05"),
        (0.25, "0.25"),
        (5000.0, "5,000"),
        (2.5e-4, "0.00025"),
        (1.5e7, "1.5e+07"),
    ],
)
def test_ticks_are_written_shortly(value: float, expected: str) -> None:
    assert tick_text(value) == expected


def test_choices_share_the_height() -> None:
    choices = Choices(("a", "b", "c", "d"), 0.0, 40.0)
    assert choices.height == 10.0
    assert [choices.at(each) for each in "abcd"] == [5.0, 15.0, 25.0, 35.0]
    assert choices.at("e") is None


def test_thinned_keeps_both_ends_evenly() -> None:
    assert thinned(range(5), 5) == [0, 1, 2, 3, 4]
    assert thinned(range(101), 5) == [0, 25, 50, 75, 100]
