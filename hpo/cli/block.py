"""How far a search is, as a block of lines for a terminal of any width, or as one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from hpo.cli.bars import Glyphs, bar, is_number
from hpo.cli.packing import packed
from hpo.cli.printing import plain
from hpo.cli.standing import Standing
from hpo.cli.words import (
    metric_word,
    parameter,
    parameters,
    plus_minus,
    score,
    scored_word,
    searched,
)

MOST_CELLS = 32
LEAST_CELLS = 8
"""Between these is how wide a bar is; when there is no room, other columns are left out."""

MOST_PARAMETERS = 3
"""Of the best trial's parameters the one line has room for so many."""


class Passing(NamedTuple):
    """What is true at the moment only, and gone once the search has ended.

    ``left`` is how long it still takes; ``again`` is what is trained after the search.
    """

    left: str = ""
    again: Sequence[str] = ()


ENDED = Passing()


def line(standing: Standing, passing: Passing = ENDED) -> str:
    """Everything but the ranges in one line."""
    best = standing.best
    found = [] if best is None else [parameters(best.params, MOST_PARAMETERS)]
    parts = [*_head(standing), _best(standing), *found, *passing.again, passing.left]
    return plain(", ".join(filter(None, parts)))


def block(
    standing: Standing, passing: Passing, width: int, height: int, glyphs: Glyphs
) -> list[Text]:
    """The lines, none wider than ``width`` cells and never more than ``height``."""
    left = [passing.left] if passing.left else []
    now, after = ([], left) if passing.again else (left, [])
    head = packed([*_head(standing), *now], width)
    winner = [each.replace("±", glyphs.plus_minus) for each in _chosen(standing)]
    groups = ([_best(standing)], [*passing.again, *after], winner)
    end = [each for parts in groups for each in packed(parts, width)]
    rows = _rows(standing, width, max(0, height - len(head) - len(end)), glyphs)
    lines = [*(Text(each, style="bold") for each in head), *rows, *map(Text, end)]
    return lines[:height]


def _head(standing: Standing) -> list[str]:
    counts = {"pruned": standing.pruned, "failed": standing.failed}
    return [
        f"{standing.study}: round {standing.index + 1}/{standing.rounds}",
        f"{standing.finished}/{standing.total} trials",
        *(f"{count} {name}" for name, count in counts.items() if count),
    ]


def _best(standing: Standing) -> str:
    if standing.best is None:
        return "no score yet"
    return f"best {_scored(standing)} {score(standing.best.value)} (trial {standing.best.number})"


def _scored(standing: Standing) -> str:
    return f"{scored_word(standing.cv)} {metric_word(standing.metric)}"


def _chosen(standing: Standing) -> list[str]:
    """The winner, if it is chosen."""
    chosen = standing.chosen
    if chosen is None:
        return []
    candidates = chosen.record["candidates"]
    said = [f"winner: trial {chosen.number}"]
    if candidates:
        said[0] += f" of the best {len(candidates)}"
    for each in candidates:
        if each["trial"] == chosen.number:
            value, error = each["value"], each["standard_error"]
            found = score(value) if error is None else plus_minus(value, error)
            said.append(f"{_scored(standing)} {found} trained again")
    if chosen.refit:
        said.append(f"refitted on {chosen.record['refit']} rows")
    return said


class _Row(NamedTuple):
    """A parameter: its name, how much of its range is left, and the best trial's value."""

    name: str
    left: str
    best: str


class _Widths(NamedTuple):
    """Cells of the columns; 0 for one that there is no room for."""

    name: int
    bar: int
    left: int
    best: int


def _rows(standing: Standing, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """A line for each parameter under one of titles; no more than ``height``."""
    if not standing.ranges or height < 2:
        return []
    rows = {name: _row(standing, name) for name in standing.ranges}
    widths = _widths([*rows.values(), _Row("", "searched now", "best")], width)
    names = list(rows)
    if len(names) > height - 1:
        names = names[: max(0, height - 2)]
    lines = [_titles(widths, has_best=standing.best is not None)]
    for name in names:
        middle = _middle(standing, name, widths.bar, glyphs)
        lines.append(_joined(rows[name], middle, widths, glyphs))
    if hidden := len(rows) - len(names):
        more = f"and {hidden} more parameters"
        lines.append(Text(more if len(more) <= width else f"+{hidden}"[:width], style="dim"))
    return lines


def _row(standing: Standing, name: str) -> _Row:
    left, params = standing.ranges[name], standing.best.params if standing.best else {}
    best = plain(parameter(params[name])) if name in params else "-"
    if not isinstance(left, dict):
        return _Row(name, searched(left), best)
    full = len(getattr(standing.space[name], "choices", left["choices"]))
    count = len(left["choices"])
    return _Row(name, "fixed" if full == 1 else f"{count} of {full}", best)


def _widths(rows: Iterable[_Row], width: int) -> _Widths:
    """Bars give way first, then what is left of the ranges, the best values, and names."""
    name, left, best = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
    for has_left, has_best in ((1, 1), (0, 1), (0, 0)):
        taken = name + 1 + has_left * (left + 1) + has_best * (best + 1 + has_left)
        if (cells := width - taken) >= LEAST_CELLS:
            return _Widths(name, min(MOST_CELLS, cells), has_left * left, has_best * best)
    cells = min(LEAST_CELLS, max(1, width // 2))
    return _Widths(max(0, width - cells - 1), cells, 0, 0)


def _titles(widths: _Widths, *, has_best: bool) -> Text:
    titles = [
        " " * widths.name,
        _fitted("searched now" if widths.bar >= 12 else "now", widths.bar, ""),
    ]
    if widths.left:
        titles += [" " * widths.left]
    if widths.best:
        titles.append(f"{' ' if widths.left else ''}{'best' if has_best else ''}")
    return Text(" ".join(titles).rstrip(), style="dim")


def _joined(row: _Row, middle: Text, widths: _Widths, glyphs: Glyphs) -> Text:
    text = Text(_fitted(row.name, widths.name, glyphs.cut))
    text.append(" ").append_text(middle)
    if widths.left:
        text.append(f" {_fitted(row.left, widths.left, glyphs.cut)}")
    if widths.best:
        text.append(f"{'  ' if widths.left else ' '}{row.best}")
    text.rstrip()
    return text


def _middle(standing: Standing, name: str, cells: int, glyphs: Glyphs) -> Text:
    """The bar of a range, or the choices that are left."""
    left, distribution = standing.ranges[name], standing.space[name]
    if isinstance(left, dict) or not is_number(distribution):
        return Text(_fitted(plain(searched(left)), cells, glyphs.cut), style="cyan")
    best: Any = standing.best.params.get(name) if standing.best else None
    found = bar(distribution, left[0], left[1], cells, best)
    text = Text()
    for cell in range(cells):
        if cell == found.best:
            text.append(glyphs.best, style="bold")
        elif found.first <= cell < found.last:
            text.append(glyphs.inside, style="cyan")
        else:
            text.append(glyphs.outside, style="dim")
    return text


def _fitted(text: str, cells: int, cut: str) -> str:
    """``text`` in so many cells, filled with blanks or cut off."""
    if cell_len(text) <= cells or not cut:
        return set_cell_size(text, cells)
    return set_cell_size(text, max(0, cells - 1)) + cut[:cells]
