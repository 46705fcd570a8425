"""One trial whole, in plain values, read without joining the search."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from hpo.errors import UsageError
from hpo.leaderboard import Entry, Leaderboard, choose, read_leaderboard
from hpo.plain_curves import plain_curves
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from storage import catalogue, condition, optuna_studies, optuna_trials, schema

_EPOCHS = ("epochs", "best_epoch")


def read_trial(
    connection: Connection, name: str | None, number: int, storage: str
) -> dict[str, Any]:
    """The JSON object of ``hpo show STUDY/TRIAL``; ``storage`` is the URL as it may be shown.

    ``curves``: name -> a value for each epoch, None where it was not finite.

    Raises
    ------
    UsageError
        As `read_leaderboard` does, or if there is no such trial; says which there are.
    """
    board = read_leaderboard(connection, name)
    entry = _entry(board, number)
    study = choose(optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE), board.study)
    uid = study.experiment or ""
    known = optuna_trials.attributes(connection, study.study_id, number, _EPOCHS)
    curves: dict[str, list[float | None]] = {}
    if schema.curves.name in condition.tables(connection):
        curves = plain_curves(connection, uid, number)
    told = board.document(storage)
    return {
        "study": board.study,
        "storage": storage,
        "metric": board.metric,
        "direction": told["direction"],
        "cv": board.cv,
        **board.described(entry),
        "of": sum(each.rank is not None for each in board.entries),
        **{name: known.get(name) for name in _EPOCHS},
        "network_kept": _is_kept(connection, uid, number),
        "curves": curves,
    }


def _entry(board: Leaderboard, number: int) -> Entry:
    for entry in board.entries:
        if entry.number == number:
            return entry
    numbers = [entry.number for entry in board.entries]
    there = f"it has {min(numbers)} to {max(numbers)}" if numbers else "it has none yet"
    raise UsageError(f"study {board.study!r} has no trial {number}: {there}")


def _is_kept(connection: Connection, uid: str, number: int) -> bool:
    """Whether the network of the trial is stored whole."""
    if "value" not in condition.columns(connection, schema.artifacts.name):
        return False  # of an older schema
    return any(each.number == number for each in catalogue.load_artifacts(connection, uid))
