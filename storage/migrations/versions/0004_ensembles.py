"""Ensembles that were built from a study's networks and other learners."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from storage.migrations.changes import create_index

revision = "0004"
down_revision = "0003"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table of ensembles."""
    op.create_table(
        "hpo_ensembles",
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), primary_key=True
        ),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("record", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        if_not_exists=True,
    )
    create_index("hpo_ensembles", "digest")
