"""A whole search, beside Optuna with scikit-learn: ``python -m benchmarks.search``.

Seconds on the wall from the start of the command to its end, imports and the database included:
``hpo search`` with two workers on a new SQLite file, against two processes of
`benchmarks.peers.optuna_sklearn` that share a study on a SQLite file. Both train networks of one
shape for the same epochs on the same rows and draw as many points from the same ranges.
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
from typing import Any, NamedTuple

import numpy as np
import optuna

from benchmarks.machine import machine
from benchmarks.peers import optuna_sklearn
from benchmarks.workloads import WORKLOADS, Workload
from hpo.data.loading import load
from hpo.preparation import prepare
from hpo.search.space import SearchSpace
from hpo.settings import Settings

ROOT = Path(__file__).parents[1]
PROCESSES = 2


class Race(NamedTuple):
    """How many trials of a workload, and how many times as fast ours is to be."""

    trials: int
    target: float


RACES = {"small": Race(1000, 10.0), "seed": Race(100, 3.0)}


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen races and print a table."""
    options = _parser().parse_args(arguments)
    folder = options.data or os.environ.get("HPO_BENCHMARK_DATA")
    out = sys.stderr if options.json == "-" else sys.stdout
    records = []
    columns = ("ours s", "Optuna and scikit-learn s", "ratio", "target", "met")
    print(f"{'workload':10}{'trials':>7}" + "".join(f"{each:>{len(each) + 2}}" for each in columns))
    for name in options.workload or RACES:
        race = RACES[name]
        trials = options.trials or race.trials
        workload = WORKLOADS[name](Path(folder) if folder else None)
        ours, theirs = run(workload, trials)
        records.append({"workload": name, "trials": trials, "ours": ours, "theirs": theirs})
        cells = (f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.1f}", f"{race.target:g}")
        met = "yes" if theirs / ours >= race.target else "no"
        print(
            f"{name:10}{trials:>7}"
            + "".join(
                f"{cell:>{len(each) + 2}}"
                for cell, each in zip((*cells, met), columns, strict=True)
            ),
            file=out,
            flush=True,
        )
    if options.json:
        document = json.dumps({"machine": machine(), "records": records})
        if options.json == "-":
            print(document)
        else:
            Path(options.json).write_text(document, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.search", description=__doc__)
    parser.add_argument("workload", nargs="*", choices=[*RACES, []], help="small, seed (both)")
    parser.add_argument("--data", metavar="DIR", help="folder with images; or HPO_BENCHMARK_DATA")
    parser.add_argument("--trials", type=int, help="instead of 1000 and 100")
    parser.add_argument("--json", metavar="FILE", help="write the record; - for standard output")
    return parser


def run(workload: Workload, trials: int) -> tuple[float, float]:
    """Seconds of ours and of theirs for so many trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = workload.split
        X = np.concatenate([rows.X, rows.X_validation])
        y = np.concatenate([rows.y, rows.y_validation])
        np.savez(folder / "rows.npz", X=X, y=y)
        return ours(workload, folder, trials), theirs(workload, folder, trials)


def ours(workload: Workload, folder: Path, trials: int) -> float:
    """Seconds of ``hpo search``."""
    words = ["search", "rows.npz", "--trials", trials, "--workers", PROCESSES, "--json"]
    words += ["--hidden", ",".join(map(str, workload.hidden)), "--optimizer", workload.optimizer]
    words += ["--epochs", workload.epochs, "--batch-size", workload.batch_size, "--patience", 0]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    command = [sys.executable, "-m", "hpo", *map(str, words)]
    done = subprocess.run(  # noqa: S603  # Python itself and our own words
        command, check=True, capture_output=True, text=True, env=environment, cwd=folder
    )
    seconds = time.perf_counter() - began
    assert sum(json.loads(done.stdout)["trials"].values()) == trials
    return seconds


def theirs(workload: Workload, folder: Path, trials: int) -> float:
    """Seconds of both processes of Optuna and scikit-learn."""
    arrays = folder / "split.npz"
    np.savez(arrays, **split(workload, folder))
    url = f"sqlite:///{folder}/peer.db"
    # One thread each, as there is a process for every core.
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    began = time.perf_counter()
    optuna.create_study(study_name=optuna_sklearn.STUDY, storage=url, direction="maximize")
    command = [sys.executable, "-m", "benchmarks.peers.optuna_sklearn", url, str(arrays)]
    shares = [trials // PROCESSES, trials - trials // PROCESSES]
    started = [
        subprocess.Popen([*command, str(share)], env=environment, cwd=ROOT)  # noqa: S603
        for share in shares
    ]
    codes = [process.wait() for process in started]
    seconds = time.perf_counter() - began
    assert codes == [0] * PROCESSES
    return seconds


def settings(workload: Workload) -> Settings:
    """Those of ``hpo search`` that decide which rows it trains on."""
    return Settings(
        target=None,
        header=True,
        numeric=(),
        task="classification",
        metric="accuracy",
        space=SearchSpace().to_json(),
        hidden=workload.hidden,
    )


def split(workload: Workload, folder: Path) -> dict[str, Any]:
    """The rows that a search of ours trains and validates on, encoded likewise."""
    problem = prepare(load(str(folder / "rows.npz")), settings(workload)).problem
    return {
        "X": problem.training.X,
        "y": problem.training_target,
        "X_val": problem.validation.X,
        "y_val": problem.validation_target,
        "hidden": np.array(workload.hidden),
        "solver": np.array(workload.optimizer),
        "epochs": np.array(workload.epochs),
        "batch": np.array(workload.batch_size),
    }


if __name__ == "__main__":
    main()
