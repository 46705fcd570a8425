"""Batch normalisation (Ioffe & Szegedy 2015), with rows that may have weights.

Statistics are weighted means over the rows of a batch: ``shares`` (1 or members, 1, rows) are the
weights divided by their sum, 1 / rows for rows that count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats, Layer, Moving

Doubles = NDArray[np.float64]

EPSILON = 1e-5
"""Added to variances, as in most libraries."""

MOMENTUM = 0.9
"""What a moving statistic keeps of itself at each full batch, once it has seen ten."""


@dataclass(frozen=True)
class Normalized:
    """What the backward pass needs: (members, rows, units) and (members, 1, units)."""

    values: Floats
    inverse_deviation: Floats

    def first(self, members: int, rows: int) -> Normalized:
        """Views for fewer members or rows."""
        return Normalized(self.values[:members, :rows], self.inverse_deviation[:members])


def statistics_rate(present: Doubles, seen: Doubles, batch_size: int) -> Doubles:
    """How far moving statistics go towards those of a batch.

    ``present`` of the batch's rows have a weight, ``seen`` rows had one so far, these included. A
    plain mean over the first rows, so that nothing of the initial values is left in it; later a
    batch counts as far as it is full.
    """
    share = np.divide(present, seen, out=np.zeros_like(seen), where=seen > 0)
    rate: Doubles = np.maximum(share, (1 - MOMENTUM) * present / batch_size)
    return rate


def inplace_normalize(
    z: Floats, layer: Layer, shares: Floats, kept: Normalized, moving: Moving, rate: Floats
) -> None:
    """Normalise ``z`` (members, rows, units) by its own statistics (algorithm 1).

    Overwrites ``kept`` for the backward pass and moves ``moving`` by ``rate`` (members or 1, 1, 1).
    """
    values, inverse = kept.values, kept.inverse_deviation
    mean = shares @ z
    np.subtract(z, mean, out=values)
    np.square(values, out=z)
    variance = shares @ z
    moving.mean[...] += rate * (mean - moving.mean)
    moving.variance[...] += rate * (variance - moving.variance)
    variance += EPSILON
    np.reciprocal(np.sqrt(variance, out=inverse), out=inverse)
    values *= inverse
    np.multiply(values, layer.scale, out=z)
    z += layer.shift


def inplace_normalize_by_moving(z: Floats, layer: Layer, moving: Moving) -> None:
    """Normalise ``z`` by the moving statistics, as inference does (algorithm 2, step 11)."""
    factor = layer.scale / np.sqrt(moving.variance + z.dtype.type(EPSILON))
    z *= factor
    z += layer.shift - moving.mean * factor


def inplace_normalize_delta(
    delta: Floats, layer: Layer, gradient: Layer, shares: Floats, kept: Normalized, scratch: Floats
) -> None:
    """Carry ``delta`` back through the normalisation; write the gradients of scale and shift.

    With shares s and normalised values x the derivative is
    ``scale / deviation * (d - s * sum(d) - s * x * sum(d * x))``: section 3's chain rule with
    weighted means in the place of means.
    """
    ones = np.ones((1, delta.shape[1]), dtype=delta.dtype)
    by_row = shares.swapaxes(1, 2)
    np.multiply(delta, kept.values, out=scratch)
    gradient.scale[...] = ones @ scratch
    gradient.shift[...] = ones @ delta
    np.multiply(kept.values, gradient.scale, out=scratch)
    scratch += gradient.shift
    scratch *= by_row
    delta -= scratch
    delta *= layer.scale * kept.inverse_deviation
