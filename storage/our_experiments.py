"""What our tables say of all experiments, also tables of an older schema."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import schema
from storage.condition import columns, tables
from storage.records import EnsembleRecord

ENSEMBLE = -1
"""Stands where the number of a trial does, for a model that is of several."""


class Made(NamedTuple):
    """When and from what an experiment was made, and where its networks are, as in its record."""

    uid: str
    created_at: str
    source: str
    artifacts: str | None


def made(connection: Connection) -> dict[str, Made]:
    """Uid -> how it came about, of every experiment of ours; also of an older schema."""
    table = schema.experiments
    if table.name not in tables(connection):
        return {}
    has_place = "artifacts" in columns(connection, table.name)
    where = table.c.artifacts if has_place else sa.null()
    query = sa.select(table.c.uid, table.c.created_at, table.c.source, where.label("artifacts"))
    return {
        row.uid: Made(row.uid, row.created_at, row.source, row.artifacts)
        for row in connection.execute(query.order_by(table.c.created_at))
    }


def document(connection: Connection, uid: str, name: str) -> Any:
    """One of the JSON documents of an experiment, ``settings`` say; None if it is not there."""
    table = schema.experiments
    if table.name not in tables(connection):
        return None
    text = connection.execute(sa.select(table.c[name]).where(table.c.uid == uid)).scalar()
    return None if text is None else json.loads(text)


def trials_per_round(connection: Connection, uid: str) -> int:
    """How many trials a round of the experiment has."""
    table = schema.experiments
    return int(
        connection.execute(
            sa.select(table.c.trials_per_round).where(table.c.uid == uid)
        ).scalar_one()
    )


def array_bytes(connection: Connection) -> dict[str, int]:
    """Uid of an experiment -> bytes of its curves and predictions."""
    # SQLite's length reads no blob, the others' octet_length none either.
    length = sa.func.length if connection.dialect.name == "sqlite" else sa.func.octet_length
    found: dict[str, int] = {}
    for table in (schema.curves, schema.predictions):
        if table.name in tables(connection):
            size = sa.func.sum(length(table.c.data))
            query = sa.select(table.c.experiment, size).group_by(table.c.experiment)
            for uid, n_bytes in connection.execute(query):
                found[uid] = found.get(uid, 0) + int(n_bytes)
    return found


def networks(connection: Connection) -> dict[str, dict[str, int]]:
    """Uid of an experiment -> digest of a model -> number of its trial, -1 for an ensemble.

    They are the networks of trials that are kept, those by which a winner is being chosen, the
    winners, and ensembles.
    """
    found: dict[str, dict[str, int]] = {}
    present = tables(connection)
    for table in (schema.artifacts, schema.repeats, schema.selections, schema.ensembles):
        if table.name in present:
            columns = _of_models(table)
            query = sa.select(*columns).where(table.c.digest.is_not(None))
            for row in connection.execute(query.order_by(*columns)):
                number = getattr(row, "number", ENSEMBLE)
                found.setdefault(row.experiment, {})[row.digest] = number
    return found


def _of_models(table: sa.Table) -> list[sa.Column[Any]]:
    """Whose a model is; also of tables of an older schema, which have not all columns."""
    names = ("experiment", "number", "digest")
    return [table.c[name] for name in names if name in table.c]


def ensembles(connection: Connection, uid: str) -> list[EnsembleRecord]:
    """Every ensemble of the experiment, the oldest first."""
    table = schema.ensembles
    if table.name not in tables(connection):
        return []
    query = sa.select(table.c.name, table.c.digest, table.c.record)
    rows = connection.execute(
        query.where(table.c.experiment == uid).order_by(table.c.created_at, table.c.name)
    )
    return [EnsembleRecord(row.name, row.digest, json.loads(row.record)) for row in rows]


def looked_at(connection: Connection) -> dict[str, frozenset[str]]:
    """Uid of an experiment -> digests of the models that were tried on its test rows."""
    table = schema.test_looks
    found: dict[str, frozenset[str]] = {}
    if table.name in tables(connection):
        for uid, model in connection.execute(sa.select(table.c.experiment, table.c.model)):
            found[uid] = found.get(uid, frozenset()) | {model}
    return found
