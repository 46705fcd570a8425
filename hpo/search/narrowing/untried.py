"""Points that were not tried yet, of a space that has only so many."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from .box import Box, Choices
from .points import PLAIN, Point, Shape, given_to, key
from .scale import Numerical, Range, on_grid
from .settings import NarrowingSettings

T = TypeVar("T")

MOST_LISTED = 10_000
"""A space with more points than this hardly repeats one, and is not written out."""

_QUICK = 16
_AGAIN = 4  # the streams before it are those of the points


def countable(distributions: Mapping[str, BaseDistribution]) -> bool:
    """Whether a space has so few points that chance repeats them."""
    sizes = [size_of(distribution) for distribution in distributions.values()]
    return math.prod(sizes) <= MOST_LISTED


def without_repeats(
    points: Sequence[Point],
    numbers: Sequence[int],
    tried: Iterable[Point],
    distributions: Mapping[str, BaseDistribution],
    box: Box,
    settings: NarrowingSettings,
    shape: Shape = PLAIN,
    given: Sequence[Point] = (),
) -> list[Point]:
    """Return the points of the trials ``numbers``, each that was ``tried`` replaced by another.

    Another one is drawn from what is left of the box, and where nothing is left there, of the whole
    space. The list ends where the whole space was tried. ``distributions`` must be `countable`.

    What is ``given`` to a trial, as in `place`, stays: only what was drawn beside it is replaced,
    and a point that can be no other one is tried again, as the user asks.
    """
    if settings.repeats:
        return list(points)
    untried = _Untried(distributions, shape, {_identity(each) for each in tried})
    found: list[Point] = []
    for number, proposed in zip(numbers, points, strict=True):
        chosen: Point | None = proposed
        if _identity(proposed) in untried.seen:
            asked = given_to(number, given)
            rng = generator(settings, number)
            chosen = untried.draw(rng, box, asked) or untried.draw(rng, {}, asked)
            if chosen is None and asked:
                chosen = proposed
        if chosen is None:
            break
        untried.seen.add(_identity(chosen))
        found.append(chosen)
    return found


def generator(settings: NarrowingSettings, number: int, name: str = "") -> np.random.Generator:
    """Return what draws another point, or another value of the parameter ``name``, of a trial."""
    words = settings.seed, _AGAIN, number, *([key(name)] if name else [])
    return np.random.Generator(np.random.PCG64(words))


def pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    """Return one of the values."""
    return values[int(rng.integers(len(values)))]


Identity = frozenset[tuple[str, str]]
"""What tells points apart; their texts, because True and 1 are two choices."""


def _identity(point: Point) -> Identity:
    return frozenset((name, repr(value)) for name, value in point.items())


@dataclass
class _Untried:
    """The points of a space that were not ``seen``."""

    distributions: Mapping[str, BaseDistribution]
    shape: Shape
    seen: set[Identity]
    _listed: dict[tuple[bool, Identity], dict[Identity, Point]] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, box: Box, asked: Point) -> Point | None:
        """Return a point of a box that has the values asked for; None if all were seen.

        The box must be the same whenever one is given.
        """
        axes = self._axes(box, asked)
        # As long as many are left there is no need to write them all out.
        for _ in range(_QUICK):
            point = self._point([pick(rng, axis) for axis in axes])
            if _identity(point) not in self.seen:
                return point
        which = bool(box), _identity(asked)
        if which not in self._listed:
            self._listed[which] = dict(self._all(axes))
        left = [each for name, each in self._listed[which].items() if name not in self.seen]
        return pick(rng, left) if left else None

    def _axes(self, box: Box, asked: Point) -> list[list[object]]:
        return [
            [asked[name]] if name in asked else values_of(distribution, box.get(name))
            for name, distribution in self.distributions.items()
        ]

    def _point(self, values: Sequence[object]) -> Point:
        return self.shape.meaningful(dict(zip(self.distributions, values, strict=True)))

    def _all(self, axes: list[list[object]]) -> Iterator[tuple[Identity, Point]]:
        # To write a value takes longer than all else that is done for a point.
        words = [
            [(name, repr(value)) for value in axis]
            for name, axis in zip(self.distributions, axes, strict=True)
        ]
        for values, texts in zip(product(*axes), product(*words), strict=True):
            point = self._point(values)
            yield frozenset(text for text in texts if text[0] in point), point


def size_of(distribution: BaseDistribution) -> float:
    """Return how many values a parameter has; infinite for a range without a grid."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, Numerical)
    if distribution.single():
        return 1
    if distribution.step is None:
        return math.inf
    return round((distribution.high - distribution.low) / distribution.step) + 1


def values_of(distribution: BaseDistribution, left: Range | Choices | None) -> list[object]:
    """Return every value that is left of a parameter, in order; there must be so many."""
    if isinstance(distribution, CategoricalDistribution):
        return list(left.kept if isinstance(left, Choices) else distribution.choices)
    assert isinstance(distribution, Numerical)
    if distribution.step is None:
        return [distribution.low]
    ends = left if isinstance(left, tuple) else (distribution.low, distribution.high)
    first, last = (round((end - distribution.low) / distribution.step) for end in ends)
    return [on_grid(distribution, index) for index in range(first, last + 1)]
