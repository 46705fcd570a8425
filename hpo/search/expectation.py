"""Which score to expect of a winner on new rows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.data.metrics import Metric
from hpo.search import streams

REPLICATES = 500
# A replicate leaves out a share q = 1 / e of the rows. The mean of such a part, drawn without
# replacement, varies sqrt((1 - q) / q) times as much as the mean of as many new rows as there are
# (Cochran 1977, section 2.6), which is what a standard error tells.
_SPREAD = (math.e - 1) ** -0.5
_BLOCK = 50  # replicates at a time, which bounds the memory


class Expectation(NamedTuple):
    """The score to expect on new rows, and its standard error; None where the rows are too few."""

    score: float | None
    standard_error: float | None


def expected_score(
    row_losses: NDArray[np.float64], target: NDArray[Any], metric: Metric, seed: int
) -> Expectation:
    """The winner's score without what it owes to being the maximum of many.

    Bootstrap bias corrected (Tsamardinos, Greasidou & Borboudakis 2018, "Bootstrapping the
    out-of-sample predictions for efficient and accurate cross-validation", algorithm 4): in each
    replicate the winner is chosen on the rows that were drawn and scored on those that were not.
    It corrects for the choice among trials, not for early stopping on the same rows.

    Parameters
    ----------
    row_losses : (trials, rows), the metric's loss of each validation row, the trials in the order
        of their numbers: of equal ones the first wins, as in the search. In the order of their
        scores each tie would be broken by the rows that were not drawn.
    target : (rows,) class indices, or values in the user's units
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, streams.REPLICATES)))
    rows = row_losses.shape[1]
    honest: list[NDArray[np.float64]] = []
    for _ in range(REPLICATES // _BLOCK):
        drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=_BLOCK).astype(np.float64)
        chosen_on = _scores(row_losses, drawn, target, metric)
        scored_on = _scores(row_losses, (drawn == 0).astype(np.float64), target, metric)
        best = np.nan_to_num(chosen_on, nan=-np.inf).argmax(axis=0)
        honest.append(scored_on[best, np.arange(_BLOCK)])
    scores = np.concatenate(honest)
    usable = scores[np.isfinite(scores)]
    if len(usable) < REPLICATES // 2:
        return Expectation(None, None)
    return Expectation(float(usable.mean()), float(usable.std() * _SPREAD))


def measured_score(
    row_losses: NDArray[np.float64], target: NDArray[Any], metric: Metric, seed: int
) -> Expectation:
    """The score over rows that had no part in the choice, and its standard error.

    That of a share of rows is Agresti and Coull's (1998, "Approximate is better than exact for
    interval estimation of binomial proportions": two rows more of each kind), which is not 0 for a
    share of 0 or 1; that of any other score comes from a bootstrap over the rows.

    ``row_losses`` (rows,), ``target`` (rows,) as in `expected_score`.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, streams.REPLICATES)))
    rows = len(row_losses)
    if np.isin(row_losses, (0.0, 1.0)).all():
        share = (row_losses.sum() + 2) / (rows + 4)
        error = math.sqrt(share * (1 - share) / (rows + 4))
        return Expectation(float(metric.score(row_losses.mean(), target)), error)
    drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=REPLICATES).astype(np.float64)
    every = _scores(row_losses[None], np.ones((1, rows)), target, metric)
    scores = _scores(row_losses[None], drawn, target, metric)
    usable = scores[np.isfinite(scores)]
    if not np.isfinite(every[0, 0]) or usable.size < REPLICATES // 2:
        return Expectation(None, None)
    return Expectation(float(every[0, 0]), float(usable.std()))


def _scores(
    row_losses: NDArray[np.float64], weights: NDArray[np.float64], target: Any, metric: Metric
) -> NDArray[np.float64]:
    """Scores (trials, replicates) of the rows that ``weights`` (replicates, rows) counts.

    NaN for a replicate that counts no row.
    """
    counts = weights.sum(axis=1)
    mean_loss = row_losses @ weights.T / np.where(counts > 0, counts, np.nan)
    return metric.score(mean_loss, target, weights)
