"""The tables of a report: all the numbers that its pictures show, and more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from hpo.report.markup import Child, element
from hpo.report.records import Study, Trial
from hpo.report.words import (
    metric_word,
    parameter,
    parameter_word,
    plus_minus,
    score,
    scored_word,
    searched,
    size,
)

Cell = str | None

MOST_COLUMNS = 4
"""Parameters that the table of rounds has columns for."""


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Element:
    """A table whose first column names its rows; numbers stand right.

    It can be scrolled where it is wider than the page, with the keyboard too.
    """
    kinds = [_kind(each) for each in rows[0]] if rows else [None] * len(heads)
    head = element(
        "tr",
        *(
            element("th", each, scope="col", class_=kind)
            for each, kind in zip(heads, kinds, strict=True)
        ),
    )
    body = [element("tr", *_row(row)) for row in rows]
    made = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    return element("div", made, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _row(cells: Sequence[Cell]) -> list[Child]:
    first, *rest = cells
    return [
        element("th", first or "–", scope="row"),
        *(element("td", each or "–", class_=_kind(each)) for each in rest),
    ]


def _kind(cell: Cell) -> str | None:
    return "text" if cell and not any(each.isdigit() for each in cell[:2]) else None


def rounds(study: Study) -> Element:
    """What each round searched, and the best that it found."""
    names = [each.name for each in study.parameters]
    scored = f"best {scored_word(study.cv)} {metric_word(study.metric)}"
    rows: list[list[Cell]] = [
        ["round", "trials", *(name.replace("_", " ") for name in names), scored]
    ]
    for each in study.rounds:
        ranges = (searched(each.ranges[name]) if name in each.ranges else None for name in names)
        best = None if each.best is None else score(each.best)
        rows.append([str(each.index + 1), str(each.finished), *ranges, best])
    if len(names) > MOST_COLUMNS:  # a line for each parameter, then
        rows = [_without_repetition(row) for row in zip(*rows, strict=True)]
    return table("Rounds and what they searched", [each or "" for each in rows[0]], rows[1:])


def _without_repetition(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of a line; one that says what the one before it says, and is long, is shortened."""
    return [
        "the same" if place > 1 and each == cells[place - 1] and len(each or "") > 8 else each
        for place, each in enumerate(cells)
    ]


def best_trials(study: Study, most: int) -> Element:
    """The best trials with their parameters."""
    trials = study.ranked[:most]
    names = list(dict.fromkeys(name for each in trials for name in each.params))
    scored, metric = scored_word(study.cv), metric_word(study.metric)
    show = _alike([value for each in trials for value in (each.value, each.train)])
    heads = ["rank", "trial", f"{scored} {metric}", f"train {metric}", "gap", *study.costs]
    heads += ["seconds", *map(parameter_word, names)]
    rows = [
        [
            f"Best-{each.rank}",
            str(each.number),
            *(show(value) for value in (each.value, each.train, each.gap)),
            *(_cost(each, place) for place in range(len(study.costs))),
            None if each.seconds is None else f"{each.seconds:.2f}",
            *(parameter(each.params[name]) if name in each.params else None for name in names),
        ]
        for each in trials
    ]
    return table(f"The best {len(trials)} of {len(study.ranked)} trials", heads, rows)


def _alike(values: Sequence[float | None]) -> Callable[[float | None], Cell]:
    """How the scores of a table are written: all with three decimals, if these say enough."""
    largest = max((abs(each) for each in values if each is not None), default=0.0)
    form = ".3f" if 0.1 <= largest < 1000 else ".4g"

    def show(value: float | None) -> Cell:
        return None if value is None else format(round(value, 12) + 0.0, form)

    return show


def _cost(trial: Trial, place: int) -> Cell:
    return f"{trial.costs[place]:.4g}" if place < len(trial.costs) else None


