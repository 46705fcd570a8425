"""Stacking: scikit-learn's for the same folds, leaks, stored networks, layers, splits in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn import ensemble
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensembles import (
    GreedySelectionClassifier,
    GreedySelectionRegressor,
    LeakError,
    StackingClassifier,
    StackingRegressor,
    Stored,
    VotingClassifier,
)
from ensembles.meta_features import meta_features
from hpo import MLPClassifier, MLPRegressor

FOLDS = StratifiedKFold(4, shuffle=True, random_state=1)


def classifiers() -> list[tuple[str, Any]]:
    return [
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression())),
        ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
    ]


def regressors() -> list[tuple[str, Any]]:
    return [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))]


# Against scikit-learn


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
@pytest.mark.parametrize("passthrough", [False, True])
def test_classes_are_those_of_scikit_learn(load: Any, passthrough: bool) -> None:
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    meta = LogisticRegression(C=0.5, max_iter=5000, tol=1e-10)
    ours = StackingClassifier(classifiers(), meta, cv=FOLDS, passthrough=passthrough).fit(X, y)
    theirs = ensemble.StackingClassifier(classifiers(), meta, cv=FOLDS, passthrough=passthrough)
    theirs.fit(X, y)
    np.testing.assert_allclose(ours.final_estimator_.coef_, theirs.final_estimator_.coef_)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_values_are_those_of_scikit_learn() -> None:
    X, y = load_diabetes(return_X_y=True)
    folds = KFold(4, shuffle=True, random_state=1)
    ours = StackingRegressor(regressors(), cv=folds).fit(X, y)
    theirs = ensemble.StackingRegressor(regressors(), cv=folds).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))


def test_the_folds_are_those_of_scikit_learn_by_default() -> None:
    X, y = load_iris(return_X_y=True)
    ours = StackingClassifier(classifiers()).fit(X, y)
    theirs = ensemble.StackingClassifier(classifiers()).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_weights_of_rows_reach_members_and_meta_model() -> None:
    X, y = load_iris(return_X_y=True)
    weights = np.random.default_rng(0).uniform(0.1, 3, len(y))
    learners = [("nb", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]
    ours = StackingClassifier(learners, cv=FOLDS).fit(X, y, weights)
    theirs = ensemble.StackingClassifier(learners, cv=FOLDS).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_a_learner_without_weights_is_told() -> None:
    X, y = load_iris(return_X_y=True)
    net = make_pipeline(StandardScaler(), GaussianNB())
    with pytest.raises(ValueError, match="Pipeline takes no sample_weight"):
        StackingClassifier([("pipe", net)]).fit(X, y, np.ones(len(y)))


# Leaks


class Memory(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Knows the class of every row that it has seen, and says the first class of all others."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Memory:
        self.classes_ = np.unique(y)
        self.known_ = {tuple(row): each for row, each in zip(X, y, strict=True)}
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.array([self.known_.get(tuple(row), self.classes_[0]) for row in X])


def random_rows(n_rows: int = 60) -> tuple[NDArray[Any], NDArray[Any]]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(n_rows, 2)), generator.integers(2, size=n_rows)


@pytest.mark.parametrize(
    "kind", [StackingClassifier, GreedySelectionClassifier], ids=lambda each: each.__name__
)
def test_no_out_of_fold_prediction_comes_from_a_model_that_saw_the_row(kind: Any) -> None:
    X, y = random_rows()
    fitted = kind([("memory", Memory())], cv=5).fit(X, y)
    np.testing.assert_array_equal(fitted.out_of_fold_[0], [[1.0, 0.0]] * len(y))


def test_voting_with_the_best_weights_neither() -> None:
    X, y = random_rows()
    voting = VotingClassifier(
        [("memory", Memory()), ("tree", DecisionTreeClassifier(max_depth=1))],
        weights="best",
        voting="soft",
        cv=5,
    ).fit(X, y)
    np.testing.assert_array_equal(voting.out_of_fold_[0], [[1.0, 0.0]] * len(y))
    assert voting.weights_[0] < 0.5


def test_a_network_that_memorises_does_neither() -> None:
    """The folds are one stack, in which a row that is held out has weight 0."""
    X, y = random_rows(80)
    net = MLPClassifier(
        (64, 64), max_epochs=300, learning_rate=1e-2, weight_decay=0, dropout=0, random_state=0
    )
    stack = StackingClassifier([("net", net)], cv=5).fit(X, y)
    assert stack.estimators_[0].score(X, y) > 0.85  # it does memorise
    assert log_loss(y, stack.out_of_fold_[0]) > np.log(2)


def test_a_row_on_both_sides_of_a_fold_is_refused() -> None:
    X, y = random_rows()
    folds = [(np.arange(40), np.arange(39, 60)), (np.arange(40, 60), np.arange(39))]
    with pytest.raises(LeakError, match="fold 0 is trained on row 39, which it is to predict; 1 r"):
        StackingClassifier(classifiers(), cv=folds).fit(X, y)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([(range(40), range(40, 60)), ([], range(40))], "fold 1 has none of the 60 rows to train"),
        ([(range(40), [])], "fold 0 has none of the 60 rows to predict: leave it out of cv"),
        ([(np.zeros(60, bool), np.ones(60, bool))], "fold 0 has none of the 60 rows to train on"),
        ([], "cv has no folds: give pairs of rows"),
    ],
)
@pytest.mark.parametrize("kind", [StackingClassifier, GreedySelectionClassifier])
def test_folds_need_rows_on_both_sides(kind: Any, folds: Any, message: str) -> None:
    X, y = random_rows()
    pairs = [
        tuple(np.asarray(side, dtype=None if len(side) else int) for side in fold) for fold in folds
    ]
    with pytest.raises(ValueError, match=message):
        kind(classifiers(), cv=pairs).fit(X, y)


@pytest.mark.parametrize(
    ("learner", "cv"),
    [(LogisticRegression(), "prefit"), (FrozenEstimator(LogisticRegression()), 3)],
)
def test_trained_models_that_do_not_say_what_they_saw_are_refused(learner: Any, cv: Any) -> None:
    X, y = random_rows()
    if isinstance(learner, FrozenEstimator):
        learner.estimator.fit(X, y)
    with pytest.raises(LeakError, match=r"ensembles\.Stored, which says"):
        StackingClassifier([("one", learner)], cv=cv).fit(X, y)


# What is stored


def stored_tree(X: NDArray[Any], y: NDArray[Any], folds: Any) -> Stored:
    """Trees of the folds, with their predictions for the rows that they were not trained on."""
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    models, predictions = [], np.full((len(y), len(np.unique(y))), np.nan)
    seen = np.zeros((folds.get_n_splits(), len(y)), dtype=bool)
    for place, (train, test) in enumerate(folds.split(X, y)):
        models.append(DecisionTreeClassifier(**tree.get_params()).fit(X[train], y[train]))
        predictions[test] = models[-1].predict_proba(X[test])
        seen[place, train] = True
    return Stored(models, predictions, seen)


def test_stored_predictions_are_used_as_they_are() -> None:
    X, y = load_iris(return_X_y=True)
    stored = stored_tree(X, y, FOLDS)
    logistic, tree = classifiers()
    ours = StackingClassifier([logistic, ("tree", stored)], cv=FOLDS, members="folds").fit(X, y)
    anew = StackingClassifier([logistic, tree], cv=FOLDS, members="folds").fit(X, y)
    np.testing.assert_allclose(ours.out_of_fold_, anew.out_of_fold_)
    np.testing.assert_allclose(ours.predict_proba(X), anew.predict_proba(X))


def test_a_stored_prediction_for_a_row_that_was_seen_is_refused() -> None:
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier().fit(X[:100], y[:100])
    seen = (np.arange(len(y)) < 100)[None]
    predictions = np.eye(3)[y]
    with pytest.raises(LeakError, match="100 of 150 rows have a prediction by models that were"):
        Stored([tree], predictions, seen)
    predictions = np.where(seen.T, np.nan, predictions)
    Stored([tree], predictions, seen)


def test_rows_without_a_stored_prediction_take_no_part() -> None:
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    train, rest = np.arange(100), np.arange(100, 150)
    tree = DecisionTreeClassifier(max_depth=3).fit(X[train], y[train])
    predictions = np.full((150, 3), np.nan)
    predictions[rest] = tree.predict_proba(X[rest])
    stored = Stored([tree], predictions, (np.arange(150) < 100)[None])
    stack = StackingClassifier([classifiers()[0], ("tree", stored)], cv=FOLDS).fit(X, y)
    assert stack.n_rows_without_prediction_ == 100
    columns = meta_features(stack.out_of_fold_[:, rest], "proba", classes=True)
    expected = LogisticRegression().fit(columns, y[rest])
    np.testing.assert_allclose(stack.final_estimator_.coef_, expected.coef_)


@pytest.mark.parametrize(
    ("predictions", "seen", "message"),
    [
        (np.zeros((5, 3)), np.zeros((2, 5), bool), "do not fit 1 models"),
        (np.zeros((5, 3)), np.zeros((1, 4), bool), "do not fit 1 models"),
        (np.zeros((5, 3)), np.zeros((1, 5)), "seen must be True or False, not of type float64"),
    ],
)
def test_what_is_stored_must_fit(predictions: Any, seen: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stored([DecisionTreeClassifier()], predictions, seen)


def test_stored_predictions_of_other_rows_are_refused() -> None:
    X, y = load_iris(return_X_y=True)
    stored = Stored([DecisionTreeClassifier()], np.zeros((149, 3)), np.zeros((1, 149), bool))
    with pytest.raises(ValueError, match=r"old has stored predictions of shape \(149, 3\), not"):
        StackingClassifier([("old", stored)]).fit(X, y)


@pytest.mark.parametrize(
    "build",
    [
        StackingClassifier,
        GreedySelectionClassifier,
        lambda learners: VotingClassifier(learners, voting="soft", weights="best"),
    ],
    ids=["stacking", "greedy", "voting"],
)
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([range(0), range(150)], "old0 has no prediction for any row, and the ensemble learns"),
        ([range(75), range(75, 150)], "no row has a prediction by each of old0, old1: give pred"),
    ],
)
def test_predictions_that_leave_no_row_are_refused_before_any_training(
    build: Any, rows: Any, message: str
) -> None:
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=1).fit(X, y)
    learners: list[tuple[str, Any]] = [("untouched", Untouchable())]
    for place, own in enumerate(rows):
        predictions = np.full((150, 3), np.nan)
        predictions[own] = 1 / 3
        stored = Stored([tree], predictions, np.isnan(predictions).all(axis=1)[None])
        learners.append((f"old{place}", stored))
    with pytest.raises(ValueError, match=message):
        build(learners).fit(X, y)


class Untouchable(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Must not be trained."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Untouchable:
        raise AssertionError("it was trained")

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        raise AssertionError("it was asked")


@pytest.mark.parametrize("kind", [StackingRegressor, GreedySelectionRegressor])
def test_a_learner_that_predicts_nothing_is_named(kind: Any) -> None:
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="nothing has no prediction for any row"):
        kind([("ridge", Ridge()), ("nothing", Nothing())]).fit(X, y)


class Nothing(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Says NaN of every row."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Nothing:
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), np.nan)


# Folds


def test_groups_are_kept_together() -> None:
    """Rows of a group are the same, and a model that saw one of them would know the others."""
    X, y = random_rows(20)
    X, y, groups = np.repeat(X, 3, axis=0), np.repeat(y, 3), np.repeat(np.arange(20), 3)
    stack = StackingClassifier([("memory", Memory())], cv=GroupKFold(4)).fit(X, y, groups=groups)
    np.testing.assert_array_equal(stack.out_of_fold_[0], [[1.0, 0.0]] * len(y))


def test_forward_in_time_the_first_rows_have_no_prediction() -> None:
    X, y = load_diabetes(return_X_y=True)
    folds = TimeSeriesSplit(4)
    first = next(iter(folds.split(X)))[1][0]
    stack = StackingRegressor(regressors(), cv=folds).fit(X, y)
    assert stack.n_rows_without_prediction_ == first
    assert np.isnan(stack.out_of_fold_[:, :first]).all()
    assert not np.isnan(stack.out_of_fold_[:, first:]).any()
    for (train, test), learner in [(fold, each) for fold in folds.split(X) for each in [Ridge()]]:
        np.testing.assert_allclose(
            stack.out_of_fold_[0, test, 0], learner.fit(X[train], y[train]).predict(X[test])
        )
    # Members that predict new rows have learnt from all of them.
    np.testing.assert_allclose(stack.estimators_[0].coef_, Ridge().fit(X, y).coef_)


def test_a_row_that_several_folds_predict_gets_their_mean() -> None:
    X, y = load_iris(return_X_y=True)
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    stack = StackingClassifier(classifiers()[1:], cv=folds).fit(X, y)
    pairs = list(folds.split(X, y))
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    each = [
        cross_val_predict(tree, X, y, cv=p, method="predict_proba") for p in (pairs[:3], pairs[3:])
    ]
    np.testing.assert_allclose(stack.out_of_fold_[0], np.mean(each, axis=0))


def test_networks_of_all_folds_are_one_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    many = MLPRegressor.fit_many

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(len(arguments[2]))
        return many(self, *arguments, **named)

    monkeypatch.setattr(MLPRegressor, "fit_many", counted)
    X, y = load_diabetes(return_X_y=True)
    net = MLPRegressor((16,), max_epochs=30, random_state=0)
    stack = StackingRegressor([("net", net), ("ridge", Ridge())], cv=4, members="folds").fit(X, y)
    assert calls == [4]
    assert len(stack.members_[0][0]) == 4
    assert stack.score(X, y) > 0.4


def test_the_models_of_the_folds_predict_together() -> None:
    X, y = load_iris(return_X_y=True)
    stack = StackingClassifier(classifiers(), cv=FOLDS, members="folds").fit(X, y)
    means = []
    for place in range(2):
        models = stack.members_[0][place]
        assert len(models) == 4
        means.append(np.mean([each.predict_proba(X) for each in models], axis=0))
    columns = meta_features(np.stack(means), "proba", classes=True)
    np.testing.assert_allclose(
        stack.predict_proba(X), stack.final_estimator_.predict_proba(columns)
    )


# Layers


def test_a_second_layer_sees_the_first_one_and_the_meta_model_both() -> None:
    X, y = load_iris(return_X_y=True)
    second = [("nb", GaussianNB()), ("logistic2", LogisticRegression())]
    stack = StackingClassifier(classifiers(), layers=[second], cv=FOLDS).fit(X, y)
    assert stack.names_ == ["logistic", "tree", "nb", "logistic2"]
    first = [
        cross_val_predict(each, X, y, cv=FOLDS, method="predict_proba") for _, each in classifiers()
    ]
    np.testing.assert_allclose(stack.out_of_fold_[:2], first)
    columns = np.hstack(first)
    further = [
        cross_val_predict(each, columns, y, cv=FOLDS, method="predict_proba") for _, each in second
    ]
    np.testing.assert_allclose(stack.out_of_fold_[2:], further, atol=1e-6)
    meta = LogisticRegression().fit(np.hstack([*first, *further]), y)
    np.testing.assert_allclose(stack.final_estimator_.coef_, meta.coef_, atol=1e-3)
    whole = [each.fit(X, y).predict_proba(X) for _, each in classifiers()]
    after = [each.fit(columns, y).predict_proba(np.hstack(whole)) for _, each in second]
    expected = meta.predict_proba(np.hstack([*whole, *after]))
    np.testing.assert_allclose(stack.predict_proba(X), expected, atol=1e-3)


@pytest.mark.parametrize("members", ["refit", "folds"])
def test_layers_with_splits_in_time(members: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    second = [(f"{name}2", learner) for name, learner in regressors()]
    stack = StackingRegressor(
        regressors(), layers=[second], cv=TimeSeriesSplit(4), members=members
    ).fit(X, y)
    tests = [test for _, test in TimeSeriesSplit(4).split(X)]
    # The second layer has nothing to learn from before the first fold's rows.
    assert stack.n_rows_without_prediction_ == tests[1][0]
    assert stack.score(X, y) > 0.3


def test_learners_of_a_further_layer_are_checked_too() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="the learner 'r' must be a classifier, not Ridge"):
        StackingClassifier(classifiers(), layers=[[("r", Ridge())]]).fit(X, y)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([[("nb", GaussianNB())], [("nb", GaussianNB())]], "two layers have a learner .* 'nb'"),
        ([[("untouched", GaussianNB())]], "the name 'untouched': give each learner a name of its"),
        ([[("nb", GaussianNB()), ("nb", GaussianNB())]], "unique"),
        ([("nb", GaussianNB())], "layers must be a list of lists of"),
        ("nb", "layers must be a list of lists of"),
        (None, "layers must be a list of lists of"),
        ([[]], "non-empty list"),
    ],
)
def test_layers_that_cannot_be_are_refused(layers: Any, message: str) -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        StackingClassifier([("untouched", Untouchable())], layers=layers).fit(X, y)


def test_layers_are_set_as_a_whole() -> None:
    stack = StackingClassifier(classifiers(), layers=[[("nb", GaussianNB())]], cv=3)
    assert "nb" not in stack.get_params()
    stack.set_params(layers=[[("logistic2", LogisticRegression(max_iter=500))]])
    assert stack.fit(*load_iris(return_X_y=True)).names_ == ["logistic", "tree", "logistic2"]


# The comparison


def test_the_stack_is_compared_on_rows_that_neither_it_nor_the_best_has_seen() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    stack = StackingClassifier(classifiers(), cv=FOLDS).fit(X, y)
    found = stack.comparison_
    assert found is not None
    proba = stack.out_of_fold_
    columns = meta_features(proba, "proba", classes=True)
    ours = np.empty((len(y), 2))
    for _, test in FOLDS.split(X, y):
        rest = np.setdiff1d(np.arange(len(y)), test)
        ours[test] = LogisticRegression().fit(columns[rest], y[rest]).predict_proba(columns[test])
    assert found.stack == pytest.approx(log_loss(y, ours))
    assert found.best == "logistic"
    assert found.single == pytest.approx(log_loss(y, proba[0]))


def test_a_stack_that_is_no_better_than_its_best_member_says_so() -> None:
    """Of noise there is nothing to be learnt, and a tree as the meta-model learns much of it."""
    X, y = random_rows(200)
    learners = [
        ("constant", Constant()),
        ("tree", DecisionTreeClassifier(min_samples_leaf=5, random_state=0)),
    ]
    meta = DecisionTreeClassifier(min_samples_leaf=10, random_state=0)
    found = StackingClassifier(learners, meta, cv=4).fit(X, y).comparison_
    assert found is not None
    assert found.best == "constant"
    assert found.stack > found.single


class Constant(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says the shares of the classes."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Constant:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.tile(self.shares_, (len(X), 1))

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), self.classes_[self.shares_.argmax()])


def test_a_single_fold_tells_nothing_of_the_meta_model() -> None:
    X, y = load_iris(return_X_y=True)
    rows = np.random.default_rng(0).permutation(150)
    stack = StackingClassifier(classifiers(), cv=[(rows[:100], rows[100:])]).fit(X, y)
    assert stack.comparison_ is None
    assert stack.n_rows_without_prediction_ == 100


# What goes in


def test_frames_keep_their_columns() -> None:
    data = load_iris(as_frame=True)
    X, y = data.data, pd.Series(data.target_names[data.target])
    stack = StackingClassifier(classifiers(), cv=3).fit(X, y)
    assert list(stack.feature_names_in_) == list(X.columns)
    assert stack.n_features_in_ == 4
    assert stack.score(X, y) > 0.9
    assert set(stack.predict(X)) == set(data.target_names)


def coded(learner: Any) -> Any:
    """A learner behind an encoder of the categories in the column ``shop``."""
    return make_pipeline(
        make_column_transformer((OneHotEncoder(), ["shop"]), remainder="passthrough"), learner
    )


def shops() -> tuple[Any, NDArray[Any]]:
    """A frame with numbers, truths and categories."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    frame = X[["bmi", "bp"]].assign(old=X["age"] > 0)
    shop = np.where(X["sex"] > 0, "north", "south")
    return frame.assign(shop=pd.Categorical(shop)), y.to_numpy()


