"""An ensemble that was built, as it is shown on a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.cli.printing import plain, wrapped
from hpo.cli.tables import Column, text_table
from hpo.cli.words import metric_word, plus_minus, score, size

MOST_NAMES = 8
"""How many of the models that were left out are named."""


def ensemble_lines(document: Mapping[str, Any], width: int | None) -> list[str]:
    """What is shown of the JSON object of ``--json``, in so many columns."""
    metric, loss = metric_word(document["metric"]), document["loss"].replace("_", " ")
    methods, _ = text_table(_methods(document, loss, metric), width)
    members, hidden = text_table(_members(document, loss, metric), width)
    lines = [_head(document), "", *methods, "", f"{document['name']}: {_built(document)}"]
    lines += ["", *members]
    if hidden:
        lines.append(f"no room for {', '.join(hidden)}: --json has all")
    if document["left_out"]:
        lines.append(f"left out: {_few(document['left_out'])}")
    lines += ["", f"expected on new rows: {_expected(document, metric)}"]
    lines += [f"built in {document['seconds']:.1f} s", *_next_commands(document)]
    return wrapped(lines, width)


def _head(document: Mapping[str, Any]) -> str:
    where = f"over {document['folds']} folds of" if document["folds"] else "on"
    count = len(document["members"]) + len(document["left_out"])
    seen = f"compared {where} {document['rows']} rows that they did not see"
    return f"{plain(document['study'])}: {count} models, {seen}"


def _built(document: Mapping[str, Any]) -> str:
    if document["method"] == "best":
        alone = document["members"][0]["name"]
        return f"no combination comes near the best model alone, {alone}"
    count = sum(each["models"] for each in document["members"])
    return f"{document['method']} of {count} models"


def _expected(document: Mapping[str, Any], metric: str) -> str:
    expected, error = document["expected"], document["expected_se"]
    if expected is None:
        return f"{metric} cannot be told from so few rows"
    return f"{metric} {score(expected) if error is None else plus_minus(expected, error)}"


def _next_commands(document: Mapping[str, Any]) -> list[str]:
    study, name = shlex.quote(plain(document["study"])), shlex.quote(document["name"])
    return [
        "next:",
        f"  hpo test {study} --model {name}",
        f"  hpo predict {study} --model {name} --input new.csv --output predictions.csv",
    ]


def _few(names: Sequence[str]) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _methods(document: Mapping[str, Any], loss: str, metric: str) -> list[Column]:
    rows = sorted(document["methods"], key=lambda each: each["loss"])
    names = ["best model" if each["method"] == "best" else each["method"] for each in rows]
    return [
        Column("method", names, right=False, weight=9),
        Column(loss, [each["loss"] for each in rows], _number, weight=8),
        Column(metric, [each["score"] for each in rows], _number, weight=7),
    ]


def _members(document: Mapping[str, Any], loss: str, metric: str) -> list[Column]:
    rows = sorted(document["members"], key=lambda each: each["loss"])

    def column(title: str, name: str, show: Any, weight: int) -> Column:
        return Column(title, [each[name] for each in rows], show, weight=weight)

    def size_or_none(value: Any) -> str:
        return "-" if value is None else size(value)

    columns = [
        Column("member", [each["name"] for each in rows], right=False, weight=9),
        column("models", "models", str, 3),
        column(loss, "loss", _number, 8),
        column(metric, "score", _number, 7),
        column("weight", "weight", _number, 6),
        column("adds", "adds", _number, 5),
        column("size", "bytes", size_or_none, 4),
        column("ms / 1,000", "milliseconds", _number, 3),
        column("seconds", "seconds", _number, 2),
    ]
    return [each for each in columns if any(value is not None for value in each.values)]


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) < 0.01 else f"{value:.4f}"
