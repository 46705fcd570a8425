"""PostgreSQL and MySQL hold a study as SQLite does; and what others do to it meanwhile."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import optuna_dashboard
import pytest
import sqlalchemy as sa
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage

from hpo.search import evaluation
from storage import catalogue, engine, history, leases, slots
from storage.artifacts import ArtifactFolder
from storage.errors import StorageError
from storage.records import Result, Slot
from storage.trials import RoundStorage
from tests.running import Hpo, stock_optuna_at
from tests.storage import databases
from tests.storage.databases import SERVERS, Database, fresh_database, login, quick_on, require
from tests.storage.making import bare

on_servers = pytest.mark.parametrize("database", SERVERS, indirect=True)
on_bare_servers = pytest.mark.parametrize("bare_database", SERVERS, indirect=True)
later_on_mysql = pytest.mark.parametrize(
    "database", quick_on("sqlite", "postgresql"), indirect=True
)
"""On MySQL only with the slow tests."""

COMMAND = (
    "search", "iris", "--rounds", 2, "--hidden", 4, "--epochs", 4, "--seed", 3, "--json",
)  # fmt: skip
TRIALS = 8


@pytest.fixture
def rounds(database: Database) -> Iterator[RoundStorage]:
    opened = RoundStorage(database.url)
    yield opened
    opened.close()


def stock(database: Database) -> AbstractContextManager[RDBStorage]:
    """The database as Optuna alone opens it."""
    return stock_optuna_at(database.optunas)


# The servers of these tests


@pytest.mark.parametrize("kind", SERVERS)
def test_without_a_server_tests_are_left_out_and_in_ci_they_fail(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_TEST_" + kind.upper(), f"{kind}://me:secret@127.0.0.1:1/none")
    for ci, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match=f"no {kind} server for tests, set HPO_TEST") as caught:
            require(kind)
        assert "secret" not in str(caught.value)


@on_bare_servers
def test_a_fresh_database_is_empty_and_gone_afterwards(
    bare_database: Database, tmp_path: Path
) -> None:
    assert bare_database.tables() == []
    bare_database.sql("CREATE TABLE studies (study_id int)")
    with fresh_database(bare_database.kind, tmp_path) as other:
        assert other.tables() == []
        other.sql("CREATE TABLE studies (study_id int)")
        other.sql("INSERT INTO studies VALUES (1)")
        assert (bare_database.count("studies"), other.count("studies")) == (0, 1)
    names = databases._on_server(
        bare_database.kind, "SELECT schema_name FROM information_schema.schemata"
    )
    assert (bare_database.name,) in names
    assert (other.name,) not in names


# What they hold


@on_servers
def test_a_search_on_a_server_stores_what_it_stores_in_a_file(
    hpo: Hpo, tmp_path: Path, database: Database
) -> None:
    file = Database("sqlite", f"sqlite:///{tmp_path}/file.db", "main")
    found = []
    for each in (file, database):
        first = hpo(*COMMAND, "--trials", TRIALS, "--storage", each.url)
        assert first.code == 0, first.err
        # The same again goes on, here to a round more.
        second = hpo(*COMMAND, "--trials", TRIALS + 3, "--storage", each.url)
        assert second.code == 0, second.err
        documents = [{**ran.document, "seconds": 0, "storage": 0} for ran in (first, second)]
        rows = [
            each.sql("SELECT round, ranges FROM hpo_rounds ORDER BY round"),
            each.sql("SELECT number, names, data FROM hpo_curves ORDER BY number"),
            each.sql("SELECT number, outputs, data FROM hpo_predictions ORDER BY number"),
            each.sql("SELECT number, value FROM hpo_artifacts ORDER BY number"),
            each.sql("SELECT why, score FROM hpo_test_looks ORDER BY look"),
        ]
        found.append((documents, rows, each.stored_trials("iris")))
    assert found[0] == found[1]
    assert list(found[0][2]) == list(range(TRIALS + 3))
    for each in (file, database):
        assert each.count("hpo_owners") == each.count("hpo_claims") == 0


def test_stock_optuna_reads_and_goes_on_with_a_study_on_a_server(
    hpo: Hpo, database: Database
) -> None:
    assert hpo(*COMMAND, "--trials", TRIALS, "--storage", database.url).code == 0
    ours = database.stored_trials("iris")
    with stock(database) as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        trials = study.get_trials()
        assert study.direction.name == "MAXIMIZE"
        assert study.metric_names == ["accuracy"]
        assert [trial.number for trial in trials] == list(ours)
        for trial in trials:
            assert [(0, trial.value, "FINITE")] == ours[trial.number]["values"]
            assert sorted(trial.params.items()) == [
                (name, value) for name, value, _ in ours[trial.number]["params"]
            ]
            assert trial.duration is not None
            assert 0 < trial.duration.total_seconds() < 30
        assert study.ask().number == TRIALS


@pytest.mark.parametrize("bare_database", ["mysql"], indirect=True)
def test_tables_on_mysql_are_those_of_optuna_but_for_parts_of_seconds(
    bare_database: Database, tmp_path: Path
) -> None:
    def tables(of: Database) -> dict[str, str]:
        names = [name for (name,) in of.sql("SHOW TABLES") if not name.startswith("hpo_")]
        return {name: of.sql(f"SHOW CREATE TABLE {name}")[0][1] for name in names}

    RoundStorage(bare_database.url).close()
    with fresh_database("mysql", tmp_path) as other:
        with stock(other) as storage:
            storage.get_all_studies()
        wanted = tables(other)
    found = tables(bare_database)
    assert list(found) == list(wanted)
    assert {name: text.replace("datetime(6)", "datetime") for name, text in found.items()} == wanted
    assert found["trials"].count("datetime(6)") == 2


@later_on_mysql
def test_a_round_of_thousands_of_trials(database: Database, rounds: RoundStorage, uid: str) -> None:
    size = 3000
    space = {name: FloatDistribution(0.0, 1.0) for name in ("a", "b")}
    points = [Slot(n, {"a": n / size, "b": 0.5}) for n in range(size)]
    results = [Result(n, n / size, {1: 0.5}, {"train": 1.0}) for n in range(size)]
    study_id = rounds.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "study")
    owner = leases.this_process()

    def work(connection: sa.Connection) -> None:
        assert slots.create(connection, study_id, points, space)
        assert leases.claim(connection, study_id, uid, owner, size) == points
        ids = leases.held(connection, uid, owner)
        slots.finish(connection, ids, results)
        leases.drop(connection, uid, owner, range(size))

    rounds.write(work)
    found = rounds.read(lambda connection: history.trials(connection, study_id))
    assert [(each.number, each.state, each.value) for each in found] == [
        (n, "COMPLETE", n / size) for n in range(size)
    ]
    assert [each.params for each in found] == [point.params for point in points]
    assert database.count("hpo_claims") == 0


def test_long_values_are_stored_whole(rounds: RoundStorage) -> None:
    """MySQL's plain types end at 65,535 bytes."""
    long = {"text": "🎉" * 50_000, "numbers": list(range(20_000))}
    assert len(json.dumps(long["numbers"])) > 65_535
    record = replace(
        bare("0" * 32), source="s" * 70_000, fingerprint=long, settings=long, preparation=long,
        versions=long, artifacts="a" * 70_000, split=bytes(range(256)) * 1000,
    )  # fmt: skip
    rounds.write(lambda each: catalogue.save_experiment(each, record))
    assert rounds.read(lambda each: catalogue.load_experiment(each, record.uid)) == record
    curves = np.linspace(0, 1, 60_000, dtype=np.float32).reshape(2, -1)
    prediction = np.linspace(0, 1, 60_000, dtype=np.float32).reshape(-1, 3)
    result = Result(0, 0.5, {}, {}, ("x" * 40_000, "y" * 40_000), curves, prediction)
    rounds.write(lambda each: catalogue.save_arrays(each, record.uid, [result]))
    stored = rounds.read(lambda each: catalogue.load_curves(each, record.uid, 0))
    assert list(stored) == list(result.curve_names)
    assert np.array_equal(list(stored.values()), curves)
    predictions = rounds.read(lambda each: catalogue.load_predictions(each, record.uid, [0]))
    assert np.array_equal(predictions[0], prediction)


