"""Changes of a schema that may be repeated: on MySQL each stays, whatever ends the upgrade."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column, unless an upgrade that was cut short has done so."""
    present = {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}
    if column.name not in present:
        op.add_column(table, column)


def create_index(table: str, column: str) -> None:
    """Create an index, unless an upgrade that was cut short has done so."""
    name = f"ix_{table}_{column}"
    if name not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, [column])
