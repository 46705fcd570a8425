"""What ensembles of copies of one learner share."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

from sklearn.base import BaseEstimator, clone, is_classifier

from ensembles.kinds import check_learner


class Copies(BaseEstimator, metaclass=ABCMeta):  # type: ignore[misc]
    """An ensemble whose members are copies of ``estimator``, or of a default if that is None."""

    estimator: Any

    @abstractmethod
    def _default(self) -> Any:
        """The learner if the user gives none."""

    def _learner(self) -> Any:
        """A copy of the learner; ``ValueError`` if it is of the wrong kind."""
        if self.estimator is None:
            return self._default()
        check_learner("estimator", self.estimator, classifier=is_classifier(self))
        return clone(self.estimator)
