"""Splits that keep the rows of a group together.

Which groups a part gets is a subset-sum problem with one sum for each class, so it is not solved
but drawn: groups come in random order, and each that brings the part nearer to what it should hold
is taken, or given back later. Where groups are few, and chance may deal badly, the best of several
drawings counts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.errors import DataError
from hpo.data.splitting import Split, check_training, rounded_up, wanted_rows
from hpo.data.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Contents = Sequence[Sequence[tuple[int, int]]]

_MOST_DRAWINGS = 50
_MOST_PASSES = 5  # through all groups; the first does nearly everything
_LOOKS = 2**17  # at a group's contents, over all drawings: less than half a second
_FEWEST_GROUPS_OF_A_CLASS = 3  # one for each part


def split_groups(
    groups: NDArray[Any],
    classes: NDArray[Any] | None,
    *,
    test_size: float | None = 0.2,
    validation_size: float = 0.2,
    seed: int = 0,
) -> tuple[Split, tuple[float, ...]]:
    """Split rows at random, all rows of a group into one part; the same way for the same arguments.

    Parts get about the sizes asked for, and classes about their shares, as far as the groups allow.

    Parameters
    ----------
    groups : (n_rows,) numbers, the group of each row
    classes, test_size, validation_size, seed : as in `split_rows`

    Returns
    -------
    The split, and the classes that stand in fewer than 3 groups, so not in every part.

    Raises
    ------
    DataError
        A size is not between 0 and 1, or there are fewer groups than parts, or too few rows.
    """
    n_test, _ = wanted_rows(len(groups), test_size, validation_size)
    group, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    _check_number(len(sizes), 2 if test_size is None else 3)
    distinct, label = np.unique(
        np.zeros(len(groups)) if classes is None else classes, return_inverse=True
    )
    contents = _contents(group, label, sizes)
    rng = np.random.default_rng(seed)
    everything = np.arange(len(sizes))
    test = _draw(rng, contents, everything, n_test, most=len(sizes) - 2)
    others = np.setdiff1d(everything, test)
    n_validation = rounded_up(validation_size, int(sizes[others].sum()))
    validation = _draw(rng, contents, others, n_validation, most=len(others) - 1)
    role = np.zeros(len(sizes), dtype=np.int64)
    role[validation], role[test] = 1, 2
    split = Split(*(np.flatnonzero(role[group] == part) for part in range(3)))
    check_training(split, "rows of one group")
    return split, () if classes is None else _in_few_groups(distinct, contents)


def _check_number(n_groups: int, n_parts: int) -> None:
    if n_groups < n_parts:
        raise DataError(
            f"{counted(n_groups, 'group')} cannot be split into {n_parts} parts, each of which "
            "needs one; give more groups, or name another column"
        )


def _contents(
    group: NDArray[np.int64], label: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Contents:
    """Return for each group how many rows it has of each class, and of class 0, which is all.

    `group` and `label` are (n_rows,) numbers from 0.
    """
    n_labels = int(label.max()) + 1
    pairs, counts = np.unique(group * n_labels + label, return_counts=True)
    ends = np.searchsorted(pairs, n_labels * np.arange(len(sizes) + 1))
    entries = list(zip((1 + pairs % n_labels).tolist(), counts.tolist(), strict=True))
    return [
        [(0, size), *entries[start:stop]]
        for size, (start, stop) in zip(sizes.tolist(), pairwise(ends.tolist()), strict=True)
    ]


def _draw(
    rng: np.random.Generator,
    contents: Contents,
    candidates: NDArray[np.int64],
    n_rows: int,
    *,
    most: int,
) -> NDArray[np.int64]:
    """Return the groups of a part that is to have `n_rows` rows, `most` groups at the most.

    At least one group is drawn, unless no row is wanted.
    """
    if not n_rows:
        return candidates[:0]
    totals = _totals(contents, candidates)
    wanted = [total * n_rows / totals[0] for total in totals]
    # When all are off by the same share, a class costs as much as it has rows, and the number of
    # rows, which is asked for by the user, as much as all classes together would with one each.
    weights = [1 / total if total else 0.0 for total in totals]
    weights[0] *= len(weights) - 1
    looks = sum(len(contents[group]) for group in candidates)
    drawings = (
        _fill(contents, rng.permutation(candidates).tolist(), wanted, weights, most)
        for _ in range(min(_MOST_DRAWINGS, max(1, _LOOKS // looks)))
    )
    _, taken = min(drawings, key=lambda drawing: drawing[0])  # of equal ones the first
    return np.array(sorted(taken), dtype=np.int64)


def _totals(contents: Contents, candidates: NDArray[np.int64]) -> list[int]:
    totals = [0] * (1 + max(label for content in contents for label, _ in content))
    for group in candidates:
        for label, count in contents[group]:
            totals[label] += count
    return totals


def _fill(
    contents: Contents,
    order: Sequence[int],
    wanted: Sequence[float],
    weights: Sequence[float],
    most: int,
) -> tuple[float, set[int]]:
    """Take groups in order, or give them back, while that lowers the cost; return cost and groups.

    The cost is the sum over classes of weight times squared distance from what is wanted.
    """
    lacking = list(wanted)
    taken: set[int] = set()

    def gain(group: int, sign: int) -> float:
        """How much the cost falls when the group is taken (1) or given back (-1)."""
        return sum(
            weights[label] * count * (2 * sign * lacking[label] - count)
            for label, count in contents[group]
        )

    def change(group: int, sign: int) -> None:
        taken.symmetric_difference_update((group,))
        for label, count in contents[group]:
            lacking[label] -= sign * count

    for _ in range(_MOST_PASSES):
        before = len(taken), list(lacking)
        for group in order:
            sign = -1 if group in taken else 1
            if (sign < 0 or len(taken) < most) and gain(group, sign) > 0:
                change(group, sign)
        if (len(taken), lacking) == before:
            break
    if not taken:  # all are far larger than the part: the one that does least harm
        change(max(order, key=lambda group: gain(group, 1)), 1)
    return sum(weight * lack * lack for weight, lack in zip(weights, lacking, strict=True)), taken


def _in_few_groups(distinct: NDArray[Any], contents: Contents) -> tuple[float, ...]:
    """Return the classes that stand in fewer groups than there are parts."""
    n_groups = np.zeros(1 + len(distinct), dtype=np.int64)
    for content in contents:
        for label, _ in content:
            n_groups[label] += 1
    return tuple(distinct[n_groups[1:] < _FEWEST_GROUPS_OF_A_CLASS].tolist())
