"""The rows that a study's trials were trained and scored on, and which network saw which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.splitting import Split
from hpo.search.folds import count_folds
from storage.errors import ArtifactError


@dataclass(frozen=True, eq=False)
class PooledRows:
    """The training and the validation rows in the order of the data, and none for the test.

    ``places`` (rows,) in the data set. ``seen`` (networks of a trial, rows) is where a network was
    trained on the row: one network and all training rows, or with folds a network for each fold
    and the rows of the others.
    """

    # One part after the other would make folds that are dealt in order all of one part.

    places: NDArray[np.int64]
    seen: NDArray[np.bool_]

    @classmethod
    def of(cls, split: Split) -> PooledRows:
        """Those of a split."""
        places = np.sort(np.concatenate([split.train, split.validation]))
        if split.folds is None:
            return cls(places, np.isin(places, split.train)[None])
        return cls(places, split.folds != np.arange(count_folds(split.folds))[:, None])

    def laid_out(self, prediction: NDArray[Any], what: str) -> NDArray[np.float64]:
        """Predictions of the rows that score a trial as those of all rows, NaN for the others.

        Raises ``ArtifactError``, which says ``what`` they are, if they are of other rows.
        """
        scored = ~self.seen.all(axis=0)
        if len(prediction) != np.count_nonzero(scored):
            raise ArtifactError(f"{what}: its stored predictions are of other rows")
        laid = np.full((len(self.places), prediction.shape[1]), np.nan)
        laid[scored] = prediction
        return laid
