"""Gradient boosting: each stage learns where the loss of the ones before it falls (Friedman 2001).

Any regressor can be what learns.
"""

from __future__ import annotations

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_regressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ensembles.boosting_losses import BoostingLoss, ClassLoss, HalfSquaredError, loss_of_classes
from ensembles.descent import Boosted, Descent, after, boost, start
from ensembles.kinds import check_learner
from ensembles.losses import Values
from ensembles.members import draw_seeds
from ensembles.parameters import check_above_zero, check_count, check_share
from ensembles.row_weights import row_weights
from ensembles.stages import Rows, Stage, stage_outputs
from ensembles.targets import classes_and_index, flat_values, most_probable, places_of


class BaseGradientBoosting(BaseEstimator, metaclass=ABCMeta):  # type: ignore[misc]
    """What the classifier and the regressor share."""

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        subsample: float = 1.0,
        n_iter_no_change: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def _max_step(self) -> float:
        return math.inf

    @abstractmethod
    def _targets(self, y: Any) -> NDArray[Any]:
        """``y`` as the loss has it, (rows,): places of classes, or values."""

    def _fit(
        self, X: Any, y: NDArray[Any], sample_weight: Any, held_out: Rows | None, loss: BoostingLoss
    ) -> None:
        weights = row_weights(sample_weight, X)
        rows = Rows(X, y, weights)
        if weights is not None:  # what is not there cannot be drawn
            rows = rows.some(np.flatnonzero(weights))
        self.estimator_ = (
            DecisionTreeRegressor(max_depth=3) if self.estimator is None else clone(self.estimator)
        )
        how = Descent(
            self.estimator_,
            loss,
            self.learning_rate,
            self.subsample,
            self._max_step(),
            self.n_iter_no_change,
        )
        seeds = draw_seeds(check_random_state(self.random_state), self.n_estimators)
        self._shrinkage = self.learning_rate
        self._adopt(boost(how, rows, held_out, seeds))

    def _adopt(self, boosted: Boosted) -> None:
        """Keep what was boosted: all stages, or those up to the best one if there may be fewer."""
        self.init_ = boosted.initial
        size = self.n_estimators if self.n_iter_no_change is None else boosted.best()
        self.n_estimators_ = size
        self.estimators_ = [each.learners for each in boosted.stages[:size]]
        self.factors_ = np.array([each.factor for each in boosted.stages[:size]])
        self.train_loss_ = np.array(boosted.train_loss)
        self.train_deviance_ = 2 * self.train_loss_
        self.val_loss_ = np.array(boosted.val_loss) if boosted.val_loss else None

    def _check_parameters(self, X_val: Any, y_val: Any) -> None:
        if self.estimator is not None:  # of classes, too, it learns the gradient, which is values
            check_learner("estimator", self.estimator, classifier=False)
        check_count("n_estimators", self.n_estimators)
        check_above_zero("learning_rate", self.learning_rate)
        check_share("subsample", self.subsample)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val belong together: give both or none")
        if self.n_iter_no_change is not None:
            check_count("n_iter_no_change", self.n_iter_no_change)
            if X_val is None:
                raise ValueError(
                    "n_iter_no_change needs validation rows, and none are split off: give fit "
                    "X_val and y_val"
                )

    def _held_out(self, X_val: Any, y_val: Any) -> Rows | None:
        if X_val is None:
            return None
        X_val, y_val = validate_data(self, X_val, y_val, reset=False, y_numeric=is_regressor(self))
        return Rows(X_val, self._targets(y_val), None)

    def _staged_scores(self, X: Any) -> Iterator[Values]:
        """Scores (rows, outputs) with the first stage, the first two, and so on."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        scores = start(self.init_, len(X))
        for learners, factor in zip(self.estimators_, self.factors_, strict=True):
            learnt = stage_outputs(learners, X)
            scores = after(scores, Stage(learners, factor), learnt, self._shrinkage)
            yield scores

    def _scores(self, X: Any) -> Values:
        *_, last = self._staged_scores(X)
        return last


class GradientBoostingClassifier(ClassifierMixin, BaseGradientBoosting):  # type: ignore[misc]
    """Gradient boosting of log loss with any regressor (Friedman 2001, algorithms 1, 5 and 6).

    Scores are log-odds of two classes, and of more what the softmax makes probabilities of. A stage
    is added with one factor, where Friedman's have one for each leaf: any learner has an output,
    but not every one has leaves.

    Parameters
    ----------
    estimator : a regressor, which learns the negative gradient; None for a decision tree of depth
        3. Of three classes and more one that takes several targets (by its tags) learns those of
        all classes together; of another one there is one for each class.
    n_estimators : how many stages at most
    learning_rate : what each stage is shrunk by
    subsample : share of the rows that each stage learns from, drawn without replacement
    max_step : a stage may change the score of a row that it learns from by no more than this,
        before it is shrunk; None for no bound. Where a learner tells the classes of these rows
        apart the loss has no minimum along the stage. 2 is what algorithm 5 changes the log-odds
        by, in a leaf with rows of one of two classes that are equally probable so far.
    n_iter_no_change : stop after so many stages without a lower loss of the validation rows, and
        keep those up to the lowest; needs ``X_val`` and ``y_val``
    random_state : seed of what is drawn, and of the learners

    Attributes
    ----------
    classes_ : (classes,)
    init_ : (outputs,), the scores before the first stage: those of the classes' shares
    estimator_ : the learner before it is trained
    estimators_ : for each stage a tuple of fitted learners, one for all outputs or one for each
    factors_ : (stages,), by the line search, before they are shrunk
    n_estimators_ : how many stages are kept
    train_loss_ : (stages that were trained,), the log loss of all training rows after each
    train_deviance_ : twice that
    val_loss_ : likewise the log loss of the validation rows; None without these
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        subsample: float = 1.0,
        max_step: float | None = 2.0,
        n_iter_no_change: int | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            estimator,
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            subsample=subsample,
            n_iter_no_change=n_iter_no_change,
            random_state=random_state,
        )
        self.max_step = max_step

    def _max_step(self) -> float:
        return math.inf if self.max_step is None else self.max_step

    def _targets(self, y: Any) -> NDArray[Any]:
        return places_of(y, self.classes_)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train the stages on ``X`` (rows, features) and ``y`` (rows,).

        Parameters
        ----------
        sample_weight : (rows,), not negative, if the learner takes it; a row of weight 0 is not
            there
        X_val, y_val : validation rows, whose loss is measured after every stage; with
            ``n_iter_no_change`` they decide when to stop. No rows are ever split off.

        Raises
        ------
        ValueError
            For parameters or data that cannot be used.
        """
        self._check_parameters(X_val, y_val)
        if self.max_step is not None:
            check_above_zero("max_step", self.max_step)
        X, y = validate_data(self, X, y)
        self.classes_, index = classes_and_index(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class only, {self.classes_.tolist()[0]!r}; boosting needs two or more"
            )
        self._fit(X, index, sample_weight, self._held_out(X_val, y_val), self._loss)
        return self

    @property
    def _loss(self) -> ClassLoss:
        return loss_of_classes(len(self.classes_))

    def staged_decision_function(self, X: Any) -> Iterator[Values]:
        """What `decision_function` gives with the first stage, the first two, and so on."""
        for scores in self._staged_scores(X):
            yield _flat(scores)

    def staged_predict_proba(self, X: Any) -> Iterator[Values]:
        """Likewise `predict_proba`."""
        for scores in self._staged_scores(X):
            yield self._loss.proba(scores)

    def staged_predict(self, X: Any) -> Iterator[NDArray[Any]]:
        """Likewise `predict`."""
        for proba in self.staged_predict_proba(X):
            yield most_probable(proba, self.classes_)

    def decision_function(self, X: Any) -> Values:
        """Scores (rows, classes); of two classes the log-odds of the second, (rows,)."""
        return _flat(self._scores(X))

    def predict_proba(self, X: Any) -> Values:
        """Probabilities (rows, classes)."""
        scores = self._scores(X)
        return self._loss.proba(scores)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class that is most probable, (rows,)."""
        return most_probable(self.predict_proba(X), self.classes_)


