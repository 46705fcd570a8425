"""Looking at a storage changes nothing, needs no right to write, and tells what is there."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sqlalchemy import Connection

from storage import condition, migrations, optuna_studies, optuna_trials, our_experiments, reader
from storage.errors import StorageError
from storage.optuna_studies import Study
from storage.trials import RoundStorage
from tests.filling import UID, fill
from tests.running import stock_optuna
from tests.storage.databases import SERVERS, Database
from tests.storage.looking import as_nobody, content, error_line, open_files, sql

ATTRIBUTE = "hpo:experiment"


def every_look(connection: Connection) -> list[Any]:
    """What all functions that only read say."""
    studies = optuna_studies.studies(connection, ATTRIBUTE)
    return [
        studies,
        optuna_studies.states(connection),
        optuna_studies.extremes(connection),
        optuna_studies.extremes(connection, "train"),
        our_experiments.made(connection),
        our_experiments.array_bytes(connection),
        our_experiments.networks(connection),
        our_experiments.looked_at(connection),
        condition.versions(connection),
        condition.damage(connection),
        [optuna_trials.trials(connection, each.study_id, ("train",)) for each in studies],
        [optuna_trials.unheld(connection, each.study_id, UID) for each in studies],
    ]


def look(path: Path, work: Callable[[Connection], Any] = every_look) -> Any:
    with reader.opened(f"sqlite:///{path}") as opened:
        return opened.read(work)


def names_in(connection: Connection) -> list[str]:
    return [study.name for study in optuna_studies.studies(connection, ATTRIBUTE)]


def names(path: Path) -> list[str]:
    found: list[str] = look(path, names_in)
    return found


def refusal(path: Path) -> str:
    """The one line with which a database is refused; nothing stays open."""
    message = error_line(lambda: names(path))
    assert not open_files(path.parent)
    return message


# What it leaves behind


def test_a_look_leaves_every_byte_of_the_folder_as_it_was(path: Path) -> None:
    fill(path, 60)
    before = content(path.parent)
    look(path)
    assert content(path.parent) == before
    assert not open_files(path.parent)


def test_a_look_is_not_kept_waiting_by_a_search_that_writes(path: Path) -> None:
    fill(path, 10)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO studies (study_name) VALUES ('unfinished')")
        assert names(path) == ["big"]
        writer.execute("COMMIT")
        assert names(path) == ["big", "unfinished"]


def test_what_is_written_during_a_look_makes_it_look_again(path: Path) -> None:
    """A file that nobody has open is read without any lock, which is right only if it stays so."""
    seen: list[list[str]] = []

    def work(connection: Connection) -> list[str]:
        found = names_in(connection)
        if not seen:
            sql(path, "INSERT INTO studies (study_name) VALUES ('meanwhile')")
        seen.append(found)
        return found

    assert look(path, work) == ["meanwhile"]
    assert seen == [[], ["meanwhile"]]


def test_an_error_that_a_write_during_the_look_brought_about_is_no_error(path: Path) -> None:
    seen: list[Connection] = []

    def work(connection: Connection) -> list[str]:
        seen.append(connection)
        if len(seen) == 1:
            sql(path, "INSERT INTO studies (study_name) VALUES ('meanwhile')")
            raise ValueError("a page that was half written")
        return names_in(connection)

    assert look(path, work) == ["meanwhile"]


def test_an_error_that_is_the_works_own_is_raised_and_the_work_not_repeated(path: Path) -> None:
    calls = []

    def work(connection: Connection) -> None:
        calls.append(connection)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        look(path, work)
    assert len(calls) == 1


def test_nothing_can_be_written_through_it(database: Database) -> None:
    RoundStorage(database.url).close()
    with reader.opened(database.url) as opened:
        for statement in ("INSERT INTO studies (study_name) VALUES ('a')", "DROP TABLE studies"):
            write = partial(Connection.execute, statement=sa.text(statement))
            error_line(partial(opened.read, write))
    assert database.count("studies") == 0


# Where only reading is allowed


def test_a_read_only_file_in_a_read_only_folder(shared: Path) -> None:
    fill(shared, 10)
    shared.chmod(0o444)
    shared.parent.chmod(0o555)
    with as_nobody():
        assert names(shared) == ["big"]
        assert set(content(shared.parent)) == {"hpo.db"}


def test_a_search_of_another_user_in_a_folder_that_cannot_be_written(shared: Path) -> None:
    fill(shared, 10)
    with closing(sqlite3.connect(shared, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO studies (study_name) VALUES ('new')")
        for end in ("-wal", "-shm"):
            shared.with_name(shared.name + end).chmod(0o644)
        shared.parent.chmod(0o555)
        with as_nobody():
            assert names(shared) == ["big", "new"], "what is not in the file yet is seen too"


def test_what_a_killed_search_has_left_is_seen(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO studies (study_name) VALUES ('committed')")
        shutil.copytree(path.parent, tmp_path / "killed")
    copy = tmp_path / "killed" / path.name
    assert copy.with_name("hpo.db-wal").stat().st_size > 0
    copy.with_name("hpo.db-shm").unlink()
    assert names(copy) == ["committed"]


def test_a_file_that_may_not_be_read(shared: Path) -> None:
    shared.chmod(0o200)
    with as_nobody():
        assert refusal(shared) == (
            f"the database cannot be opened: {shared}; check the folder and its permissions"
        )


# What is not there


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    assert refusal(path) == (
        f"there is no database {path}: hpo search makes it, or choose another --storage"
    )
    assert refusal(tmp_path / "none" / "no.db").startswith("there is no database")
    assert content(tmp_path) == {}


def test_a_folder_a_note_an_empty_file_and_another_programs_database(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is no file: choose another --storage"
    note = tmp_path / "note.db"
    for text in (b"milk", b"no database, " * 100):
        note.write_bytes(text)
        assert f"this file is no SQLite database: {note}" in refusal(note)
    birds = tmp_path / "birds.db"
    sql(birds, "CREATE TABLE birds (name TEXT)")
    (tmp_path / "empty.db").write_bytes(b"")
    for path in (birds, tmp_path / "empty.db"):
        before = content(tmp_path)
        assert refusal(path) == (
            f"the database holds no studies: {path}; hpo search makes one, or choose another "
            "--storage"
        )
        assert content(tmp_path) == before


@pytest.mark.parametrize("bare_database", SERVERS, indirect=True)
def test_a_server_without_tables_is_left_without_tables(bare_database: Database) -> None:
    with (
        reader.opened(bare_database.url) as opened,
        pytest.raises(StorageError, match="no studies"),
    ):
        opened.read(every_look)
    with pytest.raises(Exception, match="studies"):
        bare_database.count("studies")


# Other versions


def test_tables_of_a_newer_version_are_read_as_far_as_they_are_alike(path: Path) -> None:
    fill(path, 5)
    sql(path, "UPDATE alembic_version SET version_num = 'v9.9.9'")
    sql(path, "UPDATE hpo_alembic_version SET version_num = '9999'")
    sql(path, "ALTER TABLE hpo_experiments ADD COLUMN mood TEXT")
    assert names(path) == ["big"]
    assert look(path, condition.versions) == ("v9.9.9", "9999")


def test_tables_of_another_version_that_cannot_be_read_are_named(path: Path) -> None:
    sql(path, "ALTER TABLE study_directions RENAME TO directions")
    assert "no such table" in refusal(path), "the version is right, so it is not to blame"
    sql(path, "UPDATE hpo_alembic_version SET version_num = '9999'")
    assert refusal(path) == (
        f"{path} has hpo's tables in version 9999, not {migrations.HEAD}: upgrade hpo"
    )
    sql(path, "UPDATE alembic_version SET version_num = 'v0.9.0'")
    assert f"{path} has Optuna's tables in version v0.9.0" in refusal(path)


def test_the_first_schema_of_ours_is_read_and_not_migrated(path: Path) -> None:
    fill(path, 5)
    for statement in (
        "DROP TABLE hpo_claims",
        "DROP TABLE hpo_owners",
        "ALTER TABLE hpo_experiments DROP COLUMN artifacts",
        "ALTER TABLE hpo_experiments DROP COLUMN split",
        "UPDATE hpo_alembic_version SET version_num = '0001'",
    ):
        sql(path, statement)
    before = content(path.parent)
    look(path)
    made = look(path, our_experiments.made)[UID]
    assert (made.source, made.artifacts) == ("digits", None)
    assert content(path.parent) == before


def test_a_storage_of_stock_optuna_has_studies_and_no_experiments(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with stock_optuna(path) as theirs:
        theirs.create_new_study([optuna.study.StudyDirection.MINIMIZE], "theirs")
    (study,), *_ = look(path)
    assert study == Study(1, "theirs", ("MINIMIZE",), (), None)
    for empty in (
        our_experiments.made,
        our_experiments.networks,
        our_experiments.looked_at,
        our_experiments.array_bytes,
    ):
        assert look(path, empty) == {}
    assert look(path, condition.versions)[1] is None


# What it says

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1, log=True),
    "layers": IntDistribution(1, 9),
    "kind": CategoricalDistribution(["adam", "sgd", None, 3, True]),
}


def test_trials_are_what_optuna_reads(database: Database) -> None:
    """Optuna's own reading is the oracle, on every kind of database."""
    rounds = RoundStorage(database.url)
    study = optuna.create_study(study_name="a", storage=rounds, direction="minimize")
    optuna.create_study(study_name="b", storage=rounds, directions=["minimize", "maximize"])
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["loss"])
    study.set_user_attr(ATTRIBUTE, "c" * 32)
    values = [0.5, float("inf"), -float("inf"), -3.25, 1e-300]
    for number, kind in enumerate(["adam", "sgd", None, 3, True]):
        trial = optuna.trial.create_trial(
            params={"rate": 0.1 / (number + 1), "layers": number + 1, "kind": kind},
            distributions=SPACE,
            value=values[number],
            user_attrs={"train": number / 7, "note": "not asked for"},
        )
        study.add_trial(trial)
    study.enqueue_trial({"rate": 0.5})
    study.ask(SPACE)
    failed = study.ask(SPACE)
    failed.set_user_attr("train", {"not": "a number"})
    study.tell(failed, state=optuna.trial.TrialState.FAIL)
    expected = [
        (
            each.number,
            each.state.name,
            each.value,
            each.params,
            {key: value for key, value in each.user_attrs.items() if key == "train"},
        )
        for each in study.get_trials()
    ]
    rounds.close()
    with reader.opened(database.url) as opened:
        first, second = opened.read(lambda each: optuna_studies.studies(each, ATTRIBUTE))
        found = opened.read(lambda each: optuna_trials.trials(each, first.study_id, ("train",)))
        states = opened.read(optuna_studies.states)
        extremes = opened.read(optuna_studies.extremes)
        unheld = opened.read(lambda each: optuna_trials.unheld(each, first.study_id, "c" * 32))
        seconds = opened.read(lambda each: optuna_trials.seconds(each, first.study_id))
        n_bytes = opened.read(lambda each: condition.database_bytes(each, opened.place))
    assert first[1:] == ("a", ("MINIMIZE",), ("loss",), "c" * 32)
    assert second[1:] == ("b", ("MINIMIZE", "MAXIMIZE"), (), None)
    assert [
        (each.number, each.state, each.value, each.params, each.attributes) for each in found
    ] == expected
    assert states == {first.study_id: {"COMPLETE": 5, "RUNNING": 1, "FAIL": 1}}
    assert extremes == {first.study_id: (-3.25, 0.5)}, "infinite values do not count"
    assert unheld == [5]
    assert set(seconds) == {0, 1, 2, 3, 4, 6}
    assert all(0 <= each < 60 for each in seconds.values())
    assert n_bytes > 10_000


