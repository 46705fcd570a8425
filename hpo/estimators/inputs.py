"""From the features a user gives to what a network sees: float32, on one scale, no outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from hpo.estimators.moments import Values, moments, quantiles

Scaling = Literal["robust", "standard", "none"]
SCALINGS: tuple[Scaling, ...] = ("robust", "standard", "none")

CLIP = 3.0
"""Where smooth clipping levels off (Holzmüller et al. 2024, section 3)."""

FAR = 1e100
"""In units of the factor: as far as this, and beyond, smooth clipping gives `CLIP`."""

BLOCK = 4096
"""Rows that are scaled at once, so that no second copy in float64 stands beside the first."""

LARGEST = float(np.finfo(np.float64).max)
LARGEST_SINGLE = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class InputScaling:
    """Centre and factor of each feature, (features,) float64, and whether outliers are clipped."""

    centre: Values
    factor: Values
    clipped: bool

    @classmethod
    def fit(
        cls,
        X: NDArray[np.floating],
        weights: Values | None,
        scaling: Scaling,
        *,
        jointly: bool = False,
    ) -> Self:
        """Learn the scales of ``X`` (rows, features) with row ``weights`` (rows,).

        ``robust``: the median, and the distance of the quartiles (half the range where that is
        0), then ``x / sqrt(1 + (x / 3)²)`` (Holzmüller et al. 2024, section 3). ``standard``: mean
        and standard deviation. ``none``: as they are. A weight of k counts as k equal rows.
        ``jointly``: one centre and one factor for all features, such as the pixels of images.
        """
        features = X.shape[1]
        if scaling == "none":
            return cls(np.zeros(features), np.ones(features), clipped=False)
        if weights is not None and not weights.all():
            X, weights = X[weights > 0], weights[weights > 0]
        if jointly:
            X = X.reshape(-1, 1)
            weights = None if weights is None else np.repeat(weights, features)
        centre, factor = (_robust if scaling == "robust" else _standard)(X, weights)
        return cls(
            np.broadcast_to(centre, features).copy(),
            np.broadcast_to(factor, features).copy(),
            clipped=scaling == "robust",
        )

    def transform(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """``X`` (rows, features) scaled, float32, finite and contiguous."""
        out = np.empty(X.shape, dtype=np.float32)
        with np.errstate(over="ignore"):
            for start in range(0, len(X), BLOCK):
                block = X[start : start + BLOCK] - self.centre
                # An infinite difference times a factor of 0 would be no number.
                np.clip(block, -LARGEST, LARGEST, out=block)
                block *= self.factor
                if self.clipped:
                    np.clip(block, -FAR, FAR, out=block)
                    block /= np.sqrt(1 + np.square(block / CLIP))
                out[start : start + BLOCK] = np.clip(block, -LARGEST_SINGLE, LARGEST_SINGLE)
        return out


def _standard(X: NDArray[np.floating], weights: Values | None) -> tuple[Values, Values]:
    mean, deviation = moments(X, weights)
    return mean, _inverse(deviation)


def _robust(X: NDArray[np.floating], weights: Values | None) -> tuple[Values, Values]:
    low, median, high = quantiles(X, weights, (0.25, 0.5, 0.75))
    least, greatest = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    # In halves, because the distance of two large numbers may be too large.
    of_quartiles = _inverse(high / 2 - low / 2) / 2
    return median, np.where(high > low, of_quartiles, _inverse(greatest / 2 - least / 2))


def _inverse(spread: Values) -> Values:
    """1 / spread, and 0 for a constant feature, which says nothing."""
    with np.errstate(over="ignore"):
        inverse = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.minimum(inverse, LARGEST)
