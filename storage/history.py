"""What Optuna's tables say of a study. Every function works inside the connection given to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection

from storage.errors import StorageError, StudyGoneError
from storage.optuna_models import (
    ATTRIBUTES,
    INTERMEDIATE,
    PARAMS,
    STUDIES,
    STUDY_USER,
    TRIALS,
    VALUES,
)
from storage.ordinary import by_revision
from storage.records import Stage, TrialRecord


@by_revision
def studies(connection: Connection) -> dict[str, int]:
    """Name -> number in Optuna's tables, of every study, the oldest first."""
    query = sa.select(STUDIES.c.study_name, STUDIES.c.study_id).order_by(STUDIES.c.study_id)
    return {row.study_name: row.study_id for row in connection.execute(query)}


@by_revision
def find_study(connection: Connection, name: str) -> int | None:
    """The study's number in Optuna's tables; None if there is none of this name.

    Raises ``StorageError`` for a name that the database, MySQL say, takes for another study's.
    """
    query = sa.select(STUDIES.c.study_name, STUDIES.c.study_id)
    row = connection.execute(query.where(STUDIES.c.study_name == name)).first()
    if row is None:
        return None
    if row.study_name != name:
        raise StorageError(
            f"the database takes the study names {row.study_name!r} and {name!r} for one: "
            "use another --study"
        )
    return int(row.study_id)


@by_revision
def study_attributes(connection: Connection, study_id: int) -> dict[str, Any]:
    """The user attributes of a study; empty if it is not there."""
    query = sa.select(STUDY_USER.c.key, STUDY_USER.c.value_json)
    rows = connection.execute(query.where(STUDY_USER.c.study_id == study_id))
    return {key: json.loads(text) for key, text in rows}


@by_revision
def attributes_named(connection: Connection, key: str) -> dict[int, Any]:
    """Study -> its user attribute of this name, of the studies that have it."""
    query = sa.select(STUDY_USER.c.study_id, STUDY_USER.c.value_json)
    rows = connection.execute(query.where(STUDY_USER.c.key == key))
    return {study_id: json.loads(text) for study_id, text in rows}


@by_revision
def count(connection: Connection, study_id: int) -> int:
    """How many trials the study has; raises ``StudyGoneError`` if it was deleted."""
    exists = sa.select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)
    if connection.execute(exists).first() is None:
        raise StudyGoneError("the study was deleted while it was searched")
    query = sa.select(sa.func.count()).where(TRIALS.c.study_id == study_id)
    return int(connection.execute(query).scalar_one())


@by_revision
def states(connection: Connection, study_id: int) -> dict[str, int]:
    """Optuna's name of a state -> how many trials are in it."""
    query = sa.select(TRIALS.c.state, sa.func.count()).where(TRIALS.c.study_id == study_id)
    return {state.name: n for state, n in connection.execute(query.group_by(TRIALS.c.state))}


@by_revision
def trials(
    connection: Connection,
    study_id: int,
    since: int = 0,
    attributes: Sequence[str] | None = None,
    *,
    intermediate: bool = False,
) -> list[TrialRecord]:
    """The trials from Optuna's id ``since`` on, in the order of their numbers.

    With all user attributes, or only those of the names ``attributes``; with ``intermediate``
    values only if these are wanted.
    """
    chosen = sa.and_(TRIALS.c.study_id == study_id, TRIALS.c.trial_id >= since)
    params = _params(connection, chosen)
    named = chosen if attributes is None else sa.and_(chosen, ATTRIBUTES.c.key.in_(attributes))
    known = _attributes(connection, named)
    values, costs = _values(connection, chosen)
    courses = _intermediate(connection, chosen) if intermediate else {}
    return [
        TrialRecord(
            number=number,
            state=state,
            value=values.get(number),
            params=params.get(number, {}),
            attributes=known.get(number, {}),
            trial_id=trial_id,
            intermediate=courses.get(number, {}),
            costs=costs.get(number, ()),
        )
        for number, state, trial_id in stages(connection, study_id, since)
    ]


@by_revision
def stages(connection: Connection, study_id: int, since: int = 0) -> list[Stage]:
    """How far the trials from Optuna's id ``since`` on have come, in the order of their numbers."""
    query = (
        sa.select(TRIALS.c.number, TRIALS.c.state, TRIALS.c.trial_id)
        .where(TRIALS.c.study_id == study_id, TRIALS.c.trial_id >= since)
        .order_by(TRIALS.c.number)
    )
    rows = connection.execute(query).all()
    return [Stage(number, state.name, trial_id) for number, state, trial_id in rows]


@by_revision
def waiting(
    connection: Connection, study_id: int, below: int, since: int, taken: sa.Select[tuple[int]]
) -> list[tuple[int, int]]:
    """Number and Optuna's id of the WAITING trials numbered under ``below``, in order.

    Those whose ids ``taken`` selects are left out, and so are those with an id below ``since``.
    """
    query = (
        sa.select(TRIALS.c.number, TRIALS.c.trial_id)
        .where(TRIALS.c.study_id == study_id, TRIALS.c.trial_id >= since)
        .where(TRIALS.c.state == TrialState.WAITING, TRIALS.c.number < below)
        .where(TRIALS.c.trial_id.not_in(taken))
        .order_by(TRIALS.c.number)
    )
    return list(connection.execute(query).all())


