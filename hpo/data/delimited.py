"""Data sets in files of comma- or tab-separated text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpo.data.header import check_no_others, find_columns, find_target
from hpo.data.loaded import Loaded
from hpo.data.sheet import check_numbers, convert, stream, survey
from hpo.data.table import Table, Target
from hpo.data.targets import check_target
from hpo.data.wording import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hpo.data.loaded import Place
    from hpo.data.sheet import Columns, Sheet


def load_delimited(
    path: Path,
    source: str,
    *,
    target: str | None,
    header: bool,
    numeric: Sequence[str],
    aside: str | None = None,
) -> Loaded:
    """Return what a file holds.

    A column is numbers if all its cells are, or are missing; else each distinct text is a
    category, unless the column is named in `numeric`. Nothing is said of a mixture in the column
    `aside`, which will be no feature.

    Raises
    ------
    DataError
        The file, the target or a number is not usable; the message names line and column.
    """
    sheet = survey(path, source, header=header)
    at = find_target(target, sheet.names, header=header, source=source)
    must_be_numbers = set(find_columns(numeric, sheet.names, source))
    # The target last, so that the columns before it are the features.
    order = [*_without(range(len(sheet.names)), at), at]
    is_text = [scan.first_text and i not in must_be_numbers for i, scan in enumerate(sheet.scans)]
    texts = [i for i in order if is_text[i]]
    numbers = [i for i in order if not is_text[i]]
    for column in numbers:
        check_numbers(sheet, column)
    columns = convert(sheet, numbers, texts)
    label = _target(sheet, columns, at)
    place = _places(columns)
    check_target(label, source, place)
    features = _table(sheet, columns, _without(numbers, at), _without(texts, at))
    told = [i for i in sorted(texts) if sheet.names[i] != aside]
    return Loaded(features, label, place, tuple(_mixed(sheet, told)))


def load_columns(
    path: Path,
    source: str,
    *,
    numeric: Sequence[str],
    text: Sequence[str],
    header: bool,
    exact: bool = False,
) -> tuple[Table, Place]:
    """Return the named columns, in the order given, read as what the caller says that they are.

    Parameters
    ----------
    exact : whether other columns of the file are an error; else they are passed over

    Returns
    -------
    The columns, and what says on which line a row stands.

    Raises
    ------
    DataError
        The file is not usable, a column is not there, or a numeric one holds a text.
    """
    sheet, numbers, texts = _found(path, source, numeric, text, header=header)
    if exact:
        check_no_others(sheet.names, [*numeric, *text], source)
    columns = convert(sheet, numbers, texts)
    return _table(sheet, columns, numbers, texts), _places(columns)


def stream_columns(
    path: Path,
    source: str,
    *,
    numeric: Sequence[str],
    text: Sequence[str],
    header: bool,
    height: int,
) -> Iterator[Table]:
    """Yield the named columns as `load_columns` does, `height` rows at once.

    Memory is taken for these alone. The file is looked through before the first of them, so that
    a fault in its last line is found in time.

    Raises
    ------
    DataError
        As `load_columns`, and when the file changes meanwhile.
    """
    sheet, numbers, texts = _found(path, source, numeric, text, header=header)
    for columns in stream(sheet, numbers, texts, height):
        yield _table(sheet, columns, numbers, texts)


def _found(
    path: Path, source: str, numeric: Sequence[str], text: Sequence[str], *, header: bool
) -> tuple[Sheet, list[int], list[int]]:
    """Look through the file and return where its columns of numbers and of texts are."""
    sheet = survey(path, source, header=header)
    numbers = find_columns(numeric, sheet.names, source)
    texts = find_columns(text, sheet.names, source)
    for column in numbers:
        check_numbers(sheet, column)
    return sheet, numbers, texts


def _places(columns: Columns) -> Place:
    lines = columns.lines  # and not the cells, which would be held as long
    return lambda row: f"line {lines[row]}"


def _without(columns: Iterable[int], at: int) -> list[int]:
    return [column for column in columns if column != at]


def _table(sheet: Sheet, columns: Columns, numbers: list[int], texts: list[int]) -> Table:
    """Return the first columns of each kind as a table."""
    return Table(
        columns=tuple(sheet.names[i] for i in sorted([*numbers, *texts])),
        numeric=np.ascontiguousarray(columns.numeric[:, : len(numbers)]),
        numeric_names=tuple(sheet.names[i] for i in numbers),
        codes=np.ascontiguousarray(columns.codes[:, : len(texts)]),
        text_names=tuple(sheet.names[i] for i in texts),
        vocabularies=columns.vocabularies[: len(texts)],
    )


def _target(sheet: Sheet, columns: Columns, at: int) -> Target:
    """Return the target, the last column of its kind."""
    if sheet.scans[at].first_text is None:
        return Target(sheet.names[at], columns.numeric[:, -1].copy(), None)
    codes = columns.codes[:, -1]
    return Target(sheet.names[at], np.where(codes < 0, np.nan, codes), columns.vocabularies[-1])


def _mixed(sheet: Sheet, texts: list[int]) -> list[str]:
    """Return a warning for each text column in which there are numbers too."""
    found = [(i, sheet.scans[i].first_text) for i in texts if sheet.scans[i].has_number]
    return [
        f"{sheet.place(cell, i)}: {shown(cell.text)} is a text among numbers, so the column is "
        "taken as categories; correct the cell, or make texts an error with --numeric"
        for i, cell in found
        if cell is not None
    ]
