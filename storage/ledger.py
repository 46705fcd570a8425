"""Every look at test rows, counted.

An entry is committed before the rows are read, so a look cannot be forgotten, not even by a process
that dies. There is one entry per experiment and model: the same model again gets its stored score.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.records import Look
from storage.schema import test_looks

Transaction = Callable[[], AbstractContextManager[Connection]]


def look(
    transaction: Transaction, uid: str, model: str, why: str, evaluate: Callable[[], float]
) -> Look:
    """The test score of ``model``; ``evaluate`` is called only if no score is stored yet.

    ``evaluate`` opens the test rows. If it raises, or the process dies in it, the entry stays
    without a score and the next call for the same model completes it.
    """
    with transaction() as connection:
        entry = _find(connection, uid, model)
        if entry is None:
            opened = datetime.now(UTC).isoformat(timespec="seconds")
            values = {"experiment": uid, "model": model, "why": why, "opened_at": opened}
            connection.execute(test_looks.insert(), values)
    if entry is None or entry.score is None:
        score = evaluate()
        with transaction() as connection:
            connection.execute(test_looks.update().where(_is(uid, model)).values(score=score))
    with transaction() as connection:
        found = _find(connection, uid, model)
    assert found is not None
    return found


def looks(connection: Connection, uid: str) -> list[Look]:
    """All entries of an experiment, oldest first."""
    query = (
        sa.select(test_looks.c.model, test_looks.c.why, test_looks.c.score)
        .where(test_looks.c.experiment == uid)
        .order_by(test_looks.c.look)
    )
    return [Look(order, *row) for order, row in enumerate(connection.execute(query), start=1)]


def _find(connection: Connection, uid: str, model: str) -> Look | None:
    return next((each for each in looks(connection, uid) if each.model == model), None)


def _is(uid: str, model: str) -> sa.ColumnElement[bool]:
    return sa.and_(test_looks.c.experiment == uid, test_looks.c.model == model)
