"""Train, validation and test rows, drawn so that every class keeps its share."""

from __future__ import annotations

import hashlib
import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.errors import DataError
from hpo.data.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST_OF_A_CLASS = 3  # one row for each part
_FEWEST_TRAINING_ROWS = 2

_FIRST_FOLD = 3


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices of the three parts, each sorted; together every row once.

    ``test`` is empty when the test rows have a file of their own. ``folds`` (training rows,): the
    fold of each, from 0 to 252, where training rows score each other and ``validation`` is empty.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    folds: NDArray[np.int64] | None = None

    def pooled(self) -> Split:
        """Return the split with the validation rows among those for training."""
        train = np.sort(np.concatenate([self.train, self.validation]))
        return Split(train, self.validation[:0], self.test)

    def digest(self) -> str:
        """Return the SHA-256 of the three parts and of the folds.

        NumPy may draw differently in another version; then what was trained on must not become
        what is tested on without anybody noticing.
        """
        folds = () if self.folds is None else (self.folds,)
        parts = (self.train, self.validation, self.test, *folds)
        hashes = [hashlib.sha256(part.astype("<i8").tobytes()).digest() for part in parts]
        return hashlib.sha256(b"".join(hashes)).hexdigest()

    def to_bytes(self) -> bytes:
        """The part and the fold of each row, packed; the same bytes for the same split."""
        roles = np.zeros(len(self.train) + len(self.validation) + len(self.test), np.uint8)
        roles[self.validation] = 1
        roles[self.test] = 2
        if self.folds is not None:
            roles[self.train] = _FIRST_FOLD + self.folds
        return zlib.compress(roles.tobytes())

    @classmethod
    def from_bytes(cls, packed: bytes) -> Split:
        """The split that ``to_bytes`` packed."""
        roles = np.frombuffer(zlib.decompress(packed), np.uint8)
        folds = roles[roles >= _FIRST_FOLD].astype(np.int64) - _FIRST_FOLD
        parts = np.where(roles >= _FIRST_FOLD, 0, roles)
        split = cls(*(np.flatnonzero(parts == part).astype(np.int64) for part in range(3)))
        return replace(split, folds=folds) if len(folds) else split


def split_rows(
    n_rows: int,
    classes: NDArray[Any] | None,
    *,
    test_size: float | None = 0.2,
    validation_size: float = 0.2,
    seed: int = 0,
) -> tuple[Split, tuple[float, ...]]:
    """Split rows at random, the same way for the same arguments.

    Parameters
    ----------
    n_rows : how many rows there are
    classes : (n_rows,) numbers, the class of each row, to keep the classes' shares; None to draw
        from all rows alike
    test_size : the part of all rows that is for the test, rounded up to whole rows; None for none
    validation_size : the part of the other rows that is for validation, rounded up
    seed : of the drawing

    Returns
    -------
    The split, and the classes with fewer than 3 rows, which cannot be in every part: they are
    drawn from together, as if they were one class.

    Raises
    ------
    DataError
        A size is not between 0 and 1, or fewer than 2 training rows would remain.
    """
    n_test, n_validation = wanted_rows(n_rows, test_size, validation_size)
    strata, rare = _strata(np.zeros(n_rows) if classes is None else classes)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_rows)
    test, others = _draw(rng, order, strata, n_test)
    validation, train = _draw(rng, others, strata, n_validation)
    return Split(np.sort(train), np.sort(validation), np.sort(test)), rare


def _strata(classes: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[float, ...]]:
    """Return the stratum of each row, and the classes that share stratum 0 for being rare."""
    distinct, index, counts = np.unique(classes, return_inverse=True, return_counts=True)
    is_rare = counts < _FEWEST_OF_A_CLASS
    stratum = np.where(is_rare, 0, 1 + np.arange(len(distinct)))
    return stratum[index], tuple(distinct[is_rare].tolist())


def _draw(
    rng: np.random.Generator, order: NDArray[np.int64], strata: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take the first rows of each stratum, `n` altogether; return them and those left over."""
    stratum = strata[order]
    counts = np.bincount(stratum)
    by_stratum = np.argsort(stratum, kind="stable")
    place = np.empty(len(order), dtype=np.int64)  # of each row among those of its stratum
    place[by_stratum] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = place < _largest_remainders(rng, counts, n)[stratum]
    return order[taken], order[~taken]


def _largest_remainders(
    rng: np.random.Generator, counts: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Share `n` seats in proportion to `counts` (Hamilton's method), in exact arithmetic.

    Equal remainders draw lots: always the first would keep the last classes out of the test.
    """
    shares, remainders = np.divmod(counts * n, counts.sum())
    missing = n - shares.sum()
    lots = rng.permutation(len(counts))
    shares[lots[np.argsort(-remainders[lots], kind="stable")[:missing]]] += 1
    return shares


def wanted_rows(n_rows: int, test_size: float | None, validation_size: float) -> tuple[int, int]:
    """Return how many rows the test and the validation part are to have; see `split_rows`.

    Raises
    ------
    DataError
        A size is not between 0 and 1, or fewer than 2 training rows would remain.
    """
    _check_size("test_size", 0.5 if test_size is None else test_size)
    _check_size("validation_size", validation_size)
    n_test = 0 if test_size is None else rounded_up(test_size, n_rows)
    n_validation = rounded_up(validation_size, n_rows - n_test)
    _check_rows(n_rows, n_test, n_validation)
    return n_test, n_validation


def rounded_up(size: float, n_rows: int) -> int:
    """Return how many of `n_rows` rows a part of this size is to have."""
    return math.ceil(size * n_rows)


def check_training(split: Split, what: str) -> None:
    """Raise DataError when `what`, which stays together, leaves too little to train on."""
    n_train = len(split.train)
    if n_train < _FEWEST_TRAINING_ROWS:
        raise DataError(
            f"{what} stay together, which leaves {counted(n_train, 'row')} to train on, and at "
            f"least {_FEWEST_TRAINING_ROWS} are needed; give more rows or smaller sizes"
        )


def _check_size(name: str, size: float) -> None:
    if not 0 < size < 1:
        raise DataError(f"{name} is {size}: it must lie between 0 and 1, as 0.2 does")


def _check_rows(n_rows: int, n_test: int, n_validation: int) -> None:
    n_train = n_rows - n_test - n_validation
    if n_train < _FEWEST_TRAINING_ROWS or not n_validation:
        raise DataError(
            f"{counted(n_rows, 'row')} cannot be split: {n_test} for the test and {n_validation} "
            f"for validation leave {n_train} to train on, and at least {_FEWEST_TRAINING_ROWS} "
            "are needed; give more rows or smaller sizes"
        )
