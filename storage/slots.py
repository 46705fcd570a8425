"""Trials of a round, written to Optuna's tables many at a time.

Every function works inside the connection that it is given, and is written for one revision of
these tables; `storage.trials` sees to that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import Connection

from storage import bulk, history
from storage.errors import StorageError
from storage.optuna_models import (
    ATTRIBUTES,
    DIRECTIONS,
    INTERMEDIATE,
    PARAMS,
    STUDIES,
    STUDY_SYSTEM,
    STUDY_USER,
    TRIALS,
    VALUES,
)
from storage.ordinary import by_revision
from storage.records import Json, Result, Slot

_FINITE = models.TrialValueModel.TrialValueType.FINITE.name

_MOST_IDS = 90
"""A statement takes a limited number of variables."""

METRIC_NAMES = "study:metric_names"
"""The system attribute in which Optuna keeps the names of a study's values."""


@by_revision
def create_study(
    connection: Connection,
    name: str,
    metric: str,
    attributes: Mapping[str, Json],
    costs: Sequence[str] = (),
) -> int:
    """Enter a study, whole; returns its number in Optuna's tables.

    It maximises the ``metric``, its first value, and minimises the ``costs``, its others.
    """
    inserted = connection.execute(STUDIES.insert(), {"study_name": name}).inserted_primary_key
    assert inserted is not None
    study_id = int(inserted[0])
    ways = [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in costs)]
    directions = [
        {"study_id": study_id, "objective": at, "direction": way} for at, way in enumerate(ways)
    ]
    connection.execute(DIRECTIONS.insert(), directions)
    rows = [
        {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]
    connection.execute(STUDY_USER.insert(), rows)
    names = {"study_id": study_id, "key": METRIC_NAMES, "value_json": json.dumps([metric, *costs])}
    connection.execute(STUDY_SYSTEM.insert(), names)
    return study_id


@by_revision
def lock_study(connection: Connection, study_id: int, attribute: str) -> Json:
    """Let no other transaction add trials or change what is claimed, until this one ends.

    It is the lock that Optuna takes too. Returns a user attribute of the study; None if it, or the
    study, is not there.
    """
    query = (
        sa.select(STUDY_USER.c.value_json)
        .join_from(STUDIES, STUDY_USER, STUDIES.c.study_id == STUDY_USER.c.study_id)
        .where(STUDIES.c.study_id == study_id, STUDY_USER.c.key == attribute)
        .with_for_update()
    )
    text = connection.execute(query).scalar()
    return None if text is None else json.loads(text)


@by_revision
def create(
    connection: Connection,
    study_id: int,
    slots: Sequence[Slot],
    distributions: Mapping[str, BaseDistribution],
) -> bool:
    """Enter ``slots`` as WAITING trials with their parameters and full distributions.

    Returns False, and does nothing, if the first of them exists already: another search entered it.
    Raises ``StorageError`` if the study's next number is a lower one.
    """
    present = history.count(connection, study_id)
    if present > slots[0].number:
        return False
    if present < slots[0].number:
        raise StorageError(
            f"the study holds {present} trials where {slots[0].number} were expected: another "
            "program removed some; use another --study"
        )
    rows = [{"number": slot.number, "study_id": study_id, "state": "WAITING"} for slot in slots]
    connection.execute(TRIALS.insert(), rows)
    ids = _newest(connection, study_id, len(slots))
    described = {name: distribution_to_json(each) for name, each in distributions.items()}
    bulk.insert(
        connection,
        PARAMS,
        ("trial_id", "param_name", "param_value", "distribution_json"),
        (
            (ids[slot.number], name, distributions[name].to_internal_repr(value), described[name])
            for slot in slots
            for name, value in slot.params.items()
        ),
    )
    return True


def _newest(connection: Connection, study_id: int, limit: int) -> dict[int, int]:
    """Number -> Optuna's id, of the trials that were entered last."""
    query = (
        sa.select(TRIALS.c.number, TRIALS.c.trial_id)
        .where(TRIALS.c.study_id == study_id)
        .order_by(TRIALS.c.trial_id.desc())
        .limit(limit)
    )
    return dict(connection.execute(query).all())


@by_revision
def start(connection: Connection, ids: sa.Select[tuple[int]]) -> None:
    """Set the WAITING ones of the trials whose ids are selected RUNNING."""
    begin = {TRIALS.c.state: TrialState.RUNNING, TRIALS.c.datetime_start: _now()}
    chosen = sa.and_(TRIALS.c.trial_id.in_(ids), TRIALS.c.state == TrialState.WAITING)
    connection.execute(TRIALS.update().where(chosen).values(begin))


@by_revision
def free(connection: Connection, study_id: int, claimed: sa.Select[Any], since: int = 0) -> int:
    """Give RUNNING trials that are not ``claimed`` back to WAITING; returns how many there were.

    ``claimed`` selects Optuna's ids, those from ``since`` on count. A trial keeps its number and
    its parameters.
    """
    loose = sa.and_(
        TRIALS.c.study_id == study_id,
        TRIALS.c.trial_id >= since,
        TRIALS.c.state == TrialState.RUNNING,
        TRIALS.c.trial_id.not_in(claimed),
    )
    back = {TRIALS.c.state: TrialState.WAITING, TRIALS.c.datetime_start: None}
    return connection.execute(TRIALS.update().where(loose).values(back)).rowcount


@by_revision
def finish(connection: Connection, ids: Mapping[int, int], results: Sequence[Result]) -> None:
    """Write results and set their trials COMPLETE, PRUNED, or FAIL where there is no value.

    ``ids`` maps numbers to Optuna's ids.
    """
    if not results:
        return
    bulk.insert(
        connection,
        VALUES,
        ("trial_id", "objective", "value", "value_type"),
        (
            (ids[each.number], objective, value, _FINITE)
            for each in results
            for objective, value in enumerate(each.values)
        ),
    )
    bulk.insert(
        connection,
        INTERMEDIATE,
        ("trial_id", "step", "intermediate_value", "intermediate_value_type"),
        (
            (ids[each.number], step, *_intermediate(value))
            for each in results
            for step, value in each.intermediate.items()
        ),
    )
    bulk.insert(
        connection,
        ATTRIBUTES,
        ("trial_id", "key", "value_json"),
        (
            (ids[each.number], key, json.dumps(value))
            for each in results
            for key, value in each.attributes.items()
        ),
    )
    now = _now()
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        ended = [ids[each.number] for each in results if each.state == state.name]
        for start in range(0, len(ended), _MOST_IDS):
            some = TRIALS.c.trial_id.in_(ended[start : start + _MOST_IDS])
            end = {TRIALS.c.state: state, TRIALS.c.datetime_complete: now}
            connection.execute(TRIALS.update().where(some).values(end))


def _intermediate(value: float) -> tuple[float | None, str]:
    if math.isfinite(value):
        return value, _FINITE
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return stored, kind.name


def _now() -> datetime:
    """Optuna keeps times in UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)
