"""How the folders here were made: ``python tests/storage/golden/making.py``.

They stand for the databases that users have, one of each schema. The command that is run is the
``hpo`` of the environment; with PYTHONPATH it may be an older one. So nothing of ours is imported.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
TINY = ("--trials", "6", "--rounds", "2", "--hidden", "4", "--epochs", "3", "--workers", "1")
WILD = ("--optimizer", "sgd", "--space", "learning_rate=1e-3..1e2:log", "--keep-sealed")
STUDIES = {
    "golden": ("iris", *TINY),
    "wild": ("diabetes", *TINY, *WILD),  # some of its trials fail
}
"""Name -> arguments of the search that made the study."""

ENSEMBLE = ("golden", "--methods", "mean", "--with", "knn", "--top", "2", "--folds", "2")
"""Arguments of the ensemble that is built then."""

DATABASE, NETWORKS, RECORD = "study.sqlite", "networks", "held.json"


def held(path: Path) -> dict[str, Any]:
    """All that a database holds of each study, read with plain SQL."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        studies = connection.execute("SELECT study_id, study_name FROM studies").fetchall()
        return {name: _study(connection, study_id) for study_id, name in studies}


def _study(connection: sqlite3.Connection, study_id: int) -> dict[str, Any]:
    def rows(query: str, *values: Any) -> list[sqlite3.Row]:
        return connection.execute(query, values).fetchall()

    attributes = {
        row["key"]: json.loads(row["value_json"])
        for row in rows("SELECT * FROM study_user_attributes WHERE study_id = ?", study_id)
    }
    uid = attributes["hpo:experiment"]

    def ours(table: str, order: str = "number") -> list[sqlite3.Row]:
        return rows(f"SELECT * FROM {table} WHERE experiment = ? ORDER BY {order}", uid)

    tables = {row["name"] for row in rows("SELECT name FROM sqlite_master")}
    (experiment,) = rows("SELECT * FROM hpo_experiments WHERE uid = ?", uid)
    trials = rows("SELECT * FROM trials WHERE study_id = ? ORDER BY number", study_id)
    return {
        "attributes": attributes,
        "experiment": {name: _plain(experiment[name]) for name in experiment.keys()},  # noqa: SIM118
        "rounds": {row["round"]: json.loads(row["ranges"]) for row in ours("hpo_rounds", "round")},
        "trials": {row["number"]: _trial(connection, row) for row in trials},
        "curves": {
            row["number"]: {
                name: curve.tolist()
                for name, curve in zip(
                    json.loads(row["names"]),
                    np.frombuffer(row["data"], "<f4").reshape(len(json.loads(row["names"])), -1),
                    strict=True,
                )
            }
            for row in ours("hpo_curves")
        },
        "predictions": {
            row["number"]: np.frombuffer(row["data"], "<f4").reshape(-1, row["outputs"]).tolist()
            for row in ours("hpo_predictions")
        },
        "artifacts": {row["number"]: row["digest"] for row in ours("hpo_artifacts")},
        **(
            {"selections": selections(ours("hpo_selections", "trials"))}
            if "hpo_selections" in tables
            else {}
        ),
        **(
            {"ensembles": ensembles(ours("hpo_ensembles", "name"))}
            if "hpo_ensembles" in tables
            else {}
        ),
        "looks": [
            [row["model"], row["why"], row["score"]] for row in ours("hpo_test_looks", "look")
        ],
    }


def selections(rows: list[sqlite3.Row]) -> list[list[Any]]:
    """Which trial won, with which model, and how it was chosen."""
    names = ("trials", "repeats", "number", "digest")
    return [[*(row[name] for name in names), json.loads(row["record"])] for row in rows]


def ensembles(rows: list[sqlite3.Row]) -> list[list[Any]]:
    """Name and model of each, and how it was built."""
    return [[row["name"], row["digest"], json.loads(row["record"])] for row in rows]


def _trial(connection: sqlite3.Connection, trial: sqlite3.Row) -> dict[str, Any]:
    def pairs(query: str) -> dict[Any, Any]:
        return dict(connection.execute(query, (trial["trial_id"],)).fetchall())

    attributes = pairs("SELECT key, value_json FROM trial_user_attributes WHERE trial_id = ?")
    return {
        "state": trial["state"],
        "value": pairs("SELECT 0, value FROM trial_values WHERE trial_id = ?").get(0),
        "params": pairs("SELECT param_name, param_value FROM trial_params WHERE trial_id = ?"),
        "intermediate": pairs(
            "SELECT step, intermediate_value FROM trial_intermediate_values WHERE trial_id = ?"
        ),
        "attributes": {key: json.loads(text) for key, text in attributes.items()},
    }


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def main() -> None:
    """Write the folder of the schema that the installed version has."""
    with tempfile.TemporaryDirectory() as folder:
        for study, arguments in STUDIES.items():
            command = [sys.executable, "-m", "hpo", "search", *arguments, "--study", study]
            subprocess.run(command, cwd=folder, check=True)
        subprocess.run([sys.executable, "-m", "hpo", "ensemble", *ENSEMBLE], cwd=folder, check=True)
        path = Path(folder) / "hpo.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM")
            (schema,) = connection.execute("SELECT * FROM hpo_alembic_version").fetchone()
        shutil.rmtree(FOLDER / schema, ignore_errors=True)
        (FOLDER / schema / NETWORKS).mkdir(parents=True)
        shutil.copyfile(path, FOLDER / schema / DATABASE)
        for network in path.with_name("hpo.artifacts").glob("*.[nj]*"):
            shutil.copyfile(network, FOLDER / schema / NETWORKS / network.name)
    record = json.dumps(held(FOLDER / schema / DATABASE), indent=1)
    (FOLDER / schema / RECORD).write_text(record + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
