"""From the target to what a network is trained on, and back to the user's words and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data import plain
from hpo.data.errors import DataError
from hpo.data.numbers import mean_and_deviation
from hpo.data.wording import listed, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hpo.data.schema import Task
    from hpo.data.table import Target

_FORMAT = "hpo.target.1"


def class_labels(target: Target, task: Task) -> tuple[str, ...]:
    """Return the labels of the whole column in order; none in regression."""
    if task == "regression":
        return ()
    return tuple(target.label(value) for value in np.unique(target.values))


@dataclass(frozen=True)
class TargetEncoding:
    """Class labels, or the mean and deviation of a quantity.

    Attributes
    ----------
    name : of the target column
    task : classification or regression
    classes : the labels of the whole column in order, whole numbers as `3`; none in regression
    mean, deviation : of the training rows, in the user's units; 0 and 1 in classification
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    mean: float
    deviation: float

    @classmethod
    def fit(cls, target: Target, rows: NDArray[np.int64], task: Task) -> TargetEncoding:
        """Return the classes of all rows, or the mean and deviation of the training rows."""
        if task == "classification":
            return cls(target.name, task, class_labels(target, task), 0.0, 1.0)
        mean, deviation = mean_and_deviation(target.values[rows])
        return cls(target.name, task, (), float(mean), float(deviation) or 1.0)

    @property
    def n_outputs(self) -> int:
        """The number of classes; 1 in regression."""
        return len(self.classes) or 1

    def transform(self, target: Target, rows: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Return (rows,) int64 class indices, or (rows, 1) float32 standardised values.

        Raises
        ------
        DataError
            The target has texts where numbers are due, or a class that was not there in training.
        """
        values = target.values if rows is None else target.values[rows]
        if self.task == "classification":
            return self._class_indices(target, values)
        if target.vocabulary is not None:
            raise DataError(
                f"target '{target.name}' has texts, the first is {shown(target.vocabulary[0])}: "
                "it was numbers in training"
            )
        with np.errstate(over="ignore"):
            standardised = (values - self.mean) / self.deviation
            return standardised.astype(np.float32)[:, None]

    def units(self, target: Target, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return what a metric is measured against: class indices, or values as they are; (rows,).

        Raises ``DataError`` for a class that was not there in training.
        """
        return (
            self.transform(target, rows) if self.task == "classification" else target.values[rows]
        )

    def inverse(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return standardised values, of any shape, in the user's units."""
        return self.mean + self.deviation * values.astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "mean": [self.mean],
            "deviation": [self.deviation],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TargetEncoding:
        """Return what `to_json` wrote; DataError when that is damaged or of another format."""
        plain.check_format(record, _FORMAT)
        name, task = plain.field(record, "name"), plain.field(record, "task")
        classes = plain.texts(record, "classes")
        mean = float(plain.numbers(record, "mean", 1)[0])
        deviation = float(plain.deviations(record, "deviation", 1)[0])
        classification = task == "classification"
        known = classification or task == "regression"
        if not isinstance(name, str) or not known or classification != bool(classes):
            raise DataError("stored encoding: name, task and classes do not fit; it is damaged")
        return cls(name, task, classes, mean, deviation)

    def _class_indices(self, target: Target, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Match by label: another table may have other codes for the same texts."""
        index = {label: i for i, label in enumerate(self.classes)}
        distinct, inverse = np.unique(values, return_inverse=True)
        labels = [target.label(value) for value in distinct]
        unknown = [label for label in labels if label not in index]
        if unknown:
            raise DataError(
                f"target '{target.name}' has classes that were not in training: {listed(unknown)}"
            )
        return np.array([index[label] for label in labels], dtype=np.int64)[inverse]
