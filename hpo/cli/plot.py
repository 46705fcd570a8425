"""Curves as a picture of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

Curve = tuple[str, Sequence[float | None]]
"""A character to draw with, and a value for each epoch, None where there is none."""

LOG_FROM = 20.0
"""Values that are further apart than so many times are drawn by their logarithm."""


def plot(curves: Sequence[Curve], width: int, height: int) -> list[str]:
    """``height`` lines and one below them, in which epochs stand; later curves lie on top.

    The highest and the lowest value stand at the left, the first and the last epoch below. A cell
    shows the epoch that is nearest to it.
    """
    values = [each for _, curve in curves for each in curve if each is not None]
    epochs = max((len(curve) for _, curve in curves), default=0)
    if not values:
        return []
    low, high = min(values), max(values)
    labels = [f"{high:.3g}" if high > low else "", f"{low:.3g}"]
    margin = max(map(len, labels))
    cells = max(2, width - margin - 2)
    scale = math.log if low > 0 and high / low > LOG_FROM else float
    grid = [[" "] * cells for _ in range(height)]
    for mark, curve in curves:
        for place in range(cells):
            value = _nearest(curve, place, cells, epochs)
            if value is not None:
                grid[_line(scale(value), scale(low), scale(high), height)][place] = mark
    left = [labels[0], *[""] * (height - 2), labels[1]]
    lines = [f"{label:>{margin}} ┤{''.join(row)}" for label, row in zip(left, grid, strict=True)]
    return [each.rstrip() for each in [*lines, _axis(margin, cells, epochs)]]


def _nearest(curve: Sequence[float | None], place: int, cells: int, epochs: int) -> float | None:
    epoch = round(place * (epochs - 1) / (cells - 1))
    return curve[epoch] if epoch < len(curve) else None


def _line(value: float, low: float, high: float, height: int) -> int:
    """The line of a value, 0 the highest."""
    share = (high - value) / (high - low) if high > low else 1.0
    return min(height - 1, round(share * (height - 1)))


def _axis(margin: int, cells: int, epochs: int) -> str:
    first, last = "epoch 1", str(epochs)
    if epochs == 1:
        last = ""
    return " " * (margin + 2) + first + last.rjust(max(len(last) + 1, cells - len(first)))
