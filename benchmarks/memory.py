"""Peak memory of training: ``python -m benchmarks.memory``.

A fresh process loads the `medium` workload, trains one network of our own, and tells by how much
the memory it holds grew at most: above the data, the interpreter and the imports.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.output import add_json, screen, write

PLAIN_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""What is freed goes back to the system, so that nothing is trained in the data's left-overs."""

ROOT = Path(__file__).parents[1]
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(arguments: list[str] | None = None) -> None:
    """Measure in a process of its own and print megabytes."""
    options = _parser().parse_args(arguments)
    if options.here:
        print(growth(options.members))
        return
    command = [sys.executable, "-m", "benchmarks.memory", "--here", "--members"]
    command.append(str(options.members))
    environment = os.environ | PLAIN_MALLOC
    done = subprocess.run(  # noqa: S603  # Python itself and our own words
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    megabytes = float(done.stdout)
    text = f"training {options.members} medium network(s): {megabytes:.1f} MB above the data"
    print(text, file=screen(options.json))
    write(options.json, members=options.members, MB=megabytes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--members", type=int, default=1, help="networks in the stack (1)")
    add_json(parser)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser


def growth(members: int) -> float:
    """Megabytes (10^6 bytes) by which the peak of training stands above the memory before it."""
    from benchmarks.peers import ours  # noqa: PLC0415  # only the process that trains needs them
    from benchmarks.workloads import medium  # noqa: PLC0415

    run = ours.contestant(medium(None), members)
    _forget_peak()
    before = _kilobytes("VmRSS")
    run()
    return (_kilobytes("VmHWM") - before) * 1024 / 1e6


def _forget_peak() -> None:
    """Bring the peak, VmHWM, down to what is held now (man 5 proc, clear_refs).

    Where that is not allowed the peak may be that of the loading, and the result is too high.
    """
    with contextlib.suppress(OSError):
        CLEAR.write_text("5", encoding="ascii")


def _kilobytes(field: str) -> int:
    """A field of this process's status that is in kB."""
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
