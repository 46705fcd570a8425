"""A signal ends the search with its code and one line; the study goes on later."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.running import finish, start, stored_trials


def is_training(path: Path) -> bool:
    try:
        return any(each["state"] == "RUNNING" for each in stored_trials(path, "iris").values())
    except sqlite3.OperationalError:
        return False


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_has_its_code_and_one_line(
    tmp_path: Path, sent: signal.Signals, code: int, word: str
) -> None:
    endless = ("--epochs", 10**6, "--patience", 0, "--trials", 2, "--rounds", 1, "--workers", 1)
    process = start(tmp_path, "search", "iris", *endless)
    deadline = time.monotonic() + 60
    while process.poll() is None and not is_training(tmp_path / "hpo.db"):
        assert time.monotonic() < deadline, "it never began to train"
        time.sleep(0.01)
    process.send_signal(sent)
    ran = finish(process, seconds=60)
    assert (ran.code, ran.out) == (code, "")
    # Click ends the line in which a terminal shows ^C.
    assert ran.err.strip() == f"hpo: {word}; the same command goes on from here"
