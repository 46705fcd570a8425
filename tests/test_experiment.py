"""A study from inside, fed with outcomes that are made up: what is kept, what is said of it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from hpo import experiment as module
from hpo.data.loading import load
from hpo.errors import NoFiniteTrialError
from hpo.experiment import Experiment, hold
from hpo.search.evaluation import Outcome
from hpo.search.narrowing import FinishedTrial, narrow
from hpo.search.selection import Expectation
from hpo.search.space import SearchSpace
from hpo.settings import Settings
from hpo.summary import summarise
from storage import catalogue
from storage.errors import ArtifactError
from tests.storage.looking import open_files, sql

ROWS, CLASSES = 24, 3  # of the validation part of iris


def held(
    folder: Path, *, study: str = "iris", trials: int = 8, **settings: Any
) -> AbstractContextManager[Experiment]:
    space = SearchSpace().to_json()
    asked = {"hidden": (4,), "epochs": 1, "rounds": 2, "seed": 5, **settings}
    chosen = Settings(None, True, (), "classification", "accuracy", space, **asked)
    url = f"sqlite:///{folder}/hpo.db"
    return hold(load("iris"), chosen, study=study, url=url, trials=trials)


def outcome(experiment: Experiment, number: int, value: float | None, **rest: Any) -> Outcome:
    n_params = experiment.prepared.problem.architecture.n_params
    prediction = np.random.default_rng(number).dirichlet(np.ones(CLASSES), ROWS)
    made: dict[str, Any] = {
        "number": number,
        "value": value,
        "reason": None,
        "seconds": 1.23456,
        "train_value": None if value is None else value / 2,
        "epochs": 3,
        "best_epoch": 2,
        "curves": {"val_loss": np.array([3.0, 1.0, 2.0]), "val_score": np.array([0.1, 0.3, 0.2])},
        "prediction": prediction.astype(np.float32),
        "params": np.full(n_params, number, np.float32),
    }
    return Outcome(**(made | rest))


def finish(experiment: Experiment, values: Mapping[int, float]) -> None:
    """Enter made-up outcomes of these trials, all at once."""
    if not experiment.store.size():
        next(experiment.search(experiment.narrowing.trials_per_round, 1))  # creates and claims
    experiment.store.finish([outcome(experiment, *each) for each in values.items()])


def test_of_equal_scores_the_lower_numbers_are_kept_whatever_is_ready_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.study_store.KEEP_NETWORKS", 2)
    with held(tmp_path) as experiment:
        finish(experiment, {2: 0.5, 3: 0.5})
        finish(experiment, {0: 0.5, 1: 0.5})
        assert experiment.winner().number == 0
        for number, kept in enumerate([True, True, False, False]):
            if kept:
                assert experiment.store.network(number)[1].params[0] == number
            else:
                with pytest.raises(ArtifactError, match="not among those that are kept"):
                    experiment.store.network(number)


def test_only_what_is_among_the_best_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.study_store.KEEP_NETWORKS", 2)
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.9, 1: 0.5})
        finish(experiment, {2: 0.7})
        assert experiment.store.network(2)[1].params[0] == 2
        monkeypatch.setattr(experiment.store.artifacts, "save", lambda _: pytest.fail("written"))
        finish(experiment, {3: 0.6})


def test_fifty_networks_are_kept(tmp_path: Path) -> None:
    with held(tmp_path, trials=60, rounds=1) as experiment:
        finish(experiment, {number: number / 100 for number in range(60)})
        with experiment.store.rounds.reading() as connection:
            kept = catalogue.load_artifacts(connection, experiment.store.uid)
    assert sorted(kept) == list(range(10, 60))
    assert len(list((tmp_path / "hpo.artifacts").glob("*.npz"))) == 50


def test_a_network_that_was_tested_stays_when_better_ones_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger says what was looked at; it must not point to nothing."""
    monkeypatch.setattr("hpo.study_store.KEEP_NETWORKS", 1)
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.5})
        look = experiment.test(experiment.winner())
        finish(experiment, {1: 0.9})
        finish(experiment, {2: 0.95})
        files = {path.stem for path in (tmp_path / "hpo.artifacts").glob("*.npz")}
        assert files == {look.model, experiment.store.network(2)[0]}


