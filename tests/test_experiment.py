"""A study from inside, fed with outcomes that are made up: what is kept, what is said of it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from hpo import joined_study as module
from hpo import joining
from hpo.data.loading import load
from hpo.errors import NoFiniteTrialError
from hpo.joined_study import JoinedStudy
from hpo.joining import Joining, joined
from hpo.search.evaluation import Outcome
from hpo.search.expectation import Expectation
from hpo.search.loop import Recorded
from hpo.search.narrowing import FinishedTrial, narrow
from hpo.search.space import SearchSpace
from hpo.settings import Settings
from hpo.study_store import WAIT_SECONDS, StudyStore
from hpo.summary import summarise
from storage import catalogue
from storage.artifacts import Artifact, ArtifactFolder
from storage.errors import ArtifactError
from storage.trials import RoundStorage
from tests.running import stored_trials
from tests.storage.looking import open_files, sql

ROWS, CLASSES = 24, 3  # of the validation part of iris


def held(
    folder: Path, *, study: str = "iris", trials: int = 8, keep: int = 50, **settings: Any
) -> AbstractContextManager[JoinedStudy]:
    space = SearchSpace().to_json()
    asked = {"hidden": (4,), "epochs": 1, "rounds": 2, "seed": 5, **settings}
    chosen = Settings(None, True, (), "classification", "accuracy", space, **asked)
    url = f"sqlite:///{folder}/hpo.db"
    joining = Joining(keep=keep)
    return joined(load("iris"), chosen, study=study, url=url, trials=trials, joining=joining)


def outcome(experiment: JoinedStudy, number: int, value: float | None, **rest: Any) -> Outcome:
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


def finish(experiment: JoinedStudy, values: Mapping[int, float]) -> None:
    """Enter made-up outcomes of these trials, all at once."""
    if not experiment.store.size():
        next(experiment.search(experiment.narrowing.trials_per_round, 1))  # creates and claims
    experiment.store.finish([outcome(experiment, *each) for each in values.items()])


def kept(experiment: JoinedStudy) -> set[int]:
    """The trials whose networks are kept, each of which is in its file."""
    with experiment.store.rounds.reading() as connection:
        rows = catalogue.load_artifacts(connection, experiment.store.uid)
    folder = experiment.store.rounds.folder
    assert {each.digest for each in rows} <= {path.stem for path in folder.glob("*.npz")}
    return {each.number for each in rows}


def test_of_equal_scores_the_lower_numbers_are_kept_whatever_is_ready_first(
    tmp_path: Path,
) -> None:
    with held(tmp_path, keep=2) as experiment:
        finish(experiment, {2: 0.5, 3: 0.5})
        finish(experiment, {0: 0.5, 1: 0.5})
        assert experiment.winner().number == 0
        assert kept(experiment) == {0, 1}
        for number in (0, 1):
            assert experiment.store.network(number)[1].params[0, 0] == number


def test_only_what_is_among_the_best_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    save_all = ArtifactFolder.save_all

    def seen(folder: ArtifactFolder, artifacts: Sequence[Artifact]) -> list[str]:
        written.extend(json.loads(each.document)["trial"]["number"] for each in artifacts)
        return save_all(folder, artifacts)

    monkeypatch.setattr(ArtifactFolder, "save_all", seen)
    with held(tmp_path, keep=2) as experiment:
        finish(experiment, {0: 0.9, 1: 0.5})
        finish(experiment, {2: 0.7})
        finish(experiment, {3: 0.6})
        assert kept(experiment) == {0, 2}
    assert written == [0, 1, 2]


def test_of_many_that_are_ready_at_once_only_the_best_are_written(tmp_path: Path) -> None:
    with held(tmp_path, trials=12, rounds=1, keep=3) as experiment:
        finish(experiment, {number: number % 5 / 10 for number in range(12)})
        assert kept(experiment) == {3, 4, 9}
    assert len(list((tmp_path / "hpo.artifacts").glob("*.npz"))) == 3


def test_a_network_that_was_not_kept_is_trained_again_to_the_same(tmp_path: Path) -> None:
    """The same file, byte for byte, as the search that kept it wrote."""
    (tmp_path / "all").mkdir()
    (tmp_path / "one").mkdir()
    asked: dict[str, Any] = {"trials": 4, "rounds": 1, "epochs": 3}
    with held(tmp_path / "all", **asked) as experiment:
        list(experiment.search(4, 1))
        uid, ranked = experiment.store.uid, experiment.store.ranked()
        networks = {n: experiment.store.network(n)[1].to_bytes() for n in range(4)}
    with held(tmp_path / "one", **asked, keep=1) as experiment:
        list(experiment.search(4, 1))
        best = ranked[0].number
        assert kept(experiment) == {best}
        for number in range(4):
            digest, network = experiment.store.network(number)
            arrays, document = network.to_bytes()
            assert digest == Artifact(arrays, document).digest
            expected_arrays, expected = networks[number]
            assert arrays == expected_arrays
            # The studies are two, and say so.
            assert document.decode().replace(experiment.store.uid, uid) == expected.decode()
        assert len(list((tmp_path / "one" / "hpo.artifacts").glob("*.npz"))) == 1


def test_a_network_that_is_dropped_while_it_is_loaded_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another search of the study has just found a better one."""
    load_file = ArtifactFolder.load

    def dropped(folder: ArtifactFolder, digest: str) -> tuple[bytes, bytes]:
        sql(tmp_path / "hpo.db", "DELETE FROM hpo_artifacts")
        folder.delete(digest)
        return load_file(folder, digest)

    with held(tmp_path, trials=4, rounds=1, epochs=3) as experiment:
        list(experiment.search(4, 1))
        digest, network = experiment.store.network(2)
        monkeypatch.setattr(ArtifactFolder, "load", dropped)
        again = experiment.store.network(2)
    assert (again[0], again[1].to_bytes()) == (digest, network.to_bytes())


