"""Losses of rows, added up so that a member's sums do not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.losses import LOSSES, Target, weighted_sums
from hpo.nn.names import find

PerMember = NDArray[np.float64]
Targets = tuple[Target, ...]
"""One for each head: (rows,) classes or (rows, outputs) values."""

RowLoss = Callable[[Floats, Targets], Floats]
"""Predictions (members, rows, outputs) and targets -> losses (members, rows)."""

WholeLoss = Callable[[int, NDArray[np.int64], Floats], PerMember]
"""Epoch, from 0, places (members,) in the stack as it began, and predictions (members, rows,
outputs) of the validation rows -> a loss of each member, (members,), that is no mean over rows; NaN
where it was not measured."""


def row_losses(architecture: Architecture, prediction: Floats, targets: Targets) -> Floats:
    """The weighted sum of the heads' losses of each row, float64 (members, rows)."""
    total = np.zeros(prediction.shape[:2])
    heads = zip(architecture.heads, architecture.head_slices, targets, strict=True)
    for head, where, target in heads:
        part = prediction[..., where]
        if target.ndim > 1:  # a sum over the outputs follows
            part = np.ascontiguousarray(part)
        total += head.weight * find(LOSSES, head.loss, "loss").row_loss(part, target)
    return total


def sums(
    architecture: Architecture,
    prediction: Floats,
    targets: Targets,
    weights: Floats | None,
    row_loss: RowLoss | None,
) -> PerMember:
    """Sums over rows of the loss, of ``row_loss`` (NaN without one) and of the weights.

    ``prediction`` (members, rows, outputs), in any layout; shape (3, members).
    """
    if prediction.shape[1] == 1:
        # Of one row of one member the outputs are all that there is, and NumPy would add them up in
        # another order than those of several members.
        prediction = np.ascontiguousarray(prediction)
    losses = [row_losses(architecture, prediction, targets)]
    if row_loss is not None:
        losses.append(row_loss(prediction, targets))
    added = [_added(each, weights) for each in losses]
    nothing = np.full(len(prediction), np.nan)
    weight = added[0][1]
    return np.stack([added[0][0], added[1][0] if row_loss is not None else nothing, weight])


def _added(losses: Floats, weights: Floats | None) -> tuple[PerMember, PerMember]:
    if weights is not None:
        return weighted_sums(losses, weights)
    members, rows = losses.shape
    # NumPy adds in an order that depends on the strides, and indexing leaves strides that depend on
    # the number of members; one layout gives each member the same sum in any stack.
    ordered = np.ascontiguousarray(losses, dtype=np.float64)
    return ordered.sum(axis=1), np.full(members, float(rows))


def means(
    architecture: Architecture,
    prediction: Floats,
    targets: Targets,
    weights: Floats | None,
    row_loss: RowLoss | None,
) -> tuple[PerMember, PerMember]:
    """The mean loss and the mean row loss of rows in full, (members,) each."""
    return means_of(sums(architecture, prediction, targets, weights, row_loss))


def means_of(added: PerMember) -> tuple[PerMember, PerMember]:
    """The means, from what `sums` gave or several of them added up.

    Where no row counts they are 0, or NaN if there is no ``row_loss``.
    """
    loss, measure, weight = added
    return _mean(loss, weight), _mean(measure, weight)


def _mean(total: PerMember, weight: PerMember) -> PerMember:
    # 0 times what is no number stays that.
    return np.divide(total, weight, out=0 * total, where=weight > 0)


def shares_of(
    weights: Floats | None, rows: Sequence[int] | NDArray[np.int64], dtype: type
) -> Floats:
    """Each row's share of a batch, (1 or members, 1, rows): its weight over their sum."""
    if weights is None:
        return np.full((1, 1, len(rows)), 1 / len(rows), dtype=dtype)
    # In one layout, so that a member's weights are added in one order.
    chosen = np.ascontiguousarray(np.atleast_2d(weights[..., rows]), dtype=np.float64)
    total = chosen.sum(axis=1, keepdims=True)
    shares = np.divide(chosen, total, out=np.zeros_like(chosen), where=total > 0)
    narrow: Floats = shares.astype(dtype)[:, None]
    return narrow
