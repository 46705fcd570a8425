"""Columns of numbers: filled by the median, standardised, clipped, with a flag where missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data import plain
from hpo.data.errors import DataError
from hpo.data.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CLIP = 6.0
"""Standardised values are held within ±6: one wild cell must not rule a row."""

_ATTRIBUTES = ("median", "mean", "deviation", "varies", "flagged")
_BLOCK = 2**21  # cells worked on at once, so that the temporary arrays stay small


@dataclass(frozen=True, eq=False)
class NumberEncoding:
    """Statistics of the training rows, (n_columns,) each.

    Attributes
    ----------
    median, mean, deviation : in the column's units; mean and deviation are those after filling
    varies : whether the column has an output; it has none if constant or all missing in training
    flagged : whether an output says where cells are missing; if some, not all, were in training
    """

    median: Floats
    mean: Floats
    deviation: Floats
    varies: NDArray[np.bool_]
    flagged: NDArray[np.bool_]

    @classmethod
    def fit(
        cls, numeric: NDArray[Any], names: tuple[str, ...], rows: NDArray[np.int64]
    ) -> NumberEncoding:
        """Return the statistics of `rows` of `numeric` (all rows, n_columns).

        Raises
        ------
        DataError
            A training cell is infinite.
        """
        parts = [
            cls._fit_block(numeric[rows, block].astype(np.float64), names[block])
            for block in blocks(len(names), len(rows))
        ]
        return cls(*(np.concatenate([getattr(part, key) for part in parts]) for key in _ATTRIBUTES))

    @classmethod
    def _fit_block(cls, values: Floats, names: tuple[str, ...]) -> NumberEncoding:
        _refuse_infinite(values, names)
        missing = np.isnan(values)
        median = _median(values, len(values) - missing.sum(axis=0))
        filled = np.where(missing, median, values)
        mean, deviation = mean_and_deviation(filled)
        varies = np.asarray((filled.min(axis=0) < filled.max(axis=0)) & (deviation > 0))
        flagged = np.asarray(missing.any(axis=0) & ~missing.all(axis=0))
        return cls(median, mean, np.where(varies, deviation, 1.0), varies, flagged)

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return int(self.varies.sum() + self.flagged.sum())

    def inplace_encode(
        self, out: NDArray[np.float32], numeric: NDArray[Any], rows: NDArray[np.int64]
    ) -> None:
        """Write the outputs of `rows` into `out` (len(rows), n_outputs)."""
        n_values = int(self.varies.sum())
        for block in blocks(len(rows), numeric.shape[1]):
            values = numeric[rows[block]]
            missing = np.isnan(values)
            out[block, :n_values] = self._standardised(np.where(missing, self.median, values))
            out[block, n_values:] = missing[:, self.flagged]

    def _standardised(self, values: Floats) -> Floats:
        """Return the columns that vary; by halves, so that a difference cannot overflow."""
        with np.errstate(over="ignore"):  # a quotient may, and is clipped like any large value
            centred = values[:, self.varies] / 2 - self.mean[self.varies] / 2
            return np.clip(centred / self.deviation[self.varies] * 2, -CLIP, CLIP)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name).tolist() for name in _ATTRIBUTES}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], n_columns: int) -> NumberEncoding:
        """Return what `to_json` wrote; DataError when the record is damaged."""
        return cls(
            plain.numbers(record, "median", n_columns),
            plain.numbers(record, "mean", n_columns),
            plain.deviations(record, "deviation", n_columns),
            plain.flags(record, "varies", n_columns),
            plain.flags(record, "flagged", n_columns),
        )


def blocks(n: int, width: int) -> Iterator[slice]:
    """Cut `n` rows (or columns) of `width` cells into slices, one or more, of two million cells."""
    step = max(1, _BLOCK // max(1, width))
    return (slice(start, min(start + step, n)) for start in range(0, max(1, n), step))


def mean_and_deviation(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation over the first axis, without overflow on the way."""
    _, exponent = np.frexp(np.abs(values).max(axis=0))
    scaled = np.ldexp(values, -exponent)  # into [-1, 1], exactly
    return np.ldexp(scaled.mean(axis=0), exponent), np.ldexp(scaled.std(axis=0), exponent)


def _refuse_infinite(values: Floats, names: tuple[str, ...]) -> None:
    infinite = [names[i] for i in np.flatnonzero(np.isinf(values).any(axis=0))]
    if infinite:
        raise DataError(f"infinite numbers in {listed(infinite)}: correct or empty these cells")


def _median(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return the median of the `counts` cells of each column that are there; 0 if none is."""
    ordered = np.sort(values, axis=0)  # NaN last
    column = np.arange(values.shape[1])
    low = ordered[(counts - 1) // 2, column]
    high = ordered[counts // 2, column]
    return np.where(counts > 0, low / 2 + high / 2, 0.0)
