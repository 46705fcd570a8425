"""From a data set and settings to what is trained on, with the test rows sealed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpo.cross_validation import deal, describe_folds, folded
from hpo.data.encoding import Encoding
from hpo.data.errors import DataError
from hpo.data.metrics import Metric, find_metric
from hpo.data.parts import describe_parts, draw_parts
from hpo.data.splitting import Split
from hpo.data.steering import SplitColumn
from hpo.data.table import Dataset, Table
from hpo.data.target_encoding import TargetEncoding, class_labels
from hpo.data.wording import counted, listed, shown
from hpo.errors import UsageError
from hpo.nn.architecture import Architecture, Head
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.schedules import Schedule
from hpo.persistence import Network
from hpo.search import streams
from hpo.search.evaluation import row_order
from hpo.search.folds import Folds
from hpo.search.objectives import check_costs_differ
from hpo.search.problem import Problem
from hpo.search.repeats import pooled_target
from hpo.search.space import SearchSpace
from hpo.settings import Settings, batch_size_for


class Model(Protocol):
    """Whatever predicts rows of a table: a network, or an ensemble."""

    @property
    def target(self) -> TargetEncoding:
        """What it has learnt."""

    def predict(self, table: Table, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Probabilities (rows, classes), or values (rows, 1) in the user's units."""


@dataclass(frozen=True)
class SealedRows:
    """The test rows: some of the data set's, or all of one that came in a file of its own.

    Nothing here reads their features but ``score``, which the ledger calls.
    """

    dataset: Dataset
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def score(self, model: Model, metric: Metric) -> float:
        """Open the rows and score the model on them; the ledger must know."""
        prediction = model.predict(self.dataset.features, self.rows)
        return float(metric(prediction[None], self.target(model.target))[0])

    def target(self, encoding: TargetEncoding) -> NDArray[Any]:
        """What predictions are measured against: class indices, or values; (rows,)."""
        return encoding.units(self.dataset.target, self.rows)


@dataclass(frozen=True)
class Prepared:
    """A data set that is split, encoded by what its training rows say, and ready to be learnt."""

    encoding: Encoding
    problem: Problem
    sealed: SealedRows
    split: Split
    warnings: tuple[str, ...]
    steering: SplitColumn | None = None

    def folds(self, n_folds: int) -> Folds | None:
        """Folds of the training and the validation rows, the training rows first.

        Classes are spread evenly, and the rows of a group stay together. None where they are too
        few, also for the metric, and where time decides: later rows would be learnt from to predict
        earlier ones.
        """
        problem, seed = self.problem, self.problem.seed
        rows = np.concatenate([self.split.train, self.split.validation])
        target, n_classes = pooled_target(problem), len(problem.target.classes)
        kind = streams.FOLDS
        return deal(rows, target, n_classes, self.steering, problem.metric, seed, n_folds, kind)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each part of the split has; with folds the first two are the same rows."""
        return {
            "train": len(self.problem.training),
            "validation": len(self.problem.scored.target),
            "test": len(self.sealed),
        }

    def network(
        self,
        params: NDArray[np.float32],
        trial: dict[str, Any],
        architecture: Architecture | None = None,
    ) -> Network:
        """The network with these parameters, ready for new rows; of the study's own shape.

        ``params`` (n_params,), or (members, n_params) for the mean of several.
        """
        shape = architecture or self.problem.architecture
        members = np.atleast_2d(params)
        return Network(shape, self.encoding, self.problem.target, members, trial)


def prepare(dataset: Dataset, settings: Settings, kept: Split | None = None) -> Prepared:
    """Split and encode; everything that is fitted is fitted on the training rows alone.

    With ``settings.cv`` these are all rows but those for the test. ``kept`` is the split that a
    study began with: NumPy may draw another one in a later version.

    Raises
    ------
    DataError
        If there are too few rows, or nothing to learn from.
    UsageError
        If the folds that were asked for cannot be.
    """
    classification = settings.task == "classification"
    labels = class_labels(dataset.target, settings.task)
    metric = find_metric(settings.metric, settings.task, labels, settings.positive)
    sizes = {"test_size": settings.test_size, "validation_size": settings.validation_size}
    split, rare = draw_parts(dataset, classification=classification, seed=settings.seed, **sizes)
    if settings.cv is not None:
        split = folded(split, dataset, settings, metric)
    split = kept or split
    sealed = _sealed(dataset, split)
    target = TargetEncoding.fit(dataset.target, split.train, settings.task)
    _check_test_classes(dataset, target)
    train, validation = (
        target.units(dataset.target, part) for part in (split.train, split.validation)
    )
    parts = {"validation": validation} if len(validation) else {}  # none with folds
    for part, values in (parts | {"test": sealed.target(target), "training": train}).items():
        _check_part(part, values, target, metric)
    encoding = Encoding.fit(dataset.features, split.train)
    architecture = Architecture(
        n_inputs=encoding.n_outputs,
        hidden=settings.hidden,
        heads=(Head(target.n_outputs, "cross_entropy" if classification else "squared_error"),),
    )
    problem = Problem(
        architecture=architecture,
        settings=_training_settings(settings, len(split.train)),
        metric=metric,
        target=target,
        training=_rows(dataset, split.train, encoding, target),
        validation=_rows(dataset, split.validation, encoding, target),
        training_target=train,
        validation_target=validation,
        seed=settings.seed,
        folds=split.folds,
    )
    if not len(split.validation):
        sizes["validation_size"] = 0
    told = (*describe_parts(dataset, split, **sizes), *describe_folds(split, dataset, settings))
    unseen = _unseen_classes(dataset, split) if classification else []
    warnings = (*dataset.warnings, *told, *rare, *unseen)
    return Prepared(encoding, problem, sealed, split, warnings, dataset.steering)


def prepare_whole(dataset: Dataset, settings: Settings, prepared: Prepared) -> Prepared:
    """Likewise with the validation rows among those for training, in batches of the same size."""
    if not len(prepared.split.validation):
        return prepared
    whole = prepare(dataset, settings, prepared.split.pooled())
    return replace(whole, problem=replace(whole.problem, settings=prepared.problem.settings))


def machine_memory() -> int:
    """Bytes of physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def refuse_giants(prepared: Prepared, space: SearchSpace) -> None:
    """Raise ``UsageError`` if the largest network does not fit into this machine's memory.

    It would take the whole process down when it is trained.
    """
    problem = prepared.problem
    hidden = space.distributions.get("hidden")
    shapes = getattr(hidden, "choices", ()) or (",".join(map(str, problem.architecture.hidden)),)
    count = problem.n_networks
    needed, sizes = max(
        (count * problem.member_bytes(problem.recipe.of({"hidden": each})), each) for each in shapes
    )
    if needed > machine_memory():
        what = "one network needs" if count == 1 else f"the {count} networks of a trial need"
        raise UsageError(
            f"--hidden {sizes}: {what} {needed / 2**30:,.1f} GiB to train, but this "
            f"machine has {machine_memory() / 2**30:,.1f} GiB; choose smaller layers"
        )


