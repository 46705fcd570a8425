"""How far to go along what a stage has learnt (Friedman 2001, algorithm 1, line 5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensembles.boosting_losses import BoostingLoss
from ensembles.losses import Values

MOST_STEPS = 200

FLAT = 1e-10
"""The search ends where the slope is this share of what it was at the start."""

NO_STEP = 1e-14
"""Or where a step is this share of the factor."""


class Slope(NamedTuple):
    """The first and the second derivative of the loss along the line."""

    first: float
    second: float


def line_search(
    loss: BoostingLoss,
    y: NDArray[Any],
    scores: Values,
    direction: Values,
    weights: Values,
    max_step: float = math.inf,
) -> float:
    """The factor of ``direction`` with the least loss, below 0 if one must go back.

    Parameters
    ----------
    y : (rows,)
    scores, direction : (rows, outputs), finite
    weights : (rows,), not negative
    max_step : no score may change by more than this

    The loss is convex, so that the sign of its slope tells on which side the minimum is. Where it
    falls without end, as it does along a direction that tells all classes apart, the search ends
    at ``max_step``, or where the slope has become `FLAT`.
    """
    largest = float(np.abs(direction).max(initial=0.0))
    if largest == 0:
        return 0.0
    forward = _slope(loss, y, scores, direction, weights, 0.0)
    sign = -math.copysign(1.0, forward.first)

    def slope(factor: float) -> Slope:
        return _slope(loss, y, scores, sign * direction, weights, factor)

    return sign * safe_newton(slope, max_step / largest)


def _slope(
    loss: BoostingLoss,
    y: NDArray[Any],
    scores: Values,
    direction: Values,
    weights: Values,
    factor: float,
) -> Slope:
    there = scores + factor * direction
    falling = (loss.negative_gradient(y, there) * direction).sum(axis=1)
    return Slope(-float(weights @ falling), float(weights @ loss.curvature(there, direction)))


def safe_newton(slope: Callable[[float], Slope], limit: float) -> float:
    """Where between 0 and ``limit`` a convex function is least that falls at 0.

    Newton's method for a zero of the slope, between a factor where the function still falls and one
    where it rises; a step that would leave them is replaced by one to their middle. A parabola
    takes one step.
    """
    falls, rises, factor = 0.0, math.inf, 0.0
    here = start = slope(0.0)
    for _ in range(MOST_STEPS):
        if abs(here.first) <= FLAT * abs(start.first):
            return factor
        if here.first < 0:
            falls = factor
        else:
            rises = factor
        if falls >= limit:
            return limit
        before = factor
        factor = factor - here.first / here.second if here.second > 0 else math.inf
        if factor >= rises or factor <= falls:
            factor = (falls + rises) / 2
        factor = min(factor, limit)
        if not math.isfinite(factor) or abs(factor - before) <= NO_STEP * factor:
            return before
        here = slope(factor)
    return falls
