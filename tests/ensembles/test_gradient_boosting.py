"""Gradient boosting beside scikit-learn's, a plain loop, and with networks as what learns."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn import ensemble
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import LinearSVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from ensembles import GradientBoostingClassifier, GradientBoostingRegressor
from hpo.estimators import MLPRegressor

Table = tuple[NDArray[Any], NDArray[Any]]
KINDS: list[Any] = [GradientBoostingClassifier, GradientBoostingRegressor]


@parametrize_with_checks([kind(n_estimators=5) for kind in KINDS])  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@cache
def table(name: str) -> Table:
    """Rows in random order."""
    if name == "four":
        X, y = make_classification(300, 8, n_informative=5, n_classes=4, random_state=0)
    elif name == "two":
        X, y = make_classification(300, 8, n_informative=5, flip_y=0.2, random_state=0)
    else:
        loaders = {"iris": load_iris, "cancer": load_breast_cancer, "diabetes": load_diabetes}
        X, y = loaders[name](return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


@cache
def parts(name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Two thirds to learn from, a third to ask about."""
    X, y = table(name)
    cut = 2 * len(y) // 3
    return X[:cut], y[:cut], X[cut:], y[cut:]


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_squared_error_is_scikit_learns(depth: int, *, weighted: bool) -> None:
    """A tree's leaves are means, so that the line search finds 1.

    Leaves of ten rows, because small ones come about in several ways that are equally good.
    """
    X, y, others, _ = parts("diabetes")
    weights = np.random.default_rng(0).uniform(0.1, 2, len(y)) if weighted else None
    given: dict[str, Any] = {"n_estimators": 15, "learning_rate": 0.3, "random_state": 0}
    tree: dict[str, Any] = {"max_depth": depth, "min_samples_leaf": 10}
    ours = GradientBoostingRegressor(DecisionTreeRegressor(**tree), **given)
    theirs = ensemble.GradientBoostingRegressor(**tree, **given)
    ours.fit(X, y, weights)
    theirs.fit(X, y, weights)
    np.testing.assert_allclose(ours.factors_, 1)
    assert ours.init_ == pytest.approx(np.average(y, weights=weights))
    np.testing.assert_allclose(ours.train_deviance_, theirs.train_score_)
    staged = zip(ours.staged_predict(others), theirs.staged_predict(others), strict=True)
    for our, their in staged:
        np.testing.assert_allclose(our, their)
    np.testing.assert_allclose(ours.predict(others), theirs.predict(others))


@pytest.mark.parametrize("learner", [KNeighborsRegressor(9), LinearSVR(random_state=0)])
def test_several_classes_are_the_plain_loop(learner: Any) -> None:
    """With a general minimiser for the factor, and one learner for each class."""
    X, y = table("four")
    ours = GradientBoostingClassifier(
        learner, n_estimators=3, learning_rate=0.5, max_step=None, random_state=0
    ).fit(X, y)
    targets = np.eye(4)[y]
    scores = np.tile(np.log(targets.mean(axis=0)), (len(y), 1))

    def loss(given: Any) -> float:
        return float(log_loss(y, softmax(given, axis=1)))

    for factor, members, reached in zip(
        ours.factors_, ours.estimators_, ours.train_loss_, strict=True
    ):
        gradient = targets - softmax(scores, axis=1)
        columns = [
            clone(members[output % len(members)]).fit(X, gradient[:, output]).predict(X)
            for output in range(4)
        ]
        learnt = np.column_stack(columns)
        expected = minimize_scalar(
            lambda rho, scores=scores, learnt=learnt: loss(scores + rho * learnt), tol=1e-10
        ).x
        assert factor == pytest.approx(expected, rel=1e-4)
        scores = scores + 0.5 * expected * learnt
        assert reached == pytest.approx(loss(scores), rel=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), softmax(scores, axis=1), rtol=1e-3)


