"""A storage that only looks: what Optuna reads through it, and that nothing gets through it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageError
from storage.trials import RoundStorage
from storage.watching import WatchedStorage
from tests.filling import fill
from tests.storage.databases import Database
from tests.storage.looking import as_nobody


def test_it_reads_what_optuna_wrote(database: Database) -> None:
    rounds = RoundStorage(database.url)
    study = optuna.create_study(study_name="a", storage=rounds, direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    watched = WatchedStorage(database.url)
    study_id = watched.get_study_id_from_name("a")
    assert watched.get_study_directions(study_id) == [StudyDirection.MAXIMIZE]
    assert watched.get_all_trials(study_id) == study.get_trials()
    # It sees what is written later, too.
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert len(watched.get_all_trials(study_id)) == 4
    watched.close()
    rounds.close()


def test_nothing_can_be_written_through_it(database: Database) -> None:
    rounds = RoundStorage(database.url)
    optuna.create_study(study_name="a", storage=rounds).add_trial(
        optuna.trial.create_trial(state=TrialState.COMPLETE, value=1.0)
    )
    watched = WatchedStorage(database.url)
    study_id = watched.get_study_id_from_name("a")
    for write in (
        lambda: watched.create_new_study([StudyDirection.MINIMIZE], "b"),
        lambda: watched.create_new_trial(study_id),
        lambda: watched.set_study_system_attr(study_id, "a", 1),
        lambda: watched.delete_study(study_id),
    ):
        with pytest.raises((StorageError, SQLAlchemyError, StorageInternalError)):
            write()
    watched.close()
    assert [each.study_name for each in rounds.get_all_studies()] == ["a"]
    assert rounds.get_n_trials(study_id) == 1
    assert rounds.get_study_system_attrs(study_id) == {}
    rounds.close()


def test_a_database_that_is_not_there_is_not_made(bare_database: Database) -> None:
    with pytest.raises(StorageError, match=r"no studies|no database"):
        WatchedStorage(bare_database.url)


def test_a_file_and_a_folder_that_may_only_be_read(open_folder: Path) -> None:
    path = open_folder / "hpo.db"
    RoundStorage(f"sqlite:///{path}").close()
    fill(path, 10)
    before = {each.name for each in open_folder.iterdir()}
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with as_nobody():
        watched = WatchedStorage(f"sqlite:///{path}")
        assert len(watched.get_all_trials(watched.get_study_id_from_name("big"))) == 10
        watched.close()
        assert {each.name for each in open_folder.iterdir()} == before
