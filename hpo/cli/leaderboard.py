"""``hpo leaderboard``: the trials of a study, best first, and its ensembles."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.options import WholeNumber, storage_option, study_argument
from hpo.cli.printing import emit, plain, room, wrapped

if TYPE_CHECKING:
    from hpo.cli.tables import Column, Value
    from hpo.leaderboard import Entry, Leaderboard


@click.command(short_help="The trials and ensembles of a study, best first.")
@study_argument
@storage_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "md"]),
    default="table",
    show_default=True,
    help="How it is written.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--top", type=WholeNumber(1), metavar="N", help="The best N. Default: all.")
def leaderboard(study: str | None, storage: str, form: str, as_json: bool, top: int | None) -> None:
    """Show the trials of STUDY, best first and failed ones last.

    \b
    Example:
      hpo leaderboard digits --top 10
      hpo leaderboard digits --format csv > digits.csv

    The gap is the score on the training rows less that on the validation rows, or over the folds of
    --cv. Nothing is written, so it can be asked while searches run. STUDY may be left out where
    there is only one.
    """
    from hpo.cli.tables import csv_table, markdown_table
    from hpo.leaderboard import read_leaderboard
    from storage.reader import opened
    from storage.urls import masked

    with opened(storage) as reader:
        board = reader.read(lambda connection: read_leaderboard(connection, study))
    if as_json or form == "json":
        emit(json.dumps(board.document(masked(storage), top), allow_nan=False))
    elif form == "csv":
        emit(csv_table(_columns(board, board.best(top), full=True)).rstrip("\n"))
    elif form == "md":
        emit(markdown_table(_columns(board, board.best(top), full=True)).rstrip("\n"))
    else:
        emit("\n".join(_screen(board, top)))


def _screen(board: Leaderboard, top: int | None) -> list[str]:
    from hpo.cli.tables import text_table

    width = room()
    best = board.best(top)
    lines = wrapped(_head(board), width)
    listed = [entry for entry in best if entry.state != "failed"]
    if listed:
        table, hidden = text_table(_columns(board, listed, full=False), width)
        lines += ["", *table]
        if hidden:
            lines += wrapped([f"no room for {', '.join(hidden)}: --format csv has all"], width)
    failed = [entry for entry in best if entry.state == "failed"]
    if failed:
        lines += ["", "failed:"]
        lines += wrapped((f"  {plain(_failure(entry))}" for entry in failed), width)
    left = len(board.entries) - len(best)
    if left:
        lines += ["", f"and {left} more trials" if left > 1 else "and 1 more trial"]
    return lines + wrapped(_ensembles(board), width)


def _head(board: Leaderboard) -> list[str]:
    counts = ", ".join(f"{count} {state}" for state, count in _ordered(board))
    lines = [f"{plain(board.study)}: {counts or 'no trials yet'}"]
    if board.network is not None:
        layers = "-".join(map(str, board.network))
        each = "" if board.cv is None else f", {board.cv} for each trial"
        lines.append(f"networks {layers}, {board.weights:,} weights each{each}")
    return lines


def _ensembles(board: Leaderboard) -> list[str]:
    """A line for each ensemble, with the score that it promises."""
    from hpo.cli.words import metric_word, plus_minus, size

    if not board.ensembles:
        return []
    metric = metric_word(board.metric)
    lines = ["", "ensembles:"]
    for each in board.ensembles:
        record, members = each.record, each.record["members"]
        expected, error = record["expected"], record["expected_se"]
        promised = ""
        if expected is not None and error is not None:
            promised = f", expected {metric} {plus_minus(expected, error)}"
        count = sum(member["models"] for member in members)
        n_bytes = size(sum(member["bytes"] for member in members))
        of = f"{count} models" if count != 1 else "1 model"
        lines.append(f"  {plain(each.name)}: {record['method']} of {of}{promised}, {n_bytes}")
    return lines


def _ordered(board: Leaderboard) -> list[tuple[str, int]]:
    from hpo.leaderboard import STATES

    return [(state, board.counts[state]) for state in STATES.values() if board.counts.get(state)]


def _failure(entry: Entry) -> str:
    from hpo.cli.words import parameters

    point = f" ({parameters(entry.params)})" if entry.params else ""
    return f"trial {entry.number}{point}: {entry.reason}"


def scores_alike(values: Sequence[float | None]) -> Callable[[Value], str]:
    """How the scores of a column are written: all with three decimals, if these say enough."""
    largest = max((abs(each) for each in values if each is not None), default=0.0)
    form = ".3f" if 0.1 <= largest < 1000 else ".4g"

    def show(value: Value) -> str:
        if not isinstance(value, int | float):
            return "-"
        text = format(value, form)
        return text.lstrip("-") if text.strip("-0.") == "" else text  # no minus before a zero

    return show


def _whole(value: Value) -> str:
    return "-" if value is None else str(value)


def _seconds(value: Value) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "-"


def _parameter(value: Value) -> str:
    from hpo.cli.words import parameter

    return "-" if value is None else plain(parameter(value))


def _cost(entry: Entry, place: int) -> float | None:
    return entry.costs[place] if place < len(entry.costs) else None


def _columns(board: Leaderboard, entries: Sequence[Entry], *, full: bool) -> list[Column]:
    """The columns of a table; a ``full`` one names and holds all, whether there is room or not."""
    from hpo.cli.front import cost
    from hpo.cli.tables import Column
    from hpo.cli.words import metric_word, parameter_word, scored_word

    names = list(dict.fromkeys(name for entry in entries for name in entry.params))
    scores = scores_alike([each for entry in entries for each in (entry.validation, entry.train)])
    metric = metric_word(board.metric)

    def column(title: str, values: Sequence[Value], show: Any, weight: int) -> Column:
        return Column(title, values, show, weight=weight)

    columns = [
        column("rank", [each.rank for each in entries], _whole, 9),
        column("trial", [each.number for each in entries], _whole, 8),
        Column("state", [each.state for each in entries], right=False, weight=1),
        column(
            "validation" if full else f"{scored_word(board.cv)} {metric}",
            [each.validation for each in entries],
            scores,
            10,
        ),
        column("train", [each.train for each in entries], scores, 3),
        column("gap", [each.gap for each in entries], scores, 4),
        *(
            column(title, [_cost(each, place) for each in entries], show, 8)
            for place, name in enumerate(board.costs)
            for title, show in [cost(name)]
        ),
        column("seconds", [each.seconds for each in entries], _seconds, 2),
    ]
    if board.costs:
        fronts = ["yes" if each.on_front else None for each in entries]
        columns.insert(2, Column("pareto", fronts, right=False, weight=7))
    if full:
        columns.append(column("weights", [board.weights] * len(entries), _whole, 0))
    columns += [
        Column(
            name if full else parameter_word(name),
            [each.params.get(name) for each in entries],
            _parameter,
            weight=max(5, 7 - place),
            short=parameter_word(name).rpartition(" ")[2],
        )
        for place, name in enumerate(names)
    ]
    if full:
        reasons = [each.reason for each in entries]
        columns.append(Column("reason", reasons, right=False))
    # What no trial of this study has is no column of its table.
    return (
        columns if full else [each for each in columns if any(v is not None for v in each.values)]
    )