def test_the_winner_may_be_tested_without_a_kept_network(tmp_path: Path) -> None:
    """Its look has the same model, so it is no other look when the network is there again."""
    with held(tmp_path, trials=4, rounds=1, epochs=3) as experiment:
        list(experiment.search(4, 1))
        first = experiment.test(experiment.winner())
        sql(tmp_path / "hpo.db", "DELETE FROM hpo_artifacts")
        assert experiment.test(experiment.winner()) == first
        sql(tmp_path / "hpo.db", "DELETE FROM hpo_test_looks")
        assert experiment.test(experiment.winner()) == first
        assert first.order == 1


def test_a_network_that_cannot_be_made_again_is_no_other_one(tmp_path: Path) -> None:
    """The trial has another network's predictions, as on another kind of processor."""
    with held(tmp_path, keep=1) as experiment:
        finish(experiment, {0: 0.5, 1: 0.9})
        with pytest.raises(
            ArtifactError,
            match=r"^trial 0: its network was not kept, and trained again it gives other predic",
        ):
            experiment.store.network(0)


@pytest.mark.parametrize("number", [1, 2, 99])
def test_a_trial_without_a_result_has_no_network(tmp_path: Path, number: int) -> None:
    with held(tmp_path) as experiment:
        finish(experiment, {0: 0.5})
        failed = outcome(experiment, 1, None, reason="why", params=None, prediction=None)
        experiment.store.finish([failed])
        with pytest.raises(ArtifactError, match=rf"^trial {number} has no network$"):
            experiment.store.network(number)


def test_who_keeps_fewer_forgets_the_others(tmp_path: Path) -> None:
    with held(tmp_path, keep=3) as experiment:
        finish(experiment, {0: 0.5, 1: 0.75, 2: 0.25})
        assert kept(experiment) == {0, 1, 2}
    with held(tmp_path, keep=1) as experiment:
        assert kept(experiment) == {0, 1, 2}  # until there is something better
        next(experiment.search(4, 1))
        finish(experiment, {3: 0.9})
        assert kept(experiment) == {3}
    assert len(list((tmp_path / "hpo.artifacts").glob("*.npz"))) == 1


