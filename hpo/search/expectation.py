"""Which score to expect of a winner on new rows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import Metric, RowMetric
from hpo.data.scorers import BLOCK
from hpo.search import streams

# A replicate leaves out a share q = 1 / e of the rows. The mean of such a part, drawn without
# replacement, varies sqrt((1 - q) / q) times as much as the mean of as many new rows as there are
# (Cochran 1977, section 2.6), which is what a standard error tells.
_SPREAD = (math.e - 1) ** -0.5


class Expectation(NamedTuple):
    """The score to expect on new rows and its standard error; None where rows tell too little."""

    score: float | None
    standard_error: float | None


def expected_score(
    evidence: NDArray[Any], target: NDArray[Any], metric: Metric, seed: int
) -> Expectation:
    """The winner's score without what it owes to being the maximum of many.

    Bootstrap bias corrected (Tsamardinos, Greasidou & Borboudakis 2018, "Bootstrapping the
    out-of-sample predictions for efficient and accurate cross-validation", algorithm 4): in each
    replicate the winner is chosen on the rows that were drawn and scored on those that were not.
    It corrects for the choice among trials, not for early stopping on the same rows.

    Parameters
    ----------
    evidence : (trials, rows) losses or (trials, rows, outputs), what `Metric.evidence` gives for
        the validation rows, the trials in the order of their numbers: of equal ones the first wins,
        as in the search. In the order of their scores each tie would be broken by the rows that
        were not drawn.
    target : (rows,) class indices, or values in the user's units
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, streams.REPLICATES)))
    rows = evidence.shape[1]
    honest: list[NDArray[np.float64]] = []
    for _ in range(metric.replicates(evidence) // BLOCK):
        drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=BLOCK).astype(np.float64)
        chosen_on = metric.resampled(evidence, drawn, target)
        best = np.nan_to_num(chosen_on, nan=-np.inf).argmax(axis=0)
        not_drawn = (drawn == 0).astype(np.float64)
        honest.append(metric.resampled(evidence, not_drawn, target, best))
    scores = np.concatenate(honest)
    usable = scores[np.isfinite(scores)]
    if len(usable) < len(scores) // 2:
        return Expectation(None, None)
    return Expectation(float(usable.mean()), _error(float(usable.std()) * _SPREAD, metric))


def measured_score(
    evidence: NDArray[Any], target: NDArray[Any], metric: Metric, seed: int
) -> Expectation:
    """The score over rows that had no part in the choice, and its standard error.

    That of a share of rows is Agresti and Coull's (1998, "Approximate is better than exact for
    interval estimation of binomial proportions": two rows more of each kind), which is not 0 for a
    share of 0 or 1; that of any other score comes from a bootstrap over the rows.

    ``evidence`` (rows,) or (rows, outputs), ``target`` (rows,) as in `expected_score`.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, streams.REPLICATES)))
    rows = len(evidence)
    if isinstance(metric, RowMetric) and np.isin(evidence, (0.0, 1.0)).all():
        share = (evidence.sum() + 2) / (rows + 4)
        error = math.sqrt(share * (1 - share) / (rows + 4))
        return Expectation(float(metric.score(evidence.mean(), target)), error)
    replicates = metric.replicates(evidence[None])
    drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=replicates).astype(np.float64)
    ((every,),) = metric.resampled(evidence[None], np.ones((1, rows)), target)
    scores = metric.resampled(evidence[None], drawn, target)
    usable = scores[np.isfinite(scores)]
    if not np.isfinite(every) or len(usable) < scores.size // 2:
        return Expectation(None, None)
    return Expectation(float(every), _error(float(usable.std()), metric))


def _error(found: float, metric: Metric) -> float | None:
    """None where all replicates of a scorer agree: that no row was wrong is no certainty."""
    return None if found == 0 and not isinstance(metric, RowMetric) else found
