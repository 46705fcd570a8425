"""Each choice with several seeds: networks of one recipe train as one stack."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.comparing.choices import RATES, Choice
from hpo.search.evaluation import Outcome, Slot, train_slots
from hpo.search.problem import Problem
from hpo.search.processes import spread
from hpo.search.stacks import stacks


class Job(NamedTuple):
    """A network to be trained: a choice with one of the seeds, from 0."""

    choice: str
    seed: int
    params: Mapping[str, Any]
    patience: int | None


@dataclass(frozen=True)
class Run:
    """What became of a job.

    ``curves``: name -> (epochs,), of as many ``epochs`` as it trained; ``kept`` is the epoch, from
    1, whose network was kept, and ``train_score`` and ``val_score`` are this network's. A
    ``reason`` says why training failed, and the rest means nothing then.
    """

    choice: str
    learning_rate: float
    seed: int
    seconds: float
    reason: str | None
    epochs: int = 0
    kept: int = 0
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    train_score: float = math.nan
    val_score: float = math.nan


def jobs_of(
    problem: Problem,
    choices: Sequence[Choice],
    n_seeds: int,
    common: Mapping[str, Any],
    rates: Sequence[float] = (),
) -> list[Job]:
    """A job for each choice, learning rate and seed; ``common`` hyperparameters are those of all.

    Without ``rates`` it is the usual one of the choice's optimizer. The network of a seed starts
    from the same random state whatever the choice, and sees the rows in the same order, so that
    choices can be compared seed by seed.
    """
    jobs = []
    for choice in choices:
        params = {"weight_decay": 0.0, "dropout": 0.0, **common, **choice.params}
        usual = RATES[params.get("optimizer", problem.settings.optimizer)]
        for rate in rates or (usual,):
            own = params | {"learning_rate": rate}
            jobs += [Job(choice.name, seed, own, choice.patience) for seed in range(n_seeds)]
    return jobs


def train_jobs(problem: Problem, jobs: Sequence[Job], n_workers: int) -> Iterator[list[Run]]:
    """Runs of one stack after the other, in the order in which they are ready."""
    chunks = [
        chunk
        for patience in dict.fromkeys(job.patience for job in jobs)
        for chunk in stacks(problem, [job for job in jobs if job.patience == patience], n_workers)
    ]
    yield from spread(_train_stack, (problem,), chunks, n_workers, _lost)


def _train_stack(problem: Problem, jobs: Sequence[Job]) -> list[Run]:
    settings = replace(problem.settings, patience=jobs[0].patience)
    slots = [Slot(job.seed, job.params) for job in jobs]
    outcomes = train_slots(replace(problem, settings=settings), slots)
    return [_run(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]


def _run(job: Job, outcome: Outcome) -> Run:
    """What is kept of an outcome: its network and its predictions are not sent back."""
    rate, reason = job.params["learning_rate"], outcome.reason
    if outcome.value is None or outcome.train_value is None or outcome.curves is None:
        return Run(job.choice, rate, job.seed, outcome.seconds, reason or "training failed")
    return Run(
        choice=job.choice,
        learning_rate=rate,
        seed=job.seed,
        seconds=outcome.seconds,
        reason=None,
        epochs=outcome.epochs,
        kept=outcome.best_epoch,
        curves=outcome.curves,
        train_score=outcome.train_value,
        val_score=outcome.value,
    )


def _lost(job: Job, reason: str) -> Run:
    return Run(job.choice, job.params["learning_rate"], job.seed, 0.0, reason)
