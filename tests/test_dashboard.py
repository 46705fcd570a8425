"""Optuna's dashboard, an ordinary process beside ours, shows what a search stored."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import Hpo


@pytest.fixture
def dashboard(hpo: Hpo, tmp_path: Path) -> Iterator[str]:
    """The dashboard's address, on a database with one study."""
    quick = ("--trials", 12, "--rounds", 3, "--hidden", 8, "--epochs", 6)
    assert hpo("search", "iris", *quick).code == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--port", str(port), "sqlite:///hpo.db"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def get(url: str) -> Any:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url) as response:
                return json.load(response)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_the_dashboard_shows_the_study(dashboard: str) -> None:
    (summary,) = get(f"{dashboard}/api/studies")["study_summaries"]
    assert summary["study_name"] == "iris"
    study = get(f"{dashboard}/api/studies/{summary['study_id']}")
    assert [trial["number"] for trial in study["trials"]] == list(range(12))
    assert {trial["state"] for trial in study["trials"]} == {"Complete"}
    assert {each["name"] for each in study["union_search_space"]} == {
        "learning_rate",
        "weight_decay",
    }
    assert all(trial["intermediate_values"] for trial in study["trials"])