def candidates(study: Study) -> Element | None:
    """The trials that were trained again, and their scores; None if none was."""
    found = study.selection.record["candidates"] if study.selection else []
    if not found:
        return None
    assert study.selection is not None
    places = range(1, len(found[0]["values"]) + 1)
    show = _alike([value for each in found for value in each["values"]])
    heads = ["trial", "mean", "gap", *(f"score {place}" for place in places)]
    rows = [
        [
            f"{each['trial']} (winner)"
            if each["trial"] == study.selection.number
            else str(each["trial"]),
            _mean(each),
            show(each["gap"]),
            *(show(value) for value in each["values"]),
        ]
        for each in found
    ]
    return table("The best trials, trained again", heads, rows)


def _mean(candidate: Mapping[str, Any]) -> str:
    value, error = candidate["value"], candidate["standard_error"]
    return score(value) if error is None else plus_minus(value, error)


def failures(study: Study, most: int) -> Element | None:
    """The trials of which nothing came, and why; None without any."""
    failed = study.failed[:most]
    if not failed:
        return None
    names = list(dict.fromkeys(name for each in failed for name in each.params))
    rows = [
        [
            str(each.number),
            *(parameter(each.params[name]) if name in each.params else None for name in names),
            each.reason,
        ]
        for each in failed
    ]
    caption = f"{len(failed)} of {len(study.failed)} failed trials"
    return table(caption, ["trial", *map(parameter_word, names), "reason"], rows)


def looks(study: Study) -> Element | None:
    """Every look at the test rows; None as long as they are sealed."""
    if not study.looks:
        return None
    rows = [
        [str(each.order), each.why, "no finite score" if each.score is None else score(each.score)]
        for each in study.looks
    ]
    heads = ["look", "model", f"test {metric_word(study.metric)}"]
    return table("Looks at the test rows", heads, rows)


def methods(record: Mapping[str, Any], metric: str) -> Element:
    """How an ensemble's members could be combined."""
    rows = [
        ["best model alone" if each["method"] == "best" else each["method"], *_scores(each)]
        for each in sorted(record["methods"], key=lambda each: each["loss"])
    ]
    heads = ["method", str(record["loss"]).replace("_", " "), metric_word(metric)]
    return table("Ways to combine", heads, rows)


def members(record: Mapping[str, Any], metric: str) -> Element:
    """What an ensemble is made of."""
    rows = [
        [
            each["name"],
            str(each["models"]),
            *_scores(each),
            _short(each.get("weight")),
            _short(each.get("adds")),
            None if each.get("bytes") is None else size(each["bytes"]),
        ]
        for each in sorted(record["members"], key=lambda each: each["loss"])
    ]
    loss = str(record["loss"]).replace("_", " ")
    heads = ["member", "models", loss, metric_word(metric), "weight", "adds", "size"]
    return table("Members", heads, rows)


def diversity(record: Mapping[str, Any]) -> Element | None:
    """How differently the members err, pair by pair; None of a single one."""
    found = record.get("diversity")
    if not found or len(found["names"]) < 2:
        return None
    caption = {
        "disagreement": "Diversity: share of rows on which one is right and the other wrong",
        "residual_correlation": "Diversity: correlation of what they miss the target by",
    }[found["measure"]]
    rows = [
        [name, *(None if value is None else f"{value:.3f}" for value in row)]
        for name, row in zip(found["names"], found["matrix"], strict=True)
    ]
    return table(caption, ["", *found["names"]], rows)


def facts(caption: str, pairs: Sequence[tuple[str, str]]) -> Element:
    """Names and what they are: settings, versions, hashes."""
    rows = [element("tr", element("th", name, scope="row"), element("td", value, class_="text"))
            for name, value in pairs]  # fmt: skip
    made = element("table", element("caption", caption), element("tbody", *rows), class_="facts")
    return element("div", made, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _scores(record: Mapping[str, Any]) -> list[Cell]:
    return [_short(record["loss"]), _short(record["score"])]


def _short(value: Any) -> Cell:
    if value is None:
        return None
    return f"{value:.4g}" if abs(value) < 0.01 else f"{value:.4f}"
