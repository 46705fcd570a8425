"""Arrays of numbers that can be learnt from: none is infinite, and perhaps none is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.errors import DataError
from hpo.data.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def check_finite(
    values: NDArray[Any], what: str, place: Callable[[int, int], str], *, missing_allowed: bool
) -> None:
    """Raise ``DataError`` for (rows, columns) numbers that cannot be used, and name the first.

    `place` says of a row and a column where that is.
    """
    wrong = np.isinf(values) if missing_allowed else ~np.isfinite(values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{what} has {counted(int(wrong.sum()), 'number')} that cannot be used, the first "
            f"({values[row, column]}) in {place(int(row), int(column))}"
        )
