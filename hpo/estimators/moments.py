"""Means, deviations and quantiles of columns whose rows may have weights, in double precision.

Rows are taken block by block, so that no copy in double precision stands beside single ones, and
column by column in units of about the largest number, so that no square is too large or too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Floats = NDArray[np.floating]

BLOCK = 4096
"""Rows that are converted at once."""

ROUNDING = 1e-12
"""A deviation that is this share of the mean, or less, is what rounding left of a constant."""


def moments(X: Floats, weights: Floats | None) -> tuple[Values, Values]:
    """Mean and standard deviation (columns,) of ``X`` (rows, columns) with ``weights`` (rows,).

    The deviation of a constant column is 0, whatever is left of it by rounding.
    """
    low, high = _doubles(X.min(axis=0)), _doubles(X.max(axis=0))
    units = powers_of_two(np.maximum(high, -low))
    if weights is not None:
        weights = weights / powers_of_two(weights.max())
    mean = _mean(lambda block: block / units, X, weights)
    square = _mean(lambda block: np.square(block / units - mean), X, weights)
    deviation = np.sqrt(square)
    deviation[(low == high) | (deviation <= ROUNDING * np.abs(mean))] = 0
    return mean * units, deviation * units


def _mean(of: Callable[[Floats], Values], X: Floats, weights: Floats | None) -> Values:
    """Weighted mean over the rows of ``of(block)`` (rows, columns)."""
    total = np.zeros(X.shape[1])
    for start in range(0, len(X), BLOCK):
        values = of(X[start : start + BLOCK])
        if weights is not None:
            values = values * weights[start : start + BLOCK, None]
        total += values.sum(axis=0)
    mean: Values = total / (len(X) if weights is None else weights.sum())
    return mean


def quantiles(X: Floats, weights: Floats | None, shares: Sequence[float]) -> Values:
    """Quantiles (shares, columns) of ``X`` (rows, columns) with ``weights`` (rows,).

    Between two rows they are linear, as `numpy.quantile` makes them. Weights that are whole
    numbers count equal rows; any others are divided by their mean, so that only their ratios
    matter.
    """
    weights = None if weights is None else _counts(weights)
    total = len(X) if weights is None else weights.sum()
    places = np.asarray(shares) * (total - 1)
    below = np.floor(places)
    ranks = np.concatenate([below, below + 1])
    low, high = np.split(_ordered(X, weights, ranks), 2)
    # In halves, because the difference of two large numbers may be too large.
    half: Values = low / 2 + (high / 2 - low / 2) * (places - below)[:, None]
    return 2 * half


def _counts(weights: Floats) -> Floats | None:
    """Weights as numbers of equal rows, None where every row is one."""
    if np.array_equal(weights, np.rint(weights)):
        return weights
    if (weights == weights[0]).all():
        return None
    counts: Floats = weights / weights.mean()
    return counts


def _ordered(X: Floats, counts: Floats | None, ranks: Values) -> Values:
    """The numbers of each column that have ``ranks`` from 0, (ranks, columns)."""
    if counts is None:
        places = np.minimum(ranks, len(X) - 1).astype(np.intp)
        return _doubles(np.partition(X, np.unique(places), axis=0)[places])
    found = np.empty((len(ranks), X.shape[1]))
    for column in range(X.shape[1]):
        order = np.argsort(X[:, column], kind="stable")
        # A row stands at all ranks from the sum before it to the sum with it.
        places = np.searchsorted(np.cumsum(counts[order]), ranks, side="right")
        found[:, column] = X[order[np.minimum(places, len(X) - 1)], column]
    return found


def powers_of_two(numbers: Floats) -> Values:
    """A power of two of about the size of each number; to divide by it rounds nothing."""
    powers: Values = np.ldexp(1.0, np.frexp(numbers)[1] - 1)
    return powers


def _doubles(values: Floats) -> Values:
    return values.astype(np.float64)
