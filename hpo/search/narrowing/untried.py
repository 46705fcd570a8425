"""Points that were not tried yet, of a space that has only so many."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from .box import Box, Choices
from .points import PLAIN, Point, Shape
from .scale import Numerical, Range
from .settings import NarrowingSettings

MOST_LISTED = 10_000
"""A space with more points than this hardly repeats one, and is not written out."""

_AGAIN = 4  # the streams before it are those of the points


def countable(distributions: Mapping[str, BaseDistribution]) -> bool:
    """Whether a space has so few points that chance repeats them."""
    sizes = [_size(distribution) for distribution in distributions.values()]
    return math.prod(sizes) <= MOST_LISTED


def without_repeats(
    points: Sequence[Point],
    numbers: Sequence[int],
    tried: Sequence[Point],
    distributions: Mapping[str, BaseDistribution],
    box: Box,
    settings: NarrowingSettings,
    shape: Shape = PLAIN,
) -> list[Point]:
    """Return the points of the trials ``numbers``, each that was ``tried`` replaced by another.

    Another one is drawn from what is left of the box, and where nothing is left there, of the whole
    space. The list ends where the whole space was tried. ``distributions`` must be `countable`.
    """
    seen = {_identity(each) for each in tried}
    found: list[Point] = []
    for number, proposed in zip(numbers, points, strict=True):
        chosen: Point | None = proposed
        if _identity(proposed) in seen:
            left = list(_left(distributions, box, shape, seen)) or list(
                _left(distributions, {}, shape, seen)
            )
            words = settings.seed, _AGAIN, number
            rng = np.random.Generator(np.random.PCG64(words))
            chosen = left[rng.integers(len(left))] if left else None
        if chosen is None:
            break
        seen.add(_identity(chosen))
        found.append(chosen)
    return found


def _identity(point: Point) -> frozenset[tuple[str, str]]:
    """What tells points apart; their texts, because True and 1 are two choices."""
    return frozenset((name, repr(value)) for name, value in point.items())


def _left(
    distributions: Mapping[str, BaseDistribution],
    box: Box,
    shape: Shape,
    seen: set[frozenset[tuple[str, str]]],
) -> Iterator[Point]:
    """Every point inside the box that was not seen, once."""
    axes = [_values(each, box.get(name)) for name, each in distributions.items()]
    known = set(seen)
    for values in itertools.product(*axes):
        point = shape.meaningful(dict(zip(distributions, values, strict=True)))
        if _identity(point) not in known:
            known.add(_identity(point))
            yield point


def _size(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, Numerical)
    if distribution.single():
        return 1
    if distribution.step is None:
        return math.inf
    return math.floor((distribution.high - distribution.low) / distribution.step) + 1


def _values(distribution: BaseDistribution, left: Range | Choices | None) -> list[object]:
    """Every value that is left of a parameter, in order."""
    if isinstance(distribution, CategoricalDistribution):
        return list(left.kept if isinstance(left, Choices) else distribution.choices)
    assert isinstance(distribution, Numerical)
    if distribution.step is None:
        return [distribution.low]
    low, high = left if isinstance(left, tuple) else (distribution.low, distribution.high)
    steps = range(int(_size(distribution)))
    grid = [distribution.low + distribution.step * each for each in steps]
    return [value for value in grid if low <= value <= high]
