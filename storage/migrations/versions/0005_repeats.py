"""Networks by which a winner is chosen, trained by several searches together."""

import sqlalchemy as sa
from alembic import op

from storage.migrations.changes import create_index

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table of repeats."""
    op.create_table(
        "hpo_repeats",
        sa.Column(
            "experiment", sa.String(32), sa.ForeignKey("hpo_experiments.uid"), primary_key=True
        ),
        *(
            sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)
            for name in ("trials", "repeats", "number", "repeat")
        ),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64)),
        if_not_exists=True,
    )
    create_index("hpo_repeats", "digest")
    create_index("hpo_repeats", "owner")
