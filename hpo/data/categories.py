"""A column of texts: one output for each frequent category, one for all the rare ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data import plain
from hpo.data.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CATEGORIES = 100
"""More categories than this share one output."""


@dataclass(frozen=True)
class CategoryEncoding:
    """The categories of the training rows; matched by text, for each table has its own codes.

    Attributes
    ----------
    categories : those with an output of their own; None is the missing cell
    has_rare : whether there is a last output, for any other category
    """

    categories: tuple[str | None, ...]
    has_rare: bool

    @classmethod
    def fit(cls, codes: NDArray[np.int32], vocabulary: tuple[str, ...]) -> CategoryEncoding:
        """Return the categories of the training cells, `codes` (rows,); none if all are alike."""
        counts = np.bincount(codes + 1, minlength=len(vocabulary) + 1)
        n_missing, counts = counts[0], counts[1:]
        by_count = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        kept: list[str | None] = [vocabulary[i] for i in sorted(by_count[:MOST_CATEGORIES])]
        if n_missing:
            kept.append(None)
        if len(kept) == 1:
            return cls((), has_rare=False)
        return cls(tuple(kept), has_rare=len(by_count) > MOST_CATEGORIES)

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return len(self.categories) + self.has_rare

    def inplace_encode(
        self, out: NDArray[np.float32], codes: NDArray[np.int32], vocabulary: tuple[str, ...]
    ) -> None:
        """Write zeros and ones into `out` (rows, n_outputs) for `codes` (rows,)."""
        place = {category: i for i, category in enumerate(self.categories)}
        other = len(self.categories) if self.has_rare else -1
        # Code -1, a missing cell, finds the last entry.
        output_of_code = np.array([place.get(text, other) for text in (*vocabulary, None)])
        output = output_of_code[codes]
        out[:] = 0
        row = np.flatnonzero(output >= 0)
        out[row, output[row]] = 1

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"categories": list(self.categories), "has_rare": self.has_rare}

    @classmethod
    def from_json(cls, record: object) -> CategoryEncoding:
        """Return what `to_json` wrote; DataError when the record is damaged."""
        categories, has_rare = plain.field(record, "categories"), plain.field(record, "has_rare")
        sound = (
            isinstance(has_rare, bool)
            and isinstance(categories, list)
            and all(category is None or isinstance(category, str) for category in categories)
            and len(set(categories)) == len(categories)
        )
        if not sound:
            raise DataError("stored encoding: 'categories' are not distinct texts; it is damaged")
        return cls(tuple(categories), has_rare)
