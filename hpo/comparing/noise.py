"""Whether a difference is larger than the noise between seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

LEVEL = 0.05
"""How often a difference that is none may be taken for one."""


class Difference(NamedTuple):
    """The mean difference of pairs, its standard error, and how likely chance alone gives it.

    The last two are None for one pair, which says nothing about noise.
    """

    mean: float
    standard_error: float | None
    p: float | None


def paired(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Student's t test of ``values - baseline``, pair by pair, two-sided (Student 1908).

    The networks of a pair have the same seed, so what the seed does to both is no noise.
    """
    differences = np.subtract(values, baseline)
    n, mean = len(differences), float(np.mean(differences))
    if n < 2:
        return Difference(mean, None, None)
    error = float(np.std(differences, ddof=1) / np.sqrt(n))
    if error == 0:
        return Difference(mean, error, 0.0 if mean else 1.0)
    return Difference(mean, error, float(2 * stdtr(n - 1, -abs(mean) / error)))


def holm(ps: Sequence[float]) -> list[float]:
    """The p values of several tests, as large as they must be when there are so many (Holm 1979).

    Below `LEVEL` they reject so that hardly ever a single true hypothesis is among those rejected.
    """
    order = np.argsort(ps, kind="stable")
    factors = len(ps) - np.arange(len(ps))
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.asarray(ps)[order] * factors))
    return [float(each) for each in adjusted]
