"""Running the command in processes of its own, and reading what it stored with plain SQL."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Hpo = Callable[..., Ran]

QUICK = ("--trials", 4, "--rounds", 2, "--hidden", 4, "--epochs", 2, "--repeats", 0)
"""Options of a search that takes no time."""


def start(folder: Path, *arguments: object, leads_group: bool = False) -> subprocess.Popen[str]:
    """Start the command in a process of its own, in ``folder``.

    A shell's command leads a group of processes of its own, too.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "hpo", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=leads_group,
        # A shell starts what it runs in the background with this signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def finish(process: subprocess.Popen[str], seconds: float = 240) -> Ran:
    """Wait for a started command, which is killed when it takes longer."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)


def stock_optuna(path: Path) -> AbstractContextManager[RDBStorage]:
    """The database in this file as Optuna alone opens it."""
    return stock_optuna_at(f"sqlite:///{path}")


@contextmanager
def stock_optuna_at(url: str) -> Iterator[RDBStorage]:
    """Likewise the one at this URL."""
    storage = RDBStorage(url, skip_compatibility_check=True)  # which is slow
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


Trial = dict[str, Any]

_QUERIES = {
    "params": "SELECT param_name, param_value, distribution_json FROM trial_params",
    "values": "SELECT objective, value, value_type FROM trial_values",
    "intermediate": "SELECT step, intermediate_value FROM trial_intermediate_values",
}


def stored_trials(path: Path, study: str) -> dict[int, Trial]:
    """Every trial of a study by its number, read with plain SQL: no code of ours or Optuna's."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT trial_id, number, state FROM trials JOIN studies USING (study_id) "
            "WHERE study_name = ? ORDER BY trial_id",
            (study,),
        ).fetchall()
        found = {}
        for trial_id, number, state in rows:
            details = {
                name: sorted(connection.execute(f"{query} WHERE trial_id = ?", (trial_id,)))
                for name, query in _QUERIES.items()
            }
            assert number not in found, f"number {number} twice"
            found[number] = {"state": state, **details}
        return found


def trials_so_far(path: Path, study: str) -> dict[int, Trial]:
    """Likewise; none as long as there are no tables."""
    try:
        return stored_trials(path, study)
    except sqlite3.OperationalError:
        return {}


def integrity(path: Path) -> str:
    """What SQLite's own check says; ``ok`` if all is well."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
