"""The models that a study holds ready: its winner and its ensembles, by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from hpo.data.table import Table
from hpo.data.target_encoding import TargetEncoding
from hpo.data.wording import did_you_mean
from hpo.ensembling.model import FORMAT, EnsembleModel
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.persistence import DamagedModelError, Network
from hpo.ranking import WINNER
from storage import catalogue, our_experiments
from storage.artifacts import Artifacts
from storage.condition import tables
from storage.errors import ArtifactError, StorageError
from storage.schema import selections

BLOCK = 10_000
"""Rows that are predicted at once."""

Model = Network | EnsembleModel


class Ready(NamedTuple):
    """A stored model. ``expected`` is the score that it promises, None where nobody measured it.

    ``why`` says in words what it is, as the ledger keeps it; ``record`` tells in plain values how
    it was chosen or built, and is empty for a network that nobody chose but the ranking.
    """

    name: str
    digest: str
    expected: float | None
    standard_error: float | None
    why: str
    record: Mapping[str, Any] = {}


def check_version(connection: Connection) -> None:
    """Raise ``StorageError`` for tables that do not say which network is the best."""
    if selections.name not in tables(connection):
        raise StorageError("an older version of hpo wrote it: hpo test STUDY brings it up to date")


def ready(connection: Connection, uid: str) -> list[Ready]:
    """The winner first, then the ensembles, the oldest first; of the schema before this one too.

    Raises ``StorageError`` for an older one; see `check_version`.
    """
    check_version(connection)
    found = []
    chosen = catalogue.load_selections(connection, uid)
    if chosen:
        last = chosen[-1]
        again = ", refitted" if last.refit else ""
        why = f"winner of the search (trial {last.number}{again})"
        record = last.record
        expected, error = record["expected"], record["expected_se"]
        found.append(Ready(WINNER, last.digest, expected, error, why, record))
    else:
        kept = catalogue.load_artifacts(connection, uid)
        if kept:
            why = f"winner of the search (trial {kept[0].number})"
            found.append(Ready(WINNER, kept[0].digest, None, None, why))
    for each in our_experiments.ensembles(connection, uid):
        expected, error = each.record["expected"], each.record["expected_se"]
        why = f"ensemble {each.name} ({each.record['method']})"
        found.append(Ready(each.name, each.digest, expected, error, why, each.record))
    return found


def choose(models: list[Ready], name: str | None) -> Ready:
    """The model of this name, or that with the best promised score, of equal ones the first.

    Raises
    ------
    NoFiniteTrialError
        If there is none at all.
    UsageError
        If there is none of this name; says which there are.
    """
    if not models:
        raise NoFiniteTrialError("the study has no model yet: no trial of it has completed")
    if name is None:
        return max(models, key=lambda each: -math.inf if each.expected is None else each.expected)
    names = [each.name for each in models]
    for each in models:
        if each.name == name:
            return each
    near = did_you_mean(name, names)
    raise UsageError(f"there is no model {name!r}: the study has {', '.join(names)}{near}")


def load(artifacts: Artifacts, model: Ready) -> Model:
    """Read a model; raises ``ArtifactError``, naming it, if it is missing or damaged."""
    try:
        arrays, document = artifacts.load(model.digest)
        kind = EnsembleModel if json.loads(document).get("format") == FORMAT else Network
        return kind.from_bytes(arrays, document)
    except (ArtifactError, DamagedModelError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{model.why}: {error}") from error


def predictions(model: Model, table: Table) -> Iterator[NDArray[np.float64]]:
    """Block by block, probabilities (rows, classes), or values (rows, 1) in the user's units.

    A row's last bits may depend on the rows of its block, so all who predict do it in the same.
    """
    for start in range(0, table.n_rows, BLOCK):
        rows = np.arange(start, min(start + BLOCK, table.n_rows))
        yield in_doubles(model.predict(table, rows), model.target)


def in_doubles(prediction: NDArray[Any], target: TargetEncoding) -> NDArray[np.float64]:
    """In double precision, in which probabilities of single precision do not add up to 1 yet."""
    doubles = prediction.astype(np.float64)
    return doubles / doubles.sum(axis=1, keepdims=True) if target.classes else doubles
