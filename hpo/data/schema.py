"""Which task a target asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from hpo.data.errors import DataError
from hpo.data.wording import counted, shown

if TYPE_CHECKING:
    from hpo.data.table import Target

Task = Literal["classification", "regression"]

_MOST_CLASSES_INFERRED = 20
_MOST_CLASSES = 1000


def infer_task(target: Target) -> Task:
    """Return the task that the target's values suggest.

    Texts are classes. Integers are classes when there are at most 20 of them and each occurs
    twice or more on average. Everything else is a quantity.
    """
    if target.vocabulary is not None:
        return "classification"
    distinct = np.unique(target.values)
    few = len(distinct) <= min(_MOST_CLASSES_INFERRED, len(target.values) // 2)
    return "classification" if few and _first_fraction(distinct) is None else "regression"


def check_task(target: Target, task: Task) -> None:
    """Raise DataError when the target's values cannot serve the task that was asked for."""
    if task == "regression":
        _check_regression(target)
    else:
        _check_classification(target)


def _check_regression(target: Target) -> None:
    if target.vocabulary is not None:
        raise DataError(
            f"target '{target.name}' has texts, the first is {shown(target.vocabulary[0])}: "
            "regression needs numbers; choose classification or correct the cells"
        )


def _check_classification(target: Target) -> None:
    distinct = np.unique(target.values)
    fraction = _first_fraction(distinct) if target.vocabulary is None else None
    if fraction is not None:
        raise DataError(
            f"target '{target.name}' has fractions, such as {fraction!r}: classes are texts or "
            "whole numbers; choose regression"
        )
    if len(distinct) > _MOST_CLASSES:
        raise DataError(
            f"target '{target.name}' has {counted(len(distinct), 'distinct value')}, more than "
            f"{_MOST_CLASSES:,} classes: choose regression or another target"
        )


def _first_fraction(values: np.typing.NDArray[np.float64]) -> float | None:
    fractions = values[values != np.floor(values)]
    return float(fractions[0]) if len(fractions) else None
