"""Trained outcomes of many points of a space, from which tables for samplers are made.

A **grid** over the learning rate and the weight decay, and a **design**, a Latin hypercube over
eight parameters. Every point is trained several times, with other initial values, on several splits
of a data set, by the stacks that `hpo search` trains. That takes minutes a data set, so what was
trained is kept in a folder, in a file named by a hash of all that it was made of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from scipy.stats import qmc

from hpo import __version__
from hpo.data.metrics import default_metric
from hpo.data.schema import infer_task
from hpo.data.table import Dataset, fingerprint
from hpo.nn.network import predict
from hpo.preparation import Prepared, prepare
from hpo.search.evaluation import Outcome, Slot, Workers
from hpo.search.narrowing import Point
from hpo.search.space import SearchSpace
from hpo.settings import Settings

FORMAT = 1
"""Counts up when these files are made in another way."""

MOST_ROWS = 600
"""Of larger data sets so many rows are drawn: more of them only take longer."""

HIDDEN = (32, 32)
SPLITS = 4

EIGHT = SearchSpace.parse(
    [
        "dropout",
        "l1",
        "beta1",
        "hidden=8|16|32|32,32",
        "activation=relu|tanh|silu",
        "batch_size=32|64|128",
    ]
)
"""The learning rate, the weight decay and six more, all of which any task has."""


@dataclass(frozen=True)
class Plan:
    """What is trained: ``points`` of a ``space``, each ``seeds`` times on each of ``splits``."""

    space: SearchSpace
    points: Sequence[Point]
    seeds: int
    splits: int = SPLITS

    def to_json(self) -> dict[str, Any]:
        """Plain values, equal for equal plans."""
        return {
            "space": self.space.to_json(),
            "points": list(self.points),
            "seeds": self.seeds,
            "splits": self.splits,
        }


def grid(n_rates: int = 33, n_decays: int = 19, *, seeds: int = 5, splits: int = SPLITS) -> Plan:
    """Every pair of learning rate and weight decay, evenly spaced on their logarithms.

    Points are in the order of the rates, and under each in that of the decays.
    """
    space = SearchSpace()
    axes = [
        [value_at(each, share) for share in np.linspace(0, 1, n)]
        for each, n in zip(space.distributions.values(), (n_rates, n_decays), strict=True)
    ]
    names = list(space.distributions)
    points = [dict(zip(names, pair, strict=True)) for pair in _product(*axes)]
    return Plan(space, points, seeds, splits)


def _product(first: Sequence[float], second: Sequence[float]) -> list[tuple[float, float]]:
    return [(a, b) for a in first for b in second]


def design(n_points: int = 1024, *, seeds: int = 2, splits: int = SPLITS) -> Plan:
    """A Latin hypercube over `EIGHT` parameters, the same whenever it is asked for."""
    shares = qmc.LatinHypercube(len(EIGHT.distributions), rng=0).random(n_points)
    points = [
        {
            name: value_at(each, float(share))
            for (name, each), share in zip(EIGHT.distributions.items(), row, strict=True)
        }
        for row in shares
    ]
    return Plan(EIGHT, points, seeds, splits)


def value_at(distribution: BaseDistribution, share: float) -> Any:
    """The value or choice at this share, in [0, 1], of a range, on its own scale."""
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return distribution.choices[min(int(share * n), n - 1)]
    assert isinstance(distribution, FloatDistribution)
    low, high = distribution.low, distribution.high
    value = low * (high / low) ** share if distribution.log else low + share * (high - low)
    return float(min(max(value, low), high))


@dataclass(frozen=True)
class Outcomes:
    """Scores (splits, points, seeds) of a plan's networks; NaN where training failed.

    Accuracy, or R² for a target of numbers: the metric that a search maximises by default.
    """

    plan: Plan
    validation: NDArray[np.float64]
    test: NDArray[np.float64]


def outcomes(dataset: Dataset, plan: Plan, folder: Path, jobs: int = 1) -> Outcomes:
    """What came of a plan: read from ``folder``, or trained now and kept there."""
    dataset = sample(dataset, MOST_ROWS)
    every = [prepare(dataset, _settings(dataset, plan, split)) for split in range(plan.splits)]
    made_of = {
        "format": FORMAT,
        "hpo": __version__,
        "data": fingerprint(dataset)["sha256"],
        "trained": [_trained_as(each) for each in every],
        "plan": plan.to_json(),
    }
    text = json.dumps(made_of, sort_keys=True)
    path = folder / f"{dataset.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return Outcomes(plan, stored["validation"], stored["test"])
    found = [_trained(each, plan, jobs) for each in every]
    result = Outcomes(plan, *(np.stack(each) for each in zip(*found, strict=True)))
    folder.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: a killed run must leave no half of a file.
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        np.savez_compressed(
            file, validation=result.validation, test=result.test, made_of=np.array(text)
        )
    unfinished.replace(path)
    return result


def sample(dataset: Dataset, most: int) -> Dataset:
    """The data set, or so many rows of it, the same whenever they are drawn."""
    n_rows = dataset.features.n_rows
    if n_rows <= most:
        return dataset
    rows = np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))
    table, target = dataset.features, dataset.target
    return replace(
        dataset,
        features=replace(table, numeric=table.numeric[rows], codes=table.codes[rows]),
        target=replace(target, values=target.values[rows]),
    )


def _settings(dataset: Dataset, plan: Plan, split: int) -> Settings:
    """Those of a search with its defaults, but with smaller networks."""
    task = infer_task(dataset.target)
    metric = default_metric(task)
    space = plan.space.to_json()
    return Settings(None, True, (), task, metric, space, seed=split, hidden=HIDDEN)


def _trained_as(prepared: Prepared) -> dict[str, Any]:
    """What decides how a network is trained, apart from its hyperparameters."""
    problem = prepared.problem
    return {
        "seed": problem.seed,
        "split": prepared.split.digest(),
        "encoding": prepared.encoding.to_json(),
        "target": problem.target.to_json(),
        "metric": problem.metric.name,
        "architecture": problem.architecture.to_json(),
        "settings": asdict(problem.settings),
    }


def _trained(
    prepared: Prepared, plan: Plan, jobs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Validation and test scores (points, seeds) on one split."""
    shape = len(plan.points), plan.seeds
    validation, test = np.full(shape, np.nan), np.full(shape, np.nan)
    # A network's initial values are drawn by its number.
    slots = [
        Slot(place * plan.seeds + seed, point)
        for place, point in enumerate(plan.points)
        for seed in range(plan.seeds)
    ]
    X = prepared.encoding.transform(prepared.sealed.dataset.features, prepared.sealed.rows)
    target = prepared.sealed.target(prepared.problem.target)
    for ready in Workers(prepared.problem, jobs).evaluate(slots):
        for each in ready:
            if each.value is not None:
                validation[divmod(each.number, plan.seeds)] = each.value
                test[divmod(each.number, plan.seeds)] = _score(prepared, each, X, target)
    return validation, test


def _score(
    prepared: Prepared, outcome: Outcome, X: NDArray[np.float32], target: NDArray[Any]
) -> float:
    """The score of a trained network on rows that it has not seen."""
    assert outcome.architecture is not None
    assert outcome.params is not None
    problem = prepared.problem
    prediction = predict(outcome.architecture, outcome.params[None], X)
    return float(problem.metric(problem.in_units(prediction), target)[0])
