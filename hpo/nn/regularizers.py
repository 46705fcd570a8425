"""What keeps weights small and units independent: penalties, decay, max-norm, dropout.

Strengths have the shape (members,); biases and normalisation are never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Floats

PerMember = NDArray[np.float64]
SMALL_NORM = 1e-15
"""A norm between this and its inverse has squares that float32 can hold."""

DROPOUT_LEVELS = 1 << 16
"""A rate is a whole number of these: 16 random bits decide over a unit."""


def penalty(weights: Iterable[Floats], l1: PerMember, l2: PerMember) -> PerMember:
    """``l1 * sum|w| + l2 / 2 * sum w²`` over all layers' weights, (members,).

    Both together are the elastic net (Zou & Hastie 2005, equation 3).
    """
    total = np.zeros(len(l1))
    for each in weights:
        flat = each.reshape(len(l1), -1).astype(np.float64)
        total += l1 * np.abs(flat).sum(axis=1) + l2 / 2 * np.square(flat).sum(axis=1)
    return total


def inplace_penalty_gradient(
    gradient: Floats, weights: Floats, l1: PerMember, l2: PerMember
) -> None:
    """``g <- g + l1 * sign(w) + l2 * w``, both (members, inputs, outputs).

    Where a strength is 0 the gradient is left as it is, whatever the weights are.
    """
    if l1.any():
        some = _present(l1)
        gradient[some] += _like(l1[some], weights) * np.sign(weights[some])
    if l2.any():
        some = _present(l2)
        gradient[some] += _like(l2[some], weights) * weights[some]


def _present(strength: PerMember) -> slice | NDArray[np.bool_]:
    """Which members have a strength: all of them without a copy, if so."""
    there = strength != 0
    return slice(None) if there.all() else there


def inplace_weight_decay(weights: Floats, kept: Floats) -> None:
    """Decoupled: ``w <- (1 - lr * decay) * w`` (Loshchilov & Hutter 2019, algorithm 2, line 12).

    ``kept`` (members,) is that factor.
    """
    weights *= kept[:, None, None]


def inplace_max_norm(weights: Floats, largest: PerMember) -> None:
    """Scale down a unit's incoming weights if their norm is above ``largest`` (members,).

    Srivastava et al. 2014, section 5.1; an infinite ``largest`` leaves all as it is.
    """
    norms = np.sqrt(np.square(weights).sum(axis=1, keepdims=True))
    limit = _like(largest, weights)
    weights *= np.where(norms > limit, limit / norms, 1)


def inplace_clip(gradient: Floats, norms: Floats, largest: PerMember) -> None:
    """Scale down a member's whole gradient if its norm is above ``largest`` (members,).

    Pascanu et al. 2013, algorithm 1. ``gradient`` (members, n), ``norms`` (members,).
    """
    gradient *= np.where(norms > largest, largest / norms, 1).astype(gradient.dtype)[:, None]


def norms_of(gradient: Floats) -> PerMember:
    """Euclidean norm of each member's ``gradient`` (members, n), shape (members,)."""
    squares = (gradient[:, None, :] @ gradient[:, :, None])[:, 0, 0]
    norms = np.sqrt(squares.astype(np.float64))
    # Squares of large and of small numbers leave the range of float32.
    for member in np.flatnonzero(~((norms > SMALL_NORM) & (norms < 1 / SMALL_NORM))):
        norms[member] = np.sqrt(np.square(gradient[member], dtype=np.float64).sum())
    return norms


def draw_dropout(
    masks: Sequence[Floats], rates: PerMember, generators: Sequence[np.random.Generator]
) -> None:
    """Fill ``masks`` (members, rows, units), one of each hidden layer, for one batch.

    A unit is dropped with its layer's rate, ``rates`` (members, layers); what stays is divided by
    the share that stays (inverted dropout, Srivastava et al. 2014, section 10), so that inference
    needs nothing. Each member draws from its own generator.
    """
    dropped = np.rint(rates * DROPOUT_LEVELS).astype(np.int64)
    for member, generator in enumerate(generators):
        for mask, level in zip(masks, dropped[member], strict=True):
            if level == 0:
                mask[member] = 1
                continue
            draws = generator.integers(DROPOUT_LEVELS, size=mask.shape[1:], dtype=np.uint16)
            share = mask.dtype.type(DROPOUT_LEVELS / (DROPOUT_LEVELS - level))
            np.multiply(draws >= level, share, out=mask[member])


def _like(values: PerMember, weights: Floats) -> Floats:
    return values.astype(weights.dtype)[:, None, None]
