"""What ensembles share whose prediction is a weighted mean of their members'."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from ensembles.combining import Combination
from ensembles.composition import Composition, stacked
from ensembles.losses import Values


class Weighted(Composition):
    """An ensemble of named learners: ``fit`` sets the members and how they are combined."""

    members_: list[tuple[Any, ...]]
    _combination: Combination

    def _votes_hard(self) -> bool:
        return False

    def _combined(self, X: Any) -> Values:
        """The weighted mean of what the members predict, (rows, outputs)."""
        check_is_fitted(self)
        predictions = stacked(self.members_, X, self._n_classes, hard=self._votes_hard())
        return self._combination(predictions)

    def _first_members(self) -> list[Any]:
        return [models[0] for models in self.members_]
