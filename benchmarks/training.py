"""Training, side by side with other libraries: ``python -m benchmarks.training``.

All contestants train in this process and in turn, on one core. A contestant's time is the
processor time of a run divided by the networks it trained, its ratio that time over ours.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import products
from benchmarks.output import add_json, screen, write
from benchmarks.timing import Timing, alternate
from benchmarks.workloads import WORKLOADS, Workload

OURS, FLOOR, PEAK = "ours", "products only", "peak"


class Peer(NamedTuple):
    """A contestant: its module, the package it needs, and whether it trains a stack at once."""

    module: str
    package: str
    stack: bool


PEERS = {
    OURS: Peer("ours", "numpy", stack=True),
    "scikit-learn": Peer("sklearn_", "sklearn", stack=False),
    "torch eager": Peer("torch_eager", "torch", stack=False),
    "torch stack": Peer("torch_stack", "torch", stack=True),
    "jax stack": Peer("jax_stack", "jax", stack=True),
    "book": Peer("book", "numpy", stack=False),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure the chosen workloads and print a table for each."""
    options = _parser().parse_args(arguments)
    folder = options.data or os.environ.get("HPO_BENCHMARK_DATA")
    out = screen(options.json)
    for name in missing():
        print(f"{name} is left out: pip install -e '.[benchmarks]'", file=out)
    records = []
    for name in options.workload or WORKLOADS:
        workload = WORKLOADS[name](Path(folder) if folder else None)
        members = options.members or workload.members
        timings = measure(workload, members, options.repeats)
        records.append(record(workload, members, timings))
        print("\n" + "\n".join(table(records[-1])), file=out, flush=True)
    write(options.json, repeats=options.repeats, workloads=records)


def hold_to_one_core() -> None:
    """Leave this process one of its cores: some libraries start threads whatever they are told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.training", description=__doc__)
    add = parser.add_argument
    add("--workload", nargs="+", choices=WORKLOADS, help="default: all")
    add("--repeats", type=_count, default=5, help="timed runs of each contestant (5)")
    add("--members", type=_count, help="networks in a stack (default: the workload's own)")
    add("--data", help="folder with MNIST's first 10,000 images (or $HPO_BENCHMARK_DATA)")
    add_json(parser)
    return parser


def _count(text: str) -> int:
    if int(text) < 1:
        raise ValueError("at least 1")
    return int(text)


def missing() -> list[str]:
    """The contestants whose package is not installed."""
    return [name for name, peer in PEERS.items() if find_spec(peer.package) is None]


def measure(workload: Workload, members: int, repeats: int) -> dict[str, Timing]:
    """Timings of every contestant that is installed, of the matrix products alone and the peak."""
    runs: dict[str, Callable[[], float]] = {}
    absent = missing()
    for name, peer in PEERS.items():
        if name not in absent:
            module = importlib.import_module(f"benchmarks.peers.{peer.module}")
            runs[name] = module.contestant(workload, members)
    runs |= {FLOOR: products.contestant(workload, members), PEAK: products.gemm_peak}
    return alternate(runs, repeats)


def record(workload: Workload, members: int, timings: dict[str, Timing]) -> dict[str, Any]:
    """What was measured of one workload, as plain values; seconds are those of one network."""
    contestants = {name: timing for name, timing in timings.items() if name != PEAK}
    networks = {name: members if name == FLOOR or PEERS[name].stack else 1 for name in contestants}
    ours, peak = timings[OURS].seconds / members, timings[PEAK].result
    share = workload.operations / ours / peak
    return {
        "workload": workload.name,
        "data": workload.data,
        "network": "-".join(map(str, workload.sizes)),
        "training": f"{workload.optimizer}, batch {workload.batch_size}, {workload.epochs} epochs",
        "members": members,
        "operations": workload.operations,
        "contestants": [
            {
                "contestant": name,
                **_compared(timing, networks[name], ours, workload.targets.get(name)),
            }
            for name, timing in contestants.items()
        ],
        "peak": peak,
        "peak_share": share,
        "peak_target": workload.peak_target,
        "peak_met": share >= workload.peak_target,
    }


def _compared(
    timing: Timing, networks: int, ours: float, target: float | None
) -> dict[str, float | bool | None]:
    """A contestant's seconds per network, and how many times ours they are."""
    ratio = timing.seconds / networks / ours
    return {
        "seconds": timing.seconds / networks,
        "fastest": timing.fastest / networks,
        "ratio": ratio,
        "target": target,
        "met": None if target is None else ratio >= target,
        "accuracy": None if math.isnan(timing.result) else timing.result,
        "cores": timing.cores,
    }


COLUMNS = "{:<14}{:>11}{:>9}{:>8}{:>8}{:>5}{:>10}{:>7}"
HEADINGS = (
    "contestant",
    "ms/network",
    "fastest",
    "ratio",
    "target",
    "met",
    "accuracy",
    "cores",
)


def table(measured: dict[str, Any]) -> list[str]:
    """The lines to print for one workload."""
    title = "{workload}: {data}, {network}, {training}; stacks of {members}"
    share, target = measured["peak_share"], measured["peak_target"]
    return [
        title.format_map(measured),
        COLUMNS.format(*HEADINGS),
        *(COLUMNS.format(*_cells(row)) for row in measured["contestants"]),
        f"ours: {measured['operations'] / 1e9:.2f} GFLOP per network, {share:.0%} of the peak",
        f"peak: {measured['peak'] / 1e9:.0f} GFLOP/s in a float32 product",
        f"target: {target:.0%} of the peak, met: {_yes_or_no(measured['peak_met'])}",
    ]


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["contestant"],
        f"{1e3 * row['seconds']:.2f}",
        f"{1e3 * row['fastest']:.2f}",
        f"{row['ratio']:.2f}",
        "" if row["target"] is None else f"{row['target']:.1f}",
        _yes_or_no(row["met"]),
        "" if row["accuracy"] is None else f"{row['accuracy']:.3f}",
        f"{row['cores']:.2f}",
    ]


def _yes_or_no(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "no"


if __name__ == "__main__":
    hold_to_one_core()
    main()
