"""The numbers that pictures of an ensemble are drawn from, in plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.combining import loss_for
from ensembles.diversity import disagreement, residual_correlation
from ensembles.greedy_selection import size_curve
from ensembles.reliability import reliability
from hpo.ensembling.assembling import Assembled
from hpo.ensembling.candidates import Candidate
from hpo.ensembling.pools import Pool

SIZES = 30
"""Up to how many members the size curve goes."""

BINS = 10


def figures(chosen: Assembled, candidates: Sequence[Candidate], pool: Pool) -> dict[str, Any]:
    """Size curve, reliability and diversity.

    ``size_curve``: the loss of greedy selections of 1, 2, … of all candidates, on rows that they
    were not selected by. ``reliability``: of the most probable class, None for numbers.
    ``diversity``: of the members, the share of rows on which one is right and the other wrong, or
    the correlation of residuals; None where it is 0 / 0.
    """
    classes = pool.n_classes is not None
    everything = np.stack([each.prediction for each in candidates])
    curve = size_curve(everything, pool.y, loss_for(classes=classes), pool.folds, steps=SIZES)
    return {
        "size_curve": curve.tolist(),
        "reliability": _reliability(chosen, pool) if classes else None,
        "diversity": _diversity(chosen.members, pool),
    }


def _reliability(chosen: Assembled, pool: Pool) -> dict[str, Any]:
    found = reliability(chosen.prediction, pool.y, BINS)
    return {
        "edges": found.edges.tolist(),
        "probability": _plain(found.probability),
        "hits": _plain(found.hits),
        "rows": found.count.tolist(),
        "error": found.error,
    }


def _diversity(members: Sequence[Candidate], pool: Pool) -> dict[str, Any]:
    stacked = np.stack([each.prediction for each in members])
    if pool.n_classes is not None:
        measure, matrix = "disagreement", disagreement(stacked.argmax(axis=-1), pool.y)
    else:
        measure = "residual_correlation"
        matrix = residual_correlation(stacked[..., 0], pool.y[:, 0])
    return {
        "measure": measure,
        "names": [each.name for each in members],
        "matrix": [_plain(row) for row in matrix],
    }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    """JSON knows no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]
