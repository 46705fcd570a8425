"""Trials over folds: the networks of each fold by itself, and predictions of what none has seen."""

from __future__ import annotations

import dataclasses
import sys

import cloudpickle
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from hpo.data.loading import load
from hpo.nn.folds import train_folds
from hpo.nn.members import Rows
from hpo.nn.network import predict
from hpo.nn.training import train
from hpo.preparation import prepare
from hpo.search import streams
from hpo.search.evaluation import Outcome, Slot, Workers, train_slots
from hpo.search.problem import Problem
from hpo.search.stacks import MOST_MEMBERS, stack_size, stacks
from tests.search.test_evaluation import by_number, essence, slots
from tests.test_preparation import settings

# Workers cannot import test modules, so what stands here travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

K = 3


def folded(name: str = "iris", **changes: object) -> Problem:
    task = "regression" if name == "diabetes" else "classification"
    asked = {"cv": K, "hidden": (8,), "epochs": 5, "patience": None, **changes}
    return prepare(load(name), settings(task, **asked)).problem


def dealt(problem: Problem) -> np.ndarray:
    assert problem.folds is not None
    return problem.folds


def score_of(problem: Problem, raw: np.ndarray, rows: np.ndarray) -> float:
    """By scikit-learn; ``raw`` (rows, outputs) as the network gives it."""
    target = problem.training_target[rows]
    if problem.target.task == "classification":
        return float(accuracy_score(target, raw.argmax(axis=1)))
    return float(r2_score(target, problem.target.inverse(raw)[:, 0]))


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_a_trial_is_the_networks_that_its_folds_alone_would_give(name: str) -> None:
    task = folded(name)
    slot = slots(3)[2]
    outcome = {each.number: each for each in train_slots(task, slots(3))}[2]
    folds = [(np.flatnonzero(dealt(task) != k), np.flatnonzero(dealt(task) == k)) for k in range(K)]
    member = task.recipe.members([slot.params], [(task.seed, streams.MEMBER, slot.number)])
    alone = train_folds(task.architecture, task.settings, member, task.training, folds)
    assert outcome.params is not None
    assert outcome.prediction is not None
    assert outcome.params.tobytes() == alone.params_of(0).tobytes()
    assert outcome.prediction.tobytes() == alone.prediction[0].tobytes()
    every = np.arange(len(task.training))
    assert outcome.value == pytest.approx(score_of(task, alone.prediction[0], every))
    fitted = [
        score_of(task, predict(task.architecture, each[None], task.training.X[seen])[0], seen)
        for each, (seen, _) in zip(alone.params_of(0), folds, strict=True)
    ]
    assert outcome.train_value == pytest.approx(np.mean(fitted))
    assert (outcome.epochs, outcome.best_epoch) == (5, 5)


def test_a_network_is_that_of_its_rows_with_the_others_left_out() -> None:
    """In one batch a row of weight 0 is no row, whatever the order: no weights on this side."""
    task = folded(batch_size=1000)
    (outcome,) = train_slots(task, slots(1))
    assert outcome.params is not None
    X, (target,) = task.training.X, task.training.targets
    for fold in range(K):
        seen = dealt(task) != fold
        state = (task.seed, streams.MEMBER, 0, fold)
        member = task.recipe.members([slots(1)[0].params], [state])
        rows = Rows(X[seen], (target[seen],))
        alone = train(task.architecture, task.settings, member, rows, None)
        np.testing.assert_allclose(outcome.params[fold], alone.params[0], rtol=2e-3, atol=1e-5)


