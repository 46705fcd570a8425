"""Tables of plain text, CSV and Markdown.

Laid out here and not by Rich, which takes seconds for ten thousand rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from hpo.cli.printing import plain

_GAP = "  "
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Value = str | float | None


@dataclass(frozen=True)
class Column:
    """A column and what stands in it. Text stands left, numbers right.

    When there is no room, first the title becomes the ``short`` one, then text is cut to
    ``shortest`` cells, of a ``path`` the beginning, then the column with the lowest ``weight`` is
    left out.
    """

    title: str
    values: Sequence[Value]
    show: Callable[[Value], str] = lambda value: "-" if value is None else plain(str(value))
    right: bool = True
    weight: int = 0
    short: str | None = None
    shortest: int | None = None
    path: bool = False


def text_table(columns: Sequence[Column], width: int | None) -> tuple[list[str], list[str]]:
    """The lines of a table, the head first, and the titles that there was no room for."""
    laid = [[column.title, *map(column.show, column.values)] for column in columns]
    sizes = [max(map(_cells, cells)) for cells in laid]
    if width is not None and _total(sizes) > width:
        for column, cells in zip(columns, laid, strict=True):
            cells[0] = column.short or column.title
        sizes = _make_room(columns, [max(map(_cells, cells)) for cells in laid], width)
    shown = [
        [_fitted(cell, size, column) for cell in cells]
        for column, cells, size in zip(columns, laid, sizes, strict=True)
        if size
    ]
    hidden = [column.title for column, size in zip(columns, sizes, strict=True) if not size]
    return [_GAP.join(row).rstrip() for row in zip(*shown, strict=True)], hidden


def _make_room(columns: Sequence[Column], sizes: Sequence[int], width: int) -> list[int]:
    """The sizes with which the columns fit, 0 for those that are left out."""
    least = [min(size, each.shortest or size) for each, size in zip(columns, sizes, strict=True)]
    kept = sorted(range(len(columns)), key=lambda place: -columns[place].weight)
    while len(kept) > 1 and _total([least[place] for place in kept]) > width:
        kept.pop()
    excess = _total([sizes[place] for place in kept]) - width
    made = [0] * len(columns)
    for place in reversed(kept):
        cut = min(max(0, excess), sizes[place] - least[place])
        made[place] = sizes[place] - cut
        excess -= cut
    return made


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(_GAP) * (len(sizes) - 1)


def csv_table(columns: Sequence[Column]) -> str:
    """Comma-separated values with a head: numbers in full, nothing for what is not there."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([harmless(column.title) for column in columns])
    writer.writerows(zip(*([_raw(each) for each in c.values] for c in columns), strict=True))
    return text.getvalue()


def markdown_table(columns: Sequence[Column]) -> str:
    """A table of Markdown, rounded as on the screen; columns with nothing in them are left out."""
    filled = [column for column in columns if any(each is not None for each in column.values)]
    rows = [
        [_marked(column.title) for column in filled],
        ["---:" if column.right else "---" for column in filled],
        *map(list, zip(*map(_marked_cells, filled), strict=True)),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def harmless(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _raw(value: Value) -> str:
    if value is None:
        return ""
    return harmless(value) if isinstance(value, str) else repr(value)


def _marked_cells(column: Column) -> list[str]:
    return [
        "" if each is None else _marked(each) if isinstance(each, str) else column.show(each)
        for each in column.values
    ]


def _marked(text: str) -> str:
    return plain(harmless(text)).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _fitted(text: str, size: int, column: Column) -> str:
    if text.isascii() and len(text) <= size:
        return text.rjust(size) if column.right else text.ljust(size)
    if cell_len(text) > size:
        if not column.path:
            return set_cell_size(text, size - 1) + "…"
        return "…" + set_cell_size(text[::-1], size - 1)[::-1]
    blank = " " * (size - cell_len(text))
    return blank + text if column.right else text + blank
