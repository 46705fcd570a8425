"""What a database is made of, and whether it is whole: tables, versions, size, damage."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from sqlalchemy import Connection

from storage import migrations
from storage.urls import Place

_OPTUNAS_VERSION = sa.table("alembic_version", sa.column("version_num"))


def tables(connection: Connection) -> set[str]:
    """The names of all tables."""
    return set(sa.inspect(connection).get_table_names())


def columns(connection: Connection, table: str) -> set[str]:
    """The names of the columns of a table; none if it is not there."""
    if table not in tables(connection):
        return set()
    return {each["name"] for each in sa.inspect(connection).get_columns(table)}


def versions(connection: Connection) -> tuple[str | None, str | None]:
    """The revisions of Optuna's tables and of ours; None where there are none."""
    found = None
    if _OPTUNAS_VERSION.name in tables(connection):
        found = connection.execute(sa.select(_OPTUNAS_VERSION.c.version_num)).scalar()
    return found, migrations.current(connection)


def server_version(connection: Connection) -> str:
    """What the server says it is; SQLite's version for a file."""
    of_server = sa.func.version()
    version = sa.func.sqlite_version() if connection.dialect.name == "sqlite" else of_server
    return str(connection.execute(sa.select(version)).scalar())


def database_bytes(connection: Connection, place: Place) -> int:
    """Bytes that the database takes on its disk: the file, or all tables on the server."""
    if place.path is not None:
        parts = (place.path.with_name(place.path.name + end) for end in ("", "-wal", "-shm"))
        return sum(part.stat().st_size for part in parts if part.exists())
    query = {
        "postgresql": "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
        "mysql": "SELECT sum(data_length + index_length) FROM information_schema.tables "
        "WHERE table_schema = database()",
    }[place.kind]
    return int(connection.execute(sa.text(query)).scalar() or 0)


def damage(connection: Connection) -> list[str]:
    """What SQLite's own checks find wrong with the file, a line each; other databases have none."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
    wrong = [f"integrity check: {line}" for line in found if line != "ok"]
    orphans = Counter(row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check"))
    return wrong + [
        f"foreign keys: {count} rows of {table} refer to rows that are not there"
        for table, count in orphans.items()
    ]
