"""Targets as ensembles learn them: indices of classes, or values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ensembles.losses import Values


def classes_and_index(y: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The classes in their order, and for each row the place of its own; (classes,), (rows,)."""
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    classes, index = np.unique(y, return_inverse=True)
    return classes, index.astype(np.int64)


def flat_values(y: Any) -> Values:
    """Numbers (rows,)."""
    values: Values = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
    assert_all_finite(values, input_name="y")
    return values


def most_probable(proba: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """The class with the highest probability, the first of equal ones; (rows,)."""
    chosen: NDArray[Any] = classes[proba.argmax(axis=1)]
    return chosen


def places_of(y: Any, classes: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each row's class in ``classes``; ``ValueError`` for one that is not there."""
    y = column_or_1d(y, warn=True)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"y_val has the class {unknown.tolist()[0]!r}, which no training row has")
    places: NDArray[np.int64] = np.searchsorted(classes, y)
    return places