def test_fifty_networks_are_kept(tmp_path: Path) -> None:
    with held(tmp_path, trials=60, rounds=1) as experiment:
        finish(experiment, {number: number / 100 for number in range(60)})
        assert kept(experiment) == set(range(10, 60))
    assert len(list((tmp_path / "hpo.artifacts").glob("*.npz"))) == 50


def test_a_network_that_was_tested_stays_when_better_ones_come(tmp_path: Path) -> None:
    """The ledger says what was looked at; it must not point to nothing."""
    with held(tmp_path, keep=1) as experiment:
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
    path = tmp_path / "hpo.db"
    with held(tmp_path, keep=1) as experiment:
        finish(experiment, {0: 0.5})
        artifacts = experiment.store.artifacts
        save_all, delete = artifacts.save_all, artifacts.delete
        rows: list[list[tuple[int]]] = []

        def look(change: Any) -> Any:
            def seen(argument: Any) -> Any:
                rows.append(sql(path, "SELECT number FROM hpo_artifacts"))
                rows.append(sql(path, "SELECT number FROM trials WHERE state = 'COMPLETE'"))
                return change(argument)

            return seen

        monkeypatch.setattr(artifacts, "save_all", look(save_all))
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
        np.testing.assert_array_equal(store.predictions([0])[0], expected.prediction)


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
        low, high = space.ranges(box)["learning_rate"]
        assert low <= best.params["learning_rate"] <= high


@pytest.mark.parametrize(("trials", "rounds", "size"), [(7, 2, 4), (1, 5, 1), (100, 5, 20)])
def test_the_planned_rounds_hold_all_trials(
    tmp_path: Path, trials: int, rounds: int, size: int
) -> None:
    with held(tmp_path, trials=trials, rounds=rounds) as experiment:
        assert experiment.narrowing.trials_per_round == size
        assert (experiment.narrowing.n_rounds, experiment.narrowing.seed) == (rounds, 5)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["catalogue.save_experiment", "slots.create_study"])
def test_a_study_is_created_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, moment: str
) -> None:
    part, name = call.split(".")
    write = getattr(getattr(joining, part), name)

    def dying(*arguments: Any) -> None:
        if moment == "after":
            write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(getattr(joining, part), name, dying)
        with pytest.raises(KeyboardInterrupt), held(tmp_path):
            pytest.fail("it was to die")
    for table in ("studies", "study_user_attributes", "study_system_attributes", "hpo_experiments"):
        assert sql(tmp_path / "hpo.db", f"SELECT * FROM {table}") == []
    with held(tmp_path) as experiment:
        assert experiment.narrowing.trials_per_round == 4
        study = optuna.load_study(study_name="iris", storage=experiment.store.rounds)
        assert study.metric_names == ["accuracy"]
        assert experiment.store.size() == 0


