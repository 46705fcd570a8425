"""The column that says how rows are split: whose groups stay together, or whose time runs on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hpo.data.errors import DataError, OptionError
from hpo.data.header import find_columns
from hpo.data.times import TimeError, read_times
from hpo.data.wording import counted, listed, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hpo.data.table import Column, Table

    Place = Callable[[int], str]

Kind = Literal["group", "time"]


@dataclass(frozen=True, eq=False)
class SplitColumn:
    """A column that says how rows are split, and is no feature.

    Attributes
    ----------
    kind : whether its values are groups, whose rows stay together, or times, which run forward
    column : as it was read
    keys : (rows,) equal for rows of one group or time. Times are in order: numbers as they are,
        texts in microseconds since 1970
    position : where it stood among the columns that are not the target
    is_date : whether its numbers are seconds since 1970
    """

    kind: Kind
    column: Column
    keys: NDArray[Any]
    position: int
    is_date: bool = False

    def label(self, row: int) -> str:
        """Return what the user knows the group or the time of a row as."""
        value = self.column.values[row]
        if self.is_date:
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None).isoformat(" ")
        return self.column.label(value)


def take_out(
    features: Table,
    kind: Kind,
    name: str,
    source: str,
    place: Place,
    *,
    is_date: bool = False,
    like: SplitColumn | None = None,
) -> tuple[Table, SplitColumn]:
    """Return the other columns, and the one named `name` as what rows are split by.

    Parameters
    ----------
    place : says where a row stands, such as `line 17`
    is_date : whether the column's numbers are seconds since 1970
    like : the same column of another file, with whose texts those of this one are understood:
        alone they might not tell whether `03/04/2019` is in April

    Raises
    ------
    OptionError
        The features are pixels, or there are no others.
    DataError
        There is no such column, a cell has no value, or is no time where one must be.
    """
    if features.image_shape is not None:
        raise OptionError(f"{source} holds images, which have no column; leave --{kind} out")
    find_columns([name], features.columns, source)
    if len(features.columns) == 1:
        raise DataError(
            f"{source}: --{kind} {shown(name)} is its only column beside the target; nothing is "
            "left to learn from"
        )
    position = features.columns.index(name)
    features, column = features.pop(name)
    what = f"{source}: --{kind} {shown(name)}"
    _check_cells(column, what, kind, place)
    keys = column.values if kind == "group" else _times(column, what, place, like)
    return features, SplitColumn(kind, column, keys, position, is_date)


def check_apart(data: SplitColumn, test: SplitColumn, source: str) -> None:
    """Raise DataError when test rows, of the file `source`, have groups of the data.

    And when one of them is not later than all of the data.
    """
    if data.kind == "group":
        _check_groups(data, test, source)
        return
    earliest, latest = int(np.argmin(test.keys)), int(np.argmax(data.keys))
    if test.keys[earliest] <= data.keys[latest]:
        raise DataError(
            f"{source}: its earliest {shown(test.column.name)} is {test.label(earliest)}, and the "
            f"latest of the data is {data.label(latest)}; test rows must be later: move them, or "
            "leave --time out"
        )


def _check_groups(data: SplitColumn, test: SplitColumn, source: str) -> None:
    ours, theirs = (
        {each.column.label(value) for value in np.unique(each.column.values)}
        for each in (data, test)
    )
    if both := sorted(ours & theirs):
        raise DataError(
            f"{source}: {counted(len(both), 'group')} of {shown(data.column.name)} "
            f"{'is' if len(both) == 1 else 'are'} in the data too: {listed(both)}; move all rows "
            "of a group to one of the files, or leave --group out"
        )


def _check_cells(column: Column, what: str, kind: Kind, place: Place) -> None:
    missing = np.flatnonzero(np.isnan(column.values))
    if len(missing):
        raise DataError(
            f"{what} has {counted(len(missing), 'missing cell')}, the first in "
            f"{place(int(missing[0]))}; fill them or delete their rows"
        )
    infinite = np.flatnonzero(np.isinf(column.values))
    if len(infinite):
        raise DataError(f"{what} is infinite in {place(int(infinite[0]))}; correct the {kind}")


def _times(column: Column, what: str, place: Place, like: SplitColumn | None) -> NDArray[Any]:
    if column.vocabulary is None:
        return column.values
    codes = column.values.astype(np.int64)
    others = (like.column.vocabulary if like is not None else None) or ()
    try:
        return read_times([*others, *column.vocabulary])[codes + len(others)]
    except TimeError as fault:
        # Never one of the others, which have been read without a fault.
        code = fault.index - len(others)
        text, row = column.vocabulary[code], int(np.argmax(codes == code))
        raise DataError(f"{what}, {place(row)}: {shown(text)} {fault}") from None
