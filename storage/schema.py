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
from sqlalchemy.dialects import mysql

metadata = MetaData()


def _experiment() -> Column[str]:
    return Column("experiment", String(32), ForeignKey("hpo_experiments.uid"), primary_key=True)


# MySQL's plain types end at 65,535 bytes.
LONG_TEXT = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
LONG_BYTES = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def _text(name: str) -> Column[str]:
    return Column(name, LONG_TEXT, nullable=False)


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
    Column("artifacts", LONG_TEXT),  # a folder or bucket; empty for that beside the database
    Column("split", LONG_BYTES),  # the part of each row
)

rounds = Table(
    "hpo_rounds",
    metadata,
    _experiment(),
    Column("round", Integer, primary_key=True, autoincrement=False),
    _text("ranges"),  # JSON: name -> [low, high] or {"choices": [...]}
    _text("created_at"),
)

curves = Table(
    "hpo_curves",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("names"),  # JSON list; one row of the array each
    Column("data", LONG_BYTES, nullable=False),  # float32, little-endian, (names, epochs)
)

predictions = Table(
    "hpo_predictions",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("outputs", Integer, nullable=False),
    Column("data", LONG_BYTES, nullable=False),  # float32, little-endian, (rows, outputs)
)

artifacts = Table(
    "hpo_artifacts",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("value", Float(53)),  # the trial's, so that the best are found without the trials
)

selections = Table(
    "hpo_selections",
    metadata,
    _experiment(),
    Column("trials", Integer, primary_key=True, autoincrement=False),  # finished, when it was made
    # How often the best were trained again; -1 less that where the winner then was refitted.
    Column("repeats", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),  # the trial that won
    Column("digest", String(64), nullable=False, index=True),  # of the model that is handed over
    _text("record"),  # JSON: candidates, expected score
    _text("created_at"),
)

repeats = Table(
    "hpo_repeats",
    metadata,
    _experiment(),
    # Of which choice, as in the table of winners: the networks by which it is made.
    Column("trials", Integer, primary_key=True, autoincrement=False),
    Column("repeats", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("repeat", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(32), nullable=False, index=True),  # who trains it, or has done so
    Column("done", Integer, nullable=False),  # 0 while it is trained, then 1
    Column("digest", String(64), index=True),  # of the network; empty if its training failed
)

ensembles = Table(
    "hpo_ensembles",
    metadata,
    _experiment(),
    Column("name", String(64), primary_key=True),
    Column("digest", String(64), nullable=False, index=True),  # of the model
    _text("record"),  # JSON: members, methods and their scores
    _text("created_at"),
)

owners = Table(
    "hpo_owners",
    metadata,
    Column("uid", String(32), primary_key=True),
    Column("experiment", String(32), ForeignKey("hpo_experiments.uid"), nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("place", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", String(32), nullable=False),
    Column("beat", Float(53), nullable=False),  # seconds since 1970 by the database's clock
)

claims = Table(
    "hpo_claims",
    metadata,
    _experiment(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(32), ForeignKey("hpo_owners.uid"), nullable=False, index=True),
    Column("trial_id", Integer, nullable=False),  # Optuna's, by which the trial is found quickly
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
    Column("owner", String(32)),  # who reads the rows, while the score is empty
    UniqueConstraint("experiment", "model"),
)
