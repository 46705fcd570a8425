"""Ensembles of a search beside their parts and a peer: ``python -m benchmarks.ensembles``.

For each table and seed the rows are split anew, a search of 100 trials is made, and the ensemble is
built as ``hpo ensemble`` does. Printed are means over the splits of the log loss of classes, or the
root mean squared error, on the test rows, which nothing here has seen (and no ledger counts, for
the studies are thrown away):

* **network**: the trial with the best validation score, a single network;
* **winner**: the mean of networks that ``hpo search`` hands over;
* **learner**: the best of scikit-learn's learners, chosen on the same folds;
* each method; **ensemble**: what was picked, by scores of rows that it had not seen;
* **peer**: scikit-learn's stacking of its network, forest, histogram boosting and logistic (or
  ridge) regression, on the same encoded rows, those of the validation part included.

Seconds are of building the ensemble and of fitting the peer, on two processes each, which both
start anew; those of the search are shown beside them. Probabilities of all are clipped to
[1e-7, 1 - 1e-7] alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.data_sets import add_data, data_folder, read
from benchmarks.output import add_json, met, screen, write
from benchmarks.studies import thrown_away
from hpo import models
from hpo.data.table import Dataset
from hpo.ensembling.assembling import BEST, METHODS, assemble
from hpo.ensembling.building import Builder, Plan, planned
from hpo.ensembling.candidates import Candidate
from hpo.ensembling.pools import Pool
from hpo.joined_study import JoinedStudy

SHIPPED = ("digits", "breast_cancer", "wine", "diabetes")
FILES = ("penguins", "banknote", "glass", "ecoli", "housing", "diamonds")
TRIALS = 100
WORKERS = 2
CLIP = 1e-7
ENOUGH = 8
"""Of ten tables."""

NETWORK, WINNER, LEARNER, ENSEMBLE, PEER = "network", "winner", "learner", "ensemble", "peer"
COLUMNS = (NETWORK, WINNER, LEARNER, *METHODS, ENSEMBLE, PEER)
SECONDS = ("search s", "ensemble s", "peer s")
LINE = "{:14}" + "{:>10}" * len(COLUMNS) + "{:>11}{:>11}{:>8}  {}"

Run = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen tables and print a line for each."""
    options = _parser().parse_args(arguments)
    folder = data_folder(options)
    out = screen(options.json)
    if folder is None:
        print("without --data: scikit-learn's data sets only", file=out)
    print(LINE.format("", *COLUMNS, *SECONDS, "picked"), file=out, flush=True)
    records: dict[str, list[Run]] = {}
    for name in options.tables or [*SHIPPED, *(FILES if folder else ())]:
        dataset = read(name, folder)
        records[name] = [run(dataset, seed, options.trials) for seed in range(options.seeds)]
        print(line(name, records[name]), file=out, flush=True)
    print("\n".join(verdict(records)), file=out)
    write(options.json, records=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.ensembles", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*SHIPPED, *FILES, []], help="default: all")
    parser.add_argument("--seeds", type=int, default=5, help="splits of each table (5)")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each search (100)")
    add_data(parser)
    add_json(parser)
    return parser


def run(dataset: Dataset, seed: int, trials: int) -> Run:
    """Search, build and compare on one split: test losses, seconds, and what was picked."""
    with thrown_away(dataset, trials, seed=seed) as experiment:
        began = time.perf_counter()
        for _ in experiment.search(trials, WORKERS):
            pass
        selection = experiment.choose(5, WORKERS)
        assert selection is not None
        found: Run = {"search s": time.perf_counter() - began}
        return found | _compared(experiment, selection.number, selection.digest)


def _compared(experiment: JoinedStudy, number: int, digest: str) -> Run:
    prepared, store = experiment.prepared, experiment.store
    test = _Test(experiment)
    _, network = store.network(store.ranked()[0].number)
    found: Run = {
        NETWORK: test.loss(network.predict(test.features, test.rows)),
        WINNER: test.loss(store.model(number, digest).predict(test.features, test.rows)),
    }
    builder = _Remembering(store, prepared, experiment.settings.seed)
    began = _begin()
    record = builder.build(planned(prepared), WORKERS)
    found["ensemble s"] = time.perf_counter() - began
    ready = store.rounds.read(lambda connection: models.ready(connection, store.uid))
    model = models.load(store.artifacts, models.choose(ready, record.name))
    found[ENSEMBLE] = test.loss(model.predict(test.features, test.rows))
    found["picked"] = record.record["method"]
    found |= _methods(test, *builder.found[0])
    began = _begin()
    found[PEER] = test.loss(_peer(experiment, test))
    found["peer s"] = time.perf_counter() - began
    return found


@dataclass(frozen=True)
class _Remembering(Builder):
    """Keeps what it builds from, to tell what each part and method would have done."""

    found: list[tuple[Pool, list[Candidate]]] = field(default_factory=list)

    def candidates(self, plan: Plan, n_workers: int) -> tuple[Pool, list[Candidate]]:
        self.found.append(super().candidates(plan, n_workers))
        return self.found[-1]


def _begin() -> float:
    """The time, there being no worker processes that another has started."""
    get_reusable_executor().shutdown(wait=True)
    return time.perf_counter()


class _Test:
    """The test rows of a split, and the loss of predictions for them."""

    def __init__(self, experiment: JoinedStudy) -> None:
        prepared = experiment.prepared
        self.features = prepared.sealed.dataset.features
        self.rows = prepared.sealed.rows
        self.encoding = prepared.problem.target
        self.target = prepared.sealed.target(self.encoding)
        self.X = prepared.encoding.transform(self.features, self.rows)

    def loss(self, prediction: NDArray[Any]) -> float:
        """Log loss of probabilities (rows, classes), or the root mean squared error."""
        if not self.encoding.classes:
            return float(np.sqrt(np.mean((prediction[:, 0] - self.target) ** 2)))
        clipped = np.clip(prediction.astype(np.float64), CLIP, 1 - CLIP)
        clipped /= clipped.sum(axis=1, keepdims=True)
        return float(-np.log(clipped[np.arange(len(clipped)), self.target]).mean())

    def in_units(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Probabilities as they are, values in the user's units."""
        return outputs if self.encoding.classes else self.encoding.inverse(outputs)


def _methods(test: _Test, pool: Pool, candidates: Sequence[Candidate]) -> Run:
    outputs = np.stack([each.part.outputs(test.X, pool.n_classes) for each in candidates])
    found: Run = {}
    for method in METHODS:
        combination = assemble(method, candidates, pool).combination
        found[method] = test.loss(test.in_units(combination(outputs)))
    learners = [place for place, each in enumerate(candidates) if "trial" not in each.name]
    own = assemble(BEST, [candidates[place] for place in learners], pool).combination
    found[LEARNER] = test.loss(test.in_units(own(outputs[learners])))
    return found


def _peer(experiment: JoinedStudy, test: _Test) -> NDArray[Any]:
    """What scikit-learn's stacking predicts for the test rows."""
    prepared, seed = experiment.prepared, experiment.settings.seed
    rows = np.concatenate([prepared.split.train, prepared.split.validation])
    X = prepared.encoding.transform(test.features, rows)
    y = prepared.problem.target.units(prepared.sealed.dataset.target, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if test.encoding.classes:
            stack = StackingClassifier(
                [
                    ("net", MLPClassifier(random_state=seed)),
                    ("forest", RandomForestClassifier(random_state=seed)),
                    ("boosting", HistGradientBoostingClassifier(random_state=seed)),
                    ("logistic", LogisticRegression(max_iter=1000)),
                ],
                n_jobs=WORKERS,
            ).fit(X, y)
            proba: NDArray[Any] = stack.predict_proba(test.X)
            return proba
        # Its network learns nothing of values that are far from 0.
        mean, deviation = y.mean(), y.std()
        regressor = StackingRegressor(
            [
                ("net", MLPRegressor(random_state=seed)),
                ("forest", RandomForestRegressor(random_state=seed)),
                ("boosting", HistGradientBoostingRegressor(random_state=seed)),
                ("ridge", RidgeCV()),
            ],
            n_jobs=WORKERS,
        ).fit(X, (y - mean) / deviation)
        values: NDArray[Any] = mean + deviation * regressor.predict(test.X)
        return values[:, None]


def line(name: str, runs: Sequence[Run]) -> str:
    """Means over the splits."""
    losses = [f"{mean(runs, each):.4g}" for each in COLUMNS]
    seconds = [f"{mean(runs, each):.1f}" for each in SECONDS]
    picked = [each["picked"] for each in runs]
    counts = ", ".join(f"{each} {picked.count(each)}" for each in dict.fromkeys(picked))
    return LINE.format(name, *losses, *seconds, counts)


def mean(runs: Sequence[Run], what: str) -> float:
    """Of one column."""
    return float(statistics.mean(each[what] for each in runs))


def verdict(records: Mapping[str, Sequence[Run]]) -> list[str]:
    """Each target and whether it was met."""
    needed = ENOUGH * len(records) / 10
    lines = []
    for other, words in (
        (NETWORK, "better than"),
        (WINNER, "better than"),
        (PEER, "not worse than"),
    ):
        won = sum(
            mean(runs, ENSEMBLE) < mean(runs, other)
            or (other == PEER and mean(runs, ENSEMBLE) == mean(runs, other))
            for runs in records.values()
        )
        what = f"the ensemble is {words} the {other} on {won} of {len(records)} tables"
        lines.append(f"{what} (target {needed:g}): {met(won >= needed)}")
    ours, theirs = (sum(mean(runs, what) for runs in records.values()) for what in SECONDS[1:])
    lines.append(f"in {ours:.1f} s against {theirs:.1f} s: {met(ours <= theirs)}")
    return lines


if __name__ == "__main__":
    main()
