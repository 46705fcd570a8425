"""To leave out the members that an ensemble does as well without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.combining import Combiner, contributions, nested_loss, of_members
from ensembles.losses import TIE, Values


@dataclass(frozen=True)
class Pruned:
    """The members that are ``kept``, rising, and those that were ``dropped``, in this order.

    ``losses``: of held-out rows with all members, and after each that was dropped.
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    losses: tuple[float, ...]


def prune(
    combiner: Combiner,
    predictions: NDArray[Any],
    y: NDArray[Any],
    folds: NDArray[np.int64],
    *,
    classes: bool,
    sample_weight: NDArray[Any] | None = None,
    costs: NDArray[Any] | None = None,
) -> Pruned:
    """Drop members, one by one, as long as the loss of held-out rows does not rise.

    Parameters
    ----------
    combiner : what combines those that are left
    predictions : (members, rows, outputs), of rows that no member was trained on
    y : class indices (rows,) if ``classes``, else values (rows, outputs)
    folds : (rows,) from 0; see `ensembles.combining.held_out_predictions`
    sample_weight : (rows,)
    costs : (members,), such as a column of `ensembles.value.costs`

    Each time that member goes without which the loss is least; of equal ones the one that costs
    most, and of these the last. One member is always left. The last loss is the one that was looked
    for: measure on other rows how good the rest is.

    The combiner learns once for each member, fold and member that was dropped.
    """
    price = np.zeros(len(predictions)) if costs is None else np.asarray(costs, np.float64)
    if price.shape != (len(predictions),):
        raise ValueError(
            f"costs must be ({len(predictions)},), one for each member, not {price.shape}"
        )
    options: Any = {"classes": classes, "sample_weight": sample_weight}
    kept, dropped = np.arange(len(predictions)), []
    losses = [nested_loss(combiner, predictions, y, folds, **options)]
    while len(kept) > 1:
        left = of_members(combiner, kept)
        rise = contributions(left, predictions[kept], y, folds, **options)
        slack = TIE * abs(losses[-1])
        if not rise.min() <= slack:  # NaN neither
            break
        place = _dearest(rise <= rise.min() + slack, price[kept])
        losses.append(losses[-1] + float(rise[place]))
        dropped.append(int(kept[place]))
        kept = np.delete(kept, place)
    return Pruned(tuple(kept.tolist()), tuple(dropped), tuple(losses))


def _dearest(possible: NDArray[np.bool_], price: Values) -> int:
    """The last of those with the highest price."""
    places = np.flatnonzero(possible)
    return int(places[price[places] == price[places].max()][-1])
