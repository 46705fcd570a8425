"""Bagging: scikit-learn's on the same seeds, forests, rows out of the bag, stacks of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import ensemble
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_diabetes, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensembles import BaggingClassifier, BaggingRegressor
from ensembles.members import fit_members
from hpo import MLPClassifier, MLPRegressor

SETTINGS: list[dict[str, Any]] = [
    {},
    {"max_samples": 0.5},
    {"bootstrap": False, "max_samples": 40},
    {"max_features": 2},
    {"max_features": 0.8, "bootstrap_features": True},
]


def network(kind: Any = MLPClassifier, **params: Any) -> Any:
    settings = {"hidden_layer_sizes": (16,), "max_epochs": 40, "random_state": 0}
    return kind(**settings | params)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    "learner",
    [DecisionTreeClassifier(), LinearDiscriminantAnalysis()],
    ids=["takes weights", "takes none"],
)
def test_classes_are_those_of_scikit_learn(learner: Any, settings: dict[str, Any]) -> None:
    X, y = load_iris(return_X_y=True)
    common = {"n_estimators": 7, "random_state": 3} | settings
    ours = BaggingClassifier(learner, **common).fit(X, y)
    theirs = ensemble.BaggingClassifier(learner, **common).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)
    for one, other in zip(ours.estimators_samples_, theirs.estimators_samples_, strict=True):
        np.testing.assert_array_equal(one, np.sort(other))


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("learner", [DecisionTreeRegressor(), PLSRegression(1)])
def test_values_are_those_of_scikit_learn(learner: Any, settings: dict[str, Any]) -> None:
    X, y = load_diabetes(return_X_y=True)
    common = {"n_estimators": 5, "random_state": 3} | settings
    ours = BaggingRegressor(learner, **common).fit(X, y)
    theirs = ensemble.BaggingRegressor(learner, **common).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))


def test_weights_of_rows_are_chances_as_in_scikit_learn() -> None:
    X, y = load_iris(return_X_y=True)
    weights = np.arange(len(y)) % 5
    common: dict[str, Any] = {"n_estimators": 5, "random_state": 3}
    ours = BaggingClassifier(**common).fit(X, y, weights)
    theirs = ensemble.BaggingClassifier(**common).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)
    assert not ours.sample_counts_[:, weights == 0].any()


def test_a_row_of_weight_two_is_drawn_twice_as_often() -> None:
    X, y = load_iris(return_X_y=True)
    weights = np.where(np.arange(len(y)) % 2, 1.0, 2.0)
    bag = BaggingClassifier(n_estimators=200, random_state=0).fit(X, y, weights)
    drawn = bag.sample_counts_.sum(axis=0)
    assert drawn[::2].mean() / drawn[1::2].mean() == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("features", [1.0, 0.5])
@pytest.mark.parametrize("learner", [LogisticRegression(max_iter=1000), network(max_epochs=5)])
def test_where_all_rows_take_part_the_learner_gets_their_weights(
    learner: Any, features: float
) -> None:
    X, y = load_iris(return_X_y=True)
    weights = np.arange(len(y)) % 4 / 2
    bag = BaggingClassifier(
        learner, n_estimators=1, bootstrap=False, max_features=features, random_state=0
    ).fit(X, y, weights)
    own = X[:, bag.estimators_features_[0]]
    alone = clone(learner).set_params(random_state=bag.estimators_[0].random_state)
    expected = alone.fit(own, y, sample_weight=weights).predict_proba(own)
    np.testing.assert_allclose(bag.predict_proba(X), expected, rtol=1e-5)
    np.testing.assert_array_equal(bag.sample_counts_, [weights > 0])


def test_all_rows_that_have_a_weight_may_be_drawn_too() -> None:
    """As many as there are: no chance is left, so the weights must not be lost."""
    X, y = load_diabetes(return_X_y=True)
    weights = np.arange(len(y)) % 3
    common: dict[str, Any] = {"n_estimators": 2, "bootstrap": False, "random_state": 0}
    there = int(np.count_nonzero(weights))
    one, other = (
        BaggingRegressor(Ridge(), max_samples=each, **common).fit(X, y, weights)
        for each in (1.0, there)
    )
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_allclose(one.predict(X), Ridge().fit(X, y, weights).predict(X))


def test_without_bootstrap_a_part_of_the_rows_is_drawn_by_weight() -> None:
    X, y = load_iris(return_X_y=True)
    weights = np.where(np.arange(len(y)) % 3, 1.0, 0.0)
    bag = BaggingClassifier(
        KNeighborsClassifier(), n_estimators=4, bootstrap=False, max_samples=60, random_state=0
    ).fit(X, y, weights)
    assert bag.sample_counts_.sum(axis=1).tolist() == [60] * 4
    assert bag.sample_counts_.max() == 1
    assert not bag.sample_counts_[:, weights == 0].any()


@pytest.mark.parametrize(
    ("learner", "share", "message"),
    [
        (
            DecisionTreeClassifier(),
            120,
            "120 rows cannot be drawn without bootstrap, as only 100 have a sample_weight above 0",
        ),
        (
            KNeighborsClassifier(),
            1.0,
            "KNeighborsClassifier takes no sample_weight, and without bootstrap it learns from all",
        ),
    ],
)
def test_weights_that_can_neither_be_chances_nor_weights_are_refused(
    learner: Any, share: float, message: str
) -> None:
    X, y = load_iris(return_X_y=True)
    weights = np.where(np.arange(len(y)) % 3, 1.0, 0.0)
    with pytest.raises(ValueError, match=message):
        BaggingClassifier(learner, max_samples=share, bootstrap=False).fit(X, y, weights)


def test_bagged_trees_are_a_random_forest() -> None:
    """With the forest's own rows and seeds, and the features drawn at every node."""
    X, y = load_iris(return_X_y=True)
    forest = ensemble.RandomForestClassifier(n_estimators=8, random_state=1).fit(X, y)
    counts = np.stack([np.bincount(each, minlength=len(y)) for each in forest.estimators_samples_])
    seeds = [{"random_state": each.random_state} for each in forest.estimators_]
    trees = fit_members(DecisionTreeClassifier(max_features="sqrt"), X, y, seeds, counts)
    ours = np.mean([each.predict_proba(X) for each in trees], axis=0)
    np.testing.assert_allclose(ours, forest.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize(
    "learner",
    [DecisionTreeClassifier(random_state=0), KNeighborsClassifier(), network()],
    ids=lambda each: type(each).__name__,
)
def test_one_member_with_all_rows_is_the_single_learner(learner: Any) -> None:
    X, y = load_iris(return_X_y=True)
    bag = BaggingClassifier(learner, n_estimators=1, bootstrap=False, random_state=5).fit(X, y)
    member = bag.estimators_[0]
    if "random_state" in learner.get_params():
        learner = clone(learner).set_params(random_state=member.random_state)
    np.testing.assert_array_equal(bag.predict_proba(X), learner.fit(X, y).predict_proba(X))


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_rows_of_weight_0_are_out_of_the_bag_and_no_others(share: float) -> None:
    """The learner tells whether it has seen a row."""
    X, y = np.arange(40.0)[:, None], np.arange(40) % 2
    bag = BaggingClassifier(
        Witness(), n_estimators=6, max_samples=share, oob_score=True, random_state=0
    ).fit(X, y)
    for member, counts in zip(bag.estimators_, bag.sample_counts_, strict=True):
        np.testing.assert_array_equal(member.seen_[:, 0], np.flatnonzero(counts))
    seen_by_all = (bag.sample_counts_ > 0).all(axis=0)
    np.testing.assert_array_equal(np.isnan(bag.oob_decision_function_[:, 0]), seen_by_all)
    # Nobody who saw the row has been asked.
    np.testing.assert_array_equal(
        bag.oob_decision_function_[~seen_by_all], [[1.0, 0.0]] * (~seen_by_all).sum()
    )


class Witness(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says 1 of rows that it was trained on, else 0."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Witness:
        self.classes_ = np.array([0, 1])
        self.seen_ = np.unique(X, axis=0)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.isin(X[:, 0], self.seen_[:, 0]).astype(int)


def test_the_out_of_bag_score_is_scikit_learns() -> None:
    X, y = load_iris(return_X_y=True)
    common: dict[str, Any] = {"n_estimators": 30, "oob_score": True, "random_state": 0}
    ours = BaggingClassifier(**common).fit(X, y)
    theirs = ensemble.BaggingClassifier(**common).fit(X, y)
    np.testing.assert_allclose(ours.oob_decision_function_, theirs.oob_decision_function_)
    assert ours.oob_score_ == theirs.oob_score_
    X, y = load_diabetes(return_X_y=True)
    one = BaggingRegressor(**common).fit(X, y)
    other = ensemble.BaggingRegressor(**common).fit(X, y)
    np.testing.assert_allclose(one.oob_prediction_, other.oob_prediction_)
    assert one.oob_score_ == pytest.approx(other.oob_score_)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_networks_are_one_stack_and_those_of_single_trainings(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    many = kind.fit_many

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(len(arguments[2]))
        return many(self, *arguments, **named)

    monkeypatch.setattr(kind, "fit_many", counted)
    X, y = load_iris(return_X_y=True) if kind is MLPClassifier else load_diabetes(return_X_y=True)
    bagging = BaggingClassifier if kind is MLPClassifier else BaggingRegressor
    bag = bagging(network(kind), n_estimators=5, random_state=0).fit(X, y)
    assert calls == [5]
    assert bag.score(X, y) > (0.8 if kind is MLPClassifier else 0.3)
    params = {tuple(each.params_) for each in bag.estimators_}
    assert len(params) == 5


def test_networks_see_their_own_features() -> None:
    X, y = load_iris(return_X_y=True)
    bag = BaggingClassifier(network(), n_estimators=4, max_features=2, random_state=0).fit(X, y)
    assert {each.n_features_in_ for each in bag.estimators_} == {2}
    assert bag.score(X, y) > 0.8


def test_a_network_that_diverges_is_told() -> None:
    X, y = load_diabetes(return_X_y=True)
    net = network(MLPRegressor, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(ValueError, match="3 of 3 networks diverged: lower their learning_rate"):
        BaggingRegressor(net, n_estimators=3, random_state=0).fit(X, y)


def test_votes() -> None:
    X, y = load_iris(return_X_y=True)
    common: dict[str, Any] = {"n_estimators": 5, "random_state": 0}
    hard = BaggingClassifier(DecisionTreeClassifier(max_depth=2), voting="hard", **common)
    shares = hard.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(shares * 5, np.round(shares * 5))
    counted = np.mean([np.eye(3)[each.predict(X)] for each in hard.estimators_], axis=0)
    np.testing.assert_allclose(shares, counted)
    votes = BaggingClassifier(LinearSVC(), **common).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(votes * 5, np.round(votes * 5))


def test_a_class_that_a_member_never_saw_is_improbable_for_it() -> None:
    X = np.arange(12.0)[:, None]
    y = np.array(["a"] * 10 + ["b", "c"])
    bag = BaggingClassifier(KNeighborsClassifier(1), n_estimators=5, random_state=0).fit(X, y)
    assert any(len(each.classes_) < 3 for each in bag.estimators_)
    proba = bag.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert set(bag.predict(X)) <= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_samples": 0}, "max_samples must be a share above 0 and up to 1.0, or 1 to 150"),
        ({"max_samples": 151}, "or 1 to 150, not 151"),
        ({"max_features": 1.5}, "max_features must be a share"),
        ({"n_estimators": 0}, "n_estimators must be a whole number of at least 1, got 0"),
        ({"n_estimators": 2.5}, "n_estimators must be a whole number of at least 1, got 2.5"),
        ({"n_estimators": "5"}, "n_estimators must be a whole number of at least 1, got '5'"),
        ({"bootstrap": False, "oob_score": True}, "oob_score needs rows that members do not see"),
        ({"voting": "loud"}, "voting is one of auto, soft, hard, not 'loud'"),
        ({"voting": "soft", "estimator": LinearSVC()}, "LinearSVC has no predict_proba, so votes"),
    ],
)
def test_what_cannot_be_is_said(params: dict[str, Any], message: str) -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        BaggingClassifier(**params).fit(X, y)


def test_a_learner_without_weights_cannot_weigh_a_half() -> None:
    with pytest.raises(ValueError, match=r"takes no sample_weight, so rows cannot weigh 0\.5"):
        fit_members(
            KNeighborsClassifier(1),
            np.eye(3),
            np.arange(3),
            [{}],
            np.array([[1, 0.5, 1]]),
        )


def test_the_order_of_members_does_not_matter() -> None:
    X, y = load_diabetes(return_X_y=True)
    bag = BaggingRegressor(Ridge(), n_estimators=6, random_state=0).fit(X, y)
    before = bag.predict(X)
    bag.estimators_ = bag.estimators_[::-1]
    np.testing.assert_allclose(bag.predict(X), before)


def test_stacks_do_not_depend_on_the_number_of_processes() -> None:
    X, y = load_iris(return_X_y=True)
    net = network(max_epochs=3)
    one, two = (
        BaggingClassifier(net, n_estimators=20, random_state=0, n_jobs=jobs).fit(X, y)
        for jobs in (1, 2)
    )
    assert len({each.scaling_ is one.estimators_[0].scaling_ for each in one.estimators_}) == 2
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
