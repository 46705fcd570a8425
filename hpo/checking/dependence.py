"""How far a target follows from one column alone, whatever the curve.

Rows are sorted by the column, and the targets of neighbours are compared. Where the target is a
function of the column neighbours are alike but for a few steps; where it has nothing to do with it
they are as different as any two rows. This is Chatterjee's coefficient (Chatterjee 2021, "A new
coefficient of correlation", equation 1): ranks of a quantity, and for classes, one indicator for
each. It is scaled so that small tables reach 1 too (Dalitz, Arning & Goebbels 2024, section 2.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A target as neighbours are compared by it.

    Attributes
    ----------
    values : (rows,) indices of classes, or ranks
    is_class : which of these they are
    expected : the mean difference of two rows that have nothing to do with each other
    least : the least sum of differences that an order of all rows can have
    """

    values: Floats
    is_class: bool
    expected: float
    least: float

    @classmethod
    def of_classes(cls, classes: NDArray[np.generic]) -> Outcome:
        """Two rows differ by 1 if they are of different classes."""
        labels, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
        n = len(classes)
        expected = 1 - (counts * (counts - 1)).sum() / (n * (n - 1))
        return cls(index.astype(np.float64), True, float(expected), len(labels) - 1.0)

    @classmethod
    def of_quantity(cls, quantity: Floats) -> Outcome:
        """Two rows differ by as many rows as lie between them."""
        ordered = np.sort(quantity)
        ranks = np.searchsorted(ordered, quantity, side="right").astype(np.float64)
        n, sorted_ranks = len(ranks), np.sort(ranks)
        weights = 2 * np.arange(n) - (n - 1)
        expected = 2 * (weights * sorted_ranks).sum() / (n * (n - 1))
        return cls(ranks, False, float(expected), float(sorted_ranks[-1] - sorted_ranks[0]))

    def differences(self, order: NDArray[np.int64]) -> Floats:
        """Of neighbours, when rows stand in ``order`` (rows, columns); (rows - 1, columns)."""
        sorted_values = self.values[order]
        steps: Floats = np.abs(np.diff(sorted_values, axis=0))
        return np.sign(steps) if self.is_class else steps


def dependence(columns: Floats, outcome: Outcome, *, ordered: bool = True) -> Floats:
    """How far the outcome follows from each column: 1 wholly, about 0 not at all; (n_columns,).

    Parameters
    ----------
    columns : (rows, n_columns), NaN where a cell is missing; in random order of rows, which decides
        between rows of one value
    outcome : of the same rows
    ordered : whether neighbouring values mean neighbouring things. If not, as with codes of texts,
        only rows of one value are compared. NaN where fewer than half of the rows have such a
        neighbour
    """
    order = np.argsort(columns, axis=0, kind="stable")  # missing cells last
    differences = outcome.differences(order)
    values = np.take_along_axis(columns, order, axis=0)
    is_same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    n_same = is_same.sum(axis=0)
    among_same: Floats = 1 - (differences * is_same).sum(axis=0) / np.maximum(
        1, n_same * outcome.expected
    )
    among_same[n_same < len(columns) / 2] = np.nan
    if not ordered:
        return among_same
    chance = outcome.expected * (len(columns) - 1) - outcome.least
    along = 1 - (differences.sum(axis=0) - outcome.least) / chance
    # A code with many values is a category that somebody wrote as a number.
    larger: Floats = np.fmax(along, among_same)
    return larger
