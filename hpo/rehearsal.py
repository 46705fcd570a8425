"""What a search would take, told from one small round that is trained and thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hpo import warm_start
from hpo.data.table import Dataset
from hpo.preparation import Prepared, prepare, refuse_equal_costs, refuse_giants
from hpo.search.evaluation import Outcome, Slot, train_slots
from hpo.search.narrowing import NarrowingSettings, place
from hpo.search.problem import Problem
from hpo.search.space import SearchSpace
from hpo.search.stacks import stacks
from hpo.settings import Settings

TRIAL_BYTES = 3000
"""What a trial takes in the tables, apart from its curves and predictions: about, as measured."""

_EPOCHS = 3


@dataclass(frozen=True)
class Rehearsal:
    """A search that was not made. ``document`` is the JSON object of ``--dry-run --json``."""

    document: dict[str, Any]
    warnings: tuple[str, ...]


def rehearse(
    dataset: Dataset,
    settings: Settings,
    *,
    study: str,
    trials: int,
    workers: int,
    keep: int,
    warm_storage: str,
) -> Rehearsal:
    """Split, propose and time a search of ``trials`` trials; nothing is stored.

    Nothing is read either, but the study in ``warm_storage`` that it would start from. Seconds are
    those of all epochs, of which early stopping leaves out some.
    """
    prepared = prepare(dataset, settings)
    space = SearchSpace.from_json(settings.space)
    refuse_giants(prepared, space)
    refuse_equal_costs(prepared, space, settings)
    per_round = -(-trials // settings.rounds)
    told = warm_start.read(warm_storage, settings, per_round)
    start = warm_start.start(settings, told)
    narrowing = NarrowingSettings(settings.seed, per_round, settings.rounds, warm=told is not None)
    shape = space.shape(settings.optimizer)
    points = place(space.distributions, start.box, narrowing, range(per_round), shape, start.points)
    slots = [Slot(*pair) for pair in enumerate(points)]
    few = min(_EPOCHS, settings.epochs)
    shortened = _shortened(prepared.problem, few)
    # One stack of each recipe.
    samples = {
        prepared.problem.recipe.of(stack[0].params): stack
        for stack in stacks(prepared.problem, slots, workers, prepared.problem.n_networks)
    }
    outcomes: list[Outcome] = []
    seconds = 0.0
    for recipe, stack in samples.items():
        began = time.perf_counter()
        outcomes += train_slots(shortened, stack)
        each = (time.perf_counter() - began) / (few * len(stack))
        alike = sum(prepared.problem.recipe.of(slot.params) == recipe for slot in slots)
        # A round takes as long as the worker with the most networks.
        seconds += each * (-(-per_round // workers) * alike / per_round)
    rounds = -(-trials // per_round)
    document = {
        "dry_run": True,
        "study": study,
        "task": settings.task,
        "metric": settings.metric,
        "rows": prepared.rows,
        "cv": settings.cv,
        "network": list(prepared.problem.architecture.sizes),
        "trials": {"total": trials, "rounds": rounds, "per_round": per_round},
        "space": space.ranges({}),
        "estimate": {
            "seconds": round(seconds * settings.epochs * rounds, 1),
            "bytes": _bytes(prepared, settings.epochs, outcomes, trials, keep),
        },
    }
    return Rehearsal(document, prepared.warnings)


def _shortened(problem: Problem, epochs: int) -> Problem:
    """The problem with fewer epochs, none of which is left out."""
    settings = replace(problem.settings, epochs=epochs, patience=None)
    return replace(problem, settings=settings)


def _bytes(prepared: Prepared, epochs: int, outcomes: list[Outcome], trials: int, keep: int) -> int:
    """About what tables and stored networks take."""
    problem = prepared.problem
    curves = 4 * epochs * max((len(each.curves or ()) for each in outcomes), default=0)
    prediction = 4 * len(problem.scored.target) * problem.architecture.n_outputs
    blank = np.zeros((problem.n_networks, problem.architecture.n_params), np.float32)
    network = sum(map(len, prepared.network(blank, {}).to_bytes()))
    return trials * (TRIAL_BYTES + curves + prediction) + min(keep, trials) * network