class GradientBoostingRegressor(RegressorMixin, BaseGradientBoosting):  # type: ignore[misc]
    """Gradient boosting of squared error with any regressor (Friedman 2001, algorithms 1 and 2).

    Parameters
    ----------
    estimator : a regressor, which learns the residuals; None for a decision tree of depth 3
    n_estimators, learning_rate, subsample, n_iter_no_change, random_state : as in
        `GradientBoostingClassifier`

    Attributes
    ----------
    init_ : (1,), the mean of the training rows
    estimators_ : for each stage a tuple of one fitted learner
    estimator_, factors_, n_estimators_ : as there
    train_loss_ : (stages that were trained,), half of the mean squared error of all training rows
    train_deviance_ : twice that
    val_loss_ : likewise half of the mean squared error of the validation rows; None without these
    """

    def _targets(self, y: Any) -> NDArray[Any]:
        return flat_values(y)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train the stages, as `GradientBoostingClassifier.fit` does."""
        self._check_parameters(X_val, y_val)
        X, y = validate_data(self, X, y, y_numeric=True)
        held_out = self._held_out(X_val, y_val)
        self._fit(X, self._targets(y), sample_weight, held_out, HalfSquaredError())
        return self

    def staged_predict(self, X: Any) -> Iterator[Values]:
        """What `predict` gives with the first stage, the first two, and so on."""
        for scores in self._staged_scores(X):
            yield scores[:, 0]

    def predict(self, X: Any) -> Values:
        """The mean and what all stages add to it, (rows,)."""
        return self._scores(X)[:, 0]


def _flat(scores: Values) -> Values:
    return scores[:, 0] if scores.shape[1] == 1 else scores
