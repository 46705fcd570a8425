"""What stdout shows at the end of a search."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from hpo.cli.front import front_lines
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

MOST_COLUMNS = 3
"""Parameters that the table of rounds has columns for."""


def result(summary: Summary, arguments: Sequence[str]) -> str:
    """The narrowing, the best trials, the winner, its test score, and what to type next.

    ``arguments`` are those that the command was given.
    """
    # A narrow terminal breaks lines by itself; a table squeezed into it would lose its numbers.
    width = max(80, Console().width)
    console = Console(
        file=io.StringIO(),
        force_terminal=sys.stdout.isatty(),
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )
    document = summary.document
    console.print(f"{_head(document)}\n")
    console.print(_narrowing(summary), soft_wrap=False)
    console.print()
    front = front_lines(document)
    between = [*front, ""] if front else []
    for line in (*best_lines(summary), "", *between, *_winner(summary), *_totals(summary), ""):
        console.print(line)
    for line in _next_commands(summary, arguments):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


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


def best_lines(summary: Summary) -> list[str]:
    """``Best-1 (val acc: 0.983) | lr: 9.21e-03, weight decay: 4.59e-04`` and so on."""
    scored = _scored(summary.document)
    return [
        f"Best-{place} ({scored}: {score(trial.value or 0.0)}) | {parameters(trial.params)}"
        for place, trial in enumerate(summary.best, start=1)
    ]


def _narrowing(summary: Summary) -> Table:
    rounds = summary.document["rounds"]
    if len(rounds[0]["ranges"]) > MOST_COLUMNS:
        return _first_and_last(rounds)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("round", justify="right")
    table.add_column("trials", justify="right")
    for name in rounds[0]["ranges"]:
        table.add_column(name)
    table.add_column(f"best {_scored(summary.document)}", justify="right")
    for each in rounds:
        best = "-" if each["best"] is None else score(each["best"])
        ranges = map(searched, each["ranges"].values())
        table.add_row(str(each["round"] + 1), str(each["trials"]), *ranges, best)
    return table


def _first_and_last(rounds: Sequence[Mapping[str, Any]]) -> Table:
    """Where there are more parameters than columns, a line for each."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("parameter", "round 1", f"round {rounds[-1]['round'] + 1}"):
        table.add_column(title)
    for name, full in rounds[0]["ranges"].items():
        left = rounds[-1]["ranges"][name]
        table.add_row(name, searched(full), "the same" if left == full else searched(left))
    return table


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
    url = shlex.quote(summary.document["storage"])
    return [
        "next:",
        f"  {_with_trials(arguments, trials)}",
        f"  optuna-dashboard {url}   (pip install optuna-dashboard)",
    ]


def _with_trials(arguments: Sequence[str], trials: int) -> str:
    """The command that was typed, with another total."""
    kept: list[str] = []
    for place, argument in enumerate(map(hidden, arguments)):
        is_value = place > 0 and arguments[place - 1] == "--trials"
        if not (is_value or argument == "--trials" or argument.startswith("--trials=")):
            kept.append(argument)
    return shlex.join(["hpo", *kept, "--trials", str(trials)])
