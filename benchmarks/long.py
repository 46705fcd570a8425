"""A long search: ``python -m benchmarks.long``.

One search of 10,000 small networks on a new SQLite file, in rounds of 100. For every thousand
trials it prints the milliseconds per trial that the search itself took, which is what passes while
it does not wait for trained networks, and the memory of its process. Neither may grow.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.output import add_json, screen, write
from benchmarks.timed_workers import TimedWorkers
from hpo.data.loading import load
from hpo.joining import joined
from hpo.search.evaluation import Workers
from hpo.search.loop import Recorded, search
from hpo.search.space import SearchSpace
from hpo.settings import Settings

STUDY = "breast_cancer"
STEP = 1000
TARGET = 1.2
STATUS = Path("/proc/self/status")


def main(arguments: list[str] | None = None) -> None:
    """Search and print a line per thousand trials."""
    options = _parser().parse_args(arguments)
    out = screen(options.json)
    print(f"{'trials':>7}{'ms a trial, search alone':>26}{'MB':>7}{'file MB':>9}", file=out)
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or name
        records = []
        for record in run(Path(folder), options.trials):
            records.append(record)
            print(
                f"{record['trials']:>7}{record['ms']:>26.3f}{record['MB']:>7.0f}"
                f"{record['file']:>9.1f}",
                file=out,
                flush=True,
            )
    ratio = records[-1]["ms"] / records[0]["ms"]
    met = "met" if ratio <= TARGET else "not met"
    print(f"the last thousand cost {ratio:.2f} times the first (target {TARGET}): {met}", file=out)
    write(options.json, records=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.long", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="thousands of trials (10000)")
    parser.add_argument("--keep", metavar="DIR", help="leave the storage in this folder")
    add_json(parser)
    return parser


def run(folder: Path, total: int) -> Iterator[dict[str, Any]]:
    """Search, and tell after every thousand trials what they cost."""
    settings = Settings(
        target=None,
        header=True,
        numeric=(),
        task="classification",
        metric="accuracy",
        space=SearchSpace().to_json(),
        rounds=total // 100,
        hidden=(8,),
        epochs=10,
    )
    path = folder / "hpo.db"
    url = f"sqlite:///{path}"
    with joined(load(STUDY), settings, study=STUDY, url=url, trials=total) as experiment:
        store = experiment.store
        waiting = TimedWorkers(Workers(experiment.prepared.problem, 2), time.perf_counter)
        began, waited, done = time.perf_counter(), 0.0, 0
        for event in search(store, waiting.evaluate, store.space, experiment.narrowing, total):
            done += len(event.outcomes) if isinstance(event, Recorded) else 0
            if isinstance(event, Recorded) and done % STEP == 0:
                spent = time.perf_counter() - began - (waiting.seconds - waited)
                yield {
                    "trials": done,
                    "ms": 1000 * spent / STEP,
                    "MB": memory(),
                    "file": path.stat().st_size / 1e6,
                }
                began, waited = time.perf_counter(), waiting.seconds


def memory() -> float:
    """Megabytes that this process holds."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return float("nan")


if __name__ == "__main__":
    main()
