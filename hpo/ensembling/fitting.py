"""One learner, or one stack of networks, fitted on some rows, as a worker process does it.

Each process imports what stands here anew, and that takes longer than most learners do. So it is
little.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from ensembles.losses import Values
from ensembles.members import outputs
from hpo.data.schema import Task
from hpo.ensembling import learners
from hpo.nn.threads import one_blas_thread
from hpo.search.folds import Folds
from hpo.search.problem import Problem
from hpo.search.repeats import Job, Repeat, train_jobs


class Fitted(NamedTuple):
    """A model, what it predicts for rows that it did not see, and the seconds that it took."""

    model: Any
    prediction: Values
    seconds: float


def fit(
    name: str,
    task: Task,
    X: NDArray[np.float32],
    y: NDArray[Any],
    hidden: NDArray[np.float32],
    seed: int,
    n_classes: int | None,
) -> Fitted:
    """Fit the learner ``name`` to ``X`` (rows, inputs) and ``y``; it predicts ``hidden``.

    ``y``: class indices (rows,), or values (rows, 1).
    """
    began = time.perf_counter()
    # Other processes train beside this one, and threads of OpenMP that wait for a core spin.
    with one_blas_thread(), threadpool_limits(1, user_api="openmp"), warnings.catch_warnings():
        # A model that has not converged is a candidate like others: its predictions are scored.
        warnings.simplefilter("ignore", ConvergenceWarning)
        own = y if y.ndim == 1 else y[:, 0].astype(np.float64)
        model = learners.make(name, task, own, seed).fit(X, own)
        predicted = outputs(model, hidden, n_classes)
    return Fitted(model, predicted, time.perf_counter() - began)


class Trained(NamedTuple):
    """What became of the networks of a stack, and the seconds that it took."""

    repeats: list[Repeat]
    seconds: float


def train(problem: Problem, folds: Folds | None, jobs: Sequence[Job]) -> Trained:
    """Train the jobs, which have one recipe, as one stack."""
    began = time.perf_counter()
    return Trained(train_jobs(problem, folds, jobs), time.perf_counter() - began)
