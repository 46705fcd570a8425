"""Which of several ways to combine models is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ensembles.combining import loss_for
from ensembles.losses import Values
from hpo.ensembling.assembling import BEST, Assembled
from hpo.ensembling.pools import Pool

ERRORS = 2.0
"""So many standard errors better must one model alone be than the best ensemble."""


def pick(possible: Sequence[Assembled], pool: Pool) -> Assembled:
    """The ensemble with the least loss, unless the best model alone is significantly better.

    Of two that rows cannot tell apart the mean of several is the safer: on other rows it seldom
    is much worse than one of them, and one of them often is. ``possible`` is not empty.
    """
    best = min(possible, key=lambda each: each.loss)
    ensembles = [each for each in possible if each.method != BEST]
    if best.method != BEST or not ensembles:
        return best
    first = min(ensembles, key=lambda each: each.loss)
    if len(first.members) == 1:  # a selection that needs no other is that model
        return best
    differences = _losses(first, pool) - _losses(best, pool)
    error = float(differences.std()) / math.sqrt(len(differences))
    return best if float(differences.mean()) > ERRORS * error else first


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
