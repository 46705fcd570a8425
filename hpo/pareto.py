"""The trials that no other trial beats in everything: the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.ranking import rank
from storage.records import TrialRecord


def non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points ``losses`` (points, objectives) no other dominates; shape (points,).

    One dominates another if it is nowhere larger and somewhere smaller, so of equal points all stay
    or none.
    """
    # In their order nobody is dominated by a later one. A zero has no sign here.
    unique, place = np.unique(losses + 0.0, axis=0, return_inverse=True)
    stays = np.zeros(len(unique), dtype=np.bool_)
    left = np.arange(len(unique))
    while len(left):
        stays[left[0]] = True
        left = left[(unique[left] < unique[left[0]]).any(axis=1)]
    return stays[place.reshape(-1)]


def pareto_front(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials of ours that no other beats in score and costs, best score first."""
    ranked = rank(trials)
    if not ranked:
        return []
    losses = np.array([(-(each.value or 0.0), *each.costs) for each in ranked])
    return [each for each, stays in zip(ranked, non_dominated(losses), strict=True) if stays]
