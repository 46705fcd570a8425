"""Timing contestants side by side: in turn within each repeat, then medians.

What is timed is processor time, of all threads together: on a quiet machine and with one thread it
is the time on the clock, and on a busy one it leaves out the waiting.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Run = Callable[[], float]


@dataclass(frozen=True)
class Measured:
    """One run: processor seconds, seconds on the clock, and what it returned."""

    seconds: float
    elapsed: float
    result: float


@dataclass(frozen=True)
class Timing:
    """The runs of one contestant: median and least processor seconds, median result.

    ``cores`` is the median of processor seconds per second: above 1 more than one thread was at
    work, below 1 the machine was busy with something else.
    """

    seconds: float
    fastest: float
    cores: float
    result: float


def measure(run: Run) -> Measured:
    """Run once."""
    gc.collect()
    clock, processor = time.perf_counter(), time.process_time()
    result = run()
    seconds = time.process_time() - processor
    return Measured(seconds, time.perf_counter() - clock, result)


def alternate(runs: Mapping[str, Run], repeats: int) -> dict[str, Timing]:
    """Run each once untimed, then A B C A B C ... ``repeats`` times."""
    for run in runs.values():
        run()
    measured: dict[str, list[Measured]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            measured[name].append(measure(run))
    return {name: _timing(rounds) for name, rounds in measured.items()}


def _timing(rounds: list[Measured]) -> Timing:
    return Timing(
        seconds=median(one.seconds for one in rounds),
        fastest=min(one.seconds for one in rounds),
        cores=median(one.seconds / one.elapsed for one in rounds),
        result=median(one.result for one in rounds),
    )