def test_one_learner_for_all_classes_where_it_learns_several_targets() -> None:
    X, y = table("four")
    for learner, size in [(None, 1), (KNeighborsRegressor(), 1), (LinearSVR(tol=0.1), 4)]:
        ours = GradientBoostingClassifier(learner, n_estimators=2).fit(X, y)
        assert [len(each) for each in ours.estimators_] == [size, size]
    two = GradientBoostingClassifier(LinearSVR(tol=0.1), n_estimators=2).fit(*table("two"))
    assert [len(each) for each in two.estimators_] == [1, 1]


@pytest.mark.parametrize("name", ["two", "four", "diabetes"])
@pytest.mark.parametrize(
    "learner",
    [
        None,
        LinearRegression(),
        KNeighborsRegressor(3),
        MLPRegressor(hidden_layer_sizes=(4,), max_epochs=3),
    ],
)
@pytest.mark.parametrize("rate", [0.1, 1.0])
def test_the_loss_of_training_rows_never_rises(name: str, learner: Any, rate: float) -> None:
    """It is convex, and no stage is shrunk by more than 1."""
    X, y = table(name)
    kind = GradientBoostingRegressor if name == "diabetes" else GradientBoostingClassifier
    ours = kind(learner, n_estimators=8, learning_rate=rate, random_state=0).fit(X, y)
    if name == "diabetes":
        losses = [mean_squared_error(y, each) / 2 for each in ours.staged_predict(X)]
        first = np.var(y) / 2
    else:
        losses = [log_loss(y, each) for each in ours.staged_predict_proba(X)]
        share = np.bincount(y) / len(y)
        first = -(share * np.log(share)).sum()
    np.testing.assert_allclose(ours.train_loss_, losses)
    np.testing.assert_allclose(ours.train_deviance_, 2 * ours.train_loss_)
    assert (np.diff([first, *losses]) <= 1e-12 * first).all()
    assert losses[-1] < first
    assert ours.val_loss_ is None


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_keeps_the_best_stage_of_the_given_rows(kind: Any) -> None:
    name = "diabetes" if kind is GradientBoostingRegressor else "two"
    X, y, others, target = parts(name)
    given: dict[str, Any] = {"learning_rate": 0.3, "random_state": 0}
    whole = kind(n_estimators=60, **given).fit(X, y)
    if kind is GradientBoostingRegressor:
        losses = [mean_squared_error(target, each) / 2 for each in whole.staged_predict(others)]
    else:
        losses = [log_loss(target, each) for each in whole.staged_predict_proba(others)]
    best = int(np.argmin(losses))
    assert 0 < best < 30
    stopped = kind(n_estimators=60, n_iter_no_change=20, **given)
    stopped.fit(X, y, X_val=others, y_val=target)
    assert stopped.n_estimators_ == len(stopped.estimators_) == len(stopped.factors_) == best + 1
    np.testing.assert_allclose(stopped.val_loss_, losses[: best + 21])
    assert len(stopped.train_loss_) == best + 21
    *_, last = stopped.staged_predict(others)
    np.testing.assert_array_equal(stopped.predict(others), last)
    np.testing.assert_array_equal(last, list(whole.staged_predict(others))[best])


def test_patience_ends_before_a_later_minimum() -> None:
    """The least loss of the stages that were waited for, not of all there might have been."""
    X, y, others, target = parts("two")
    given: dict[str, Any] = {"n_estimators": 40, "subsample": 0.1, "random_state": 1}
    held_out = {"X_val": others, "y_val": target}
    whole = GradientBoostingClassifier(**given).fit(X, y, **held_out)
    losses: Any = whole.val_loss_
    expected = next(
        stage for stage in range(40) if stage - int(np.argmin(losses[: stage + 1])) == 2
    )
    stopped = GradientBoostingClassifier(n_iter_no_change=2, **given).fit(X, y, **held_out)
    assert stopped.val_loss_ is not None
    np.testing.assert_allclose(stopped.val_loss_, losses[: expected + 1])
    assert stopped.n_estimators_ == expected - 1


