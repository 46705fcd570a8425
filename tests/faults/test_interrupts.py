"""Signals: a search stops soon and gives back what it trained; one that is away is replaced."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.faults.killing import (
    Calm,
    Died,
    Fault,
    Helper,
    check_finished,
    copied,
    is_stopped,
    wait_until,
)
from tests.faults.looking import (
    NOTHING,
    check_interrupted,
    claimed,
    look,
    owners,
    rows,
    said_in_one_line,
)
from tests.faults.test_stages import CREATE, EPOCH, READ, RENAME, SAVE
from tests.faults.test_statements import EVERY, GOODBYE, Record, report, sweep
from tests.running import Ran, finish, start, stored_trials, trials_so_far

SOON = 5
"""Seconds within which a signal ends a search."""

What = Literal["interrupt", "terminate"]

ENDINGS: dict[What, tuple[int, str]] = {
    "interrupt": (130, "hpo: interrupted; the same command goes on from here"),
    "terminate": (143, "hpo: terminated; the same command goes on from here"),
}


def check_stopped(folder: Path, ran: Ran, calm: Calm, what: What, *, goodbye: bool) -> int:
    """Check that a signal ended a run as it should; returns how many trials were complete.

    All was given back, unless the signal came while it said ``goodbye``.
    """
    assert (ran.code, said_in_one_line(ran), ran.out) == (*ENDINGS[what], "")
    study = look(folder)
    complete = check_interrupted(study, calm.study)
    if study != NOTHING and not goodbye:
        assert (claimed(folder), owners(folder)) == ([], [])
        assert "RUNNING" not in {trial["state"] for trial in study["trials"].values()}
    return complete


@pytest.mark.parametrize("what", ENDINGS)
@pytest.mark.parametrize("step", [pytest.param(61, id="some"), EVERY])
def test_a_signal_at_any_statement_stops_the_search_and_gives_back_what_it_trained(
    helper: Helper, calm: Calm, tmp_path: Path, record_property: Record, step: int, what: What
) -> None:
    """Also in a transaction, whose lock must end with it."""
    points = 0
    for at, folder in sweep(calm, tmp_path, 9 if what == "interrupt" else 30, step):
        stopped = helper.run(folder, fault=Fault(what, at=at))
        last = calm.statements - at <= GOODBYE
        check_stopped(folder, stopped, calm, what, goodbye=last)
        check_finished(folder, helper.run(folder), calm)
        points += 1
    report(record_property, f"statements to {what}", points, 400 // step)


@pytest.mark.parametrize("what", ENDINGS)
@pytest.mark.parametrize(
    ("where", "at", "complete"),
    [(CREATE, 2, 3), (EPOCH, 4, 3), (RENAME, 2, 0), (SAVE, 2, 3), (READ, 1, 7)],
)
def test_a_signal_at_a_stage_stops_the_search_and_gives_back_what_it_trained(
    helper: Helper, calm: Calm, tmp_path: Path, what: What, where: str, at: int, complete: int
) -> None:
    folder = copied(calm.template, tmp_path / "run")
    stopped = helper.run(folder, fault=Fault(what, where, at))
    assert check_stopped(folder, stopped, calm, what, goodbye=False) == complete
    check_finished(folder, helper.run(folder), calm)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_search_at_once_even_while_it_waits_for_a_lock(
    helper: Helper, calm: Calm, tmp_path: Path, sent: signal.Signals
) -> None:
    """A lock is waited for in SQLite's own code, in which Python handles no signal."""
    folder = copied(calm.template, tmp_path / "run")
    pid = helper.start(folder, fault=Fault("stop", EPOCH))
    wait_until(lambda: is_stopped(pid), "it trains")
    with closing(sqlite3.connect(folder / "hpo.db", isolation_level=None)) as other:
        # It can give back nothing now, for which it would wait for half a minute.
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        os.kill(pid, sent)
        os.kill(pid, signal.SIGCONT)
        # Two signals at the same moment are one, so another one is sent until it is seen.
        ended = Path(f"/proc/{pid}/stat")
        while ended.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() - began < 2 * SOON, "it did not end"
            time.sleep(0.05)
            os.kill(pid, sent)
        ran = helper.wait(pid)
        assert (ran.code, ran.err, ran.out) == (128 + sent, "", "")
    assert claimed(folder) == [0, 1, 2]
    check_finished(folder, helper.run(folder), calm)


# Worker processes, which get the signals of a terminal too

ENDLESS = (
    "search", "iris", "--epochs", str(10**6), "--patience", "0", "--trials", "4", "--rounds", "1",
    "--hidden", "3", "--workers", "2",
)  # fmt: skip


