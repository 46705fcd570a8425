"""Which of several ways to combine models is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ensembles.combining import loss_for
from ensembles.losses import Values
from hpo.ensembling.assembling import BEST, BLEND, Assembled
from hpo.ensembling.pools import Pool

ERRORS = 2.0
"""So many standard errors better must one model alone be than the best ensemble."""

BLEND_ERRORS = 1.0
"""So many standard errors better must an ensemble be than the blend of two."""


def pick(possible: Sequence[Assembled], pool: Pool) -> Assembled:
    """The ensemble with the least loss, unless the best model alone is significantly better.

    Of two that rows cannot tell apart the mean of several is the safer: on other rows it seldom
    is much worse than one of them, and one of them often is. So the blend, too, gives way only to
    an ensemble that is clearly better. ``possible`` is not empty.
    """
    ensembles = sorted((e for e in possible if e.method != BEST), key=lambda each: each.loss)
    singles = [each for each in possible if each.method == BEST]
    if not ensembles:
        return singles[0]
    first = ensembles[0]
    # A selection that needs no other is the best model, and nothing worse is taken in its place.
    leading = [each for each in singles if each.loss <= first.loss]
    if leading and len(first.members) == 1:
        return leading[0]
    blend = next((each for each in ensembles if each.method == BLEND), first)
    if not _is_better(first, blend, BLEND_ERRORS, pool):
        first = blend
    return leading[0] if leading and _is_better(leading[0], first, ERRORS, pool) else first


def _is_better(one: Assembled, other: Assembled, errors: float, pool: Pool) -> bool:
    """Whether its mean loss is less, by more than so many standard errors of the difference."""
    differences = _losses(other, pool) - _losses(one, pool)
    error = float(differences.std()) / math.sqrt(len(differences))
    return float(differences.mean()) > errors * error


def beaten(picked: Assembled, possible: Sequence[Assembled]) -> list[Assembled]:
    """The picked one, and then those that it has beaten, the best first.

    Among these it is the maximum of several, which its score owes something to.
    """
    others = [each for each in possible if each is not picked and each.loss >= picked.loss]
    return [picked, *sorted(others, key=lambda each: each.loss)]


def _losses(assembled: Assembled, pool: Pool) -> Values:
    """Row by row."""
    loss = loss_for(classes=pool.n_classes is not None)
    return np.asarray(loss.of_rows(loss.evidence(assembled.prediction, pool.y)))
