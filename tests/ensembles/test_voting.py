"""Votes and weighted means: scikit-learn's, the best weights, invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensembles import (
    GreedySelectionClassifier,
    GreedySelectionRegressor,
    StackingClassifier,
    Stored,
    VotingClassifier,
    VotingRegressor,
)
from ensembles.greedy_selection import select
from ensembles.losses import LogLoss, SquaredLoss, loss_of
from ensembles.weights import simplex_weights

FOLDS = KFold(4, shuffle=True, random_state=1)


def classifiers() -> list[tuple[str, Any]]:
    return [
        ("nb", GaussianNB()),
        ("logistic", LogisticRegression(max_iter=1000)),
        ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
    ]


def regressors() -> list[tuple[str, Any]]:
    return [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))]


def probabilities(X: Any, y: Any) -> Any:
    """Out-of-fold probabilities of every classifier, (members, rows, classes)."""
    return np.stack(
        [
            cross_val_predict(each, X, y, cv=FOLDS, method="predict_proba")
            for _, each in classifiers()
        ]
    )


@pytest.mark.parametrize("voting", ["soft", "hard"])
@pytest.mark.parametrize("weights", [None, [1, 2, 0.5], [0, 1, 0]])
def test_classes_are_those_of_scikit_learn(voting: str, weights: Any) -> None:
    X, y = load_iris(return_X_y=True)
    y = np.array(["a", "b", "c"])[y]
    ours = VotingClassifier(classifiers(), voting=voting, weights=weights).fit(X, y)
    theirs = ensemble.VotingClassifier(classifiers(), voting=voting, weights=weights).fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    if voting == "soft":
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))


@pytest.mark.parametrize("weights", [None, [1, 3]])
def test_values_are_those_of_scikit_learn(weights: Any) -> None:
    X, y = load_diabetes(return_X_y=True)
    ours = VotingRegressor(regressors(), weights=weights).fit(X, y)
    theirs = ensemble.VotingRegressor(regressors(), weights=weights).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))
    assert ours.weights_.sum() == pytest.approx(1)
    assert list(ours.named_estimators_) == ["ridge", "tree"]


def test_the_best_weights_are_those_of_out_of_fold_predictions() -> None:
    X, y = load_iris(return_X_y=True)
    voting = VotingClassifier(classifiers(), voting="soft", weights="best", cv=FOLDS).fit(X, y)
    proba = np.stack(
        [
            cross_val_predict(each, X, y, cv=FOLDS, method="predict_proba")
            for _, each in classifiers()
        ]
    )
    np.testing.assert_allclose(voting.out_of_fold_, proba)
    np.testing.assert_allclose(voting.weights_, simplex_weights(proba, y, LogLoss()))
    X, y = load_diabetes(return_X_y=True)
    values = VotingRegressor(regressors(), weights="best", cv=FOLDS).fit(X, y)
    found = np.stack([cross_val_predict(each, X, y, cv=FOLDS) for _, each in regressors()])
    expected = simplex_weights(found[:, :, None], y[:, None], SquaredLoss())
    np.testing.assert_allclose(values.weights_, expected)


def test_the_best_weights_of_hard_votes_are_those_of_the_votes() -> None:
    X, y = load_iris(return_X_y=True)
    X = X[:, :2]
    learners = [*classifiers(), ("stump", DecisionTreeClassifier(max_depth=1))]
    voting = VotingClassifier(learners, voting="hard", weights="best", cv=FOLDS).fit(X, y)
    votes = np.stack([np.eye(3)[cross_val_predict(each, X, y, cv=FOLDS)] for _, each in learners])
    np.testing.assert_array_equal(voting.out_of_fold_, votes)
    np.testing.assert_allclose(voting.weights_, simplex_weights(votes, y, LogLoss()))
    least = loss_of(LogLoss(), np.tensordot(voting.weights_, votes, 1), y)
    for other in np.random.default_rng(0).dirichlet(np.ones(4), 200):
        assert least <= loss_of(LogLoss(), np.tensordot(other, votes, 1), y)
    shares = np.stack([np.eye(3)[each.predict(X)] for each in voting.estimators_])
    np.testing.assert_allclose(voting.predict_proba(X), np.tensordot(voting.weights_, shares, 1))


def test_what_is_stored_has_hard_votes_too() -> None:
    X, y = load_iris(return_X_y=True)
    predictions = np.full((150, 3), np.nan)
    predictions[1::2] = [0.2, 0.5, 0.3]
    tree = DecisionTreeClassifier(max_depth=1).fit(X[::2], y[::2])
    stored = Stored([tree], predictions, (np.arange(150) % 2 == 0)[None])
    learners = [*classifiers()[:1], ("stored", stored)]
    voting = VotingClassifier(learners, weights="best", cv=FOLDS).fit(X, y)
    assert np.isnan(voting.out_of_fold_[1, ::2]).all()
    np.testing.assert_array_equal(voting.out_of_fold_[1, 1::2], [[0, 1, 0]] * 75)


@pytest.mark.parametrize("members", ["refit", "folds"])
def test_greedy_selection_is_that_of_out_of_fold_predictions(members: str) -> None:
    X, y = load_iris(return_X_y=True)
    greedy = GreedySelectionClassifier(classifiers(), n_steps=9, cv=FOLDS, members=members)
    greedy.fit(X, y)
    proba = np.stack(
        [
            cross_val_predict(each, X, y, cv=FOLDS, method="predict_proba")
            for _, each in classifiers()
        ]
    )
    expected = select(proba, y, LogLoss(), steps=9)
    np.testing.assert_allclose(greedy.weights_, expected.weights)
    names = [name for name, _ in classifiers()]
    taken = np.flatnonzero(expected.weights)
    assert greedy.selected_ == [names[each] for each in taken]
    if members == "refit":
        fitted = [each.fit(X, y).predict_proba(X) for _, each in classifiers()]
        mean = np.tensordot(expected.weights, np.stack(fitted), 1)
        np.testing.assert_allclose(greedy.predict_proba(X), mean)
    else:
        assert [len(models) for models in greedy.members_] == [4] * len(taken)
    assert greedy.score(X, y) > 0.9


def test_bags_are_drawn_by_the_seed() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = [
        GreedySelectionRegressor(regressors(), n_bags=5, cv=FOLDS, random_state=seed).fit(X, y)
        for seed in (0, 0, 2)
    ]
    np.testing.assert_array_equal(found[0].weights_, found[1].weights_)
    assert found[0].weights_.tolist() != found[2].weights_.tolist()
    assert found[0].score(X, y) > 0.4


@pytest.mark.parametrize(
    "ensemble_of_one",
    [
        VotingClassifier([("tree", DecisionTreeClassifier(random_state=0))], voting="soft"),
        VotingClassifier(
            [("tree", DecisionTreeClassifier(random_state=0))], voting="soft", weights="best"
        ),
        GreedySelectionClassifier([("tree", DecisionTreeClassifier(random_state=0))]),
    ],
    ids=["voting", "best weights", "greedy"],
)
def test_an_ensemble_of_one_is_its_member(ensemble_of_one: Any) -> None:
    X, y = load_iris(return_X_y=True)
    alone = DecisionTreeClassifier(random_state=0).fit(X, y)
    fitted = ensemble_of_one.fit(X, y)
    assert fitted.weights_.tolist() == [1.0]
    np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize(
    "build",
    [
        lambda learners: VotingClassifier(learners, voting="soft"),
        lambda learners: VotingClassifier(learners, voting="soft", weights="best", cv=FOLDS),
        lambda learners: GreedySelectionClassifier(learners, cv=FOLDS),
        lambda learners: StackingClassifier(learners, LogisticRegression(tol=1e-10), cv=FOLDS),
    ],
    ids=["voting", "best weights", "greedy", "stacking"],
)
def test_the_order_of_members_does_not_matter(build: Any) -> None:
    X, y = load_iris(return_X_y=True)
    one, other = (build(each).fit(X, y) for each in (classifiers(), classifiers()[::-1]))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)


def test_what_is_stored_votes_too() -> None:
    X, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=2).fit(X[::2], y[::2])
    predictions = np.full((150, 3), np.nan)
    predictions[1::2] = tree.predict_proba(X[1::2])
    stored = Stored([tree], predictions, (np.arange(150) % 2 == 0)[None])
    for voting in ("soft", "hard"):
        vote = VotingClassifier([("stored", stored)], voting=voting).fit(X, y)
        np.testing.assert_array_equal(vote.predict(X), tree.predict(X))
    best = VotingClassifier(
        [*classifiers(), ("stored", stored)], voting="soft", weights="best", cv=FOLDS
    ).fit(X, y)
    assert best.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"voting": "loud"}, "voting is 'hard' or 'soft', not 'loud'"),
        ({"weights": [1, 2]}, "Number of `estimators` and weights must be equal"),
        ({"weights": [1, -1, 1]}, "weights must not be negative, and not all zero"),
        ({"weights": [0, 0, 0]}, "weights must not be negative, and not all zero"),
        ({"weights": "all"}, "weights are numbers, None or 'best', not 'all'"),
    ],
)
def test_what_cannot_be_is_said(params: dict[str, Any], message: str) -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        VotingClassifier(classifiers(), **params).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_steps": 0}, "n_steps must be a whole number of at least 1, got 0"),
        ({"n_steps": 2.5}, "n_steps must be a whole number of at least 1, got 2.5"),
        ({"n_initial": -3}, "n_initial must be a whole number of at least 0, got -3"),
        ({"n_bags": "two"}, "n_bags must be a whole number of at least 0, got 'two'"),
        ({"n_bags": 2, "bag_share": 3}, "bag_share must be a number above 0 and up to 1, got 3"),
        ({"bag_share": 0.0}, r"bag_share must be a number above 0 and up to 1, got 0\.0"),
        ({"members": "all"}, "members is 'refit' or 'folds', not 'all'"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(params: dict[str, Any], message: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        GreedySelectionRegressor(regressors(), **params).fit(X, y)


def test_a_weight_stays_with_its_learner_when_another_one_is_dropped() -> None:
    X, y = load_iris(return_X_y=True)
    voting = VotingClassifier(classifiers(), voting="soft", weights=[1, 2, 6])
    voting.set_params(logistic="drop").fit(X, y)
    np.testing.assert_allclose(voting.weights_, [1 / 7, 6 / 7])
