"""Rows of cells from a file of comma- or tab-separated text, with every fault named by its line."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from hpo.data.errors import DataError
from hpo.data.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

_LONGEST_LINE = 2**26
_CELLS_OF_A_BLOCK = 2**18

_UNDECODABLE = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of a byte
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")

Row = tuple[int, list[str]]
Block = tuple[list[int], list[tuple[str, ...]]]


def read_rows(path: Path, source: str) -> Iterator[Row]:
    """Yield the line on which each row begins (from 1), and its cells; blank lines are skipped.

    Reads as it goes; the cells are as long as `csv.field_size_limit()` at most.

    Raises
    ------
    DataError
        A line is not UTF-8, holds NUL, is too long, or its quotes do not match.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(_lines(file, source), delimiter=delimiter(path), strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{source}, line {line}: {_reason(error)}") from None
            if cells is None:
                return
            if cells:
                yield line, cells


def delimiter(path: Path) -> str:
    """Return what separates the cells of a file, by its name: a tab or a comma."""
    return "\t" if path.suffix.lower() in {".tsv", ".tab"} else ","


def read_blocks(
    rows: Iterator[Row],
    width: int,
    source: str,
    *,
    separator: str = "comma",
    height: int | None = None,
) -> Iterator[Block]:
    """Yield the lines of many rows, and their cells column by column.

    `separator` is what the user calls that which stands between cells; `height` is how many rows
    come at once, None for as many as are quick.

    Raises
    ------
    DataError
        A row has not `width` cells.
    """
    height = height or max(1, _CELLS_OF_A_BLOCK // width)
    lines: list[int] = []
    block: list[list[str]] = []
    for line, cells in rows:
        if len(cells) != width:
            raise DataError(
                f"{source}, line {line}: {counted(len(cells), 'cell')}, but the first row has "
                f"{width:,}; look for a {separator} too many or too few"
            )
        lines.append(line)
        block.append(cells)
        if len(block) == height:
            yield lines, list(zip(*block, strict=True))
            lines, block = [], []
    if block:
        yield lines, list(zip(*block, strict=True))


def _lines(file: TextIO, source: str) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        fault = _fault(line, number)
        if fault:
            raise DataError(f"{source}, line {number}: {fault}")
        yield line


def _fault(line: str, number: int) -> str:
    """Return what is wrong with a line; nothing is when empty."""
    if number == 1 and line.startswith(_UTF_16):
        return "the file is UTF-16; save it as UTF-8"
    if "\0" in line:
        return "a NUL byte; the file is binary, UTF-16 or damaged; save it as UTF-8"
    if not line.isascii() and (wrong := _UNDECODABLE.search(line)):
        byte = ord(wrong.group()) - 0xDC00
        return f"byte 0x{byte:02x} at character {wrong.start() + 1} is not UTF-8; save it as UTF-8"
    if len(line) >= _LONGEST_LINE:
        return f"longer than {_LONGEST_LINE:,} characters; is this a table?"
    return ""


def _reason(error: csv.Error) -> str:
    reason = str(error)
    if "field larger" in reason:
        limit = csv.field_size_limit()
        return f"a cell longer than {limit:,} characters; is a quotation mark left open?"
    if "unexpected end" in reason:
        return "a quotation mark is opened and never closed; close or delete it"
    return "quotation marks that do not match; double those inside a cell"
