"""One study whole, in plain values, read without joining the search."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from hpo.leaderboard import choose, read_leaderboard
from hpo.ranking import EXPERIMENT_ATTRIBUTE, OURS
from hpo.reproduction import Course, commands
from hpo.rounds import described
from hpo.settings import Settings
from storage import (
    catalogue,
    condition,
    ledger,
    optuna_studies,
    optuna_trials,
    our_experiments,
    schema,
)
from storage.our_experiments import Made
from storage.records import Look, SelectionRecord, TrialRecord

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
        again = _again(connection, made, board.study, storage, len(trials))
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
            for each in _looks(connection, made.uid)
        ],
    }


def _winner(connection: Connection, uid: str) -> dict[str, Any] | None:
    """Which trial won the latest choice, and among which; None if no search has chosen yet."""
    chosen = _selections(connection, uid)
    if not chosen:
        return None
    last = chosen[-1]
    names = ("expected", "expected_se", "folds", "networks", "refit", "candidates")
    told = {name: last.record.get(name) for name in names}  # older ones do not tell of all
    return {"trial": last.number, "of": last.trials, "repeats": last.repeats, **told}


def _selections(connection: Connection, uid: str) -> list[SelectionRecord]:
    """The winners; none in tables of an older schema."""
    if schema.selections.name not in condition.tables(connection):
        return []
    return catalogue.load_selections(connection, uid)


def _looks(connection: Connection, uid: str) -> list[Look]:
    """Likewise the looks at the test rows."""
    columns = condition.columns(connection, schema.test_looks.name)
    return ledger.looks(connection, uid) if "owner" in columns else []


def _again(
    connection: Connection, made: Made, study: str, storage: str, n_trials: int
) -> list[str] | None:
    """The commands that make the study again; None if too little is known of its settings."""
    stored = our_experiments.document(connection, made.uid, "settings")
    preparation = our_experiments.document(connection, made.uid, "preparation") or {}
    try:
        settings = Settings.from_json(stored)
    except (KeyError, TypeError):  # of another version
        return None
    chosen, looks = _selections(connection, made.uid), _looks(connection, made.uid)
    repeats = chosen[-1].repeats if chosen else 0 if looks else None
    course = Course(
        n_trials,
        our_experiments.trials_per_round(connection, made.uid),
        repeats,
        refit=bool(chosen) and chosen[-1].refit,
        sealed=bool(chosen) and not looks,
    )
    test_file = preparation.get("split", {}).get("test_file")
    typed = commands(study, made.source, storage, settings, course, test_file)
    return [shlex.join(words) for words in typed]