def test_a_file_is_there_before_its_row_and_goes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in between, the database must not name a file that is not there."""
    monkeypatch.setattr("hpo.study_store.KEEP_NETWORKS", 1)
    path = tmp_path / "hpo.db"
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.5})
        artifacts = experiment.store.artifacts
        save, delete = artifacts.save, artifacts.delete
        rows: list[list[tuple[int]]] = []

        def look(change: Any) -> Any:
            def seen(argument: Any) -> Any:
                rows.append(sql(path, "SELECT number FROM hpo_artifacts"))
                rows.append(sql(path, "SELECT number FROM trials WHERE state = 'COMPLETE'"))
                return change(argument)

            return seen

        monkeypatch.setattr(artifacts, "save", look(save))
        monkeypatch.setattr(artifacts, "delete", look(delete))
        finish(experiment, {1: 0.9})
    assert rows == [[(0,)], [(0,)], [(1,)], [(0,), (1,)]]


def test_equal_networks_of_two_studies_are_two_files(tmp_path: Path) -> None:
    """Or the one study would delete what the other has just saved."""
    digests = set()
    for study in ("one", "other"):
        with held(tmp_path, study=study) as experiment:
            finish(experiment, {0: 0.5})
            digests.add(experiment.store.network(0)[0])
    assert len(digests) == 2


def test_what_a_trial_leaves_behind(tmp_path: Path) -> None:
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.5})
        store = experiment.store
        (trial,) = [each for each in store.trials() if each.state == "COMPLETE"]
        with store.rounds.reading() as connection:
            curves = catalogue.load_curves(connection, store.uid, 0)
        assert trial.value == 0.5
        attributes = {"train": 0.25, "epochs": 3, "best_epoch": 2, "seconds": 1.2346}
        assert trial.attributes == attributes
        expected = outcome(experiment, 0, 0.5)
        assert expected.curves is not None
        assert curves.keys() == expected.curves.keys()
        for name, curve in expected.curves.items():
            np.testing.assert_allclose(curves[name], curve, rtol=1e-6)
        np.testing.assert_array_equal(store.prediction(0), expected.prediction)


def test_a_whole_file_that_is_no_network_is_said_with_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a later version may write it."""
    with held(tmp_path) as experiment:
        with monkeypatch.context() as patched:
            patched.setattr("hpo.persistence.FORMAT", "hpo.network.9")
            finish(experiment, {0: 0.5})
        with pytest.raises(ArtifactError, match=r"^trial 0: .* the format 'hpo\.network\.9'$"):
            experiment.store.network(0)


def test_a_loss_beyond_float32_is_stored_as_infinite(tmp_path: Path) -> None:
    with held(tmp_path) as experiment:
        finish(experiment, {})
        wild = {"val_loss": np.array([1e300, 1.0]), "val_score": np.array([0.1, 0.5])}
        experiment.store.finish([outcome(experiment, 0, 0.5, curves=wild)])
        with experiment.store.rounds.reading() as connection:
            curves = catalogue.load_curves(connection, experiment.store.uid, 0)
    assert curves["val_loss"].tolist() == [np.inf, 1.0]


def test_ranges_narrow_around_the_greatest_scores(tmp_path: Path) -> None:
    with held(tmp_path, trials=16) as experiment:
        finish(experiment, {number: number / 10 for number in range(8)})
        events = experiment.search(16, 1)
        claimed = next(events)
        trials = experiment.store.trials()[:8]
        losses = [FinishedTrial(each.number, -(each.value or 0), each.params) for each in trials]
        space = experiment.store.space
        box = narrow(space.distributions, losses, experiment.narrowing, 1)
        assert claimed.ranges == space.ranges(box)  # type: ignore[union-attr]
        best = max(trials, key=lambda each: each.value or 0)
        low, high = box["learning_rate"]
        assert low <= best.params["learning_rate"] <= high


