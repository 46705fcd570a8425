"""The parts of a data set, by lot, by group or by time, and what is to be said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.errors import DataError
from hpo.data.group_splitting import split_groups
from hpo.data.splitting import rounded_up, split_rows
from hpo.data.time_splitting import split_times
from hpo.data.wording import counted, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo.data.splitting import Split
    from hpo.data.steering import SplitColumn
    from hpo.data.table import Dataset

    Rare = tuple[float, ...]

_NOTABLE = 0.1
"""A part that is off by more than this share of the rows wanted is told of."""


def draw_parts(
    dataset: Dataset,
    *,
    classification: bool,
    test_size: float,
    validation_size: float,
    seed: int,
) -> tuple[Split, tuple[str, ...]]:
    """Split the rows as the data set's steering column says, or at random without one.

    Test rows that have a file of their own are no part of it: the test part is empty then.

    Returns
    -------
    The split, and a line for each class that the drawing could not spread over the parts.

    Raises
    ------
    DataError
        A size is not between 0 and 1, or there are too few rows, groups or times.
    """
    share = test_size if dataset.test is None else None
    classes = dataset.target.values if classification else None
    steering = dataset.steering
    if steering is None:
        split, rare = split_rows(
            dataset.features.n_rows,
            classes,
            test_size=share,
            validation_size=validation_size,
            seed=seed,
        )
        what = "classes with fewer than 3 rows are kept but not stratified"
    else:
        split, rare = _steered(steering, classes, share, validation_size, seed)
        what = "classes in fewer than 3 groups, which cannot stand in every part"
    names = ", ".join(dataset.target.label(value) for value in rare)
    return split, (f"{what}: {names}",) if rare else ()


def describe_parts(
    dataset: Dataset, split: Split, *, test_size: float, validation_size: float
) -> tuple[str, ...]:
    """Return a line each for what the steering column did; none without one.

    The arguments are those of `draw_parts`, and the split may be an older one of the same rows.
    """
    steering = dataset.steering
    if steering is None:
        return ()
    share = test_size if dataset.test is None else None
    tell = _tell_times if steering.kind == "time" else _tell_groups
    return (tell(steering, split), *_tell_sizes(steering, split, share, validation_size))


def _steered(
    steering: SplitColumn,
    classes: NDArray[Any] | None,
    test_size: float | None,
    validation_size: float,
    seed: int,
) -> tuple[Split, Rare]:
    keys = steering.keys
    try:
        if steering.kind == "time":
            return split_times(keys, test_size=test_size, validation_size=validation_size), ()
        return split_groups(
            keys, classes, test_size=test_size, validation_size=validation_size, seed=seed
        )
    except DataError as error:
        raise DataError(f"--{steering.kind} {shown(steering.column.name)}: {error}") from None


def _tell_groups(steering: SplitColumn, split: Split) -> str:
    n_groups = [
        len(np.unique(steering.keys[rows]))
        for rows in (split.train, split.validation, split.test)
        if len(rows)
    ]
    name = shown(steering.column.name)
    if sum(n_groups) == len(steering.keys):
        return f"{name} is no feature; each row is a group of its own, so --group changes little"
    parts = ", ".join(f"{n:,}" for n in n_groups)
    return f"{name} is no feature; its {counted(sum(n_groups), 'group')} stay whole ({parts})"


def _tell_times(steering: SplitColumn, split: Split) -> str:
    begins = [
        f"{part} begins with {steering.label(int(rows[np.argmin(steering.keys[rows])]))}"
        for part, rows in (("validation", split.validation), ("test", split.test))
        if len(rows)
    ]
    return f"{shown(steering.column.name)} is no feature; {', '.join(begins)}"


def _tell_sizes(
    steering: SplitColumn, split: Split, test_size: float | None, validation_size: float
) -> list[str]:
    n_rows = len(steering.keys)
    n_test = rounded_up(test_size or 0, n_rows)
    n_validation = rounded_up(validation_size, n_rows - len(split.test))
    reason = "rows of one group" if steering.kind == "group" else "rows of equal time"
    return [
        f"the {part} part has {counted(len(rows), 'row')}, not {wanted:,}: {reason} stay together"
        for part, rows, wanted in (
            ("validation", split.validation, n_validation),
            ("test", split.test, n_test),
        )
        if abs(len(rows) - wanted) > max(1, _NOTABLE * wanted)
    ]
