"""One study whole, in plain values, read without joining the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from hpo.leaderboard import choose, read_leaderboard
from hpo.ranking import EXPERIMENT_ATTRIBUTE, OURS
from hpo.reproduction import typed
from hpo.rounds import described
from storage import (
    catalogue,
    decisions,
    optuna_studies,
    optuna_trials,
    our_experiments,
)
from storage.our_experiments import Made
from storage.records import TrialRecord

BEST = 10
"""How many trials the list of the best has."""

_DATA = ("rows", "target", "sha256")
_SPLIT = ("seed", "rows", "test_size", "validation_size", "test_file", "sha256")


def read_study(connection: Connection, name: str | None, storage: str) -> dict[str, Any]:
    """The JSON object of ``hpo show STUDY``; ``storage`` is the URL as it may be shown.

    What only ``hpo search`` keeps is None, or empty, for the study of another program.

    Raises
    ------
    UsageError
        As `read_leaderboard` does.
    """
    board = read_leaderboard(connection, name)
    study = choose(optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE), board.study)
    made = our_experiments.made(connection).get(study.experiment or "")
    trials = optuna_trials.trials(connection, study.study_id, (OURS,))
    document = board.document(storage, BEST)
    best = document.pop("leaderboard")
    of_ours = _nothing() if made is None else _of_ours(connection, made, trials)
    failures: dict[str, list[int]] = {}
    for entry in board.entries:
        if entry.reason is not None:
            failures.setdefault(entry.reason, []).append(entry.number)
    again = None
    if made is not None:
        again = typed(connection, made, board.study, storage, len(trials))
    return document | of_ours | {"best": best, "failures": failures, "commands": again}


def _nothing() -> dict[str, Any]:
    """What another program does not keep of a study."""
    nothing = dict.fromkeys(("made", "data", "split", "settings", "versions", "winner"))
    return nothing | {"rounds": [], "looks": []}


def _of_ours(connection: Connection, made: Made, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    def document(name: str) -> Mapping[str, Any]:
        return our_experiments.document(connection, made.uid, name) or {}

    fingerprint, split = document("fingerprint"), document("preparation").get("split", {})
    per_round = our_experiments.trials_per_round(connection, made.uid)
    columns = fingerprint.get("columns")
    return {
        "made": made.created_at,
        "data": {
            "source": made.source,
            "columns": None if columns is None else list(columns),
            **{name: fingerprint.get(name) for name in _DATA},
        },
        "split": {name: split.get(name) for name in _SPLIT},
        "settings": document("settings"),
        "versions": document("versions"),
        "rounds": described(catalogue.load_rounds(connection, made.uid), trials, per_round),
        "winner": _winner(connection, made.uid),
        "looks": [
            {"look": each.order, "why": each.why, "score": each.score}
            for each in decisions.looks(connection, made.uid)
        ],
    }


def _winner(connection: Connection, uid: str) -> dict[str, Any] | None:
    """Which trial won the latest choice, and among which; None if no search has chosen yet."""
    chosen = decisions.selections(connection, uid)
    if not chosen:
        return None
    last = chosen[-1]
    names = ("expected", "expected_se", "folds", "networks", "refit", "candidates")
    told = {name: last.record.get(name) for name in names}  # older ones do not tell of all
    return {"trial": last.number, "of": last.trials, "repeats": last.repeats, **told}
