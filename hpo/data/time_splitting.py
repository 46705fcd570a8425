"""Splits that run forward in time: what is trained on is older than what it is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.errors import DataError
from hpo.data.splitting import Split, check_training, rounded_up, wanted_rows
from hpo.data.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray


def split_times(
    times: NDArray[Any], *, test_size: float | None = 0.2, validation_size: float = 0.2
) -> Split:
    """Return the latest rows as the test part, the latest before them for validation.

    Rows of equal time come into one part, so parts get the sizes nearest to those asked for; of two
    that are equally near, the smaller.

    Parameters
    ----------
    times : (n_rows,) numbers, the time of each row in any order
    test_size, validation_size : as in `split_rows`

    Raises
    ------
    DataError
        A size is not between 0 and 1, or there are fewer times than parts, or too few rows.
    """
    n_test, _ = wanted_rows(len(times), test_size, validation_size)
    distinct, moment, counts = np.unique(times, return_inverse=True, return_counts=True)
    parts = 2 if test_size is None else 3
    if len(distinct) < parts:
        raise DataError(
            f"{counted(len(distinct), 'distinct time')} cannot be split into {parts} parts, each "
            "of which needs one; give more rows, or name another column"
        )
    test = len(distinct) if test_size is None else _cut(counts, n_test, before=2)
    n_validation = rounded_up(validation_size, int(counts[:test].sum()))
    validation = _cut(counts[:test], n_validation, before=1)
    split = Split(
        np.flatnonzero(moment < validation),
        np.flatnonzero((moment >= validation) & (moment < test)),
        np.flatnonzero(moment >= test),
    )
    check_training(split, "rows of equal time")
    return split


def _cut(counts: NDArray[np.int64], n_rows: int, *, before: int) -> int:
    """Return the first moment of a part at the end that is to have `n_rows` rows.

    `counts` are the rows of each moment; so many moments are left `before` it, or more.
    """
    sizes = np.cumsum(counts[::-1])[::-1][before:]  # of the part, were it to begin here
    distance = np.abs(sizes - n_rows)[::-1]  # from the smallest part on: argmin takes the first
    return len(counts) - 1 - int(np.argmin(distance))
