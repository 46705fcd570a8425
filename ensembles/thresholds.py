"""From which probability on to decide for the second of two classes.

For an estimator take scikit-learn's `TunedThresholdClassifierCV`; this is for probabilities that
are there already, such as an ensemble's out-of-fold ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import TIE, Values
from ensembles.probabilities import SLACK, checked_index

Metric = Callable[[NDArray[np.int64], NDArray[np.int64]], float]
"""Of the true and the decided classes (rows,), 0 or 1: the higher the better."""


class Threshold(NamedTuple):
    """Decide for class 1 where its probability is at least ``value``; ``score`` is the metric's."""

    value: float
    score: float


def best_threshold(proba: NDArray[Any], y: NDArray[Any], metric: Metric) -> Threshold:
    """The threshold with the best ``metric``, among all that decide differently.

    Parameters
    ----------
    proba : (rows,) of class 1
    y : (rows,) 0 or 1
    metric : such as `sklearn.metrics.f1_score`; called once for each distinct probability, and once
        more for deciding for class 0 everywhere. Where it is NaN a threshold is not taken.

    Of equally good thresholds the one nearest to 1/2 is taken, which is what is decided by without
    one, and of two that are as near the lower.

    Raises
    ------
    ValueError
        For arrays that do not fit, or if the metric is NaN everywhere.
    """
    given = np.asarray(proba, np.float64)
    if given.ndim != 1 or not len(given):
        raise ValueError(f"proba must be (rows,) of class 1, not of shape {given.shape}")
    if not ((given >= -SLACK) & (given <= 1 + SLACK)).all():
        raise ValueError("proba must lie between 0 and 1")
    index = checked_index(y, len(given), 2)
    tried = candidates(given)
    scores = np.array([metric(index, (given >= each).astype(np.int64)) for each in tried])
    if np.isnan(scores).all():
        raise ValueError("the metric is NaN at every threshold")
    best = np.nanmax(scores)
    equal = np.flatnonzero(scores >= best - TIE * abs(best))
    chosen = equal[np.argmin(np.abs(tried[equal] - 0.5))]
    return Threshold(float(tried[chosen]), float(scores[chosen]))


def candidates(proba: Values) -> Values:
    """One threshold for each way to decide, rising: (distinct + 1,) of ``proba`` (rows,).

    Halfway between neighbours, so that new rows near them are decided as they are; 0 to decide for
    class 1 everywhere, and the last for class 0.
    """
    distinct = np.unique(proba)
    halfway = distinct[:-1] + np.diff(distinct) / 2
    # Between numbers that are next to each other there is none.
    halfway = np.where(halfway > distinct[:-1], halfway, distinct[1:])
    most = distinct[-1]
    above = (most + 1) / 2 if most < 1 else np.nextafter(most, np.inf)
    return np.concatenate([[min(0.0, distinct[0])], halfway, [above]])