def test_our_own_tables_are_what_plain_sql_says(path: Path) -> None:
    values = fill(path, 120)
    sql(path, "INSERT INTO hpo_artifacts VALUES (?, 3, ?, 0.5)", UID, "a" * 64)
    sql(path, "INSERT INTO hpo_artifacts VALUES (?, 4, ?, 0.5)", UID, "b" * 64)
    look_at = "INSERT INTO hpo_test_looks (experiment, model, why, opened_at) VALUES (?, ?, '', '')"
    sql(path, look_at, UID, "b" * 64)
    finite = [value for value in values if value is not None]
    assert look(path, our_experiments.array_bytes) == {UID: 120 * 4200}
    chosen = "INSERT INTO hpo_selections VALUES (?, 9, 5, 4, ?, '{}', '')"
    sql(path, chosen, UID, "c" * 64)
    models = {"a" * 64: 3, "b" * 64: 4, "c" * 64: 4}
    assert look(path, our_experiments.networks) == {UID: models}
    assert look(path, our_experiments.looked_at) == {UID: {"b" * 64}}
    assert look(path, optuna_studies.extremes) == {1: (min(finite), max(finite))}
    sql(path, "DELETE FROM trial_user_attributes WHERE key = 'train' AND trial_id > 10")
    first = [value for value in values[:10] if value is not None]
    assert look(path, lambda each: optuna_studies.extremes(each, "train")) == {
        1: (min(first), max(first))
    }
    assert look(path, lambda each: our_experiments.document(each, UID, "settings")) == {
        "metric": "accuracy"
    }
    assert look(path, lambda each: our_experiments.document(each, "e" * 32, "settings")) is None


