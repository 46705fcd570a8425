"""Samplers side by side on tables of trained outcomes: ``python -m benchmarks.samplers``.

Each searches the tables of `benchmarks.lookup`, a grid over learning rate and weight decay and a
forest over eight parameters, on the same splits and with the same seeds: in five rounds, as in
``hpo search``; those of Optuna's that learn also one trial at a time, which they were made for.
Every trial is shown the validation score of a single training. The best of them is chosen, as most
people do. Printed are, as means over data sets and in points (hundredths of accuracy or of R²):

* the **regret**: how much less the chosen point's mean score is than the best of the table, on the
  test rows and on the validation rows; and that of the best point tried on the validation rows,
  chosen or not, which tells what the search loses from what the choice by noisy scores does;
* how much more narrowing loses on the test rows, with its standard error, and on how many data sets
  it is significantly better and worse (see `benchmarks.significance`);
* the sampler's own time a trial, of the processor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import joblib
import numpy as np
from numpy.typing import NDArray

from benchmarks.data_sets import SHIPPED, add_data, data_folder, read
from benchmarks.lookup import ForestTable, GridTable, Table
from benchmarks.outcomes import Plan, design, grid, outcomes
from benchmarks.output import add_json, met, screen, write
from benchmarks.races import BUDGETS, CONTESTANTS, Record, lacking, race
from benchmarks.selection import FILES
from benchmarks.significance import Comparison, compare
from hpo.search.proposals import NARROWING

SEEDS = 20
MOST_MILLISECONDS = 1.0
"""What narrowing may take a trial."""

PLANS: Mapping[str, Callable[[], Plan]] = {"grid": grid, "design": design}
LOOKUPS: Mapping[str, Callable[..., Table]] = {"grid": GridTable, "design": ForestTable}

LINE = "{:18}{:>7}{:>12}{:>7}{:>16}{:>8}{:>7}{:>12}"
TITLES = ("", "test", "validation", "tried", "narrowing", "better", "worse", "ms a trial")


def main(arguments: list[str] | None = None) -> None:
    """Make the tables that are missing, let every contestant search them, and print."""
    options = _parser().parse_args(arguments)
    out = screen(options.json)
    folder = data_folder(options)
    if folder is None and not options.tables:
        print("without --data: scikit-learn's data sets only", file=out)
    contestants = _present(options.samplers or CONTESTANTS, out)
    records: list[Record] = []
    for kind in options.kinds or PLANS:
        for name, tables in _tables(kind, folder, options, out):
            seeds = range(options.seeds)
            work = (
                joblib.delayed(race)(kind, name, tables[seed % len(tables)], contestant, seed)
                for contestant in contestants
                for seed in seeds
            )
            for found in joblib.Parallel(n_jobs=options.jobs)(work):
                records += found
        print("\n".join(report(records, kind)), file=out, flush=True)
    write(options.json, records=[each._asdict() for each in records])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.samplers", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*PLANS, []], help="default: both")
    parser.add_argument("--tables", nargs="+", choices=[*SHIPPED, *FILES], help="default: all")
    parser.add_argument("--samplers", nargs="+", choices=CONTESTANTS, help="default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="searches of each table (20)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    add_data(parser)
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="trained outcomes (~/.cache/hpo-benchmarks)"
    )
    add_json(parser)
    return parser


def _tables(
    kind: str, folder: str | None, options: argparse.Namespace, out: TextIO
) -> Iterator[tuple[str, list[Table]]]:
    """The data sets by name, each with its splits ready to be searched in."""
    cache = options.cache or Path.home() / ".cache" / "hpo-benchmarks"
    plan = PLANS[kind]()
    for name in options.tables or [*SHIPPED, *(FILES if folder else ())]:
        found = outcomes(read(name, folder), plan, cache, options.jobs)
        tables = [LOOKUPS[kind](found, split) for split in range(plan.splits)]
        fits = [each.fit for each in tables if isinstance(each, ForestTable)]
        if fits:
            validation, test = np.mean(fits, axis=0)
            words = f"rank correlation {validation:.2f} on validation, {test:.2f} on test rows"
            print(f"{name}: the forest's {words}", file=out, flush=True)
        yield name, tables


def _present(names: Iterable[str], out: TextIO) -> list[str]:
    """Those of the contestants whose packages are installed."""
    present = []
    for name in names:
        needed = lacking(name)
        if needed:
            print(f"{name} is left out: {', '.join(needed)} is not installed", file=out)
        else:
            present.append(name)
    return present


def report(records: Sequence[Record], kind: str) -> list[str]:
    """The lines of one kind of tables: for each budget the contestants, then what was aimed at."""
    lines = []
    for trials in BUDGETS:
        own = [each for each in records if (each.kind, each.trials) == (kind, trials)]
        names = list(dict.fromkeys(each.contestant for each in own))
        lines += ["", f"{kind}, {trials} trials", LINE.format(*TITLES)]
        lines += [line(own, name) for name in names]
        if NARROWING in names:
            lines += verdict(own, names)
    return lines


def line(records: Sequence[Record], contestant: str) -> str:
    """A contestant's means over the data sets, and how narrowing compares with it."""
    mine = [each for each in records if each.contestant == contestant]
    regrets = [f"{100 * mean(mine, what):.2f}" for what in ("test", "validation", "tried")]
    cells = ["-", "-", "-"]
    if contestant != NARROWING and any(each.contestant == NARROWING for each in records):
        cells = _cells(compared(records, contestant, "test"))
    return LINE.format(contestant, *regrets, *cells, f"{mean(mine, 'milliseconds'):.3f}")


