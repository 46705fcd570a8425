"""How good the chosen winner is, and how true its score: ``python -m benchmarks.selection``.

For each table and seed the rows are split anew and a search of 100 trials is made, the same for two
ways of choosing: the trial with the best validation score, as most people do, and `hpo.choice`,
which trains the best again and hands over the mean of the winner's networks. Printed are

* the **regret** on the test rows: how much worse the chosen is than the best of the candidates;
  the test score of a trial is the mean over five networks of its own with other seeds;
* the **error of the promise**: the score that is promised less the test score, in standard errors
  of that difference, its mean and how often it lies within two.
"""

from __future__ import annotations

import argparse
import math
import statistics
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data_sets import SHIPPED, add_data, data_folder, read
from benchmarks.output import add_json, met, screen, write
from benchmarks.studies import thrown_away
from hpo.choice import CANDIDATES
from hpo.data.table import Dataset
from hpo.joined_study import JoinedStudy
from hpo.nn.network import predict
from hpo.search.expectation import measured_score
from hpo.search.repeats import Job, train_jobs

FILES = ("penguins", "glass", "ecoli", "wheat-seeds", "housing")
SEEDS_OF_A_TEST = 5
TRIALS = 100
LINE = "{:14}{:>6}{:>9}{:>9}{:>9}{:>11}{:>8}{:>10}{:>8}"
TITLES = ("table", "runs", "maximum", "honest", "less", "maximum z", "in 2", "honest z", "in 2")


class Run(NamedTuple):
    """Of one split: test scores, and promises in standard errors of their difference to these.

    ``best`` is the best candidate's, ``plain`` the one's with the best validation score, ``honest``
    that of the model that `hpo.choice` hands over.
    """

    best: float
    plain: float
    honest: float
    plain_error: float
    honest_error: float


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen tables and print a line for each."""
    options = _parser().parse_args(arguments)
    folder = data_folder(options)
    out = screen(options.json)
    print(LINE.format(*TITLES), file=out)
    records: dict[str, list[Run]] = {}
    for name in options.tables or [*SHIPPED, *(FILES if folder else ())]:
        dataset = read(name, folder)
        records[name] = [run(dataset, seed) for seed in range(options.seeds)]
        print(line(name, records[name]), file=out, flush=True)
    every = [each for runs in records.values() for each in runs]
    print(line("all", every), file=out)
    print("\n".join(verdict(list(records.values()))), file=out)
    write(
        options.json, records={name: [r._asdict() for r in runs] for name, runs in records.items()}
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.selection", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*SHIPPED, *FILES, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=8, help="splits of each table (8)")
    add_data(parser)
    add_json(parser)
    return parser


def run(dataset: Dataset, seed: int) -> Run:
    """Search with this split, and score every choice on its test rows."""
    with thrown_away(dataset, TRIALS, seed=seed) as experiment:
        for _ in experiment.search(TRIALS, 2):
            pass
        return scores(experiment, dataset)


def scores(experiment: JoinedStudy, dataset: Dataset) -> Run:
    """The choices of a finished search, scored on the test rows."""
    prepared, problem = experiment.prepared, experiment.prepared.problem
    X = prepared.encoding.transform(dataset.features, prepared.split.test)
    target = problem.target.units(dataset.target, prepared.split.test)
    ranked = experiment.store.ranked()
    tests = []
    for trial in ranked[:CANDIDATES]:
        epochs = int(trial.attributes["best_epoch"])
        # Seeds that no choice has seen.
        again = range(100, 100 + SEEDS_OF_A_TEST)
        jobs = [Job(trial.number, trial.params, epochs, each) for each in again]
        architecture = problem.recipe.of(trial.params).architecture
        params = np.stack([each.params for each in train_jobs(problem, None, jobs)])
        predictions = problem.in_units(predict(architecture, params, X))
        tests.append(float(np.mean(problem.metric(predictions, target))))
    selection = experiment.choose(5, 2)
    assert selection is not None
    model = experiment.store.model(selection.number, selection.digest)
    prediction = model.predict(dataset.features, prepared.split.test)
    honest = float(problem.metric(prediction[None], target)[0])
    noise = standard_error(experiment, prediction, target)
    value = ranked[0].value
    assert value is not None
    plain_noise = noise * math.sqrt(len(target) / len(problem.validation))
    record: Any = selection.record
    return Run(
        max(tests),
        tests[0],
        honest,
        (value - tests[0]) / math.hypot(noise, plain_noise),
        (record["expected"] - honest) / math.hypot(noise, record["expected_se"]),
    )


def standard_error(experiment: JoinedStudy, prediction: Any, target: Any) -> float:
    """That of a score on these rows."""
    problem = experiment.prepared.problem
    losses = problem.metric.evidence(prediction[None], target)[0]
    error = measured_score(losses, target, problem.metric, problem.seed).standard_error
    assert error is not None
    return error


def line(name: str, runs: list[Run]) -> str:
    """Means over the runs of a table."""
    plain, honest = regrets(runs)
    errors = [[each.plain_error for each in runs], [each.honest_error for each in runs]]
    cells = [f"{plain:.4f}", f"{honest:.4f}", f"{1 - honest / plain:.0%}" if plain > 0 else "-"]
    for each in errors:
        within = statistics.mean(abs(error) <= 2 for error in each)
        cells += [f"{statistics.mean(each):+.2f}", f"{within:.0%}"]
    return LINE.format(name, len(runs), *cells)


def regrets(runs: list[Run]) -> tuple[float, float]:
    """Mean regret of the maximum and of the honest winner."""
    return (
        statistics.mean(each.best - each.plain for each in runs),
        statistics.mean(each.best - each.honest for each in runs),
    )


def verdict(tables: list[list[Run]]) -> list[str]:
    """Each target and whether it was met."""
    runs = [each for table in tables for each in table]
    plain, honest = (statistics.mean(each) for each in zip(*map(regrets, tables), strict=True))
    errors = [each.honest_error for each in runs]
    bias, within = statistics.mean(errors), statistics.mean(abs(each) <= 2 for each in errors)
    return [
        f"regret falls by {1 - honest / plain:.0%} (target 25%): {met(honest <= 0.75 * plain)}",
        f"the promise is off by {bias:+.2f} standard errors (target 0.3): {met(abs(bias) < 0.3)}",
        f"within two of them in {within:.0%} of runs (target 90%): {met(within >= 0.9)}",
    ]


if __name__ == "__main__":
    main()