class _Stored(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """scikit-learn's loop around the stored networks: it decides which rows each fold predicts."""

    def __init__(self, problem: Problem, params: np.ndarray) -> None:
        self.problem = problem
        self.params = params

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Stored:
        self.classes_ = np.unique(y)
        pool = [row.tobytes() for row in self.problem.training.X]
        seen = np.isin(pool, [row.tobytes() for row in X])
        # The fold that it was not given.
        (self.fold_,) = np.unique(dealt(self.problem)[~seen])
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = self.predict_proba(X).argmax(axis=1)
        return chosen

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = predict(self.problem.architecture, self.params[[self.fold_]], X)[0]
        return found


def test_predictions_stand_where_cross_val_predict_puts_them() -> None:
    task = folded("wine")
    (outcome,) = train_slots(task, slots(1))
    assert outcome.params is not None
    assert outcome.prediction is not None
    expected = cross_val_predict(
        _Stored(task, outcome.params),
        task.training.X,
        task.training_target,
        cv=PredefinedSplit(dealt(task)),
        method="predict_proba",
    )
    np.testing.assert_array_equal(outcome.prediction, expected)


def test_curves_end_with_the_scores_of_the_trial() -> None:
    for name in ("iris", "diabetes"):
        task = folded(name)
        (outcome,) = train_slots(task, slots(1))
        assert outcome.curves is not None
        assert {len(each) for each in outcome.curves.values()} == {5}
        assert outcome.curves["val_score"][-1] == pytest.approx(outcome.value, abs=1e-5)
        assert list(outcome.intermediate) == [1, 2, 4, 5]
        # As the weights change in an epoch, of training only the mean over folds can be checked.
        losses = []
        for fold in range(K):
            weights = (dealt(task) != fold).astype(np.float32)
            member = task.recipe.members(
                [slots(1)[0].params], [(task.seed, streams.MEMBER, 0, fold)]
            )
            rows = dataclasses.replace(task.training, weights=weights)
            alone = train(task.architecture, task.settings, member, rows, None, task.row_loss)
            losses.append(alone.curves["train_loss"][0])
        np.testing.assert_allclose(outcome.curves["train_loss"], np.mean(losses, axis=0))


def test_rows_that_are_held_out_have_no_influence_on_their_network() -> None:
    task = folded()
    own = dealt(task) == 1
    changed = task.training.X.copy()
    changed[own] += 100
    other = dataclasses.replace(task, training=Rows(changed, task.training.targets))
    (one,), (two,) = train_slots(task, slots(1)), train_slots(other, slots(1))
    assert one.params is not None
    assert two.params is not None
    np.testing.assert_array_equal(one.params[1], two.params[1])
    assert not np.array_equal(one.params[0], two.params[0])
    assert one.prediction is not None
    assert not np.array_equal(one.prediction[own], two.prediction[own])  # type: ignore[index]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_workers_and_stacks_change_nothing(n_workers: int) -> None:
    task = folded()
    chosen = [*slots(5), Slot(9, {"learning_rate": 1e-2, "weight_decay": 0.1, "hidden": "5"})]
    found = by_number(Workers(task, n_workers), chosen)
    for slot in chosen:
        (alone,) = train_slots(task, [slot])
        assert essence(found[slot.number]) == essence(alone)


def failed_by(row: int, fold: int) -> Outcome:
    """A row of another fold than this one is so large that whoever sees it diverges at once."""
    task = folded("diabetes", optimizer="sgd", batch_size=1000)
    X = task.training.X.copy()
    X[np.flatnonzero(dealt(task) == fold)[row]] = 1e30
    task = dataclasses.replace(task, training=Rows(X, task.training.targets))
    failed, fine = train_slots(task, slots(2)), train_slots(folded("diabetes"), slots(1))
    assert fine[0].value is not None
    return failed[1]


@pytest.mark.parametrize(("fold", "first"), [(0, 2), (1, 1)])
def test_a_fold_that_diverges_fails_the_trial_and_is_named(fold: int, first: int) -> None:
    failed = failed_by(0, fold)
    assert (failed.value, failed.train_value, failed.params, failed.prediction) == (None,) * 4
    where = f"in epoch {failed.epochs} of fold {first}"
    assert failed.reason == f"diverged {where}: the loss was not finite"
    assert failed.curves is not None
    assert {len(each) for each in failed.curves.values()} == {failed.epochs}


def test_a_diverged_trial_harms_no_other() -> None:
    task = folded("diabetes", optimizer="sgd")
    wild = Slot(3, {"learning_rate": 1e6, "weight_decay": 0.0})
    failed, fine = train_slots(task, [wild, slots(1)[0]])
    assert failed.value is None
    assert essence(fine) == essence(train_slots(task, slots(1))[0])


def test_stacks_hold_whole_trials_and_count_their_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    task = folded()
    assert task.n_networks == K
    found = stacks(task, slots(42), 1, K)
    assert sorted(slot.number for stack in found for slot in stack) == list(range(42))
    assert [len(stack) for stack in found] == [21, 21]
    assert 21 * K <= MOST_MEMBERS < 22 * K
    assert {len(stack) for stack in stacks(task, slots(8), 2, K)} == {4}
    each = task.member_bytes(task.recipe)
    monkeypatch.setattr("hpo.search.stacks.STACK_BYTES", 2 * K * each)
    assert stack_size(task, task.recipe, 50, 1, K) == 2
    monkeypatch.setattr("hpo.search.stacks.STACK_BYTES", K * each // 2)
    assert stack_size(task, task.recipe, 50, 1, K) == 1
    # Every row of the pool is predicted by every network in every epoch, and has two weights.
    plain = dataclasses.replace(task, folds=None)
    assert len(plain.validation) == 0
    assert each - plain.member_bytes(task.recipe) == 4 * len(task.training) * (2 * 3 + 2)
