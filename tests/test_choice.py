"""The winner: who is trained again, on which rows, what is stored, and what is promised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hpo import choice, handover
from hpo.choice import CANDIDATES, Chooser
from hpo.joined_study import JoinedStudy
from hpo.persistence import Network
from hpo.search import repeats
from hpo.search.folds import Folds
from hpo.search.problem import Problem
from storage import catalogue
from storage import repeats as shared
from storage.artifacts import ArtifactFolder
from storage.errors import ArtifactError
from storage.records import SelectionRecord
from tests.storage.looking import sql
from tests.test_experiment import held


@pytest.fixture
def experiment(tmp_path: Path) -> Iterator[JoinedStudy]:
    with held(tmp_path, trials=8, epochs=3) as found:
        list(found.search(8, 1))
        yield found


def chosen(experiment: JoinedStudy, n_repeats: int = 3, n_workers: int = 1) -> SelectionRecord:
    selection = experiment.choose(n_repeats, n_workers)
    assert selection is not None
    return selection


def forbidden(*_: object) -> None:
    raise AssertionError("trained again")


def test_it_is_made_once(experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    first = chosen(experiment)
    with monkeypatch.context() as patched:
        patched.setattr(repeats, "train_jobs", forbidden)
        assert chosen(experiment) == first
    # Another number of repeats is another choice, and so is one after more trials.
    assert chosen(experiment, 2) != first
    list(experiment.search(9, 1))
    assert chosen(experiment).trials == 9


def test_the_best_are_trained_again_and_nobody_else(experiment: JoinedStudy) -> None:
    selection = chosen(experiment)
    ranked = [trial.number for trial in experiment.store.ranked()]
    candidates = selection.record["candidates"]
    assert {each["trial"] for each in candidates} == set(ranked[:CANDIDATES])
    assert selection.number in ranked[:CANDIDATES]
    values = [each["value"] for each in candidates]
    assert values == sorted(values, reverse=True)
    for each in candidates:
        assert each["value"] == pytest.approx(np.mean(each["values"]))
        error = np.std(each["values"], ddof=1) / np.sqrt(3)
        assert each["standard_error"] == pytest.approx(error)


def test_the_promise_is_the_score_on_rows_that_each_network_did_not_see(
    experiment: JoinedStudy,
) -> None:
    selection = chosen(experiment)
    network = experiment.store.model(selection.number, selection.digest)
    prepared, problem = experiment.prepared, experiment.prepared.problem
    dealt = prepared.folds(3)
    assert dealt is not None
    assert network.params.shape == (3, problem.architecture.n_params)
    rows = np.concatenate([prepared.split.train, prepared.split.validation])
    dataset = prepared.sealed.dataset
    right = []
    for fold in range(3):
        own = rows[dealt == fold]
        alone = replace(network, params=network.params[fold : fold + 1])
        said = alone.predict(dataset.features, own).argmax(axis=1)
        right += (said == problem.target.transform(dataset.target, own)).tolist()
    assert selection.record["expected"] == pytest.approx(np.mean(right))
    # That of a share of right answers.
    p, n = np.mean(right), len(right)
    expected = np.sqrt(p * (1 - p) / n)
    assert selection.record["expected_se"] == pytest.approx(expected, rel=0.2, abs=2e-3)


def test_the_model_is_tested_and_not_the_trials_own_network(experiment: JoinedStudy) -> None:
    selection = chosen(experiment)
    (trial,) = (each for each in experiment.store.trials() if each.number == selection.number)
    look = experiment.test(trial, selection)
    assert look.model == selection.digest
    network = experiment.store.model(selection.number, selection.digest)
    sealed, metric = experiment.prepared.sealed, experiment.prepared.problem.metric
    assert look.score == sealed.score(network, metric)
    assert experiment.test(trial, selection) == look
    other = experiment.test(trial)
    assert (other.order, other.model) == (2, experiment.store.network(trial.number)[0])


def test_workers_change_nothing(experiment: JoinedStudy) -> None:
    first = chosen(experiment, n_workers=1)
    sql(experiment.store.rounds.folder.parent / "hpo.db", "DELETE FROM hpo_selections")
    assert chosen(experiment, n_workers=2) == first


def test_of_two_searches_that_finish_at_once_the_first_is_right(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other may be on another kind of processor, and come to other last digits."""
    enter = Chooser._enter
    theirs: list[SelectionRecord] = []

    def meanwhile(self: Chooser, network: Network, *rest: object) -> SelectionRecord | None:
        if not theirs:
            theirs.append(SelectionRecord(8, 3, 5, "0" * 64, {"expected": 0.5}))
            self.store.write(
                lambda connection: catalogue.save_selection(
                    connection, self.store.uid, theirs[0], "now"
                )
            )
        return enter(self, network, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Chooser, "_enter", meanwhile)
    assert chosen(experiment) == theirs[0]
    assert sql(
        experiment.store.rounds.folder.parent / "hpo.db", "SELECT count(*) FROM hpo_selections"
    ) == [(1,)]


@pytest.fixture
def other(experiment: JoinedStudy, tmp_path: Path) -> Iterator[JoinedStudy]:
    """A second search of the same study."""
    with held(tmp_path, trials=8, epochs=3) as found:
        yield found


