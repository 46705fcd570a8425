"""What a meta-model sees of the members' predictions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values

MetaFeatures = Literal["proba", "log_odds"]
KINDS: tuple[MetaFeatures, ...] = ("proba", "log_odds")

CLIP = 1e-3
"""Probabilities count as no nearer to 0 and 1 than this: a member's certainty must not decide all
by itself, and one that is wrong for sure has no finite odds."""


def meta_features(predictions: NDArray[Any], kind: MetaFeatures, *, classes: bool) -> Values:
    """The columns (rows, members * parts) of predictions (members, rows, outputs).

    Values as they are. Of two classes' probabilities the second one's only, since they add up to
    1. ``log_odds``: of two classes ``log(p / (1 - p))``; of more the logarithm of each less the
    mean of them (the centred log-ratio of Aitchison 1982, section 4.2), so that what members agree
    on adds up.
    """
    given = np.asarray(predictions, np.float64)
    if classes and kind == "log_odds":
        given = log_odds(given)
    elif classes and given.shape[-1] == 2:
        given = given[..., 1:]
    members, rows, parts = given.shape
    columns: Values = given.transpose(1, 0, 2).reshape(rows, members * parts)
    return columns


def log_odds(proba: NDArray[Any]) -> Values:
    """Centred logarithms of probabilities (..., classes); of two classes the log-odds, (..., 1)."""
    logs = np.log(np.clip(np.asarray(proba, np.float64), CLIP, 1 - CLIP))
    if logs.shape[-1] == 2:
        odds: Values = logs[..., 1:] - logs[..., :1]
        return odds
    centred: Values = logs - logs.mean(axis=-1, keepdims=True)
    return centred
