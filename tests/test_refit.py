"""The winner over folds, and trained again on all rows: what it is made of, stored and tested."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler

from hpo.errors import NoFiniteTrialError
from hpo.joined_study import JoinedStudy
from hpo.nn.members import Rows
from hpo.nn.network import predict
from hpo.nn.training import train
from hpo.preparation import Prepared
from hpo.search import repeats, streams
from hpo.search.folds import Folds
from storage.records import SelectionRecord
from tests.storage.looking import sql
from tests.test_experiment import held

K, R = 4, 2


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[JoinedStudy]:
    with held(tmp_path, trials=8, epochs=3) as found:
        list(found.search(8, 1))
        yield found


@pytest.fixture
def folded(tmp_path: Path) -> Iterator[JoinedStudy]:
    with held(tmp_path, trials=8, epochs=3, cv=K) as found:
        list(found.search(8, 1))
        yield found


def chosen(
    experiment: JoinedStudy, n_repeats: int = R, n_workers: int = 1, *, refit: bool = False
) -> SelectionRecord:
    selection = experiment.choose(n_repeats, n_workers, refit=refit)
    assert selection is not None
    return selection


def alone(
    experiment: JoinedStudy, number: int, n_repeat: int, X: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """A network of the trial, trained by itself on these rows alone, (n_params,)."""
    (trial,) = (each for each in experiment.store.trials() if each.number == number)
    recipe = experiment.prepared.problem.recipe.of(trial.params)
    seed = experiment.settings.seed
    members = recipe.members([trial.params], [(seed, streams.REPEAT, number, n_repeat)])
    rows = Rows(X, (target,))
    settings = replace(recipe.settings, patience=None)
    found: np.ndarray = train(recipe.architecture, settings, members, rows, None).params[0]
    return found


def forbidden(*_: object) -> None:
    raise AssertionError("trained again")


def test_candidates_are_scored_over_folds_that_are_dealt_anew(folded: JoinedStudy) -> None:
    """By a plain loop over seeds and folds: each fold's score is the mean over the seeds."""
    selection = chosen(folded)
    prepared, problem = folded.prepared, folded.prepared.problem
    dealt = prepared.folds(K)
    assert dealt is not None
    assert selection.record["folds"] == K
    assert selection.record["networks"] == K * R
    network = folded.store.model(selection.number, selection.digest)
    assert network.params.shape == (K * R, problem.architecture.n_params)
    X, target = problem.training.X, problem.training_target
    given = np.array(
        [predict(problem.architecture, each[None], X)[0] for each in network.params]
    ).reshape(R, K, len(X), 3)
    (told,) = (c for c in selection.record["candidates"] if c["trial"] == selection.number)
    scores = [
        [
            accuracy_score(target[dealt == fold], given[seed, fold, dealt == fold].argmax(axis=1))
            for fold in range(K)
        ]
        for seed in range(R)
    ]
    np.testing.assert_allclose(told["values"], np.mean(scores, axis=0))
    # A row is promised what the mean of the networks makes of it that have not seen it.
    unseen = np.empty((len(X), 3))
    for fold in range(K):
        unseen[dealt == fold] = given[:, fold, dealt == fold].mean(axis=0)
    assert selection.record["expected"] == pytest.approx(
        accuracy_score(target, unseen.argmax(axis=1))
    )


def test_groups_that_cannot_be_dealt_anew_keep_their_folds(
    folded: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Prepared, "folds", lambda *_: None)
    given: list[object] = []
    train_jobs = repeats.train_jobs

    def seen(problem: object, dealt: Folds | None, jobs: list[repeats.Job]) -> object:
        given.append(dealt)
        return train_jobs(problem, dealt, jobs)  # type: ignore[arg-type]

    monkeypatch.setattr(repeats, "train_jobs", seen)
    assert chosen(folded, 1).record["folds"] == K
    assert all(each is folded.prepared.problem.folds for each in given)


def test_one_repeat_over_folds_tells_of_errors(folded: JoinedStudy) -> None:
    selection = chosen(folded, 1)
    assert selection.record["networks"] == K
    assert all(len(each["values"]) == K for each in selection.record["candidates"])
    assert all(each["standard_error"] is not None for each in selection.record["candidates"])


def test_without_repeats_the_stored_predictions_make_the_promise(folded: JoinedStudy) -> None:
    assert folded.choose(0, 1) is None
    winner = folded.winner()
    assert winner.value is not None
    (prediction,) = folded.store.predictions([winner.number]).values()
    target = folded.prepared.problem.training_target
    assert prediction.shape == (len(target), 3)
    assert winner.value == pytest.approx(accuracy_score(target, prediction.argmax(axis=1)))
    expected, error = folded.expectation()
    assert expected is not None
    assert error is not None
    # Less what it owes to being the best, but not by much.
    assert winner.value - 4 * error < expected <= winner.value + error
    assert folded.store.network(winner.number)[1].params.shape[0] == K


def test_a_trial_whose_networks_were_not_kept_is_trained_again_to_the_same(tmp_path: Path) -> None:
    with held(tmp_path, trials=8, epochs=3, cv=K, keep=1) as experiment:
        list(experiment.search(8, 1))
        last = experiment.store.ranked()[-1].number
        _, network = experiment.store.network(last)
        problem = experiment.prepared.problem
        stored = experiment.store.predictions([last])[last]
        for fold, each in enumerate(network.params):
            own = problem.folds == fold
            given = predict(problem.architecture, each[None], problem.training.X[own])[0]
            np.testing.assert_array_equal(given, stored[own])


