"""Experiments, rounds, curves, predictions, artifacts, and the ledger of test looks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "hpo_experiments",
        sa.Column("uid", sa.String(32), primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("preparation", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("trials_per_round", sa.Integer, nullable=False),
    )
    op.create_table(
        "hpo_rounds",
        _experiment(),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ranges", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "hpo_curves",
        _experiment(),
        _number(),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "hpo_predictions",
        _experiment(),
        _number(),
        sa.Column("outputs", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "hpo_artifacts",
        _experiment(),
        _number(),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
    )
    op.create_table(
        "hpo_test_looks",
        sa.Column("look", sa.Integer, primary_key=True),
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), nullable=False
        ),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
        sa.Column("score", sa.Float(53)),
        sa.UniqueConstraint("experiment", "model"),
    )


def _experiment() -> sa.Column[str]:
    key = sa.ForeignKey("hpo_experiments.uid")
    return sa.Column("experiment", sa.String(32), key, primary_key=True)


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.Integer, primary_key=True, autoincrement=False)
