"""Save and load our records. Every function works inside the connection that it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from storage import bulk, schema
from storage.records import (
    EnsembleRecord,
    ExperimentRecord,
    Kept,
    Result,
    RoundRecord,
    SelectionRecord,
)

_JSON_FIELDS = ("fingerprint", "settings", "preparation", "versions")
_FLOAT32 = np.dtype("<f4")
_MOST_NUMBERS = 500
"""A statement takes a limited number of variables."""


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


def load_round(connection: Connection, uid: str, index: int) -> RoundRecord | None:
    """One round; None if there is none of this index."""
    table = schema.rounds
    query = sa.select(table.c.ranges).where(table.c.experiment == uid, table.c.round == index)
    text = connection.execute(query).scalar()
    return None if text is None else RoundRecord(index, json.loads(text))


def save_arrays(connection: Connection, uid: str, results: Sequence[Result]) -> None:
    """Enter the curves of every result, and the predictions of those that have any."""
    bulk.insert(
        connection,
        schema.curves,
        ("experiment", "number", "names", "data"),
        (
            (uid, each.number, json.dumps(each.curve_names), _bytes(each.curves))
            for each in results
            if each.curve_names
        ),
    )
    bulk.insert(
        connection,
        schema.predictions,
        ("experiment", "number", "outputs", "data"),
        (
            (uid, each.number, each.prediction.shape[1], _bytes(each.prediction))
            for each in results
            if each.prediction is not None
        ),
    )


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
    """The predictions of trials, number -> (rows, outputs)."""
    table = schema.predictions
    found: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(numbers), _MOST_NUMBERS):
        some = numbers[start : start + _MOST_NUMBERS]
        query = sa.select(table.c.number, table.c.outputs, table.c.data).where(
            table.c.experiment == uid, table.c.number.in_(some)
        )
        for number, outputs, data in connection.execute(query):
            found[number] = np.frombuffer(data, _FLOAT32).reshape(-1, outputs)
    return found


def save_selection(connection: Connection, uid: str, new: SelectionRecord, created_at: str) -> None:
    """Enter which trial won; the first to say so for as many trials is right."""
    if load_selection(connection, uid, new.trials, new.repeats, refit=new.refit) is None:
        keys = {"experiment": uid, "trials": new.trials, "created_at": created_at}
        values = {"number": new.number, "digest": new.digest, "record": json.dumps(new.record)}
        keys["repeats"] = _repeats(new.repeats, refit=new.refit)
        connection.execute(schema.selections.insert(), keys | values)


def load_selection(
    connection: Connection, uid: str, trials: int, repeats: int, *, refit: bool = False
) -> SelectionRecord | None:
    """Which trial won after so many had finished; None if nobody has said."""
    table = schema.selections
    query = sa.select(table.c.number, table.c.digest, table.c.record).where(
        table.c.experiment == uid,
        table.c.trials == trials,
        table.c.repeats == _repeats(repeats, refit=refit),
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return SelectionRecord(
        trials, repeats, row.number, row.digest, json.loads(row.record), refit=refit
    )


def load_selections(connection: Connection, uid: str) -> list[SelectionRecord]:
    """Every winner that was entered, the latest last; a refitted one after that it was made of."""
    table = schema.selections
    query = sa.select(table).where(table.c.experiment == uid)
    found = []
    for row in connection.execute(query.order_by(table.c.trials, table.c.created_at)):
        refit = row.repeats < 0
        repeats = ~row.repeats if refit else row.repeats
        record = json.loads(row.record)
        found.append(
            SelectionRecord(row.trials, repeats, row.number, row.digest, record, refit=refit)
        )
    return sorted(found, key=lambda each: (each.trials, each.refit))


def save_ensemble(
    connection: Connection, uid: str, new: EnsembleRecord, created_at: str
) -> str | None:
    """Enter an ensemble in place of one of the same name; returns the digest of that, if any."""
    table = schema.ensembles
    mine = sa.and_(table.c.experiment == uid, table.c.name == new.name)
    old = connection.execute(sa.select(table.c.digest).where(mine)).scalar()
    connection.execute(table.delete().where(mine))
    values = {"experiment": uid, "created_at": created_at, "record": json.dumps(new.record)}
    connection.execute(table.insert(), values | {"name": new.name, "digest": new.digest})
    return old


def save_artifacts(connection: Connection, uid: str, kept: Sequence[Kept]) -> None:
    """Enter which stored network belongs to which trial."""
    if kept:
        rows = [{"experiment": uid} | each._asdict() for each in kept]
        connection.execute(schema.artifacts.insert(), rows)


def load_artifacts(connection: Connection, uid: str) -> list[Kept]:
    """The networks that are kept, that of the greatest value first, of equal ones the older."""
    table = schema.artifacts
    query = sa.select(table.c.number, table.c.digest, table.c.value)
    rows = connection.execute(query.where(table.c.experiment == uid))
    kept = [Kept(row.number, row.digest, row.value) for row in rows]
    # Rows of a study that is gone were left without a value by an upgrade.
    return sorted(kept, key=lambda each: (each.value is None, -(each.value or 0.0), each.number))


def drop_artifacts(connection: Connection, uid: str, numbers: Sequence[int]) -> None:
    """Forget the networks of these trials."""
    table = schema.artifacts
    condition = sa.and_(table.c.experiment == uid, table.c.number.in_(numbers))
    connection.execute(table.delete().where(condition))


def unreferenced(connection: Connection, digests: Sequence[str]) -> list[str]:
    """Those of ``digests`` that no row refers to.

    Rows refer to networks of trials, winners, what they are chosen by, ensembles, and looks.
    """
    columns = (
        schema.artifacts.c.digest,
        schema.test_looks.c.model,
        schema.selections.c.digest,
        schema.ensembles.c.digest,
        schema.repeats.c.digest,
    )
    queries = (sa.select(column).where(column.in_(digests)) for column in columns)
    used = set(connection.execute(sa.union(*queries)).scalars())
    return [digest for digest in digests if digest not in used]


def _repeats(repeats: int, *, refit: bool) -> int:
    """The number of repeats as it is stored."""
    return ~repeats if refit else repeats


def _of_trial(table: sa.Table, uid: str, number: int) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.experiment == uid, table.c.number == number)


def _bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, dtype=_FLOAT32).tobytes()
