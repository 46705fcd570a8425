"""Databases of earlier versions: they are upgraded, say what they said, and are gone on with."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from hpo.data.loading import load
from hpo.joined_study import JoinedStudy
from hpo.joining import joined
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, propose
from hpo.search.space import SearchSpace
from hpo.settings import Settings
from storage import catalogue, history, leases, ledger, migrations
from storage.artifacts import ArtifactFolder
from storage.records import ExperimentRecord, Kept, Look, RoundRecord
from storage.sqlite import connect
from storage.trials import RoundStorage
from tests.running import Hpo, integrity, stock_optuna, stored_trials
from tests.storage.golden.making import DATABASE, FOLDER, NETWORKS, RECORD, STUDIES, held
from tests.storage.looking import schema, sql

VERSIONS = sorted(path.parent.name for path in FOLDER.glob(f"*/{DATABASE}"))


def defaults_of(version: str) -> tuple[str, ...]:
    """The options that an older version had without being asked."""
    older = ("--patience", "10", "--schedule", "constant", "--repeats", "0")
    return older if version < "0003" else ()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def told(version: str) -> dict[str, Any]:
    """What was read from the database with plain SQL when it was made, by study."""
    record: dict[str, Any] = json.loads((FOLDER / version / RECORD).read_text(encoding="utf-8"))
    return record


@pytest.fixture
def path(version: str, tmp_path: Path) -> Path:
    """A copy of the database with its networks beside it; ``rounds`` upgrades it."""
    shutil.copytree(FOLDER / version / NETWORKS, tmp_path / "hpo.artifacts")
    return Path(shutil.copy(FOLDER / version / DATABASE, tmp_path / "hpo.db"))


def numbered(values: dict[str, Any]) -> dict[int, Any]:
    """Numbers are texts in JSON."""
    return {int(number): value for number, value in values.items()}


@contextmanager
def gone_on_with(path: Path, told: dict[str, Any], study: str) -> Iterator[JoinedStudy]:
    """The study, by its stored settings."""
    stored = json.loads(told[study]["experiment"]["settings"])
    data, settings = load(STUDIES[study][0]), Settings.from_json(stored)
    with joined(data, settings, study=study, url=f"sqlite:///{path}", trials=6) as experiment:
        yield experiment


def test_there_is_one_of_each_schema() -> None:
    assert VERSIONS[-1] == migrations.HEAD
    assert [int(each) for each in VERSIONS] == list(range(1, len(VERSIONS) + 1))


def test_a_golden_database_is_what_its_record_says(
    path: Path, told: dict[str, Any], version: str
) -> None:
    assert json.loads(json.dumps(held(path))) == told
    assert sql(path, "SELECT * FROM hpo_alembic_version") == [(version,)]
    assert path.stat().st_size < 300_000
    states = [each["state"] for study in told.values() for each in study["trials"].values()]
    assert len(states) == 12
    assert set(states) == {"COMPLETE", "FAIL"}


def test_it_has_the_schema_of_a_new_database_afterwards(
    rounds: RoundStorage, path: Path, tmp_path: Path
) -> None:
    RoundStorage(f"sqlite:///{tmp_path}/new.db").close()
    assert schema(path) == schema(tmp_path / "new.db")
    assert sql(path, "SELECT * FROM hpo_alembic_version") == [(migrations.HEAD,)]
    assert integrity(path) == "ok"
    assert sql(path, "PRAGMA foreign_key_check") == []
    assert rounds.place.path == path


@pytest.mark.parametrize("study", STUDIES)
def test_trials_are_read_as_they_were(
    rounds: RoundStorage, told: dict[str, Any], study: str
) -> None:
    expected = numbered(told[study]["trials"])
    with rounds.reading() as connection:
        study_id = history.find_study(connection, study)
        assert study_id is not None
        found = history.trials(connection, study_id)
        assert history.study_attributes(connection, study_id) == told[study]["attributes"]
    assert [each.number for each in found] == list(expected) == list(range(6))
    for trial in found:
        as_told = expected[trial.number]
        assert (trial.state, trial.value) == (as_told["state"], as_told["value"])
        assert (trial.params, trial.attributes) == (as_told["params"], as_told["attributes"])


@pytest.mark.parametrize("study", STUDIES)
def test_stock_optuna_reads_them_too(
    rounds: RoundStorage, path: Path, told: dict[str, Any], study: str
) -> None:
    rounds.close()
    with stock_optuna(path) as storage:
        trials = optuna.load_study(study_name=study, storage=storage).trials
    for trial in trials:
        expected = told[study]["trials"][str(trial.number)]
        assert trial.state.name == expected["state"]
        assert trial.value == expected["value"]
        assert trial.params == expected["params"]
        assert trial.intermediate_values == numbered(expected["intermediate"])


@pytest.mark.parametrize("study", STUDIES)
def test_everything_of_ours_is_read_as_it_was(
    rounds: RoundStorage, told: dict[str, Any], study: str, version: str
) -> None:
    expected = told[study]
    uid = expected["attributes"]["hpo:experiment"]
    with rounds.reading() as connection:
        record = catalogue.load_experiment(connection, uid)
        curves = {number: catalogue.load_curves(connection, uid, number) for number in range(6)}
        predictions = catalogue.load_predictions(connection, uid, range(6))
        found_rounds = catalogue.load_rounds(connection, uid)
        artifacts = catalogue.load_artifacts(connection, uid)
        looks = ledger.looks(connection, uid)
        assert leases.leases(connection, uid) == []
    assert record is not None
    for field in fields(ExperimentRecord):
        stored, value = expected["experiment"].get(field.name), getattr(record, field.name)
        if field.name in {"fingerprint", "settings", "preparation", "versions"}:
            assert value == json.loads(stored)
        else:
            assert (value.hex() if isinstance(value, bytes) else value) == stored
    assert (record.split is None) == (version == "0001")
    assert found_rounds == [
        RoundRecord(index, ranges) for index, ranges in numbered(expected["rounds"]).items()
    ]
    for number in range(6):
        as_told = expected["curves"][str(number)]
        assert list(curves[number]) == list(as_told)
        for name, curve in as_told.items():
            np.testing.assert_array_equal(curves[number][name], np.array(curve, np.float32))
    assert predictions.keys() == numbered(expected["predictions"]).keys()
    for number, prediction in numbered(expected["predictions"]).items():
        np.testing.assert_array_equal(predictions[number], np.array(prediction, np.float32))
    values = {number: each["value"] for number, each in numbered(expected["trials"]).items()}
    kept = [
        Kept(number, digest, values[number])
        for number, digest in numbered(expected["artifacts"]).items()
    ]
    assert artifacts == sorted(kept, key=lambda each: (-(each.value or 0.0), each.number))
    assert len(artifacts) == sum(value is not None for value in values.values())
    assert looks == [Look(place, *each) for place, each in enumerate(expected["looks"], start=1)]
    folder = ArtifactFolder(rounds.folder)
    for each in artifacts:
        assert folder.load(each.digest).digest == each.digest


@pytest.mark.parametrize("study", STUDIES)
def test_networks_say_what_they_said(path: Path, told: dict[str, Any], study: str) -> None:
    with gone_on_with(path, told, study) as experiment:
        prepared, store = experiment.prepared, experiment.store
        stored = store.predictions(range(6))
        assert stored
        validation = prepared.split.validation
        for number, prediction in stored.items():
            digest, network = store.network(number)
            assert digest == told[study]["artifacts"][str(number)]
            assert network.trial["number"] == number
            said = network.predict(prepared.sealed.dataset.features, validation)
            expected = prepared.problem.in_units(prediction[None])[0]
            np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-6)


def test_the_same_command_again_trains_nothing_and_looks_no_more(
    hpo: Hpo,
    path: Path,
    told: dict[str, Any],
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("trained again, or looked at the test rows again")

    monkeypatch.setattr("hpo.search.evaluation.train_slots", forbidden)
    monkeypatch.setattr("hpo.study_store.train_slots", forbidden)
    monkeypatch.setattr("hpo.preparation.SealedRows.score", forbidden)
    command = ("search", *STUDIES["golden"], *defaults_of(version), "--study", "golden", "--json")
    document = hpo(*command).document
    ((_, why, score),) = told["golden"]["looks"]
    assert document["test"] == {"score": score, "evaluations": 1}
    assert f"(trial {document['best']['trial']})" in why
    wild = (*STUDIES["wild"], *defaults_of(version), "--study", "wild")
    assert hpo("search", *wild).code == 0
    assert {
        study: each["trials"] for study, each in json.loads(json.dumps(held(path))).items()
    } == {study: each["trials"] for study, each in told.items()}


@pytest.mark.parametrize("study", STUDIES)
def test_a_search_goes_on_from_it(
    hpo: Hpo, path: Path, told: dict[str, Any], study: str, version: str
) -> None:
    before = stored_trials(path, study)
    command = ("search", *STUDIES[study], *defaults_of(version), "--study", study)
    document = hpo(*command, "--trials", 9, "--json").document
    after = stored_trials(path, study)
    assert {number: after[number] for number in before} == before
    assert list(after) == list(range(9))
    assert sum(document["trials"].values()) == 9
    assert document["test"]["evaluations"] in {len(told[study]["looks"]), 1, 2}
    # The new points are those that the older version would have drawn.
    narrowing = NarrowingSettings.from_json(told[study]["attributes"]["hpo:narrowing"])
    space = SearchSpace.from_json(json.loads(told[study]["experiment"]["settings"])["space"])
    finished = [
        FinishedTrial(number, -each["value"], each["params"])
        for number, each in numbered(told[study]["trials"]).items()
        if each["value"] is not None
    ]
    expected = propose(space.distributions, finished, narrowing, range(6, 9))
    for number, point in zip(range(6, 9), expected, strict=True):
        drawn = {name: value for name, value, _ in after[number]["params"]}
        assert drawn == pytest.approx(point, rel=1e-9)


def test_what_an_older_search_was_training_when_it_died_is_trained_again(
    hpo: Hpo, path: Path, version: str
) -> None:
    """Nobody held it: there was one search of a study at a time."""
    before = stored_trials(path, "golden")
    running = "SELECT trial_id FROM trials WHERE study_id = 1 AND number IN (4, 5)"
    sql(path, f"DELETE FROM trial_values WHERE trial_id IN ({running})")
    sql(path, f"DELETE FROM trial_intermediate_values WHERE trial_id IN ({running})")
    sql(path, f"DELETE FROM trial_user_attributes WHERE trial_id IN ({running})")
    of_them = "number IN (4, 5) AND experiment IN (SELECT experiment FROM hpo_test_looks)"
    for table in ("hpo_curves", "hpo_predictions", "hpo_artifacts"):
        sql(path, f"DELETE FROM {table} WHERE {of_them}")
    sql(path, f"UPDATE trials SET state = 'RUNNING' WHERE trial_id IN ({running})")
    command = ("search", *STUDIES["golden"], *defaults_of(version), "--study", "golden", "--json")
    document = hpo(*command).document
    assert document["trials"] == {"complete": 6, "pruned": 0, "failed": 0}
    after = stored_trials(path, "golden")
    for number in (4, 5):
        assert after[number]["state"] == "COMPLETE"
        assert after[number]["params"] == before[number]["params"]
        ((_, value, _),), ((_, again, _),) = before[number]["values"], after[number]["values"]
        assert again == pytest.approx(value, abs=0.05)  # another processor rounds otherwise
    assert {number: after[number] for number in range(4)} == {
        number: before[number] for number in range(4)
    }


def test_networks_of_a_study_that_was_deleted_hinder_no_upgrade(path: Path) -> None:
    with stock_optuna(path) as storage:
        optuna.delete_study(study_name="golden", storage=storage)
    rounds = RoundStorage(f"sqlite:///{path}")
    with rounds.reading() as connection:
        found = history.studies(connection)
        (uid,) = history.attributes_named(connection, "hpo:experiment").values()
        assert all(each.value is not None for each in catalogue.load_artifacts(connection, uid))
    rounds.close()
    assert list(found) == ["wild"]


@pytest.mark.parametrize("version", VERSIONS[:-1], indirect=True)
def test_an_upgrade_cut_short_anywhere_is_completed(
    path: Path, tmp_path: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of the files before each statement are what a kill at that moment leaves behind."""
    snapshots: dict[tuple[bytes, ...], Path] = {}

    def snapshot(_statement: str) -> None:
        files = [each for each in (path, path.with_name("hpo.db-wal")) if each.exists()]
        key = tuple(each.read_bytes() for each in files)
        if key not in snapshots:
            snapshots[key] = tmp_path / f"snapshot-{len(snapshots)}"
            snapshots[key].mkdir()
            for each in files:
                shutil.copy(each, snapshots[key])

    def traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA cache_size = 1")  # or nothing is written before the commit
        connection.set_trace_callback(snapshot)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr("storage.sqlite.connect", traced)
        RoundStorage(f"sqlite:///{path}").close()
    assert len(snapshots) > 3
    rows = "SELECT number, digest, value FROM hpo_artifacts ORDER BY experiment, number"
    for folder in snapshots.values():
        copy = folder / "hpo.db"
        found = json.loads(json.dumps(held(copy)))
        assert found["golden"]["trials"] == told["golden"]["trials"]
        RoundStorage(f"sqlite:///{copy}").close()
        assert schema(copy) == schema(path)
        assert integrity(copy) == "ok"
        assert sql(copy, rows) == sql(path, rows)
