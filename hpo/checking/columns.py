"""The columns of a table one by one, and what their names say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.table import Table
from hpo.data.times import TimeError, read_times

_DATES_READ = 50

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class Feature:
    """A feature column: numbers, or codes of texts; the distinct values are counted once.

    `values` (rows,) without missing cells, `texts` the vocabulary of codes or None.
    """

    def __init__(self, name: str, cells: NDArray[Any], texts: tuple[str, ...] | None) -> None:
        self.name = name
        self.texts = texts
        there = ~np.isnan(cells) if texts is None else cells >= 0
        self.values = cells[there]

    @cached_property
    def distinct(self) -> NDArray[Any]:
        """The values that there are, in order."""
        return np.unique(self.values)

    @property
    def rows_per_value(self) -> float:
        """How often a value stands there, on average; 0 of an empty column."""
        return len(self.values) / max(1, len(self.distinct))

    @cached_property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return self.texts is None and bool((self.values == np.floor(self.values)).all())

    @cached_property
    def is_dates(self) -> bool:
        """Whether it holds texts of which some, spread over all, are dates or times."""
        if self.texts is None or len(self.distinct) < 3:
            return False
        some = self.distinct[:: -(-len(self.distinct) // _DATES_READ)]
        try:
            read_times([self.texts[int(code)] for code in some])
        except TimeError:
            return False
        return True

    @property
    def words(self) -> frozenset[str]:
        """The words of its name: of ``PatientID`` and ``patient_id`` both patient and id."""
        return frozenset(word.lower() for word in _WORDS.findall(self.name))


def features(table: Table) -> Iterator[Feature]:
    """The columns of a table with names; none of images, whose columns are pixels."""
    if table.image_shape is not None:
        return
    for i, name in enumerate(table.numeric_names):
        yield Feature(name, table.numeric[:, i], None)
    for i, name in enumerate(table.text_names):
        yield Feature(name, table.codes[:, i], table.vocabularies[i])
