"""The composition root: an experiment ties data, search and storage together."""

from __future__ import annotations

import math
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from sqlalchemy import Connection

from hpo import warm_start
from hpo._version import __version__
from hpo.choice import Chooser
from hpo.data.splitting import Split
from hpo.data.table import Dataset, describe_change, fingerprint
from hpo.errors import NoFiniteTrialError, UsageError
from hpo.handover import agreed
from hpo.known_trials import FINISHED
from hpo.nn.architecture import Architecture
from hpo.preparation import (
    Prepared,
    prepare,
    prepare_whole,
    refuse_equal_costs,
    refuse_giants,
)
from hpo.ranking import EXPERIMENT_ATTRIBUTE
from hpo.refit import Refit
from hpo.search.evaluation import Workers
from hpo.search.expectation import Expectation, expected_score
from hpo.search.loop import Evaluate, Event, search
from hpo.search.narrowing import SETTINGS_ATTRIBUTE, NarrowingSettings, countable
from hpo.search.objectives import Costs, with_costs
from hpo.search.optuna_pruning import OPTUNA_PRUNERS, AskedPruner
from hpo.search.pruning import NONE, RUNGS, NoPruner, Pruner, Rungs
from hpo.search.space import SearchSpace
from hpo.search.start import NOTHING, Start
from hpo.settings import DEFAULT_KEEP, Settings, describe_difference
from hpo.study_store import StudyStore
from hpo.warm_start import WARM_ATTRIBUTE
from storage import catalogue, history, ledger, slots
from storage.artifacts import located, open_to_write
from storage.errors import StudyGoneError
from storage.records import ExperimentRecord, Look, RoundRecord, SelectionRecord, TrialRecord
from storage.trials import RoundStorage

CANDIDATE_BYTES = 1 << 28
"""Bounds the row losses or predictions with which the winner's expected score is estimated."""

READ_AT_ONCE = 500
"""How many trials' predictions are held at once."""


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


