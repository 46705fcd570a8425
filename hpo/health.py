"""What is well with a storage and what is not: versions, damage, dead searches, lost files."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import threadpoolctl
from sqlalchemy import Connection

from hpo._version import __version__
from hpo.inventory import Books, read_books, where_of, whose
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from storage import (
    condition,
    leases,
    migrations,
    optuna_studies,
    optuna_trials,
    our_experiments,
    reader,
    revisions,
    schema,
    slots,
    sqlite,
)
from storage.artifacts import STALE_SECONDS, Artifacts, Stored, located, open_artifacts
from storage.causes import root_cause
from storage.errors import ArtifactError, StorageError
from storage.our_experiments import ENSEMBLE
from storage.records import Lease
from storage.trials import RoundStorage
from storage.urls import Place

LITTLE_ROOM = 100_000_000
"""Free bytes of a disk below which a note says so."""

DRIVERS = ("psycopg", "psycopg2", "pymysql", "mysqlclient", "boto3", "optuna-dashboard")
"""What a storage may need besides Python, by the names of the package index."""


@dataclass
class Health:
    """What was found; everything in it is plain values, as ``--json`` prints them.

    ``damage`` are faults of the database itself, a line each; ``notes`` say what deserves a look,
    and what to do. ``repaired`` is None if nothing was to be repaired.
    """

    storage: dict[str, Any] = field(default_factory=dict)
    searches: list[dict[str, Any]] = field(default_factory=list)
    unheld: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    lost: list[dict[str, Any]] = field(default_factory=list)
    repaired: list[dict[str, Any]] | None = None
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def versions() -> dict[str, Any]:
    """What runs here: hpo, Python, the libraries, and the threads of NumPy's algebra."""
    blas = [
        {"name": each["internal_api"], "version": each["version"], "threads": each["num_threads"]}
        for each in threadpoolctl.threadpool_info()
        if each["user_api"] == "blas"
    ]
    return {
        "hpo": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "numpy": np.__version__,
        "blas": blas,
        "sqlalchemy": importlib.metadata.version("sqlalchemy"),
        "optuna": importlib.metadata.version("optuna"),
        "sqlite": sqlite3.sqlite_version,
        "drivers": dict(_drivers()),
    }


def _drivers() -> Iterator[tuple[str, str]]:
    for name in DRIVERS:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def examine(url: str, also: str | None = None, *, repair: bool = False) -> Health:
    """What is well with a storage; changes nothing but for ``repair``.

    ``repair`` lets the trials of dead searches wait again, unless the database is damaged. ``also``
    is a folder or bucket where networks may be besides those that the tables name.
    """
    health = Health()
    with reader.opened(url) as source:
        health.storage = _file(source)
        health.damage = _damage(source)
        if health.damage:
            return health
        health.storage |= source.read(partial(_tables, place=source.place))
        if repair:
            health.repaired = _repair(url, source.read(read_books))
        books = source.read(read_books)
        source.read(partial(_searches, books=books, health=health))
        health.deleted = [
            {"source": books.experiments[uid].source, "made": books.experiments[uid].created_at}
            for uid in books.gone
        ]
        _networks(source, books, also, health)
    health.notes = _notes(health)
    return health


def _file(source: reader.Reader) -> dict[str, Any]:
    """What the file system says of a SQLite file; nothing of a server."""
    place, path = source.place, source.place.path
    if path is None:
        return {"place": str(place), "kind": place.kind}
    with path.open("rb") as file:
        head = file.read(20)
    return {
        "place": str(place),
        "kind": place.kind,
        "journal": "wal" if head[18:19] == b"\2" else "rollback",
        "free": shutil.disk_usage(path.parent).free,
        "network_system": sqlite.network_system(path),
    }