def workers_of(pid: int) -> dict[int, float]:
    """The worker processes, and how many seconds of a processor each has used."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"loky" in (process / "cmdline").read_bytes():
                ticks = int(fields[11]) + int(fields[12])
                found[int(process.name)] = ticks / os.sysconf("SC_CLK_TCK")
    return {each: used for each, used in found.items() if b"tracker" not in command_of(each)}


def command_of(pid: int) -> bytes:
    """The command line of a process; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("what", "used"),
    [
        pytest.param("interrupt", 0.06, id="interrupt, workers import"),
        pytest.param("interrupt", 1.5, id="interrupt, workers train"),
        pytest.param("terminate", 1.5, id="terminate, workers train", marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_the_whole_group_ends_workers_without_a_word_of_theirs(
    tmp_path: Path, what: What, used: float
) -> None:
    process = start(tmp_path, *ENDLESS, leads_group=True)
    workers: dict[int, float] = {}

    def are_there() -> bool:
        assert process.poll() is None, finish(process)
        workers.update(workers_of(process.pid))
        return len(workers) == 2 and min(workers.values()) >= used

    wait_until(are_there, "two workers", 60)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT if what == "interrupt" else signal.SIGTERM)
    ran = finish(process)
    assert time.monotonic() - began < SOON
    code, line = ENDINGS[what]
    assert (ran.code, ran.err.strip(), ran.out) == (code, line, "")
    wait_until(lambda: not any(map(is_alive, workers)), "workers have ended")
    left = stored_trials(tmp_path / "hpo.db", "iris")
    assert {number: trial["state"] for number, trial in left.items()} == dict.fromkeys(
        range(4), "WAITING"
    )
    assert (claimed(tmp_path), owners(tmp_path)) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("to_group", [True, False], ids=["group", "parent"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_in_every_round_two_workers_go_on_to_the_same_trials(
    tmp_path: Path, sent: signal.Signals, to_group: bool
) -> None:
    command = (
        "search", "iris", "--epochs", "1500", "--patience", "0", "--trials", "12", "--rounds", "3",
        "--hidden", "8", "--workers", "2", "--json",
    )  # fmt: skip
    (tmp_path / "calm").mkdir()
    calm = finish(start(tmp_path / "calm", *command, leads_group=True))
    assert calm.code == 0, calm.err
    for complete in (0, 4, 8):
        process = start(tmp_path, *command, leads_group=True)

        def trains(complete: int = complete) -> bool:
            found = trials_so_far(tmp_path / "hpo.db", "iris").values()
            states = [each["state"] for each in found]
            return states.count("COMPLETE") >= complete and "RUNNING" in states

        wait_until(trains, f"{complete} trials are complete", 60)
        assert process.poll() is None, finish(process)
        (os.killpg if to_group else os.kill)(process.pid, sent)
        stopped = finish(process)
        assert stopped.code == 128 + sent, stopped
        assert "Traceback" not in stopped.err
    resumed = finish(start(tmp_path, *command, leads_group=True))
    assert resumed.code == 0, resumed.err
    assert resumed.document | {"seconds": 0} == calm.document | {"seconds": 0}
    assert stored_trials(tmp_path / "hpo.db", "iris") == stored_trials(
        tmp_path / "calm" / "hpo.db", "iris"
    )


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_when_all_is_said_does_no_harm(tmp_path: Path, sent: signal.Signals) -> None:
    """To end worker processes takes Python a moment after the last word."""
    command = (
        "search", "iris", "--trials", "4", "--rounds", "1", "--hidden", "3", "--epochs", "2",
        "--workers", "2", "--json",
    )  # fmt: skip
    process = start(tmp_path, *command, leads_group=True)
    assert process.stdout is not None
    # The end of stdout's only line; the process itself has yet to end.
    said = process.stdout.readline()
    os.killpg(process.pid, sent)
    ran = finish(process)
    assert Ran(0, said, "").document["trials"]["complete"] == 4
    unusual = [
        line for line in ran.err.splitlines() if line and not line.startswith("iris: round ")
    ]
    # It may have come before Python heard of the end, or so late that Python's own end was over.
    assert (ran.code, unusual) in [(0, []), (-sent, []), (128 + sent, unusual[:1])]


# A process that was stopped for longer than its lease

SHORT = {"storage.leases:LEASE_SECONDS": 1.0, "storage.leases:BEAT_SECONDS": 0.2}


def everything(folder: Path) -> list[Any]:
    """All rows about trials and looks, with the times at which they were written."""
    tables = ("trials", "trial_values", "hpo_curves", "hpo_artifacts", "hpo_test_looks")
    return [rows(folder, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.mark.parametrize(
    ("where", "at", "claims"),
    [
        pytest.param(EPOCH, 2, [0, 1, 2], id="in the first round"),
        pytest.param(EPOCH, 4, [3, 4, 5], id="in the second round"),
        pytest.param(SAVE, 2, [3, 4, 5], id="before it stores networks"),
        pytest.param(CREATE, 2, [], id="before it creates a round"),
        pytest.param(READ, 1, [], id="before it reads the test rows"),
    ],
)
def test_what_a_search_delivers_after_its_lease_has_ended_is_dropped(
    helper: Helper, calm: Calm, tmp_path: Path, where: str, at: int, claims: list[int]
) -> None:
    folder = copied(calm.template, tmp_path / "run")
    sleeper = helper.start(folder, fault=Fault("stop", where, at), values=SHORT)
    wait_until(lambda: is_stopped(sleeper), f"it is at {where}")
    assert claimed(folder) == claims
    assert owners(folder) == [sleeper]
    check_finished(folder, helper.run(folder, values=SHORT), calm)
    before = everything(folder)
    os.kill(sleeper, signal.SIGCONT)
    late: Died = helper.wait(sleeper)
    assert everything(folder) == before
    check_finished(folder, late, calm)
    assert owners(folder) == []
