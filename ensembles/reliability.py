"""How often probabilities are right: the numbers of a reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values
from ensembles.probabilities import checked_index, checked_proba


@dataclass(frozen=True, eq=False)
class Reliability:
    """Rows by their probability, in bins of the same width; (bins,) each.

    ``edges`` (bins + 1,): a bin holds what is above its lower edge up to its upper one, the first
    one 0 too. ``probability``: the mean of what was said, ``hits``: the share that was right, both
    NaN in an empty bin; ``count``: how many rows.
    """

    edges: Values
    probability: Values
    hits: Values
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of the two, 0 to 1, by rows.

        Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017, equation 3. It depends on the bins.
        """
        there = self.count > 0
        distance = np.abs(self.hits[there] - self.probability[there])
        return float(np.average(distance, weights=self.count[there]))


def reliability(
    proba: NDArray[Any], y: NDArray[Any], bins: int = 15, *, label: int | None = None
) -> Reliability:
    """Compare what was said with what was so.

    Parameters
    ----------
    proba : (rows, classes)
    y : (rows,) class indices
    bins : how many
    label : the class whose probability is looked at, a hit being a row of this class. None looks at
        the most probable class of each row, a hit being a row that is of this class.

    Raises
    ------
    ValueError
        For arrays that do not fit, no rows, no bins, or a class that does not exist.
    """
    given = checked_proba(proba)
    index = checked_index(y, *given.shape)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    if not len(given):
        raise ValueError("there are no rows to compare probabilities with")
    if label is not None and not 0 <= label < given.shape[1]:
        raise ValueError(f"label must be from 0 to {given.shape[1] - 1}, got {label}")
    if label is None:
        said, right = given.max(axis=1), given.argmax(axis=1) == index
    else:
        said, right = given[:, label], index == label
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], said, side="left")
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges,
            np.bincount(place, weights=said, minlength=bins) / count,
            np.bincount(place, weights=right, minlength=bins) / count,
            count,
        )
