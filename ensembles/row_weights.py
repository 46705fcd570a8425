"""Weights of rows as a user gives them, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight

from ensembles.losses import Values


def checked_weights(sample_weight: Any, X: Any) -> NDArray[Any] | None:
    """Weights (rows,) in the precision that they are given in, None if all rows count alike.

    Raises
    ------
    ValueError
        If there is not one finite number for each row, or one is negative.
    """
    if sample_weight is None:
        return None
    weights: NDArray[Any] = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    return weights


def row_weights(sample_weight: Any, X: Any) -> Values | None:
    """Likewise, in double precision; ``ValueError`` also if all are zero."""
    given = checked_weights(sample_weight, X)
    if given is None:
        return None
    weights = np.asarray(given, np.float64)
    if not weights.any():
        raise ValueError("every sample_weight is zero: at least one row must count")
    return weights
