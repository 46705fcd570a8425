"""The names of a file's columns, and the one that is the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.data.cells import MISSING, ColumnScan
from hpo.data.errors import DataError, OptionError
from hpo.data.wording import did_you_mean, listed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence


def column_names(first_row: Sequence[str], *, header: bool, source: str) -> tuple[str, ...]:
    """Return the names in the first row, or without a header `c0`, `c1` and so on.

    Raises
    ------
    DataError
        A name is empty or occurs twice.
    """
    if not header:
        return tuple(f"c{i}" for i in range(len(first_row)))
    names = tuple(cell.strip() for cell in first_row)
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if not name:
            raise DataError(
                f"{source}, line 1, column {i + 1}: the column has no name; give it one"
                f"{_no_header_hint(names)}"
            )
        if first.setdefault(name, i) < i:
            raise DataError(
                f"{source}, line 1: columns {first[name] + 1} and {i + 1} are both named "
                f"{shown(name)}; rename one{_no_header_hint(names)}"
            )
    return names


def find_target(
    target: str | None, names: Sequence[str], *, header: bool | None, source: str
) -> int:
    """Return the position of the target column.

    Parameters
    ----------
    target : its name, or in a file without a header also its position; -1 is the last
    header : whether the file has a header; None if files of its kind have no such thing

    Raises
    ------
    OptionError
        `target` is None.
    DataError
        There is no such column, or no other.
    """
    if target is None:
        raise OptionError(
            f"{source}: say which column to predict, with --target; the columns are: "
            f"{listed(names)}{_hints(names, header=header)}"
        )
    position = find_position(target, names, header=header)
    if position is None:
        raise DataError(
            f"{source}: there is no column {shown(target)}; the columns are: {listed(names)}"
            f"{did_you_mean(target, names)}{_hints(names, header=header)}"
        )
    if len(names) == 1:
        raise DataError(f"{source}: the target is its only column; nothing is left to learn from")
    return position


def find_columns(wanted: Sequence[str], names: Sequence[str], source: str) -> list[int]:
    """Return the positions of the columns; DataError, naming them, when some are not there."""
    position = {name: i for i, name in enumerate(names)}
    absent = [name for name in wanted if name not in position]
    if absent:
        raise DataError(
            f"{source}: there is no column {listed(absent)}; the columns are: {listed(names)}"
            f"{did_you_mean(absent[0], names)}"
        )
    return [position[name] for name in wanted]


def check_no_others(names: Sequence[str], known: Sequence[str], source: str) -> None:
    """Raise DataError when there are columns that are not known."""
    others = [name for name in names if name not in set(known)]
    if others:
        raise DataError(f"{source} has columns that the data lack: {listed(others)}; delete them")


def find_position(name: str, names: Sequence[str], *, header: bool | None) -> int | None:
    """Return the position of a column that the user names; None when there is none.

    In a file without a header it may be a position too, and -1 is the last.
    """
    if name in names:
        return names.index(name)
    try:
        return range(len(names))[int(name)] if header is False else None
    except (ValueError, IndexError):
        return None


def _hints(names: Sequence[str], *, header: bool | None) -> str:
    if header is None:
        return ""
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        return "; the cells seem to be separated by semicolons or tabs: save the file with commas"
    return (
        _no_header_hint(names) if header else "; or give its position: 0 is the first, -1 the last"
    )


def _no_header_hint(names: Sequence[str]) -> str:
    """Suspect that the first row is data when most of its cells are numbers."""
    numbers = sum(_is_data(name) for name in names)
    return "; is the first row data? Then add --no-header" if 2 * numbers > len(names) else ""


def _is_data(name: str) -> bool:
    scan = ColumnScan()
    scan.look([name], [1])
    return scan.has_number or name in MISSING
