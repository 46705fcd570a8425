"""From a data set and settings to what is trained on, with the test rows sealed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.encoding import Encoding
from hpo.data.errors import DataError
from hpo.data.metrics import Metric, find_metric
from hpo.data.splitting import Split, split_rows
from hpo.data.table import Dataset
from hpo.data.target_encoding import TargetEncoding
from hpo.errors import UsageError
from hpo.nn.architecture import Architecture, Head
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.schedules import Schedule
from hpo.persistence import Network
from hpo.search.evaluation import Problem, row_order
from hpo.search.space import SearchSpace
from hpo.settings import Settings, batch_size_for


@dataclass(frozen=True)
class SealedRows:
    """The test rows. Nothing here reads them but ``score``, which the ledger calls."""

    dataset: Dataset
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def score(self, network: Network, metric: Metric) -> float:
        """Open the rows and score the network on them; the ledger must know."""
        prediction = network.predict(self.dataset.features, self.rows)
        target = units(network.target, self.dataset, self.rows)
        return float(metric(prediction[None], target)[0])


@dataclass(frozen=True)
class Prepared:
    """A data set that is split, encoded by what its training rows say, and ready to be learnt."""

    encoding: Encoding
    problem: Problem
    sealed: SealedRows
    split: Split
    warnings: tuple[str, ...]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each part of the split has."""
        return {
            "train": len(self.problem.training),
            "validation": len(self.problem.validation),
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

    ``kept`` is the split that a study began with: NumPy may draw another one in a later version.

    Raises
    ------
    DataError
        If there are too few rows, or nothing to learn from.
    """
    classification = settings.task == "classification"
    metric = find_metric(settings.metric, settings.task)
    split, rare = split_rows(
        dataset.features.n_rows,
        dataset.target.values if classification else None,
        test_size=settings.test_size,
        validation_size=settings.validation_size,
        seed=settings.seed,
    )
    split = kept or split
    _check_parts(split, metric)
    encoding = Encoding.fit(dataset.features, split.train)
    target = TargetEncoding.fit(dataset.target, split.train, settings.task)
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
        training_target=units(target, dataset, split.train),
        validation_target=units(target, dataset, split.validation),
        seed=settings.seed,
    )
    warnings = (*dataset.warnings, *_class_warnings(dataset, split, rare, classification))
    return Prepared(encoding, problem, SealedRows(dataset, split.test), split, warnings)


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
    needed, sizes = max(
        (problem.member_bytes(problem.recipe.of({"hidden": each})), each) for each in shapes
    )
    if needed > machine_memory():
        raise UsageError(
            f"--hidden {sizes}: one network needs {needed / 2**30:,.1f} GiB to train, but this "
            f"machine has {machine_memory() / 2**30:,.1f} GiB; choose smaller layers"
        )


def _check_parts(split: Split, metric: Metric) -> None:
    for name, rows in (("validation", split.validation), ("test", split.test)):
        if len(rows) < metric.least_rows:
            raise DataError(
                f"the {name} part would have {len(rows)} row, and {metric.name} needs at least "
                f"{metric.least_rows}; give more rows, or larger sizes"
            )


def units(target: TargetEncoding, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[Any]:
    """What a metric is measured against: class indices, or values in the user's units; (rows,)."""
    if target.task == "classification":
        return target.transform(dataset.target, rows)
    return dataset.target.values[rows]


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


def _class_warnings(
    dataset: Dataset, split: Split, rare: tuple[float, ...], classification: bool
) -> list[str]:
    if not classification:
        return []
    label = dataset.target.label
    present = set(np.unique(dataset.target.values[split.train]).tolist())
    unseen = [value for value in np.unique(dataset.target.values).tolist() if value not in present]
    lines = []
    if rare:
        names = ", ".join(label(value) for value in rare)
        lines.append(f"classes with fewer than 3 rows are kept but not stratified: {names}")
    if unseen:
        names = ", ".join(label(value) for value in unseen)
        lines.append(f"classes without a training row, which cannot be learnt: {names}")
    return lines
