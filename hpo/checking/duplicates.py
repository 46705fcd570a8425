"""Rows with the same features in two parts of the split, and rows that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.checking.finding import Finding, Level
from hpo.checking.subject import Part, Subject
from hpo.data.table import Table
from hpo.data.wording import counted

FEW, MANY = 0.01, 0.25
"""Shares of a part's rows that stand in an earlier part too: from these on it is no coincidence."""

FEWEST = 3
"""Fewer rows than these change no score that could be told from another."""

MOST_ROWS = 20
"""So many rows are named."""

_BLOCK = 4096

CHECK = "duplicates"


def check_duplicates(subject: Subject) -> Iterator[Finding]:
    """Rows of the validation and test part whose features all stand in an earlier part too.

    A network that has learnt them by heart is right about them, and its score says nothing of new
    rows. Targets are not looked at.
    """
    vocabularies = _vocabularies(subject.parts)
    keys = [row_keys(part.table, part.rows, vocabularies) for part in subject.parts]
    found = False
    for place in range(1, len(keys)):
        part = subject.parts[place]
        is_copy = np.isin(keys[place], np.concatenate(keys[:place]))
        if is_copy.any():
            found = True
            before = " or ".join(each.name for each in subject.parts[:place])
            yield _copies(part, part.rows[is_copy], before)
    if not found:
        yield Finding("ok", CHECK, "no row stands in two parts of the split")


def _copies(part: Part, rows: NDArray[np.int64], before: str) -> Finding:
    share = len(rows) / len(part.rows)
    level: Level = "note"
    if len(rows) >= FEWEST and share >= FEW:
        level = "problem" if share >= MANY else "warning"
    which = f"row {rows[0]}" if len(rows) == 1 else f"the first is row {rows[0]}"
    return Finding(
        level,
        CHECK,
        f"{len(rows):,} of {counted(len(part.rows), f'{part.name} row')} "
        f"{'has' if len(rows) == 1 else 'have'} the features of a {before} row ({which}, counted "
        "from 0)",
        "delete copies, or keep the rows of one thing together with --group",
        rows=tuple(rows[:MOST_ROWS].tolist()),
    )


def check_contradictions(subject: Subject) -> Iterator[Finding]:
    """Rows for training and validation with the same features and different classes."""
    if subject.task != "classification":
        return
    rows, table = subject.known, subject.dataset.features
    keys = row_keys(table, rows, table.vocabularies)
    key = np.unique(keys, return_inverse=True)[1]
    classes = np.unique(subject.dataset.target.values[rows], return_inverse=True)[1]
    n_classes = int(classes.max()) + 1
    pairs, count = np.unique(key * n_classes + classes, return_counts=True)
    most = np.zeros(int(key.max()) + 1, dtype=np.int64)
    np.maximum.at(most, pairs // n_classes, count)
    wrong = len(rows) - int(most.sum())
    if wrong:
        per_key = np.bincount(pairs // n_classes)
        odd = rows[per_key[key] > 1]
        yield Finding(
            "note",
            "contradictions",
            f"{counted(len(odd), 'row')} have the features of others of another class: no network "
            f"can be right on more than {most.sum() / len(rows):.1%} of these rows",
            "correct their classes, or add a column that tells them apart",
            rows=tuple(odd[:MOST_ROWS].tolist()),
        )


def row_keys(
    table: Table, rows: NDArray[np.int64], vocabularies: tuple[tuple[str, ...], ...]
) -> NDArray[np.int64]:
    """A number for each of the rows, equal for equal cells; (len(rows),).

    `vocabularies` has the texts of each text column, of this table and of those that it is compared
    with. Python's hash of a row's bytes has 64 bits: that two different rows of a million share one
    has a chance of about 1 in 40 million.
    """
    codes = np.empty((len(rows), len(vocabularies)), dtype=np.int64)
    for i, (own, texts) in enumerate(zip(table.vocabularies, vocabularies, strict=True)):
        place = {text: number for number, text in enumerate(texts)}
        codes[:, i] = np.array([*map(place.__getitem__, own), -1])[table.codes[rows, i]]
    keys = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        numbers = _comparable(table.numeric[rows[block]])
        pairs = zip(numbers, codes[block], strict=True)
        keys[block] = [hash(cells.tobytes() + texts.tobytes()) for cells, texts in pairs]
    return keys


def _comparable(numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers whose bytes are equal where they are: one zero, and one of the many NaNs."""
    if numbers.dtype == np.uint8:
        return numbers
    same: NDArray[Any] = numbers.astype(np.float64) + 0.0
    same[np.isnan(same)] = np.nan
    return same


def _vocabularies(parts: tuple[Part, ...]) -> tuple[tuple[str, ...], ...]:
    """The texts of each column in any of the parts' tables."""
    tables = {id(part.table): part.table for part in parts}.values()
    return tuple(
        tuple(dict.fromkeys(text for own in alike for text in own))
        for alike in zip(*(table.vocabularies for table in tables), strict=True)
    )
