"""What probabilities of classes must be, and the indices of classes that belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values

SLACK = 1e-3
"""By how much the sum of a row may miss 1: single precision and means of many members round."""


def checked_proba(proba: Any) -> Values:
    """``proba`` (rows, classes) in double precision.

    Raises
    ------
    ValueError
        If it is no such array, or rows are no probabilities.
    """
    given: Values = np.asarray(proba, np.float64)
    if given.ndim != 2 or given.shape[1] < 2:
        raise ValueError(
            f"probabilities must be (rows, classes) with two classes or more, not of shape "
            f"{given.shape}"
        )
    inside = ((given >= -SLACK) & (given <= 1 + SLACK)).all(axis=1)
    wrong = ~inside | ~(np.abs(given.sum(axis=1) - 1) <= SLACK)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"probabilities must lie between 0 and 1 and add up to 1 in each row; row {row} is "
            f"{given[row].tolist()}"
        )
    return given


def checked_index(y: Any, n_rows: int, n_classes: int) -> NDArray[np.int64]:
    """``y`` (n_rows,), indices of classes from 0 to ``n_classes`` - 1.

    Raises
    ------
    ValueError
        If it is anything else, such as the classes' names.
    """
    given = np.asarray(y)
    if given.shape != (n_rows,):
        raise ValueError(f"y must be ({n_rows},) as there are {n_rows} rows, not {given.shape}")
    if given.dtype.kind not in "biu":
        raise ValueError(
            f"y must be indices of classes, whole numbers, not of type {given.dtype}: take "
            "np.searchsorted(classes, y)"
        )
    if n_rows and not (given.min() >= 0 and given.max() < n_classes):
        raise ValueError(
            f"y must be indices from 0 to {n_classes - 1}, as there are {n_classes} classes, but "
            f"has {given.min()} to {given.max()}"
        )
    return given.astype(np.int64)


def checked_weights(sample_weight: Any, n_rows: int) -> Values:
    """Weights of rows (n_rows,), 1 each if None.

    Raises
    ------
    ValueError
        If they are not so many, not finite, negative, or all zero.
    """
    if sample_weight is None:
        weights: Values = np.ones(n_rows)
    else:
        weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must be ({n_rows},) as there are {n_rows} rows, not {weights.shape}"
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must be finite, not negative, and not all zero")
    return weights
