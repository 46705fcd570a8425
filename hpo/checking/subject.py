"""What is checked: a data set, its parts, and which of its rows may be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.schema import Task
from hpo.data.splitting import Split
from hpo.data.table import Dataset, Table


@dataclass(frozen=True)
class Part:
    """Some rows of a table: the features of a part of the split."""

    name: str
    table: Table
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """A data set that is split, and what is to be learnt from it.

    Of the test rows checks see features alone: `parts` has no targets, and `known` no test rows.
    """

    dataset: Dataset
    split: Split
    task: Task

    @property
    def parts(self) -> tuple[Part, ...]:
        """Training, validation and test rows, without those parts that have no rows."""
        table, test = self.dataset.features, self.dataset.test
        tested = Part("test", table, self.split.test)
        if test is not None:
            tested = Part("test", test.features, np.arange(test.features.n_rows))
        parts = (
            Part("training", table, self.split.train),
            Part("validation", table, self.split.validation),
            tested,
        )
        return tuple(part for part in parts if len(part.rows))

    @property
    def known(self) -> NDArray[np.int64]:
        """The rows whose target is no secret: those for training and for validation."""
        return np.sort(np.concatenate([self.split.train, self.split.validation]))
