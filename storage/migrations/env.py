"""Run by alembic: migrate over the connection that the caller gives, in its transaction."""

from alembic import context

from storage.migrations import VERSION_TABLE
from storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # Optuna's tables stand in the same database and are none of our business.
    include_object=lambda _object, name, kind, *_: kind != "table" or name in metadata.tables,
)
context.run_migrations()
