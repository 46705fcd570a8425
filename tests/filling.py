"""Studies of any size, entered with plain SQL and no code of ours or of Optuna's; old files."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

REASON = "diverged in epoch 3: the loss was not finite"
RANGES = {"learning_rate": (1e-5, 1e-1), "weight_decay": (1e-5, 10.0)}
ARCHITECTURE = {"n_inputs": 64, "hidden": [32], "heads": [{"n_outputs": 10}]}
UID = "f" * 32


def fill(path: Path, n_trials: int, study: str = "big", uid: str = UID) -> list[float | None]:
    """Enter a study as `hpo search` leaves it, in a database that has all tables.

    Every fiftieth trial failed. Returns the values by number, None for those.
    """
    rng = random.Random(0)
    values = [None if number % 50 == 7 else rng.random() for number in range(n_trials)]
    with closing(sqlite3.connect(path)) as connection, connection:
        study_id, first = _enter(connection, study, uid)
        ids = range(first, first + n_trials)
        states = ["FAIL" if value is None else "COMPLETE" for value in values]
        time = "2026-01-01 00:00:00.000000"
        connection.executemany(
            "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?)",
            (
                (trial_id, number, study_id, states[number], time, time)
                for number, trial_id in enumerate(ids)
            ),
        )
        connection.executemany(
            "INSERT INTO trial_values (trial_id, objective, value, value_type) "
            "VALUES (?, 0, ?, 'FINITE')",
            ((i, value) for i, value in zip(ids, values, strict=True) if value is not None),
        )
        connection.executemany(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
            "VALUES (?, ?, ?, ?)",
            _params(rng, ids),
        )
        connection.executemany(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)",
            _attributes(rng, ids, values),
        )
        connection.executemany(
            "INSERT INTO hpo_curves VALUES (?, ?, ?, ?)",
            ((uid, number, '["val_loss"]', bytes(200)) for number in range(n_trials)),
        )
        connection.executemany(
            "INSERT INTO hpo_predictions VALUES (?, ?, ?, ?)",
            ((uid, number, 10, bytes(4000)) for number in range(n_trials)),
        )
    return values


def age(folder: Path, pattern: str = "*", seconds: float = 7200) -> None:
    """Let these files look as if they had been written so long ago."""
    for path in folder.glob(pattern):
        moment = path.lstat().st_mtime - seconds
        os.utime(path, (moment, moment), follow_symlinks=False)


def _enter(connection: sqlite3.Connection, study: str, uid: str) -> tuple[int, int]:
    """The study and its experiment; returns Optuna's ids of it and of its first trial."""
    connection.execute(
        "INSERT INTO hpo_experiments (uid, created_at, source, fingerprint, settings, preparation, "
        "versions, trials_per_round) "
        "VALUES (?, '2026-01-01T00:00:00+00:00', 'digits', '{}', ?, ?, '{}', 100)",
        (uid, json.dumps({"metric": "accuracy"}), json.dumps({"architecture": ARCHITECTURE})),
    )
    cursor = connection.execute("INSERT INTO studies (study_name) VALUES (?)", (study,))
    study_id = cursor.lastrowid
    assert study_id is not None
    connection.execute(
        "INSERT INTO study_directions (direction, study_id, objective) VALUES ('MAXIMIZE', ?, 0)",
        (study_id,),
    )
    connection.execute(
        "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (?, ?, ?)",
        (study_id, "hpo:experiment", json.dumps(uid)),
    )
    connection.execute(
        "INSERT INTO study_system_attributes (study_id, key, value_json) VALUES (?, ?, ?)",
        (study_id, "study:metric_names", '["accuracy"]'),
    )
    (last,) = connection.execute("SELECT coalesce(max(trial_id), 0) FROM trials").fetchone()
    return study_id, last + 1


def _params(rng: random.Random, ids: range) -> Iterator[tuple[Any, ...]]:
    for name, (low, high) in RANGES.items():
        attributes = {"step": None, "low": low, "high": high, "log": True}
        text = json.dumps({"name": "FloatDistribution", "attributes": attributes})
        for trial_id in ids:
            yield trial_id, name, low * (high / low) ** rng.random(), text


def _attributes(
    rng: random.Random, ids: range, values: list[float | None]
) -> Iterator[tuple[Any, ...]]:
    for trial_id, value in zip(ids, values, strict=True):
        yield trial_id, "seconds", json.dumps(round(rng.random(), 4))
        yield trial_id, "epochs", "20"
        if value is None:
            yield trial_id, "reason", json.dumps(REASON)
        else:
            yield trial_id, "train", json.dumps(rng.random())
            yield trial_id, "best_epoch", "12"
