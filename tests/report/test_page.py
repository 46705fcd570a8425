"""The page of a report: its numbers, its form, and that no name can become markup."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hpo.report.page import report
from hpo.report.records import Data, Look, Parameter, Round
from tests.report.making import ENSEMBLE, Page, made, trial

EVIL = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>&amp;\x1b[2J'


def test_tables_have_the_numbers() -> None:
    page = Page(report(made()))
    assert page.table("Rounds") == [
        ["round", "trials", "learning rate", "kind", "best val acc"],
        ["1", "2", "1.0e-05..1.0e-01", "a|b", "0.800"],
        ["2", "2", "1.0e-04..1.0e-03", "a", "0.900"],
    ]
    assert page.table("The best 3 of 3 trials")[:2] == [
        ["rank", "trial", "val acc", "train acc", "gap", "seconds", "lr", "kind"],
        ["Best-1", "2", "0.900", "0.950", "0.050", "0.25", "1.00e-03", "a"],
    ]
    assert page.table("The best trials, trained again")[1:] == [
        ["2 (winner)", "0.850 ± 0.050", "0.100", "0.800", "0.900"],
        ["1", "0.800 ± 0.100", "0.200", "0.700", "0.900"],
    ]
    assert page.table("1 of 1 failed trials")[1][0] == "0"
    assert page.table("1 of 1 failed trials")[1][-1].startswith("diverged in epoch 3")
    assert page.table("Looks")[1] == ["1", "winner of the search (trial 2)", "0.900"]
    assert page.table("Ways to combine")[1] == ["greedy", "0.2000", "0.9500"]
    assert page.table("Members")[1][:5] == ["trial 2", "5", "0.4000", "0.9000", "0.7500"]
    assert page.table("Diversity")[2] == ["forest", "0.250", "–"]
    assert ["SHA-256 of what was read", "33cc"] in page.table("Data")
    assert ["seed", "7"] in page.table("Settings")
    assert ["numpy", "2.0.0"] in page.table("Versions")
    assert ["b", "11ee"] in page.table("SHA-256 of each column")
    assert page.texts("pre") == ["hpo search made.csv --target y"]


def test_many_parameters_have_a_line_each() -> None:
    names = ["a", "b", "c", "d", "e"]
    ranges: dict[str, Any] = {name: [1e-5, 1e-1] for name in names}
    rounds = [Round(0, ranges, 2, 0.5), Round(1, {**ranges, "b": [1e-3, 1e-2]}, 2, 0.6)]
    study = made(
        parameters=[Parameter(name, 1e-5, 1e-1, log=True) for name in names], rounds=rounds
    )
    rows = Page(report(study)).table("Rounds")
    assert rows[:4] == [
        ["round", "1", "2"],
        ["trials", "2", "2"],
        ["a", "1.0e-05..1.0e-01", "the same"],
        ["b", "1.0e-05..1.0e-01", "1.0e-03..1.0e-02"],
    ]
    assert rows[-1] == ["best val acc", "0.500", "0.600"]


def test_who_does_not_see_the_page_is_told_all_of_it() -> None:
    page = Page(report(made()))
    assert not page.unbalanced
    assert page.attributes("html") == [{"lang": "en"}]
    levels = [int(name[1]) for name, _, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert all(each.get("scope") in {"col", "row"} for each in page.attributes("th"))
    assert len(page.texts("caption")) == len(page.attributes("table"))
    assert all(page.texts("caption"))
    for each in page.attributes("svg"):
        assert each.get("aria-hidden") == "true" or (
            each.get("role") == "img" and len(each["aria-label"] or "") > 20
        )
    named = {each["id"] for _, each, _ in page.elements if "id" in each}
    assert {(each["href"] or "")[1:] for each in page.attributes("a")} <= named
    assert len(named) == sum("id" in each for _, each, _ in page.elements)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = report(made())
    page = Page(text)
    policy = next(each for each in page.attributes("meta") if "http-equiv" in each)
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    for _, attributes, _ in page.elements:
        assert not {"src", "srcset", "data", "onload"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:", text)


def test_no_name_becomes_markup() -> None:
    evil = ENSEMBLE | {"name": EVIL, "members": [ENSEMBLE["members"][0] | {"name": EVIL}]}
    evil["diversity"] = ENSEMBLE["diversity"] | {"names": [EVIL, EVIL]}
    study = made(
        name=EVIL,
        storage=EVIL,
        data=Data(EVIL, 2, {EVIL: EVIL}, EVIL, "", "", made().data.parts, EVIL),
        settings={**made().settings, "group": EVIL, "positive": EVIL},
        parameters=[Parameter("kind", choices=(EVIL, "a"))],
        rounds=[Round(0, {"kind": {"choices": [EVIL]}}, 2, 0.5)],
        trials=[
            trial(0, 1, 0.9, params={"kind": EVIL}),
            trial(1, None, None, params={"kind": EVIL}, reason=EVIL),
        ],
        selection=None,
        ensembles=[evil],
        looks=[Look(1, EVIL, 0.5)],
        commands=(EVIL,),
        versions={EVIL: EVIL},
    )
    page = Page(report(study))
    assert not page.unbalanced
    assert not {"script", "img"} & {name for name, _, _ in page.elements}
    assert not any(name.startswith("on") for _, each, _ in page.elements for name in each)
    shown = EVIL.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert page.texts("h1") == [shown]
    assert [shown, shown] in page.table("Versions")
    assert any(shown in each for each in page.texts("li"))


def test_what_is_not_there_is_left_out() -> None:
    bare = made(
        trials=[], counts={}, rounds=[], selection=None, ensembles=[], looks=[], importances={}
    )
    page = Page(report(bare))
    assert page.texts("h2")[0] == "The story"
    assert "Rounds" not in page.texts("h2")
    assert "No trial has a score yet." in page.texts("li")


def test_of_many_trials_not_all_are_drawn() -> None:
    trials = [trial(number, number + 1, 0.5, curves={}) for number in range(3000)]
    trials = [
        replace(each, params={"learning_rate": 1e-3, "kind": "a"}, round=0) for each in trials
    ]
    text = report(made(trials=trials, counts={"complete": 3000}, trials_per_round=3000))
    assert "1,000 of the 3,000 trials are drawn" in text
    assert text.count("<circle") < 2 * 1000 + 20
    assert len(text) < 1_000_000


@pytest.mark.parametrize("missing", ["size_curve", "reliability", "diversity"])
def test_an_ensemble_of_an_older_version_has_fewer_pictures(missing: str) -> None:
    whole, without = (
        Page(report(made(ensembles=[each])))
        for each in (ENSEMBLE, {k: v for k, v in ENSEMBLE.items() if k != missing})
    )
    parts = {"size_curve": "svg", "reliability": "svg", "diversity": "table"}
    part = parts[missing]
    assert len(without.attributes(part)) == len(whole.attributes(part)) - 1
