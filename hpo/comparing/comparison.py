"""A comparison from a data set to its record; nothing is stored, and no test row is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hpo.comparing.choices import Choice
from hpo.comparing.finding import finding
from hpo.comparing.questions import batch_size_for, judged_by
from hpo.comparing.record import (
    Record,
    at_best_rate,
    choice_record,
    differences,
    level_of,
    rates_record,
)
from hpo.comparing.textbook import textbook
from hpo.comparing.training import Job, Run, jobs_of, train_jobs
from hpo.data.wording import counted
from hpo.errors import NoFiniteTrialError
from hpo.nn.architecture import Floats
from hpo.nn.measuring import means
from hpo.preparation import Prepared, refuse_giants
from hpo.search.problem import Problem
from hpo.search.space import SearchSpace
from hpo.settings import Settings

Told = Callable[[int, int], None]
"""Networks trained so far, and all."""


@dataclass(frozen=True)
class Comparison:
    """What is asked: ``choices`` of ``what``, each with so many seeds.

    ``common`` are hyperparameters of all networks; of several ``rates`` each choice has the best
    one, of none the usual one. ``level`` is the validation loss that epochs are
    counted to, None for one near the best.
    """

    what: str
    choices: Sequence[Choice]
    n_seeds: int
    common: dict[str, Any]
    rates: tuple[float, ...] = ()
    level: float | None = None


def compare(
    prepared: Prepared,
    settings: Settings,
    asked: Comparison,
    *,
    n_workers: int,
    told: Told = lambda _done, _all: None,
) -> Record:
    """Train every choice with every seed, and describe what came of it in plain values.

    Raises
    ------
    UsageError
        A network is too large for this machine.
    NoFiniteTrialError
        No network could be trained.
    """
    began = time.perf_counter()
    if settings.batch_size is None:
        prepared = _in_small_batches(prepared)
    problem = prepared.problem
    refuse_giants(prepared, SearchSpace({}))
    jobs = jobs_of(problem, asked.choices, asked.n_seeds, asked.common, asked.rates)
    runs: list[Run] = []
    for found in train_jobs(problem, jobs, n_workers):
        runs += found
        told(len(runs), len(jobs))
    runs.sort(key=lambda run: run.seed)
    if all(run.reason is not None for run in runs):
        raise NoFiniteTrialError(
            f"none of the {counted(len(runs), 'network')} could be trained: {runs[0].reason}; "
            "give a smaller --learning-rate"
        )
    record = _described(prepared, settings, asked, jobs, runs)
    record["finding"] = finding(record)
    record["textbook"] = textbook(record)
    record["seconds"] = time.perf_counter() - began
    return record


def guess_of(problem: Problem) -> float:
    """The validation loss of a guess that does not look: class shares, or the mean value."""
    classes, outputs = problem.training_target, problem.architecture.n_outputs
    if problem.target.task == "classification":
        shares = np.bincount(classes, minlength=outputs) / len(classes)
    else:
        shares = np.asarray(problem.training.targets[0], dtype=np.float64).mean(axis=0)
    rows = problem.validation
    prediction: Floats = np.broadcast_to(shares, (1, len(rows), outputs)).copy()
    return float(means(problem.architecture, prediction, rows.targets, None, None)[0][0])


def _in_small_batches(prepared: Prepared) -> Prepared:
    """Of a size that lets an epoch have some steps, so that curves have something to show."""
    problem = prepared.problem
    size = batch_size_for(len(problem.training))
    return replace(
        prepared, problem=replace(problem, settings=replace(problem.settings, batch_size=size))
    )


def _described(
    prepared: Prepared,
    settings: Settings,
    asked: Comparison,
    jobs: Sequence[Job],
    runs: Sequence[Run],
) -> Record:
    problem = prepared.problem
    every = {each.name: [r for r in runs if r.choice == each.name] for each in asked.choices}
    by_choice = {name: at_best_rate(each) for name, each in every.items()}
    params = {job.choice: job.params for job in jobs}
    guess = guess_of(problem)
    level = level_of(by_choice, guess) if asked.level is None else asked.level
    choices = [
        choice_record(each, params[each.name], by_choice[each.name], level)
        | {"rates": rates_record(every[each.name])}
        for each in asked.choices
    ]
    return {
        "what": asked.what,
        "task": settings.task,
        "metric": settings.metric,
        "rows": {name: n for name, n in prepared.rows.items() if name != "test"},
        "network": list(problem.architecture.sizes),
        "activation": asked.common.get("activation", problem.architecture.activation),
        "optimizer": problem.settings.optimizer,
        "epochs": problem.settings.epochs,
        "batch_size": problem.settings.batch_size,
        "seed": settings.seed,
        "n_seeds": asked.n_seeds,
        "guess": guess,
        "level": level,
        "level_is_given": asked.level is not None,
        "choices": choices,
        "judged_by": judged_by(asked.what),
        "differences": differences(choices, judged_by(asked.what)),
    }
