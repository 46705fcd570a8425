"""Learners as bytes: the same predictions back, and nothing that is loaded can run code."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor
from skops import io as skops

from hpo.ensembling import learners
from hpo.packed_trees import pack, unpack
from hpo.safe_learners import UnsafeLearnerError, dumps, loads

NAMES = [(task, name) for task, names in learners.BY_TASK.items() for name in names]


def fitted(task: Any, name: str) -> tuple[Any, Any]:
    load = load_iris if task == "classification" else load_diabetes
    X, y = load(return_X_y=True)
    return learners.make(name, task, y, 0).fit(X, y), X


def said(model: Any, X: Any) -> bytes:
    method = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    return bytes(np.asarray(method(X)).tobytes())


@pytest.mark.parametrize(("task", "name"), NAMES)
def test_every_learner_comes_back_and_predicts_the_same_bits(task: str, name: str) -> None:
    model, X = fitted(task, name)
    assert said(loads(dumps(model)), X) == said(model, X)


@pytest.mark.parametrize(("task", "name"), NAMES)
def test_no_learner_is_unpickled(task: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, X = fitted(task, name)
    data, expected = dumps(model), said(model, X)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    for each in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, each, forbidden)
    assert said(loads(data), X) == expected


@pytest.mark.parametrize(("task", "name"), NAMES)
def test_the_same_learner_gives_the_same_bytes(task: str, name: str) -> None:
    one, other = fitted(task, name)[0], fitted(task, name)[0]
    assert dumps(one) == dumps(other) == dumps(joblib_copy(one)) == dumps(loads(dumps(one)))


def joblib_copy(model: Any) -> Any:
    """What comes back from another process: other objects, shared in other ways."""
    return pickle.loads(pickle.dumps(model))


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Somebody's own learner."""

    def fit(self, X: Any, y: Any) -> Own:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_learner_of_ones_own_cannot_be_saved_and_is_named() -> None:
    model = Own().fit(np.eye(2), [0, 1])
    with pytest.raises(UnsafeLearnerError, match=r"Own cannot be saved: .*Own is not among the ty"):
        dumps(model)


def test_bytes_with_a_type_that_is_not_trusted_are_refused() -> None:
    data = skops.dumps(Own().fit(np.eye(2), [0, 1]))
    with pytest.raises(UnsafeLearnerError, match=r"types that are not trusted: .*Own"):
        loads(data)


def test_a_function_in_the_bytes_is_not_called() -> None:
    """The document says that a part is made by a function of the operating system."""
    model, _ = fitted("classification", "logistic")

    def changed(document: dict[str, Any]) -> None:
        document["__module__"], document["__class__"] = "os", "system"

    with pytest.raises(UnsafeLearnerError):
        loads(rewritten(dumps(model), changed))