@pytest.mark.parametrize("frame_of", [lambda X: X, pl.from_pandas, np.asarray])
def test_categories_are_not_passed_through(frame_of: Any) -> None:
    X, y = shops()
    name = r"3" if frame_of is np.asarray else "'shop'"
    message = rf"feature {name} is not of numbers: encode it before the ensemble, or use passthr"
    with pytest.raises(ValueError, match=message):
        StackingRegressor([("untouched", Untaught())], passthrough=True).fit(frame_of(X), y)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([["2026-01-01"]] * 442, dtype="datetime64[ns]"), "feature 0 is not of numbers"),
        (["a text"] * 442, r"they are not \(rows, features\), but of shape \(442,\)"),
    ],
)
def test_neither_are_times_and_texts(X: Any, message: str) -> None:
    y = load_diabetes().target
    with pytest.raises(ValueError, match=message):
        StackingRegressor([("untouched", Untaught())], passthrough=True).fit(X, y)


class Untaught(RegressorMixin, Untouchable):  # type: ignore[misc]
    """Likewise `Untouchable`, of values."""


def test_categories_may_be_encoded_by_the_members_or_before_the_ensemble() -> None:
    X, y = shops()
    folds = KFold(3)
    members = StackingRegressor([("ridge", coded(Ridge()))], cv=folds).fit(X, y)
    whole = coded(StackingRegressor([("ridge", Ridge())], cv=folds, passthrough=True)).fit(X, y)
    assert members.score(X, y) > 0.3
    assert whole.score(X, y) > 0.3


