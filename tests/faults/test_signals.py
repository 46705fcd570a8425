"""A signal ends the search with its code and one line; the study goes on later."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.killing import wait_until
from tests.running import finish, start, trials_so_far


def is_training(path: Path) -> bool:
    return any(each["state"] == "RUNNING" for each in trials_so_far(path, "iris").values())


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_has_its_code_and_one_line(
    tmp_path: Path, sent: signal.Signals, code: int, word: str
) -> None:
    endless = ("--epochs", 10**6, "--patience", 0, "--trials", 2, "--rounds", 1, "--workers", 1)
    process = start(tmp_path, "search", "iris", *endless)
    wait_until(
        lambda: process.poll() is not None or is_training(tmp_path / "hpo.db"), "it trains", 60
    )
    process.send_signal(sent)
    ran = finish(process, seconds=60)
    assert (ran.code, ran.out) == (code, "")
    # Click ends the line in which a terminal shows ^C.
    assert ran.err.strip() == f"hpo: {word}; the same command goes on from here"