@pytest.mark.parametrize("database", quick_on("mysql", of=SERVERS), indirect=True)
def test_a_table_of_many_long_columns_is_searched_and_gone_on_with(
    hpo: Hpo, tmp_path: Path, database: Database
) -> None:
    columns = [f"{'é' * 60}{number}" for number in range(700)]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*columns, "y"])
    for row in np.random.default_rng(0).normal(size=(40, len(columns))).round(3):
        writer.writerow([*row, "pq"[int(row[0] > 0)]])
    (tmp_path / "wide.csv").write_text(text.getvalue())
    command = ("search", "wide.csv", "--target", "y", *COMMAND[2:], "--storage", database.url)
    for trials in (2, 4):
        ran = hpo(*command, "--trials", trials)
        assert ran.code == 0, ran.err
        assert ran.document["trials"]["complete"] == trials
    assert database.sql("SELECT length(preparation) FROM hpo_experiments")[0][0] > 65_535


# Names


def test_a_study_may_have_any_name(hpo: Hpo, database: Database) -> None:
    for name in ("šárka 🎉 %s {x} '\"", "a" * 500):
        for trials in (1, 2):
            command = (*COMMAND, "--trials", trials, "--storage", database.url, "--study", name)
            ran = hpo(*command)
            assert ran.code == 0, ran.err
            assert ran.document["study"] == name
        assert list(database.stored_trials(name)) == [0, 1]


