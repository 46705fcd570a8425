"""What scikit-learn expects of an estimator, and what its tools make of ours."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

import ensembles
from ensembles import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    GreedySelectionClassifier,
    GreedySelectionRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)

DRAWN = (
    "rows are drawn by chance, so a row of weight 2 and two equal rows give other members; "
    "tests/ensembles/test_bagging.py compares the chances"
)


def classifiers() -> list[tuple[str, Any]]:
    return [
        ("stump", DecisionTreeClassifier(max_depth=1, random_state=0)),
        ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
    ]


def regressors() -> list[tuple[str, Any]]:
    return [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))]


ESTIMATORS = [
    BaggingClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=3, random_state=0),
    BaggingRegressor(Ridge(), n_estimators=3, random_state=0),
    BaggingRegressor(Ridge(), n_estimators=2, bootstrap=False, random_state=0),
    VotingClassifier(classifiers(), voting="soft"),
    VotingRegressor(regressors()),
    GreedySelectionClassifier(classifiers(), cv=3),
    GreedySelectionRegressor(regressors(), cv=3),
    StackingClassifier(classifiers(), cv=3),
    StackingRegressor(regressors(), cv=3),
]


def expected_failures(estimator: Any) -> dict[str, str]:
    """Checks that cannot pass, and why."""
    if isinstance(estimator, BaggingClassifier | BaggingRegressor) and estimator.bootstrap:
        return {"check_sample_weight_equivalence_on_dense_data": DRAWN}
    return {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_every_public_name_is_there() -> None:
    for name in ensembles.__all__:
        assert getattr(ensembles, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ensembles.nothing


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_every_parameter_and_attribute_is_documented(estimator: Any) -> None:
    documentation = inspect.getdoc(type(estimator)) or ""
    heads = re.findall(r"^(\w[\w, ]*) :", documentation, re.MULTILINE)
    named = {name for head in heads for name in re.split(r",\s+", head)}
    assert set(inspect.signature(type(estimator)).parameters) <= named


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_a_fit_changes_no_parameter_and_is_repeatable(estimator: Any) -> None:
    data = load_iris() if hasattr(estimator, "predict_proba") else load_diabetes()
    X, y = data.data, data.target
    before = repr(estimator)
    one, other = (clone(estimator).fit(X, y) for _ in range(2))
    assert repr(one) == before
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize(
    "kind", [StackingRegressor, VotingRegressor, GreedySelectionRegressor, BaggingRegressor]
)
def test_names_of_columns_are_those_of_the_last_fit(kind: Any) -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    fitted = kind(Ridge() if kind is BaggingRegressor else regressors()).fit(X, y)
    assert fitted.feature_names_in_.tolist() == list(X.columns)
    fitted.fit(X.to_numpy(), y)
    assert not hasattr(fitted, "feature_names_in_")
    fitted.predict(X.to_numpy())


def test_parameters_of_members_have_names() -> None:
    stack = StackingClassifier(classifiers(), cv=3)
    stack.set_params(tree__max_depth=5, stump="drop")
    assert stack.get_params()["tree__max_depth"] == 5
    stack.fit(*load_iris(return_X_y=True))
    assert stack.names_ == ["tree"]
    search = GridSearchCV(
        VotingClassifier(classifiers(), voting="soft"), {"tree__max_depth": [1, 4]}, cv=3
    )
    search.fit(*load_iris(return_X_y=True))
    assert set(search.best_params_) == {"tree__max_depth"}


class Plain:
    """A learner that inherits nothing: whether the first column is above its mean."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def fit(self, X: Any, y: Any) -> Plain:
        self.mean = np.mean(X[:, 0])
        return self

    def predict(self, X: Any) -> Any:
        return (X[:, 0] > self.mean).astype(int)


@pytest.mark.parametrize("kind", [StackingClassifier, VotingClassifier, GreedySelectionClassifier])
def test_a_learner_need_not_inherit_anything(kind: Any) -> None:
    X, y = load_iris(return_X_y=True)
    fitted = kind([("plain", Plain())]).fit(X, y > 0)
    np.testing.assert_array_equal(fitted.predict(X), X[:, 0] > X[:, 0].mean())


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        (BaggingClassifier(Ridge()), "estimator must be a classifier, not Ridge"),
        (BaggingRegressor(KNeighborsClassifier()), "must be a regressor, not KNeighborsClassifier"),
        (BaggingClassifier("tree"), "estimator must be a classifier, not 'tree'"),
        (AdaBoostClassifier(Ridge()), "estimator must be a classifier, not Ridge"),
        (AdaBoostRegressor(LogisticRegression), "estimator must be a regressor, not <class"),
        (GradientBoostingClassifier(LogisticRegression()), "must be a regressor, not LogisticRegr"),
        (GradientBoostingRegressor(3), "estimator must be a regressor, not 3"),
    ],
)
def test_a_learner_of_the_wrong_kind_is_refused(ensemble: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ensemble.fit(*load_iris(return_X_y=True))


@pytest.mark.parametrize("kind", [StackingClassifier, VotingClassifier, GreedySelectionClassifier])
def test_what_cannot_be_a_member_is_refused(kind: Any) -> None:
    X, y = load_iris(return_X_y=True)
    for given, message in (
        ([], "non-empty list"),
        ([("a", "drop")], "All estimators are dropped"),
        ([("a", Ridge())], "the learner 'a' must be a classifier, not Ridge"),
        ([("a", LogisticRegression)], "the learner 'a' must be a classifier, not <class"),
        ([("a", None)], "the learner 'a' must be a classifier, not None"),
        ([("a", LogisticRegression()), ("a", KNeighborsClassifier())], "unique"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(given).fit(X, y)
