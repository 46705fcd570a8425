"""What Optuna's tables say of all studies: how they are named, and how their trials are."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.optuna_tables import (
    ATTRIBUTES,
    DIRECTIONS,
    STUDIES,
    STUDY_SYSTEM,
    STUDY_USER,
    TRIALS,
    VALUES,
)

_METRIC_NAMES = "study:metric_names"


class Study(NamedTuple):
    """A study of Optuna's. ``directions`` are MAXIMIZE or MINIMIZE, one for each value.

    ``metrics`` are the names of its values, if it has any; ``experiment`` is the user attribute
    that was asked for, None if it has none.
    """

    study_id: int
    name: str
    directions: tuple[str, ...]
    metrics: tuple[str, ...]
    experiment: str | None


def studies(connection: Connection, attribute: str) -> list[Study]:
    """Every study, the oldest first; ``attribute`` names the one that holds its experiment."""
    directions: dict[int, list[str]] = {}
    for row in connection.execute(sa.select(DIRECTIONS).order_by(DIRECTIONS.c.objective)):
        directions.setdefault(row.study_id, []).append(str(row.direction))
    metrics = _of_studies(connection, STUDY_SYSTEM, _METRIC_NAMES)
    experiments = _of_studies(connection, STUDY_USER, attribute)
    return [
        Study(
            row.study_id,
            row.study_name,
            tuple(directions.get(row.study_id, ())),
            tuple(map(str, metrics.get(row.study_id) or ())),
            _text(experiments.get(row.study_id)),
        )
        for row in connection.execute(sa.select(STUDIES).order_by(STUDIES.c.study_id))
    ]


def states(connection: Connection) -> dict[int, dict[str, int]]:
    """Optuna's id of a study -> name of a state -> how many trials are in it."""
    query = sa.select(TRIALS.c.study_id, TRIALS.c.state, sa.func.count()).group_by(
        TRIALS.c.study_id, TRIALS.c.state
    )
    found: dict[int, dict[str, int]] = {}
    for study_id, state, count in connection.execute(query):
        found.setdefault(study_id, {})[str(state)] = count
    return found


def extremes(
    connection: Connection, attribute: str | None = None
) -> dict[int, tuple[float, float]]:
    """Optuna's id of a study -> least and greatest value of its complete trials.

    Only of those that have the ``attribute``, if one is named; infinite values do not count.
    """
    # Written out, because PostgreSQL compares its enumerations with no text of a variable.
    complete = TRIALS.c.state == sa.literal_column("'COMPLETE'")
    finite = VALUES.c.value_type == sa.literal_column("'FINITE'")
    query = (
        sa.select(TRIALS.c.study_id, sa.func.min(VALUES.c.value), sa.func.max(VALUES.c.value))
        .join_from(TRIALS, VALUES, TRIALS.c.trial_id == VALUES.c.trial_id)
        .where(complete, finite, VALUES.c.objective == 0)
        .group_by(TRIALS.c.study_id)
    )
    if attribute is not None:
        has = sa.and_(ATTRIBUTES.c.trial_id == TRIALS.c.trial_id, ATTRIBUTES.c.key == attribute)
        query = query.where(sa.exists(sa.select(sa.literal(1)).select_from(ATTRIBUTES).where(has)))
    return {study_id: (least, most) for study_id, least, most in connection.execute(query)}


def _text(value: object) -> str | None:
    """Another program may have written anything under the name of our attribute."""
    return value if isinstance(value, str) else None


def _of_studies(connection: Connection, table: sa.TableClause, key: str) -> dict[int, Any]:
    query = sa.select(table.c.study_id, table.c.value_json).where(table.c.key == key)
    return {study_id: json.loads(text) for study_id, text in connection.execute(query)}
