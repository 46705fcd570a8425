"""Learners of scikit-learn to and from bytes, without pickle; the only place that knows skops.

skops writes a zip of JSON and arrays, and on reading makes only objects of types that are trusted:
its own list of harmless ones, and those below. Some are code that trusts what stands in its arrays,
so these are looked at before anything is computed with them.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.packed_trees import pack, unpack

PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
TREE = "sklearn.tree._tree.Tree"

TRUSTED = (
    PREDICTOR,
    TREE,
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)
"""Types that skops does not trust by itself: two whose arrays are checked, two that are Python."""


class UnsafeLearnerError(ValueError):
    """A learner that cannot be kept, or bytes that hold none that may be used."""


def dumps(learner: Any) -> bytes:
    """The bytes of a fitted learner.

    Raises ``UnsafeLearnerError``, which names the types, for one that `loads` would refuse.
    """
    from skops import io as skops  # noqa: PLC0415  # slow to import

    try:
        data: bytes = skops.dumps(pack(learner))
    except Exception as error:  # whatever somebody's own class may do
        raise UnsafeLearnerError(f"{type(learner).__name__} cannot be saved: {error}") from error
    unknown = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED))
    if unknown:
        raise UnsafeLearnerError(
            f"{type(learner).__name__} cannot be saved: {', '.join(unknown)} is not among the "
            "types that may be loaded again; use scikit-learn's learners"
        )
    return _canonical(data)


def loads(data: bytes) -> Any:
    """The learner that `dumps` wrote.

    Raises ``UnsafeLearnerError`` for bytes that are damaged, hold other types, or trees whose
    arrays do not hold together.
    """
    from skops import io as skops  # noqa: PLC0415

    try:
        _refuse(set(skops.get_untrusted_types(data=data)) - set(TRUSTED))
        learner = skops.loads(data, trusted=list(TRUSTED))
        unpack(learner)
        for part in _parts(learner):
            _check(part)
    except UnsafeLearnerError:
        raise
    except Exception as error:  # damaged bytes fail in many ways
        raise UnsafeLearnerError(f"a stored learner cannot be read: {error}") from error
    return learner


DOCUMENT = "schema.json"
"""What the arrays of a zip are parts of."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell."""


def _canonical(data: bytes) -> bytes:
    """The same learner, in bytes that are the same for the same learner; and smaller.

    skops names objects and files by where they were in memory, or by chance, and a zip tells the
    time. Here they are numbered, equal values and equal arrays alike.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        document = json.loads(old.read(DOCUMENT))
        held = {name: _cleaned(old.read(name)) for name in old.namelist() if name != DOCUMENT}
    numbers: dict[Any, int] = {}
    names: dict[str, str] = {}

    def rename(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                rename(each)
        if not isinstance(node, dict):
            return
        key: Any = node.get("__id__")
        file = node.get("file")
        if isinstance(file, str) and file in held:
            key = node["__module__"], node["__class__"], hashlib.sha256(held[file]).digest()
            number = numbers.setdefault(key, len(numbers))
            names[file] = node["file"] = f"{number}{PurePath(file).suffix}"
        elif node.get("is_json"):
            key = node["__class__"], node["content"]
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(key, len(numbers))
        for _, each in sorted(node.items()):
            rename(each)

    rename(document)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        new.writestr(_entry(DOCUMENT), json.dumps(document, sort_keys=True))
        for name, source in {new: old for old, new in names.items()}.items():
            new.writestr(_entry(name), held[source])
    return out.getvalue()


def _cleaned(held: bytes) -> bytes:
    """An array without what chance left between the fields of its records."""
    if not held.startswith(np.lib.format.MAGIC_PREFIX):
        return held
    array = np.load(io.BytesIO(held), allow_pickle=False)
    if array.dtype.names is None:
        return held
    clean = np.frombuffer(bytearray(array.nbytes), array.dtype).reshape(array.shape)
    for name in array.dtype.names:
        clean[name] = array[name]
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


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
    if kind == TREE:
        _check_tree(part)
    elif kind == PREDICTOR:
        _check_predictor(part)
    elif hasattr(part, "_predictors"):
        _check_features(part)
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


def _check_features(boosting: Any) -> None:
    """Every question of its trees is about a feature; a tree alone does not know how many."""
    n_features = int(boosting.n_features_in_)
    for tree in (each for stage in boosting._predictors for each in stage):  # noqa: SLF001
        asked = tree.nodes["feature_idx"][tree.nodes["is_leaf"] == 0]
        if ((asked < 0) | (asked >= n_features)).any():
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
    if not hasattr(machine, "classes_"):  # the second one is of no meaning
        counts = counts[:1]
    vectors = np.asarray(machine.support_vectors_)
    if (counts < 0).any() or counts.sum() != len(vectors):
        raise UnsafeLearnerError("a stored support vector machine has counts that do not fit")
    if np.asarray(machine._dual_coef_).shape[1] != len(vectors):
        raise UnsafeLearnerError("a stored support vector machine has coefficients too few")
