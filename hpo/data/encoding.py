"""From a table to the float32 rows that a network sees, with what the training rows taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data import plain
from hpo.data.categories import CategoryEncoding
from hpo.data.errors import DataError
from hpo.data.numbers import NumberEncoding
from hpo.data.pixels import PixelEncoding
from hpo.data.target_encoding import TargetEncoding
from hpo.data.wording import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hpo.data.table import Table

    Names = tuple[str, ...]

__all__ = ["Encoding", "TargetEncoding"]

_FORMAT = "hpo.encoding.1"


@dataclass(frozen=True, eq=False)
class Encoding:
    """How a table becomes float32 rows: the numbers first, then the texts, column by column.

    Attributes
    ----------
    numeric_names, text_names : the columns it was fitted on, in order
    image_shape : of the table it was fitted on
    numbers : what becomes of the columns of numbers, or of the pixels
    categories : what becomes of each text column
    """

    numeric_names: tuple[str, ...]
    text_names: tuple[str, ...]
    image_shape: tuple[int, ...] | None
    numbers: NumberEncoding | PixelEncoding
    categories: tuple[CategoryEncoding, ...]

    @classmethod
    def fit(cls, table: Table, rows: NDArray[np.int64]) -> Encoding:
        """Return what the training rows, and no others, teach.

        Raises
        ------
        DataError
            A number is infinite, or no column differs from row to row.
        """
        numbers = _fit_numbers(table, rows)
        categories = tuple(
            CategoryEncoding.fit(codes, vocabulary)
            for codes, vocabulary in zip(table.codes[rows].T, table.vocabularies, strict=True)
        )
        shape = table.image_shape
        encoding = cls(table.numeric_names, table.text_names, shape, numbers, categories)
        if not encoding.n_outputs:
            raise DataError(
                "every feature column is constant or empty on the training rows: nothing to learn "
                "from; give other columns or more rows"
            )
        return encoding

    @property
    def n_outputs(self) -> int:
        """The number of columns of the result."""
        return self.numbers.n_outputs + sum(column.n_outputs for column in self.categories)

    def transform(self, table: Table, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return (len(rows), n_outputs) float32, C-contiguous and finite; all rows if None.

        Raises
        ------
        DataError
            The table has other columns than the one that was fitted.
        """
        self._check_columns(table)
        rows = np.arange(table.n_rows) if rows is None else rows
        out = np.empty((len(rows), self.n_outputs), dtype=np.float32)
        start = self.numbers.n_outputs
        self.numbers.inplace_encode(out[:, :start], table.numeric, rows)
        for i, column in enumerate(self.categories):
            stop = start + column.n_outputs
            column.inplace_encode(out[:, start:stop], table.codes[rows, i], table.vocabularies[i])
            start = stop
        return out

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format": _FORMAT,
            "numeric_names": list(self.numeric_names),
            "text_names": list(self.text_names),
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "numbers": self.numbers.to_json(),
            "categories": [column.to_json() for column in self.categories],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Encoding:
        """Return what `to_json` wrote; DataError when that is damaged or of another format."""
        plain.check_format(record, _FORMAT)
        numeric_names, text_names = (
            plain.texts(record, "numeric_names"),
            plain.texts(record, "text_names"),
        )
        shape = _image_shape(plain.field(record, "image_shape"))
        kind = NumberEncoding if shape is None else PixelEncoding
        numbers = kind.from_json(plain.field(record, "numbers"), len(numeric_names))
        columns = plain.field(record, "categories")
        if not isinstance(columns, list) or len(columns) != len(text_names):
            raise DataError("stored encoding: 'categories' do not fit 'text_names'; it is damaged")
        categories = tuple(CategoryEncoding.from_json(column) for column in columns)
        return cls(numeric_names, text_names, shape, numbers, categories)

    def _check_columns(self, table: Table) -> None:
        ours, theirs = (
            (self.numeric_names, self.text_names),
            (table.numeric_names, table.text_names),
        )
        if ours == theirs and self.image_shape == table.image_shape:
            return
        raise DataError(f"the columns are not those of the training: {_difference(ours, theirs)}")


def _fit_numbers(table: Table, rows: NDArray[np.int64]) -> NumberEncoding | PixelEncoding:
    if table.image_shape is not None:
        return PixelEncoding.fit(table.numeric, rows)
    return NumberEncoding.fit(table.numeric, table.numeric_names, rows)


def _difference(ours: tuple[Names, Names], theirs: tuple[Names, Names]) -> str:
    """Say how columns (numbers, texts) differ; those of an image may differ in shape only."""
    here, trained = set(theirs[0] + theirs[1]), set(ours[0] + ours[1])
    numbers_here, texts_here = set(theirs[0]), set(theirs[1])
    parts = {
        "missing": [name for name in ours[0] + ours[1] if name not in here],
        "unknown": [name for name in theirs[0] + theirs[1] if name not in trained],
        "texts now, numbers then": [name for name in ours[0] if name in texts_here],
        "numbers now, texts then": [name for name in ours[1] if name in numbers_here],
    }
    found = "; ".join(f"{title}: {listed(names)}" for title, names in parts.items() if names)
    return found or "their order or the shape of the images is another"


def _image_shape(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or any(type(side) is not int or side < 1 for side in value):
        raise DataError("stored encoding: 'image_shape' does not hold sizes; it is damaged")
    return tuple(value)
