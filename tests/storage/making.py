"""Experiments to hang records on."""

from __future__ import annotations

from uuid import uuid4

from storage import catalogue
from storage.records import ExperimentRecord
from storage.trials import RoundStorage


def bare(uid: str) -> ExperimentRecord:
    """An experiment of which nothing is known."""
    return ExperimentRecord(uid, "", "", {}, {}, {}, {}, 1)


def experiment(rounds: RoundStorage) -> str:
    """Enter a new one; returns its uid."""
    record = bare(uuid4().hex)
    rounds.write(lambda connection: catalogue.save_experiment(connection, record))
    return record.uid
