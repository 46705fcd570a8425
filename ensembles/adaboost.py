"""AdaBoost: each learner minds most what the ones before it got wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ensembles.combining import votes
from ensembles.copies import Copies
from ensembles.losses import Values
from ensembles.members import own_seeds, takes_weights
from ensembles.parameters import check_above_zero, check_count
from ensembles.reweighting import R2_LOSSES, Round, lifted, r2, samme, weighted_median
from ensembles.row_weights import row_weights
from ensembles.targets import classes_and_index, flat_values, most_probable


class BaseAdaBoost(Copies):
    """What the classifier and the regressor share."""

    estimator: Any
    n_estimators: int
    learning_rate: float
    resample: bool | str
    random_state: Any

    @abstractmethod
    def _judge(self, member: Any, X: NDArray[Any], y: NDArray[Any], weights: Values) -> Round:
        """What a fitted member's errors on the weighted rows make of their weights."""

    @abstractmethod
    def _too_bad(self, error: float) -> str:
        """What the user is told if the first member already has such an ``error``."""

    def _fit(self, X: NDArray[Any], y: NDArray[Any], given: Values | None) -> None:
        """Train the members, one after the other; ``y`` as they learn it."""
        self._check_parameters()
        self.estimator_ = self._learner()
        resample = self._resamples()
        generator = check_random_state(self.random_state)
        weights = np.ones(len(X)) if given is None else given
        total, there = weights.sum(), weights > 0
        weights = weights / total
        members: list[Any] = []
        rounds: list[Round] = []
        for _ in range(self.n_estimators):
            weights = lifted(weights, there)
            member = clone(self.estimator_)
            member.set_params(**own_seeds(member, generator))
            if resample:
                drawn = generator.choice(len(X), size=len(X), replace=True, p=weights)
                member.fit(X[drawn], y[drawn])
            else:  # a learner with a penalty must see as many rows as there are
                member.fit(X, y, sample_weight=weights * total)
            found = self._judge(member, X, y, weights)
            if not found.useful:
                break
            members.append(member)
            rounds.append(found)
            weights = found.weights
            if found.error == 0:
                break
        if not members:
            raise ValueError(self._too_bad(found.error))
        self.estimators_ = members
        self.estimator_weights_ = np.array([each.importance for each in rounds])
        self.estimator_errors_ = np.array([each.error for each in rounds])

    def _check_parameters(self) -> None:
        check_count("n_estimators", self.n_estimators)
        check_above_zero("learning_rate", self.learning_rate)
        if not isinstance(self.resample, bool) and self.resample != "auto":
            raise ValueError(f"resample is True, False or 'auto', not {self.resample!r}")

    def _resamples(self) -> bool:
        """Whether members learn from rows that are drawn, instead of rows that have weights."""
        weighs = takes_weights(self.estimator_)
        if self.resample is False and not weighs:
            raise ValueError(
                f"{type(self.estimator_).__name__} takes no sample_weight: use resample='auto' or "
                "True"
            )
        return not weighs if self.resample == "auto" else bool(self.resample)


class AdaBoostClassifier(ClassifierMixin, BaseAdaBoost):  # type: ignore[misc]
    """AdaBoost of any number of classes: SAMME (Zhu, Zou, Rosset & Hastie 2009).

    The same seed gives the ensemble of `sklearn.ensemble.AdaBoostClassifier`. Boosting ends early
    after a learner that makes no error, and before one that is no better than chance.

    Parameters
    ----------
    estimator : the learner; None for a decision stump
    n_estimators : how many members at most
    learning_rate : what the importance of each member is multiplied by, above 0
    resample : whether a member learns from rows that are drawn with chances in proportion to their
        weights (True), or from all rows with these weights (False); ``"auto"`` draws for learners
        that take no ``sample_weight``
    random_state : seed of what is drawn, and of the members

    Attributes
    ----------
    estimator_ : the learner before it is trained
    estimators_ : list of fitted members, which predict the index of a class
    estimator_weights_ : (members,), their importance
    estimator_errors_ : (members,), their error rate on the weighted rows
    classes_ : (classes,)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 50,
        learning_rate: float = 1.0,
        resample: bool | str = "auto",
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.resample = resample
        self.random_state = random_state

    def _default(self) -> Any:
        return DecisionTreeClassifier(max_depth=1)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the members on ``X`` (rows, features) and ``y`` (rows,).

        Raises
        ------
        ValueError
            For parameters or data that cannot be used, or if the first learner is no better than
            chance.
        """
        X, y = validate_data(self, X, y)
        self.classes_, index = classes_and_index(y)
        self._fit(X, index, row_weights(sample_weight, X))
        return self

    def _judge(self, member: Any, X: NDArray[Any], y: NDArray[Any], weights: Values) -> Round:
        wrong = member.predict(X) != y
        return samme(weights, wrong, len(self.classes_), self.learning_rate)

    def _too_bad(self, error: float) -> str:
        return (
            f"the first {type(self.estimator_).__name__} is no better than chance: of the rows it "
            f"learnt from it gets a share of {error:.3g} wrong, with {len(self.classes_)} classes; "
            "use a learner that fits them better"
        )

    def _staged_scores(self, X: Any) -> Iterator[Values]:
        """The mean of the votes of the members so far, (rows, classes), for one more each time.

        A vote is 1 for the class that is predicted and -1 / (classes - 1) for each other one, so
        that those for a row add up to 0 (Zhu et al. 2009, section 2.1).
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        n_classes = len(self.classes_)
        others = 1 / (n_classes - 1) if n_classes > 1 else 0.0
        total, importance = np.zeros((len(X), n_classes)), 0.0
        for member, weight in zip(self.estimators_, self.estimator_weights_, strict=True):
            total += weight * np.where(votes(member, X, n_classes) > 0, 1.0, -others)
            importance += weight
            yield total / importance

    def _scores(self, X: Any) -> Values:
        *_, last = self._staged_scores(X)
        return last

    def staged_decision_function(self, X: Any) -> Iterator[Values]:
        """What `decision_function` gives with the first member, the first two, and so on."""
        for scores in self._staged_scores(X):
            yield _decision(scores)

    def staged_predict_proba(self, X: Any) -> Iterator[Values]:
        """Likewise `predict_proba`."""
        for scores in self._staged_scores(X):
            yield _proba(scores)

    def staged_predict(self, X: Any) -> Iterator[NDArray[Any]]:
        """Likewise `predict`."""
        for scores in self._staged_scores(X):
            yield most_probable(scores, self.classes_)

    def decision_function(self, X: Any) -> Values:
        """The mean of the members' votes, (rows, classes); of two classes (rows,).

        Of two classes it is the second one's less the first one's, from -2 to 2.
        """
        return _decision(self._scores(X))

    def predict_proba(self, X: Any) -> Values:
        """Probabilities (rows, classes) that belong to these votes (equation 15 of the paper)."""
        return _proba(self._scores(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class with the most votes, (rows,)."""
        return most_probable(self._scores(X), self.classes_)


