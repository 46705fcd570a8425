"""The narrowing search beside a plain random one: ``python -m benchmarks.search_cv``.

`hpo.NarrowingSearchCV` and scikit-learn's `RandomizedSearchCV` look for parameters of the same
estimators, with as many trials, over the same ranges, on the same folds of the same rows. The
estimator that each found best, fitted on all those rows, is scored on rows that neither saw. Every
seed splits the rows anew and draws other candidates.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution
from scipy.stats import loguniform, randint, rankdata, uniform
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import RandomizedSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.output import add_json, screen, write
from benchmarks.tables import SHIPPED
from hpo import NarrowingSearchCV

Distribution = FloatDistribution | IntDistribution

NARROWING, RANDOM = "narrowing", "random"
CONTESTANTS = NARROWING, RANDOM

SEEDS, TRIALS, FOLDS, JOBS = 10, 40, 3, 2
TEST_SHARE = 0.5
MOST_ROWS = 400
"""Rows that are searched on; more of them only take longer."""


class Task(NamedTuple):
    """What is tuned: an estimator, the ranges, and the metric that chooses and is reported."""

    estimator: Any
    ranges: Mapping[str, Distribution]
    metric: str


TASKS = {
    "HistGradientBoosting": Task(
        # Few trees, or the benchmark takes an hour.
        HistGradientBoostingClassifier(max_iter=20, early_stopping=False, random_state=0),
        {
            "learning_rate": FloatDistribution(1e-3, 1.0, log=True),
            "l2_regularization": FloatDistribution(1e-4, 1e2, log=True),
            "max_leaf_nodes": IntDistribution(2, 32),
            "min_samples_leaf": IntDistribution(1, 40),
            "max_features": FloatDistribution(0.1, 1.0),
        },
        "neg_log_loss",
    ),
    "SVC": Task(
        make_pipeline(StandardScaler(), SVC()),
        {
            "svc__C": FloatDistribution(1e-3, 1e4, log=True),
            "svc__gamma": FloatDistribution(1e-6, 1e1, log=True),
        },
        "accuracy",
    ),
}

LINE = "{:22}{:15}{:12}{:>18}{:>10}{:>10}{:>10}{:>10}{:>6}"
TITLES = ("", "", "metric", "test", "s.d.", "random", "s.d.", "ahead by", "rank")


def main(arguments: list[str] | None = None) -> None:
    """Run both searches on every table with every seed and print a table."""
    options = _parser().parse_args(arguments)
    out = screen(options.json)
    seeds = range(options.seeds)
    records: list[dict[str, Any]] = []
    print(LINE.format(*TITLES), file=out)
    for name, task in TASKS.items():
        for table in SHIPPED:
            work = (joblib.delayed(race)(name, table, seed, options.trials) for seed in seeds)
            found = joblib.Parallel(n_jobs=options.jobs)(work)
            records += found
            print(LINE.format(*_cells(name, table, task.metric, found)), file=out, flush=True)
    print("\n".join(_summary(records)), file=out)
    write(options.json, trials=options.trials, folds=FOLDS, records=records)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.search_cv", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="splits of each table (10)")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each search (40)")
    parser.add_argument("--jobs", type=int, default=JOBS, help="seeds at the same time (2)")
    add_json(parser)
    return parser


def race(name: str, table: str, seed: int, trials: int) -> dict[str, Any]:
    """Scores of both contestants, the greater the better.

    Returns
    -------
    dict
        The task, table and seed; for each contestant the best mean score over the folds
        (``narrowing_folds``) and the score on the test rows (``narrowing_test``).
    """
    X, X_test, y, y_test = split(table, seed)
    record: dict[str, Any] = {"task": name, "table": table, "seed": seed}
    for contestant, search in searches(TASKS[name], seed, trials).items():
        search.fit(X, y)
        record[f"{contestant}_folds"] = float(search.best_score_)
        record[f"{contestant}_test"] = float(search.score(X_test, y_test))
    return record


def split(table: str, seed: int) -> list[NDArray[Any]]:
    """Rows to search on, rows to test on, and their classes in the same order."""
    X, y = SHIPPED[table](return_X_y=True)
    n_searched = min(MOST_ROWS, round(len(y) * (1 - TEST_SHARE)))
    found: list[NDArray[Any]] = train_test_split(
        X, y, train_size=n_searched, random_state=seed, stratify=y
    )
    return found


def searches(task: Task, seed: int, trials: int) -> dict[str, Any]:
    """Both searches, not run yet."""
    common = {
        "scoring": task.metric,
        "cv": StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        "random_state": seed,
    }
    plain = {name: scipy_distribution(each) for name, each in task.ranges.items()}
    return {
        NARROWING: NarrowingSearchCV(task.estimator, dict(task.ranges), n_trials=trials, **common),
        RANDOM: RandomizedSearchCV(task.estimator, plain, n_iter=trials, **common),
    }


def scipy_distribution(distribution: Distribution) -> Any:
    """The same range for `RandomizedSearchCV`."""
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution):
        return randint(low, high + 1)
    return loguniform(low, high) if distribution.log else uniform(low, high - low)


def _cells(name: str, table: str, metric: str, records: Sequence[dict[str, Any]]) -> list[str]:
    """A line of the table: means and deviations over the seeds."""
    ours, theirs = (_column(records, f"{each}_test") for each in CONTESTANTS)
    figures = (ours.mean(), _deviation(ours), theirs.mean(), _deviation(theirs))
    ahead = f"{ours.mean() - theirs.mean():+.4f}"
    rank = f"{_ranks(records, 'test')[0].mean():.2f}"
    return [name, table, metric, *(f"{each:.4f}" for each in figures), ahead, rank]


def _summary(records: Sequence[dict[str, Any]]) -> list[str]:
    """Mean ranks over everything, of two, and where ours is behind by more than the seeds vary."""
    lines = []
    for rows, where in (("on the test rows", "test"), ("on the folds", "folds")):
        means = _ranks(records, where).mean(axis=1)
        shown = ", ".join(f"{n} {m:.2f}" for n, m in zip(CONTESTANTS, means, strict=True))
        lines.append(f"mean rank {rows}: {shown}")
    pairs = dict.fromkeys((each["task"], each["table"]) for each in records)
    behind = [" on ".join(pair) for pair in pairs if _is_behind(_of(records, *pair))]
    lines.append(f"behind by more than the seeds vary: {', '.join(behind) or 'nowhere'}")
    return lines


def _is_behind(records: Sequence[dict[str, Any]]) -> bool:
    """Whether random search is ahead by more than a deviation of its own scores."""
    ours, theirs = (_column(records, f"{each}_test") for each in CONTESTANTS)
    return bool(theirs.mean() - ours.mean() > _deviation(theirs))


def _of(records: Sequence[dict[str, Any]], task: str, table: str) -> list[dict[str, Any]]:
    return [each for each in records if (each["task"], each["table"]) == (task, table)]


def _column(records: Sequence[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([each[name] for each in records])


def _ranks(records: Sequence[dict[str, Any]], where: str) -> NDArray[np.float64]:
    """Ranks (contestants, races), 1 the better one; equal scores share theirs."""
    scores = np.array([_column(records, f"{each}_{where}") for each in CONTESTANTS])
    ranks: NDArray[np.float64] = rankdata(-scores, axis=0)
    return ranks


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


if __name__ == "__main__":
    main()
