"""How differently members err, pair by pair (Kuncheva & Whitaker 2003, the pairwise measures).

Predictions have the members first, (members, rows): class indices, or values. Measures of classes
see of each prediction only whether it is right, so two members that are wrong in different ways
count as alike. Every measure is a symmetric matrix (members, members), NaN where it is 0 / 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values

ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Residuals that differ by less than this share of the numbers they come from are one constant."""


class Counts(NamedTuple):
    """Rows by who is right, (members, members) each: entry (i, k) compares member i with k."""

    both_right: Values
    first_only: Values
    second_only: Values
    both_wrong: Values


def disagreement(predictions: NDArray[Any], y: NDArray[Any]) -> Values:
    """The share of rows on which one is right and the other wrong, 0 to 1.

    Parameters
    ----------
    predictions : (members, rows) class indices
    y : (rows,) class indices

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are no rows.
    """
    counts = tally(predictions, y)
    share: Values = (counts.first_only + counts.second_only) / len(y)
    return share


def double_fault(predictions: NDArray[Any], y: NDArray[Any]) -> Values:
    """The share of rows on which both are wrong, 0 to 1; of a member with itself its error.

    Parameters and errors as of `disagreement`.
    """
    share: Values = tally(predictions, y).both_wrong / len(y)
    return share


def q_statistic(predictions: NDArray[Any], y: NDArray[Any]) -> Values:
    """Yule's Q: -1 if they never are right together, or never wrong; 0 if independent; up to 1.

    Parameters and errors as of `disagreement`. NaN where both products of counts are 0, as for a
    member that is right on every row, or on none.
    """
    counts = tally(predictions, y)
    alike = counts.both_right * counts.both_wrong
    apart = counts.first_only * counts.second_only
    return _ratio(alike - apart, alike + apart)


def error_correlation(predictions: NDArray[Any], y: NDArray[Any]) -> Values:
    """The correlation of being wrong, -1 to 1.

    Parameters and errors as of `disagreement`. NaN for a member that is right on every row, or on
    none.
    """
    counts = tally(predictions, y)
    alike = counts.both_right * counts.both_wrong
    apart = counts.first_only * counts.second_only
    right = np.diag(counts.both_right)
    deviation = np.sqrt(right * (len(y) - right))
    return _ratio(alike - apart, np.outer(deviation, deviation))


def residual_correlation(predictions: NDArray[Any], y: NDArray[Any]) -> Values:
    """The correlation of what values miss the target by, -1 to 1.

    Parameters
    ----------
    predictions : (members, rows) values
    y : (rows,) values

    NaN for a member that misses by the same on all rows, as one that is always right.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are no rows.
    """
    given, target = _checked(predictions, y)
    residuals = given.astype(np.float64) - target
    centred = residuals - residuals.mean(axis=1, keepdims=True)
    # What subtraction leaves of equal distances is rounding, and no deviation.
    size = np.maximum(np.abs(given).max(axis=1), np.abs(target).max())
    centred[np.abs(centred).max(axis=1) <= ROUNDING * size] = 0
    # Units in which no square is too large or too small for a float.
    scale = np.abs(centred).max(axis=1, keepdims=True)
    np.divide(centred, scale, out=centred, where=scale > 0)
    length = np.sqrt(np.square(centred).sum(axis=1))
    found = np.clip(_ratio(centred @ centred.T, np.outer(length, length)), -1, 1)
    np.fill_diagonal(found, np.where(length > 0, 1.0, np.nan))
    return found


def mean_over_pairs(measure: NDArray[Any]) -> float:
    """The mean of a symmetric ``measure`` (members, members) over pairs of different members.

    Pairs whose measure is NaN do not count. NaN if none is left, as of a single member.
    """
    pairs = measure[np.triu_indices(len(measure), k=1)]
    there = pairs[~np.isnan(pairs)]
    return float(there.mean()) if len(there) else float("nan")


def tally(predictions: NDArray[Any], y: NDArray[Any]) -> Counts:
    """How many rows each pair of members has right and wrong; parameters as of `disagreement`."""
    given, target = _checked(predictions, y)
    right = (given == target).astype(np.float64)
    wrong = 1 - right
    return Counts(right @ right.T, right @ wrong.T, wrong @ right.T, wrong @ wrong.T)


def _checked(predictions: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    given, target = np.asarray(predictions), np.asarray(y)
    if given.ndim != 2 or target.shape != given.shape[1:]:
        raise ValueError(
            f"predictions of shape {given.shape} do not fit targets of shape {target.shape}: give "
            "(members, rows) and (rows,); of probabilities the class, argmax(axis=-1)"
        )
    if not target.size:
        raise ValueError("there are no rows to compare members on")
    return given, target


def _ratio(above: Values, below: Values) -> Values:
    """NaN where it is 0 / 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)
