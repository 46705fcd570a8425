"""Which rows a network sees and which it does not: by the split, or by a fold that is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.members import Rows
from hpo.search.folds import Folds


class Part(NamedTuple):
    """Encoded rows, and their target as metrics are measured against.

    ``X`` (rows, inputs), ``target`` (rows,).
    """

    X: NDArray[np.floating[Any]]
    target: NDArray[Any]


class View(NamedTuple):
    """The rows that a network is trained on, and those that score it."""

    seen: Part
    hidden: Part


def view(pool: Part, dealt: Folds, fold: int) -> View:
    """What a network sees that this fold is held out from."""
    own = dealt == fold
    return View(Part(pool.X[~own], pool.target[~own]), Part(pool.X[own], pool.target[own]))


def divided(pool: Rows, dealt: Folds, held_out: Sequence[int]) -> tuple[Rows, Rows]:
    """What a stack is trained and measured on, each of whose members one fold is held out from.

    ``held_out`` (members,): the fold of each. A row that a member does not see has weight 0 for it.
    """
    hidden = dealt == np.array(held_out)[:, None]
    dtype = pool.X.dtype
    return replace(pool, weights=(~hidden).astype(dtype)), replace(
        pool, weights=hidden.astype(dtype)
    )


def out_of_fold(predictions: Sequence[NDArray[np.float32]], dealt: Folds) -> NDArray[np.float32]:
    """One prediction for each row of the pool, (rows, outputs).

    ``predictions``: for each fold that of its own rows, (rows of the fold, outputs).
    """
    joined = np.empty((len(dealt), predictions[0].shape[1]), np.float32)
    for fold, each in enumerate(predictions):
        joined[dealt == fold] = each
    return joined
