"""The best few trials again, with other seeds, and for small data on other rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.nn.members import Rows
from hpo.nn.network import predict
from hpo.nn.training import Curves, train
from hpo.search import streams
from hpo.search.evaluation import plain
from hpo.search.folds import Folds, count_folds
from hpo.search.narrowing import Point
from hpo.search.problem import Problem
from hpo.search.processes import spread
from hpo.search.stacks import stacks
from hpo.search.views import Part, View, divided, view


class Job(NamedTuple):
    """A network to be trained: a trial's parameters for so many epochs, once more.

    ``repeat`` counts from 0. Where there are folds, one after the other is held out, and from the
    first one again with other seeds.
    """

    number: int
    params: Point
    epochs: int
    repeat: int


@dataclass(frozen=True)
class Repeat:
    """What became of a job: the metric on held-out and on training rows, NaN if training failed.

    It is NaN too on held-out rows where none are held out. ``prediction`` (rows held out, outputs)
    float32, as the network gives it; its ``params`` are of the shape (n_params,). Both are empty if
    training failed.
    """

    number: int
    repeat: int
    value: float = math.nan
    train_value: float = math.nan
    prediction: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    params: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    @property
    def trained(self) -> bool:
        """Whether there is a network."""
        return len(self.params) > 0


class Retrained(NamedTuple):
    """How many networks are trained, ``done`` of ``total``, of those that follow a search.

    So many ``trials`` are trained again to choose the winner; or the winner alone is, on all
    ``rows`` but those for the test.
    """

    trials: int
    done: int
    total: int
    rows: int | None = None


Heard = Callable[[Retrained], None]
"""What is told of it, whenever there is news."""


def unheard(_retrained: Retrained) -> None:
    """Nobody wants to know."""


def repeat(
    problem: Problem, given: Folds | None, jobs: Sequence[Job], n_workers: int, deadline: float
) -> Iterator[list[Repeat]]:
    """Train the jobs in ``n_workers`` processes; what is not done at ``deadline`` is left out."""
    chunks = stacks(problem, jobs, n_workers)
    yield from spread(_in_time, (problem, given, deadline), chunks, n_workers, _lost)


def train_jobs(problem: Problem, given: Folds | None, jobs: Sequence[Job]) -> list[Repeat]:
    """Train the jobs, which have one recipe, as one stack.

    Each trains for its own number of epochs and keeps its last weights, so that no row that scores
    it has decided when it stops.
    """
    recipe = problem.recipe.of(jobs[0].params)
    settings = replace(recipe.settings, patience=None)
    states = [(problem.seed, streams.REPEAT, job.number, job.repeat) for job in jobs]
    budget = np.array([job.epochs for job in jobs])

    def done(epoch: int, _curves: Curves) -> NDArray[np.bool_]:
        return epoch + 1 >= budget

    trained = train(
        recipe.architecture,
        settings,
        recipe.members([job.params for job in jobs], states),
        _rows(problem, given, jobs),
        None,
        problem.row_loss,
        hopeless=done,
    )
    measure = measuring(problem, given)
    return [
        Repeat(job.number, job.repeat)
        if trained.diverged[place]
        else measure(job, trained.params[place])
        for place, job in enumerate(jobs)
    ]


Measure = Callable[[Job, NDArray[np.float32]], Repeat]


def measuring(problem: Problem, given: Folds | None) -> Measure:
    """Return what tells what a job has come to by its network's ``params``, (n_params,)."""
    view_of = _views(problem, given)

    def measure(job: Job, params: NDArray[np.float32]) -> Repeat:
        architecture = problem.recipe.of(job.params).architecture
        seen, hidden = view_of(job)
        fitted = predict(architecture, params[None], seen.X)
        prediction = predict(architecture, params[None], hidden.X)
        none = not len(hidden.target)
        value = math.nan if none else _score(problem, prediction, hidden)
        train_value = _score(problem, fitted, seen)
        if math.isfinite(train_value) and (none or math.isfinite(value)):
            return Repeat(job.number, job.repeat, value, train_value, prediction[0], params)
        return Repeat(job.number, job.repeat)

    return measure


def pooled_target(problem: Problem) -> NDArray[Any]:
    """The target of training and validation rows, as metrics are measured against; (rows,)."""
    return np.concatenate([problem.training_target, problem.validation_target])


def _rows(problem: Problem, given: Folds | None, jobs: Sequence[Job]) -> Rows:
    """What the stack of these jobs trains on."""
    if given is None:
        return plain(problem.training)
    held_out = [job.repeat % count_folds(given) for job in jobs]
    rows, _ = divided(_pool(problem), given, held_out)
    return rows


def _views(problem: Problem, given: Folds | None) -> Callable[[Job], View]:
    """The rows that a job sees, and those that it does not."""
    if given is None:
        seen = Part(plain(problem.training).X, problem.training_target)
        hidden = Part(plain(problem.validation).X, problem.validation_target)
        return lambda _job: View(seen, hidden)
    dealt, pool = given, Part(_pool(problem).X, pooled_target(problem))
    return lambda job: view(pool, dealt, job.repeat % count_folds(dealt))


def _pool(problem: Problem) -> Rows:
    """Training and validation rows together, which the folds divide."""
    training, validation = plain(problem.training), plain(problem.validation)
    pairs = zip(training.targets, validation.targets, strict=True)
    targets = tuple(np.concatenate(pair) for pair in pairs)
    return Rows(np.concatenate([training.X, validation.X]), targets)


def _score(problem: Problem, prediction: NDArray[Any], part: Part) -> float:
    return float(problem.metric(problem.in_units(prediction), part.target)[0])


def _lost(job: Job, _reason: str) -> Repeat:
    return Repeat(job.number, job.repeat)


def _in_time(
    problem: Problem, given: Folds | None, deadline: float, jobs: Sequence[Job]
) -> list[Repeat]:
    return [] if time.time() >= deadline else train_jobs(problem, given, jobs)
