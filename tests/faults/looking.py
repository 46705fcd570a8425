"""What a study is and what was said, by plain SQL and hashes: no code of ours or Optuna's."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.running import Ran

KEEP = 2
"""How many networks are kept."""

Study = dict[str, Any]

_OF_TRIALS = {
    "params": "SELECT param_name, param_value, distribution_json FROM trial_params",
    "values": "SELECT objective, value, value_type FROM trial_values",
    "intermediate": "SELECT step, intermediate_value, intermediate_value_type "
    "FROM trial_intermediate_values",
    "attributes": "SELECT key, value_json FROM trial_user_attributes",
}
_OF_NUMBERS = {
    "curves": "SELECT number, names, data FROM hpo_curves",
    "predictions": "SELECT number, outputs, data FROM hpo_predictions",
}
NOTHING: Study = {
    "trials": {},
    "rounds": [],
    "networks": {},
    "selections": [],
    "looks": [],
    "study": [],
}


def look(folder: Path, artifacts: Path | None = None) -> Study:
    """The only study in ``folder``, whose tables and stored networks must be sound.

    Without what differs between two runs: identifiers, times. A kill may leave a file with no
    tables, or no file.
    """
    path = folder / "hpo.db"
    if not path.exists():
        return NOTHING
    with _reading(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "hpo_experiments" not in tables:
            assert "studies" not in tables or _all(connection, "SELECT * FROM studies") == []
            return NOTHING
        if not _all(connection, "SELECT * FROM studies"):
            assert _all(connection, "SELECT * FROM hpo_experiments") == []
            return NOTHING
        ((uid,),) = _all(connection, "SELECT uid FROM hpo_experiments")
        own = "key NOT IN ('seconds', 'hpo:experiment')"
        attributes = f"SELECT key, value_json FROM study_user_attributes WHERE {own} ORDER BY 1"
        return {
            "trials": _trials(connection),
            "rounds": _all(connection, "SELECT round, ranges FROM hpo_rounds ORDER BY round"),
            "networks": _networks(connection, uid, artifacts or folder / "hpo.artifacts"),
            "selections": _selections(connection, uid, artifacts or folder / "hpo.artifacts"),
            "looks": _looks(connection),
            "study": [
                *_all(connection, "SELECT study_name, direction, objective FROM studies "
                      "JOIN study_directions USING (study_id)"),
                *_all(connection, "SELECT key, value_json FROM study_system_attributes"),
                *_all(connection, attributes),
            ],
        }  # fmt: skip


def rows(folder: Path, query: str) -> list[Any]:
    """What a query finds in the database in ``folder``."""
    with _reading(folder / "hpo.db") as connection:
        return _all(connection, query)


def claimed(folder: Path) -> list[int]:
    """The numbers of the trials that are claimed; the choice of the winner may be, besides."""
    query = "SELECT number FROM hpo_claims WHERE number >= 0 ORDER BY 1"
    return [number for (number,) in rows(folder, query)]


def owners(folder: Path) -> list[int]:
    """The process ids of those who search."""
    return [pid for (pid,) in rows(folder, "SELECT pid FROM hpo_owners ORDER BY 1")]


def check_interrupted(now: Study, calm: Study) -> int:
    """Check what a fault has left against an undisturbed run.

    Every trial is one of that run; what has a result is as there, and what has none has nothing.
    Returns how many have one.
    """
    numbers = list(now["trials"])
    assert numbers == list(range(len(numbers)))
    assert now["rounds"] == calm["rounds"][: len(now["rounds"])]
    assert now["study"] in ([], calm["study"])
    for number, trial in now["trials"].items():
        expected = calm["trials"][number]
        assert trial["params"] == expected["params"]
        if trial["state"] in {"COMPLETE", "PRUNED"}:
            assert trial == expected
        else:
            assert trial["state"] in {"WAITING", "RUNNING"}
            assert {name: each for name, each in trial.items() if each} == {
                "state": trial["state"], "params": trial["params"],
            }  # fmt: skip
    complete = {n: trial for n, trial in now["trials"].items() if trial["state"] == "COMPLETE"}
    best = sorted(complete, key=lambda number: (-complete[number]["values"][0][1], number))[:KEEP]
    assert sorted(now["networks"]) == sorted(best)
    assert now["selections"] in ([], calm["selections"])
    assert [why for why, _ in now["looks"]] in ([], [why for why, _ in calm["looks"]])
    return len(complete)


def said_in_one_line(ran: Ran) -> str:
    """The one line in which the command says why it ended; the others tell its progress."""
    # Click ends the line in which a terminal shows ^C.
    lines = [line for line in ran.err.splitlines() if line]
    assert all(line.partition(": ")[2].startswith("round ") for line in lines[:-1]), ran.err
    assert lines, "nothing was said"
    assert lines[-1].startswith("hpo: "), ran.err
    return lines[-1]


def _reading(path: Path) -> closing[sqlite3.Connection]:
    """Read-only, so that it is left to the command to put in order what a kill has left."""
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True))


def _all(connection: sqlite3.Connection, query: str) -> list[Any]:
    return connection.execute(query).fetchall()


def _trials(connection: sqlite3.Connection) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for trial_id, number, state in _all(
        connection, "SELECT trial_id, number, state FROM trials ORDER BY trial_id"
    ):
        assert number not in found, f"number {number} twice"
        found[number] = {"state": state}
        for name, query in _OF_TRIALS.items():
            rows = connection.execute(f"{query} WHERE trial_id = ? ORDER BY 1", (trial_id,))
            found[number][name] = [row for row in rows if row[0] != "seconds"]
        for name in _OF_NUMBERS:
            found[number][name] = []
    for name, query in _OF_NUMBERS.items():
        for number, *row in _all(connection, query):
            found[number][name].append(row)
    return found


def _networks(
    connection: sqlite3.Connection, uid: str, folder: Path
) -> dict[int, tuple[float, str, bytes]]:
    """Number -> value, arrays (as a hash) and document of the stored networks, which are whole."""
    rows = _all(connection, "SELECT number, digest, value FROM hpo_artifacts")
    return {number: (value, *_model(digest, uid, folder)) for number, digest, value in rows}


def _selections(connection: sqlite3.Connection, uid: str, folder: Path) -> list[tuple[Any, ...]]:
    """Every choice of a winner, with its model, which is whole."""
    columns = "digest, trials, repeats, number, record"
    query = f"SELECT {columns} FROM hpo_selections ORDER BY trials, repeats DESC"
    return [(*_model(digest, uid, folder), *rest) for digest, *rest in _all(connection, query)]


def _model(digest: str, uid: str, folder: Path) -> tuple[str, bytes]:
    """Arrays (as a hash) and document of a stored model, without what names its study."""
    arrays = (folder / f"{digest}.npz").read_bytes()
    document = (folder / f"{digest}.json").read_bytes()
    head = len(arrays).to_bytes(8, "little")
    assert hashlib.sha256(head + arrays + document).hexdigest() == digest
    assert uid.encode() in document
    return hashlib.sha256(arrays).hexdigest(), document.replace(uid.encode(), b"")


def _looks(connection: sqlite3.Connection) -> list[tuple[str, float | None]]:
    """Why and with which score; each must be of a model that is kept."""
    models = "SELECT digest FROM hpo_artifacts UNION SELECT digest FROM hpo_selections"
    kept = {digest for (digest,) in _all(connection, models)}
    rows = _all(connection, "SELECT model, why, score FROM hpo_test_looks ORDER BY look")
    assert {model for model, _, _ in rows} <= kept
    return [(why, score) for _, why, score in rows]
