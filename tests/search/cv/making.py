"""Searches that take moments, and estimators that tell what became of them."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge

from hpo import NarrowingSearchCV

ALPHA = {"alpha": FloatDistribution(1e-6, 10, log=True)}


def ridge(**params: Any) -> NarrowingSearchCV:
    """A search for the penalty of a linear model: three rounds of four."""
    given: dict[str, Any] = {"estimator": Ridge(), "param_distributions": ALPHA}
    given |= {"n_trials": 12, "n_rounds": 3, "cv": 3, "random_state": 0}
    return NarrowingSearchCV(**(given | params))


class Counted(Ridge):  # type: ignore[misc]
    """A linear model that counts its fits in this process, and is broken off at one of them."""

    fits = 0
    last = 10**9

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if Counted.fits == Counted.last:
            raise KeyboardInterrupt
        Counted.fits += 1
        return super().fit(X, y, sample_weight)


class Fragile(BaseEstimator):  # type: ignore[misc]
    """Scores best at 0.7, and cannot be fitted below a limit."""

    def __init__(self, place: float = 0.0, limit: float = 0.5) -> None:
        self.place = place
        self.limit = limit

    def fit(self, X: Any, y: Any = None) -> Fragile:
        if self.place < self.limit:
            raise ValueError("too low")
        self.fitted_ = True
        return self

    def score(self, X: Any, y: Any = None) -> float:
        return -float(np.square(self.place - 0.7))


def without_seconds(results: dict[str, Any]) -> dict[str, Any]:
    """What two runs of a search have in common: all results but the times."""
    return {name: each for name, each in results.items() if not name.endswith("_time")}


def assert_same_results(left: NarrowingSearchCV, right: NarrowingSearchCV) -> None:
    """Assert that two searches came to the same, bit for bit."""
    ours, theirs = without_seconds(left.cv_results_), without_seconds(right.cv_results_)
    assert ours.keys() == theirs.keys()
    for name, each in ours.items():
        np.testing.assert_array_equal(each, theirs[name], err_msg=name)
    assert left.rounds_ == right.rounds_
    assert left.best_index_ == right.best_index_
    assert left.best_params_ == right.best_params_


class Dying(Ridge):  # type: ignore[misc]
    """A linear model whose process is killed at the fit that the environment names."""

    fits = 0

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if Dying.fits == int(os.environ.get("DIES_AT", "-1")):
            os.kill(os.getpid(), signal.SIGKILL)
        Dying.fits += 1
        return super().fit(X, y, sample_weight)
