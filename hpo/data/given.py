"""Rows that stand in memory: a frame with named columns, or an array of numbers; and back.

A frame is one of pandas or polars, a table of Arrow, or whatever gives its columns by name. Its
cells are what they would be in a file: integers, floats and decimals are numbers, and so are dates,
as seconds since 1970, in UTC if they have a time zone; texts, booleans and categories are texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from importlib import import_module
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.arrow import arrow_columns
from hpo.data.cells import MISSING, numbers_of, written
from hpo.data.errors import DataError, OptionError
from hpo.data.finite import check_finite
from hpo.data.header import find_columns
from hpo.data.loaded import row_place
from hpo.data.table import Table
from hpo.data.wording import listed, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo.data.encoding import Encoding

_SECONDS = {"D": 86400.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

_FRAMES = ("pandas", "polars")
"""Libraries that make a frame, the preferred one first."""


def table_of(X: Any, encoding: Encoding) -> Table:
    """Return the rows with the columns that `encoding` was fitted on.

    Parameters
    ----------
    X : a frame with these columns, in any order, whose others are passed over; or, where all of
        them are numbers, an array (rows, columns) in their order, of images also (rows, height,
        width) or (rows, height, width, channels)

    Raises
    ------
    DataError
        A column is missing, a cell is infinite or a text where numbers must be, or the array has
        another shape.
    """
    if hasattr(X, "column_names"):  # a table of Arrow
        return arrow_columns(X, "X", numeric=encoding.numeric_names, text=encoding.text_names)
    if hasattr(X, "columns") and hasattr(X, "__getitem__"):
        names = list(X.columns)
        # Without names of its own a frame is an array, also to scikit-learn.
        if not names or any(isinstance(each, str) for each in names):
            return _of_frame(X, names, encoding)
    return _of_array(X, encoding)


def rows_of(table: Table, rows: NDArray[np.int64]) -> Any:
    """Return rows of a table as `table_of` takes them, NaN or None where a cell is missing.

    An array (rows, columns) where all columns are numbers or pixels, else a frame of pandas, or of
    polars if that alone is installed.

    Raises
    ------
    OptionError
        Neither is installed.
    """
    if not table.text_names:
        return table.numeric[rows]
    columns: dict[str, Any] = {}
    for name in table.columns:
        if name in table.numeric_names:
            columns[name] = table.numeric[rows, table.numeric_names.index(name)]
        else:
            i = table.text_names.index(name)
            # Code -1, a missing cell, finds the last entry.
            texts = np.array([*table.vocabularies[i], None], dtype=object)
            columns[name] = texts[table.codes[rows, i]]
    return _frame(columns)


def _frame(columns: Mapping[str, Any]) -> Any:
    for name in _FRAMES:
        try:
            return import_module(name).DataFrame(columns)
        except ImportError:
            continue
    raise OptionError(
        "columns that hold texts stand in a frame, for which a library is needed: "
        "pip install pandas"
    )


def _of_frame(frame: Any, names: list[Any], encoding: Encoding) -> Table:
    # In a file spaces around a name do not count either.
    stripped = [str(each).strip() for each in names]
    numeric, text = encoding.numeric_names, encoding.text_names
    find_columns([*numeric, *text], stripped, "X")
    known = {*numeric, *text}
    columns = tuple(each for each in stripped if each in known)
    if len(columns) > len(known):
        twice = next(each for each in columns if columns.count(each) > 1)
        raise DataError(f"X: two columns are named {shown(twice)}; rename one")
    place = dict(zip(stripped, names, strict=True))
    n_rows = len(frame)
    _check_rows(n_rows)
    numbers = np.empty((n_rows, len(numeric)))
    for i, name in enumerate(numeric):
        numbers[:, i] = _numbers(frame[place[name]], f"X, column {shown(name)}")
    _check_finite(numbers, numeric, missing_allowed=encoding.image_shape is None)
    codes = np.empty((n_rows, len(text)), dtype=np.int32)
    vocabularies = []
    for i, name in enumerate(text):
        codes[:, i], vocabulary = _texts(frame[place[name]], f"X, column {shown(name)}")
        vocabularies.append(vocabulary)
    return Table(columns, numbers, numeric, codes, text, tuple(vocabularies), encoding.image_shape)


def _of_array(X: Any, encoding: Encoding) -> Table:
    if encoding.text_names:
        raise DataError(
            f"X must be a frame of pandas or polars with the columns by name, as some hold texts: "
            f"{listed(encoding.text_names)}"
        )
    if hasattr(X, "toarray"):
        raise DataError("X is sparse, and dense rows are needed: use X.toarray()")
    array, names, shape = np.asarray(X), encoding.numeric_names, encoding.image_shape
    if shape is not None and array.shape[1:] == shape:
        array = array.reshape(len(array), -1)
    _check_shape(array, len(names), shape)
    if array.dtype.kind not in "biuf":
        columns = (_numbers(each, f"X, column {i}") for i, each in enumerate(array.T))
        array = np.stack(list(columns), axis=1)
    if shape is None or array.dtype != np.uint8:
        array = array.astype(np.float64)
        _check_finite(array, range(len(names)), missing_allowed=shape is None)
    return Table.of_numbers(array, names, shape)


def _check_shape(array: NDArray[Any], n_columns: int, image_shape: tuple[int, ...] | None) -> None:
    wanted = f"(rows, {n_columns})"
    if image_shape is not None:
        wanted += f" or (rows, {', '.join(map(str, image_shape))})"
    if array.ndim == 1:
        raise DataError(
            f"X must be of shape {wanted}, not {array.shape}; a single row is X.reshape(1, -1)"
        )
    if array.ndim != 2 or array.shape[1] != n_columns:
        raise DataError(f"X must be of shape {wanted}, not {array.shape}")
    _check_rows(len(array))


def _check_rows(n_rows: int) -> None:
    if not n_rows:
        raise DataError("X has no rows")


def _check_finite(
    values: NDArray[np.float64], names: Sequence[object], *, missing_allowed: bool
) -> None:
    def place(row: int, column: int) -> str:
        return f"column {names[column]!r}, {row_place(row)}"

    check_finite(values, "X", place, missing_allowed=missing_allowed)


def _numbers(column: Any, what: str) -> NDArray[np.float64]:
    """Return the numbers of a column, (rows,), NaN where missing; of texts, if each can be read."""
    values = np.asarray(column)
    _check_column(values, what)
    kind = values.dtype.kind
    if kind in "biuf":
        return values.astype(np.float64)
    if kind == "M":
        unit, count = np.datetime_data(values.dtype)
        if unit in _SECONDS:
            seconds = _SECONDS[unit] * count * values.astype(np.int64)
            return np.where(np.isnat(values), np.nan, seconds)
    numbers = np.empty(len(values))
    for row, cell in enumerate(values.tolist()):
        try:
            numbers[row] = _number(cell)
        except (TypeError, ValueError):
            raise DataError(
                f"{what}, {row_place(row)}: {shown(str(cell))} is a {_kind(cell)} where a number "
                "must be; correct or empty the cell"
            ) from None
    return numbers


def _number(cell: object) -> float:
    if isinstance(cell, str):
        return numbers_of((cell,))[0]
    if _is_missing(cell):
        return math.nan
    if isinstance(cell, date):
        return _moment(cell).timestamp()
    if isinstance(cell, Number | np.generic):
        return float(cell)  # type: ignore[arg-type]  # TypeError for complex ones
    raise TypeError


def _moment(day: date) -> datetime:
    """Return a date or a time as one with a time zone, UTC if it has none."""
    if not isinstance(day, datetime):
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return day if day.tzinfo else day.replace(tzinfo=UTC)


def _texts(column: Any, what: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return codes (rows,), -1 where missing, and the vocabulary; numbers as one would write them.

    In a file they would be texts, too.
    """
    values = np.asarray(column)
    _check_column(values, what)
    if values.dtype.kind == "M":
        values = values.astype("datetime64[us]")  # Python knows no nanoseconds
    texts = [_text(cell, what, row) for row, cell in enumerate(values.tolist())]
    vocabulary = tuple(sorted(set(texts) - MISSING))
    place = {text: i for i, text in enumerate(vocabulary)}
    return np.array([place.get(each, -1) for each in texts], dtype=np.int32), vocabulary


def _text(cell: object, what: str, row: int) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if _is_missing(cell):
        return ""
    if isinstance(cell, Number | np.generic | date):
        return written(cell.item() if isinstance(cell, np.generic) else cell)
    raise DataError(
        f"{what}, {row_place(row)}: {shown(str(cell))} is a {_kind(cell)} where a text must be; "
        "correct or empty the cell"
    )


def _is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, or what pandas has instead of these."""
    try:
        return cell is None or not bool(cell == cell)  # noqa: PLR0124
    except (TypeError, ValueError):
        # pandas' NA is neither equal nor not, and a cell with several values is no missing one.
        return type(cell).__name__ == "NAType"


def _check_column(values: NDArray[Any], what: str) -> None:
    if values.ndim != 1:
        raise DataError(f"{what} has the shape {values.shape}; a column is (rows,)")
    if values.dtype.kind not in "biufMOUST":
        raise DataError(
            f"{what} is of the type {values.dtype}, which is neither numbers, dates nor texts; "
            "leave it out"
        )


def _kind(cell: object) -> str:
    return "text" if isinstance(cell, str) else type(cell).__name__
