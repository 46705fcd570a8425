"""A range inside the full range of its parameter, as characters of a terminal."""

from __future__ import annotations

import math
from typing import NamedTuple

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution


class Glyphs(NamedTuple):
    """What a bar is drawn of, what stands for text that was cut off, and before an error."""

    inside: str
    outside: str
    best: str
    cut: str
    plus_minus: str


UNICODE = Glyphs("█", "─", "◆", "…", "±")
ASCII = Glyphs("#", "-", "*", "~", "+-")


def glyphs(encoding: str | None) -> Glyphs:
    """Those that a terminal of this encoding can show."""
    try:
        "".join(UNICODE).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


class Bar(NamedTuple):
    """A bar of so many cells: ``first`` up to ``last`` lie inside; ``best`` is one, if any."""

    cells: int
    first: int
    last: int
    best: int | None = None


def is_number(distribution: BaseDistribution) -> bool:
    """Whether a parameter has a range, and not choices."""
    return isinstance(distribution, FloatDistribution | IntDistribution)


def bar(
    distribution: BaseDistribution,
    low: float,
    high: float,
    cells: int,
    best: float | None = None,
) -> Bar:
    """Where the range from ``low`` to ``high`` and the value ``best`` lie, in so many cells.

    Distances are those of the logarithm for a log range. However narrow, a range has a cell.
    """
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    scale = math.log if distribution.log else float
    start, width = scale(distribution.low), scale(distribution.high) - scale(distribution.low)
    if not width:  # a single value, or neighbouring ones with one logarithm
        return Bar(cells, 0, cells, None if best is None else cells // 2)

    def place(value: float) -> float:
        return (scale(value) - start) / width * cells

    first = min(round(place(low)), max(0, cells - 1))
    last = min(max(first + 1, round(place(high))), cells)
    if best is None or not distribution.low <= best <= distribution.high:
        return Bar(cells, first, last)
    cell = min(math.floor(place(best)), cells - 1)
    # Rounding must not show a value that was in the range outside of it.
    inside = low <= best <= high
    return Bar(cells, first, last, min(max(cell, first), last - 1) if inside else cell)