def test_numbers_and_truths_are_passed_through() -> None:
    X, y = shops()
    X = X.drop(columns="shop")
    assert np.asarray(X).dtype == object
    common: dict[str, Any] = {"cv": KFold(3), "passthrough": True}
    frame = StackingRegressor([("ridge", Ridge())], **common).fit(X, y)
    plain = X.to_numpy(np.float64)
    array = StackingRegressor([("ridge", Ridge())], **common).fit(plain, y)
    np.testing.assert_allclose(frame.predict(X), array.predict(plain))


def test_sparse_rows() -> None:
    X, y = load_diabetes(return_X_y=True)
    for passthrough in (False, True):
        # Linear models have another solver for sparse rows.
        meta = DecisionTreeRegressor(max_depth=3, random_state=0)
        stack = StackingRegressor(regressors()[1:], meta, cv=3, passthrough=passthrough)
        dense = stack.fit(X, y).predict(X)
        thin = stack.fit(sparse.coo_array(X), y).predict(sparse.csr_array(X))
        np.testing.assert_allclose(dense, thin)


def test_members_without_probabilities_are_sure() -> None:
    X, y = load_iris(return_X_y=True)
    stack = StackingClassifier([("svm", LinearSVC())], cv=3).fit(X, y)
    assert set(np.unique(stack.out_of_fold_)) == {0.0, 1.0}
    assert stack.score(X, y) > 0.9


