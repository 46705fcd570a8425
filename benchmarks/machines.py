"""One search beside two that share its study: ``python -m benchmarks.machines --postgresql URL``.

Seconds on the wall from the start of the first command to the end of the last one, imports, data,
the choice of the winner and the look at the test rows included: ``hpo search --workers 1`` once,
and twice at the same time, on a new study in the database of a server. Runs take turns. Two
processes stand for two machines, so there must be a free core for each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import optuna

from benchmarks.output import add_json, screen, write
from benchmarks.workloads import WORKLOADS, Workload

ROOT = Path(__file__).parents[1]
TARGET = 0.65
"""Which share of the time of one search two of them may take at most."""

TRIALS = {"medium": 240, "seed": 240}
ROUNDS = 8
LINE = "{:8}{:>8}{:>10}{:>12}{:>12}{:>8}{:>8}{:>5}"


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen workloads and print a table."""
    options = _parser().parse_args(arguments)
    folder = options.data or os.environ.get("HPO_BENCHMARK_DATA")
    out = screen(options.json)
    records = []
    titles = ("", "trials", "repeats", "one search", "two", "ratio", "target", "met")
    print(LINE.format(*titles), file=out)
    for name in options.workload or TRIALS:
        workload = WORKLOADS[name](Path(folder) if folder else None)
        trials = options.trials or TRIALS[name]
        for repeats in (0, 5):
            seconds = race(workload, options.postgresql, trials, repeats, options.runs)
            one, two = (median(seconds[searches]) for searches in (1, 2))
            records.append(
                {"workload": name, "trials": trials, "repeats": repeats, "seconds": seconds}
            )
            met = "yes" if two / one <= TARGET else "no"
            cells = (name, trials, repeats, f"{one:.1f} s", f"{two:.1f} s", f"{two / one:.2f}")
            print(LINE.format(*cells, TARGET, met), file=out, flush=True)
    write(options.json, records=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.machines", description=__doc__)
    parser.add_argument("workload", nargs="*", choices=[*TRIALS, []], help="medium, seed (both)")
    parser.add_argument("--postgresql", metavar="URL", required=True, help="a database to use")
    parser.add_argument("--data", metavar="DIR", help="folder with images; or HPO_BENCHMARK_DATA")
    parser.add_argument("--trials", type=int, help="instead of 240")
    parser.add_argument("--runs", type=int, default=3, help="of each, of which the median counts")
    add_json(parser)
    return parser


def race(
    workload: Workload, url: str, trials: int, repeats: int, runs: int
) -> dict[int, list[float]]:
    """How many searches -> the seconds of each run."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.save(folder / "rows.npz")
        run(workload, folder, url, 8, 1, 1)  # the tables, and whatever is slow but once
        for _ in range(runs):
            for searches, found in seconds.items():
                found.append(run(workload, folder, url, trials, repeats, searches))
    return seconds


def run(
    workload: Workload, folder: Path, url: str, trials: int, repeats: int, searches: int
) -> float:
    """Seconds of so many searches that are started together, on a study that is removed then."""
    study = f"benchmark-{uuid4().hex[:8]}"
    words = ["search", "rows.npz", "--study", study, "--storage", url, "--trials", trials]
    words += ["--rounds", ROUNDS, "--repeats", repeats, "--workers", 1, "--json"]
    words += ["--hidden", ",".join(map(str, workload.hidden)), "--optimizer", workload.optimizer]
    words += ["--epochs", workload.epochs, "--batch-size", workload.batch_size]
    began = time.perf_counter()
    started = [_start(folder, words) for _ in range(searches)]
    said = [process.communicate()[0] for process in started]
    seconds = time.perf_counter() - began
    assert [process.returncode for process in started] == [0] * searches
    documents = [json.loads(text) | {"seconds": None} for text in said]
    assert all(document == documents[0] for document in documents), "they came to two winners"
    assert sum(documents[0]["trials"].values()) == trials
    optuna.delete_study(study_name=study, storage=url)
    subprocess.run([*_HPO, "gc", "--storage", url], check=True, cwd=folder, capture_output=True)  # noqa: S603
    return seconds


_HPO = [sys.executable, "-m", "hpo"]


def _start(folder: Path, words: list[Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # Python itself and our own words
        [*_HPO, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
    )


if __name__ == "__main__":
    main()