def test_a_refitted_model_is_the_mean_of_networks_that_saw_all_rows(plain: JoinedStudy) -> None:
    """In batches that hold all rows, so that the order of rows is no matter."""
    before = chosen(plain)
    selection = chosen(plain, refit=True)
    assert selection.number == before.number
    assert selection.digest != before.digest
    assert selection.record["refit"] == 120
    assert selection.record["networks"] == R
    for name in ("expected", "expected_se", "candidates", "folds"):
        assert selection.record[name] == before.record[name]
    network = plain.store.model(selection.number, selection.digest)
    assert network.params.shape == (R, plain.prepared.problem.architecture.n_params)
    dataset, split = plain.dataset, plain.prepared.split
    rows = np.sort(np.concatenate([split.train, split.validation]))
    numbers = dataset.features.numeric
    X = StandardScaler().fit(numbers[rows]).transform(numbers[rows]).astype(np.float32)
    encoded = network.encoding.transform(dataset.features, rows)
    np.testing.assert_allclose(encoded, X, rtol=1e-5, atol=1e-6)
    target = dataset.target.values[rows].astype(np.int64)
    for n_repeat in range(R):
        expected = alone(plain, selection.number, n_repeat, encoded, target)
        np.testing.assert_array_equal(network.params[n_repeat], expected)


def test_after_folds_it_is_refitted_on_the_same_rows(folded: JoinedStudy) -> None:
    selection = chosen(folded, refit=True)
    assert selection.record["refit"] == 120
    assert selection.record["folds"] == K
    network = folded.store.model(selection.number, selection.digest)
    problem = folded.prepared.problem
    assert len(network.params) == R
    expected = alone(folded, selection.number, 0, problem.training.X, problem.training.targets[0])
    np.testing.assert_array_equal(network.params[0], expected)


def test_without_repeats_the_first_of_the_ranking_is_refitted(plain: JoinedStudy) -> None:
    selection = chosen(plain, 0, refit=True)
    assert selection.number == plain.winner().number
    assert selection.record["networks"] == 1
    assert selection.record["candidates"] == []
    expectation = plain.expectation()
    assert (selection.record["expected"], selection.record["expected_se"]) == expectation
    assert chosen(plain, 0, refit=True) == selection
    assert plain.choose(0, 1) is None


def test_it_is_refitted_once_and_looked_at_once(
    plain: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = chosen(plain, refit=True)
    (trial,) = (each for each in plain.store.trials() if each.number == first.number)
    look = plain.test(trial, first)
    assert look.order == 1
    assert look.model == first.digest
    assert look.why == f"winner of the search (trial {trial.number}, refitted)"
    network = plain.store.model(first.number, first.digest)
    assert look.score == plain.prepared.sealed.score(network, plain.prepared.problem.metric)
    monkeypatch.setattr(repeats, "train_jobs", forbidden)
    assert chosen(plain, refit=True) == first
    assert plain.test(trial, first) == look
    # The choice before it is still found as its own.
    assert not chosen(plain).refit


def test_what_was_chosen_before_is_not_trained_again(
    plain: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(plain)
    jobs: list[repeats.Job] = []
    train_jobs = repeats.train_jobs

    def counted(problem: object, given: Folds | None, some: list[repeats.Job]) -> object:
        jobs.extend(some)
        return train_jobs(problem, given, some)  # type: ignore[arg-type]

    monkeypatch.setattr(repeats, "train_jobs", counted)
    selection = chosen(plain, refit=True)
    assert [(job.number, job.repeat) for job in jobs] == [(selection.number, n) for n in range(R)]


@pytest.mark.parametrize("cv", [None, K])
def test_workers_change_nothing(tmp_path: Path, cv: int | None) -> None:
    found = []
    for n_workers in (1, 2):
        folder = tmp_path / str(n_workers)
        folder.mkdir()
        with held(folder, trials=8, epochs=3, cv=cv) as experiment:
            list(experiment.search(8, n_workers))
            selection = chosen(experiment, n_workers=n_workers, refit=True)
            network = experiment.store.model(selection.number, selection.digest)
            numbers = range(8)
            stored = experiment.store.predictions(numbers)
            found.append(
                (
                    selection.record,
                    network.params.tobytes(),
                    [stored[number].tobytes() for number in numbers],
                    [trial.value for trial in experiment.store.trials()],
                )
            )
    assert found[0] == found[1]


def test_nothing_is_refitted_after_the_deadline(
    plain: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = chosen(plain)
    monkeypatch.setattr(repeats, "train_jobs", forbidden)
    assert plain.choose(R, 1, deadline=time.time(), refit=True) == before
    path = plain.store.rounds.folder.parent / "hpo.db"
    assert sql(path, "SELECT count(*) FROM hpo_selections") == [(1,)]


def test_a_winner_that_cannot_be_refitted_is_said(
    plain: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = chosen(plain)

    def failing(_problem: object, _given: object, jobs: list[repeats.Job]) -> list[repeats.Repeat]:
        return [repeats.Repeat(job.number, job.repeat) for job in jobs]

    monkeypatch.setattr(repeats, "train_jobs", failing)
    with pytest.raises(NoFiniteTrialError, match=f"trial {before.number}, .*leave --refit out"):
        plain.choose(R, 1, refit=True)
    assert chosen(plain) == before


def test_a_repeat_without_held_out_rows_has_no_score_and_is_kept() -> None:
    from tests.search.test_evaluation import problem
    from tests.search.test_repeats import JOBS

    task = problem("iris")
    nothing = Rows(task.validation.X[:0], (task.validation.targets[0][:0],))
    bare = replace(task, validation=nothing, validation_target=task.validation_target[:0])
    ours, theirs = repeats.train_jobs(bare, None, JOBS), repeats.train_jobs(task, None, JOBS)
    for one, other in zip(ours, theirs, strict=True):
        assert math.isnan(one.value)
        assert one.train_value == other.train_value
        np.testing.assert_array_equal(one.params, other.params)
