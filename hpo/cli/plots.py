"""A curve drawn with characters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

POINT, BEYOND = "•", "×"

_HEIGHT = 7


def rough_curve(x: Sequence[float], y: Sequence[float | None], top: float, width: int) -> list[str]:
    """The lines of a plot of ``y`` over ``x``, which is on a logarithmic scale, evenly spaced.

    Heights go from 0 to ``top``; what is above, or None, is a cross on the top line. No line is
    longer than ``width``; in less than 30 columns nothing is drawn.
    """
    label = f"{top:.3g}"
    room = width - len(label) - 3
    if width < 30:
        return []
    step = max(1, min(2, room // len(x)))
    shown = range(len(x)) if len(x) * step <= room else range(0, len(x), -(-len(x) // room))
    grid = [[" "] * (len(shown) * step) for _ in range(_HEIGHT)]
    for place, i in enumerate(shown):
        value = y[i]
        if value is None or value > top:
            grid[0][place * step] = BEYOND
        else:
            grid[_HEIGHT - 1 - round(value / top * (_HEIGHT - 1))][place * step] = POINT
    sides = [label, *[""] * (_HEIGHT - 2), "0"]
    lines = [
        f"{side:>{len(label)}} │{''.join(cells)}".rstrip()
        for side, cells in zip(sides, grid, strict=True)
    ]
    axis = [" "] * (len(shown) * step + 8)
    for place, i in enumerate(shown):
        if (power := _power(x, i)) is not None:
            text = f"1e{power:+03d}"
            start = place * step
            if all(cell == " " for cell in axis[max(0, start - 1) : start + len(text)]):
                axis[start : start + len(text)] = text
    return [*lines, f"{' ' * len(label)}  {''.join(axis)}"[:width].rstrip()]


def _power(x: Sequence[float], i: int) -> int | None:
    """The power of ten that the i-th point is the nearest to, if it is one."""
    power = round(math.log10(x[i]))
    distances = [abs(math.log10(each) - power) for each in x]
    return power if distances.index(min(distances)) == i else None