@pytest.mark.parametrize("database", quick_on("sqlite", "mysql"), indirect=True)
def test_a_name_that_mysql_takes_for_anothers_is_refused_in_one_line(
    hpo: Hpo, database: Database
) -> None:
    command = (*COMMAND, "--trials", 2, "--storage", database.url)
    assert hpo(*command).code == 0
    before = database.text()
    # Only MySQL takes names for one that differ in case, accents or blanks at the end.
    for name in ("Iris", "íris", "iris ") if database.kind == "mysql" else ("Iris",):
        ran = hpo(*command, "--study", name)
        if database.kind == "mysql":
            assert (ran.code, ran.out) == (4, "")
            assert ran.err == (
                f"hpo: the database takes the study names 'iris' and {name!r} for one: "
                "use another --study\n"
            )
            assert database.text() == before
        else:
            assert ran.code == 0, ran.err
            assert database.stored_trials(name) == database.stored_trials("iris")


# What happens to a study while it is searched


def while_training(monkeypatch: pytest.MonkeyPatch, nth: int, action: Callable[[], object]) -> None:
    """Do ``action`` when the n-th stack is about to be trained."""
    train, calls = evaluation.train_slots, count(1)

    def wrapped(*arguments: Any) -> Any:
        if next(calls) == nth:
            action()
        return train(*arguments)

    monkeypatch.setattr(evaluation, "train_slots", wrapped)


def second_round(database: Database) -> int:
    """The how-manieth stack is the second round: on servers the first round is two halves."""
    return 2 if database.kind == "sqlite" else 3


