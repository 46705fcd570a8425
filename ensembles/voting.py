"""Votes and weighted means of different learners."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ensembles.combining import Simplex, WeightedMean
from ensembles.composition import (
    Named,
    deal,
    out_of_fold_predictions,
    trained_members,
    usable,
)
from ensembles.losses import Values
from ensembles.row_weights import checked_weights
from ensembles.targets import most_probable
from ensembles.weighted import Weighted

BEST = "best"
"""Asks for the weights with the least loss."""


class BaseVoting(Weighted):
    """What the classifier and the regressor share."""

    def __init__(
        self, estimators: Named, *, weights: Any = None, cv: Any = None, n_jobs: int | None = None
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.cv = cv
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Train the members; ``groups`` (rows,) for folds that keep them together."""
        learners = self._learners()
        X, target = self._checked(X, y)
        learners = self._placed(learners)
        weights = checked_weights(sample_weight, X)
        if isinstance(self.weights, str):
            if self.weights != BEST:
                raise ValueError(f"weights are numbers, None or {BEST!r}, not {self.weights!r}")
            shares, known = self._best(learners, X, target, weights, groups)
        else:
            shares, known = _given(self.weights, self.estimators, learners), None
        self.members_ = trained_members(learners, X, target, weights, n_jobs=self.n_jobs)
        self.weights_ = shares
        self.out_of_fold_: Any = known
        self._combination = WeightedMean(shares)
        self._keep_features(self._first_members())
        return self

    def _best(
        self,
        learners: Named,
        X: Any,
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None,
        groups: Any,
    ) -> tuple[Values, Values]:
        classes = self._n_classes is not None
        folds = deal(self.cv, X, y, groups, classes=classes)
        known = out_of_fold_predictions(
            learners,
            X,
            y,
            folds,
            self._n_classes,
            sample_weight,
            self.n_jobs,
            hard=self._votes_hard(),
        )
        there = usable([name for name, _ in learners], known)
        predictions = np.stack([each.prediction for each in known])
        own = None if sample_weight is None else sample_weight[there]
        found = Simplex(classes).fit(predictions[:, there], y[there], own)
        return found.weights, predictions

    @property
    def estimators_(self) -> list[Any]:
        """The fitted members."""
        check_is_fitted(self)
        return self._first_members()

    @property
    def named_estimators_(self) -> dict[str, Any]:
        """The fitted members by name."""
        return dict(zip((name for name, _ in self._learners()), self.estimators_, strict=True))


def _given(weights: Any, estimators: Named, learners: Named) -> Values:
    """The shares that the user gave, of those learners that take part."""
    if weights is None:
        return np.full(len(learners), 1 / len(learners))
    numbers = np.asarray(weights, np.float64)
    if numbers.shape != (len(estimators),):
        raise ValueError(
            "Number of `estimators` and weights must be equal; got"
            f" {numbers.size} weights, {len(estimators)} estimators"
        )
    kept = {name for name, _ in learners}
    numbers = numbers[[name in kept for name, _ in estimators]]
    if not np.isfinite(numbers).all() or (numbers < 0).any() or not numbers.any():
        raise ValueError(f"weights must not be negative, and not all zero: {weights!r}")
    shares: Values = numbers / numbers.sum()
    return shares


class VotingClassifier(ClassifierMixin, BaseVoting):  # type: ignore[misc]
    """A vote of different classifiers.

    Parameters
    ----------
    estimators : list of (name, learner)
    voting : ``"hard"`` counts predicted classes, ``"soft"`` averages probabilities
    weights : a number for each learner; None: all count alike; ``"best"``: those with which what
        `predict_proba` gives, probabilities or shares of the votes, has the least log loss out of
        fold
    cv : folds for ``weights="best"``: a number, a splitter of scikit-learn, or pairs of rows
    n_jobs : processes that train

    Attributes
    ----------
    classes_ : (classes,)
    estimators_, named_estimators_ : fitted members, which predict the index of a class
    weights_ : (members,), sum 1
    out_of_fold_ : (members, rows, classes), probabilities or votes, with ``weights="best"``, else
        None
    """

    def __init__(
        self,
        estimators: Named,
        *,
        voting: str = "hard",
        weights: Any = None,
        cv: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(estimators, weights=weights, cv=cv, n_jobs=n_jobs)
        self.voting = voting

    def _votes_hard(self) -> bool:
        return self.voting == "hard"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Train the members; ``groups`` (rows,) for folds that keep them together."""
        if self.voting not in {"hard", "soft"}:
            raise ValueError(f"voting is 'hard' or 'soft', not {self.voting!r}")
        return super().fit(X, y, sample_weight, groups=groups)

    def predict_proba(self, X: Any) -> Values:
        """The weighted mean of probabilities, or shares of the votes; (rows, classes)."""
        return self._combined(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class with the most votes, or that is most probable; (rows,)."""
        return most_probable(self.predict_proba(X), self.classes_)


class VotingRegressor(RegressorMixin, BaseVoting):  # type: ignore[misc]
    """The weighted mean of different regressors.

    Parameters
    ----------
    estimators, cv, n_jobs : as in `VotingClassifier`
    weights : a number for each learner; None: all count alike; ``"best"``: those with which the
        mean of out-of-fold predictions has the least squared error

    Attributes
    ----------
    estimators_, named_estimators_, weights_ : as there
    out_of_fold_ : (members, rows, 1) with ``weights="best"``, else None
    """

    def predict(self, X: Any) -> Values:
        """The weighted mean, (rows,)."""
        return self._combined(X)[:, 0]
