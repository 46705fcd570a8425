"""Greedy selection of an ensemble as an estimator (Caruana et al. 2004)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state

from ensembles.combining import Greedy
from ensembles.composition import (
    Named,
    check_members,
    deal,
    out_of_fold_predictions,
    trained_members,
    usable,
)
from ensembles.losses import Values
from ensembles.parameters import check_count, check_share
from ensembles.row_weights import checked_weights
from ensembles.targets import most_probable
from ensembles.weighted import Weighted


class BaseGreedySelection(Weighted):
    """What the classifier and the regressor share."""

    def __init__(
        self,
        estimators: Named,
        *,
        n_steps: int = 50,
        n_initial: int = 0,
        n_bags: int = 0,
        bag_share: float = 0.5,
        cv: Any = None,
        members: str = "refit",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.n_steps = n_steps
        self.n_initial = n_initial
        self.n_bags = n_bags
        self.bag_share = bag_share
        self.cv = cv
        self.members = members
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Select and train; ``groups`` (rows,) for folds that keep them together.

        Raises
        ------
        ValueError
            For parameters or data that cannot be used, or as the learners do.
        LeakError
            For predictions of rows that a model was trained on.
        """
        self._check_parameters()
        learners = self._learners()
        X, target = self._checked(X, y)
        learners = self._placed(learners)
        weights = checked_weights(sample_weight, X)
        n_classes = self._n_classes
        folds = deal(self.cv, X, target, groups, classes=n_classes is not None)
        known = out_of_fold_predictions(learners, X, target, folds, n_classes, weights, self.n_jobs)
        there = usable([name for name, _ in learners], known)
        self.out_of_fold_ = np.stack([each.prediction for each in known])
        self.n_rows_without_prediction_ = int((~there).sum())
        found = self._combiner().fit(
            self.out_of_fold_[:, there],
            target[there],
            None if weights is None else weights[there],
        )
        assert found.weights is not None
        self.weights_ = found.weights
        taken = np.flatnonzero(self.weights_)
        self.selected_ = [learners[each][0] for each in taken]
        self._combination = type(found)(self.weights_[taken])
        self.members_ = (
            [known[each].models for each in taken]
            if self.members == "folds"
            else trained_members(
                [learners[each] for each in taken], X, target, weights, n_jobs=self.n_jobs
            )
        )
        self._keep_features(self._first_members())
        return self

    def _check_parameters(self) -> None:
        check_members(self.members)
        check_count("n_steps", self.n_steps)
        check_count("n_initial", self.n_initial, least=0)
        check_count("n_bags", self.n_bags, least=0)
        check_share("bag_share", self.bag_share)

    def _combiner(self) -> Greedy:
        seed = check_random_state(self.random_state).randint(2**31 - 1) if self.n_bags else 0
        return Greedy(
            self._n_classes is not None,
            steps=self.n_steps,
            initial=self.n_initial,
            bags=self.n_bags,
            share=self.bag_share,
            seed=seed,
        )


class GreedySelectionClassifier(ClassifierMixin, BaseGreedySelection):  # type: ignore[misc]
    """The mean of a selection of classifiers, with the least log loss of out-of-fold predictions.

    Members are added one by one, each the one that helps most, the same one several times if that
    is best (Caruana, Niculescu-Mizil, Crew & Ksikes 2004).

    Parameters
    ----------
    estimators : list of (name, learner)
    n_steps : how many members are added; the best prefix is kept
    n_initial : begin with so many of the best single learners (section 2.2)
    n_bags : select from so many random parts of the learners, and average; 0 selects from all
        (section 2.3)
    bag_share : share of the learners in each part, above 0 and up to 1
    cv : folds: a number, a splitter of scikit-learn, or pairs of rows
    members : ``"refit"`` trains those that were selected again on all rows; ``"folds"`` keeps the
        models of the folds, whose mean predicts
    n_jobs : processes that train
    random_state : seed of the bags

    Attributes
    ----------
    classes_ : (classes,)
    weights_ : (learners,), sum 1; 0 for those that were not selected
    selected_ : names of the others
    out_of_fold_ : (learners, rows, classes), NaN for rows that no fold predicts
    n_rows_without_prediction_ : rows that took no part in the selection
    """

    def predict_proba(self, X: Any) -> Values:
        """The weighted mean of probabilities, (rows, classes)."""
        return self._combined(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class that is most probable, (rows,)."""
        return most_probable(self.predict_proba(X), self.classes_)


class GreedySelectionRegressor(RegressorMixin, BaseGreedySelection):  # type: ignore[misc]
    """The mean of a selection of regressors, with the least squared error out of fold.

    Parameters
    ----------
    estimators, n_steps, n_initial, n_bags, bag_share, cv, members, n_jobs, random_state : as in
        `GreedySelectionClassifier`

    Attributes
    ----------
    weights_, selected_, n_rows_without_prediction_ : as there
    out_of_fold_ : (learners, rows, 1)
    """

    def predict(self, X: Any) -> Values:
        """The weighted mean, (rows,)."""
        return self._combined(X)[:, 0]
