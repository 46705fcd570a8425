"""What dropping hopeless trials costs and saves: ``python -m benchmarks.pruning``.

For each table and seed the rows are split anew and the same search of 100 trials is made twice, in
turn: with ``--pruner rungs`` and without any. One process trains. Printed are, per table,

* the **test score** of the winner that `hpo.choice` hands over: without dropping, and the mean
  difference that dropping makes, with its standard error over the seeds;
* the **time**: processor seconds of the training, and of the whole search but for the choice, with
  dropping, as ratios of those without; and the share of the trials that were dropped.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import NamedTuple

from benchmarks import selection
from benchmarks.data_sets import SHIPPED, add_data, data_folder, read
from benchmarks.output import add_json, met, screen, write
from benchmarks.studies import thrown_away
from benchmarks.timed_workers import TimedWorkers
from hpo.data.schema import infer_task
from hpo.data.table import Dataset
from hpo.search import loop
from hpo.search.evaluation import Workers
from hpo.search.space import SearchSpace
from hpo.settings import DEFAULT_EPOCHS, PRUNERS, SCHEDULES

FILES = (*selection.FILES, "banknote")
LEAST_TABLES = 6
LINE = "{:14}{:>6}{:>10}{:>12}{:>10}{:>8}{:>10}{:>10}{:>8}"
TITLES = ("table", "runs", "without", "difference", "error", "z", "dropped", "training", "whole")


class Search(NamedTuple):
    """The winner's test score, and what the search took.

    ``training`` and ``whole`` are processor seconds of the training and of all but the choice;
    ``dropped`` is the share of the trials that was.
    """

    score: float
    training: float
    whole: float
    dropped: float


class Pair(NamedTuple):
    """The same search without and with dropping."""

    without: Search
    pruned: Search

    @property
    def gain(self) -> float:
        """What the winner gains by dropping."""
        return self.pruned.score - self.without.score


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen tables and print a line for each."""
    options = _parser().parse_args(arguments)
    folder = data_folder(options)
    out = screen(options.json)
    print(LINE.format(*TITLES), file=out)
    tables: dict[str, list[Pair]] = {}
    for name in options.tables or [*SHIPPED, *(FILES if folder else ())]:
        dataset = read(name, folder)
        tables[name] = [pair(dataset, seed, options) for seed in range(options.seeds)]
        print(line(name, tables[name]), file=out, flush=True)
    print("\n".join(verdict(list(tables.values()))), file=out)
    write(
        options.json,
        records={
            name: [{"without": p.without._asdict(), "pruned": p.pruned._asdict()} for p in pairs]
            for name, pairs in tables.items()
        },
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.pruning", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*SHIPPED, *FILES, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=8, help="splits of each table (8)")
    parser.add_argument("--trials", type=int, default=100, help="of each search (100)")
    parser.add_argument("--epochs", type=int, default=DEFAULT_EPOCHS, help="of each network (50)")
    parser.add_argument("--schedule", choices=SCHEDULES, default="cosine")
    parser.add_argument("--space", action="append", default=[], help="as of hpo search")
    parser.add_argument(
        "--pruner", choices=[each for each in PRUNERS if each != "none"], default="rungs"
    )
    add_data(parser)
    add_json(parser)
    return parser


def pair(dataset: Dataset, seed: int, options: argparse.Namespace) -> Pair:
    """Search without and with dropping, every second time the other way round."""
    pruners = ["none", options.pruner]
    found = {pruner: search(dataset, seed, pruner, options) for pruner in pruners[:: (-1) ** seed]}
    return Pair(found["none"], found[options.pruner])


def search(dataset: Dataset, seed: int, pruner: str, options: argparse.Namespace) -> Search:
    """Search with this split, and test the winner."""
    task = infer_task(dataset.target)
    space = SearchSpace.parse(
        options.space, optimizer="adam", classification=task == "classification"
    )
    changed = {
        "space": space.to_json(),
        "seed": seed,
        "epochs": options.epochs,
        "schedule": options.schedule,
        "pruner": pruner,
    }
    with thrown_away(dataset, options.trials, **changed) as experiment:
        timed, store = (
            TimedWorkers(Workers(experiment.prepared.problem, 1), time.process_time),
            experiment.store,
        )
        began = time.process_time()
        for _ in loop.search(
            store,
            timed.evaluate,
            store.space,
            experiment.narrowing,
            options.trials,
            pruner=experiment.pruner(),
        ):
            pass
        seconds = time.process_time() - began
        chosen = experiment.choose(5, 1)
        assert chosen is not None
        model = experiment.store.model(chosen.number, chosen.digest)
        states = experiment.store.states()
        prepared = experiment.prepared
    rows = prepared.split.test
    prediction = model.predict(dataset.features, rows)
    target = prepared.problem.target.units(dataset.target, rows)
    score = float(prepared.problem.metric(prediction[None], target)[0])
    return Search(score, timed.seconds, seconds, states.get("PRUNED", 0) / options.trials)


def line(name: str, pairs: list[Pair]) -> str:
    """Means over the runs of a table."""
    gain, error = difference(pairs)
    return LINE.format(
        name,
        len(pairs),
        f"{statistics.mean(each.without.score for each in pairs):.4f}",
        f"{gain:+.4f}",
        f"{error:.4f}",
        f"{gain / error:+.1f}" if error else "-",
        f"{statistics.mean(each.pruned.dropped for each in pairs):.0%}",
        f"{ratio(pairs):.2f}",
        f"{whole_ratio(pairs):.2f}",
    )


def difference(pairs: list[Pair]) -> tuple[float, float]:
    """Mean of what the winner gains, and its standard error; 0 for a single run."""
    gains = [each.gain for each in pairs]
    spread = statistics.stdev(gains) if len(gains) > 1 else 0.0
    return statistics.mean(gains), spread / math.sqrt(len(gains))


def ratio(pairs: list[Pair]) -> float:
    """The time of training with dropping over that without."""
    return sum(p.pruned.training for p in pairs) / sum(p.without.training for p in pairs)


def whole_ratio(pairs: list[Pair]) -> float:
    """Likewise of the time of the searches."""
    return sum(p.pruned.whole for p in pairs) / sum(p.without.whole for p in pairs)


def verdict(tables: list[list[Pair]]) -> list[str]:
    """The target and whether it was met."""
    halved = [pairs for pairs in tables if ratio(pairs) <= 0.5]
    alike = [pairs for pairs in halved if within_noise(pairs)]
    worse = [pairs for pairs in tables if not within_noise(pairs)]
    gains = [difference(pairs) for pairs in tables]
    mean = statistics.mean(gain for gain, _ in gains)
    error = math.hypot(*(each for _, each in gains)) / len(gains)
    times = statistics.geometric_mean(map(ratio, tables))
    good = f"in at most half the training time and not worse: {len(alike)} (target {LEAST_TABLES})"
    return [
        f"all tables: difference {mean:+.4f}, standard error {error:.4f}, training {times:.2f}",
        f"beyond two standard errors worse: {len(worse)} of {len(tables)} tables",
        f"{good}: {met(len(alike) >= LEAST_TABLES)}",
    ]


def within_noise(pairs: list[Pair]) -> bool:
    """Whether the winner loses no more than two standard errors."""
    gain, error = difference(pairs)
    return gain >= -2 * error


if __name__ == "__main__":
    main()
