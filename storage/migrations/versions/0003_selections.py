"""Winners that were chosen by training the best trials again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from storage.migrations.changes import create_index

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Create the table of selections."""
    op.create_table(
        "hpo_selections",
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), primary_key=True
        ),
        sa.Column("trials", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("repeats", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("record", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        if_not_exists=True,
    )
    create_index("hpo_selections", "digest")
