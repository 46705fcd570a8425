"""What Optuna's tables say of the trials of one study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import condition, schema
from storage.optuna_tables import ATTRIBUTES, PARAMS, TRIALS, VALUES
from storage.records import TrialRecord

_INFINITIES = {"INF_POS": float("inf"), "INF_NEG": float("-inf")}


def trials(
    connection: Connection, study_id: int, attributes: Sequence[str] = ()
) -> list[TrialRecord]:
    """The trials in the order of their numbers, with these of their attributes.

    The value is the first one and the costs are the others, if there are several.
    """
    of_study = TRIALS.c.study_id == study_id
    values = _values(connection, of_study)
    costs = _costs(connection, of_study)
    params = _params(connection, of_study)
    known = _attributes(connection, of_study, attributes) if attributes else {}
    query = sa.select(TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state).where(of_study)
    return [
        TrialRecord(
            number,
            str(state),
            values.get(trial_id) if str(state) == "COMPLETE" else None,
            params.get(trial_id, {}),
            known.get(trial_id, {}),
            trial_id,
            costs=costs.get(trial_id, ()) if str(state) == "COMPLETE" else (),
        )
        for trial_id, number, state in connection.execute(query.order_by(TRIALS.c.number))
    ]


def seconds(connection: Connection, study_id: int) -> dict[int, float]:
    """Number of a trial -> seconds from its start to its end, of those that have both."""
    query = sa.select(TRIALS.c.number, TRIALS.c.datetime_start, TRIALS.c.datetime_complete)
    return {
        number: (end - start).total_seconds()
        for number, start, end in connection.execute(query.where(TRIALS.c.study_id == study_id))
        if isinstance(start, datetime) and isinstance(end, datetime)
    }


def attributes(
    connection: Connection, study_id: int, number: int, names: Sequence[str]
) -> dict[str, Any]:
    """These of the attributes of one trial, as far as it has them."""
    one = sa.and_(TRIALS.c.study_id == study_id, TRIALS.c.number == number)
    return next(iter(_attributes(connection, one, names).values()), {})


def unheld(connection: Connection, study_id: int, experiment: str) -> list[int]:
    """The numbers of the trials that are RUNNING and that no owner of ``experiment`` holds."""
    running = TRIALS.c.state == sa.literal_column("'RUNNING'")
    query = sa.select(TRIALS.c.number).where(TRIALS.c.study_id == study_id, running)
    claims = schema.claims
    if claims.name in condition.tables(connection):
        held = sa.select(claims.c.trial_id).where(claims.c.experiment == experiment)
        query = query.where(TRIALS.c.trial_id.not_in(held))
    return list(connection.execute(query.order_by(TRIALS.c.number)).scalars())


def _values(connection: Connection, chosen: sa.ColumnElement[bool]) -> dict[int, float]:
    query = (
        sa.select(VALUES.c.trial_id, VALUES.c.value, VALUES.c.value_type)
        .join_from(TRIALS, VALUES, TRIALS.c.trial_id == VALUES.c.trial_id)
        .where(chosen, VALUES.c.objective == 0)
    )
    return {
        trial_id: _INFINITIES.get(str(kind), value)
        for trial_id, value, kind in connection.execute(query)
    }


def _costs(connection: Connection, chosen: sa.ColumnElement[bool]) -> dict[int, tuple[float, ...]]:
    """The values after the first, in their order."""
    query = (
        sa.select(VALUES.c.trial_id, VALUES.c.value, VALUES.c.value_type)
        .join_from(TRIALS, VALUES, TRIALS.c.trial_id == VALUES.c.trial_id)
        .where(chosen, VALUES.c.objective > 0)
        .order_by(VALUES.c.trial_id, VALUES.c.objective)
    )
    found: dict[int, tuple[float, ...]] = {}
    for trial_id, value, kind in connection.execute(query):
        found[trial_id] = (*found.get(trial_id, ()), _INFINITIES.get(str(kind), value))
    return found


def _params(connection: Connection, chosen: sa.ColumnElement[bool]) -> dict[int, dict[str, Any]]:
    from optuna.distributions import BaseDistribution, json_to_distribution  # noqa: PLC0415

    query = (
        sa.select(
            PARAMS.c.trial_id,
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
    for trial_id, name, value, text in connection.execute(query):
        distribution = known.get(text) or known.setdefault(text, json_to_distribution(text))
        params.setdefault(trial_id, {})[name] = distribution.to_external_repr(value)
    return params


def _attributes(
    connection: Connection, chosen: sa.ColumnElement[bool], names: Sequence[str]
) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(ATTRIBUTES.c.trial_id, ATTRIBUTES.c.key, ATTRIBUTES.c.value_json)
        .join_from(TRIALS, ATTRIBUTES, TRIALS.c.trial_id == ATTRIBUTES.c.trial_id)
        .where(chosen, ATTRIBUTES.c.key.in_(names))
    )
    found: dict[int, dict[str, Any]] = {}
    for trial_id, key, text in connection.execute(query):
        found.setdefault(trial_id, {})[key] = json.loads(text)
    return found