def after_naps(monkeypatch: pytest.MonkeyPatch, *happens: Callable[[], object]) -> list[float]:
    """Instead of sleep for the n-th time, the n-th of these happens; returns how long it slept."""
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        assert len(naps) <= len(happens), "it waits on"
        happens[len(naps) - 1]()

    clock = SimpleNamespace(sleep=nap, time=time.time, monotonic=iter(count(0.0, 0.6)).__next__)
    monkeypatch.setattr(handover, "time", clock)
    return naps


def test_while_one_search_chooses_the_others_help_and_wait_for_it(
    experiment: JoinedStudy, other: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other.store.claim_selection()
    theirs = SelectionRecord(8, 3, 5, "0" * 64, {"expected": 0.5})

    def enter() -> None:
        other.store.write(
            lambda connection: catalogue.save_selection(connection, other.store.uid, theirs, "now")
        )

    naps = after_naps(monkeypatch, lambda: None, lambda: None, enter)
    assert chosen(experiment) == theirs
    assert len(naps) == 3
    choice = shared.Choice(other.store.uid, 8, 3)
    trained = other.store.rounds.read(lambda connection: shared.taken(connection, choice))
    assert len(trained) == 3 * CANDIDATES
    assert all(each.done for each in trained.values())


def test_when_the_one_that_chooses_dies_another_does(
    experiment: JoinedStudy, other: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other.store.claim_selection()
    path = experiment.store.rounds.folder.parent / "hpo.db"
    silence = f"UPDATE hpo_owners SET beat = 0 WHERE uid = '{other.store.owner.uid}'"
    naps = after_naps(monkeypatch, lambda: None, lambda: sql(path, silence), lambda: None)
    assert chosen(experiment).trials == 8
    assert len(naps) <= 3
    assert sql(path, "SELECT count(*) FROM hpo_claims") == [(0,)]


def test_who_waits_for_the_winner_does_so_until_the_deadline(
    experiment: JoinedStudy, other: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other.store.claim_selection()
    began = time.monotonic()
    assert experiment.choose(3, 1, deadline=time.time() + 0.3) is None
    assert 0.2 < time.monotonic() - began < 20


def test_a_winner_that_was_entered_just_before_the_claim_stands(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = SelectionRecord(8, 3, 5, "0" * 64, {"expected": 0.5})
    found = iter([None, theirs])
    monkeypatch.setattr(handover, "stored", lambda *_, **__: next(found))
    monkeypatch.setattr(repeats, "train_jobs", forbidden)
    assert chosen(experiment) == theirs


def test_nothing_is_stored_of_a_choice_that_the_deadline_cuts_off(experiment: JoinedStudy) -> None:
    assert experiment.choose(3, 1, deadline=time.time()) is None
    path = experiment.store.rounds.folder.parent / "hpo.db"
    assert sql(path, "SELECT count(*) FROM hpo_selections") == [(0,)]


def test_without_repeats_and_without_trials_there_is_none(tmp_path: Path) -> None:
    with held(tmp_path) as empty:
        assert empty.choose(3, 1) is None
        list(empty.search(4, 1))
        assert empty.choose(0, 1) is None


def test_where_no_repeat_succeeds_there_is_none(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_problem: object, _folds: object, jobs: list[repeats.Job]) -> list[repeats.Repeat]:
        return [repeats.Repeat(job.number, job.repeat) for job in jobs]

    monkeypatch.setattr(repeats, "train_jobs", failing)
    assert experiment.choose(3, 1) is None


def test_a_candidate_that_fails_once_is_none(
    experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = repeats.train_jobs
    best = experiment.store.ranked()[0].number

    def once(
        problem: Problem, given: Folds | None, jobs: list[repeats.Job]
    ) -> list[repeats.Repeat]:
        return [
            repeats.Repeat(each.number, each.repeat)
            if (each.number, each.repeat) == (best, 1)
            else each
            for each in train(problem, given, jobs)
        ]

    monkeypatch.setattr(repeats, "train_jobs", once)
    numbers = [each["trial"] for each in chosen(experiment).record["candidates"]]
    assert len(numbers) == CANDIDATES - 1
    assert best not in numbers


def test_many_rows_are_not_folded(experiment: JoinedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The validation rows score the means of the networks; none of these has seen them."""
    n_rows = len(experiment.prepared.problem.training) + len(experiment.prepared.problem.validation)
    monkeypatch.setattr(choice, "MOST_FOLDED_ROWS", n_rows)
    assert chosen(experiment).record["folds"] == 3
    monkeypatch.setattr(choice, "MOST_FOLDED_ROWS", n_rows - 1)
    selection = chosen(experiment, 4)
    assert selection.record["folds"] is None
    assert selection.record["expected"] <= 1
    network = experiment.store.model(selection.number, selection.digest)
    assert len(network.params) == 4


def test_a_model_that_is_gone_is_named_with_its_trial(experiment: JoinedStudy) -> None:
    selection = chosen(experiment)
    folder = ArtifactFolder(experiment.store.rounds.folder)
    folder.delete(selection.digest)
    with pytest.raises(ArtifactError, match=rf"^trial {selection.number}: .* missing"):
        experiment.store.model(selection.number, selection.digest)