def test_running_trials_that_an_owner_holds_are_not_unheld(path: Path) -> None:
    fill(path, 6)
    sql(path, "UPDATE trials SET state = 'RUNNING' WHERE number IN (1, 2, 4)")
    sql(path, "INSERT INTO hpo_owners VALUES ('o', ?, 'host', 'place', 1, '', 0)", UID)
    (trial_id,) = sql(path, "SELECT trial_id FROM trials WHERE number = 2")[0]
    sql(path, "INSERT INTO hpo_claims VALUES (?, 2, 'o', ?)", UID, trial_id)
    assert look(path, lambda each: optuna_trials.unheld(each, 1, UID)) == [1, 4]


def test_an_attribute_of_our_name_that_another_program_wrote(path: Path) -> None:
    fill(path, 1)
    sql(path, "UPDATE study_user_attributes SET value_json = '[1, 2]'")
    (study,), *_ = look(path)
    assert study.experiment is None


def test_a_damaged_file_is_told_from_a_sound_one(path: Path) -> None:
    fill(path, 300)
    assert look(path, condition.damage) == []
    sql(path, "DELETE FROM trials WHERE number = 17")
    (line,) = look(path, condition.damage)[:1]
    assert line.startswith("foreign keys: ")
    (root,) = sql(path, "SELECT rootpage FROM sqlite_master WHERE name = 'trial_params'")[0]
    (size,) = sql(path, "PRAGMA page_size")[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    try:
        found = look(path, condition.damage)
    except StorageError as error:
        found = [str(error)]
    assert any("integrity check" in each or "corrupt" in each for each in found)
