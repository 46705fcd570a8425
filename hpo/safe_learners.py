"""Learners of scikit-learn to and from bytes, without pickle; the only place that knows skops.

skops writes a zip of JSON and arrays, and on reading makes only objects of types that are trusted:
its own list of harmless ones, and the two below. Theirs is code that trusts what stands in its
arrays, so that these are looked at before anything is computed with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types that skops does not trust by itself and we do, their arrays having been checked."""


class UnsafeLearnerError(ValueError):
    """A learner that cannot be kept, or bytes that hold none that may be used."""


def dumps(learner: Any) -> bytes:
    """The bytes of a fitted learner.

    Raises ``UnsafeLearnerError``, which names the types, for one that `loads` would refuse.
    """
    from skops import io  # noqa: PLC0415  # slow to import

    try:
        data: bytes = io.dumps(learner)
    except Exception as error:  # whatever somebody's own class may do
        raise UnsafeLearnerError(f"{type(learner).__name__} cannot be saved: {error}") from error
    unknown = sorted(set(io.get_untrusted_types(data=data)) - set(TRUSTED))
    if unknown:
        raise UnsafeLearnerError(
            f"{type(learner).__name__} cannot be saved: {', '.join(unknown)} is not among the "
            "types that may be loaded again; use scikit-learn's learners"
        )
    return data


def loads(data: bytes) -> Any:
    """The learner that `dumps` wrote.

    Raises ``UnsafeLearnerError`` for bytes that are damaged, hold other types, or trees whose
    arrays do not hold together.
    """
    from skops import io  # noqa: PLC0415

    try:
        _refuse(set(io.get_untrusted_types(data=data)) - set(TRUSTED))
        learner = io.loads(data, trusted=list(TRUSTED))
        for part in _parts(learner):
            _check(part)
    except UnsafeLearnerError:
        raise
    except Exception as error:  # damaged bytes fail in many ways
        raise UnsafeLearnerError(f"a stored learner cannot be read: {error}") from error
    return learner


def _refuse(unknown: set[str]) -> None:
    if unknown:
        types = ", ".join(sorted(unknown))
        raise UnsafeLearnerError(f"it holds types that are not trusted: {types}")


def _parts(root: Any) -> Iterator[Any]:
    """The learner, and whatever hangs on it."""
    waiting, known = [root], set()
    while waiting:
        each = waiting.pop()
        if id(each) in known:
            continue
        known.add(id(each))
        yield each
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple | set):
            waiting.extend(each)
        elif isinstance(each, np.ndarray):
            if each.dtype == object:
                waiting.extend(each.ravel().tolist())
        elif hasattr(each, "__dict__"):
            waiting.extend(vars(each).values())


def _check(part: Any) -> None:
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    check = {TRUSTED[0]: _check_predictor, TRUSTED[1]: _check_tree}.get(kind)
    if check is not None:
        check(part)
    elif hasattr(part, "support_vectors_"):
        _check_vectors(part)


def _check_tree(tree: Any) -> None:
    """Every branch leads on to a later node, and every question is about a feature."""
    state = tree.__getstate__()
    nodes, values = state["nodes"], state["values"]
    left, right = nodes["left_child"], nodes["right_child"]
    _check_branches(left, right, leaf=left == -1)
    inner = left != -1
    if ((nodes["feature"] < 0) | (nodes["feature"] >= tree.n_features))[inner].any():
        raise UnsafeLearnerError("a stored tree asks for a feature that there is not")
    if len(values) != len(nodes) or values.shape[1] != tree.n_outputs:
        raise UnsafeLearnerError("a stored tree has values that do not fit its nodes")


def _check_predictor(predictor: Any) -> None:
    """Likewise of a tree of histogram boosting, which has no categories with us."""
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    _check_branches(nodes["left"], nodes["right"], leaf=~inner)
    if nodes["is_categorical"][inner].any():
        raise UnsafeLearnerError("a stored tree asks for categories, of which there are none")
    if (nodes["feature_idx"][inner] < 0).any():
        raise UnsafeLearnerError("a stored tree asks for a feature that there is not")


def _check_branches(left: NDArray[Any], right: NDArray[Any], leaf: NDArray[np.bool_]) -> None:
    place = np.arange(len(left))
    for branch in (left.astype(np.int64), right.astype(np.int64)):
        if ((branch <= place) | (branch >= len(left)))[~leaf].any():
            raise UnsafeLearnerError("a stored tree has a branch that leads nowhere")
    if not len(left):
        raise UnsafeLearnerError("a stored tree has no nodes")


def _check_vectors(machine: Any) -> None:
    """The counts of support vectors are those of the vectors."""
    counts = np.asarray(machine._n_support)  # noqa: SLF001
    vectors = np.asarray(machine.support_vectors_)
    if (counts < 0).any() or counts.sum() != len(vectors):
        raise UnsafeLearnerError("a stored support vector machine has counts that do not fit")
    if np.asarray(machine._dual_coef_).shape[1] != len(vectors):
        raise UnsafeLearnerError("a stored support vector machine has coefficients too few")
