"""Experiments, rounds, curves, predictions, artifacts, and the ledger of test looks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

# MySQL's plain types end at 65,535 bytes.
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "hpo_experiments",
        sa.Column("uid", sa.String(32), primary_key=True),
        sa.Column("created_at", _TEXT, nullable=False),
        sa.Column("source", _TEXT, nullable=False),
        sa.Column("fingerprint", _TEXT, nullable=False),
        sa.Column("settings", _TEXT, nullable=False),
        sa.Column("preparation", _TEXT, nullable=False),
        sa.Column("versions", _TEXT, nullable=False),
        sa.Column("trials_per_round", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hpo_rounds",
        _experiment(),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ranges", _TEXT, nullable=False),
        sa.Column("created_at", _TEXT, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hpo_curves",
        _experiment(),
        _number(),
        sa.Column("names", _TEXT, nullable=False),
        sa.Column("data", _BYTES, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hpo_predictions",
        _experiment(),
        _number(),
        sa.Column("outputs", sa.Integer, nullable=False),
        sa.Column("data", _BYTES, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hpo_artifacts",
        _experiment(),
        _number(),
        sa.Column("digest", sa.String(64), nullable=False),
        if_not_exists=True,
    )
    _index("hpo_artifacts", "digest")
    op.create_table(
        "hpo_test_looks",
        sa.Column("look", sa.Integer, primary_key=True),
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), nullable=False
        ),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("why", _TEXT, nullable=False),
        sa.Column("opened_at", _TEXT, nullable=False),
        sa.Column("score", sa.Float(53)),
        sa.UniqueConstraint("experiment", "model"),
        if_not_exists=True,
    )


def _experiment() -> sa.Column[str]:
    key = sa.ForeignKey("hpo_experiments.uid")
    return sa.Column("experiment", sa.String(32), key, primary_key=True)


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.Integer, primary_key=True, autoincrement=False)


def _index(table: str, column: str) -> None:
    """Create an index, unless an upgrade that was cut short has done so."""
    name = f"ix_{table}_{column}"
    if name not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, [column])
