"""What a cell of a text file is: missing, a number or a text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MISSING = frozenset(
    ("", "NA", "N/A", "#N/A", "NaN", "nan", "-nan", "null", "NULL", "None", "?"),
)
"""The cells, without spaces around them, that stand for no value."""


class Cell(NamedTuple):
    """A cell and the line on which its row begins."""

    line: int
    text: str


def numbers_of(cells: Sequence[str]) -> list[float]:
    """Return the numbers, NaN where missing; ValueError when a cell is a text."""
    if "_" in "".join(cells):  # 1_000 is a number to Python and to nobody else
        raise ValueError("underscore")
    try:
        return list(map(float, cells))
    except ValueError:
        return [math.nan if cell.strip() in MISSING else float(cell) for cell in cells]


def written(value: object) -> str:
    """Return what is no text as the user would write it; nothing for None."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


@dataclass
class ColumnScan:
    """What has been seen of a column; `look` adds to it.

    Attributes
    ----------
    has_number : whether any cell is a number
    first_text : the first cell that is neither a number nor missing
    first_infinite : the first number that is not finite, as `1e400`
    """

    has_number: bool = False
    first_text: Cell | None = None
    first_infinite: Cell | None = None

    def look(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Look at more cells, and the lines on which they stand."""
        if self.first_text is None and self._look_at_numbers(cells, lines):
            return
        if self.first_text is None or not self.has_number:
            self._look_at_texts(cells, lines)

    def _look_at_numbers(self, cells: Sequence[str], lines: Sequence[int]) -> bool:
        """Return whether no cell is a text."""
        try:
            numbers = numbers_of(cells)
        except ValueError:
            return False
        self.has_number = self.has_number or not all(map(math.isnan, numbers))
        if self.first_infinite is None and (math.inf in numbers or -math.inf in numbers):
            first = next(i for i, number in enumerate(numbers) if math.isinf(number))
            self.first_infinite = Cell(lines[first], cells[first])
        return True

    def _look_at_texts(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        for cell in dict.fromkeys(cells):
            if cell.strip() in MISSING:
                continue
            if _is_number(cell):
                self.has_number = True
            elif self.first_text is None:
                self.first_text = Cell(lines[cells.index(cell)], cell)


def _is_number(cell: str) -> bool:
    try:
        numbers_of((cell,))
    except ValueError:
        return False
    return True
