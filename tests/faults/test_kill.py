"""kill -9 at any moment: the same command goes on to the trials of an undisturbed run."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.killing import wait_until
from tests.running import Trial, finish, integrity, start, stored_trials, trials_so_far

COMMAND = (
    "search", "digits", "--trials", 40, "--rounds", 4, "--hidden", "24", "--epochs", 12,
    "--seed", 3, "--workers", 2, "--pruner", "rungs", "--json",
)  # fmt: skip


def finished(trials: dict[int, Trial]) -> dict[int, Trial]:
    """Those that nobody trains any more; of the later rounds many were dropped."""
    ended = {"COMPLETE", "PRUNED"}
    return {number: each for number, each in trials.items() if each["state"] in ended}


def kill_when(folder: Path, moment: Callable[[dict[int, Trial]], bool]) -> dict[int, Trial]:
    """Start the search, kill it at the moment, and return what it had finished by then."""
    process, path = start(folder, *COMMAND), folder / "hpo.db"
    wait_until(
        lambda: process.poll() is not None or moment(trials_so_far(path, "digits")),
        "the moment of the kill",
        60,
    )
    assert process.poll() is None, finish(process).err
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    return finished(trials_so_far(path, "digits"))


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    calm = finish(start(tmp_path / "calm", *COMMAND))
    assert calm.code == 0, calm.err
    expected = stored_trials(tmp_path / "calm" / "hpo.db", "digits")

    moments: list[Callable[[dict[int, Trial]], bool]] = [
        lambda trials: len(trials) == 10,  # the first round stands, none of it is trained
        lambda trials: len(finished(trials)) > 10,  # in the second round
        lambda trials: len(trials) > 30 and len(finished(trials)) >= 30,  # in the last one
    ]
    recorded: dict[int, Trial] = {}
    for moment in moments:
        now = kill_when(tmp_path / "killed", moment)
        assert {number: now.get(number) for number in recorded} == recorded
        assert integrity(tmp_path / "killed" / "hpo.db") == "ok"
        recorded = now
    assert 10 < len(recorded) < 40

    resumed = finish(start(tmp_path / "killed", *COMMAND))
    assert resumed.code == 0, resumed.err
    final = stored_trials(tmp_path / "killed" / "hpo.db", "digits")
    assert final == expected
    assert list(final) == list(range(40))
    states = Counter(each["state"] for each in final.values())
    assert states.keys() == {"COMPLETE", "PRUNED"}
    assert min(states.values()) >= 3
    ours, theirs = resumed.document, calm.document
    assert ours["test"] == theirs["test"] == {"score": theirs["test"]["score"], "evaluations": 1}
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    kill_when(tmp_path, lambda trials: len(trials) > 10)
    wait_until(lambda: not _processes_in(tmp_path), "workers have ended", 10)


def _processes_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