def refuse_equal_costs(prepared: Prepared, space: SearchSpace, settings: Settings) -> None:
    """Raise ``UsageError`` if there is nothing to choose by one of the objectives."""
    try:
        recipe, costs = prepared.problem.recipe, settings.objectives[1:]
        check_costs_differ(costs, recipe, space.distributions)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _sealed(dataset: Dataset, split: Split) -> SealedRows:
    if dataset.test is None:
        return SealedRows(dataset, split.test)
    return SealedRows(dataset.test, np.arange(dataset.test.features.n_rows))


def _check_test_classes(dataset: Dataset, target: TargetEncoding) -> None:
    """Refuse a test file with a class that the data lack, before hours are spent on training."""
    if dataset.test is None or target.task == "regression":
        return
    label = dataset.test.target.label
    found = [label(value) for value in np.unique(dataset.test.target.values)]
    unknown = [each for each in found if each not in set(target.classes)]
    if unknown:
        raise DataError(
            f"{dataset.test.source}: target {shown(target.name)} has classes that the data lack: "
            f"{listed(unknown)}; delete their rows, or add some to the data"
        )


def _check_part(name: str, values: NDArray[Any], target: TargetEncoding, metric: Metric) -> None:
    """Refuse rows that no network could get a score on, before any is trained."""
    shortcoming = metric.shortcoming(values, target.n_outputs)
    if not shortcoming:
        return
    absent = sorted(set(range(len(target.classes))) - set(np.unique(values).tolist()))
    if absent:
        shortcoming = f"cannot score them: {listed([target.classes[i] for i in absent])} is missing"
    raise DataError(
        f"the {name} part would have {counted(len(values), 'row')}, and {metric.name} "
        f"{shortcoming}; give more rows, or larger sizes, or choose another --metric"
    )


def _training_settings(settings: Settings, n_rows: int) -> TrainingSettings:
    return TrainingSettings(
        optimizer=settings.optimizer,
        epochs=settings.epochs,
        batch_size=settings.batch_size or batch_size_for(n_rows),
        patience=settings.patience,
        schedule=Schedule(settings.schedule, warmup=settings.warmup),
        row_order=row_order(settings.seed),
    )


def _rows(
    dataset: Dataset, rows: NDArray[np.int64], encoding: Encoding, target: TargetEncoding
) -> Rows:
    X, encoded = encoding.transform(dataset.features, rows), target.transform(dataset.target, rows)
    return Rows(X, (encoded,))


def _unseen_classes(dataset: Dataset, split: Split) -> list[str]:
    label = dataset.target.label
    present = set(np.unique(dataset.target.values[split.train]).tolist())
    unseen = [value for value in np.unique(dataset.target.values).tolist() if value not in present]
    if not unseen:
        return []
    names = ", ".join(label(value) for value in unseen)
    return [f"classes without a training row, which cannot be learnt: {names}"]
