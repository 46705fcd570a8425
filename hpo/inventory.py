"""What a storage holds: its studies, and the files of their networks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hpo.leaderboard import STATES
from hpo.ranking import EXPERIMENT_ATTRIBUTE, OURS
from storage import condition, leases, optuna_studies, our_experiments, schema
from storage.artifacts import Artifacts, Stored, located, open_artifacts
from storage.errors import ArtifactError, StorageError
from storage.our_experiments import Made
from storage.reader import Reader
from storage.urls import Place


@dataclass(frozen=True)
class Held:
    """A study. ``counts``: state -> trials; ``made`` is ISO 8601, UTC.

    ``n_bytes`` are those of curves, predictions and networks, ``source`` is where its data came
    from; both are None for a study that another program made. Networks in a bucket are counted,
    but not measured.
    """

    study: str
    counts: Mapping[str, int]
    best: float | None
    metric: str | None
    made: str | None
    source: str | None
    artifacts: str | None
    n_networks: int
    n_bytes: int | None

    @property
    def document(self) -> dict[str, Any]:
        """The study in the JSON object of ``hpo studies --json``."""
        return {
            "study": self.study,
            "trials": {state: self.counts.get(state, 0) for state in STATES.values()},
            "best": self.best,
            "metric": self.metric,
            "made": self.made,
            "source": self.source,
            "artifacts": self.artifacts,
            "networks": self.n_networks,
            "bytes": self.n_bytes,
        }


@dataclass(frozen=True)
class Holding:
    """All that a storage holds; ``n_bytes`` are those of the database itself."""

    studies: list[Held]
    n_bytes: int


def look_over(source: Reader, also: str | None = None) -> Holding:
    """What the storage holds, its oldest study first; networks may be in ``also`` too."""
    place = source.place

    def look(connection: Connection) -> Holding:
        experiments = our_experiments.made(connection)
        counts = optuna_studies.states(connection)
        bests = optuna_studies.extremes(connection), optuna_studies.extremes(connection, OURS)
        arrays = our_experiments.array_bytes(connection)
        networks = our_experiments.networks(connection)
        sizes = _Sizes()
        held = []
        for study in optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE):
            made = experiments.get(study.experiment or "")
            where = made and where_of(made, place)
            digests = list(networks.get(made.uid, {})) if made else []
            least, most = bests[made is not None].get(study.study_id, (None, None))
            n_bytes = None
            if made is not None:
                n_bytes = arrays.get(made.uid, 0) + sizes.of(digests, (where, also))
            held.append(
                Held(
                    study=study.name,
                    counts={STATES[k]: n for k, n in counts.get(study.study_id, {}).items()},
                    # The score is the first value of a study of ours.
                    best=_best(study.directions[: 1 if made else None], least, most),
                    metric=study.metrics[0] if study.metrics else None,
                    made=made and made.created_at,
                    source=made and made.source,
                    artifacts=where,
                    n_networks=len(digests),
                    n_bytes=n_bytes,
                )
            )
        return Holding(held, condition.database_bytes(connection, place))

    return source.read(look)


def where_of(made: Made, place: Place) -> str:
    """The folder or bucket of an experiment's networks."""
    return located(made.artifacts or str(place.folder))


@dataclass(frozen=True)
class Books:
    """What the tables say of experiments, by their uid, and of the files that belong to them.

    ``studies`` are the names of those whose study is there; ``searched`` are those that a living
    search has joined; ``networks`` maps digests to trials, ``looks`` are the digests of models that
    were tried on test rows.
    """

    experiments: Mapping[str, Made]
    studies: Mapping[str, str]
    searched: frozenset[str]
    networks: Mapping[str, Mapping[str, int]]
    looks: Mapping[str, frozenset[str]]

    @property
    def gone(self) -> list[str]:
        """The experiments whose study was deleted."""
        return [uid for uid in self.experiments if uid not in self.studies]

    def digests(self, uids: Iterable[str]) -> set[str]:
        """The files that these experiments refer to."""
        found: set[str] = set()
        for uid in uids:
            found.update(self.networks.get(uid, {}), self.looks.get(uid, ()))
        return found

    def places(self, place: Place, also: str | None) -> dict[str, list[str]]:
        """Folder or bucket -> the experiments whose networks may be there.

        The folder beside a SQLite file is always one of them.
        """
        found: dict[str, list[str]] = {}
        for uid, made in self.experiments.items():
            found.setdefault(where_of(made, place), []).append(uid)
        if place.path is not None:
            found.setdefault(str(place.folder), [])
        if also is not None:
            found[located(also)] = list(self.experiments)
        return found


def read_books(connection: Connection) -> Books:
    """What the tables say; read only."""
    experiments = our_experiments.made(connection)
    studies = optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE)
    has_owners = schema.owners.name in condition.tables(connection)
    return Books(
        experiments,
        {study.experiment: study.name for study in studies if study.experiment in experiments},
        frozenset(
            uid
            for uid in (experiments if has_owners else ())
            if any(not lease.dead for lease in leases.leases(connection, uid))
        ),
        our_experiments.networks(connection),
        our_experiments.looked_at(connection),
    )


def whose(artifacts: Artifacts, digest: str) -> str | None:
    """The experiment that a stored network says it is of; None if it does not say."""
    try:
        document = json.loads(artifacts.document(digest))
        uid = document["trial"]["experiment"]
    except (ArtifactError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return uid if isinstance(uid, str) else None


def _best(directions: tuple[str, ...], least: float | None, most: float | None) -> float | None:
    if len(directions) != 1:
        return None
    return most if directions == ("MAXIMIZE",) else least


class _Sizes:
    """Sizes of files in folders, each of which is looked at once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Stored]] = {}

    def of(self, digests: Iterable[str], places: Iterable[str | None]) -> int:
        found: dict[str, Stored] = {}
        for where in places:
            # A list of studies does not wait for a bucket.
            if where is not None and "://" not in where:
                found |= self._folder(where)
        return sum(found[digest].size for digest in digests if digest in found)

    def _folder(self, where: str) -> dict[str, Stored]:
        if where not in self._known:
            try:
                stored = open_artifacts(where).stored()
            except StorageError:  # another machine's folder, or one that is not ours to look into
                stored = []
            self._known[where] = {each.digest: each for each in stored}
        return self._known[where]
