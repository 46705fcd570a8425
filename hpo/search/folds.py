"""Which rows a network does not see: folds, drawn the same way for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.search import streams

Folds = NDArray[np.int64]
"""The fold of each row, (rows,), from 0."""


def deal_folds(
    n_rows: int,
    classes: NDArray[Any] | None,
    seed: int,
    n_folds: int,
    stream: int = streams.FOLDS,
) -> Folds:
    """Deal rows out to folds of equal size, and each class alike.

    ``stream``, one of `hpo.search.streams`, says what for: each purpose has another deal.
    """
    order = _generator(seed, stream).permutation(n_rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    dealt = np.empty(n_rows, dtype=np.int64)
    dealt[order] = np.arange(n_rows) % n_folds
    return dealt


def deal_groups(
    groups: NDArray[Any],
    classes: NDArray[Any] | None,
    seed: int,
    n_folds: int,
    stream: int = streams.FOLDS,
) -> Folds | None:
    """Deal groups of rows out to folds, classes as even as that allows; None if they are too few.

    ``groups`` (rows,): rows of equal ones stay together.
    """
    # Slow to import, and seldom needed.
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # noqa: PLC0415

    if len(np.unique(groups)) < n_folds:
        return None
    state = int(_generator(seed, stream).integers(2**31))
    answers = np.zeros(len(groups)) if classes is None else classes
    kind = GroupKFold if classes is None else StratifiedGroupKFold
    dealt = np.empty(len(groups), dtype=np.int64)
    parts = kind(n_folds, shuffle=True, random_state=state).split(answers, answers, groups)
    for fold, (_, held_out) in enumerate(parts):
        dealt[held_out] = fold
    return dealt


def count_folds(dealt: Folds) -> int:
    """How many folds there are."""
    return int(dealt.max()) + 1


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((seed, stream)))
