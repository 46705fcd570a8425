"""A new file: created by a process that dies, or by eight processes at once."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from storage.sqlite import connect
from storage.trials import RoundStorage
from tests.running import integrity
from tests.storage.looking import schema, sql


def test_a_creation_cut_short_anywhere_is_completed(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of the files before each statement are what a kill at that moment leaves behind."""
    (tmp_path / "live").mkdir()
    snapshots: dict[tuple[bytes, ...], Path] = {}

    def snapshot(_statement: str) -> None:
        key = tuple(each.read_bytes() for each in sorted((tmp_path / "live").glob("a.db*")))
        if key not in snapshots:
            folder = tmp_path / f"snapshot-{len(snapshots)}"
            shutil.copytree(tmp_path / "live", folder, ignore=shutil.ignore_patterns("*.lock"))
            snapshots[key] = folder

    def traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(snapshot)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr("storage.sqlite.connect", traced)
        RoundStorage(f"sqlite:///{tmp_path}/live/a.db").engine.dispose()
    assert len(snapshots) > 4
    for folder in snapshots.values():
        RoundStorage(f"sqlite:///{folder}/a.db").engine.dispose()
        assert schema(folder / "a.db") == schema(template)
        assert integrity(folder / "a.db") == "ok"
        for table in ("alembic_version", "hpo_alembic_version", "version_info"):
            assert len(sql(folder / "a.db", f"SELECT * FROM {table}")) == 1


def open_at_once(barrier: Any, answers: Any, url: str) -> None:
    """Open the storage when everybody is ready, and enter a study."""
    barrier.wait()
    try:
        rounds = RoundStorage(url)
        rounds.set_study_user_attr(rounds.create_new_study([]), "key", "value")
        rounds.engine.dispose()
    except BaseException as error:
        answers.put(repr(error))
        raise
    answers.put("ok")


def test_eight_processes_open_a_fresh_file(tmp_path: Path, template: Path) -> None:
    # All that is slow to import is there before the eight are made.
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload([__name__])
    barrier, answers = forked.Barrier(8), forked.Queue()
    arguments = (barrier, answers, f"sqlite:///{tmp_path}/a.db")
    processes = [forked.Process(target=open_at_once, args=arguments) for _ in range(8)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
        process.close()
    answers.close()
    answers.join_thread()
    assert found == ["ok"] * 8
    assert schema(tmp_path / "a.db") == schema(template)
    assert sql(tmp_path / "a.db", "SELECT count(*) FROM study_user_attributes") == [(8,)]
    assert integrity(tmp_path / "a.db") == "ok"
