"""What ensembles need of a learner. Nothing has to be inherited from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import ArrayLike


@runtime_checkable
class Learner(Protocol):
    """An estimator as scikit-learn has it; `sklearn.base.clone` must be able to copy it."""

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from rows and their targets; returns the learner itself."""

    def predict(self, X: Any) -> Any:
        """What it says of new rows. A classifier may have ``predict_proba`` too."""


@runtime_checkable
class BatchLearner(Learner, Protocol):
    """A learner that trains many of its kind at once, as a stack of networks is trained."""

    def fit_many(
        self,
        X: Any,
        y: Any,
        params: Sequence[Mapping[str, Any]],
        sample_weight: ArrayLike | None = None,
    ) -> Sequence[Learner]:
        """Fitted copies, one for each entry of ``params``, which says what is different in it.

        ``sample_weight`` (members, rows): a row of weight 0 is not there. A copy that could not be
        trained has ``diverged_`` True.
        """
