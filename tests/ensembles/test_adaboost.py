"""AdaBoost beside scikit-learn's, a plain loop, and on learners that scikit-learn's cannot take."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn import ensemble
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_wine,
    make_classification,
)
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from ensembles import AdaBoostClassifier, AdaBoostRegressor
from ensembles.reweighting import R2_LOSSES
from hpo.estimators import MLPClassifier, MLPRegressor

Table = tuple[NDArray[Any], NDArray[Any]]

TIES = (
    "two stumps that are equally good are told apart by the last bit of a sum over rows, which is "
    "another one where a row stands twice; test_a_weight_of_two_is_a_row_twice compares the two "
    "with learners that know no ties"
)


def expected_failures(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, AdaBoostClassifier):
        return {"check_sample_weight_equivalence_on_dense_data": TIES}
    return {}


@parametrize_with_checks(
    [AdaBoostClassifier(n_estimators=5), AdaBoostRegressor(n_estimators=5)],
    expected_failed_checks=expected_failures,
)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@cache
def classes(name: str) -> Table:
    if name == "four":
        X, y = make_classification(300, 8, n_informative=5, n_classes=4, random_state=0)
    else:
        loaders = {"iris": load_iris, "cancer": load_breast_cancer, "wine": load_wine}
        X, y = loaders[name](return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@cache
def values() -> Table:
    X, y = load_diabetes(return_X_y=True)
    return X, y


def assert_same_rounds(ours: Any, theirs: Any) -> None:
    """The members' errors and importances; scikit-learn fills up what was stopped early."""
    size = len(theirs.estimators_)
    assert len(ours.estimators_) == size
    np.testing.assert_allclose(ours.estimator_errors_, theirs.estimator_errors_[:size], rtol=1e-9)
    np.testing.assert_allclose(ours.estimator_weights_, theirs.estimator_weights_[:size], rtol=1e-9)


@pytest.mark.parametrize("name", ["iris", "cancer", "wine", "four"])
@pytest.mark.parametrize("params", [{}, {"learning_rate": 0.3, "random_state": 7}])
def test_the_classifier_is_scikit_learns(name: str, params: dict[str, Any]) -> None:
    X, y = classes(name)
    train, test = slice(0, 2 * len(y) // 3), slice(2 * len(y) // 3, None)
    given: dict[str, Any] = {"n_estimators": 20, "random_state": 0} | params
    ours = AdaBoostClassifier(**given).fit(X[train], y[train])
    theirs = ensemble.AdaBoostClassifier(**given).fit(X[train], y[train])
    assert_same_rounds(ours, theirs)
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_allclose(getattr(ours, method)(X[test]), getattr(theirs, method)(X[test]))
        staged = zip(
            getattr(ours, f"staged_{method}")(X[test]),
            getattr(theirs, f"staged_{method}")(X[test]),
            strict=True,
        )
        for our, their in staged:
            np.testing.assert_allclose(our, their)


def test_the_classifier_is_scikit_learns_with_weights_of_rows() -> None:
    X, y = classes("wine")
    weights = np.random.default_rng(0).integers(0, 4, len(y)) / 3
    learner = DecisionTreeClassifier(max_depth=2, max_features=3)
    ours = AdaBoostClassifier(learner, n_estimators=10, random_state=1).fit(X, y, weights)
    theirs = ensemble.AdaBoostClassifier(learner, n_estimators=10, random_state=1)
    with np.errstate(divide="ignore"):  # of the logarithms of weights 0
        assert_same_rounds(ours, theirs.fit(X, y, weights))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))


@pytest.mark.parametrize("loss", R2_LOSSES)
@pytest.mark.parametrize("params", [{}, {"learning_rate": 0.3, "random_state": 7}])
def test_the_regressor_is_scikit_learns(loss: str, params: dict[str, Any]) -> None:
    X, y = values()
    given: dict[str, Any] = {"n_estimators": 20, "random_state": 0, "loss": loss} | params
    ours = AdaBoostRegressor(**given).fit(X[:300], y[:300])
    theirs = ensemble.AdaBoostRegressor(**given).fit(X[:300], y[:300])
    assert_same_rounds(ours, theirs)
    np.testing.assert_allclose(ours.predict(X[300:]), theirs.predict(X[300:]))
    staged = zip(ours.staged_predict(X[300:]), theirs.staged_predict(X[300:]), strict=True)
    for our, their in staged:
        np.testing.assert_allclose(our, their)