class AdaBoostRegressor(RegressorMixin, BaseAdaBoost):  # type: ignore[misc]
    """AdaBoost.R2 (Drucker 1997): the prediction is the weighted median of the members'.

    The same seed gives the ensemble of `sklearn.ensemble.AdaBoostRegressor`. Boosting ends early
    after a learner that makes no error, and before one whose mean loss is half of the largest or
    more; there is no ensemble if that is the first.

    Parameters
    ----------
    estimator : the learner; None for a decision tree of depth 3
    n_estimators, random_state : as in `AdaBoostClassifier`
    learning_rate : what the importance of each member is multiplied by, and the logarithms of the
        factors by which weights change; above 0
    loss : of a row's distance in units of the largest: ``"linear"``, ``"square"`` or
        ``"exponential"``
    resample : as in `AdaBoostClassifier`; Drucker draws

    Attributes
    ----------
    estimator_, estimators_ : as there
    estimator_weights_ : (members,), their importance
    estimator_errors_ : (members,), their mean loss on the weighted rows
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 50,
        learning_rate: float = 1.0,
        loss: str = "linear",
        resample: bool | str = True,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.loss = loss
        self.resample = resample
        self.random_state = random_state

    def _default(self) -> Any:
        return DecisionTreeRegressor(max_depth=3)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the members on ``X`` (rows, features) and ``y`` (rows,).

        Raises
        ------
        ValueError
            For parameters or data that cannot be used, or if the mean loss of the first learner is
            not below a half.
        """
        if self.loss not in R2_LOSSES:
            raise ValueError(f"loss is one of {', '.join(R2_LOSSES)}, not {self.loss!r}")
        X, y = validate_data(self, X, y, y_numeric=True)
        self._fit(X, flat_values(y), row_weights(sample_weight, X))
        return self

    def _judge(self, member: Any, X: NDArray[Any], y: NDArray[Any], weights: Values) -> Round:
        distance = np.abs(flat_values(member.predict(X)) - y)
        return r2(weights, distance, self.loss, self.learning_rate)

    def _too_bad(self, error: float) -> str:
        return (
            f"the first {type(self.estimator_).__name__} has a mean loss of {error:.3g} in units "
            "of its largest, and AdaBoost.R2 needs less than 0.5: use a learner that fits better, "
            "or loss='square', which is smaller"
        )

    def staged_predict(self, X: Any) -> Iterator[Values]:
        """What `predict` gives with the first member, the first two, and so on."""
        predictions = self._predictions(X)
        for size in range(1, len(predictions) + 1):
            yield weighted_median(predictions[:size], self.estimator_weights_[:size])

    def predict(self, X: Any) -> Values:
        """The weighted median of what the members predict, (rows,)."""
        return weighted_median(self._predictions(X), self.estimator_weights_)

    def _predictions(self, X: Any) -> Values:
        """What each member predicts, (members, rows)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return np.stack([flat_values(each.predict(X)) for each in self.estimators_])


def _decision(scores: Values) -> Values:
    decision: Values = scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores
    return decision


def _proba(scores: Values) -> Values:
    """The softmax of ``scores / (classes - 1)``."""
    odds = np.exp(scores / max(scores.shape[1] - 1, 1))
    proba: Values = odds / odds.sum(axis=1, keepdims=True)
    return proba
