"""What an ensemble is made of: networks of one shape, or fitted learners; both see encoded rows.

What they predict are probabilities of classes, or values in standard deviations from the mean of
the training target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import Values
from ensembles.members import outputs
from hpo.nn.architecture import Architecture
from hpo.nn.network import predict
from hpo.safe_learners import dumps, loads


class Part(Protocol):
    """A member: one model, or the mean of several, as of those of folds."""

    @property
    def n_models(self) -> int:
        """How many models there are."""

    @property
    def n_bytes(self) -> int:
        """About how much they take when they are stored."""

    def outputs(self, X: NDArray[np.float32], n_classes: int | None) -> Values:
        """The mean of what the models predict, (rows, outputs)."""


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of one shape; ``params`` (models, n_params) float32.

    ``weights`` (models,), sum 1, of their mean; None if all count alike.
    """

    architecture: Architecture
    params: NDArray[np.float32]
    weights: Values | None = None

    @property
    def n_models(self) -> int:
        """How many networks there are."""
        return len(self.params)

    @property
    def n_bytes(self) -> int:
        """Of their parameters."""
        return self.params.nbytes

    def outputs(self, X: NDArray[np.float32], n_classes: int | None) -> Values:
        """The mean of the networks' outputs."""
        del n_classes  # the architecture knows them
        found = predict(self.architecture, self.params, X)
        if self.weights is not None:
            return np.tensordot(self.weights, found.astype(np.float64), axes=1)
        mean: Values = found.mean(axis=0).astype(np.float64)
        return mean


@dataclass(frozen=True, eq=False)
class Learners:
    """Fitted learners of one kind, and the bytes that they are kept as, if they are."""

    models: tuple[Any, ...]
    stored: tuple[bytes, ...] | None = None

    @classmethod
    def read(cls, stored: Sequence[bytes]) -> Self:
        """Those that are kept so; raises ``UnsafeLearnerError`` for bytes that hold none."""
        return cls(tuple(loads(each) for each in stored), tuple(stored))

    def written(self) -> Self:
        """Likewise with their bytes.

        Raises ``UnsafeLearnerError`` for a learner that could not be read again.
        """
        if self.stored is not None:
            return self
        return replace(self, stored=tuple(dumps(each) for each in self.models))

    @property
    def n_models(self) -> int:
        """How many learners there are."""
        return len(self.models)

    @property
    def n_bytes(self) -> int:
        """As they are stored."""
        written = self.written().stored
        assert written is not None
        return sum(map(len, written))

    def outputs(self, X: NDArray[np.float32], n_classes: int | None) -> Values:
        """The mean of what they predict."""
        mean: Values = np.mean([outputs(each, X, n_classes) for each in self.models], axis=0)
        return mean
