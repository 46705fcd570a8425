"""What ``hpo check`` shows: a line for each finding, the worst first, and a rough curve."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from hpo.checking.finding import LEVELS
from hpo.cli.plots import rough_curve
from hpo.cli.printing import plain, wrapped

_COLOURS = {"ok": "green", "note": "blue", "warning": "yellow", "problem": "red"}
_INDENT = 2 + max(map(len, LEVELS)) + 2
_WIDEST_PLOT = 80


def check_lines(document: Mapping[str, Any], width: int | None) -> list[str]:
    """Findings of the data, then of the network, then their number."""
    rows, network = document["rows"], document["network"]
    head = (
        f"{plain(document['name'])}: {document['task']}, {rows['train']} training, "
        f"{rows['validation']} validation and {rows['test']} test rows"
    )
    lines = [*wrapped([head], width), "", "data"]
    lines += _findings(document["findings"]["data"], width)
    if network is not None:
        sizes = "-".join(map(str, network))
        lines += ["", f"network {sizes}", *_findings(document["findings"]["network"], width)]
        lines += ["", *_curve(document["curves"]["learning_rate_range"], width)]
    return [*lines, "", _total(document["counts"], document["seconds"])]


def _findings(found: Sequence[Mapping[str, Any]], width: int | None) -> Iterator[str]:
    for each in sorted(found, key=lambda each: -LEVELS.index(each["level"])):
        level, what = each["level"], plain(each["what"])
        text = f"{what}; {plain(each['advice'])}" if each["advice"] else what
        first, *others = [text] if width is None else _broken(text, max(20, width - _INDENT))
        yield f"  {_coloured(level)}{' ' * (_INDENT - 2 - len(level))}{first}"
        yield from (f"{' ' * _INDENT}{line}" for line in others)


def _broken(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _coloured(level: str) -> str:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return level
    return click.style(level, fg=_COLOURS[level], bold=level == "problem")


def _curve(report: Mapping[str, Any], width: int | None) -> list[str]:
    last = [loss[-1] for loss in report["loss"]]
    epochs = len(report["loss"][0])
    room = min(width or _WIDEST_PLOT, _WIDEST_PLOT)
    first = report["loss"][0][0]
    lines = rough_curve(report["learning_rate"], last, 1.25 * first, room - 2)
    if not lines:
        return []
    title = f"training loss after {epochs} epochs by learning rate (× diverged or higher)"
    return [*wrapped([title], width), *(f"  {line}" for line in lines)]


def _total(counts: Mapping[str, int], seconds: float) -> str:
    named = [
        f"{count} {level if level == 'ok' or count == 1 else f'{level}s'}"
        for level, count in counts.items()
        if count
    ]
    return f"{', '.join(named)}, in {seconds:.1f} s"
