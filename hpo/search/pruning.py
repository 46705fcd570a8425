"""Which trials are hopeless: those that fall behind the trials of earlier rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RUNGS = "rungs"
NONE = "none"

PARTS = 75
"""Every trial is given the first of so many equal parts of its epochs."""

LEAST = 6
"""Who is as good as the best so many of earlier rounds goes on: so many compete to win."""


@dataclass(frozen=True)
class Course:
    """How a finished trial went: its scores after some epochs; greater is better.

    ``value`` is what it has in the end, None for one that failed or was ``pruned``.
    """

    number: int
    scores: Mapping[int, float]
    value: float | None
    pruned: bool = False

    @property
    def failed(self) -> bool:
        """Whether nothing came of it."""
        return self.value is None and not self.pruned


class Courses(Protocol):
    """What is known of the finished trials of a study."""

    def courses(self) -> list[Course]:
        """How every finished trial went."""


class Judge(Protocol):
    """Decides, while a stack is trained, which of its trials go on."""

    def behind(
        self, numbers: Sequence[int], epochs: int, scores: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which of the trials are dropped after so many ``epochs``; all arrays are (trials,)."""


class Pruner(Protocol):
    """Has a judge for each round."""

    def judge(self, index: int) -> Judge | None:
        """That of a round, all earlier ones of which have finished; None if none is dropped."""


def is_rung(epochs: int) -> bool:
    """Whether trials are compared after so many epochs: after 1, 2, 4, 8 and so on."""
    return epochs & (epochs - 1) == 0


def steps(epochs: int) -> list[int]:
    """The rungs up to ``epochs``, and the last epoch."""
    return sorted({1 << power for power in range(epochs.bit_length())} | ({epochs} - {0}))


def who_leaves(
    judge: Judge | None,
    numbers: Sequence[int],
    epochs: int,
    all_epochs: int,
    scores: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which trials of a stack end after so many ``epochs`` of ``all_epochs``; (trials,).

    ``scores`` (trials,), not finite for those that have ended or are about to. The judge is asked
    at rungs alone, and not at the end, where nothing is left to be saved.
    """
    leaving = np.zeros(len(numbers), dtype=np.bool_)
    present = np.flatnonzero(np.isfinite(scores)).tolist()
    if judge is not None and present and is_rung(epochs) and epochs < all_epochs:
        asked = [numbers[place] for place in present]
        leaving[present] = judge.behind(asked, epochs, scores[present])
    return leaving


class NoPruner:
    """Every trial is trained to its end."""

    def judge(self, _index: int) -> None:
        """Nobody."""


@dataclass(frozen=True)
class Bars:
    """The least score with which a trial goes on, by the number of its epochs."""

    least: Mapping[int, float]

    def behind(
        self, _numbers: Sequence[int], epochs: int, scores: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Those below the bar."""
        below: NDArray[np.bool_] = scores < self.least.get(epochs, -math.inf)
        return below


def bars(courses: Iterable[Course], before: int, epochs: int) -> Bars:
    """The bars for trials of a round, from the trials numbered under ``before``.

    A trial that has come through the share ``t`` of its ``epochs`` goes on if its score is among
    the best ``1 / (PARTS * t)`` of the scores that all earlier trials had at that rung, or among
    the best `LEAST`. Earlier trials that did not get there count as worse, and so do failed ones.
    Before twice as many were tried nobody is dropped.

    That is successive halving (Jamieson & Talwalkar 2016, algorithm 1): at each doubling of the
    epochs half as many go on. But trials are compared with those of earlier rounds, so that it
    does not matter with whom one is trained, or when.
    """
    earlier = [each for each in courses if each.number < before]
    reached: dict[int, list[float]] = {}
    for each in earlier if len(earlier) >= 2 * LEAST else ():
        if not each.failed:
            for rung, score in each.scores.items():
                reached.setdefault(rung, []).append(score)
    least: dict[int, float] = {}
    for rung, scores in reached.items():
        passing = max(LEAST, -(-len(earlier) * epochs // (PARTS * rung)))
        if is_rung(rung) and PARTS * rung > epochs and len(scores) >= passing:
            least[rung] = sorted(scores, reverse=True)[passing - 1]
    return Bars(least)


@dataclass(frozen=True)
class Rungs:
    """Drops trials by what earlier rounds were, so the first round is trained whole."""

    history: Courses
    trials_per_round: int
    epochs: int

    def judge(self, index: int) -> Judge | None:
        """The same whoever asks, as soon as all earlier rounds have finished."""
        if not index:
            return None
        return bars(self.history.courses(), index * self.trials_per_round, self.epochs)
