"""The composition root: to join a study ties data, search and storage together."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
from sqlalchemy import Connection

from hpo import warm_start
from hpo._version import __version__
from hpo.data.splitting import Split
from hpo.data.table import Dataset, describe_change, fingerprint
from hpo.errors import UsageError
from hpo.joined_study import JoinedStudy
from hpo.preparation import (
    Prepared,
    prepare,
    refuse_equal_costs,
    refuse_giants,
)
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from hpo.search.narrowing import SETTINGS_ATTRIBUTE, NarrowingSettings
from hpo.search.space import SearchSpace
from hpo.settings import DEFAULT_KEEP, Settings, describe_difference
from hpo.study_store import StudyStore
from hpo.warm_start import WARM_ATTRIBUTE
from storage import catalogue, history, slots
from storage.artifacts import located, open_to_write
from storage.errors import StudyGoneError
from storage.records import ExperimentRecord
from storage.trials import RoundStorage


@dataclass(frozen=True)
class Joining:
    """How a process joins a study; nothing of it changes what the trials are.

    ``artifacts`` is the folder or ``s3://BUCKET/PREFIX`` of the stored networks, None for that
    which the study began with; ``keep`` is how many networks are kept whole. ``warm_storage`` is
    where a study is read that a new one starts from, None for the storage of both.
    """

    artifacts: str | None = None
    keep: int = DEFAULT_KEEP
    warm_storage: str | None = None


DEFAULT_JOINING = Joining()


@contextmanager
def joined(
    dataset: Dataset,
    settings: Settings,
    *,
    study: str,
    url: str,
    trials: int,
    joining: Joining = DEFAULT_JOINING,
) -> Iterator[JoinedStudy]:
    """The experiment of this study, created or found again, which this process is a search of.

    ``trials`` is the total asked for; it fixes the size of a round when the study is created. Any
    number of processes may have joined a study.

    Raises
    ------
    DataError
        If the data cannot be split or learnt from.
    UsageError
        If the study exists with other data or settings, or the one that it starts from does not.
    StorageError
        If the database cannot be used.
    """
    prepared = prepare(dataset, settings)
    space = SearchSpace.from_json(settings.space)
    refuse_giants(prepared, space)
    refuse_equal_costs(prepared, space, settings)
    # Before the study is entered: it must not remember a place that cannot be used.
    chosen = open_to_write(joining.artifacts) if joining.artifacts else None
    rounds = RoundStorage(url)
    try:
        new = _record(rounds, dataset, settings, prepared, trials, joining)
        told = None
        if rounds.read(lambda connection: history.find_study(connection, study)) is None:
            told = warm_start.read(joining.warm_storage or url, settings, new.trials_per_round)
        study_id, record = rounds.write(
            lambda connection: _enter(connection, study, new, settings, told)
        )
        if record is not new:
            refuse_differences(record, study, dataset, settings)
            prepared = as_it_was_split(record, study, dataset, settings, prepared)
        attributes = rounds.read(lambda each: history.study_attributes(each, study_id))
        store = StudyStore(
            rounds,
            study_id,
            record.uid,
            space,
            prepared,
            chosen or open_to_write(record.artifacts or str(rounds.folder)),
            joining.keep,
        )
        store.artifacts.sweep()
        # Those that the study began with, also if a later version has other defaults.
        narrowing = NarrowingSettings.from_json(attributes[SETTINGS_ATTRIBUTE])
        with store.join():
            start = warm_start.start(settings, attributes.get(WARM_ATTRIBUTE))
            yield JoinedStudy(study, settings, narrowing, prepared, store, dataset, start)
    finally:
        rounds.close()


def _record(
    rounds: RoundStorage,
    dataset: Dataset,
    settings: Settings,
    prepared: Prepared,
    trials: int,
    joining: Joining,
) -> ExperimentRecord:
    """What the study is made of, if it is a new one."""
    # Beside a SQLite file they move with it.
    shared = None if rounds.place.path is not None else str(rounds.folder)
    return ExperimentRecord(
        uid=uuid.uuid4().hex,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=_storable(dataset.source),
        fingerprint=fingerprint(dataset),
        settings=settings.to_json(),
        preparation=_preparation(dataset, prepared, settings),
        versions=_versions(),
        trials_per_round=-(-trials // settings.rounds),
        artifacts=located(joining.artifacts) if joining.artifacts else shared,
        split=prepared.split.to_bytes(),
    )


def _enter(
    connection: Connection,
    study: str,
    new: ExperimentRecord,
    settings: Settings,
    told: warm_start.Record | None,
) -> tuple[int, ExperimentRecord]:
    """The study and what it was made of; entered whole if there is none of its name.

    ``told`` is what another study told it, if it starts from one.
    """
    study_id = history.find_study(connection, study)
    if study_id is not None:
        uid = history.study_attributes(connection, study_id).get(EXPERIMENT_ATTRIBUTE)
        record = None if uid is None else catalogue.load_experiment(connection, uid)
        if record is None:
            raise UsageError(f"study {study!r} was not made by hpo search: use another --study")
        # Ours, if our first try succeeded without our hearing of it.
        return study_id, new if record.uid == new.uid else record
    if told is None and settings.warm_start is not None:
        raise StudyGoneError("the study was deleted while it was searched")
    catalogue.save_experiment(connection, new)
    narrowing = NarrowingSettings(
        settings.seed, new.trials_per_round, settings.rounds, warm=told is not None
    )
    attributes = {SETTINGS_ATTRIBUTE: narrowing.to_json(), EXPERIMENT_ATTRIBUTE: new.uid}
    if told is not None:
        attributes[WARM_ATTRIBUTE] = dict(told)
    costs = settings.objectives[1:]
    return slots.create_study(connection, study, settings.metric, attributes, costs), new


def refuse_differences(
    record: ExperimentRecord, study: str, dataset: Dataset, settings: Settings
) -> None:
    """Raise ``UsageError`` unless the study was made with these data and settings."""
    now = fingerprint(dataset)
    difference = describe_difference(record.settings, settings.to_json())
    if now["sha256"] != record.fingerprint["sha256"]:
        change = describe_change(record.fingerprint, now)
        # Another column to predict makes other data of the same file, so both are said.
        also = f", and with other settings: {difference}" if difference else ""
        raise UsageError(
            f"study {study!r} was made with other data ({change}){also}: restore "
            f"{_sources(record)}, or use another --study"
        )
    if difference:
        raise UsageError(
            f"study {study!r} was made with other settings: {difference}; "
            "repeat the stored ones, or use another --study"
        )


def _sources(record: ExperimentRecord) -> str:
    """The files that a study was made of."""
    test_file = record.preparation["split"].get("test_file")  # older versions know of none
    return record.source if test_file is None else f"{record.source} and {test_file}"


def as_it_was_split(
    record: ExperimentRecord,
    study: str,
    dataset: Dataset,
    settings: Settings,
    prepared: Prepared,
) -> Prepared:
    """What is trained on, with the split that the study began with: NumPy may draw another one."""
    if record.preparation["split"]["sha256"] == prepared.split.digest():
        return prepared
    if record.split is None:  # of an older version
        raise UsageError(
            f"study {study!r}: NumPy {np.__version__} splits the rows in another way than NumPy "
            f"{record.versions['numpy']} did: use that version, or another --study"
        )
    return prepare(dataset, settings, Split.from_bytes(record.split))


def _storable(path: str) -> str:
    """A path as text: it may hold bytes that are none."""
    return path.encode("utf-8", "backslashreplace").decode()


def _preparation(dataset: Dataset, prepared: Prepared, settings: Settings) -> dict[str, Any]:
    return {
        "split": {
            "seed": settings.seed,
            "test_size": settings.test_size,
            "validation_size": settings.validation_size,
            "rows": prepared.rows,
            "sha256": prepared.split.digest(),
            "test_file": None if dataset.test is None else _storable(dataset.test.source),
        },
        "encoding": prepared.encoding.to_json(),
        "target": prepared.problem.target.to_json(),
        "architecture": prepared.problem.architecture.to_json(),
        "batch_size": prepared.problem.settings.batch_size,
    }


def _versions() -> dict[str, str]:
    return {
        "hpo": __version__,
        "numpy": np.__version__,
        "optuna": optuna.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