@by_revision
def unfinished(connection: Connection, study_id: int, below: int, since: int = 0) -> set[str]:
    """Those of the states WAITING and RUNNING that trials under ``below`` are in."""
    query = (
        sa.select(TRIALS.c.state)
        .distinct()
        .where(TRIALS.c.study_id == study_id, TRIALS.c.trial_id >= since)
        .where(TRIALS.c.state.in_([TrialState.WAITING, TrialState.RUNNING]))
        .where(TRIALS.c.number < below)
    )
    return {state.name for state in connection.execute(query).scalars()}


@by_revision
def params_of(connection: Connection, ids: list[int]) -> dict[int, dict[str, Any]]:
    """Number -> parameters, of trials by Optuna's ids."""
    if not ids:
        return {}
    wanted = set(ids)
    # A range, because a statement takes a limited number of variables.
    return _params(connection, TRIALS.c.trial_id.between(min(ids), max(ids)), wanted)


@by_revision
def running(connection: Connection, ids: sa.Select[tuple[int]]) -> dict[int, int]:
    """Number -> Optuna's id, in order, of the RUNNING ones of the trials whose ids are selected."""
    query = sa.select(TRIALS.c.number, TRIALS.c.trial_id).where(
        TRIALS.c.trial_id.in_(ids), TRIALS.c.state == TrialState.RUNNING
    )
    rows = connection.execute(query.order_by(TRIALS.c.number))
    return dict(rows.all())


def _params(
    connection: Connection, chosen: sa.ColumnElement[bool], ids: set[int] | None = None
) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(
            TRIALS.c.number,
            TRIALS.c.trial_id,
            PARAMS.c.param_name,
            PARAMS.c.param_value,
            PARAMS.c.distribution_json,
        )
        .join_from(TRIALS, PARAMS, TRIALS.c.trial_id == PARAMS.c.trial_id)
        .where(chosen)
        .order_by(PARAMS.c.param_id)
    )
    known: dict[str, BaseDistribution] = {}
    params: dict[int, dict[str, Any]] = {}
    for number, trial_id, name, value, text in connection.execute(query).all():
        if ids is not None and trial_id not in ids:
            continue
        distribution = known.get(text) or known.setdefault(text, json_to_distribution(text))
        params.setdefault(number, {})[name] = distribution.to_external_repr(value)
    return params


def _values(
    connection: Connection, chosen: sa.ColumnElement[bool]
) -> tuple[dict[int, float], dict[int, tuple[float, ...]]]:
    """Number -> first value, and number -> the others, of those that have several."""
    query = (
        sa.select(TRIALS.c.number, VALUES.c.objective, VALUES.c.value, VALUES.c.value_type)
        .join_from(TRIALS, VALUES, TRIALS.c.trial_id == VALUES.c.trial_id)
        .where(chosen, TRIALS.c.state == TrialState.COMPLETE)
    )
    decode = models.TrialValueModel.stored_repr_to_value
    rows = connection.execute(query).all()
    first = {number: decode(value, kind) for number, at, value, kind in rows if at == 0}
    others: dict[int, dict[int, float]] = {}
    if len(first) < len(rows):
        for number, at, value, kind in rows:
            if at:
                others.setdefault(number, {})[at] = decode(value, kind)
    return first, {
        number: tuple(each[at] for at in sorted(each)) for number, each in others.items()
    }


def _attributes(
    connection: Connection, chosen: sa.ColumnElement[bool]
) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(TRIALS.c.number, ATTRIBUTES.c.key, ATTRIBUTES.c.value_json)
        .join_from(TRIALS, ATTRIBUTES, TRIALS.c.trial_id == ATTRIBUTES.c.trial_id)
        .where(chosen)
    )
    attributes: dict[int, dict[str, Any]] = {}
    for number, key, text in connection.execute(query).all():
        attributes.setdefault(number, {})[key] = json.loads(text)
    return attributes


def _intermediate(
    connection: Connection, chosen: sa.ColumnElement[bool]
) -> dict[int, dict[int, float]]:
    """Number -> step -> value, the steps in order."""
    value, kind = INTERMEDIATE.c.intermediate_value, INTERMEDIATE.c.intermediate_value_type
    query = (
        sa.select(TRIALS.c.number, INTERMEDIATE.c.step, value, kind)
        .join_from(TRIALS, INTERMEDIATE, TRIALS.c.trial_id == INTERMEDIATE.c.trial_id)
        .where(chosen)
        .order_by(TRIALS.c.number, INTERMEDIATE.c.step)
    )
    decode = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    found: dict[int, dict[int, float]] = {}
    for number, step, stored, its_kind in connection.execute(query):
        found.setdefault(number, {})[step] = decode(stored, its_kind)
    return found
