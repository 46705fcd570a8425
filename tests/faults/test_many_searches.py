"""Eight searches of one study, started together: they lead to what one of them alone leads to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage.artifacts import ArtifactFolder
from tests.running import Hpo, Ran, finish
from tests.storage.databases import KINDS, Database

SEARCHES = 8
SECONDS = 240

COMMAND = (
    "search", "iris", "--trials", 64, "--rounds", 4, "--hidden", 6, "--epochs", 12,
    "--seed", 3, "--workers", 1, "--pruner", "rungs", "--json",
)  # fmt: skip

CROWD = """
import json, os, runpy, sys
import alembic.command, pymysql, psycopg, sklearn.datasets
import hpo.cli.output, hpo.cli.display, hpo.joined_study, hpo.rehearsal, hpo.summary, hpo.cli.app
closed, opener = os.pipe()
pids = []
for each in range(int(sys.argv.pop(1))):
    if pid := os.fork():
        pids.append(pid)
        continue
    os.close(opener)
    os.read(closed, 1)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{name}-{each}", os.O_CREAT | os.O_WRONLY, 0o600), number)
    try:
        runpy.run_module("hpo", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code)
print(json.dumps(pids), flush=True)
os.close(opener)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]))
"""
"""``python -m hpo`` in many processes, which all begin at once: all that is slow to import is
there before they are made, and none begins before the last is made. They end without clearing away
what they imported, which takes longer than the search."""


@dataclass
class Crowd:
    """Searches that run."""

    folder: Path
    process: subprocess.Popen[str]
    pids: list[int]

    def ran(self) -> list[Ran]:
        """What became of each, once all have ended."""
        last = finish(self.process, SECONDS)
        assert last.code == 0, last.err
        texts = [
            [(self.folder / f"{name}-{each}").read_text() for name in ("out", "err")]
            for each in range(len(self.pids))
        ]
        return [Ran(code, *text) for code, text in zip(json.loads(last.out), texts, strict=True)]


@contextmanager
def crowd(folder: Path, arguments: Sequence[object], searches: int = SEARCHES) -> Iterator[Crowd]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", CROWD, str(searches), *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Threads of a library are not copied with a process.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    pids = json.loads(process.stdout.readline() or "[]")
    try:
        yield Crowd(folder, process, pids)
    finally:
        if process.poll() is None:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)  # the parent waits for all, so they are still its own
            process.kill()
        process.communicate()


def holders(database: Database) -> list[int]:
    """The processes that hold trials."""
    query = "SELECT DISTINCT o.pid FROM hpo_owners o JOIN hpo_claims c ON c.owner = o.uid"
    try:
        return [pid for (pid,) in database.sql(query)]
    except Exception as error:  # of whatever driver
        assert "hpo_" in str(error)  # noqa: PT017  # the tables are not there yet
        return []


def kill_one_that_holds_trials(database: Database, searches: Crowd, killed: set[int]) -> None:
    """SIGKILL a process in the middle of its work, and note it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in set(holders(database)) - killed:
            assert pid in searches.pids
            # It must not finish what it holds before it is killed.
            os.kill(pid, signal.SIGSTOP)
            if pid in holders(database):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
                return
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.001)
    raise AssertionError("no search ever held a trial")


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "seconds": None, "storage": None}


def kept(database: Database) -> dict[int, str]:
    return dict(database.sql("SELECT number, digest FROM hpo_artifacts"))


def assert_one_search_could_have_done_it(
    database: Database, folder: Path, calm: Ran, calm_database: Database, ran: Sequence[Ran]
) -> None:
    """Trials, winner, score, kept networks: all as in ``calm``; and nobody's trace is left."""
    for each in ran:
        assert (each.code, each.err.count("Traceback")) == (0, 0), each.err
        assert comparable(each.document) == comparable(calm.document)
    expected = calm_database.stored_trials("iris")
    assert list(expected) == list(range(len(expected)))
    found = database.stored_trials("iris")
    assert found == expected
    points = [str(trial["params"]) for trial in found.values()]
    assert len(set(points)) == len(points)
    assert {trial["state"] for trial in found.values()} == {"COMPLETE", "PRUNED"}
    for table in ("hpo_claims", "hpo_owners"):
        assert database.count(table) == 0, table
    for table in ("hpo_test_looks", "hpo_experiments", "studies"):
        assert database.count(table) == 1, table
    for table in ("hpo_rounds", "hpo_curves", "hpo_predictions"):
        assert database.count(table) == calm_database.count(table), table
    networks = kept(database)
    assert sorted(networks) == sorted(kept(calm_database))
    store = ArtifactFolder(folder / "hpo.artifacts")
    for digest in networks.values():
        store.load(digest)
    if database.kind == "sqlite":
        assert database.sql("PRAGMA integrity_check") == [("ok",)]


def run_and_compare(
    hpo: Hpo,
    tmp_path: Path,
    database: Database,
    command: Sequence[object] = COMMAND,
    kills: int = 0,
) -> None:
    calm_database = Database("sqlite", f"sqlite:///{tmp_path}/calm.db", "main")
    calm = hpo(*command, "--storage", calm_database.url)
    assert calm.code == 0, calm.err
    folder = tmp_path / "crowd"
    if database.kind == "sqlite":
        database = database.at(database=str(folder / "hpo.db"))
    with crowd(folder, [*command, "--storage", database.url]) as searches:
        killed: set[int] = set()
        for _ in range(kills):
            kill_one_that_holds_trials(database, searches, killed)
        ran = searches.ran()
    assert [each.code for each in ran].count(-signal.SIGKILL) == len(killed) == kills
    survivors = [each for each in ran if each.code != -signal.SIGKILL]
    assert len(survivors) == SEARCHES - kills
    assert_one_search_could_have_done_it(database, folder, calm, calm_database, survivors)


def kinds(*, quick: str) -> pytest.MarkDecorator:
    """Every kind of database; all but one of them only with the slow tests."""
    params = [
        pytest.param(kind, marks=[] if kind == quick else [pytest.mark.slow]) for kind in KINDS
    ]
    return pytest.mark.parametrize("bare_database", params, indirect=True)


@kinds(quick="sqlite")
def test_eight_searches_started_together_lead_to_the_trials_of_one(
    hpo: Hpo, tmp_path: Path, bare_database: Database
) -> None:
    run_and_compare(hpo, tmp_path, bare_database)


@kinds(quick="postgresql")
def test_eight_searches_of_which_two_are_killed_lead_to_the_trials_of_one(
    hpo: Hpo, tmp_path: Path, bare_database: Database
) -> None:
    run_and_compare(hpo, tmp_path, bare_database, kills=2)


LONGER = (
    "search", "digits", "--study", "iris", "--trials", 240, "--rounds", 6, "--hidden", 16,
    "--epochs", 12, "--seed", 3, "--workers", 2, "--pruner", "rungs", "--json",
)  # fmt: skip


@pytest.mark.slow
def test_eight_searches_with_workers_of_which_seven_are_killed_lead_to_the_trials_of_one(
    hpo: Hpo, tmp_path: Path, bare_database: Database
) -> None:
    run_and_compare(hpo, tmp_path, bare_database, LONGER, kills=7)
