"""Save and load our records. Every function works inside the connection that it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from storage import schema
from storage.records import ExperimentRecord, Result, RoundRecord

_JSON_FIELDS = ("fingerprint", "settings", "preparation", "versions")
_FLOAT32 = np.dtype("<f4")


def save_experiment(connection: Connection, record: ExperimentRecord) -> None:
    """Enter a new experiment."""
    values = {column.name: getattr(record, column.name) for column in schema.experiments.columns}
    values |= {name: json.dumps(values[name]) for name in _JSON_FIELDS}
    connection.execute(schema.experiments.insert(), values)


def load_experiment(connection: Connection, uid: str) -> ExperimentRecord | None:
    """The experiment, or None if there is none of this ``uid``."""
    query = sa.select(schema.experiments).where(schema.experiments.c.uid == uid)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return ExperimentRecord(**(dict(row) | {name: json.loads(row[name]) for name in _JSON_FIELDS}))


def save_round(connection: Connection, uid: str, record: RoundRecord, created_at: str) -> None:
    """Enter a round's ranges; a round that is there already keeps those it has."""
    table = schema.rounds
    known = sa.select(table.c.round).where(table.c.experiment == uid, table.c.round == record.round)
    if connection.execute(known).first() is None:
        values = {
            "experiment": uid,
            "round": record.round,
            "ranges": json.dumps(record.ranges),
            "created_at": created_at,
        }
        connection.execute(table.insert(), values)


def load_rounds(connection: Connection, uid: str) -> list[RoundRecord]:
    """All rounds in their order."""
    table = schema.rounds
    query = sa.select(table.c.round, table.c.ranges).where(table.c.experiment == uid)
    rows = connection.execute(query.order_by(table.c.round))
    return [RoundRecord(index, json.loads(ranges)) for index, ranges in rows]


def save_arrays(connection: Connection, uid: str, results: Sequence[Result]) -> None:
    """Enter the curves of every result, and the validation predictions of those that have any."""
    key = [{"experiment": uid, "number": result.number} for result in results]
    curves = [
        key[i] | {"names": json.dumps(result.curve_names), "data": _bytes(result.curves)}
        for i, result in enumerate(results)
        if result.curve_names
    ]
    predictions = [
        key[i] | {"outputs": result.prediction.shape[1], "data": _bytes(result.prediction)}
        for i, result in enumerate(results)
        if result.prediction is not None
    ]
    for table, rows in ((schema.curves, curves), (schema.predictions, predictions)):
        if rows:
            connection.execute(table.insert(), rows)


def load_curves(connection: Connection, uid: str, number: int) -> dict[str, NDArray[np.float32]]:
    """The curves of one trial, name -> (epochs,); empty if it has none."""
    table = schema.curves
    query = sa.select(table.c.names, table.c.data).where(_of_trial(table, uid, number))
    row = connection.execute(query).first()
    if row is None:
        return {}
    names = json.loads(row.names)
    curves = np.frombuffer(row.data, _FLOAT32).reshape(len(names), -1)
    return dict(zip(names, curves, strict=True))


def load_predictions(
    connection: Connection, uid: str, numbers: Sequence[int]
) -> dict[int, NDArray[np.float32]]:
    """Validation predictions of trials, number -> (rows, outputs)."""
    table = schema.predictions
    query = sa.select(table.c.number, table.c.outputs, table.c.data).where(
        table.c.experiment == uid, table.c.number.in_(numbers)
    )
    return {
        number: np.frombuffer(data, _FLOAT32).reshape(-1, outputs)
        for number, outputs, data in connection.execute(query)
    }


def save_artifacts(connection: Connection, uid: str, digests: dict[int, str]) -> None:
    """Enter which stored network belongs to which trial, number -> digest."""
    if digests:
        rows = [
            {"experiment": uid, "number": number, "digest": digest}
            for number, digest in digests.items()
        ]
        connection.execute(schema.artifacts.insert(), rows)


def load_artifacts(connection: Connection, uid: str) -> dict[int, str]:
    """Trial number -> digest, of the networks that are kept."""
    table = schema.artifacts
    query = sa.select(table.c.number, table.c.digest).where(table.c.experiment == uid)
    return {row.number: row.digest for row in connection.execute(query)}


def drop_artifacts(connection: Connection, uid: str, numbers: Sequence[int]) -> None:
    """Forget the networks of these trials."""
    table = schema.artifacts
    condition = sa.and_(table.c.experiment == uid, table.c.number.in_(numbers))
    connection.execute(table.delete().where(condition))


def unreferenced(connection: Connection, digests: Sequence[str]) -> list[str]:
    """Those of ``digests`` that neither a kept network nor a look at the test rows refers to."""
    kept = sa.select(schema.artifacts.c.digest).where(schema.artifacts.c.digest.in_(digests))
    seen = sa.select(schema.test_looks.c.model).where(schema.test_looks.c.model.in_(digests))
    used = set(connection.execute(sa.union(kept, seen)).scalars())
    return [digest for digest in digests if digest not in used]


def _of_trial(table: sa.Table, uid: str, number: int) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.experiment == uid, table.c.number == number)


def _bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, dtype=_FLOAT32).tobytes()
