"""Columns that give the target away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.checking.dependence import Floats, Outcome, dependence
from hpo.checking.finding import Finding, Level
from hpo.checking.subject import Subject
from hpo.data.table import Table
from hpo.data.wording import shown

GIVEN_AWAY, NEARLY = 0.97, 0.9
"""From these dependences on (see `hpo.checking.dependence`) a column is told of."""

ROWS = 2000
"""Rows that are looked at, drawn from those for training and validation."""

MOST_COLUMNS = 8
"""So many columns are named, the worst."""

_LEAST_VARIED = 10
_COLUMNS_AT_ONCE = 256

CHECK = "giveaway"


def check_giveaway(subject: Subject) -> Iterator[Finding]:
    """Columns from each of which alone the target follows, wholly or nearly.

    Such a column is often written down after the target, or made of it, and will not be there when
    predictions are needed. Test rows are not looked at.
    """
    rng = np.random.default_rng(0)  # of the rows that are looked at, and of ties
    rows = rng.permutation(subject.known)[:ROWS]
    table = subject.dataset.features
    target = subject.dataset.target.values[rows]
    n_columns = len(table.columns)
    if _varied(target) < least_varied(n_columns):
        yield Finding("ok", CHECK, "too few rows to tell whether a column gives the target away")
        return
    is_class = subject.task == "classification"
    outcome = Outcome.of_classes(target) if is_class else Outcome.of_quantity(target)
    found = dependences(table, rows, outcome)
    worst = sorted(found, key=lambda name: -found[name])[:MOST_COLUMNS]
    told = [name for name in worst if found[name] >= NEARLY]
    yield from (_given_away(name, found[name], subject) for name in told)
    if not told:
        yield Finding("ok", CHECK, "no column alone gives the target away")


def least_varied(n_columns: int) -> float:
    """So many rows must differ from the most frequent value, or chance alone may look like a leak.

    Of 20 rows half of which are of each class, an order by chance separates them with a probability
    of 2 / (20 choose 10), about 1 in 90,000; four times the columns take two rows more of each.
    """
    return _LEAST_VARIED + 2 * math.log2(max(1, n_columns))


def dependences(table: Table, rows: NDArray[np.int64], outcome: Outcome) -> dict[str, float]:
    """How far the outcome of the rows follows from each column; without those that cannot tell."""
    found: dict[str, float] = {}
    for start in range(0, len(table.numeric_names), _COLUMNS_AT_ONCE):
        names = table.numeric_names[start : start + _COLUMNS_AT_ONCE]
        numbers = table.numeric[rows, start : start + _COLUMNS_AT_ONCE].astype(np.float64)
        found |= zip(names, dependence(numbers, outcome).tolist(), strict=True)
    for i, name in enumerate(table.text_names):
        codes: Floats = table.codes[rows, i : i + 1].astype(np.float64)
        found[name] = float(dependence(codes, outcome, ordered=False)[0])
    return {name: value for name, value in found.items() if not np.isnan(value)}


def _varied(target: NDArray[Any]) -> int:
    """How many rows differ from the most frequent value."""
    return len(target) - int(np.unique(target, return_counts=True)[1].max())


def _given_away(name: str, value: float, subject: Subject) -> Finding:
    target = shown(subject.dataset.target.name)
    level: Level = "problem" if value >= GIVEN_AWAY else "note"
    how = "follows from it alone" if level == "problem" else "nearly follows from it alone"
    return Finding(
        level,
        CHECK,
        f"{shown(name)}: {target} {how} (dependence {value:.3f} of 1)",
        "delete the column, unless it is known before the target is",
        columns=(name,),
    )
