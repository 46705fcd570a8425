"""Our tables, beside Optuna's in the same database; every name begins with ``hpo_``.

They refer to a study by the ``uid`` of its experiment, an identifier of our own that also stands in
a user attribute of the study: Optuna's numbers are used again after a deletion.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _experiment() -> Column[str]:
    return Column("experiment", String(32), ForeignKey("hpo_experiments.uid"), primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


experiments = Table(
    "hpo_experiments",
    metadata,
    Column("uid", String(32), primary_key=True),
    _text("created_at"),  # ISO 8601, UTC
    _text("source"),  # a path, or the name of a shipped set
    _text("fingerprint"),  # JSON, as are the next three
    _text("settings"),
    _text(
        "preparation"
    ),  # split, encodings and architecture, all that a network needs for new rows
    _text("versions"),
    Column("trials_per_round", Integer, nullable=False),
)

rounds = Table(
    "hpo_rounds",
    metadata,
    _experiment(),
    Column("round", Integer, primary_key=True, autoincrement=False),
    _text("ranges"),  # JSON: name -> [low, high]
    _text("created_at"),
)

curves = Table(
    "hpo_curves",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("names"),  # JSON list; one row of the array each
    Column("data", LargeBinary, nullable=False),  # float32, little-endian, (names, epochs)
)

predictions = Table(
    "hpo_predictions",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("outputs", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),  # float32, little-endian, (rows, outputs)
)

artifacts = Table(
    "hpo_artifacts",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False, index=True),
)

test_looks = Table(
    "hpo_test_looks",
    metadata,
    Column("look", Integer, primary_key=True),
    Column("experiment", String(32), ForeignKey("hpo_experiments.uid"), nullable=False),
    Column("model", String(64), nullable=False),  # the digest of the model's artifact
    _text("why"),
    _text("opened_at"),  # before the rows were read
    Column("score", Float(53)),  # empty if the process died between the look and its result
    UniqueConstraint("experiment", "model"),
)
