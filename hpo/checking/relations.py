"""Rows that have to do with each other: of one group, or of neighbouring times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from hpo.checking.columns import Feature
from hpo.checking.finding import Finding
from hpo.checking.identifiers import identifies
from hpo.checking.subject import Subject
from hpo.data.steering import SplitColumn
from hpo.data.wording import counted, shown

_THINGS = (
    "id ids uid uuid patient subject user customer client person participant group household "
    "family session machine device sensor site hospital clinic school author speaker writer "
    "donor animal store shop driver player vehicle "
)
GROUPS = frozenset(_THINGS.split())
"""Words in the name of a column whose values stand for things that rows are of."""

TIMES = frozenset(["date", "datetime", "time", "timestamp", "year"])
"""Words in the name of a column of times."""

MANY_TEXTS = 20
"""So many texts, each in several rows, may be names of things that rows are of."""

EARLIEST, LATEST = 631_152_000, 2_051_222_400
"""Seconds since 1970 of 1990 and of 2035: whole numbers between them may be times."""

CHECK = "relations"


def check_relations(subject: Subject, columns: Sequence[Feature]) -> Iterator[Finding]:
    """What keeps rows of a group or time together; without it, columns that look as if they should.

    A column is told of as one of groups if its name says so and its values repeat.
    """
    steering = subject.dataset.steering
    if steering is not None:
        yield _kept(subject, steering)
        return
    told = [found for each in columns if (found := _suspicion(each))]
    yield from told
    if not told:
        yield Finding("ok", CHECK, "no column looks like a group of rows or a time")


def _suspicion(column: Feature) -> Finding | None:
    if identifies(column) or len(column.distinct) < 3:
        return None
    return _time(column) or _group(column)


def _time(column: Feature) -> Finding | None:
    name = shown(column.name)
    advice = f"if new rows will be later ones, split by --time {column.name}"
    if column.is_dates:
        what = f"{name}: dates, which are taken for {len(column.distinct):,} categories"
        return Finding("warning", CHECK, what, advice, (column.name,))
    if not column.is_whole:
        return None
    is_moment = EARLIEST <= float(column.distinct[0]) <= float(column.distinct[-1]) <= LATEST
    if column.words & TIMES or (is_moment and len(column.distinct) > MANY_TEXTS):
        return Finding("note", CHECK, f"{name}: looks like a time", advice, (column.name,))
    return None


def _group(column: Feature) -> Finding | None:
    if column.rows_per_value < 2 or not (column.is_whole or column.texts is not None):
        return None
    many = f"{len(column.distinct):,} values in {column.rows_per_value:.1f} rows each"
    by_group = f"keep them together with --group {column.name}"
    if column.words & GROUPS:
        what = f"{shown(column.name)}: looks like a group, {many}, split over the parts"
        advice = f"if rows of one are alike, {by_group}"
        return Finding("warning", CHECK, what, advice, (column.name,))
    if column.texts is not None and len(column.distinct) >= MANY_TEXTS:
        advice = f"if new rows will have others, {by_group}"
        what = f"{shown(column.name)}: {many}"
        return Finding("note", CHECK, what, advice, (column.name,))
    return None


def _kept(subject: Subject, steering: SplitColumn) -> Finding:
    """That no group is in two parts, or that each part is later than the one before."""
    split = subject.split
    name, columns = shown(steering.column.name), (steering.column.name,)
    parts = [rows for rows in (split.train, split.validation, split.test) if len(rows)]
    keys = [np.unique(steering.keys[rows]) for rows in parts]
    if steering.kind == "group":
        both = sum(map(len, keys)) - len(np.unique(np.concatenate(keys)))
        fault = f"{counted(both, 'group')} in two parts" if both else ""
        well = f"{name}: no group stands in two parts"
    else:
        is_late = all(late[0] > early[-1] for early, late in pairwise(keys))
        fault = "" if is_late else "a part begins before an earlier one ends"
        well = f"{name}: each part is later than the one before"
    if fault:
        return Finding("problem", CHECK, f"{name}: {fault}", "begin a new study", columns)
    return Finding("ok", CHECK, well, columns=columns)