def networks(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.artifacts/*.npz")}


@later_on_mysql
def test_a_study_that_is_deleted_ends_the_search_in_one_line_and_its_networks_stay(
    hpo: Hpo, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*COMMAND, "--trials", TRIALS, "--storage", database.url)

    def delete() -> None:
        assert len(networks(tmp_path)) == TRIALS // 2
        with stock(database) as storage:
            optuna.delete_study(study_name="iris", storage=storage)

    with monkeypatch.context() as patched:
        while_training(patched, second_round(database), delete)
        ran = hpo(*command)
    assert (ran.code, ran.out) == (4, "")
    last = ran.err.splitlines()[-1]
    assert last == "hpo: the study was deleted while it was searched"
    assert "Traceback" not in ran.err
    kept = {digest for (digest,) in database.sql("SELECT digest FROM hpo_artifacts")}
    assert len(kept) == TRIALS // 2
    assert kept <= networks(tmp_path)
    (folder,) = tmp_path.glob("*.artifacts")
    for digest in kept:
        ArtifactFolder(folder).load(digest)
    # The name is free for a new study, which owes nothing to the old one.
    ran = hpo(*command)
    assert ran.code == 0, ran.err
    assert list(database.stored_trials("iris")) == list(range(TRIALS))
    assert ran.document["test"]["evaluations"] == 1
    assert kept <= networks(tmp_path)


def test_a_study_that_is_deleted_and_whose_number_is_given_again_is_not_written_to(
    hpo: Hpo, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace() -> None:
        with stock(database) as storage:
            optuna.delete_study(study_name="iris", storage=storage)
            if database.kind == "postgresql":  # which SQLite does by itself
                database.sql("ALTER SEQUENCE studies_study_id_seq RESTART")
            elif database.kind == "mysql":
                database.sql("ALTER TABLE studies AUTO_INCREMENT = 1")
            study = optuna.create_study(study_name="iris", storage=storage)
            assert study._study_id == 1

    while_training(monkeypatch, 1, replace)
    ran = hpo(*COMMAND, "--trials", TRIALS, "--storage", database.url)
    assert ran.code == 4
    assert ran.err.splitlines()[-1] == "hpo: the study was deleted while it was searched"
    assert database.stored_trials("iris") == {}


@later_on_mysql
def test_a_study_that_is_renamed_is_searched_to_the_end(
    hpo: Hpo, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*COMMAND, "--trials", TRIALS, "--storage", database.url)
    calm = hpo(*command, "--study", "calm")

    def rename() -> None:
        database.sql("UPDATE studies SET study_name = 'other' WHERE study_name = 'iris'")

    while_training(monkeypatch, 2, rename)
    ran = hpo(*command)
    assert ran.code == 0, ran.err
    assert database.stored_trials("other") == database.stored_trials("calm")
    assert ran.document["best"] == calm.document["best"]
    assert database.stored_trials("iris") == {}


@later_on_mysql
def test_a_study_that_the_dashboard_renames_goes_on_under_its_new_name(
    hpo: Hpo, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes a copy under the new name, and deletes the study."""
    command = (*COMMAND, "--trials", TRIALS, "--storage", database.url)
    assert hpo(*command, "--study", "calm").code == 0

    def rename() -> None:
        with stock(database) as storage:
            study_id = storage.get_study_id_from_name("iris")
            status = post(storage, f"/api/studies/{study_id}/rename", {"study_name": "other"})
        assert status.startswith("201 ")

    with monkeypatch.context() as patched:
        while_training(patched, second_round(database), rename)
        ran = hpo(*command)
    assert ran.code == 4
    assert ran.err.splitlines()[-1] == "hpo: the study was deleted while it was searched"
    states = [trial["state"] for trial in database.stored_trials("other").values()]
    assert states == ["COMPLETE"] * 4 + ["RUNNING"] * 4
    # This process lives on, where the command would have ended.
    database.sql("UPDATE hpo_owners SET beat = 0")
    ran = hpo(*command, "--study", "other")
    assert ran.code == 0, ran.err
    assert database.stored_trials("other") == database.stored_trials("calm")
    assert database.count("hpo_owners") == database.count("hpo_claims") == 0


def post(storage: RDBStorage, path: str, document: Mapping[str, str]) -> str:
    """What the dashboard answers to a request, as a browser sends it: the status."""
    body = json.dumps(document).encode()
    answers: list[str] = []
    environment = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    application = optuna_dashboard.wsgi(storage)
    list(application(environment, lambda status, *_: answers.append(status)))
    return answers[0]


# Transactions


@on_servers
def test_of_two_that_lock_each_other_out_one_is_tried_again(
    database: Database, rounds: RoundStorage
) -> None:
    studies = [rounds.create_new_study([], name) for name in ("a", "b")]
    for study_id in studies:
        rounds.set_study_user_attr(study_id, "key", 0)
    both, tries = threading.Barrier(2), count()

    def lock_both(first: int, second: int) -> None:
        own = RoundStorage(database.url)

        def work(connection: sa.Connection) -> None:
            slots.lock_study(connection, first, "key")
            if next(tries) < 2:
                both.wait(30)
            slots.lock_study(connection, second, "key")

        own.write(work)
        own.close()

    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(lock_both, *order) for order in (studies, studies[::-1])]:
            each.result(60)
    assert next(tries) == 3


def test_what_is_read_in_one_go_does_not_change_meanwhile(
    database: Database, rounds: RoundStorage
) -> None:
    study_id = rounds.create_new_study([], "study")
    other = RoundStorage(database.url)
    with rounds.reading() as connection:
        assert history.count(connection, study_id) == 0
        other.create_new_trial(study_id)
        assert history.count(connection, study_id) == 0
        assert history.trials(connection, study_id) == []
    with rounds.reading() as connection:
        assert history.count(connection, study_id) == 1
    other.close()


def test_the_clock_of_a_database_tells_parts_of_a_second(rounds: RoundStorage) -> None:
    def now(connection: sa.Connection) -> float:
        value = connection.execute(sa.select(engine.clock(connection))).scalar_one()
        assert isinstance(value, float)
        return value

    moments = [rounds.read(now) for _ in range(20)]
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] < 30
    assert len({moment % 1 for moment in moments}) > 3


@pytest.mark.parametrize("bare_database", quick_on("postgresql", of=SERVERS), indirect=True)
def test_eight_threads_that_open_a_fresh_database_at_once_create_its_tables_once(
    bare_database: Database,
) -> None:
    ready = threading.Barrier(8)

    def open_it(_: int) -> None:
        ready.wait(30)
        opened = RoundStorage(bare_database.url)
        opened.set_study_user_attr(opened.create_new_study([]), "key", "value")
        opened.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_it, range(8)))
    assert bare_database.count("study_user_attributes") == 8
    for table in ("alembic_version", "hpo_alembic_version", "version_info"):
        assert bare_database.count(table) == 1


# A database that is not ours to write in


@on_bare_servers
def test_another_programs_tables_are_left_alone(hpo: Hpo, bare_database: Database) -> None:
    bare_database.sql("CREATE TABLE studies (id INTEGER PRIMARY KEY, title VARCHAR(20))")
    bare_database.sql("INSERT INTO studies VALUES (1, 'theirs')")
    ran = hpo(*COMMAND, "--storage", bare_database.url)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("hpo: this database belongs to another program (tables studies): ")
    assert ran.err.count("\n") == 1
    assert bare_database.tables() == ["studies"]
    assert bare_database.sql("SELECT * FROM studies") == [(1, "theirs")]


@on_servers
def test_a_user_who_may_not_write_is_told_so_in_one_line(hpo: Hpo, database: Database) -> None:
    command = (*COMMAND, "--trials", 2)
    assert hpo(*command, "--storage", database.url).code == 0
    before = database.text()
    with login(database, "secret", write=False) as reader:
        ran = hpo(*command, "--study", "other", "--storage", reader.url)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("hpo: the user of the storage may not do this: ")
    assert ran.err.count("\n") == 1
    assert "secret" not in ran.err
    assert database.text() == before


@pytest.mark.parametrize("bare_database", quick_on("postgresql", of=SERVERS), indirect=True)
def test_tables_of_a_newer_version_are_left_alone(bare_database: Database) -> None:
    RoundStorage(bare_database.url).close()
    bare_database.sql("UPDATE hpo_alembic_version SET version_num = '9999'")
    before = bare_database.text()
    with pytest.raises(StorageError, match=r"written by a newer version of hpo .*: upgrade hpo"):
        RoundStorage(bare_database.url)
    assert bare_database.text() == before