def rewritten(data: bytes, change: Any) -> bytes:
    """The bytes with another JSON document."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            held = old.read(name)
            if name == "schema.json":
                document = json.loads(held)
                change(document)
                held = json.dumps(document).encode()
            new.writestr(name, held)
    return out.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all", bytes(1000)])
def test_what_is_no_learner_is_refused(data: bytes) -> None:
    with pytest.raises(UnsafeLearnerError, match="cannot be read"):
        loads(data)


# Trees whose arrays do not hold together


def with_nodes(model: Any, change: Any) -> bytes:
    """The learner's bytes, its first tree's nodes having been changed."""
    tree = model.estimators_[0].tree_ if hasattr(model, "estimators_") else None
    if tree is not None:
        state = tree.__getstate__()
        nodes = state["nodes"].copy()
        change(nodes)
        tree.__setstate__(state | {"nodes": nodes})
    else:
        change(model._predictors[0][0].nodes)
    return dumps(model)


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("forest", "left_child", 10_000_000, "a branch that leads nowhere"),
        ("forest", "right_child", 0, "a branch that leads nowhere"),
        ("forest", "right_child", -7, "a branch that leads nowhere"),
        ("forest", "feature", 4, "a feature that there is not"),
        ("forest", "feature", -1, "a feature that there is not"),
        ("extra_trees", "left_child", 0, "a branch that leads nowhere"),
        ("hist_gradient_boosting", "left", 10_000_000, "a branch that leads nowhere"),
        ("hist_gradient_boosting", "right", 0, "a branch that leads nowhere"),
        ("hist_gradient_boosting", "is_categorical", 1, "asks for categories"),
        ("hist_gradient_boosting", "feature_idx", -1, "a feature that there is not"),
        ("hist_gradient_boosting", "feature_idx", 4, "a feature that there is not"),
    ],
)
def test_trees_that_would_read_elsewhere_in_memory_are_refused(
    name: str, field: str, value: int, message: str
) -> None:
    model, _ = fitted("classification", name)

    def change(nodes: Any) -> None:
        nodes[field][0] = value

    with pytest.raises(UnsafeLearnerError, match=message):
        loads(with_nodes(model, change))


TREES = ("forest", "extra_trees", "hist_gradient_boosting")


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("name", TREES)
def test_packed_trees_are_those_that_there_were(task: str, name: str) -> None:
    model, _ = fitted(task, name)
    packed = pack(model)
    assert packed is not model
    unpack(packed)
    assert dumps(packed) == dumps(model)
    if name == "hist_gradient_boosting":
        return
    for one, other in zip(packed.estimators_, model.estimators_, strict=True):
        assert one.random_state == other.random_state
        assert one.get_depth() == other.get_depth()
        np.testing.assert_array_equal(one.tree_.threshold, other.tree_.threshold)
        np.testing.assert_array_equal(one.tree_.value, other.tree_.value)


@pytest.mark.parametrize("name", TREES)
def test_trees_as_they_were_kept_before_they_were_packed_come_back(name: str) -> None:
    model, X = fitted("classification", name)
    assert said(loads(skops.dumps(model)), X) == said(model, X)


def test_trees_that_ask_for_categories_are_not_packed() -> None:
    """What they ask would be lost."""
    X = np.random.default_rng(0).integers(0, 4, (200, 1)).astype(float)
    model = HistGradientBoostingRegressor(categorical_features=[0], max_iter=2)
    model.fit(X, X[:, 0] % 2)
    assert pack(model) is model


def test_a_forest_of_unlike_trees_is_not_packed() -> None:
    model, X = fitted("classification", "forest")
    model.estimators_[3].max_depth = 7
    assert pack(model) is model
    assert loads(dumps(model)).estimators_[3].max_depth == 7
    assert said(loads(dumps(model)), X) == said(model, X)


@pytest.mark.parametrize("counts", [[[2, 3]], [[10**6] * 3], [[-1, 1, 0]], [5], 5, [[2**62] * 4]])
@pytest.mark.parametrize(("name", "place"), [("forest", "estimators_"), (TREES[-1], "_predictors")])
def test_packed_trees_must_have_as_many_nodes_as_is_said(
    name: str, place: str, counts: Any
) -> None:
    packed = pack(fitted("classification", name)[0])
    getattr(packed, place)["counts"] = np.array(counts)
    with pytest.raises(UnsafeLearnerError, match="not as many as it says"):
        loads(skops.dumps(packed))


@pytest.mark.parametrize("what", ["seeds", "depths", "values", "nodes", "first"])
def test_a_packed_forest_that_lacks_something_is_refused(what: str) -> None:
    packed = pack(fitted("classification", "forest")[0])
    held = packed.estimators_
    held[what] = 1 if what == "first" else held[what][1:]
    with pytest.raises(UnsafeLearnerError):
        loads(skops.dumps(packed))


def test_support_vectors_must_be_as_many_as_are_counted() -> None:
    model, _ = fitted("regression", "svm")
    model._n_support = model._n_support + 1
    with pytest.raises(UnsafeLearnerError, match="counts that do not fit"):
        loads(dumps(model))
    model, _ = fitted("regression", "svm")
    model._dual_coef_ = model._dual_coef_[:, :-1]
    with pytest.raises(UnsafeLearnerError, match="coefficients too few"):
        loads(dumps(model))