@pytest.mark.parametrize("kind", KINDS)
def test_validation_rows_alone_change_nothing(kind: Any) -> None:
    X, y, others, target = parts("diabetes" if kind is GradientBoostingRegressor else "two")
    given: dict[str, Any] = {"n_estimators": 10, "subsample": 0.5, "random_state": 0}
    measured = kind(**given).fit(X, y, X_val=others, y_val=target)
    alone = kind(**given).fit(X, y)
    assert len(measured.val_loss_) == measured.n_estimators_ == 10
    np.testing.assert_array_equal(measured.predict(others), alone.predict(others))


class Watching(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Remembers what it was given, and predicts the first feature."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Watching:
        self.rows_, self.target_ = X[:, 0], y
        self.weights_ = sample_weight
        return self

    def predict(self, X: Any) -> Any:
        return X[:, 0]


def test_each_stage_draws_its_own_share_of_the_rows() -> None:
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    ours = GradientBoostingRegressor(Watching(), n_estimators=6, subsample=0.3, random_state=0)
    drawn = [each.rows_ for (each,) in ours.fit(X, y).estimators_]
    assert all(len(np.unique(rows)) == len(rows) == 6 for rows in drawn)
    assert len({tuple(rows) for rows in drawn}) == 6
    again = ours.fit(X, y)
    np.testing.assert_array_equal([each.rows_ for (each,) in again.estimators_], drawn)


def test_the_factor_is_that_of_the_rows_that_were_drawn() -> None:
    X, y = np.arange(1.0, 21)[:, None], np.random.default_rng(0).normal(size=20)
    ours = GradientBoostingRegressor(
        Watching(), n_estimators=3, learning_rate=0.5, subsample=0.3, random_state=0
    ).fit(X, y)
    scores = np.full(20, y.mean())
    staged = zip(ours.estimators_, ours.factors_, ours.staged_predict(X), strict=True)
    for (member,), factor, reached in staged:
        rows = member.rows_.astype(int) - 1
        expected = (y - scores)[rows] @ X[rows, 0] / (X[rows, 0] @ X[rows, 0])
        assert factor == pytest.approx(expected)
        np.testing.assert_allclose(member.target_, (y - scores)[rows])
        scores = scores + 0.5 * expected * X[:, 0]
        np.testing.assert_allclose(reached, scores)


def test_rows_without_weight_are_not_there() -> None:
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    weights = np.arange(20) % 2 * 3.0
    ours = GradientBoostingRegressor(Watching(), n_estimators=4, subsample=0.5, random_state=0)
    for (member,) in ours.fit(X, y, weights).estimators_:
        assert len(member.rows_) == 5
        assert set(member.rows_) <= set(np.arange(1.0, 20, 2))
        np.testing.assert_array_equal(member.weights_, 3)


@pytest.mark.parametrize("name", ["two", "four", "diabetes"])
def test_a_weight_of_two_is_a_row_twice(name: str) -> None:
    X, y = table(name)
    repeats = np.arange(len(y)) % 3
    rows = np.repeat(np.arange(len(y)), repeats)
    kind = GradientBoostingRegressor if name == "diabetes" else GradientBoostingClassifier
    ours = kind(Ridge(), n_estimators=5, learning_rate=1.0)
    weighted = ours.fit(X, y, repeats)
    factors, losses, scores = weighted.factors_, weighted.train_loss_, weighted._scores(X)
    repeated = ours.fit(X[rows], y[rows])
    np.testing.assert_allclose(repeated.train_loss_, losses)
    np.testing.assert_allclose(repeated._scores(X), scores, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(repeated.factors_[:2], factors[:2], rtol=1e-5)


@pytest.mark.parametrize(("name", "stages"), [("iris", 30), ("cancer", 30), ("four", 60)])
def test_log_loss_of_new_rows_is_like_scikit_learns(name: str, stages: int) -> None:
    """With trees; it has a factor for each leaf, and a tree for each class."""
    X, y, others, target = parts(name)
    ours = GradientBoostingClassifier(n_estimators=stages, random_state=0).fit(X, y)
    theirs = ensemble.GradientBoostingClassifier(n_estimators=stages, random_state=0).fit(X, y)
    share = np.bincount(y) / len(y)
    constant = log_loss(target, np.tile(share, (len(target), 1)))
    our, their = (log_loss(target, each.predict_proba(others)) for each in (ours, theirs))
    assert our < their + 0.1 * constant
    assert ours.score(others, target) > theirs.score(others, target) - 0.1


def network(**params: Any) -> MLPRegressor:
    given: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 10}
    return MLPRegressor(**(given | params))


def test_networks_of_values_beat_the_constant_and_one_of_them() -> None:
    X, y, others, target = parts("diabetes")
    ours = GradientBoostingRegressor(network(), n_estimators=10, learning_rate=0.5, random_state=0)
    ours.fit(X, y)
    alone = network(random_state=0).fit(X, y).score(others, target)
    assert ours.score(others, target) > max(0.3, alone)
    again = clone(ours).fit(X, y)
    np.testing.assert_array_equal(again.predict(others), ours.predict(others))
    seeds = {member.random_state for (member,) in ours.estimators_}
    assert len(seeds) == 10


@pytest.mark.parametrize(("name", "outputs"), [("cancer", 1), ("iris", 3)])
def test_networks_tell_classes_apart(name: str, outputs: int) -> None:
    """One network for all classes."""
    X, y, others, target = parts(name)
    learner = network(hidden_layer_sizes=(16,), max_epochs=20)
    ours = GradientBoostingClassifier(learner, n_estimators=15, learning_rate=0.3, random_state=0)
    ours.fit(X, y)
    assert ours.score(others, target) > 0.9
    share = np.bincount(y) / len(y)
    constant = log_loss(target, np.tile(share, (len(target), 1)))
    assert log_loss(target, ours.predict_proba(others)) < 0.5 * constant
    assert {len(each) for each in ours.estimators_} == {1}
    assert ours.estimators_[0][0].predict(others[:2]).size == 2 * outputs


def test_labels_are_words() -> None:
    X, y, others, target = parts("iris")
    names = np.array(["setosa", "versicolor", "virginica"])
    given: dict[str, Any] = {"n_estimators": 5, "n_iter_no_change": 3, "random_state": 0}
    words = GradientBoostingClassifier(**given)
    words.fit(X, names[y], X_val=others, y_val=names[target])
    numbers = GradientBoostingClassifier(**given).fit(X, y, X_val=others, y_val=target)
    assert words.classes_.tolist() == names.tolist()
    np.testing.assert_array_equal(words.predict(others), names[numbers.predict(others)])
    np.testing.assert_array_equal(words.val_loss_, numbers.val_loss_)


@pytest.mark.parametrize("name", ["two", "four"])
def test_scores_probabilities_and_stages_agree(name: str) -> None:
    X, y, others, _ = parts(name)
    ours = GradientBoostingClassifier(n_estimators=4).fit(X, y)
    scores, proba = ours.decision_function(others), ours.predict_proba(others)
    if name == "two":
        assert scores.shape == (len(others),)
        np.testing.assert_allclose(scores, np.log(proba[:, 1] / proba[:, 0]))
    else:
        np.testing.assert_allclose(softmax(scores, axis=1), proba)
    np.testing.assert_array_equal(ours.predict(others), proba.argmax(axis=1))
    for method in ("decision_function", "predict_proba", "predict"):
        staged = list(getattr(ours, f"staged_{method}")(others))
        assert len(staged) == 4
        np.testing.assert_array_equal(staged[-1], getattr(ours, method)(others))


def test_no_stage_changes_a_training_score_by_more_than_the_bound() -> None:
    X, y = table("two")
    given: dict[str, Any] = {"n_estimators": 6, "learning_rate": 0.5, "random_state": 0}
    start = np.log(np.mean(y) / np.mean(1 - y))
    for bound in (0.2, 1.0, None):
        ours = GradientBoostingClassifier(max_step=bound, **given).fit(X, y)
        scores = [np.full(len(y), start), *ours.staged_decision_function(X)]
        largest = np.abs(np.diff(scores, axis=0)).max()
        assert largest <= 0.5 * bound + 1e-9 if bound else largest > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_ensemble_stays_as_it_is(kind: Any) -> None:
    X, y = table("two")
    ours = kind(n_estimators=3, random_state=0).fit(X, y)
    before = ours.predict(X)
    ours.set_params(learning_rate=0.9, n_estimators=1, random_state=1)
    np.testing.assert_array_equal(ours.predict(X), before)


def test_a_constant_target_is_learnt() -> None:
    X = np.arange(10.0)[:, None]
    ours = GradientBoostingRegressor(n_estimators=3).fit(X, np.full(10, 4.0))
    np.testing.assert_array_equal(ours.predict(X), 4)
    np.testing.assert_array_equal(ours.train_loss_, 0)


def test_frames_keep_their_names() -> None:
    X, y, others, target = parts("iris")
    names = ["a", "b", "c", "d"]
    frame, held_out = (pd.DataFrame(each, columns=names) for each in (X, others))
    ours = GradientBoostingClassifier(n_estimators=3, n_iter_no_change=2, random_state=0)
    ours.fit(frame, pd.Series(y), X_val=held_out, y_val=pd.Series(target))
    assert ours.feature_names_in_.tolist() == names
    proba = ours.predict_proba(held_out)
    ours.fit(X, y, X_val=others, y_val=target)
    np.testing.assert_array_equal(ours.predict_proba(others), proba)
    with pytest.raises(ValueError, match="feature names"):
        ours.fit(frame, y, X_val=held_out[["b", "a", "c", "d"]], y_val=target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_estimators": 0}, "n_estimators must be a whole number of at least 1, got 0"),
        ({"n_estimators": True}, "n_estimators must be a whole number"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number above 0, got -0.1"),
        ({"subsample": 0.0}, "subsample must be a number above 0 and up to 1, got 0.0"),
        ({"subsample": 1.5}, "subsample must be a number above 0 and up to 1"),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be a whole number"),
        ({"n_iter_no_change": 5}, "n_iter_no_change needs validation rows, and none are split off"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(
    kind: Any, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**params).fit(*table("two"))


class Infinite(DummyRegressor):  # type: ignore[misc]
    """A learner that predicts what is no number."""

    _parameter_constraints: ClassVar[dict[str, Any]] = DummyRegressor._parameter_constraints

    def predict(self, X: Any) -> Any:
        return np.full(len(X), np.inf)


def test_other_mistakes_are_named() -> None:
    X, y = table("iris")
    boosting = GradientBoostingClassifier(n_estimators=2)
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        boosting.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val has the class 7, which no training row has"):
        boosting.fit(X, y, X_val=X[:2], y_val=[0, 7])
    with pytest.raises(ValueError, match="max_step must be a finite number above 0, got 0"):
        GradientBoostingClassifier(max_step=0).fit(X, y)
    with pytest.raises(ValueError, match="y has one class only, 1; boosting needs two or more"):
        boosting.fit(X, np.ones(len(X), dtype=int))
    with pytest.raises(ValueError, match="KNeighborsRegressor takes no sample_weight"):
        GradientBoostingClassifier(KNeighborsRegressor()).fit(X, y, np.ones(len(y)))
    with pytest.raises(ValueError, match="Infinite predicts values that are not finite"):
        GradientBoostingRegressor(Infinite()).fit(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_documented(kind: type[Any]) -> None:
    documentation = re.sub(r",\n\s+", ", ", inspect.getdoc(kind) or "")
    heads = re.findall(r"^([\w, ]+) :", documentation, re.MULTILINE)
    named = {name for head in heads for name in head.split(", ")}
    assert set(inspect.signature(kind).parameters) <= named
