"""Forgetting an experiment: every row of ours that belongs to it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import schema

_TABLES = (
    schema.claims,
    schema.owners,
    schema.test_looks,
    schema.ensembles,
    schema.repeats,
    schema.selections,
    schema.artifacts,
    schema.predictions,
    schema.curves,
    schema.rounds,
)
"""Those that refer to an experiment; what refers to another of them comes before it."""


def rows_of(connection: Connection, uid: str) -> int:
    """How many rows belong to the experiment, that of the experiment included."""
    present = set(sa.inspect(connection).get_table_names())
    counts = [
        sa.select(sa.func.count()).select_from(table).where(table.c.experiment == uid)
        for table in _TABLES
        if table.name in present
    ]
    return 1 + sum(int(connection.execute(query).scalar_one()) for query in counts)


def forget(connection: Connection, uid: str) -> None:
    """Remove the experiment's rows; its study must be gone."""
    for table in _TABLES:
        connection.execute(table.delete().where(table.c.experiment == uid))
    connection.execute(schema.experiments.delete().where(schema.experiments.c.uid == uid))
