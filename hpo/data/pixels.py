"""Images: one mean and one deviation for all pixels.

A statistic for each pixel would blow up those of the border, which differ from zero once in a
thousand images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data import plain
from hpo.data.errors import DataError
from hpo.data.numbers import CLIP, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class PixelEncoding:
    """Mean and deviation of all pixels of the training images, and the number of pixels."""

    n_outputs: int
    mean: float
    deviation: float

    @classmethod
    def fit(cls, numeric: NDArray[Any], rows: NDArray[np.int64]) -> PixelEncoding:
        """Return the statistics of `rows` of `numeric` (all rows, pixels).

        Raises
        ------
        DataError
            All pixels are equal, or one is not finite.
        """
        n_pixels = numeric.shape[1]
        size = len(rows) * n_pixels

        def images() -> Iterator[NDArray[np.float64]]:
            for block in blocks(len(rows), n_pixels):
                yield numeric[rows[block]].astype(np.float64)

        with np.errstate(over="ignore", invalid="ignore"):
            mean = sum(float(block.sum()) for block in images()) / size
            variance = sum(float(np.square(block - mean).sum()) for block in images()) / size
        if not 0 < variance < np.inf:
            raise DataError("the pixels of the training images are all equal, or not all finite")
        return cls(n_pixels, mean, variance**0.5)

    def inplace_encode(
        self, out: NDArray[np.float32], numeric: NDArray[Any], rows: NDArray[np.int64]
    ) -> None:
        """Write the outputs of `rows` into `out` (len(rows), n_outputs)."""
        for block in blocks(len(rows), self.n_outputs):
            centred = numeric[rows[block]].astype(np.float64) - self.mean
            out[block] = np.clip(centred / self.deviation, -CLIP, CLIP)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"mean": [self.mean], "deviation": [self.deviation]}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], n_pixels: int) -> PixelEncoding:
        """Return what `to_json` wrote; DataError when the record is damaged."""
        mean = plain.numbers(record, "mean", 1)
        deviation = plain.deviations(record, "deviation", 1)
        return cls(n_pixels, float(mean[0]), float(deviation[0]))
