"""Combiners: by hand, against what they are made of; and that no row is predicted by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from ensembles.combining import (
    Blend,
    Combiner,
    Greedy,
    Mean,
    Simplex,
    Single,
    Stack,
    WeightedMean,
    aligned_proba,
    contributions,
    held_out_predictions,
    nested_loss,
    of_members,
    votes,
)
from ensembles.greedy_selection import select, select_from_bags
from ensembles.losses import LogLoss, Loss, SquaredLoss, loss_of
from ensembles.weights import simplex_weights
from tests.ensembles.test_weights import LOSSES, problem

Array = NDArray[Any]


def is_classes(loss: Loss) -> bool:
    return isinstance(loss, LogLoss)


def combiners(*, classes: bool) -> list[Combiner]:
    meta: Any = GaussianNB() if classes else Ridge()
    return [
        Single(classes),
        Mean(classes),
        Simplex(classes),
        Greedy(classes, steps=5),
        Greedy(classes, steps=5, bags=3, seed=1),
        Stack(classes, meta),
        Blend((Greedy(classes, steps=5), Stack(classes, meta))),
    ]


CASES = [
    pytest.param(loss, each, id=f"{type(loss).__name__}-{type(each).__name__}-{place}")
    for loss in LOSSES
    for place, each in enumerate(combiners(classes=isinstance(loss, LogLoss)))
]


class Memory:
    """Learns nothing but rows by heart."""

    def __init__(self) -> None:
        self.learnt: dict[bytes, float] = {}
        self.weights = None

    def fit(self, predictions: Array, y: Array, sample_weight: Array | None = None) -> Memory:
        known = Memory()
        for row, target in enumerate(y):
            known.learnt[predictions[:, row].tobytes()] = float(np.ravel(target)[0])
        return known

    def __call__(self, predictions: Array) -> NDArray[np.float64]:
        rows = range(predictions.shape[1])
        found = [self.learnt.get(predictions[:, row].tobytes(), np.nan) for row in rows]
        return np.array(found)[:, None]


@dataclass(frozen=True)
class Watching:
    """The weighted mean target of the rows that it learns from."""

    def fit(self, predictions: Array, y: Array, sample_weight: Array | None = None) -> Any:
        mean = np.average(y[:, 0], weights=sample_weight)

        def constant(asked: Array) -> NDArray[np.float64]:
            return np.full(asked.shape[1:], mean)

        return constant


def values(rows: int, members: int = 2, seed: int = 0) -> tuple[Array, Array]:
    return problem(SquaredLoss(), members, rows, seed)


@given(rows=st.integers(2, 30), seed=st.integers(0, 99), data=st.data())
def test_who_learns_rows_by_heart_knows_no_held_out_row(rows: int, seed: int, data: Any) -> None:
    predictions, y = values(rows, seed=seed)
    numbers = st.lists(st.integers(0, 4), min_size=rows, max_size=rows)
    folds = np.array(data.draw(numbers.filter(lambda drawn: len(set(drawn)) > 1)))
    assert np.isnan(held_out_predictions(Memory(), predictions, y, folds)).all()
    # It does know the rows that it learnt.
    np.testing.assert_array_equal(Memory().fit(predictions, y)(predictions), y)


def test_held_out_predictions_by_hand() -> None:
    """Each fold is told the mean of the others: targets (1, 3 | 5 | 9), folds 0, 0, 4, 2."""
    predictions, y = np.zeros((1, 4, 1)), np.array([[1.0], [3], [5], [9]])
    folds = np.array([0, 0, 4, 2])
    found = held_out_predictions(Watching(), predictions, y, folds)
    np.testing.assert_allclose(found[:, 0], [7, 7, 13 / 3, 3])
    weights = np.array([1.0, 1, 3, 1])
    weighted = held_out_predictions(Watching(), predictions, y, folds, weights)
    np.testing.assert_allclose(weighted[:, 0], [6, 6, 13 / 3, 19 / 5])
    # Squares of 5, 3, 2/3, 26/5 count once, but the third three times.
    loss = nested_loss(Watching(), predictions, y, folds, classes=False, sample_weight=weights)
    assert loss == pytest.approx((25 + 9 + 3 * 4 / 9 + 26**2 / 25) / 6)


@pytest.mark.parametrize(("loss", "combiner"), CASES)
def test_held_out_predictions_are_a_plain_loop(loss: Loss, combiner: Combiner) -> None:
    predictions, y = problem(loss, 3, 24, 1)
    folds = np.arange(24) % 3
    found = held_out_predictions(combiner, predictions, y, folds)
    for fold in range(3):
        rest = np.flatnonzero(folds != fold)
        learnt = combiner.fit(predictions[:, rest], y[rest])
        own = learnt(predictions[:, folds == fold])
        np.testing.assert_allclose(found[folds == fold], own, atol=1e-12)
    assert nested_loss(combiner, predictions, y, folds, classes=is_classes(loss)) == pytest.approx(
        loss_of(loss, found, y)
    )


@pytest.mark.parametrize("folds", [np.zeros(6, dtype=int), np.arange(5) % 2])
def test_folds_that_leave_nothing_to_learn_from_are_refused(folds: Array) -> None:
    predictions, y = values(6)
    with pytest.raises(ValueError, match=r"folds must be \(6,\) numbers"):
        held_out_predictions(Mean(False), predictions, y, folds)


def erring(*errors: float, rows: int = 6) -> tuple[Array, Array, Array]:
    """Members that always miss the target 0 by the same, and folds."""
    predictions = np.broadcast_to(np.array(errors)[:, None, None], (len(errors), rows, 1)).copy()
    return predictions, np.zeros((rows, 1)), np.arange(rows) % 2


def test_contributions_by_hand() -> None:
    """Errors 1, -1, 3: the mean is 1. Without the first 1, without the second 2, else 0."""
    predictions, y, folds = erring(1, -1, 3)
    found = contributions(Mean(False), predictions, y, folds, classes=False)
    np.testing.assert_allclose(found, [1 - 1, 4 - 1, 0 - 1])
    some = contributions(Mean(False), predictions, y, folds, classes=False, places=[2, 0])
    np.testing.assert_allclose(some, [-1, 0])
    alone = contributions(Mean(False), predictions[:1], y, folds, classes=False)
    assert np.isnan(alone).tolist() == [True]


def test_contributions_go_by_the_weights_of_rows() -> None:
    """The second member is worse, but on rows of weight 0 only."""
    predictions, y, folds = erring(1, 1)
    predictions[1, :3] = 9
    weights = np.array([0.0, 0, 0, 1, 1, 1])
    found = contributions(Mean(False), predictions, y, folds, classes=False, sample_weight=weights)
    np.testing.assert_allclose(found, [0, 0], atol=1e-12)


@pytest.mark.parametrize(("loss", "combiner"), CASES)
def test_contributions_are_a_plain_loop(loss: Loss, combiner: Combiner) -> None:
    predictions, y = problem(loss, 3, 24, 2)
    folds = np.arange(24) % 2
    classes = is_classes(loss)
    found = contributions(combiner, predictions, y, folds, classes=classes)
    whole = nested_loss(combiner, predictions, y, folds, classes=classes)
    for each in range(3):
        rest = predictions[[other for other in range(3) if other != each]]
        without = nested_loss(combiner, rest, y, folds, classes=classes)
        assert found[each] == pytest.approx(without - whole, abs=1e-12)


def test_contributions_know_what_the_others_cost() -> None:
    """The budget holds the second and the third. Without one of them there is nobody beside it.

    Errors 0, 1, -2: together the two miss by 0 (-2 + 1 + 1); alone by 1 or 2. Without the first,
    which is too dear, nothing changes.
    """
    predictions, y, folds = erring(0, 1, -2)
    combiner = Greedy(False, steps=3, costs=np.array([[9.0], [1], [1]]), budget=np.array([2.0]))
    found = contributions(combiner, predictions, y, folds, classes=False)
    np.testing.assert_allclose(found, [0, 4, 1])


def test_without_the_only_one_that_fits_the_budget_there_is_nothing() -> None:
    predictions, y, folds = erring(1, 2)
    combiner = Greedy(False, steps=2, costs=np.array([[1.0], [9]]), budget=np.array([2.0]))
    found = contributions(combiner, predictions, y, folds, classes=False)
    assert found.tolist() == [np.inf, 0]


def test_the_single_best_by_hand() -> None:
    predictions, y, _ = erring(2, -1, 1)
    assert Single(False).fit(predictions, y).weights.tolist() == [0, 1, 0]
    proba = np.array([[[0.6, 0.4]], [[0.1, 0.9]]])
    assert Single(True).fit(proba, np.array([0])).weights.tolist() == [1, 0]
    assert Single(True).fit(proba, np.array([1])).weights.tolist() == [0, 1]


def test_the_single_best_goes_by_the_weights_of_rows() -> None:
    predictions = np.array([[[1.0], [0]], [[0], [2]]])
    y = np.zeros((2, 1))
    assert Single(False).fit(predictions, y).weights.tolist() == [1, 0]
    assert Single(False).fit(predictions, y, np.array([9.0, 1])).weights.tolist() == [0, 1]


def test_the_single_best_is_not_chosen_by_the_rows_it_is_measured_on() -> None:
    """Each member is right on one fold only, so that the best of the other one is wrong."""
    folds = np.array([0, 0, 1, 1])
    y = np.zeros((4, 1))
    predictions = np.stack([folds, 1 - folds])[:, :, None].astype(float)
    assert nested_loss(Single(False), predictions, y, folds, classes=False) == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_blend_is_the_mean_of_what_others_learn(loss: Loss) -> None:
    classes = is_classes(loss)
    predictions, y = problem(loss, members=3, rows=40, seed=0)
    model: Any = LogisticRegression() if classes else Ridge()
    greedy, stack = Greedy(classes), Stack(classes, model)
    blend = Blend((greedy, stack)).fit(predictions, y)
    expected = (
        greedy.fit(predictions, y)(predictions) + stack.fit(predictions, y)(predictions)
    ) / 2
    np.testing.assert_allclose(blend(predictions), expected, rtol=1e-14)
    assert blend.weights is None
    means = Blend((greedy, Mean(classes))).fit(predictions, y)
    assert means.weights is not None
    np.testing.assert_allclose(means.weights, (greedy.fit(predictions, y).weights + 1 / 3) / 2)
    np.testing.assert_allclose(means(predictions), WeightedMean(means.weights)(predictions))


def test_the_costs_of_a_blend_are_those_of_its_members() -> None:
    costs = np.array([[1.0], [2.0], [3.0]])
    greedy = Greedy(True, costs=costs, budget=np.array([3.0]))
    left = of_members(Blend((greedy, Mean(True))), np.array([0, 2]))
    assert isinstance(left, Blend)
    first = left.combiners[0]
    assert isinstance(first, Greedy)
    np.testing.assert_array_equal(first.costs, costs[[0, 2]])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_mean_is_the_mean(loss: Loss) -> None:
    predictions, y = problem(loss, 4, 10, 0)
    found = Mean(is_classes(loss)).fit(predictions, y)
    np.testing.assert_allclose(found(predictions), predictions.mean(axis=0))
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_combiners_hand_on_what_they_are_given(loss: Loss, weighted: bool) -> None:
    predictions, y = problem(loss, 4, 30, 3)
    weights = np.random.default_rng(0).uniform(0.1, 2, size=30) if weighted else None
    classes = is_classes(loss)
    simplex = Simplex(classes).fit(predictions, y, weights)
    np.testing.assert_array_equal(simplex.weights, simplex_weights(predictions, y, loss, weights))
    np.testing.assert_allclose(simplex(predictions), np.tensordot(simplex.weights, predictions, 1))
    costs, budget = np.array([[1.0], [2], [3], [4]]), np.array([5.0])
    greedy = Greedy(classes, steps=7, initial=1, costs=costs, budget=budget)
    expected = select(
        predictions,
        y,
        loss,
        steps=7,
        initial=1,
        sample_weight=weights,
        costs=costs,
        budget=budget,
    )
    np.testing.assert_array_equal(greedy.fit(predictions, y, weights).weights, expected.weights)
    bags = Greedy(classes, steps=4, bags=3, share=0.6, seed=5).fit(predictions, y, weights)
    from_bags = select_from_bags(
        predictions,
        y,
        loss,
        bags=3,
        share=0.6,
        random_state=np.random.RandomState(5),
        steps=4,
        sample_weight=weights,
    )
    np.testing.assert_array_equal(bags.weights, from_bags.weights)


def test_half_a_budget_and_one_that_bags_would_break_are_refused() -> None:
    predictions, y = values(6)
    costs, budget = np.ones((2, 1)), np.ones(1)
    with pytest.raises(ValueError, match="costs and budget belong together"):
        Greedy(False, costs=costs).fit(predictions, y)
    with pytest.raises(ValueError, match="bags=0"):
        Greedy(False, bags=2, costs=costs, budget=budget).fit(predictions, y)


def test_a_member_of_weight_0_is_not_looked_at() -> None:
    predictions = np.array([[[2.0]], [[np.nan]]])
    assert WeightedMean(np.array([1.0, 0.0]))(predictions).tolist() == [[2]]


def test_a_meta_model_of_classes_is_what_scikit_learn_makes_of_the_columns() -> None:
    predictions, y = problem(LogLoss(), 2, 60, 4)
    columns = np.hstack([predictions[0], predictions[1]])
    weights = np.random.default_rng(0).uniform(0.1, 2, size=60)
    found = Stack(True, LogisticRegression()).fit(predictions, y, weights)
    expected = LogisticRegression().fit(columns, y, sample_weight=weights)
    np.testing.assert_array_equal(found(predictions), expected.predict_proba(columns))
    assert found.weights is None


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_meta_model_of_values_likewise(outputs: int) -> None:
    generator = np.random.default_rng(0)
    predictions, y = generator.normal(size=(3, 20, outputs)), generator.normal(size=(20, outputs))
    columns = predictions.transpose(1, 0, 2).reshape(20, -1)
    found = Stack(False, Ridge()).fit(predictions, y)
    expected = Ridge().fit(columns, y).predict(columns)
    np.testing.assert_allclose(found(predictions), expected.reshape(20, outputs))


def test_a_meta_model_is_a_copy() -> None:
    model = Ridge()
    Stack(False, model).fit(*values(8))
    assert not hasattr(model, "coef_")


def test_a_meta_model_that_cannot_weigh_rows_says_so() -> None:
    predictions, y = problem(LogLoss(), 2, 20, 0)
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no sample_weight"):
        Stack(True, KNeighborsClassifier()).fit(predictions, y, np.ones(20))


def test_a_class_that_the_model_never_met_has_probability_0() -> None:
    X = np.array([[0.0], [1], [2], [3]])
    model = LogisticRegression().fit(X, np.array([0, 0, 2, 2]))
    found = aligned_proba(model, X, 4)
    assert found[:, [1, 3]].tolist() == [[0, 0]] * 4
    np.testing.assert_array_equal(found[:, [0, 2]], model.predict_proba(X))


def test_a_model_without_probabilities_votes() -> None:
    X = np.array([[0.0], [1], [2], [3]])
    model = LinearSVC().fit(X, np.array([0, 0, 2, 2]))
    expected = np.eye(3)[model.predict(X)]
    np.testing.assert_array_equal(aligned_proba(model, X, 3), expected)
    np.testing.assert_array_equal(votes(model, X, 3), expected)


def test_classes_of_other_names_stay_in_their_order() -> None:
    X = np.array([[0.0], [1], [2], [3]])
    model = LogisticRegression().fit(X, np.array(["a", "a", "b", "b"]))
    np.testing.assert_array_equal(aligned_proba(model, X, 2), model.predict_proba(X))


class Predicts:
    def __init__(self, *found: Any) -> None:
        self.found = np.array(found)

    def predict(self, X: Any) -> Any:
        return self.found


@pytest.mark.parametrize("found", [(1, 0), (1.0, 0.0), (True, False)])
def test_indices_may_be_of_any_type(found: Any) -> None:
    assert votes(Predicts(*found), np.zeros((2, 1)), 3).tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("found", [(0, 0.3), (0, 2), (0, -1), (0, np.nan), ("a", "b")])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_who_predicts_no_indices_cannot_vote(found: Any) -> None:
    with pytest.raises(ValueError, match=r"Predicts predicts .* no index of one of 2 classes"):
        votes(Predicts(*found), np.zeros((2, 1)), 2)
