"""Weights of rows as a user gives them, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from ensembles.losses import Values


def row_weights(sample_weight: Any, X: Any) -> Values | None:
    """Weights (rows,), None if all rows count alike.

    Raises
    ------
    ValueError
        If there is not one finite number for each row, one is negative, or all are zero.
    """
    if sample_weight is None:
        return None
    weights: Values = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise ValueError("every sample_weight is zero: at least one row must count")
    return weights
