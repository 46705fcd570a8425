"""The trees of histogram boosting as two arrays, in place of three for each tree."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

NODES, COUNTS = "nodes", "counts"

NO_CATEGORIES = np.empty((0, 8), np.uint32)
"""What scikit-learn keeps of a tree that asks for no categories."""


def pack(learner: Any) -> Any:
    """A copy of a boosted ensemble with its trees packed; any other learner as it is.

    ``nodes``: those of all trees in their order; ``counts`` (stages, trees): how many each has.
    """
    stages = getattr(learner, "_predictors", None)
    if not stages or not all(_is_plain(tree) for stage in stages for tree in stage):
        return learner
    packed = copy.copy(learner)
    packed._predictors = {  # noqa: SLF001
        NODES: np.concatenate([tree.nodes for stage in stages for tree in stage]),
        COUNTS: np.array([[len(tree.nodes) for tree in stage] for stage in stages]),
    }
    return packed


def unpack(learner: Any) -> None:
    """Let a learner that was packed have its trees again.

    Raises ``ValueError`` if the arrays are not those of trees.
    """
    packed = getattr(learner, "_predictors", None)
    if not isinstance(packed, dict):
        return
    nodes, counts = packed[NODES], packed[COUNTS]
    if counts.ndim != 2 or (counts < 1).any() or counts.sum() != len(nodes):
        raise ValueError("the nodes of its trees are not as many as it says")
    trees = iter(np.split(nodes, np.cumsum(counts.ravel())[:-1]))
    learner._predictors = [[_tree(next(trees)) for _ in stage] for stage in counts]  # noqa: SLF001


def _tree(nodes: NDArray[Any]) -> Any:
    # Slow to import, and learners that hold none have no need of it.
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor  # noqa: PLC0415

    return TreePredictor(nodes.copy(), NO_CATEGORIES.copy(), NO_CATEGORIES.copy())


def _is_plain(tree: Any) -> bool:
    """Whether nothing is lost of it: it asks for no categories."""
    sets = (tree.binned_left_cat_bitsets, tree.raw_left_cat_bitsets)
    return all(each.shape == NO_CATEGORIES.shape for each in sets)