@dataclass(frozen=True)
class Experiment:
    """A study that this process has joined, with its data ready to be trained on."""

    study: str
    settings: Settings
    narrowing: NarrowingSettings
    prepared: Prepared
    store: StudyStore
    dataset: Dataset
    start: Start = NOTHING

    def search(self, total: int, n_workers: int, deadline: float = math.inf) -> Iterator[Event]:
        """Train until ``total`` trials have finished; yields what the storage holds by then.

        At ``deadline``, by ``time.time``, it ends, at the end of an epoch. Raises ``UsageError``
        for more workers than the pruner can have.
        """
        check_pruner(self.settings.pruner, alone=n_workers == 1)
        workers = Workers(self.prepared.problem, n_workers, deadline)
        store, space = self.store, self.store.space
        evaluate: Evaluate = workers.evaluate
        if names := self.settings.objectives[1:]:
            problem = self.prepared.problem
            costs = Costs(names, problem.training.X, self._costs)
            evaluate = with_costs(evaluate, problem.recipe, costs)
        return search(
            store,
            evaluate,
            space,
            self.narrowing,
            total,
            workers.is_over,
            self.settings.optimizer,
            self.settings.sampler,
            self.pruner(),
            self.start,
            self.settings.asynchronous,
            len(self.settings.objectives),
        )

    def pruner(self) -> Pruner:
        """Who drops trials before their end."""
        name, size = self.settings.pruner, self.narrowing.trials_per_round
        if name == NONE:
            return NoPruner()
        if name == RUNGS:
            return Rungs(self.store, size, self.settings.epochs)
        return AskedPruner(name, self.store, self.settings.seed, size, self.settings.epochs)

    def _costs(self) -> dict[Architecture, tuple[float, ...]]:
        """The costs that the study holds of networks of a shape: the first that were entered."""
        recipe, trials = self.prepared.problem.recipe, self.store.ranked()
        trials.sort(key=lambda each: -each.number)
        return {recipe.of(each.params).architecture: each.costs for each in trials}

    @property
    def has_few_points(self) -> bool:
        """Whether the space has so few points that a search may try all of them."""
        return countable(self.store.space.distributions)

    def is_finished(self, total: int) -> bool:
        """Whether as many trials as were asked for have finished."""
        states = self.store.states()
        return sum(states.get(state, 0) for state in FINISHED) >= total

    def rounds(self) -> list[RoundRecord]:
        """The ranges of every round."""
        return self.store.rounds.read(lambda each: catalogue.load_rounds(each, self.store.uid))

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
            raise NoFiniteTrialError(
                "no trial has finished yet: run the same command again, and give it more time"
            )
        reason = str(failed[0].attributes.get("reason", "no reason was kept"))
        advice = "; try lower learning rates (--space learning_rate=1e-6..1e-3:log)"
        raise NoFiniteTrialError(
            f"all {len(failed)} trials failed; trial {failed[0].number}: {reason}"
            f"{advice if reason.startswith('diverged') else ''}"
        )

    def expectation(self) -> Expectation:
        """The score to expect of the winner on new rows."""
        problem = self.prepared.problem
        target = problem.scored.target
        ranked = [trial.number for trial in self.store.ranked()]
        most = problem.metric.most_trials(len(target), problem.target.n_outputs, CANDIDATE_BYTES)
        numbers = sorted(ranked[:most])
        evidence: NDArray[Any] = np.empty(0)
        for start in range(0, len(numbers), READ_AT_ONCE):
            found = self.store.predictions(numbers[start : start + READ_AT_ONCE])
            for place, number in enumerate(numbers[start : start + READ_AT_ONCE], start):
                prediction = problem.in_units(found[number][None])
                each = problem.metric.evidence(prediction, target)[0]
                if place == 0:
                    evidence = np.empty((len(numbers), *each.shape), each.dtype)
                evidence[place] = each
        return expected_score(evidence, target, problem.metric, self.settings.seed)

    def choose(
        self, repeats: int, n_workers: int, deadline: float = math.inf, *, refit: bool = False
    ) -> SelectionRecord | None:
        """The winner among the best trials, each trained ``repeats`` times more.

        None if ``repeats`` is 0, if the best could not be trained again, or if ``deadline``, by
        ``time.time``, passes before they are. With ``refit`` it is then trained on all rows but
        those for the test; without repeats that is the first of the ranking. What was chosen stands
        if ``deadline`` passes in between.

        Raises
        ------
        NoFiniteTrialError
            If the winner cannot be trained on all rows.
        """
        ranked = self.store.ranked()
        states = self.store.states()
        finished = sum(states.get(state, 0) for state in FINISHED)
        if not ranked or not (repeats or refit):
            return None

        def choose() -> SelectionRecord | None:
            return self._choose(ranked, finished, repeats, n_workers, deadline, refit=refit)

        return agreed(self.store, finished, repeats, choose, deadline, refit=refit)

    def _choose(
        self,
        ranked: list[TrialRecord],
        finished: int,
        repeats: int,
        n_workers: int,
        deadline: float,
        *,
        refit: bool,
    ) -> SelectionRecord | None:
        chosen = None
        if repeats:
            chooser = Chooser(self.store, self.prepared, self.settings.seed, repeats)
            chosen = chooser.stored(finished)
            chosen = chosen or chooser.choose(ranked, finished, n_workers, deadline)
        if not refit or time.time() >= deadline:
            return chosen
        whole = prepare_whole(self.dataset, self.settings, self.prepared)
        trial = next(each for each in ranked if chosen is None or each.number == chosen.number)
        told = self._unchosen() if chosen is None else chosen.record
        again = Refit(self.store, whole, repeats)
        return again.train(trial, told, finished, n_workers, deadline) or chosen

    def _unchosen(self) -> dict[str, Any]:
        """What is to be told of the first of the ranking where none was trained again."""
        expected, standard_error = self.expectation()
        told = {"expected": expected, "expected_se": standard_error}
        return {**told, "folds": None, "candidates": []}

    def test(self, trial: TrialRecord, selection: SelectionRecord | None = None) -> Look:
        """The score on the test rows; a look that the ledger counts, once per model.

        Of the mean of the repeats, if the trial was trained again, else of the trial's own network.
        """
        if selection is None:
            digest, network = self.store.network(trial.number)
        else:
            digest, network = selection.digest, self.store.model(trial.number, selection.digest)
        metric = self.prepared.problem.metric
        again = ", refitted" if selection is not None and selection.refit else ""
        return ledger.look(
            self.store.write,
            self.store.uid,
            self.store.owner,
            digest,
            f"winner of the search (trial {trial.number}{again})",
            lambda: self.prepared.sealed.score(network, metric),
        )

    def looks(self) -> list[Look]:
        """Every look at the test rows so far."""
        return self.store.rounds.read(lambda each: ledger.looks(each, self.store.uid))


def check_pruner(name: str, *, alone: bool) -> None:
    """Raise ``UsageError`` if none can be dropped so; ``alone``: one process trains all of them."""
    if name in OPTUNA_PRUNERS and not alone:
        raise UsageError(
            f"--pruner {name} compares trials while they are trained, in one process: add "
            "--workers 1, or use --pruner rungs"
        )


@contextmanager
def joined(
    dataset: Dataset,
    settings: Settings,
    *,
    study: str,
    url: str,
    trials: int,
    joining: Joining = DEFAULT_JOINING,
) -> Iterator[Experiment]:
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
            _refuse_differences(record, study, dataset, settings)
            prepared = _as_it_was_split(record, study, dataset, settings, prepared)
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
            yield Experiment(study, settings, narrowing, prepared, store, dataset, start)
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


def _refuse_differences(
    record: ExperimentRecord, study: str, dataset: Dataset, settings: Settings
) -> None:
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


def _as_it_was_split(
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
