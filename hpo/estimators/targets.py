"""From a user's target to what a head learns, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from hpo.data.wording import shown
from hpo.estimators.moments import Values, moments
from hpo.estimators.scores import R2, Accuracy, Score, SubsetAccuracy
from hpo.nn.architecture import Floats, Head
from hpo.nn.losses import Target

LARGEST = float(np.finfo(np.float64).max)
LARGEST_SINGLE = float(np.finfo(np.float32).max)


class TargetCoder(Protocol):
    """One head's target."""

    @property
    def head(self) -> Head:
        """What the network learns."""

    def encode(self, y: NDArray[Any]) -> Target:
        """What the head is trained on; ``ValueError`` for what was not learnt to be encoded."""

    def decode(self, output: Floats) -> NDArray[Any]:
        """Predictions (rows,) or (rows, outputs) of the head's outputs (rows, outputs)."""

    def score(self, target: Target, weights: Floats | None) -> Score:
        """How predictions of ``target``, encoded rows with ``weights`` (rows,), are scored."""

    def continues(self, other: TargetCoder) -> bool:
        """Whether a head that learnt what ``other`` encodes can go on with this target."""


@dataclass(frozen=True, eq=False)
class Classes:
    """One of several ``classes`` (classes,), sorted."""

    classes: NDArray[Any]
    weight: float = 1.0

    @classmethod
    def fit(cls, y: NDArray[Any]) -> Self:
        """Learn the classes of ``y`` (rows,)."""
        check_classification_targets(y)
        return cls(np.unique(y))

    @property
    def head(self) -> Head:
        """Softmax over the classes."""
        return Head(len(self.classes), "cross_entropy", self.weight)

    @property
    def names(self) -> str:
        """The first classes, for messages."""
        rest = "" if len(self.classes) <= 10 else ", …"
        return ", ".join(map(repr, self.classes[:10].tolist())) + rest

    def encode(self, y: NDArray[Any]) -> Target:
        """Class indices (rows,); raise ``ValueError`` for a class that was not there in ``fit``."""
        y = column_or_1d(y)
        index = _places(self.classes, y)
        if (index < 0).any():
            raise ValueError(
                f"class {shown_class(y[index < 0][:1])} was not among the classes of the training "
                f"rows: {self.names}"
            )
        return index

    def decode(self, output: Floats) -> NDArray[Any]:
        """The most probable class of each row."""
        chosen: NDArray[Any] = self.classes[output.argmax(axis=1)]
        return chosen

    def score(self, _target: Target, _weights: Floats | None) -> Score:
        """The accuracy."""
        return Accuracy()

    def continues(self, other: TargetCoder) -> bool:
        """The classes must be the same."""
        return isinstance(other, Classes) and self.classes.tolist() == other.classes.tolist()


def _places(classes: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each of ``y`` (rows,) among the sorted ``classes``, -1 where it is not there."""
    if classes.dtype.kind in "biuf" and y.dtype.kind in "biuf":
        index = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        return np.where(classes[index] == y, index, -1)
    # Texts and numbers have no common order.
    places = {each: place for place, each in enumerate(classes.tolist())}
    found = (places.get(each, -1) for each in y.tolist())
    return np.fromiter(found, dtype=np.int64, count=len(y))


def shown_class(one: NDArray[Any]) -> str:
    """The class in ``one`` (1,), for messages: on one line, and not too long."""
    (value,) = one.tolist()
    return shown(value) if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Labels:
    """Several labels at once, each there or not."""

    n_labels: int
    weight: float = 1.0

    @property
    def head(self) -> Head:
        """A sigmoid for each label."""
        return Head(self.n_labels, "binary_cross_entropy", self.weight)

    def encode(self, y: NDArray[Any]) -> Target:
        """Zeros and ones (rows, labels) float32."""
        if type_of_target(y) != "multilabel-indicator" or y.shape[1] != self.n_labels:
            raise ValueError(f"the target must hold {self.n_labels} columns of 0 and 1")
        return np.asarray(y, dtype=np.float32)

    def decode(self, output: Floats) -> NDArray[Any]:
        """1 where a label is more probable than not."""
        return (output > 0.5).astype(np.int64)

    def score(self, _target: Target, _weights: Floats | None) -> Score:
        """The subset accuracy."""
        return SubsetAccuracy()

    def continues(self, other: TargetCoder) -> bool:
        """There must be as many labels."""
        return isinstance(other, Labels) and self.n_labels == other.n_labels


@dataclass(frozen=True, eq=False)
class Numbers:
    """One or several numbers, learnt in standard deviations from their mean."""

    mean: Values
    scale: Values
    flat: bool
    loss: str = "squared_error"
    weight: float = 1.0

    @classmethod
    def fit(cls, y: NDArray[Any], weights: Values | None, loss: str) -> Self:
        """Learn mean and deviation of ``y`` (rows,) or (rows, outputs)."""
        columns = _columns(y)
        mean, scale = moments(columns, weights)
        scale[scale == 0] = 1
        return cls(mean, scale, np.ndim(y) == 1, loss)

    @property
    def head(self) -> Head:
        """The identity."""
        return Head(len(self.mean), self.loss, self.weight)

    def encode(self, y: NDArray[Any]) -> Target:
        """Standardised values (rows, outputs) float32, finite."""
        columns = _columns(y)
        if columns.shape[1] != len(self.mean):
            raise ValueError(f"the target has {columns.shape[1]} columns, not {len(self.mean)}")
        with np.errstate(over="ignore"):
            distance = np.clip(columns - self.mean, -LARGEST, LARGEST)
            scaled = np.clip(distance / self.scale, -LARGEST_SINGLE, LARGEST_SINGLE)
        return scaled.astype(np.float32)

    def decode(self, output: Floats) -> NDArray[Any]:
        """Values in the user's units, float64 and finite."""
        with np.errstate(over="ignore"):
            values: Values = output.astype(np.float64) * self.scale + self.mean
        np.clip(values, -LARGEST, LARGEST, out=values)
        return values[:, 0] if self.flat else values

    def score(self, target: Target, weights: Floats | None) -> Score:
        """R², of several outputs its mean."""
        return R2.of(target, weights)

    def continues(self, other: TargetCoder) -> bool:
        """There must be as many outputs: in standard deviations, one target is like another."""
        return isinstance(other, Numbers) and len(self.mean) == len(other.mean)


def _columns(y: NDArray[Any]) -> Values:
    """Finite numbers (rows, outputs)."""
    columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    check_finite(columns)
    return columns


def check_finite(y: NDArray[np.floating[Any]]) -> None:
    """Raise ``ValueError`` for what scikit-learn's checks do not see in tables of mixed types."""
    if not np.isfinite(y).all():
        raise ValueError("the target contains infinite numbers, which cannot be learnt")
