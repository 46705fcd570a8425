"""The winners of a study and the looks at its test rows, also from tables of an older schema."""

from __future__ import annotations

from sqlalchemy import Connection

from storage import catalogue, ledger, schema
from storage.condition import columns, tables
from storage.records import Look, SelectionRecord


def selections(connection: Connection, uid: str) -> list[SelectionRecord]:
    """The winners that were entered, the latest last."""
    if schema.selections.name not in tables(connection):
        return []
    return catalogue.load_selections(connection, uid)


def looks(connection: Connection, uid: str) -> list[Look]:
    """The looks at the test rows; none of the first schema, which told less of them."""
    known = "owner" in columns(connection, schema.test_looks.name)
    return ledger.looks(connection, uid) if known else []
