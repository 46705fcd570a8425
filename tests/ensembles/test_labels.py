"""Classes of stored models: placed by label, cell by cell, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from ensembles import (
    GreedySelectionClassifier,
    StackingClassifier,
    Stored,
    VotingClassifier,
    VotingRegressor,
)
from ensembles.labels import places, proba_of_labels

NAMES = {
    "words": np.array(["ash", "beech", "cedar"]),
    "numbers": np.array([1, 2, 3]),
    "indices": np.array([0, 1, 2]),
}


def halves(labels: NDArray[Any], learner: Any) -> tuple[Any, Any, Any, Any]:
    """Rows, labels, models that lack the first or the last class, and rows that they saw."""
    X, index = load_iris(return_X_y=True)
    y = labels[index]
    first, last = (np.arange(150) % 3 == 0) & (index < 2), (np.arange(150) % 3 == 0) & (index > 0)
    models = [clone(learner).fit(X[own], y[own]) for own in (first, last)]
    assert [len(each.classes_) for each in models] == [2, 2]
    return X, y, models, np.stack([first, last])


def literally(model: Any, X: Any, labels: Any) -> NDArray[Any]:
    """Probabilities in the order of ``labels``, cell by cell."""
    proba = np.zeros((len(X), len(labels)))
    for row, features in enumerate(X):
        if hasattr(model, "predict_proba"):
            own = dict(zip(model.classes_, model.predict_proba(features[None])[0], strict=True))
        else:
            own = {model.predict(features[None])[0]: 1.0}
        proba[row] = [own.get(each, 0.0) for each in labels]
    return proba


@pytest.mark.parametrize("learner", [GaussianNB(), LinearSVC()], ids=["proba", "votes"])
@pytest.mark.parametrize("labels", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]], ids=["sorted", "shuffled"])
def test_classes_of_stored_models_are_placed_by_label(
    learner: Any, labels: NDArray[Any], order: list[int]
) -> None:
    X, y, models, seen = halves(labels, learner)
    expected = np.mean([literally(each, X, labels) for each in models], axis=0)
    predictions = np.where(seen.any(axis=0)[:, None], np.nan, expected)
    stored = Stored(models, predictions[:, order], seen, classes=labels[order])
    vote = VotingClassifier([("old", stored)], voting="soft").fit(X, y)
    np.testing.assert_allclose(vote.predict_proba(X), expected)
    greedy = GreedySelectionClassifier([("old", stored)], cv=3).fit(X, y)
    np.testing.assert_array_equal(greedy.out_of_fold_[0], predictions)
    np.testing.assert_allclose(greedy.predict_proba(X), expected)
    stack = StackingClassifier([("old", stored)], cv=3).fit(X, y)
    np.testing.assert_array_equal(stack.out_of_fold_[0], predictions)
    of_stack = stack.final_estimator_.predict_proba(expected)
    np.testing.assert_allclose(stack.predict_proba(X), of_stack)


def test_labels_that_can_be_no_indices_are_placed_without_being_named() -> None:
    X, y, models, seen = halves(NAMES["words"], GaussianNB())
    expected = np.mean([literally(each, X, NAMES["words"]) for each in models], axis=0)
    stored = Stored(models, np.where(seen.any(axis=0)[:, None], np.nan, expected), seen)
    vote = VotingClassifier([("old", stored)], voting="soft").fit(X, y)
    np.testing.assert_allclose(vote.predict_proba(X), expected)


@pytest.mark.parametrize("labels", [NAMES["words"], NAMES["numbers"]], ids=["words", "numbers"])
def test_indices_that_can_be_no_labels_are_placed_without_being_named(labels: Any) -> None:
    X, index, models, seen = halves(NAMES["indices"], GaussianNB())
    expected = np.mean([literally(each, X, range(3)) for each in models], axis=0)
    stored = Stored(models, np.where(seen.any(axis=0)[:, None], np.nan, expected), seen)
    vote = VotingClassifier([("old", stored)], voting="soft").fit(X, labels[index])
    np.testing.assert_allclose(vote.predict_proba(X), expected)


def test_a_class_that_is_not_stored_is_improbable() -> None:
    X, y, models, seen = halves(NAMES["numbers"], GaussianNB())
    own = literally(models[1], X, [2, 3])
    stored = Stored(models[1:], np.where(seen[1][:, None], np.nan, own), seen[1:], classes=[2, 3])
    vote = VotingClassifier([("old", stored)], voting="soft").fit(X, y)
    np.testing.assert_array_equal(vote.predict_proba(X), np.column_stack([np.zeros(150), own]))


def test_what_cannot_be_placed_is_refused() -> None:
    X, y, models, _ = halves(NAMES["numbers"], GaussianNB())
    nowhere = np.full((150, 3), np.nan)
    seen = np.ones((2, 150), bool)

    def refused(message: str, target: Any, models: Any, **given: Any) -> None:
        stored = Stored(models, given.pop("predictions", nowhere), seen[: len(models)], **given)
        with pytest.raises(ValueError, match=message):
            VotingClassifier([("old", stored)], voting="soft").fit(X, target)

    # Models of 2 and 3 may know the second and third, or the third and fourth, of 1, 2, 3 and 4.
    refused(
        r"old has models of the classes \[2, 3\], which may be labels or indices of \[1, 2, 3, 4\]",
        np.where(np.arange(150) < 10, 4, y),
        models[1:],
        predictions=np.full((150, 4), np.nan),
    )
    refused(r"old has models of the classes \[1, 2, 3\], but y has", NAMES["words"][y - 1], models)
    refused(
        "old has the class 4, which y does not have",
        y,
        models,
        classes=[1, 3, 2, 4],
        predictions=np.full((150, 4), np.nan),
    )
    refused(
        "of 2 classes, but y has 3: give Stored classes=",
        y,
        models,
        predictions=np.full((150, 2), np.nan),
    )
    with pytest.raises(ValueError, match="old has classes, but the ensemble learns values"):
        VotingRegressor([("old", Stored(models, nowhere, seen, classes=[1, 2, 3]))]).fit(X, y)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([1, 2], "classes must be 3 different labels, one for each column of predictions, not"),
        ([1, 2, 2], "classes must be 3 different labels"),
        ([[1, 2, 3]], "classes must be 3 different labels"),
        (["1", "2", "3"], r"a model has the class 1, which is none of classes \['1', '2', '3'\]"),
        ([1, 2, 4], r"a model has the class 3, .* if it learnt their indices"),
    ],
)
def test_classes_that_do_not_fit_what_is_stored_are_refused(classes: Any, message: str) -> None:
    _, _, models, seen = halves(NAMES["numbers"], GaussianNB())
    with pytest.raises(ValueError, match=message):
        Stored(models, np.full((150, 3), np.nan), seen, classes=classes)


class Stubborn(BaseEstimator):  # type: ignore[misc]
    """Says the same of every row, and not what else there is."""

    def __init__(self, said: Any) -> None:
        self.said = said

    def fit(self, X: Any, y: Any) -> Stubborn:
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        return np.full(len(X), self.said)


def test_a_model_without_classes_votes_for_what_it_says() -> None:
    X = np.zeros((2, 1))
    assert proba_of_labels(Stubborn("b"), X, ["a", "b"]).tolist() == [[0, 1]] * 2
    with pytest.raises(ValueError, match=r"Stubborn predicts 'c', which is none of .*'a', 'b'"):
        proba_of_labels(Stubborn("c"), X, ["a", "b"])


def test_a_number_is_not_the_word_for_it() -> None:
    assert 1 not in places(np.array(["1", "2"]))
    assert places(np.array([1.0, 2.0]))[2] == 1
