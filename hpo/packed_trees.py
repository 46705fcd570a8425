"""The trees of forests and of histogram boosting as a few arrays, in place of objects for each.

A learner has hundreds of trees, and each object takes longer to be written and read than its nodes.
Any other learner stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_CATEGORIES = np.empty((0, 8), np.uint32)
"""What scikit-learn keeps of a tree of boosting that asks for no categories."""

_OWN = {"tree_", "random_state"}
"""What differs between the trees of a forest."""


def pack(learner: Any) -> Any:
    """A copy of the learner with its trees packed, or the learner."""
    packed = copy.copy(learner)
    if _is_boosting(learner):
        packed._predictors = _stages(learner._predictors)  # noqa: SLF001
    elif _is_forest(learner):
        packed.estimators_ = _forest(learner.estimators_)
    else:
        return learner
    return packed


def unpack(learner: Any) -> None:
    """Let a learner that was packed have its trees again.

    Raises ``ValueError`` if the arrays are not those of trees.
    """
    if isinstance(stages := getattr(learner, "_predictors", None), dict):
        learner._predictors = _predictors(**stages)  # noqa: SLF001
    if isinstance(forest := getattr(learner, "estimators_", None), dict):
        learner.estimators_ = list(_trees(**forest))


def _is_boosting(learner: Any) -> bool:
    """Whether it is boosting whose trees ask for no categories, which would be lost."""
    trees = [tree for stage in getattr(learner, "_predictors", ()) for tree in stage]
    sets = [each for tree in trees for each in _categories(tree)]
    return bool(trees) and all(each.shape == NO_CATEGORIES.shape for each in sets)


def _categories(tree: Any) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return tree.binned_left_cat_bitsets, tree.raw_left_cat_bitsets


def _stages(stages: list[list[Any]]) -> dict[str, NDArray[Any]]:
    """The nodes of all trees in their order; ``counts`` (stages, trees): how many each has."""
    return {
        "nodes": np.concatenate([tree.nodes for stage in stages for tree in stage]),
        "counts": np.array([[len(tree.nodes) for tree in stage] for stage in stages]),
    }


def _predictors(nodes: NDArray[Any], counts: NDArray[np.int64]) -> list[list[Any]]:
    # Slow to import, and learners that hold none have no need of it.
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor  # noqa: PLC0415

    parts = _parted(nodes, counts, n_dimensions=2)
    return [
        [TreePredictor(next(parts), NO_CATEGORIES.copy(), NO_CATEGORIES.copy()) for _ in stage]
        for stage in counts
    ]


def _is_forest(learner: Any) -> bool:
    """Whether it is a forest whose trees differ in nothing but their nodes and seeds."""
    trees = getattr(learner, "estimators_", None)
    if not isinstance(trees, list) or not all(hasattr(tree, "tree_") for tree in trees):
        return False
    first, shape = vars(trees[0]), trees[0].tree_.__reduce__()[1]
    return all(
        type(tree) is type(trees[0])
        and vars(tree).keys() == first.keys()
        and all(
            _equal(value, first[name]) for name, value in vars(tree).items() if name not in _OWN
        )
        and all(map(_equal, tree.tree_.__reduce__()[1], shape))
        for tree in trees
    )


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(np.array_equal(one, other))


def _forest(trees: list[Any]) -> dict[str, Any]:
    """The first tree, for what all have in common; and of all trees what is their own."""
    states = [tree.tree_.__getstate__() for tree in trees]
    return {
        "first": trees[0],
        "seeds": np.array([tree.random_state for tree in trees]),
        "depths": np.array([state["max_depth"] for state in states]),
        "counts": np.array([len(state["nodes"]) for state in states]),
        "nodes": np.concatenate([state["nodes"] for state in states]),
        "values": np.concatenate([state["values"] for state in states]),
    }


def _trees(
    first: Any,
    seeds: NDArray[np.int64],
    depths: NDArray[np.int64],
    counts: NDArray[np.int64],
    nodes: NDArray[Any],
    values: NDArray[np.float64],
) -> Iterator[Any]:
    make, shape = first.tree_.__reduce__()[:2]
    parts = _parted(nodes, counts), _parted(values, counts)
    for seed, depth, own, value in zip(seeds, depths, *parts, strict=True):
        tree = copy.copy(first)
        tree.random_state = int(seed)
        tree.tree_ = make(*shape)
        state = {"max_depth": int(depth), "node_count": len(own), "nodes": own, "values": value}
        tree.tree_.__setstate__(state)
        yield tree


def _parted(
    rows: NDArray[Any], counts: NDArray[np.int64], n_dimensions: int = 1
) -> Iterator[NDArray[Any]]:
    """So many rows for each tree, as arrays of their own."""
    if (
        counts.ndim != n_dimensions
        or (counts < 1).any()
        or sum(counts.ravel().tolist()) != len(rows)
    ):
        raise ValueError("the nodes of its trees are not as many as it says")
    ends = np.cumsum(counts.ravel())
    return (each.copy() for each in np.split(rows, ends[:-1]))
