"""Calls that are made in this process and in others."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from hpo.ensembling.side_by_side import Call, side_by_side


def who(number: int, seconds: float) -> tuple[int, int]:
    time.sleep(seconds)
    return number, os.getpid()


def fail_unless(pid: int, marks: str) -> int:
    if os.getpid() != pid:
        Path(marks, str(os.getpid())).touch()
        raise ValueError("of another process")
    wait_for(1, marks)
    return pid


def die_unless(pid: int, marks: str) -> int:
    """Only a process that is not this one is killed, and leaves a mark; this one waits for it."""
    if os.getpid() != pid:
        Path(marks, str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for(1, marks)
    return pid


def meet(marks: str) -> int:
    """Wait until another process is here too."""
    Path(marks, str(os.getpid())).touch()
    wait_for(2, marks)
    return os.getpid()


def wait_for(n_marks: int, marks: str) -> None:
    until = time.monotonic() + 60
    while len(list(Path(marks).iterdir())) < n_marks:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("n_workers", [1, 2, 3, 50])
def test_results_come_in_the_order_of_the_calls(n_workers: int) -> None:
    found = side_by_side([Call(who, (number, 0.0)) for number in range(7)], n_workers)
    assert [number for number, _ in found] == list(range(7))
    assert side_by_side([], n_workers) == []


def test_one_worker_is_this_process() -> None:
    found = side_by_side([Call(who, (number, 0.0)) for number in range(3)], 1)
    assert {pid for _, pid in found} == {os.getpid()}


def test_others_take_part_and_are_gone_afterwards(tmp_path: Path) -> None:
    pids = set(side_by_side([Call(meet, (str(tmp_path),))] * 8, 3))
    assert os.getpid() in pids
    assert 2 <= len(pids) <= 3
    for pid in pids - {os.getpid()}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_a_call_raises_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of another process"):
        side_by_side([Call(fail_unless, (os.getpid(), str(tmp_path)))] * 8, 2)
    with pytest.raises(ValueError, match="of another process"):
        side_by_side([Call(fail_unless, (-1, str(tmp_path)))] * 3, 1)


def test_a_process_that_dies_leaves_its_call_to_this_one(tmp_path: Path) -> None:
    call = Call(die_unless, (os.getpid(), str(tmp_path)))
    assert side_by_side([call] * 8, 3) == [os.getpid()] * 8