def test_log_odds_are_what_the_meta_model_sees() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    stack = StackingClassifier(classifiers(), cv=FOLDS, meta_features="log_odds").fit(X, y)
    p = np.clip(stack.out_of_fold_[:, :, 1], 1e-3, 1 - 1e-3)
    meta = LogisticRegression().fit(np.log(p / (1 - p)).T, y)
    np.testing.assert_allclose(stack.final_estimator_.coef_, meta.coef_, rtol=1e-6)


def test_any_meta_model() -> None:
    X, y = load_iris(return_X_y=True)
    net = MLPClassifier((8,), max_epochs=60, random_state=0)
    for meta in (net, DecisionTreeClassifier(max_depth=2), GaussianNB()):
        assert StackingClassifier(classifiers(), meta, cv=FOLDS).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"meta_features": "logits"}, "meta_features is one of proba, log_odds, not 'logits'"),
        ({"members": "all"}, "members is 'refit' or 'folds', not 'all'"),
        ({"final_estimator": Ridge()}, "final_estimator must be a classifier, not Ridge"),
        ({"final_estimator": StandardScaler()}, "must be a classifier, not StandardScaler"),
        ({"final_estimator": GaussianNB}, "final_estimator must be a classifier, not <class"),
        ({"final_estimator": "ridge"}, "final_estimator must be a classifier, not 'ridge'"),
    ],
)
def test_what_cannot_be_is_said_before_any_training(params: dict[str, Any], message: str) -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        StackingClassifier([("untouched", Untouchable())], **params).fit(X, y)


def test_the_meta_model_of_values_is_no_classifier() -> None:
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="final_estimator must be a regressor, not GaussianNB"):
        StackingRegressor(regressors(), GaussianNB()).fit(X, y)


class Mean(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Says the mean of the target."""

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Mean:
        self.mean_ = y.mean()
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), self.mean_)


def test_a_learner_that_learns_nothing_is_given_no_weight() -> None:
    X, y = load_diabetes(return_X_y=True)
    stack = StackingRegressor([("mean", Mean()), ("ridge", Ridge())], cv=5).fit(X, y)
    assert stack.comparison_ is not None
    assert stack.comparison_.best == "ridge"
    assert stack.score(X, y) > 0.3
