"""The story of a search: each sentence from its numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from markdown_it import MarkdownIt

from hpo.report.caveats import caveats, share_error, standard_error
from hpo.report.note import note
from hpo.report.records import Look
from hpo.report.story import story
from tests.report.making import Page, made, trial


def told(title: str, **changes: Any) -> list[str]:
    """The sentences under a title that begins so."""
    return [
        sentence
        for section in story(made(**changes))
        if section.title.startswith(title)
        for sentence in section.sentences
    ]


def test_what_came_out() -> None:
    assert told("What came out") == [
        "Trial 2 won: val acc 0.900, train acc 0.950 (lr: 1.00e-03, kind: a).",
        (
            "It was chosen among the best 2, which were trained again over 5 folds: of those "
            "within one standard error of the best it has the smallest gap between training and "
            "held-out rows."
        ),
        "The model is the mean of 5 networks that were trained for this choice.",
        "On new rows acc 0.870 ± 0.040 is to be expected of it.",
        (
            "Ensemble 'ensemble' is a greedy selection of 10 models, of which acc 0.950 ± 0.020 "
            "is to be expected."
        ),
        "The 100 test rows were looked at once: acc 0.900 (winner of the search (trial 2)).",
    ]


def test_what_was_searched_and_on_which_data() -> None:
    assert told("What was searched")[:2] == [
        (
            "4 trials in 2 rounds of up to 2: networks of 2-64-64-2 units, 4,482 weights each, "
            "trained by adam for up to 2 epochs."
        ),
        "Searched were learning rate 1.0e-05..1.0e-01 (evenly in the logarithm) and kind a|b.",
    ]
    assert told("On which data") == [
        "/data/made.csv: 200 rows, 2 columns, classification of 'y'.",
        (
            "64 rows trained the networks, 36 scored the trials, 100 were kept sealed for the "
            "test; drawn with seed 7."
        ),
    ]
    folds = told("On which data", settings={**made().settings, "cv": 4, "group": "who"})
    assert folds[1] == (
        "64 rows trained the networks, the same rows scored the trials over 4 folds, 100 were "
        "kept sealed for the test; drawn with seed 7, rows of one 'who' always together."
    )


def test_what_mattered() -> None:
    assert told("What mattered", edges={"learning_rate": "upper"}) == [
        (
            "What set the best tenth of the trials apart: learning rate 75 % and kind 25 % "
            "(PED-ANOVA, the measure that Optuna's dashboard shows)."
        ),
        # One of four decades, one of two choices.
        (
            "The last round searched only 25 % of the range of learning rate and 1 of the 2 "
            "choices of kind."
        ),
        "The winner's learning rate lies at the upper end of its range.",
    ]


def test_what_failed_and_where() -> None:
    # Trial 0 has the rate 0.1, the others 0.01 and less.
    assert told("What failed") == [
        "1 of 4 trials failed: diverged in epoch …: the loss was not finite.",
        ("It had a learning rate of 1.00e-01 or more, as had none of the 3 trials with a score."),
    ]
    assert told("What failed", trials=[trial(2, 1, 0.9)]) == ["No trial failed."]
    among = [trial(0, 1, 0.9), trial(1, None, None), trial(2, 2, 0.8)]
    assert len(told("What failed", trials=among)) == 1


def test_a_share_has_the_standard_error_of_a_share() -> None:
    # 0.9 of 36 rows, and two more of each: 34.4 of 40.
    assert standard_error(made()) == pytest.approx(math.sqrt(0.86 * 0.14 / 40))
    # Of many rows it is the one of every textbook, and of none that are wrong it is not 0.
    assert share_error(0.9, 10**6) == pytest.approx(math.sqrt(0.9 * 0.1 / 10**6), rel=1e-4)
    assert share_error(1.0, 36) == pytest.approx(math.sqrt(38 / 40 * 2 / 40 / 40))


def test_what_not_to_conclude() -> None:
    # The second trial is 0.02 behind the first, whose standard error is 0.055.
    assert caveats(made()) == [
        (
            "The best val acc, 0.900, is the highest of 3 noisy scores, so it is too high: believe "
            "0.870, the score to expect on new rows."
        ),
        (
            "The first 2 of the ranking lie within one standard error (0.055) of the best: their "
            "order may be luck, and so may be small differences between their parameters."
        ),
        (
            "The test score of 0.900 is itself uncertain by about 0.031 (one standard error of a "
            "share of 100 rows)."
        ),
        (
            "All rows were split at random: nothing is said about rows of another place, of "
            "another time or of people that are not in the data, and another split gives other "
            "scores."
        ),
        (
            "What mattered, mattered within these ranges and on these data: a parameter that seems "
            "to have no part in it may have one beyond them."
        ),
    ]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"counts": {"complete": 3, "waiting": 2, "running": 1}}, "3 trials are still to be"),
        ({"looks": [Look(1, "a", 0.9), Look(2, "b", 0.8)]}, "looked at 2 times: the best of"),
        ({"edges": {"learning_rate": "lower"}}, "beyond the range of learning rate"),
        ({"settings": {**made().settings, "time": "day"}}, "The test rows are the latest ones"),
        ({"settings": {**made().settings, "group": "who"}}, "Another way to part the groups"),
        ({"selection": None}, "nothing as good is to be expected on new rows"),
        ({"looks": [Look(1, "a", 1.0)]}, "1.000 is itself uncertain by about 0.013"),
    ],
)
def test_each_caveat_has_its_cause(changes: dict[str, Any], part: str) -> None:
    assert not any(part in each for each in caveats(made()))
    assert sum(part in each for each in caveats(made(**changes))) == 1


def test_nothing_is_concluded_from_nothing() -> None:
    assert caveats(made(trials=[trial(0, None, None)])) == []


NASTY = ["<b>bold</b>", "*a* _b_ `c`", "[x](javascript:alert(1))", "![x](http://evil.example)",
         "# no heading", "$a$ \\(b\\)", "1. no list", "&lt;i&gt;", "a | b", "~~a~~"]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_a_note_shows_names_as_they_are(name: str) -> None:
    text = note(made(name=name, looks=[Look(1, name, 0.5)]))
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("strikethrough").render(text))
    assert page.texts("h1") == [name]
    assert {each for each, _, _ in page.elements} == {"h1", "h2", "ul", "li", "pre", "code"}
    assert any(f"({name})" in each for each in page.texts("li"))


def test_a_note_tells_the_same_story() -> None:
    study = made()
    page = Page(MarkdownIt().render(note(study)))
    sections = story(study)
    assert page.texts("h2") == [*(each.title for each in sections), "To search it again"]
    assert page.texts("li") == [each for section in sections for each in section.sentences]
    assert [each.strip() for each in page.texts("pre")] == list(study.commands)
