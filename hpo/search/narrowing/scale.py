"""The scale on which a number is searched evenly: its own, or its logarithm, and the grid on it."""

import math
from collections.abc import Callable

from optuna.distributions import FloatDistribution, IntDistribution

Range = tuple[float, float]
Numerical = FloatDistribution | IntDistribution

# Fewer than a logarithm and back leave intact, enough to tell a grid value from its neighbourhood.
_GRID_DIGITS = 9


def to_coordinate(distribution: Numerical, value: float) -> float:
    """Return where a value stands on the scale that is searched evenly."""
    return math.log(value) if distribution.log else value


def to_value(distribution: Numerical, coordinate: float, outwards: Callable[[float], int]) -> float:
    """Return the value at a coordinate, on a grid the next one `outwards` (floor or ceil)."""
    value = math.exp(coordinate) if distribution.log else coordinate
    if distribution.step is not None:
        index = round((value - distribution.low) / distribution.step, _GRID_DIGITS)
        return on_grid(distribution, outwards(index))
    return min(max(value, distribution.low), distribution.high)


def on_grid(distribution: Numerical, index: int) -> float:
    """Return the value at an index of a grid, kept inside its range."""
    assert distribution.step is not None
    value = distribution.low + index * distribution.step
    return min(max(value, distribution.low), distribution.high)


def value_at(distribution: Numerical, box_range: Range, share: float) -> float:
    """Return the value below which `share` of the range lies, measured on the searched scale."""
    if distribution.step is not None:
        return _grid_value(distribution, box_range, share)
    low, high = (to_coordinate(distribution, end) for end in box_range)
    # Not low + share * (high - low), whose width overflows; nor above high, whose exp may do so.
    value = min(low * (1 - share) + high * share, high)
    if distribution.log:
        value = math.exp(value)
    return min(max(value, box_range[0]), box_range[1])


def _grid_value(distribution: Numerical, box_range: Range, share: float) -> float:
    """Return the grid value in whose cell, half a step to both sides, `share` of the range falls.

    So all values are equally likely on a linear grid, also the two at the ends.
    """
    assert distribution.step is not None
    first, last = (round((end - distribution.low) / distribution.step) for end in box_range)
    if not distribution.log:
        return on_grid(distribution, min(first + int(share * (last - first + 1)), last))
    low, high = math.log(box_range[0] - 0.5), math.log(box_range[1] + 0.5)
    index = round(math.exp(low * (1 - share) + high * share) - distribution.low)
    return on_grid(distribution, min(max(index, first), last))
