"""PostgreSQL and MySQL: connections are tested before use, and no answer is waited for for ever."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.pool import NullPool

from storage.errors import StorageError
from storage.urls import Place

CONNECT_SECONDS = 10
"""How long to wait for a server to take a connection."""

ANSWER_SECONDS = 60
"""How long to wait for the answer to one statement, the wait for locks included."""

IDLE_SECONDS = 30
"""When a server takes the locks of a process that is silent in the middle of a transaction.

It may be one that is stopped; the others do not wait for it so long that they give up.
"""

_RECYCLE_SECONDS = 1800
_OPTUNAS = {"studies": {"study_id", "study_name"}, "trials": {"trial_id", "study_id", "number"}}
"""Tables of Optuna's whose names others use too, with columns that theirs will not all have."""

_LOCK_NAME = "hpo_tables_"
_LOCK_KEY = 0x68706F  # "hpo", for servers that number their locks


def engine_options(place: Place) -> dict[str, Any]:
    """What ``create_engine`` needs, so that a dead connection is noticed and a stall ends."""
    driver = place.url.get_driver_name()
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": _RECYCLE_SECONDS}
    if driver == "psycopg":
        return options | {"creator": _bounded(place)}
    if driver == "psycopg2":
        return options | {"connect_args": _keep_alive()}
    bounds: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS}
    bounds |= {"read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
    if driver == "pymysql" and place.url.password:
        # It takes a text for Latin-1, where MySQL's own programs send UTF-8.
        bounds["password"] = place.url.password.encode()
    # MySQL tells no transaction from none; an idle connection that is closed is opened again.
    bounds["init_command"] = f"SET SESSION wait_timeout = {IDLE_SECONDS}"
    return options | {"connect_args": bounds}


def _keep_alive() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": ANSWER_SECONDS * 1000,
        "application_name": "hpo",
    }


def _bounded(place: Place) -> Callable[[], Any]:
    """Connects with psycopg; a user's own options in the URL come before ours."""
    # It tells of a connection that is lost; we raise that, and stderr has one line for an error.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    positional, named = place.url.get_dialect()().create_connect_args(place.url)
    options = _keep_alive() | dict(named)

    def connect() -> Any:
        connection = _bounded_class().connect(*positional, **options, autocommit=True)
        try:
            # Not among the options, which some poolers do not take.
            connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


@functools.cache
def _bounded_class() -> Any:
    """A connection of psycopg that gives up on an answer.

    A proxy that keeps the connection open and says nothing is not noticed by keep-alives.
    """
    import psycopg  # noqa: PLC0415  # an extra

    class Bounded(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            limit = ANSWER_SECONDS if timeout is None else timeout
            began = time.monotonic()
            try:
                return super().wait(gen, interval, timeout=limit)
            except psycopg.OperationalError as error:
                if timeout is not None or time.monotonic() - began < limit:
                    raise
                self.close()
                raise psycopg.OperationalError(f"no answer for {limit:g} s") from error

    return Bounded


@contextmanager
def creation_lock(place: Place) -> Iterator[None]:
    """Hold the right to create tables, against every other process that asks for it.

    It ends with the connection, so that a process that dies leaves nothing behind.
    """
    engine = sa.create_engine(place.url, poolclass=NullPool, **_unpooled(engine_options(place)))
    # PostgreSQL without a transaction, which might idle for too long.
    level = {"isolation_level": "AUTOCOMMIT"} if place.kind == "postgresql" else {}
    with engine.connect().execution_options(**level) as connection:
        _lock(connection, place)
        try:
            yield
        finally:
            if place.kind == "mysql" and not connection.invalidated:
                connection.execute(sa.select(sa.func.release_lock(_lock_name())))
    engine.dispose()


def _unpooled(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if not name.startswith("pool_")}


def _lock(connection: Connection, place: Place) -> None:
    if place.kind == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK_KEY)))
        return
    seconds = ANSWER_SECONDS // 2
    if not connection.execute(sa.select(sa.func.get_lock(_lock_name(), seconds))).scalar():
        raise StorageError(f"another process creates tables: {place}; try again when it is done")


def _lock_name() -> sa.ColumnElement[str]:
    """One for each database: names of locks count for the whole server."""
    return sa.func.concat(_LOCK_NAME, sa.func.md5(sa.func.database()))


def refuse_clash(engine: Engine, place: Place) -> None:
    """Raise ``StorageError`` if another program has tables of Optuna's names in this database.

    Some of Optuna's alone are no such case: MySQL keeps what a process made before it died.
    """
    inspector = sa.inspect(engine)
    present = set(inspector.get_table_names())
    clashing = [
        table
        for table, columns in _OPTUNAS.items()
        if table in present
        and not columns <= {column["name"] for column in inspector.get_columns(table)}
    ]
    if clashing:
        raise StorageError(
            f"this database belongs to another program (tables {', '.join(clashing)}): {place}; "
            "choose another --storage"
        )
