"""The steps that bring a database's ``hpo_`` tables to the present schema."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.errors import StorageError

VERSION_TABLE = "hpo_alembic_version"
HEAD = "0005"
"""The present schema."""


def upgrade(connection: Connection) -> None:
    """Bring the tables to the present schema, inside the caller's transaction.

    Raises ``StorageError`` for a database that a newer version has written.
    """
    present = current(connection)
    if present == HEAD:
        return
    # Slow to import, and seldom needed.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise StorageError(
            f"the database was written by a newer version of hpo (schema {present}): upgrade hpo"
        )
    command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """The schema that the database has; None before the first migration."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
