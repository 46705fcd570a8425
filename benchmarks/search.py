"""A whole search, beside Optuna with scikit-learn: ``python -m benchmarks.search``.

Seconds on the wall from the start of the command to its end, imports and the database included:
``hpo search`` with two workers on a new SQLite file, against two processes of
`benchmarks.peers.optuna_sklearn` that share a study on a SQLite file. Both train networks of one
shape for the same epochs on the same rows, at the very points that ours drew. The race is against
the one that reports its score after every epoch, as ours keeps the curves of every trial; beside
it stands the one that does not.
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
from numpy.typing import NDArray

from benchmarks.output import add_json, screen, write
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


class Times(NamedTuple):
    """Seconds: ours, and theirs with a report per epoch and without any."""

    ours: float
    reporting: float
    silent: float


RACES = {"small": Race(1000, 10.0), "seed": Race(100, 3.0)}
TITLES = (
    "",
    "trials",
    "ours s",
    "theirs s",
    "no reports s",
    "ratio",
    "no reports",
    "target",
    "met",
)
LINE = "{:8}{:>8}{:>8}{:>10}{:>14}{:>7}{:>12}{:>8}{:>5}"


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen races and print a table."""
    options = _parser().parse_args(arguments)
    folder = options.data or os.environ.get("HPO_BENCHMARK_DATA")
    out = screen(options.json)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    records = []
    print(LINE.format(*TITLES), file=out)
    for name in options.workload or RACES:
        race = RACES[name]
        trials = options.trials or race.trials
        workload = WORKLOADS[name](Path(folder) if folder else None)
        times = run(workload, trials)
        records.append({"workload": name, "trials": trials} | times._asdict())
        ratios = times.reporting / times.ours, times.silent / times.ours
        met = "yes" if ratios[0] >= race.target else "no"
        seconds = (f"{each:.1f}" for each in times)
        cells = (name, trials, *seconds, *(f"{ratio:.1f}" for ratio in ratios), race.target, met)
        print(LINE.format(*cells), file=out, flush=True)
    write(options.json, records=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.search", description=__doc__)
    parser.add_argument("workload", nargs="*", choices=[*RACES, []], help="small, seed (both)")
    parser.add_argument("--data", metavar="DIR", help="folder with images; or HPO_BENCHMARK_DATA")
    parser.add_argument("--trials", type=int, help="instead of 1000 and 100")
    add_json(parser)
    return parser


def run(workload: Workload, trials: int) -> Times:
    """Seconds of all contestants for so many trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.save(folder / "rows.npz")
        seconds = ours(workload, folder, trials)
        given = split(workload, folder) | {"points": points(folder)}
        reporting, silent = (theirs(given, folder, reports=each) for each in (True, False))
    return Times(seconds, reporting, silent)


def ours(workload: Workload, folder: Path, trials: int) -> float:
    """Seconds of ``hpo search``."""
    words = ["search", "rows.npz", "--trials", trials, "--workers", PROCESSES, "--json"]
    words += ["--hidden", ",".join(map(str, workload.hidden)), "--optimizer", workload.optimizer]
    words += ["--epochs", workload.epochs, "--batch-size", workload.batch_size]
    # As theirs: a constant rate, and nothing is trained again to choose a winner.
    words += ["--schedule", "constant", "--repeats", 0]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    command = [sys.executable, "-m", "hpo", *map(str, words)]
    done = subprocess.run(  # noqa: S603  # Python itself and our own words
        command, check=True, capture_output=True, text=True, env=environment, cwd=folder
    )
    seconds = time.perf_counter() - began
    assert sum(json.loads(done.stdout)["trials"].values()) == trials
    return seconds


def points(folder: Path) -> NDArray[np.float64]:
    """Learning rate and weight decay of every trial that ours trained, (trials, 2)."""
    (study,) = optuna.get_all_study_names(f"sqlite:///{folder}/hpo.db")
    trials = optuna.load_study(study_name=study, storage=f"sqlite:///{folder}/hpo.db").trials
    names = ("learning_rate", "weight_decay")
    return np.array([[trial.params[name] for name in names] for trial in trials])


def theirs(given: dict[str, Any], folder: Path, *, reports: bool) -> float:
    """Seconds of both processes of Optuna and scikit-learn."""
    arrays = folder / f"given-{reports}.npz"
    np.savez(arrays, **given, reports=np.array(reports))
    url = f"sqlite:///{folder}/peer-{reports}.db"
    # One thread each, as there is a process for every core.
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    trials = len(given["points"])
    shares = [trials // PROCESSES, trials - trials // PROCESSES]
    began = time.perf_counter()
    optuna.create_study(study_name=optuna_sklearn.STUDY, storage=url, direction="maximize")
    command = [sys.executable, "-m", "benchmarks.peers.optuna_sklearn", url, str(arrays)]
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
