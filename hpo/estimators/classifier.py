"""`MLPClassifier`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from hpo.estimators.base import BaseMLP
from hpo.estimators.parameters import documented
from hpo.estimators.targets import Classes, Labels


@documented
@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that classifies.

    The score in ``history_`` is the accuracy, of several labels the subset accuracy.

    Parameters
    ----------
    {parameters}
    label_smoothing : share of the target that is spread over all classes
    class_weight : class -> weight, 1 where none is given, or ``"balanced"``; of several labels
        ``"balanced"`` only

    Attributes
    ----------
    {attributes}
    classes_ : (classes,)
    """

    label_smoothing: float = 0.0
    class_weight: Mapping[Any, float] | str | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def classes_(self) -> NDArray[Any]:
        """All classes in their order; of several labels, their numbers."""
        coder = self.coders_[0]
        if isinstance(coder, Labels):
            return np.arange(coder.n_labels)
        assert isinstance(coder, Classes)
        return coder.classes

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go through the rows once more, at a constant learning rate.

        ``classes`` (all classes that will ever come) is needed in the first call if its rows do
        not hold them all. The first call learns how inputs are scaled. A call that diverges raises
        ``ValueError`` and leaves the network as it was.
        """
        return self._partial_fit(X, y, sample_weight, self._announced(classes))

    def _announced(self, classes: ArrayLike | None) -> NDArray[Any] | None:
        """The classes that the first call learns; later ones must name the same ones, if any."""
        if classes is None:
            return None
        try:
            known = np.unique(np.asarray(classes))
        except TypeError:
            raise ValueError(f"classes must be of one type, got {classes!r}") from None
        if not known.size:
            raise ValueError("classes is empty: name all classes, or leave it out")
        if hasattr(self, "params_") and known.tolist() != self.classes_.tolist():
            raise ValueError(
                f"classes are {Classes(known).names} in this call and were "
                f"{Classes(self.classes_).names} before: name the same ones, or none"
            )
        return known

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class (rows,), or the labels (rows, labels)."""
        outputs = self._outputs(X)
        return self.coders_[0].decode(outputs)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (rows, classes); of several labels, of each one (rows, labels)."""
        outputs = self._outputs(X)
        if isinstance(self.coders_[0], Labels):
            return outputs
        probabilities: NDArray[np.float64] = outputs / outputs.sum(axis=1, keepdims=True)
        return probabilities

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logs: NDArray[np.float64] = np.log(self.predict_proba(X))
        return logs
