"""The columns of a text file: a first reading finds what each holds, a second converts it.

Two readings, because whether a column is numbers is known only at its last cell, and to keep the
text of every cell until then would take many times the memory of the result.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from hpo.data.cells import MISSING, Cell, ColumnScan, numbers_of
from hpo.data.errors import DataError
from hpo.data.header import column_names
from hpo.data.rows import delimiter, read_blocks, read_rows
from hpo.data.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hpo.data.rows import Block


@dataclass(frozen=True)
class Sheet:
    """A file whose cells have been looked at, not kept.

    Attributes
    ----------
    path, source : the file, and how the user calls it
    header : whether its first row holds the names
    names, scans : of each column
    n_rows : without the header
    """

    path: Path
    source: str
    header: bool
    names: tuple[str, ...]
    scans: tuple[ColumnScan, ...]
    n_rows: int

    def place(self, cell: Cell, column: int) -> str:
        """Return `file, line 3, column 2 (name)`."""
        name = shown(self.names[column])[1:-1]
        return f"{self.source}, line {cell.line}, column {column + 1} ({name})"


@dataclass(frozen=True, eq=False)
class Columns:
    """The cells of a sheet.

    Attributes
    ----------
    numeric : (rows, n_numeric) float64, NaN where missing
    codes : (rows, n_text) int32, -1 where missing
    vocabularies : for each text column its sorted distinct texts
    lines : (rows,) int64, on which line of the file each row begins
    """

    numeric: NDArray[np.float64]
    codes: NDArray[np.int32]
    vocabularies: tuple[tuple[str, ...], ...]
    lines: NDArray[np.int64]


def survey(path: Path, source: str, *, header: bool) -> Sheet:
    """Read the whole file once and return what its columns hold.

    Raises
    ------
    DataError
        The file is empty, has no row below the header, or its shape or encoding is broken.
    """
    _, first_row = next(read_rows(path, source), (0, None))
    if first_row is None:
        raise DataError(f"{source} is empty")
    names = column_names(first_row, header=header, source=source)
    scans = tuple(ColumnScan() for _ in names)
    n_rows = 0
    for lines, columns in _blocks(path, source, len(names), header):
        n_rows += len(lines)
        for scan, cells in zip(scans, columns, strict=True):
            scan.look(cells, lines)
    if not n_rows:
        raise DataError(f"{source} has a header and no rows")
    return Sheet(path, source, header, names, scans, n_rows)


def check_numbers(sheet: Sheet, column: int) -> None:
    """Raise DataError unless every cell of the column is missing or a finite number."""
    scan = sheet.scans[column]
    if scan.first_text is not None:
        raise DataError(
            f"{sheet.place(scan.first_text, column)}: {shown(scan.first_text.text)} is a text "
            "where a number must be; correct or empty the cell"
        )
    if scan.first_infinite is not None:
        raise DataError(
            f"{sheet.place(scan.first_infinite, column)}: {shown(scan.first_infinite.text)} is "
            "infinite as a number; correct or empty the cell"
        )


def convert(sheet: Sheet, numeric: Sequence[int], text: Sequence[int]) -> Columns:
    """Read the file again and return the columns at these positions.

    The columns in `numeric` have passed `check_numbers`.

    Raises
    ------
    DataError
        The file has changed since it was surveyed.
    """
    values = np.empty((sheet.n_rows, len(numeric)))
    codes = np.empty((sheet.n_rows, len(text)), dtype=np.int32)
    lines = np.empty(sheet.n_rows, dtype=np.int64)
    coders = [_Coder() for _ in text]
    start = 0
    for block_lines, columns in _again(sheet):
        rows = slice(start, start + len(block_lines))
        lines[rows] = block_lines
        _fill(values[rows], codes[rows], columns, numeric, text, coders, sheet)
        start = rows.stop
    vocabularies = tuple(coder.sort(codes[:, i]) for i, coder in enumerate(coders))
    return Columns(values, codes, vocabularies, lines)


def stream(
    sheet: Sheet, numeric: Sequence[int], text: Sequence[int], height: int
) -> Iterator[Columns]:
    """Likewise, `height` rows at once, each time with the texts of these alone.

    Raises
    ------
    DataError
        The file has changed since it was surveyed; perhaps after some of it was given.
    """
    for block_lines, columns in _again(sheet, height):
        values = np.empty((len(block_lines), len(numeric)))
        codes = np.empty((len(block_lines), len(text)), dtype=np.int32)
        coders = [_Coder() for _ in text]
        _fill(values, codes, columns, numeric, text, coders, sheet)
        vocabularies = tuple(coder.sort(codes[:, i]) for i, coder in enumerate(coders))
        yield Columns(values, codes, vocabularies, np.array(block_lines, dtype=np.int64))


def _again(sheet: Sheet, height: int | None = None) -> Iterator[Block]:
    """Read the file a second time; raise DataError if it has not as many rows as at the first."""
    left = sheet.n_rows
    for block in _blocks(sheet.path, sheet.source, len(sheet.names), sheet.header, height):
        left -= len(block[0])
        if left < 0:
            break
        yield block
    if left:
        raise _changed(sheet)


def _fill(
    values: NDArray[np.float64],
    codes: NDArray[np.int32],
    columns: list[tuple[str, ...]],
    numeric: Sequence[int],
    text: Sequence[int],
    coders: Sequence[_Coder],
    sheet: Sheet,
) -> None:
    """Write the numbers and codes of a block's cells into `values` and `codes`."""
    try:
        for i, column in enumerate(numeric):
            values[:, i] = numbers_of(columns[column])
    except ValueError:
        raise _changed(sheet) from None
    for i, column in enumerate(text):
        codes[:, i] = coders[i].codes(columns[column])


def _changed(sheet: Sheet) -> DataError:
    return DataError(f"{sheet.source} was changed while it was read; try again")


class _Coder:
    """Numbers the distinct texts of a column as they come."""

    def __init__(self) -> None:
        self._code: defaultdict[str, int] = defaultdict()
        self._code.default_factory = self._code.__len__

    def codes(self, cells: Sequence[str]) -> list[int]:
        return [self._code[cell.strip()] for cell in cells]

    def sort(self, codes: NDArray[np.int32]) -> tuple[str, ...]:
        """Return the sorted texts, and change `codes` in place to stand for those."""
        vocabulary = tuple(sorted(self._code.keys() - MISSING))
        place = {text: i for i, text in enumerate(vocabulary)}
        codes[:] = np.array([place.get(text, -1) for text in self._code], dtype=np.int32)[codes]
        return vocabulary


def _blocks(
    path: Path, source: str, width: int, header: bool, height: int | None = None
) -> Iterator[Block]:
    rows = read_rows(path, source)
    separator = "tab" if delimiter(path) == "\t" else "comma"
    body = islice(rows, 1, None) if header else rows
    return read_blocks(body, width, source, separator=separator, height=height)
