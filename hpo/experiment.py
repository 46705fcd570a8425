"""What a search leaves to Python: its networks, models and predictions; and its ensembles."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.out_of_fold import Stored
from hpo import models
from hpo.data.given import rows_of
from hpo.data.splitting import Split
from hpo.data.table import Dataset
from hpo.data.target_encoding import TargetEncoding
from hpo.ensembling.assembling import METHODS, REWEIGHTED, Budget
from hpo.ensembling.building import (
    DEFAULT_METHODS,
    DEFAULT_NAME,
    LONGEST_NAME,
    Builder,
    may_be_called,
    planned,
)
from hpo.errors import UsageError
from hpo.fitted import About, Fitted, fitted, labels_of
from hpo.held_study import Held, read
from hpo.joining import Joining, as_it_was_split, refuse_differences
from hpo.models import Ready, in_doubles
from hpo.persistence import Network
from hpo.pooled_rows import PooledRows
from hpo.preparation import prepare
from hpo.python_words import in_python_words
from hpo.reopening import data_of, known, reopened
from hpo.search.clusters.joining import cores
from storage import catalogue
from storage.artifacts import open_artifacts
from storage.errors import ArtifactError
from storage.reader import opened
from storage.records import TrialRecord
from storage.urls import masked

DEFAULT_STORAGE = "sqlite:///hpo.db"
"""As for the commands, if neither the caller nor ``$HPO_STORAGE`` says anything else."""


@dataclass(frozen=True, repr=False)
class Experiment:
    """A study that ``hpo search`` has made, opened from Python.

    ``Experiment.open`` finds it. Nothing is written and no test row is looked at, but that
    `ensemble` trains and keeps a new model, for which it joins the study as a search does.

    Parameters
    ----------
    study : its name
    storage : the URL of its database
    data, labels : where its data are now, None for where they were
    artifacts : folder or ``s3://BUCKET/PREFIX`` of its networks, None for where the study says

    Raises
    ------
    hpo.errors.UsageError
        From each method: for an argument that cannot be, and for data that have changed.
    hpo.errors.NoFiniteTrialError
        If there is no network or model yet.
    hpo.data.errors.DataError
        If data cannot be read that are needed: by `rows` and `ensemble`.
    storage.errors.StorageError, storage.errors.ArtifactError
        If the database cannot be used, or a model in it is missing or damaged.
    """

    study: str
    storage: str
    data: str | None = None
    labels: str | None = None
    artifacts: str | None = None

    @classmethod
    def open(
        cls,
        study: str | None = None,
        *,
        storage: str | None = None,
        data: str | None = None,
        labels: str | None = None,
        artifacts: str | None = None,
    ) -> Experiment:
        """The study of this name, or the only one of the storage.

        ``storage`` and ``artifacts`` are by default what ``$HPO_STORAGE`` and ``$HPO_ARTIFACTS``
        say, and ``sqlite:///hpo.db`` and the study's own.
        """
        url = storage or os.environ.get("HPO_STORAGE") or DEFAULT_STORAGE
        with in_python_words(), opened(url) as reader:
            found = reader.read(lambda connection: known(connection, study))
        where = artifacts or os.environ.get("HPO_ARTIFACTS") or None
        return cls(found.name, url, data, labels, where)

    def __repr__(self) -> str:
        return f"Experiment.open({self.study!r}, storage={masked(self.storage)!r})"

    def networks(self, top: int | None = 10) -> list[Fitted]:
        """The networks of the best trials as they were trained in the search, best first.

        Of a study with ``--cv`` each is the mean of a trial's networks.

        Parameters
        ----------
        top : how many; None for all that are kept whole, which are the best 50 unless the search
            was told another number (``--keep``)

        Returns
        -------
        list of fitted `StudyClassifier` or `StudyRegressor`
        """
        with in_python_words():
            held = self._held()
            trials, artifacts = held.best(top), open_artifacts(held.where)
            return [fitted(held.network(artifacts, each), held.about(each)) for each in trials]

    def model(self, name: str | None = None) -> Fitted:
        """The model of this name, ``"winner"`` or an ensemble's; None: the best by its promise.

        It is the one that ``hpo predict`` takes, and predicts the same numbers.
        """
        with in_python_words():
            held = self._held()
            chosen = models.choose(held.ready, name)
            model = models.load(open_artifacts(held.where), chosen)
        number = model.trial.get("number") if isinstance(model, Network) else None
        trial = next((each for each in held.trials if each.number == number), None)
        about = About(self.study, chosen.name, held.columns) if trial is None else held.about(trial)
        return fitted(model, _promised(about, chosen))

    def ensemble(
        self,
        methods: Sequence[str] = DEFAULT_METHODS,
        *,
        with_: Sequence[str] | None = None,
        top: int | None = None,
        folds: int | None = None,
        refit: bool = True,
        max_latency: float = math.inf,
        max_size: float = math.inf,
        name: str = DEFAULT_NAME,
        workers: int | None = None,
    ) -> Fitted:
        """Build ensembles, keep the best one in the study, and return it: ``hpo ensemble``.

        Parameters
        ----------
        methods : of ``"greedy"``, ``"stacking"``, ``"blend"`` of both, ``"mean"``, ``"weights"``,
            ``"bagging"`` and ``"boosting"``; the best is kept, or the best model alone, if it is
            significantly better than all of them
        with_ : learners beside the networks: ``"forest"``, ``"extra_trees"``,
            ``"hist_gradient_boosting"``, ``"knn"``, ``"svm"``, and ``"logistic"`` for classes or
            ``"ridge"`` for numbers; None for the usual ones, ``()`` for none
        top : best trials that take part; None for 8, without ``refit`` for all that are kept
        folds : everything is trained again over so many; None for 5 up to 5,000 rows, above which
            it is as without ``refit``
        refit : False takes the networks and the predictions that are stored
        max_latency : milliseconds that it may take to predict 1,000 rows
        max_size : bytes that it may take where it is stored
        name : what it is called; one of this name is replaced
        workers : processes that train, None for one per core

        Returns
        -------
        the fitted ensemble; ``record_`` tells what it is made of and how good each part is
        """
        methods, learners = _several(methods), None if with_ is None else _several(with_)
        _check_request(methods, top, folds, name, workers, refit=refit)
        with (
            in_python_words(),
            reopened(
                self.study,
                self.storage,
                data=self.data,
                labels=self.labels,
                joining=Joining(self.artifacts),
            ) as study,
        ):
            plan = planned(
                study.prepared,
                learners=learners,
                methods=methods,
                top=top,
                folds=folds,
                refit=refit,
                name=name,
                budget=Budget(max_latency, max_size),
            )
            builder = Builder(study.store, study.prepared, study.settings.seed)
            built = builder.build(plan, workers or cores())
            expected, error = built.record["expected"], built.record["expected_se"]
            ready = Ready(name, built.digest, expected, error, name, built.record)
            model = models.load(study.store.artifacts, ready)
            columns = study.dataset.features.columns
        return fitted(model, _promised(About(self.study, name, columns), ready))

    def rows(self) -> tuple[Any, NDArray[Any]]:
        """The training and the validation rows, in the order of the data; none for the test.

        The data are read again. `stored` predicts these rows, in this order.

        Returns
        -------
        X : (rows, columns), of images the pixels; a frame if columns hold texts, else an array. As
            in the data: nothing is encoded, and a missing cell is NaN or None.
        y : (rows,) classes as in ``classes_``, or values in the units of the data
        """
        with in_python_words():
            held = self._held()
            dataset, places = self._places(held)
            X = rows_of(dataset.features, places)
        target = TargetEncoding.from_json(held.record.preparation["target"])
        y = target.units(dataset.target, places)
        return X, labels_of(target)[y] if target.classes else y

    def groups(self) -> NDArray[Any] | None:
        """The group of each of `rows`, (rows,), of a study with ``--group``; else None.

        An ensemble that trains learners beside networks of `stored` needs them to keep groups
        together: ``StackingClassifier(…, cv=GroupKFold()).fit(X, y, groups=experiment.groups())``.
        """
        with in_python_words():
            dataset, places = self._places(self._held())
        steering = dataset.steering
        return steering.keys[places] if steering and steering.kind == "group" else None

    def stored(self, top: int | None = 10) -> list[tuple[str, Stored]]:
        """The best trials for an ensemble of ``ensembles``, with what they predict for `rows`.

        Nothing is computed: these are the predictions that scored the trials in the search. A
        network has none, NaN, for the rows that it was trained on, which are ``seen``. These are
        the training rows; so an ensemble learns how to combine them from the validation rows. With
        ``--cv`` each row is predicted by the network of the fold that held it out, and an ensemble
        learns from all rows.

        ``seen`` means that the weights were fitted to the row. The validation rows also chose: the
        trials themselves, which are the best on them, and with ``--patience`` the epoch after which
        a network stopped. So the predictions for these rows are somewhat better than those for new
        ones, the more so the fewer rows chose among the more trials. `ensemble` trains them again
        over folds, by which the rows that score a network have chosen its hyperparameters only.

        Parameters
        ----------
        top : as in `networks`

        Returns
        -------
        list of (name, ``ensembles.Stored``), best first; names are ``trial_7``. Classes stand in
        the order of ``classes_``, so one that has only test rows makes them unfit for `rows`.
        """
        with in_python_words():
            held = self._held()
            trials, artifacts = held.best(top), open_artifacts(held.where)
            predictions = self._predictions(held, trials)
            pooled = PooledRows.of(self._split(held))
            found = []
            for each in trials:
                network, about = held.network(artifacts, each), held.about(each)
                stored = _stored(network, about, predictions[each.number], pooled)
                found.append((f"trial_{each.number}", stored))
        return found

    def _held(self) -> Held:
        """What the storage says now; read only."""
        with opened(self.storage) as reader:
            return reader.read(
                lambda connection: read(connection, self.study, reader.place, self.artifacts)
            )

    def _predictions(
        self, held: Held, trials: Sequence[TrialRecord]
    ) -> dict[int, NDArray[np.float32]]:
        """Number of a trial -> what it gave for the rows that scored it."""
        uid, numbers = held.found.made.uid, [each.number for each in trials]
        with opened(self.storage) as reader:
            found = reader.read(lambda each: catalogue.load_predictions(each, uid, numbers))
        for each in numbers:
            if each not in found:
                raise ArtifactError(f"trial {each} has no stored predictions")
        return found

    def _dataset(self, held: Held) -> Dataset:
        """The data, which must be those that the study was made with."""
        dataset = data_of(held.found, self.data, self.labels)
        refuse_differences(held.record, self.study, dataset, held.found.settings)
        return dataset

    def _places(self, held: Held) -> tuple[Dataset, NDArray[np.int64]]:
        """The data, and which of their rows are not for the test."""
        dataset = self._dataset(held)
        return dataset, PooledRows.of(self._split(held, dataset)).places

    def _split(self, held: Held, dataset: Dataset | None = None) -> Split:
        """The split that the study began with."""
        if held.record.split is not None:
            return Split.from_bytes(held.record.split)
        # An older version did not keep it, so it is drawn again.
        dataset, settings = dataset or self._dataset(held), held.found.settings
        prepared = prepare(dataset, settings)
        return as_it_was_split(held.record, self.study, dataset, settings, prepared).split


def _promised(about: About, model: Ready) -> About:
    """Likewise of a model with a name."""
    return replace(
        about,
        name=model.name,
        expected=model.expected,
        expected_se=model.standard_error,
        record=model.record,
    )


def _stored(
    network: Network, about: About, prediction: NDArray[np.float32], rows: PooledRows
) -> Stored:
    """The networks of a trial, each an estimator of its own, and what they predict for all rows."""
    networks = [replace(network, params=each[None]) for each in network.params]
    names = [about.name] if len(networks) == 1 else _of_folds(about.name, len(networks))
    estimators = [
        fitted(each, replace(about, name=name)) for each, name in zip(networks, names, strict=True)
    ]
    target = network.target
    units = prediction if target.classes else target.inverse(prediction)
    laid = rows.laid_out(in_doubles(units, target), about.name)
    return Stored(estimators, laid, rows.seen, labels_of(target) if target.classes else None)


def _of_folds(name: str, count: int) -> list[str]:
    return [f"{name}, fold {fold + 1}" for fold in range(count)]


def _several(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once; a lone one may be given as it is."""
    return tuple(dict.fromkeys((names,) if isinstance(names, str) else names))


def _check_request(
    methods: tuple[str, ...],
    top: int | None,
    folds: int | None,
    name: str,
    workers: int | None,
    *,
    refit: bool,
) -> None:
    """Raise ``UsageError`` for what cannot be built of any study."""
    for each in methods:
        if each not in (*METHODS, *REWEIGHTED):
            raise UsageError(f"methods={each!r}: there is {', '.join((*METHODS, *REWEIGHTED))}")
    least = {"top": (top, 0), "folds": (folds, 2), "workers": (workers, 1)}
    for argument, (value, smallest) in least.items():
        if value is not None and value < smallest:
            raise UsageError(f"{argument}={value}: {smallest} is the least")
    if folds is not None and not refit:
        raise UsageError(f"folds={folds} trains again, and refit=False does not; leave one out")
    if not may_be_called(name):
        raise UsageError(f"name={name!r}: choose another one, of at most {LONGEST_NAME} letters")
