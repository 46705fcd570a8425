"""Pictures: what is drawn where, by numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from hpo.report import combining
from hpo.report.courses import courses, drawn, limits
from hpo.report.narrowing import HEIGHT, LEFT, RIGHT, TOP, funnel
from hpo.report.records import Parameter
from tests.report.making import ENSEMBLE, made, trial


def of_class(picture: Element, name: str) -> list[Element]:
    return [each for each in picture.iter() if each.get("class") == name]


def numbers(each: Element, *names: str) -> list[float]:
    return [float(each.get(name) or "nan") for name in names]


def test_the_funnel_has_the_ranges_and_the_trials() -> None:
    study = made()
    picture = funnel(study, study.parameters[0])
    bottom = HEIGHT - 36
    first, second = of_class(picture, "band")
    # The first round searches all four decades, the second the two in the middle's first.
    assert numbers(first, "y", "height") == pytest.approx([TOP, bottom - TOP])
    decade = (bottom - TOP) / 4
    assert numbers(second, "y", "height") == pytest.approx([TOP + 2 * decade, decade], abs=0.01)
    x, width = numbers(second, "x", "width")
    assert x + width == pytest.approx(RIGHT, abs=0.01)
    assert x > (LEFT + RIGHT) / 2
    (good,) = of_class(picture, "good")  # a tenth of three trials is the best one
    assert numbers(good, "cy") == pytest.approx([TOP + 2 * decade], abs=0.01)
    assert len(of_class(picture, "other")) == 2
    assert len(of_class(picture, "failed")) == 1
    (winner,) = of_class(picture, "winner")
    assert numbers(winner, "cx", "cy") == numbers(good, "cx", "cy")
    assert picture.get("aria-label") == (
        "learning rate: round 1 searched 1.0e-05..1.0e-01; round 2 searched 1.0e-04..1.0e-03; "
        "the winner has 1.00e-03"
    )


def test_trials_stand_inside_their_round() -> None:
    study = made()
    picture = funnel(study, study.parameters[0])
    bands = [numbers(each, "x", "width") for each in of_class(picture, "band")]
    for each in [*of_class(picture, "good"), *of_class(picture, "other")]:
        title = each.find("title")
        assert title is not None
        number = int((title.text or "").split()[1].rstrip(":"))
        left, width = bands[number // 2]
        assert left < numbers(each, "cx")[0] < left + width


def test_of_choices_those_that_are_left_have_a_band() -> None:
    study = made()
    picture = funnel(study, study.parameters[1])
    assert len(of_class(picture, "band")) == 3  # a and b, then a
    tops = sorted(numbers(each, "y")[0] for each in of_class(picture, "band"))
    assert tops[0] == tops[1] < tops[2]


def test_curves_are_solid_and_dashed_on_one_scale() -> None:
    study = made()
    pictures = courses(study)
    assert len(pictures) == 3
    for each in pictures:
        (train,), (validation,) = of_class(each, "train"), of_class(each, "validation")
        assert (train.get("d") or "").count("L") == (validation.get("d") or "").count("L") == 1
    # From 0.4 to 0.9, and a twentieth of that to either side.
    of = drawn(study)
    assert of is not None
    assert limits(study.ranked, of) == pytest.approx((0.375, 0.925))
    assert pictures[0].get("aria-label") == (
        "Best-1, trial 2: val acc from 0.400 to 0.800, train acc from 0.500 to 0.900, 2 epochs"
    )


def test_where_no_score_is_measured_while_it_trains_losses_are_drawn() -> None:
    curves = {"train_loss": [2.0, 1.0], "val_loss": [3.0, None], "val_score": [None, 0.5]}
    study = made(trials=[trial(2, 1, 0.9, curves=curves)])
    (picture,) = courses(study)
    assert "val loss from 3.000 to 3.000, train loss from 2.000 to 1.000" in (
        picture.get("aria-label") or ""
    )
    (validation,) = of_class(picture, "validation")
    assert "L" not in (validation.get("d") or "")  # the gap is left open


def test_without_curves_nothing_is_drawn() -> None:
    assert courses(made(trials=[trial(2, 1, 0.9, curves={})])) == []


def test_a_parameter_with_one_value_is_drawn_in_the_middle() -> None:
    one = Parameter("learning_rate", 1e-3, 1e-3, log=True)
    ranges: dict[str, Any] = {"learning_rate": [1e-3, 1e-3], "kind": {"choices": ["a"]}}
    study = made(parameters=[one])
    study = made(parameters=[one], rounds=[replace(each, ranges=ranges) for each in study.rounds])
    (good,) = of_class(funnel(study, one), "good")
    assert numbers(good, "cy") == [(TOP + HEIGHT - 36) / 2]


def test_the_bars_are_as_long_as_their_losses() -> None:
    picture = combining.leaderboard(ENSEMBLE)
    (method,) = of_class(picture, "method")
    members = of_class(picture, "member")
    lengths = [numbers(each, "width")[0] for each in (method, *members)]
    # 0.2, 0.4 and 0.5, which is the longest.
    assert [each / lengths[-1] for each in lengths] == pytest.approx([0.4, 0.8, 1.0], abs=1e-3)


def test_the_size_curve_marks_its_least() -> None:
    picture = combining.size_curve(ENSEMBLE)
    assert picture is not None
    (winner,) = of_class(picture, "winner")
    # Of 1, 2, 3 members, two are in the middle.
    assert numbers(winner, "cx") == [(combining.LEFT + combining.RIGHT) / 2]
    assert "least with 2: 0.2" in (picture.get("aria-label") or "")


def test_reliability_has_a_dot_for_each_bin_with_rows() -> None:
    picture = combining.reliability(ENSEMBLE)
    assert picture is not None
    dots = of_class(picture, "good")
    width, height = combining.RIGHT - combining.LEFT, combining.BOTTOM - combining.TOP
    assert [numbers(each, "cx", "cy") for each in dots] == [
        pytest.approx([combining.LEFT + said * width, combining.BOTTOM - right * height], abs=0.01)
        for said, right in ((0.6, 0.5), (0.9, 1.0))
    ]
    assert combining.reliability(ENSEMBLE | {"reliability": None}) is None
