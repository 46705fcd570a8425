"""Searches that share a study: who holds which trial; where files stand, and which row is where."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from storage.migrations.changes import add_column, create_index

revision = "0002"
down_revision = "0001"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    """Create the tables of owners and claims, and the new columns."""
    op.create_table(
        "hpo_owners",
        sa.Column("uid", sa.String(32), primary_key=True),
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), nullable=False
        ),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("place", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("beat", sa.Float(53), nullable=False),
        if_not_exists=True,
    )
    create_index("hpo_owners", "experiment")
    op.create_table(
        "hpo_claims",
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(32), sa.ForeignKey("hpo_owners.uid"), nullable=False),
        sa.Column("trial_id", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    create_index("hpo_claims", "owner")
    add_column("hpo_experiments", sa.Column("artifacts", _TEXT))
    add_column("hpo_experiments", sa.Column[Any]("split", _BYTES))
    add_column("hpo_test_looks", sa.Column("owner", sa.String(32)))
    add_column("hpo_artifacts", sa.Column[Any]("value", sa.Float(53)))
    op.execute(
        "UPDATE hpo_artifacts SET value = ("
        "SELECT v.value FROM trial_values v "
        "JOIN trials t ON t.trial_id = v.trial_id "
        "JOIN study_user_attributes a ON a.study_id = t.study_id "
        "WHERE a.key = 'hpo:experiment' "
        "AND a.value_json = '\"' || hpo_artifacts.experiment || '\"' "
        "AND t.number = hpo_artifacts.number) "
        "WHERE value IS NULL"
        if op.get_bind().dialect.name == "sqlite"  # where schema 0001 was written, and only there
        else "SELECT 1"
    )
