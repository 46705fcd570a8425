"""Columns that say which row it is, and nothing about rows to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hpo.checking.columns import Feature
from hpo.checking.finding import Finding
from hpo.data.wording import shown

FEWEST_ROWS = 20
"""Of fewer rows any column may have a value of its own in each."""

NEARLY_ALL = 0.95
"""A share of rows with a text of their own from which on texts tell rows apart."""

CHECK = "identifiers"

_ADVICE = "delete the column: it says nothing about new rows"


def check_identifiers(columns: Sequence[Feature]) -> Iterator[Finding]:
    """Texts that differ in every row, and running numbers."""
    found = [each for each in columns if identifies(each)]
    for each in found:
        kind = "a running number" if each.texts is None else "a text of its own in nearly every row"
        if each.texts is not None and len(each.distinct) == len(each.values):
            kind = "a text of its own in every row"
        yield Finding("warning", CHECK, f"{shown(each.name)}: {kind}", _ADVICE, (each.name,))
    if not found:
        yield Finding("ok", CHECK, "no column is a row's name or number")


def identifies(column: Feature) -> bool:
    """Whether a column tells rows apart by a name or a number."""
    n_rows, distinct = len(column.values), column.distinct
    if n_rows < FEWEST_ROWS:
        return False
    if column.texts is not None:
        return len(distinct) >= NEARLY_ALL * n_rows and not column.is_dates
    return len(distinct) == n_rows and column.is_whole and _is_running(column)


def _is_running(column: Feature) -> bool:
    """Whether whole numbers without a second have no gap, or go up or down row by row."""
    if float(column.distinct[-1]) - float(column.distinct[0]) == len(column.values) - 1:
        return True
    steps = np.diff(column.values.astype(np.float64))
    return bool((steps > 0).all() or (steps < 0).all())