def _damage(source: reader.Reader) -> list[str]:
    try:
        return source.read(condition.damage)
    except StorageError as error:
        code = getattr(root_cause(error), "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return [str(error)]
        raise


def _tables(connection: Connection, place: Place) -> dict[str, Any]:
    optunas, ours = condition.versions(connection)
    return {
        "version": condition.server_version(connection),
        "bytes": condition.database_bytes(connection, place),
        "optuna_tables": optunas,
        "hpo_tables": ours,
    }


def _repair(url: str, books: Books) -> list[dict[str, Any]]:
    """Let the trials wait again that dead searches held, or that nobody holds."""
    rounds = RoundStorage(url)
    try:
        done = [
            (study, *rounds.write(partial(_reap, study_id=study.study_id, uid=uid)))
            for study in rounds.read(
                partial(optuna_studies.studies, attribute=EXPERIMENT_ATTRIBUTE)
            )
            if (uid := study.experiment) is not None and uid in books.experiments
        ]
    finally:
        rounds.close()
    return [
        {"study": study.name, "searches": dead, "trials": trials}
        for study, dead, trials in done
        if dead or trials
    ]


def _reap(connection: Connection, study_id: int, uid: str) -> tuple[int, int]:
    """How many dead searches were forgotten, and how many trials wait again."""
    if slots.lock_study(connection, study_id, EXPERIMENT_ATTRIBUTE) != uid:
        return 0, 0  # deleted meanwhile
    dead = sum(lease.dead for lease in leases.leases(connection, uid))
    return dead, leases.reap(connection, study_id, uid)


def _searches(connection: Connection, books: Books, health: Health) -> None:
    has_owners = schema.owners.name in condition.tables(connection)
    for study in optuna_studies.studies(connection, EXPERIMENT_ATTRIBUTE):
        uid = study.experiment
        if uid is None or uid not in books.experiments:
            continue
        if has_owners:
            found = leases.leases(connection, uid)
            health.searches += [_described(study.name, lease) for lease in found]
        if numbers := optuna_trials.unheld(connection, study.study_id, uid):
            health.unheld.append({"study": study.name, "trials": numbers})


def _described(study: str, lease: Lease) -> dict[str, Any]:
    return {
        "study": study,
        "host": lease.owner.host,
        "pid": lease.owner.pid,
        "silence": round(max(0.0, lease.silence), 1),
        "trials": len(lease.numbers),
        "alive": not lease.dead,
    }


def _networks(source: reader.Reader, books: Books, also: str | None, health: Health) -> None:
    """Which stored networks are there, whole, and referred to."""
    stored: dict[str, dict[str, Stored]] = {}
    opened: dict[str, Artifacts] = {}
    for where in books.places(source.place, also):
        try:
            artifacts = open_artifacts(where)
            stored[where] = {each.digest: each for each in artifacts.stored()}
            opened[where] = artifacts
        except StorageError as error:
            health.networks.append({"place": where, "error": str(error)})
    used = books.digests(books.studies)
    for where, artifacts in opened.items():
        loose = [each for digest, each in stored[where].items() if digest not in used]
        unknown = [each for each in loose if whose(artifacts, each.digest) not in books.experiments]
        health.networks.append(
            {
                "place": where,
                "networks": len(stored[where]),
                "bytes": sum(each.size for each in stored[where].values()),
                # Younger ones a search may be about to enter.
                "unreferenced": sum(
                    each.age > STALE_SECONDS for each in loose if each not in unknown
                ),
                "unknown": len(unknown),
            }
        )
    lost: dict[tuple[str, str], dict[str, Any]] = {}
    for uid, study in books.studies.items():
        recorded = where_of(books.experiments[uid], source.place)
        places = [recorded] if also is None else [recorded, located(also)]
        if any(where not in opened for where in places):
            continue  # it may be there
        for digest, number in books.networks.get(uid, {}).items():
            there = [opened[where] for where in places if digest in stored[where]]
            if (problem := _problem(there, digest)) is not None:
                lost[uid, digest] = {"study": study, "trial": number, "problem": problem}
    # A search may have removed one meanwhile that fell out of the best.
    still = source.read(our_experiments.networks) if lost else {}
    health.lost = [each for (uid, digest), each in lost.items() if digest in still.get(uid, ())]


def _problem(there: list[Artifacts], digest: str) -> str | None:
    if not there:
        return f"{digest} is missing"
    problem = None
    for artifacts in there:
        try:
            artifacts.load(digest)
        except ArtifactError as error:
            problem = str(error)
        else:
            return None
    return problem


def _notes(health: Health) -> list[str]:
    return [
        *_notes_on_storage(health.storage),
        *_notes_on_searches(health),
        *_notes_on_files(health),
    ]


def _notes_on_storage(storage: dict[str, Any]) -> Iterator[str]:
    if storage.get("network_system"):
        yield (
            f"the file lies on a network file system ({storage['network_system']}), whose locks "
            "SQLite cannot rely on: use a local disk, or PostgreSQL or MySQL"
        )
    if storage.get("free", LITTLE_ROOM) < LITTLE_ROOM:
        yield "the disk is nearly full: make room before the next search"
    optunas = storage["optuna_tables"]
    if optunas is not None and not revisions.is_known(optunas) and optunas != revisions.installed():
        yield (
            f"Optuna's tables are of version {optunas}, which Optuna "
            f"{importlib.metadata.version('optuna')} does not know: use the version that made them"
        )
    ours = storage["hpo_tables"]
    if ours is not None and ours < migrations.HEAD:
        yield f"hpo's tables are of version {ours}: a search makes them version {migrations.HEAD}"
    if ours is not None and ours > migrations.HEAD:
        yield f"hpo's tables are of version {ours}, newer than this hpo: upgrade hpo"


def _notes_on_searches(health: Health) -> Iterator[str]:
    for each in health.searches:
        if not each["alive"]:
            yield (
                f"a search of study {each['study']!r} is dead (process {each['pid']} on "
                f"{each['host']}) and holds {_some(each['trials'], 'trial')}: the study's next "
                "search, or --repair, lets them wait again"
            )
    for each in health.unheld:
        yield (
            f"nobody holds {_some(len(each['trials']), 'running trial')} of study "
            f"{each['study']!r}: its next search, or --repair, lets them wait again"
        )
    for each in health.deleted:
        yield (
            f"a study of {each['source']}, made {each['made']}, was deleted, and its rows are "
            "still there: hpo gc removes them"
        )


def _notes_on_files(health: Health) -> Iterator[str]:
    for each in health.networks:
        if "error" in each:
            yield f"{each['place']} was not looked into: {each['error']}"
            continue
        if each["unreferenced"]:
            yield (
                f"nobody refers to {_some(each['unreferenced'], 'network')} in {each['place']}: "
                "hpo gc removes them"
            )
    for each in health.lost:
        model = "an ensemble" if each["trial"] == ENSEMBLE else f"trial {each['trial']}"
        yield f"study {each['study']!r}, {model}: {each['problem']}; restore it from a copy"


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
