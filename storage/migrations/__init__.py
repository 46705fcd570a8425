"""The steps that bring a database's ``hpo_`` tables to the present schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.errors import StorageError

VERSION_TABLE = "hpo_alembic_version"


def upgrade(connection: Connection) -> None:
    """Bring the tables to the present schema, inside the caller's transaction.

    Raises ``StorageError`` for a database that a newer version has written.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    present = current(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise StorageError(
            f"the database was written by a newer version of hpo (schema {present}): upgrade hpo"
        )
    command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """The schema that the database has; None before the first migration."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
