"""What a file holds, before anything is decided about its columns but which is the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpo.data.table import Table, Target

    Place = Callable[[int], str]


def row_place(row: int) -> str:
    """Return `row 16 (the first is 0)`, for files that have no lines."""
    return f"row {row} (the first is 0)"


@dataclass(frozen=True, eq=False)
class Loaded:
    """Features and target of the same rows.

    Attributes
    ----------
    features, target : the columns
    place : says where a row stands in the file, such as `line 17`
    warnings : one line each; what was decided about the cells without being asked
    dates : the columns of numbers that are seconds since 1970
    """

    features: Table
    target: Target
    place: Place = row_place
    warnings: tuple[str, ...] = ()
    dates: frozenset[str] = frozenset()