def test_a_creation_whose_answer_got_lost_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed, reported as lost, and tried again."""
    write = RoundStorage.write

    def twice(rounds: RoundStorage, work: Callable[[Any], Any]) -> Any:
        write(rounds, work)
        return write(rounds, work)

    with monkeypatch.context() as patched:
        patched.setattr(RoundStorage, "write", twice)
        with held(tmp_path) as experiment:
            uid = experiment.store.uid
    with held(tmp_path) as experiment:
        assert experiment.store.uid == uid
    assert sql(tmp_path / "hpo.db", "SELECT count(*) FROM studies") == [(1,)]
    assert sql(tmp_path / "hpo.db", "SELECT count(*) FROM hpo_experiments") == [(1,)]


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


def test_workers_are_as_many_and_work_as_long_as_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, ...]] = []

    class Idle:
        def __init__(self, _problem: object, *arguments: float) -> None:
            asked.append(arguments)

        def evaluate(self, _slots: object, _judge: object) -> list[list[Outcome]]:
            asked.append(())
            return []

        def is_over(self) -> bool:
            return asked[-1] == ()

    monkeypatch.setattr(module, "Workers", Idle)
    with held(tmp_path) as experiment:
        list(experiment.search(4, 3, 1e9))
    assert asked == [(3, 1e9), ()]


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


# Several searches


def tables(folder: Path) -> dict[str, Any]:
    """All that a search leaves in the tables, but for what is another in every study."""
    path = folder / "hpo.db"
    columns = {
        "hpo_rounds": "round, ranges",
        "hpo_curves": "number, names, data",
        "hpo_predictions": "number, outputs, data",
        "hpo_artifacts": "number, value",
        "hpo_test_looks": "why, score",
        "hpo_claims": "*",
    }
    return {"trials": stored_trials(path, "iris")} | {
        table: sorted(sql(path, f"SELECT {names} FROM {table}")) for table, names in columns.items()
    }


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one search alone leaves."""
    folder = tmp_path_factory.mktemp("calm")
    with held(folder, trials=12, keep=3) as experiment:
        list(experiment.search(12, 1))
        experiment.test(experiment.winner())
    return tables(folder)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacks of one network, so that a search can be left between any two; nobody waits."""
    monkeypatch.setattr("hpo.search.stacks.MOST_MEMBERS", 1)
    monkeypatch.setattr("hpo.study_store.LONGEST_WAIT_SECONDS", 0)


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("seed", range(4))
def test_searches_in_any_order_of_their_steps_lead_to_the_trials_of_one(
    tmp_path: Path, calm: dict[str, Any], seed: int
) -> None:
    turns = np.random.default_rng(seed)
    with ExitStack() as stack:
        joined_in = [stack.enter_context(held(tmp_path, trials=12, keep=3)) for _ in range(3)]
        searches = [experiment.search(12, 1) for experiment in joined_in]
        trained = [0, 0, 0]
        while searches:
            place = int(turns.integers(len(searches)))
            event = next(searches[place], None)
            if event is None:
                del searches[place]
            elif isinstance(event, Recorded):
                trained[place] += len(event.outcomes)
        assert sum(trained) == 12
        assert all(trained), "each was to do a part"
        looks = [experiment.test(experiment.winner()) for experiment in joined_in]
        assert len(set(looks)) == 1
        assert [len(experiment.looks()) for experiment in joined_in] == [1, 1, 1]
    assert tables(tmp_path) == calm
    assert sql(tmp_path / "hpo.db", "SELECT * FROM hpo_owners") == []


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("steps", range(1, 6))
def test_one_that_is_taken_for_dead_and_goes_on_changes_nothing(
    tmp_path: Path, calm: dict[str, Any], steps: int
) -> None:
    with held(tmp_path, trials=12, keep=3) as late, held(tmp_path, trials=12, keep=3) as other:
        searching = late.search(12, 1)
        for _ in range(steps):
            next(searching)
        # As if it were on another machine, and had not been heard of for long.
        change = "UPDATE hpo_owners SET beat = 0, place = 'elsewhere' WHERE uid = ?"
        sql(tmp_path / "hpo.db", change, late.store.owner.uid)
        list(other.search(12, 1))
        before = tables(tmp_path)
        told = [event for event in searching if isinstance(event, Recorded)]
        assert sum(len(event.outcomes) for event in told) == 0
        assert tables(tmp_path) == before
        other.test(other.winner())
    assert tables(tmp_path) == calm


def test_a_late_result_is_dropped_and_the_other_stays(tmp_path: Path) -> None:
    with held(tmp_path) as late, held(tmp_path) as other:
        next(late.search(4, 1))
        change = "UPDATE hpo_owners SET beat = 0, place = 'elsewhere' WHERE uid = ?"
        sql(tmp_path / "hpo.db", change, late.store.owner.uid)
        next(other.search(4, 1))
        first = [outcome(other, number, 0.25) for number in (0, 1)]
        assert other.store.finish(first) == first
        # Two that the other has entered, and one that it still trains.
        assert late.store.finish([outcome(late, number, 0.75) for number in (1, 0, 2)]) == []
        assert [each.value for each in late.store.trials()] == [0.25, 0.25, None, None]
        assert kept(other) == {0, 1}
        assert other.store.network(0)[1].trial["validation"] == 0.25


def finish_and_raise(experiment: JoinedStudy, error: type[BaseException]) -> None:
    finish(experiment, {1: 0.5})
    raise error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_who_breaks_off_gives_back_what_it_trains(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), held(tmp_path) as experiment:
        finish_and_raise(experiment, error)
    states = [each["state"] for each in stored_trials(tmp_path / "hpo.db", "iris").values()]
    assert states == ["WAITING", "COMPLETE", "WAITING", "WAITING"]
    for table in ("hpo_claims", "hpo_owners"):
        assert sql(tmp_path / "hpo.db", f"SELECT * FROM {table}") == []


def test_who_has_joined_says_so_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.leases.BEAT_SECONDS", 0.01)
    with held(tmp_path) as experiment:
        for _ in range(2):
            # It may be beating right now.
            with closing(sqlite3.connect(tmp_path / "hpo.db", timeout=30)) as other, other:
                other.execute("UPDATE hpo_owners SET beat = 0")
            deadline = time.monotonic() + 30
            while sql(tmp_path / "hpo.db", "SELECT beat FROM hpo_owners") == [(0.0,)]:
                assert time.monotonic() < deadline, "it was never heard again"
        ((uid,),) = sql(tmp_path / "hpo.db", "SELECT uid FROM hpo_owners")
        assert uid == experiment.store.owner.uid
        assert "hpo-heart" in {thread.name for thread in threading.enumerate()}
    # One that still beat would be entered again, and get a share.
    assert "hpo-heart" not in {thread.name for thread in threading.enumerate()}


def test_waiting_is_for_what_others_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(tmp_path) as one, held(tmp_path) as other:
        left = [0, 1]

        def finish_one(seconds: float) -> None:
            assert seconds == WAIT_SECONDS
            one.store.finish([outcome(one, left.pop(0), 0.5)])

        monkeypatch.setattr("hpo.study_store.time.sleep", finish_one)
        assert not other.store.wait(below=9)
        assert len(next(one.search(4, 1)).slots) == 2  # type: ignore[union-attr]
        assert not other.store.wait(below=1)
        assert left == [1]
        assert not other.store.wait(below=2)
        assert left == []


def test_what_waits_is_asked_for_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody trains it, or another program has set back what somebody does."""
    slept = list[float]()
    with held(tmp_path) as one, held(tmp_path) as other:
        next(one.search(4, 1))
        monkeypatch.setattr("hpo.study_store.time.sleep", slept.append)
        assert other.store.wait(below=9)
    assert slept == [WAIT_SECONDS]