def _cells(found: Comparison) -> list[str]:
    shown = f"{100 * found.mean:+.2f} ± {100 * found.error:.2f}"
    return [shown, str(found.better), str(found.worse)]


def by_table(records: Iterable[Record], contestant: str, what: str) -> dict[str, NDArray[Any]]:
    """What a contestant got on each data set, (runs,) in the order of the seeds."""
    found: dict[str, dict[int, float]] = {}
    for each in records:
        if each.contestant == contestant:
            found.setdefault(each.table, {})[each.seed] = getattr(each, what)
    return {name: np.array([runs[seed] for seed in sorted(runs)]) for name, runs in found.items()}


def mean(records: Sequence[Record], what: str) -> float:
    """The mean of the data sets' means of one contestant."""
    each = by_table(records, records[0].contestant, what).values()
    return float(np.mean([runs.mean() for runs in each]))


def compared(records: Sequence[Record], contestant: str, what: str) -> Comparison:
    """Narrowing against a contestant."""
    ours, theirs = (by_table(records, name, what) for name in (NARROWING, contestant))
    return compare(list(ours.values()), [theirs[name] for name in ours])


def verdict(records: Sequence[Record], names: Sequence[str]) -> list[str]:
    """Each target and whether it was met."""
    lines = []
    for name in (each for each in names if each.startswith("tpe")):
        found = compared(records, name, "test")
        worse = found.worse > 0 or found.mean > 2 * found.error
        lines.append(f"not significantly worse than {name} on test rows: {met(not worse)}")
    if "random" in names:
        found = compared(records, "random", "validation")
        shown = f"{-100 * found.mean:.2f} ± {100 * found.error:.2f} points"
        words = f"ahead of random on validation rows by {shown}"
        lines.append(f"{words}: {met(found.mean < 0)}")
    own = mean([each for each in records if each.contestant == NARROWING], "milliseconds")
    words = f"narrowing takes {own:.3f} ms a trial (target {MOST_MILLISECONDS:g})"
    lines.append(f"{words}: {met(own < MOST_MILLISECONDS)}")
    return lines


if __name__ == "__main__":
    main()
