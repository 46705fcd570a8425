"""The composition root: an experiment ties data, search and storage together."""

from __future__ import annotations

import os
import platform
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection

from hpo._version import __version__
from hpo.data.table import Dataset, describe_change, fingerprint
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.preparation import Prepared, prepare
from hpo.search.evaluation import Workers
from hpo.search.loop import Recorded, RoundClaimed, search
from hpo.search.narrowing import NarrowingSettings
from hpo.search.sampler import SETTINGS_ATTRIBUTE
from hpo.search.selection import Expectation, expected_score
from hpo.search.space import SearchSpace
from hpo.settings import Settings, describe_difference
from hpo.study_store import EXPERIMENT_ATTRIBUTE, StudyStore
from storage import catalogue, ledger
from storage.locks import study_lock
from storage.records import ExperimentRecord, Look, RoundRecord, TrialRecord
from storage.trials import RoundStorage

CANDIDATE_BYTES = 1 << 28
"""Bounds the row losses with which the winner's expected score is estimated."""


@dataclass(frozen=True)
class Experiment:
    """A study that this process holds, with its data ready to be trained on."""

    study: str
    settings: Settings
    narrowing: NarrowingSettings
    prepared: Prepared
    store: StudyStore

    def search(self, total: int, n_workers: int) -> Iterator[RoundClaimed | Recorded]:
        """Train until ``total`` trials have finished; yields what the storage holds by then."""
        workers = Workers(self.prepared.problem, n_workers)
        space = self.store.space
        return search(self.store, workers.evaluate, space, self.narrowing, total)

    def rounds(self) -> list[RoundRecord]:
        """The ranges of every round."""
        with self.store.rounds.reading() as connection:
            return catalogue.load_rounds(connection, self.store.uid)

    def winner(self) -> TrialRecord:
        """The trial with the best validation score.

        Raises
        ------
        NoFiniteTrialError
            If every trial failed; names the first reason.
        """
        ranked = self.store.ranked()
        if ranked:
            return ranked[0]
        failed = [trial for trial in self.store.trials() if trial.state == "FAIL"]
        if not failed:
            raise NoFiniteTrialError("no trial has finished yet: run the same command again")
        reason = str(failed[0].attributes.get("reason", "no reason was kept"))
        advice = "; try lower learning rates (--space learning_rate=1e-6..1e-3:log)"
        raise NoFiniteTrialError(
            f"all {len(failed)} trials failed; trial {failed[0].number}: {reason}"
            f"{advice if reason.startswith('diverged') else ''}"
        )

    def expectation(self) -> Expectation:
        """The score to expect of the winner on new rows."""
        problem = self.prepared.problem
        target = problem.validation_target
        ranked = [trial.number for trial in self.store.ranked()]
        numbers = sorted(ranked[: max(2, CANDIDATE_BYTES // (8 * len(target)))])
        losses = np.empty((len(numbers), len(target)))
        for place, number in enumerate(numbers):
            prediction = problem.in_units(self.store.prediction(number)[None])
            losses[place] = problem.metric.row_loss(prediction, target)[0]
        return expected_score(losses, target, problem.metric, self.settings.seed)

    def test(self, trial: TrialRecord) -> Look:
        """The trial's score on the test rows; a look that the ledger counts, once per model."""
        digest, network = self.store.network(trial.number)
        metric = self.prepared.problem.metric
        return ledger.look(
            self.store.rounds.transaction,
            self.store.uid,
            digest,
            f"winner of the search (trial {trial.number})",
            lambda: self.prepared.sealed.score(network, metric),
        )

    def looks(self) -> list[Look]:
        """Every look at the test rows so far."""
        with self.store.rounds.reading() as connection:
            return ledger.looks(connection, self.store.uid)


@contextmanager
def hold(
    dataset: Dataset, settings: Settings, *, study: str, url: str, trials: int
) -> Iterator[Experiment]:
    """The experiment of this study, created or found again, held against other searches.

    ``trials`` is the total asked for; it fixes the size of a round when the study is created.

    Raises
    ------
    DataError
        If the data cannot be split or learnt from.
    UsageError
        If the study exists with other data or settings.
    StorageError
        If the database cannot be used, or another search holds the study.
    """
    prepared = prepare(dataset, settings)
    _refuse_giants(prepared)
    rounds = RoundStorage(url)
    with study_lock(rounds.folder, study):
        record = _find(rounds, study)
        if record is None:
            record = _create(rounds, study, dataset, settings, prepared, trials)
        else:
            _refuse_differences(record, study, dataset, settings, prepared)
        space = SearchSpace.from_json(settings.space)
        study_id = rounds.get_study_id_from_name(study)
        store = StudyStore(rounds, study_id, record.uid, space, prepared)
        store.release()
        store.artifacts.sweep()
        # Those that the study began with, also if a later version has other defaults.
        attributes = rounds.get_study_user_attrs(study_id)
        narrowing = NarrowingSettings.from_json(attributes[SETTINGS_ATTRIBUTE])
        try:
            yield Experiment(study, settings, narrowing, prepared, store)
        finally:
            rounds.engine.dispose()


def machine_memory() -> int:
    """Bytes of physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _refuse_giants(prepared: Prepared) -> None:
    """A network that cannot fit takes the whole process down when it is trained."""
    needed = prepared.problem.member_bytes
    if needed > machine_memory():
        sizes = ",".join(map(str, prepared.problem.architecture.hidden))
        raise UsageError(
            f"--hidden {sizes}: one network needs {needed / 2**30:,.1f} GiB to train, but this "
            f"machine has {machine_memory() / 2**30:,.1f} GiB; choose smaller layers"
        )


def _find(rounds: RoundStorage, study: str) -> ExperimentRecord | None:
    """What the study was made of; None if it is new, or its creation was cut short."""
    try:
        study_id = rounds.get_study_id_from_name(study)
    except KeyError:
        return None
    uid = rounds.get_study_user_attrs(study_id).get(EXPERIMENT_ATTRIBUTE)
    with rounds.reading() as connection:
        record = None if uid is None else catalogue.load_experiment(connection, uid)
    fresh = rounds.get_study_directions(study_id) == [StudyDirection.MAXIMIZE]
    if record is None and not (fresh and not rounds.get_all_trials(study_id, deepcopy=False)):
        raise UsageError(
            f"study {study!r} in {rounds.path} was not made by hpo search: use another --study"
        )
    return record


def _create(
    rounds: RoundStorage,
    study: str,
    dataset: Dataset,
    settings: Settings,
    prepared: Prepared,
    trials: int,
) -> ExperimentRecord:
    """Enter the experiment, then the study that refers to it."""
    record = ExperimentRecord(
        uid=uuid.uuid4().hex,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        # A path may hold bytes that are no text.
        source=dataset.source.encode("utf-8", "backslashreplace").decode(),
        fingerprint=fingerprint(dataset),
        settings=settings.to_json(),
        preparation=_preparation(prepared, settings),
        versions=_versions(),
        trials_per_round=-(-trials // settings.rounds),
    )
    with rounds.transaction() as connection:
        catalogue.save_experiment(connection, record)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(
        storage=rounds, study_name=study, direction="maximize", load_if_exists=True
    )
    narrowing = NarrowingSettings(settings.seed, record.trials_per_round, settings.rounds)
    made.set_user_attr(SETTINGS_ATTRIBUTE, narrowing.to_json())
    with warnings.catch_warnings():  # an experimental method, which only labels the dashboard
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names([settings.metric])
    # Last, because a study that has it is whole.
    made.set_user_attr(EXPERIMENT_ATTRIBUTE, record.uid)
    return record


def _refuse_differences(
    record: ExperimentRecord,
    study: str,
    dataset: Dataset,
    settings: Settings,
    prepared: Prepared,
) -> None:
    now = fingerprint(dataset)
    if now["sha256"] != record.fingerprint["sha256"]:
        change = describe_change(record.fingerprint, now)
        raise UsageError(
            f"study {study!r} was made with other data ({change}): restore {record.source}, "
            "or use another --study"
        )
    difference = describe_difference(record.settings, settings.to_json())
    if difference:
        raise UsageError(
            f"study {study!r} was made with other settings: {difference}; "
            "repeat the stored ones, or use another --study"
        )
    if record.preparation["split"]["sha256"] != prepared.split_digest:
        raise UsageError(
            f"study {study!r}: NumPy {np.__version__} splits the rows in another way than NumPy "
            f"{record.versions['numpy']} did: use that version, or another --study"
        )


def _preparation(prepared: Prepared, settings: Settings) -> dict[str, Any]:
    return {
        "split": {
            "seed": settings.seed,
            "test_size": settings.test_size,
            "validation_size": settings.validation_size,
            "rows": prepared.rows,
            "sha256": prepared.split_digest,
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