def test_waiting_ends_when_a_trial_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(tmp_path) as one, held(tmp_path) as other:
        next(one.search(4, 1))
        monkeypatch.setattr(
            "hpo.study_store.time.sleep", lambda _: one.store.write(one.store._leave)
        )
        assert other.store.wait(below=2)
        states = [each.state for each in other.store.trials()]
        assert states == ["WAITING"] * 4


def test_waiting_ends_now_and_then_to_see_who_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments, slept = iter([100.0, 100.5, 100.9, 101.0]), list[float]()
    clock = SimpleNamespace(monotonic=lambda: next(moments), sleep=slept.append)
    with held(tmp_path) as one, held(tmp_path) as other:
        next(one.search(4, 1))
        monkeypatch.setattr("hpo.study_store.time", clock)
        assert other.store.wait(below=2)
    assert slept == [WAIT_SECONDS] * 3


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_what_is_known_of_finished_trials_is_what_the_tables_say(
    tmp_path: Path, order: list[int]
) -> None:
    """They are read once, those of other searches too, in whatever order they finish."""

    def another() -> StudyStore:
        ours = experiment.store
        known = (ours.rounds, ours.study_id, ours.uid, ours.space, ours.prepared)
        return StudyStore(*known, ours.artifacts)

    with held(tmp_path) as experiment:
        reader = another()
        assert reader.losses() == []
        for first in (0, 4):
            next(experiment.search(first + 4, 1))
            for number in order:
                value = None if number == 2 else number / 10
                done = outcome(experiment, first + number, value)
                experiment.store.finish([done])
                expected = sorted(another().losses(), key=lambda each: each.number)
                for store in (experiment.store, reader):
                    assert sorted(store.losses(), key=lambda each: each.number) == expected
        assert [each.number for each in expected] == [0, 1, 3, 4, 5, 7]
        assert [each.value for each in expected] == [-0.0, -0.1, -0.3] * 2
