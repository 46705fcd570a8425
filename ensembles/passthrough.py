"""Features as a meta-model sees them: numbers, beside the predictions of members."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ensembles.losses import Values


def passed_through(X: Any) -> Any:
    """The features as numbers (rows, features), sparse ones as they are.

    Raises
    ------
    ValueError
        If there is one that holds anything else, such as categories.
    """
    if sparse.issparse(X):
        return X
    given = np.asarray(X)
    if given.ndim != 2:
        raise ValueError(
            "passthrough=True gives the features to the meta-model beside predictions, and they "
            f"are not (rows, features), but of shape {given.shape}: use passthrough=False"
        )
    if given.dtype.kind in "biuf":
        return given
    names = getattr(X, "columns", range(given.shape[1]))
    return np.column_stack(
        [_numbers(name, column) for name, column in zip(names, given.T, strict=True)]
    )


def _numbers(name: Any, column: NDArray[Any]) -> Values:
    if column.dtype.kind not in "mM":  # NumPy would count times in units of them
        with suppress(TypeError, ValueError):
            numbers: Values = column.astype(np.float64)
            return numbers
    raise ValueError(
        "passthrough=True gives the features to the meta-model beside predictions, and feature "
        f"{name!r} is not of numbers: encode it before the ensemble, or use passthrough=False"
    )
