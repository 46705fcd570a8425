"""A bag of networks beside scikit-learn's: ``python -m benchmarks.bagging``.

32 networks of the workload ``small`` on bootstrap samples: ours as stacks in two processes, and
scikit-learn's ``BaggingClassifier`` over its ``MLPClassifier`` in two processes; the same network,
optimiser, rate, batches and epochs, neither stopping early. Runs take turns, the median counts,
processes being there before. Printed are seconds and the accuracy on the validation rows.
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median
from typing import Any

from sklearn import ensemble
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import hpo
from benchmarks.output import add_json, met, screen, write
from benchmarks.workloads import WORKLOADS, Workload
from ensembles import BaggingClassifier

MEMBERS = 32
JOBS = 2
TARGET = 8.0
LINE = "{:14}{:>10}{:>12}"


def main(arguments: list[str] | None = None) -> None:
    """Fit both bags in turn and print a table."""
    options = _parser().parse_args(arguments)
    out = screen(options.json)
    workload = WORKLOADS["small"](None)
    bags = {
        "ours": ours(workload, options.members),
        "scikit-learn": theirs(workload, options.members),
    }
    seconds: dict[str, list[float]] = {name: [] for name in bags}
    split = workload.split
    for run in range(options.runs + 1):
        for name, bag in bags.items():
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are run
                bag.fit(split.X, split.y)
            if run:  # the first one starts processes
                seconds[name].append(time.perf_counter() - began)
    print(LINE.format("", "seconds", "accuracy"), file=out)
    for name, bag in bags.items():
        accuracy = bag.score(split.X_validation, split.y_validation)
        print(LINE.format(name, f"{median(seconds[name]):.2f}", f"{accuracy:.4f}"), file=out)
    ratio = median(seconds["scikit-learn"]) / median(seconds["ours"])
    print(f"{ratio:.1f} times as fast (target {TARGET:g}): {met(ratio >= TARGET)}", file=out)
    write(options.json, records=seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.bagging", description=__doc__)
    parser.add_argument("--members", type=int, default=MEMBERS, help="networks in a bag (32)")
    parser.add_argument("--runs", type=int, default=5, help="of each, of which the median counts")
    add_json(parser)
    return parser


def ours(workload: Workload, members: int) -> Any:
    """Our networks as stacks."""
    net = hpo.MLPClassifier(
        workload.hidden,
        optimizer=workload.optimizer,
        learning_rate=workload.learning_rate,
        weight_decay=0.0,
        dropout=0.0,
        batch_size=workload.batch_size,
        max_epochs=workload.epochs,
        schedule="constant",
        warmup=0.0,
        early_stopping=False,
        scaling="none",
    )
    return BaggingClassifier(net, n_estimators=members, n_jobs=JOBS, random_state=0)


def theirs(workload: Workload, members: int) -> Any:
    """Scikit-learn's, one by one."""
    net = MLPClassifier(
        workload.hidden,
        solver=workload.optimizer,
        alpha=0.0,
        batch_size=workload.batch_size,
        learning_rate_init=workload.learning_rate,
        max_iter=workload.epochs,
        n_iter_no_change=workload.epochs,
        tol=0.0,
    )
    return ensemble.BaggingClassifier(net, n_estimators=members, n_jobs=JOBS, random_state=0)


if __name__ == "__main__":
    main()
