"""Which of the best trials wins, once each was trained again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """A trial that was trained again.

    ``values`` and ``train_values`` (repeats,): the metric on the rows that each repeat did not see,
    and on those that it did; one place belongs to the same rows in every candidate.
    """

    number: int
    values: tuple[float, ...]
    train_values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The mean over the repeats."""
        return math.fsum(self.values) / len(self.values)

    def by_place(self, n_places: int) -> Candidate:
        """The means of what belongs to the same rows: repeats that are ``n_places`` apart."""
        values, train_values = (
            tuple(np.mean(np.reshape(each, (-1, n_places)), axis=0).tolist())
            for each in (self.values, self.train_values)
        )
        return Candidate(self.number, values, train_values)

    @property
    def gap(self) -> float:
        """How much better it is on rows that it was trained on; 0 if it is not."""
        train = math.fsum(self.train_values) / len(self.train_values)
        return max(0.0, train - self.value)


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate with the smallest gap among those that are as good as the best.

    As good is one whose mean lies within one standard error of the best one's (the rule of Breiman,
    Friedman, Olshen & Stone 1984, section 3.4.3). The standard error is that of the difference
    between the two, over the repeats: both were measured on the same rows, so what is easy or hard
    about these cancels. Of equal gaps the better one wins, of equal scores the earlier trial.
    """
    best = min(candidates, key=lambda each: (-each.value, each.number))
    alike = [each for each in candidates if _as_good(each, best)]
    return min(alike, key=lambda each: (each.gap, -each.value, each.number))


def _as_good(candidate: Candidate, best: Candidate) -> bool:
    lost = np.subtract(best.values, candidate.values)
    if candidate is best or not lost.any():
        return True
    if len(lost) < 2:
        return False
    return bool(lost.mean() <= lost.std(ddof=1) / math.sqrt(len(lost)))


def complete_candidates(
    values: Mapping[int, Mapping[int, tuple[float, float]]], n_repeats: int
) -> list[Candidate]:
    """Candidates of the trials all of whose repeats have a result.

    ``values``: trial -> repeat -> the metric on held-out and on training rows.
    """
    return [
        Candidate(number, *zip(*(found[each] for each in range(n_repeats)), strict=True))
        for number, found in sorted(values.items())
        if set(found) >= set(range(n_repeats))
    ]