@pytest.mark.parametrize(("trials", "rounds", "size"), [(7, 2, 4), (1, 5, 1), (100, 5, 20)])
def test_the_planned_rounds_hold_all_trials(
    tmp_path: Path, trials: int, rounds: int, size: int
) -> None:
    with held(tmp_path, trials=trials, rounds=rounds) as experiment:
        assert experiment.narrowing.trials_per_round == size
        assert (experiment.narrowing.n_rounds, experiment.narrowing.seed) == (rounds, 5)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_creation_that_was_cut_short_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    left = iter(range(nth - 1, -1, -1))

    def dying(write: Any) -> Any:
        def maybe(*arguments: Any, **named: Any) -> Any:
            if next(left, None) == 0:
                raise KeyboardInterrupt
            return write(*arguments, **named)

        return maybe

    with monkeypatch.context() as patched:
        patched.setattr(optuna, "create_study", dying(optuna.create_study))
        for name in ("set_user_attr", "set_metric_names"):
            patched.setattr(optuna.Study, name, dying(getattr(optuna.Study, name)))
        with pytest.raises(KeyboardInterrupt), held(tmp_path):
            pytest.fail("it was to die")
    with held(tmp_path) as experiment:
        assert experiment.narrowing.trials_per_round == 4
        study = optuna.load_study(study_name="iris", storage=experiment.store.rounds)
        assert study.metric_names == ["accuracy"]
        assert experiment.store.size() == 0


def test_what_a_dead_search_left_is_swept_away(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    left = tmp_path / "hpo.artifacts" / ".new-left"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    with held(tmp_path):
        assert not left.exists()


def test_a_study_that_is_let_go_holds_no_file(tmp_path: Path) -> None:
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.5})
        assert open_files(tmp_path)
    assert not open_files(tmp_path)


def test_the_expectation_gets_the_best_in_the_order_of_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of their scores, ties would be broken by the rows that were not drawn."""
    seen: list[Any] = []

    def record(*arguments: Any) -> Expectation:
        seen.append(arguments)
        return Expectation(None, None)

    monkeypatch.setattr(module, "expected_score", record)
    monkeypatch.setattr(module, "CANDIDATE_BYTES", 8 * ROWS * 3)
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.1, 1: 0.6, 2: 0.7, 3: 0.5})
        experiment.expectation()
        problem = experiment.prepared.problem
        ((losses, target, metric, seed),) = seen
        expected = [
            outcome(experiment, number, 0).prediction.argmax(axis=1) != problem.validation_target  # type: ignore[union-attr]
            for number in (1, 2, 3)
        ]
    np.testing.assert_array_equal(losses, expected)
    assert target is problem.validation_target
    assert (metric.name, seed) == ("accuracy", 5)


def test_workers_are_as_many_as_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Idle:
        def __init__(self, _problem: object, n_workers: int) -> None:
            asked.append(n_workers)

        def evaluate(self, _slots: object) -> list[list[Outcome]]:
            return []

    monkeypatch.setattr(module, "Workers", Idle)
    with held(tmp_path) as experiment:
        list(experiment.search(4, 3))
    assert asked == [3]


@pytest.mark.parametrize(
    ("reason", "advice"), [("diverged in epoch 1", True), ("the worker was killed", False)]
)
def test_without_any_score_the_first_reason_is_said(
    tmp_path: Path, reason: str, advice: bool
) -> None:
    with held(tmp_path) as experiment:
        with pytest.raises(NoFiniteTrialError, match=r"^no trial has finished yet: run the same"):
            experiment.winner()
        finish(experiment, {})
        for number, why in enumerate((reason, "another")):
            failed = outcome(experiment, number, None, reason=why, params=None, prediction=None)
            experiment.store.finish([failed])
        with pytest.raises(NoFiniteTrialError) as caught:
            experiment.winner()
    assert str(caught.value).startswith(f"all 2 trials failed; trial 0: {reason}")
    assert ("try lower learning rates" in str(caught.value)) == advice


def test_the_summary_tells_train_from_validation_and_the_best_of_each_round(
    tmp_path: Path,
) -> None:
    with held(tmp_path, trials=12) as experiment:
        finish(experiment, {0: 0.5, 1: 0.9, 2: 0.75, 3: 0.9})
        failed = outcome(experiment, 4, None, reason="why", params=None, prediction=None)
        experiment.store.finish([failed])
        assert experiment.test(experiment.winner()).order == 1
        found = summarise(experiment, "sqlite:///hpo.db", time.perf_counter(), keep_sealed=True)
    best = found.document["best"]
    assert (best["trial"], best["validation"], best["train"]) == (1, 0.9, 0.45)
    assert [each.number for each in found.best] == [1, 3, 2, 0]
    ((first,), trials) = found.document["rounds"], found.document["trials"]
    assert (first["best"], first["trials"]) == (0.9, 5)  # the sixth still waits
    assert trials == {"complete": 4, "pruned": 0, "failed": 1}
    assert found.document["test"] == {"score": None, "evaluations": 1}
    assert found.look is None