def test_the_regressor_is_scikit_learns_with_weights_of_rows_and_seeds_inside() -> None:
    """A learner of several seeds draws them in the order of their names, before the rows."""
    X, y = values()
    weights = np.random.default_rng(0).integers(0, 4, len(y)) / 3
    inner = DecisionTreeRegressor(max_depth=4, max_features=3)
    learner = ensemble.BaggingRegressor(inner, n_estimators=2, max_samples=0.5)
    ours = AdaBoostRegressor(learner, n_estimators=5, random_state=1).fit(X, y, weights)
    theirs = ensemble.AdaBoostRegressor(learner, n_estimators=5, random_state=1)
    assert_same_rounds(ours, theirs.fit(X, y, weights))
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("seed", range(3))
def test_resampled_boosting_is_the_plain_loop(seed: int) -> None:
    """Nearest neighbours take no weights, so rows are drawn."""
    X, y = classes("four")
    ours = AdaBoostClassifier(KNeighborsClassifier(5), n_estimators=6, random_state=seed).fit(X, y)
    generator, weights = np.random.RandomState(seed), np.full(len(y), 1 / len(y))
    votes = np.zeros((len(y), 4))
    for error, importance in zip(ours.estimator_errors_, ours.estimator_weights_, strict=True):
        drawn = generator.choice(len(y), len(y), p=weights)
        predicted = KNeighborsClassifier(5).fit(X[drawn], y[drawn]).predict(X)
        expected = weights[predicted != y].sum()
        assert error == pytest.approx(expected)
        assert importance == pytest.approx(np.log(3 * (1 - expected) / expected))
        weights = weights * np.where(predicted == y, 1, 3 * (1 - expected) / expected)
        weights /= weights.sum()
        votes[np.arange(len(y)), predicted] += importance
    np.testing.assert_array_equal(ours.predict(X), votes.argmax(axis=1))


def test_weighted_values_are_the_plain_loop() -> None:
    X, y = values()
    ours = AdaBoostRegressor(LinearRegression(), n_estimators=5, resample=False).fit(X, y)
    weights = np.full(len(y), 1 / len(y))
    for error, importance in zip(ours.estimator_errors_, ours.estimator_weights_, strict=True):
        distance = np.abs(LinearRegression().fit(X, y, weights).predict(X) - y)
        expected = weights @ distance / distance.max()
        assert error == pytest.approx(expected)
        assert importance == pytest.approx(np.log((1 - expected) / expected))
        weights = weights * (expected / (1 - expected)) ** (1 - distance / distance.max())
        weights /= weights.sum()


class Watching(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says class 0 and remembers what weights it was given."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Watching:
        self.given_ = sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X), dtype=int)


def test_the_learner_sees_as_many_rows_as_there_are() -> None:
    """A penalty would otherwise count more than with the rows alone."""
    X, y = np.zeros((4, 1)), np.array([0, 0, 0, 1])
    ours = AdaBoostClassifier(Watching(), n_estimators=1).fit(X, y)
    np.testing.assert_allclose(ours.estimators_[0].given_, 1)
    given = np.array([3.0, 3, 0, 2])
    ours = AdaBoostClassifier(Watching(), n_estimators=1).fit(X, y, given)
    np.testing.assert_allclose(ours.estimators_[0].given_, given)


@pytest.mark.parametrize("learner", [LogisticRegression(C=0.5), GaussianNB()])
def test_a_weight_of_two_is_a_row_twice(learner: Any) -> None:
    X, y = classes("four")
    repeats = np.arange(len(y)) % 3
    rows = np.repeat(np.arange(len(y)), repeats)
    boosting = AdaBoostClassifier(learner, n_estimators=5)
    weighted, repeated = clone(boosting).fit(X, y, repeats), boosting.fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.estimator_errors_, repeated.estimator_errors_, rtol=1e-3)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("size", [1, 5])
def test_errors_are_those_of_the_members_in_the_weights_of_their_round(size: int) -> None:
    """And every importance is that of its error, above 0."""
    X, y = classes("four")
    ours = AdaBoostClassifier(n_estimators=size, random_state=0).fit(X, y)
    assert len(ours.estimators_) == size
    errors = ours.estimator_errors_
    np.testing.assert_allclose(ours.estimator_weights_, np.log(3 * (1 - errors) / errors))
    assert errors[0] == pytest.approx(np.mean(ours.estimators_[0].predict(X) != y))
    assert (ours.estimator_weights_ > 0).all()


def test_more_members_are_the_fewer_ones_and_others() -> None:
    X, y = values()
    few, many = (AdaBoostRegressor(n_estimators=n, random_state=3).fit(X, y) for n in (4, 8))
    np.testing.assert_array_equal(many.estimator_errors_[:4], few.estimator_errors_)
    staged = list(many.staged_predict(X))
    np.testing.assert_array_equal(staged[3], few.predict(X))
    np.testing.assert_array_equal(staged[-1], many.predict(X))


def test_boosting_ends_with_a_perfect_learner() -> None:
    X, y = classes("iris")
    ours = AdaBoostClassifier(DecisionTreeClassifier()).fit(X, y)
    assert ours.estimator_errors_.tolist() == [0]
    assert ours.estimator_weights_.tolist() == [1]
    assert ours.score(X, y) == 1
    line = np.arange(9.0)[:, None]
    exact = AdaBoostRegressor(LinearRegression(), resample=False).fit(line, np.zeros(9))
    assert exact.estimator_errors_.tolist() == [0]


