"""Every look at test rows, counted.

An entry is committed before the rows are read, so a look cannot be forgotten, not even by a process
that dies. There is one entry per experiment and model: the same model again gets its stored score,
and of several searches that come to the same model one reads the rows while the others wait.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import leases
from storage.records import Look, Owner
from storage.schema import test_looks

T = TypeVar("T")

WAIT_SECONDS = 0.1
"""How often one who waits for another's score looks for it."""

_DONE = ""
"""Stands for the owner when the rows were read, also if no finite score came of it."""


class Write(Protocol):
    """Runs work in a writing transaction that holds the study's lock, see `RoundStorage.write`."""

    def __call__(self, work: Callable[[Connection], T], /) -> T:
        """What the work returns."""


def look(
    write: Write, uid: str, owner: Owner, model: str, why: str, evaluate: Callable[[], float]
) -> Look:
    """The test score of ``model``; ``evaluate`` is called only if no score is stored yet.

    ``evaluate`` opens the test rows. If it raises, or the process dies in it, the entry stays
    without a score and the next call for the same model completes it. A score that is not finite is
    none, and is not asked for again.
    """

    def enter(connection: Connection) -> bool:
        return _enter(connection, uid, owner, model, why)

    while not write(enter):
        if (found := write(lambda connection: _find(connection, uid, model))) and found[1] == _DONE:
            return found[0]
        time.sleep(WAIT_SECONDS)
    score = evaluate()

    def record(connection: Connection) -> Look:
        done: dict[str, Any] = {"score": score if math.isfinite(score) else None, "owner": _DONE}
        # Who reads the rows meanwhile, because we were silent for too long, gets the same score.
        missing = sa.and_(_is(uid, model), test_looks.c.owner != _DONE)
        connection.execute(test_looks.update().where(missing).values(done))
        found = _find(connection, uid, model)
        assert found is not None
        return found[0]

    return write(record)


def looks(connection: Connection, uid: str) -> list[Look]:
    """All entries of an experiment, oldest first."""
    return [each for each, _ in _entries(connection, uid)]


def _enter(connection: Connection, uid: str, owner: Owner, model: str, why: str) -> bool:
    """Whether it is for ``owner`` to read the rows, as the entry then says."""
    found = _find(connection, uid, model)
    if found is None:
        opened = datetime.now(UTC).isoformat(timespec="seconds")
        values = {"experiment": uid, "model": model, "why": why, "opened_at": opened}
        connection.execute(test_looks.insert(), values | {"owner": owner.uid})
        return True
    entry, reader = found
    if entry.score is not None or reader == _DONE:
        return False
    if reader not in {None, owner.uid} and leases.is_alive(connection, uid, reader):
        return False
    connection.execute(test_looks.update().where(_is(uid, model)).values(owner=owner.uid))
    return True


def _entries(connection: Connection, uid: str) -> list[tuple[Look, str]]:
    query = (
        sa.select(test_looks.c.model, test_looks.c.why, test_looks.c.score, test_looks.c.owner)
        .where(test_looks.c.experiment == uid)
        .order_by(test_looks.c.look)
    )
    return [
        # An older version wrote scores without an owner.
        (Look(order, row.model, row.why, row.score), _DONE if row.score is not None else row.owner)
        for order, row in enumerate(connection.execute(query), start=1)
    ]


def _find(connection: Connection, uid: str, model: str) -> tuple[Look, str] | None:
    return next((each for each in _entries(connection, uid) if each[0].model == model), None)


def _is(uid: str, model: str) -> sa.ColumnElement[bool]:
    return sa.and_(test_looks.c.experiment == uid, test_looks.c.model == model)
