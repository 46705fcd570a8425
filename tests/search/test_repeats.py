"""Trials trained again: on other rows, with other seeds, and never on the rows that score them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.nn.members import Rows
from hpo.nn.network import predict
from hpo.nn.schedules import Schedule
from hpo.nn.training import train
from hpo.search import streams
from hpo.search.folds import deal_folds, deal_groups
from hpo.search.repeats import Job, Repeat, pooled_target, repeat, train_jobs
from tests.search.test_evaluation import problem

PARAMS = {"learning_rate": 1e-2, "weight_decay": 1e-3}
JOBS = [Job(number, PARAMS, 4, each) for number in (3, 8) for each in range(3)]


def by_key(found: list[Repeat]) -> dict[tuple[int, int], Repeat]:
    return {(each.number, each.repeat): each for each in found}


@settings(max_examples=50)
@given(st.integers(1, 80), st.integers(2, 6), st.integers(1, 4), st.integers(0, 3))
def test_folds_are_even_in_every_class(rows: int, n_folds: int, n_classes: int, seed: int) -> None:
    classes = np.random.default_rng(seed).integers(0, n_classes, rows)
    dealt = deal_folds(rows, classes, seed, n_folds)
    assert np.ptp(np.bincount(dealt, minlength=n_folds)) <= 1
    for each in range(n_classes):
        assert np.ptp(np.bincount(dealt[classes == each], minlength=n_folds)) <= 1
    np.testing.assert_array_equal(dealt, deal_folds(rows, classes, seed, n_folds))
    assert np.ptp(np.bincount(deal_folds(rows, None, seed, n_folds), minlength=n_folds)) <= 1


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(2, 4), st.integers(0, 5), st.booleans())
def test_groups_stay_together(n_groups: int, n_folds: int, seed: int, classify: bool) -> None:
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, 30)]).astype(float)
    classes = rng.integers(0, 2, len(groups)) if classify else None
    dealt = deal_groups(groups, classes, seed, n_folds)
    if n_groups < n_folds:
        assert dealt is None
        return
    assert dealt is not None
    for group in np.unique(groups):
        assert len(np.unique(dealt[groups == group])) == 1
    np.testing.assert_array_equal(dealt, deal_groups(groups, classes, seed, n_folds))


def test_a_repeat_is_the_network_of_its_rows_alone() -> None:
    """Trained for as many epochs as it is told, where the schedule runs over those of its trial."""
    task = problem("iris")
    plain = dataclasses.replace(task.settings, schedule=Schedule())
    task = dataclasses.replace(task, settings=plain)
    dealt = deal_folds(len(task.training) + len(task.validation), pooled_target(task), 0, 3)
    found = by_key(train_jobs(task, dealt, JOBS))
    X = np.concatenate([task.training.X, task.validation.X])
    encoded = np.concatenate([task.training.targets[0], task.validation.targets[0]])
    target = pooled_target(task)
    own = dealt == 1
    weights = (~own).astype(X.dtype)
    states = [(task.seed, streams.REPEAT, 8, 1)]
    alone = train(
        task.architecture,
        dataclasses.replace(task.settings, patience=None, epochs=4),
        task.recipe.members([PARAMS], states),
        Rows(X, (encoded,), weights),
        None,
    )
    again = found[8, 1]
    np.testing.assert_allclose(again.params, alone.params[0], rtol=1e-4, atol=1e-6)
    prediction = predict(task.architecture, again.params[None], X[own])
    np.testing.assert_array_equal(again.prediction, prediction[0])
    assert again.value == np.mean(prediction[0].argmax(axis=1) == target[own])
    fitted = predict(task.architecture, again.params[None], X[~own])[0]
    assert again.train_value == np.mean(fitted.argmax(axis=1) == target[~own])


def test_rows_that_are_held_out_have_no_influence() -> None:
    task = problem("iris")
    dealt = deal_folds(len(task.training) + len(task.validation), pooled_target(task), 0, 3)
    changed = task.training.X.copy()
    changed[dealt[: len(changed)] == 1] += 100
    other = dataclasses.replace(task, training=Rows(changed, task.training.targets))
    job = [Job(0, PARAMS, 4, 1)]
    (one,), (two,) = train_jobs(task, dealt, job), train_jobs(other, dealt, job)
    np.testing.assert_array_equal(one.params, two.params)


def test_without_folds_the_validation_rows_score_it_and_decide_nothing() -> None:
    task = problem("iris")
    found = by_key(train_jobs(task, None, JOBS))
    assert len({each.params.tobytes() for each in found.values()}) == len(JOBS)
    X = task.validation.X
    shifted = Rows(X + 5, task.validation.targets)
    other = by_key(train_jobs(dataclasses.replace(task, validation=shifted), None, JOBS))
    for key, each in found.items():
        np.testing.assert_array_equal(each.params, other[key].params)
        prediction = predict(task.architecture, each.params[None], X)
        np.testing.assert_array_equal(each.prediction, prediction[0])
        assert each.value == task.metric(prediction, task.validation_target)[0]


def test_each_trains_for_its_own_epochs() -> None:
    task = problem("iris")
    (short, long), (alone,) = (
        train_jobs(task, None, [Job(0, PARAMS, 2, 0), Job(0, PARAMS, 4, 0)]),
        train_jobs(task, None, [Job(0, PARAMS, 2, 0)]),
    )
    np.testing.assert_array_equal(short.params, alone.params)
    assert not np.array_equal(short.params, long.params)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_workers_and_stacks_change_nothing(n_workers: int) -> None:
    task = problem("iris")
    dealt = deal_folds(len(task.training) + len(task.validation), pooled_target(task), 0, 3)
    jobs = [*JOBS, Job(9, PARAMS | {"hidden": "5", "batch_size": 16}, 3, 2)]
    parts = list(repeat(task, dealt, jobs, n_workers, np.inf))
    found = by_key([each for part in parts for each in part])
    assert len(parts) > 1
    for job in jobs:
        (alone,) = train_jobs(task, dealt, [job])
        np.testing.assert_array_equal(found[job.number, job.repeat].params, alone.params)
        assert found[job.number, job.repeat].value == alone.value


def test_what_diverges_has_no_score() -> None:
    task = problem("diabetes")
    task = dataclasses.replace(task, settings=dataclasses.replace(task.settings, optimizer="sgd"))
    wild = {"learning_rate": 1e9, "weight_decay": 0.0}
    failed, fine = train_jobs(task, None, [Job(0, wild, 4, 0), Job(1, PARAMS, 4, 0)])
    assert np.isnan(failed.value)
    assert np.isfinite(fine.value)


def test_nothing_is_begun_after_the_deadline() -> None:
    assert list(repeat(problem("iris"), None, JOBS, 1, 0.0)) == []
