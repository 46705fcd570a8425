"""Optuna's dashboard, an ordinary process beside ours, shows what a search stored."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.running import Hpo

QUICK = ("--trials", 12, "--rounds", 3, "--hidden", 8, "--epochs", 6)


@contextmanager
def dashboard(folder: Path) -> Iterator[str]:
    """The dashboard's address, on the database in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--port", str(port), "sqlite:///hpo.db"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def shown(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summary and the page of the one study in ``folder``."""
    with dashboard(folder) as address:
        (summary,) = get(f"{address}/api/studies")["study_summaries"]
        return summary, get(f"{address}/api/studies/{summary['study_id']}")


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


def test_the_dashboard_shows_the_study(hpo: Hpo, tmp_path: Path) -> None:
    assert hpo("search", "iris", *QUICK).code == 0
    summary, study = shown(tmp_path)
    assert summary["study_name"] == "iris"
    assert [trial["number"] for trial in study["trials"]] == list(range(12))
    assert {trial["state"] for trial in study["trials"]} == {"Complete"}
    assert {each["name"] for each in study["union_search_space"]} == {
        "learning_rate",
        "weight_decay",
    }
    assert all(trial["intermediate_values"] for trial in study["trials"])


def test_the_dashboard_shows_the_front(hpo: Hpo, tmp_path: Path) -> None:
    several = ("--objectives", "score,size", "--sampler", "tpe", "--space", "hidden=2|4|8")
    document = hpo("search", "iris", *QUICK, *several, "--json").document
    summary, study = shown(tmp_path)
    assert summary["directions"] == ["maximize", "minimize"]
    assert study["objective_names"] == ["accuracy", "size"]
    best = {trial["number"]: trial["values"] for trial in study["best_trials"]}
    assert best == {each["trial"]: list(each["values"].values()) for each in document["pareto"]}
