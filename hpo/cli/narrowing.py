"""How the ranges narrowed round by round, as tables that fit a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from hpo.cli.tables import Column, text_table
from hpo.cli.words import score, searched

MOST_COLUMNS = 3
"""Parameters that the table of rounds has columns for."""


def narrowing_lines(
    rounds: Sequence[Mapping[str, Any]], title: str, width: int | None
) -> list[str]:
    """The ranges of each round; of many parameters those of the first round and the last.

    ``title`` is that of the best scores. Where a table is wider than ``width``, each parameter has
    one of its own.
    """
    if len(rounds[0]["ranges"]) > MOST_COLUMNS:
        return _first_and_last(rounds, width)
    numbers = Column("round", [each["round"] + 1 for each in rounds])
    trials = Column("trials", [each["trials"] for each in rounds])
    best = Column(title, [each["best"] for each in rounds], _score)
    ranges = [
        Column(name, [searched(each["ranges"][name]) for each in rounds], right=False)
        for name in rounds[0]["ranges"]
    ]
    whole, _ = text_table([numbers, trials, *ranges, best], None)
    if _fits(whole, width):
        return whole
    lines, _ = text_table([numbers, trials, best], None)
    for each in ranges:
        lines += ["", *text_table([numbers, each], None)[0]]
    return lines


def _first_and_last(rounds: Sequence[Mapping[str, Any]], width: int | None) -> list[str]:
    """Where there are more parameters than columns, a line for each."""
    first, last = rounds[0]["ranges"], rounds[-1]["ranges"]
    began, ended = "round 1", f"round {rounds[-1]['round'] + 1}"
    left = {
        name: "the same" if last[name] == full else searched(last[name])
        for name, full in first.items()
    }
    full = {name: searched(each) for name, each in first.items()}
    columns = [
        Column("parameter", list(full), right=False),
        Column(began, list(full.values()), right=False),
        Column(ended, list(left.values()), right=False),
    ]
    whole, _ = text_table(columns, None)
    if _fits(whole, width):
        return whole
    size = max(len(began), len(ended))
    return [
        line
        for name in full
        for line in (
            name,
            f"  {began.rjust(size)}  {full[name]}",
            f"  {ended.rjust(size)}  {left[name]}",
        )
    ]


def _fits(lines: Sequence[str], width: int | None) -> bool:
    return width is None or max(map(cell_len, lines)) <= width


def _score(value: Any) -> str:
    return "-" if value is None else score(value)
