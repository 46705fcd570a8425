"""Whether one contestant is behind another by more than chance makes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

LEVEL = 0.05


class Comparison(NamedTuple):
    """Paired differences of regrets, ours less theirs; below zero ours is the better.

    ``mean`` and its standard ``error`` are those of the data sets' mean differences, which all
    count alike. ``better`` and ``worse`` are how many data sets tell the two apart.
    """

    mean: float
    error: float
    better: int
    worse: int


def compare(
    ours: Sequence[NDArray[np.float64]], theirs: Sequence[NDArray[np.float64]]
) -> Comparison:
    """Compare two contestants.

    Wilcoxon's signed-rank test by data set, to each side, at 5 % over all data sets together (Holm
    1979, *A simple sequentially rejective multiple test procedure*).

    Parameters
    ----------
    ours, theirs
        For each data set the regrets of its runs, (runs,), in the same order.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    means = [each.mean() for each in differences]
    variances = [
        each.var(ddof=1) / len(each) if len(each) > 1 else math.nan for each in differences
    ]
    return Comparison(
        float(np.mean(means)),
        math.sqrt(sum(variances)) / len(differences),
        sum(holm([signed_rank(-each) for each in differences])),
        sum(holm([signed_rank(each) for each in differences])),
    )


def signed_rank(differences: NDArray[np.float64]) -> float:
    """How probable it is that differences are this far above zero by chance."""
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative="greater").pvalue)


def holm(probabilities: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses are rejected, if all together may be rejected wrongly at this level."""
    order = np.argsort(probabilities, kind="stable")
    rejected = [False] * len(order)
    for place, index in enumerate(order):
        if probabilities[index] > level / (len(order) - place):
            break
        rejected[index] = True
    return rejected
