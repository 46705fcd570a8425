"""Engines and transactions over SQLite files and database servers."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, ExceptionContext, event

from storage import servers, sqlite
from storage.causes import explain, explained, is_passing, known_cause
from storage.errors import PassingError, StorageError
from storage.urls import Place

PATIENCE_SECONDS = 30.0
"""How long a transaction that fails for a reason that may pass is tried again."""

PATIENT_IN_SILENCE = 2.0
"""Seconds after which it says that it tries again."""

_LOG = logging.getLogger(__name__)
_NOWHERE = logging.NullHandler()

T = TypeVar("T")


def engine_options(place: Place) -> dict[str, Any]:
    """What ``create_engine`` needs for this place."""
    if place.path is not None:
        return {"creator": partial(sqlite.connect, place.path)}
    return servers.engine_options(place)


def prepare(engine: Engine, place: Place) -> None:
    """Let ``engine`` begin real transactions, and explain the driver's errors.

    On SQLite a transaction is IMMEDIATE where the option ``immediate`` asks for it. The driver's
    own begin comes too late to cover a read that a write depends on.
    """
    # The pool logs that a broken connection cannot be rolled back, with a traceback that Python
    # prints if nobody handles the log; the cause is raised anyway.
    logging.getLogger("sqlalchemy.pool").addHandler(_NOWHERE)
    if place.kind == "sqlite":

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            immediate = connection.get_execution_options().get("immediate", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

        @event.listens_for(engine, "invalidate")
        def end_transaction(connection: sqlite3.Connection, *_: object) -> None:
            # After a signal it is closed as it is; one that still reads keeps its lock then.
            with suppress(sqlite3.Error):
                connection.rollback()

    @event.listens_for(engine, "handle_error")
    def explain_known(context: ExceptionContext) -> BaseException | None:
        # Here, because calls of Optuna's own code reach the user without passing `explained`.
        error = context.sqlalchemy_exception or context.original_exception
        if known_cause(error) is None:
            return None
        kind = PassingError if is_passing(error) else StorageError
        return kind(explain(error, place))


@contextmanager
def transaction(engine: Engine, place: Place, **options: Any) -> Iterator[Connection]:
    """One writing transaction: everything inside happens, or nothing.

    ``options`` are more execution options of the connection.
    """
    with (
        explained(place),
        engine.connect().execution_options(immediate=True, **options) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine, place: Place, **options: Any) -> Iterator[Connection]:
    """A connection for reading; what it sees does not change meanwhile."""
    # SQLite and MySQL read so by themselves.
    level = {"isolation_level": "REPEATABLE READ"} if place.kind == "postgresql" else {}
    with explained(place), engine.connect().execution_options(**level, **options) as connection:
        yield connection


def patiently(work: Callable[[], T]) -> T:
    """What ``work`` returns; tried again while it fails for a reason that may pass.

    ``work`` must lead to the same when a first time succeeded without our hearing of it.
    """
    began = time.monotonic()
    delay = 0.05
    tried_again = told = False
    while True:
        try:
            return work()
        except PassingError as error:
            spent = time.monotonic() - began
            # Once at least: the failure itself may have taken all the time.
            if tried_again and spent + delay > PATIENCE_SECONDS:
                raise
            if spent > PATIENT_IN_SILENCE and not told:
                _LOG.warning("%s; trying again for %.0f s", error, PATIENCE_SECONDS - spent)
                told = True
        tried_again = True
        # Drawn, so that those who collided do not collide again.
        time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
        delay = min(2 * delay, 2.0)


def clock(connection: Connection) -> sa.ColumnElement[float]:
    """Seconds since 1970 by the database's clock, the one that all its users share."""
    clocks: dict[str, sa.ColumnElement[Any]] = {
        "sqlite": (sa.func.julianday("now") - 2440587.5) * 86400.0,
        "postgresql": sa.extract("epoch", sa.func.clock_timestamp()),
    }
    # Written out, because SQLAlchemy takes a function of this name for one without an argument.
    other: sa.ColumnElement[Any] = sa.literal_column("unix_timestamp(sysdate(6))")
    return sa.type_coerce(clocks.get(connection.dialect.name, other), sa.Float(53))