def test_boosting_ends_before_a_learner_at_chance() -> None:
    """One that always says class 0 has half of the weight wrong the second time."""
    X, y = np.zeros((4, 1)), np.array([0, 0, 0, 1])
    ours = AdaBoostClassifier(Watching()).fit(X, y)
    assert ours.estimator_errors_.tolist() == [1 / 4]
    np.testing.assert_allclose(ours.estimator_weights_, [np.log(3)])
    assert ours.predict(X).tolist() == [0, 0, 0, 0]


def test_a_first_learner_that_is_too_bad_is_refused() -> None:
    X, y = classes("iris")
    with pytest.raises(ValueError, match="first DummyClassifier is no better than chance"):
        AdaBoostClassifier(DummyClassifier()).fit(X, y)
    target = np.arange(10) % 2
    with pytest.raises(ValueError, match=r"DummyRegressor has a mean loss of 1 in units"):
        AdaBoostRegressor(DummyRegressor(), resample=False).fit(np.zeros((10, 1)), target)


def test_networks_are_boosted() -> None:
    X, y = classes("iris")
    network = MLPClassifier(hidden_layer_sizes=(8,), max_epochs=20)
    alone = clone(network).set_params(random_state=0).fit(X, y).score(X, y)
    ours = AdaBoostClassifier(network, n_estimators=8, random_state=0).fit(X, y)
    assert ours.score(X, y) > alone
    again = AdaBoostClassifier(network, n_estimators=8, random_state=0).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), ours.predict_proba(X))


@pytest.mark.parametrize("resample", [True, False])
def test_networks_of_values_are_boosted(resample: bool) -> None:
    X, y = values()
    network = MLPRegressor(hidden_layer_sizes=(4,), max_epochs=10)
    ours = AdaBoostRegressor(network, n_estimators=4, resample=resample, random_state=0).fit(X, y)
    assert len(ours.estimators_) == 4
    assert ours.score(X, y) > 0.3


def test_a_pipeline_and_neighbours_are_boosted_though_they_take_no_weights() -> None:
    X, y = classes("wine")
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
    assert AdaBoostClassifier(pipeline, n_estimators=3, random_state=0).fit(X, y).score(X, y) > 0.9
    X, y = values()
    neighbours = AdaBoostRegressor(KNeighborsRegressor(), n_estimators=3, random_state=0)
    assert neighbours.fit(X, y).score(X, y) > 0.3


def test_labels_are_words_and_members_learn_their_places() -> None:
    X, y = classes("iris")
    names = np.array(["setosa", "versicolor", "virginica"])
    words = AdaBoostClassifier(n_estimators=5, random_state=0).fit(X, names[y])
    numbers = AdaBoostClassifier(n_estimators=5, random_state=0).fit(X, y)
    assert words.classes_.tolist() == names.tolist()
    np.testing.assert_array_equal(words.predict(X), names[numbers.predict(X)])
    np.testing.assert_array_equal(words.predict_proba(X), numbers.predict_proba(X))
    assert [each.classes_.tolist() for each in words.estimators_] == [[0, 1, 2]] * 5
    for label in next(words.staged_predict(X)):
        assert label in names


@pytest.mark.parametrize("resample", [True, False])
def test_frames_keep_their_names(resample: bool) -> None:
    X, y = classes("iris")
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    given: dict[str, Any] = {"n_estimators": 4, "resample": resample, "random_state": 0}
    ours = AdaBoostClassifier(**given).fit(frame, pd.Series(y))
    assert ours.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    bare = AdaBoostClassifier(**given).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(frame), bare.predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        ours.predict(frame[["b", "a", "c", "d"]])


def test_one_class_is_certain() -> None:
    ours = AdaBoostClassifier().fit(np.arange(6.0).reshape(3, 2), ["a"] * 3)
    assert ours.predict(np.zeros((2, 2))).tolist() == ["a", "a"]
    assert ours.predict_proba(np.zeros((2, 2))).tolist() == [[1], [1]]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_estimators": 0}, "n_estimators must be a whole number of at least 1, got 0"),
        ({"n_estimators": 2.5}, "got 2.5"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
        ({"learning_rate": np.inf}, "learning_rate must be a finite number above 0"),
        ({"resample": "always"}, "resample is True, False or 'auto', not 'always'"),
        ({"resample": False, "estimator": KNeighborsClassifier()}, "takes no sample_weight"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaBoostClassifier(**params).fit(*classes("iris"))


def test_other_mistakes_are_named() -> None:
    X, y = classes("iris")
    with pytest.raises(ValueError, match="loss is one of linear, square, exponential, not 'abs'"):
        AdaBoostRegressor(loss="abs").fit(X, y)
    with pytest.raises(ValueError, match="zero"):
        AdaBoostClassifier().fit(X, y, np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative values"):
        AdaBoostClassifier().fit(X, y, -np.ones(len(y)))


@pytest.mark.parametrize("kind", [AdaBoostClassifier, AdaBoostRegressor])
def test_every_parameter_is_documented(kind: type[Any]) -> None:
    documentation = inspect.getdoc(kind) or ""
    heads = re.findall(r"^([\w, ]+) : ", documentation, re.MULTILINE)
    named = {name for head in heads for name in head.split(", ")}
    assert set(inspect.signature(kind).parameters) <= named
