"""Many rows at once, at the driver's own speed.

SQLAlchemy looks at every value of every row; for rows of plain numbers, texts and bytes, thousands
of them, that takes longer than the database does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler


def insert(
    connection: Connection, table: sa.Table, columns: tuple[str, ...], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert ``rows``, each with a value per column that the driver takes as it is."""
    values = [tuple(row) for row in rows]
    if not values:
        return
    compiled = _compiled(connection.dialect, table, columns)
    if compiled.positional:
        # The statement may name its columns in another order.
        order = tuple(columns.index(name) for name in compiled.positiontup or ())
        if order != tuple(range(len(columns))):
            values = list(map(itemgetter(*order), values))
        connection.exec_driver_sql(compiled.string, values)
    else:
        connection.exec_driver_sql(
            compiled.string, [dict(zip(columns, row, strict=True)) for row in values]
        )


@functools.lru_cache(maxsize=64)
def _compiled(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> SQLCompiler:
    compiled = table.insert().compile(dialect=dialect, column_keys=list(columns))
    assert isinstance(compiled, SQLCompiler)
    return compiled
