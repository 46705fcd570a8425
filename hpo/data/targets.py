"""What a target must be before anything can be learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo.data.errors import DataError
from hpo.data.wording import counted, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo.data.table import Target

    Check = Callable[[Target, str, Callable[[int], str]], None]

_LARGEST = 1e150  # the square of an error must be finite


def check_target(target: Target, source: str, place: Callable[[int], str]) -> None:
    """Raise DataError unless every cell of the target has a value, and they are not all alike.

    `place` says where a row stands, such as `line 17`.
    """
    check_cells(target, source, place)
    values = target.values
    if values.min() == values.max():
        only = shown(target.label(values[0]))[1:-1]
        raise DataError(
            f"{source}: target {shown(target.name)} has only one value ({only}): nothing to learn; "
            "choose another"
        )


def check_cells(target: Target, source: str, place: Callable[[int], str]) -> None:
    """Raise DataError unless every cell of the target has a value that can be scored."""
    values = target.values
    what = f"{source}: target {shown(target.name)}"
    missing = np.flatnonzero(np.isnan(values))
    if len(missing) == len(values):
        raise DataError(f"{what} has no value at all; choose another column")
    if len(missing):
        raise DataError(
            f"{what} has {counted(len(missing), 'missing cell')}, the first in "
            f"{place(int(missing[0]))}; fill them or delete their rows"
        )
    if (np.abs(values) > _LARGEST).any():
        row = int(np.argmax(np.abs(values) > _LARGEST))
        raise DataError(
            f"{what} is {values[row]:g} in {place(row)}; numbers beyond ±{_LARGEST:g} cannot be "
            "squared: correct or rescale it"
        )
