"""What stdout shows at the end of a search."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.cli.front import front_lines
from hpo.cli.narrowing import narrowing_lines
from hpo.cli.packing import packed
from hpo.cli.printing import room, wrapped
from hpo.cli.words import (
    duration,
    hidden,
    metric_word,
    parameters,
    plus_minus,
    score,
    scored_word,
    searched,
    size,
)
from hpo.rehearsal import Rehearsal
from hpo.summary import Summary

ENDED = {
    "timeout": "stopped by the timeout; the same command goes on",
    "exhausted": "every point of the space was tried",
}
"""Why a search ended early."""


def result(summary: Summary, arguments: Sequence[str]) -> str:
    """The narrowing, the best trials, the winner, its test score, and what to type next.

    ``arguments`` are those that the command was given.
    """
    width, document = room(), summary.document
    front = front_lines(document)
    lines = [
        *wrapped([_head(document)], width),
        "",
        *narrowing_lines(document["rounds"], f"best {_scored(document)}", width),
        "",
        *best_lines(summary, width),
        "",
        *([*front, ""] if front else []),
        *wrapped([*_winner(summary), *_totals(summary)], width),
        "",
        *_next_commands(summary, arguments),
    ]
    return "".join(f"{each}\n" for each in lines)


def _head(document: Mapping[str, Any]) -> str:
    rows, cv = document["rows"], document["cv"]
    scored = f"training, {rows['validation']} validation" if cv is None else f"rows in {cv} folds"
    return (
        f"{document['study']}: {document['task']}, {rows['train']} {scored} "
        f"and {rows['test']} test rows"
    )


def _scored(document: Mapping[str, Any]) -> str:
    """``val acc``, or ``cv acc`` where folds score the trials."""
    return f"{scored_word(document['cv'])} {metric_word(document['metric'])}"


def best_lines(summary: Summary, width: int | None) -> list[str]:
    """``Best-1 (val acc: 0.983) | lr: 9.21e-03, weight decay: 4.59e-04`` and so on."""
    scored = _scored(summary.document)
    lines = [
        f"Best-{place} ({scored}: {score(trial.value or 0.0)}) | {parameters(trial.params)}"
        for place, trial in enumerate(summary.best, start=1)
    ]
    return (
        lines
        if width is None
        else [each for line in lines for each in packed(line.split(", "), width)]
    )


def _winner(summary: Summary) -> list[str]:
    best, metric = summary.document["best"], metric_word(summary.document["metric"])
    scored = _scored(summary.document)
    seen = f"{scored} {score(best['validation'])}, train {metric} {score(best['train'])}"
    rows = "validation rows" if summary.document["cv"] is None else "rows"
    expected = f"cannot be told from so few {rows}"
    if best["expected"] is not None and best["expected_se"] is not None:
        expected = f"{metric} {plus_minus(best['expected'], best['expected_se'])}"
        if (summary.document["selection"] or {}).get("refit") is not None:
            expected += " (of the networks that were chosen, before --refit)"
    elif best["expected"] is not None:
        expected = f"{metric} {score(best['expected'])}, how surely cannot be told from these rows"
    edges = [
        f"note: its {name.replace('_', ' ')} lies at the {end} end of its range: widen it (--space)"
        for name, end in best["edges"].items()
    ]
    lines = [f"winner: trial {best['trial']}, {seen}", *edges, *_again(summary)]
    return [*lines, f"expected on new rows: {expected}", _test(summary, metric)]


def _again(summary: Summary) -> list[str]:
    """How the winner was chosen; nothing if it is the first of the ranking."""
    selection = summary.document["selection"]
    if selection is None:
        return []
    candidates, number = selection["candidates"], summary.document["best"]["trial"]
    networks, refit = selection["networks"], selection["refit"]
    model = f"the model is the mean of these {networks} networks"
    if refit is not None:
        these = "a network" if networks == 1 else f"the mean of {networks} networks"
        model = f"the model is {these} trained on all {refit} rows but the test's (--refit)"
    if not candidates:
        return [model]
    (own,) = (each for each in candidates if each["trial"] == number)
    error = own["standard_error"]
    found = score(own["value"]) if error is None else plus_minus(own["value"], error)
    repeats, folds = selection["repeats"], selection["folds"]
    where = f"over {folds} folds" if folds else f"{repeats} times with other seeds"
    if summary.document["cv"] is not None:
        where = f"{f'{repeats} times ' if repeats > 1 else ''}over {folds} other folds"
    scored = _scored(summary.document)
    return [f"trained again {where}: {scored} {found}, chosen of {len(candidates)}", model]


def _test(summary: Summary, metric: str) -> str:
    count, look = summary.document["test"]["evaluations"], summary.look
    if look is None:
        before = f"; they were looked at {count} times before" if count else ""
        return f"test: the test rows stay sealed{before}"
    seen = "no finite score" if look.score is None else f"{metric} {score(look.score)}"
    rows = summary.document["rows"]["test"]
    note = "" if count == 1 else f"; these rows were looked at {count} times"
    return f"test: {seen} on {rows} rows (look {look.order}){note}"


def _for_each_trial(document: Mapping[str, Any]) -> str:
    return "" if document["cv"] is None else f", {document['cv']} for each trial"


def rehearsal(plan: Rehearsal) -> str:
    """What a search would do and take."""
    document = plan.document
    trials, estimate = document["trials"], document["estimate"]
    ranges = (f"{name} {searched(each)}" for name, each in document["space"].items())
    lines = [
        _head(document),
        f"networks: {'-'.join(map(str, document['network']))}{_for_each_trial(document)}",
        f"space: {', '.join(ranges)}",
        f"trials: {trials['total']} in {trials['rounds']} rounds of {trials['per_round']}",
        f"at most about {duration(estimate['seconds'])} and {size(estimate['bytes'])} of disk",
        "nothing was written",
    ]
    return "\n".join(lines)


def _totals(summary: Summary) -> list[str]:
    trials = summary.document["trials"]
    counts = ", ".join(f"{count} {state}" for state, count in trials.items() if count)
    early = summary.document["stopped"]
    ended = "" if early is None else f" ({ENDED[early]})"
    return [f"trials: {counts}, in {summary.document['seconds']:.1f} s{ended}"]


def _next_commands(summary: Summary, arguments: Sequence[str]) -> list[str]:
    trials = sum(summary.document["trials"].values()) + summary.document["rounds"][0]["trials"]
    url = summary.document["storage"]
    where = "" if url == "sqlite:///hpo.db" else f" --storage {shlex.quote(url)}"
    return [
        "next:",
        f"  {_with_trials(arguments, trials)}",
        f"  hpo report {shlex.quote(summary.document['study'])}{where}",
    ]


def _with_trials(arguments: Sequence[str], trials: int) -> str:
    """The command that was typed, with another total."""
    kept: list[str] = []
    for place, argument in enumerate(map(hidden, arguments)):
        is_value = place > 0 and arguments[place - 1] == "--trials"
        if not (is_value or argument == "--trials" or argument.startswith("--trials=")):
            kept.append(argument)
    return shlex.join(["hpo", *kept, "--trials", str(trials)])
