"""What the trials of another study say of good points, read once, when a study is created."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from hpo.errors import UsageError
from hpo.leaderboard import choose
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, adopted, warmed
from hpo.search.space import SearchSpace
from hpo.search.start import Start
from hpo.settings import Settings
from storage import optuna_studies, optuna_trials, reader
from storage.optuna_studies import Study
from storage.records import TrialRecord
from storage.urls import masked

WARM_ATTRIBUTE = "hpo:warm_start"
"""The user attribute of a study that holds what another one told it."""

Record = Mapping[str, Any]
"""That attribute: ``study`` and ``storage`` it was read from, the ``trials`` that counted, the
``ranges`` that they leave to the first round, and the ``point`` of the best of them."""


def read(url: str, settings: Settings, per_round: int) -> Record | None:
    """What the study ``settings.warm_start`` in the storage ``url`` says; None if none is named.

    Raises
    ------
    UsageError
        If there is no such study, or none of its trials lies in what is searched.
    StorageError
        If the storage cannot be read.
    """
    name = settings.warm_start
    if name is None:
        return None
    with reader.opened(url) as opened:
        study, trials = opened.read(lambda connection: _study(connection, name))
    if len(study.directions) != 1:
        raise UsageError(
            f"--warm-start {name}: its trials have {len(study.directions)} values each, and no "
            "order; name a study with one"
        )
    space = SearchSpace.from_json(settings.space)
    losses = _losses(trials, -1.0 if study.directions == ("MAXIMIZE",) else 1.0)
    usable = [each for each in losses if adopted(space.distributions, each.params)]
    if not usable:
        raise UsageError(
            f"--warm-start {name}: none of its {len(losses)} finished trials lies in what is "
            f"searched, {', '.join(space.distributions)}; widen --space, or leave it out"
        )
    narrowing = NarrowingSettings(settings.seed, per_round, settings.rounds)
    best = min(usable, key=lambda each: (each.value, each.number))
    return {
        "study": name,
        "storage": masked(url),
        "trials": len(usable),
        "ranges": space.ranges(warmed(space.distributions, usable, narrowing)),
        "point": adopted(space.distributions, best.params),
    }


def start(settings: Settings, record: Record | None) -> Start:
    """What a search begins with: the user's points, then the other study's best one."""
    points = tuple(dict(each) for each in settings.points)
    if record is None:
        return Start(points)
    box = SearchSpace.from_json(settings.space).box(record["ranges"])
    return Start((*points, dict(record["point"])), box)


def _study(connection: Connection, name: str) -> tuple[Study, list[TrialRecord]]:
    try:
        study = choose(optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE), name)
    except UsageError as error:
        raise UsageError(f"--warm-start: {error}") from error
    return study, optuna_trials.trials(connection, study.study_id)


def _losses(trials: list[TrialRecord], sign: float) -> list[FinishedTrial]:
    """The trials with a finite value, which is a loss: smaller is better."""
    return [
        FinishedTrial(trial.number, sign * trial.value, trial.params)
        for trial in trials
        if trial.value is not None and math.isfinite(trial.value)
    ]
