"""What an estimator makes of its target: the columns that belong to each head, and their coders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from hpo.estimators.moments import Values
from hpo.estimators.targets import Classes, Labels, Numbers, TargetCoder, check_finite

Coders = tuple[TargetCoder, ...]

LOSSES = ("squared_error", "huber")
TASKS = ("classification", "regression")


class Task(Protocol):
    """How the target ``y``, (rows,) or (rows, columns), is learnt."""

    def shaped(self, y: NDArray[Any]) -> NDArray[Any]:
        """``y`` in the shape that the other methods take."""

    def columns(self, y: NDArray[Any]) -> list[NDArray[Any]]:
        """The part of ``y`` that belongs to each head."""

    def coders(self, y: NDArray[Any], weights: Values | None) -> Coders:
        """Learn how the target is encoded, one coder for each head; ``weights`` (rows,)."""

    def check(self, coders: Coders) -> None:
        """Raise ``ValueError`` if ``coders`` were learnt for another task than this one."""


@dataclass(frozen=True)
class Classification:
    """One class of each row, or several labels."""

    def shaped(self, y: NDArray[Any]) -> NDArray[Any]:
        """A single column flat."""
        return flat(y)

    def columns(self, y: NDArray[Any]) -> list[NDArray[Any]]:
        """All of it."""
        return [y]

    def coders(self, y: NDArray[Any], _weights: Values | None) -> Coders:
        """Classes, or labels if there are columns of 0 and 1."""
        if type_of_target(y) == "multilabel-indicator":
            return (Labels(y.shape[1]),)
        return (Classes.fit(y),)

    def check(self, coders: Coders) -> None:
        """There is no other task."""


@dataclass(frozen=True)
class Regression:
    """One or several numbers of each row."""

    loss: str

    def shaped(self, y: NDArray[Any]) -> NDArray[Any]:
        """A single column flat."""
        return flat(y)

    def columns(self, y: NDArray[Any]) -> list[NDArray[Any]]:
        """All of it."""
        return [y]

    def coders(self, y: NDArray[Any], weights: Values | None) -> Coders:
        """Numbers, of which all outputs are one head."""
        if self.loss not in LOSSES:
            raise ValueError(f"loss is 'squared_error' or 'huber', not {self.loss!r}")
        return (Numbers.fit(y, weights, self.loss),)

    def check(self, coders: Coders) -> None:
        """The loss must be the one that the head learnt."""
        before = coders[0].head.loss
        if self.loss != before:
            raise ValueError(f"loss was {before!r} so far and is {self.loss!r} now: {ANEW}")


@dataclass(frozen=True)
class SeveralTasks:
    """A class or a number in each column."""

    tasks: Sequence[str] | str
    loss_weights: Sequence[float] | None

    def shaped(self, y: NDArray[Any]) -> NDArray[Any]:
        """A table, (rows, columns)."""
        return y.reshape(len(y), -1)

    def columns(self, y: NDArray[Any]) -> list[NDArray[Any]]:
        """Each column, of the type of what stands in it."""
        columns = [np.array(column.tolist()) for column in y.T]
        for column in columns:
            if column.dtype.kind == "f":
                check_finite(column)
        return columns

    def coders(self, y: NDArray[Any], weights: Values | None) -> Coders:
        """A head for each column."""
        columns = self.columns(y)
        found = zip(columns, self._kinds(columns), self._shares(len(columns)), strict=True)
        return tuple(_coder(column, kind, share, weights) for column, kind, share in found)

    def check(self, coders: Coders) -> None:
        """Tasks and weights of losses must be those of the heads."""
        kinds = kinds_of(coders)
        if not _is_auto(self.tasks) and self._named != kinds:
            raise ValueError(f"tasks were {kinds} so far and are {self.tasks!r} now: {ANEW}")
        weights = [coder.head.weight for coder in coders]
        if self._shares(len(coders)) != weights:
            raise ValueError(
                f"loss_weights were {weights} so far and are {self.loss_weights!r} now: {ANEW}"
            )

    @property
    def _named(self) -> list[str]:
        names = np.asarray(self.tasks, dtype=object)
        return [*names] if names.ndim == 1 else []

    def _kinds(self, columns: Sequence[NDArray[Any]]) -> list[str]:
        kinds = [_kind(column) for column in columns] if _is_auto(self.tasks) else self._named
        if len(kinds) != len(columns) or any(kind not in TASKS for kind in kinds):
            raise ValueError(
                f"tasks must say classification or regression for each of {len(columns)} columns, "
                f"got {self.tasks!r}"
            )
        return kinds

    def _shares(self, n_columns: int) -> list[float]:
        if self.loss_weights is None:
            return [1.0] * n_columns
        if np.ndim(self.loss_weights) != 1 or len(self.loss_weights) != n_columns:
            raise ValueError(
                f"loss_weights do not fit {n_columns} columns, one number each: "
                f"{self.loss_weights!r}"
            )
        try:
            return [float(share) for share in self.loss_weights]
        except (TypeError, ValueError):
            raise ValueError(f"loss_weights must be numbers, got {self.loss_weights!r}") from None


ANEW = "set it back, or begin anew without what was learnt"
"""What to do about a parameter that does not fit a network that is to learn on."""


def kinds_of(coders: Coders) -> list[str]:
    """What each column was taken for."""
    return [TASKS[isinstance(coder, Numbers)] for coder in coders]


def flat(y: NDArray[Any]) -> NDArray[Any]:
    """``y``, as (rows,) if it has one column, which scikit-learn warns of."""
    if y.ndim == 2 and y.shape[1] == 1:
        return np.asarray(column_or_1d(y, warn=True))
    return y


def _is_auto(tasks: Sequence[str] | str) -> bool:
    return isinstance(tasks, str) and tasks == "auto"


def _kind(column: NDArray[Any]) -> str:
    return "regression" if type_of_target(column).startswith("continuous") else "classification"


def _coder(column: NDArray[Any], kind: str, share: float, weights: Values | None) -> TargetCoder:
    if kind == "classification":
        return replace(Classes.fit(column), weight=share)
    return replace(Numbers.fit(column, weights, "squared_error"), weight=share)
