"""Bagging: members that each learn from rows and features of their own (Breiman 1996)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted, validate_data

from ensembles.copies import Copies
from ensembles.losses import Values
from ensembles.members import draw_seeds, fit_members, fit_one, outputs, seeded, takes_weights
from ensembles.parameters import check_count
from ensembles.protocols import BatchLearner
from ensembles.row_weights import row_weights
from ensembles.targets import classes_and_index, flat_values, most_probable

VOTES = ("auto", "soft", "hard")


class BaseBagging(Copies):
    """What the classifier and the regressor share."""

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 10,
        *,
        max_samples: float = 1.0,
        max_features: float = 1.0,
        bootstrap: bool = True,
        bootstrap_features: bool = False,
        oob_score: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.bootstrap_features = bootstrap_features
        self.oob_score = oob_score
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _votes_hard(self) -> bool:
        return False

    def _fit(self, X: NDArray[Any], y: NDArray[Any], sample_weight: Any) -> None:
        """Train the members; ``y`` as they learn it."""
        rows, features = X.shape
        drawn_rows = _share("max_samples", self.max_samples, rows)
        drawn_features = _share("max_features", self.max_features, features)
        check_count("n_estimators", self.n_estimators)
        if self.oob_score and not self.bootstrap and drawn_rows == rows:
            raise ValueError("oob_score needs rows that members do not see: bootstrap, max_samples")
        weights = row_weights(sample_weight, X)
        self.estimator_ = self._learner()
        own = self._for_learners(weights, drawn_rows)
        seeds = draw_seeds(check_random_state(self.random_state), self.n_estimators)
        self.estimators_features_: list[NDArray[np.int64]] = []
        counts = np.zeros((self.n_estimators, rows), dtype=np.int64)
        for member, seed in enumerate(seeds):
            generator = np.random.RandomState(seed)
            chosen = _draw(generator, features, drawn_features, replace=self.bootstrap_features)
            self.estimators_features_.append(chosen)
            if own is not None:
                drawn = np.flatnonzero(own)
            elif weights is None:
                drawn = _draw(generator, rows, drawn_rows, replace=self.bootstrap)
            else:
                chances = weights / weights.sum()
                drawn = generator.choice(rows, drawn_rows, replace=self.bootstrap, p=chances)
            counts[member] = np.bincount(drawn, minlength=rows)
        self.sample_counts_ = counts
        self.estimators_ = self._trained(X, y, seeds, counts if own is None else counts * own)

    def _for_learners(self, weights: Values | None, drawn: int) -> Values | None:
        """The weights, if each member learns from all rows that have one.

        None where rows are drawn by lot: weights are chances then, and must not count twice.

        Raises
        ------
        ValueError
            If there are too few rows to draw from, or weights that the learner cannot take.
        """
        if weights is None or self.bootstrap or drawn < np.count_nonzero(weights):
            return None
        there = np.count_nonzero(weights)
        if there < drawn < len(weights):
            raise ValueError(
                f"{drawn} rows cannot be drawn without bootstrap, as only {there} have a "
                "sample_weight above 0: lower max_samples, or use bootstrap=True"
            )
        if not isinstance(self.estimator_, BatchLearner) and not takes_weights(self.estimator_):
            raise ValueError(
                f"{type(self.estimator_).__name__} takes no sample_weight, and without bootstrap "
                "it learns from all rows: use bootstrap=True, where weights are chances"
            )
        return weights

    def _trained(
        self, X: NDArray[Any], y: NDArray[Any], seeds: list[int], weights: NDArray[Any]
    ) -> list[Any]:
        """Fitted members, each with its own ``weights`` (members, rows)."""
        learner, features = self.estimator_, self.estimators_features_
        params = [seeded(learner, seed) for seed in seeds]
        everything = np.arange(X.shape[1])
        if all(np.array_equal(each, everything) for each in features):
            return fit_members(learner, X, y, params, weights, n_jobs=self.n_jobs)
        if isinstance(learner, BatchLearner):  # other columns make other stacks
            return [
                fit_members(learner, X[:, own], y, [each], row[None])[0]
                for own, each, row in zip(features, params, weights, strict=True)
            ]
        work = (
            joblib.delayed(fit_one)(clone(learner).set_params(**each), X[:, own], y, row)
            for own, each, row in zip(features, params, weights, strict=True)
        )
        fitted: list[Any] = joblib.Parallel(n_jobs=self.n_jobs)(work)
        return fitted

    @property
    def estimators_samples_(self) -> list[NDArray[np.int64]]:
        """The rows that each member was trained on, one that was drawn twice twice."""
        check_is_fitted(self)
        rows = np.arange(self.sample_counts_.shape[1])
        return [np.repeat(rows, counts) for counts in self.sample_counts_]

    def _mean_outputs(self, X: NDArray[Any], n_classes: int | None) -> Values:
        """The mean of what the members predict, (rows, outputs)."""
        work = (
            joblib.delayed(outputs)(member, X[:, own], n_classes, hard=self._votes_hard())
            for member, own in zip(self.estimators_, self.estimators_features_, strict=True)
        )
        total: Any = 0.0
        for each in joblib.Parallel(n_jobs=self.n_jobs, prefer="threads")(work):
            total = total + each
        mean: Values = total / len(self.estimators_)
        return mean

    def _out_of_bag(self, X: NDArray[Any], n_classes: int | None) -> Values:
        """The mean over the members that did not see a row, NaN where all did; (rows, outputs)."""
        total: Any = None
        count = (self.sample_counts_ == 0).sum(axis=0)
        pairs = zip(self.estimators_, self.estimators_features_, self.sample_counts_, strict=True)
        for member, own, counts in pairs:
            hidden = counts == 0
            if not hidden.any():
                continue
            found = outputs(member, X[hidden][:, own], n_classes, hard=self._votes_hard())
            if total is None:
                total = np.zeros((len(X), found.shape[1]))
            total[hidden] += found
        if total is None:
            raise ValueError("every member saw every row, so there is no out-of-bag score")
        with np.errstate(invalid="ignore"):
            mean: Values = total / count[:, None]
        return mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags


class BaggingClassifier(ClassifierMixin, BaseBagging):  # type: ignore[misc]
    """Bagged classifiers (Breiman 1996).

    Networks are trained as one stack, where all members see all features; other learners by joblib.

    Parameters
    ----------
    estimator : the learner; None for a decision tree
    n_estimators : how many members
    max_samples : rows that are drawn for each member, a number or a share of them. With
        ``sample_weight`` rows are drawn with chances that are in proportion; where all rows take
        part, without ``bootstrap``, the learner gets the weights.
    max_features : features that are drawn for each member (the random subspaces of Ho 1998), a
        number or a share
    bootstrap : whether a row can be drawn more than once
    bootstrap_features : likewise a feature
    oob_score : measure the accuracy on rows by the members that did not see them
    voting : ``"soft"`` averages probabilities, ``"hard"`` counts predicted classes, ``"auto"`` is
        soft where the learner has ``predict_proba``
    n_jobs : processes that train
    random_state : seed of what is drawn, and of the members

    Attributes
    ----------
    estimators_ : list of fitted members, which predict the index of a class
    estimators_features_ : list of (features of the member,)
    estimators_samples_ : list of (rows of the member,)
    sample_counts_ : (members, rows), how often each row was drawn; 0 is out of the bag
    classes_ : (classes,)
    oob_decision_function_ : (rows, classes), NaN for rows that all members saw; with ``oob_score``
    oob_score_ : accuracy of these; with ``oob_score``
    """

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 10,
        *,
        max_samples: float = 1.0,
        max_features: float = 1.0,
        bootstrap: bool = True,
        bootstrap_features: bool = False,
        oob_score: bool = False,
        voting: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            estimator,
            n_estimators,
            max_samples=max_samples,
            max_features=max_features,
            bootstrap=bootstrap,
            bootstrap_features=bootstrap_features,
            oob_score=oob_score,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.voting = voting

    def _default(self) -> Any:
        return DecisionTreeClassifier()

    def _votes_hard(self) -> bool:
        return self.voting == "hard"

    def _check_voting(self) -> None:
        if self.voting not in VOTES:
            raise ValueError(f"voting is one of {', '.join(VOTES)}, not {self.voting!r}")
        learner = self._learner()
        if self.voting == "soft" and not hasattr(learner, "predict_proba"):
            raise ValueError(
                f"{type(learner).__name__} has no predict_proba, so votes are hard: use "
                "voting='auto'"
            )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the members on ``X`` (rows, features) and ``y`` (rows,).

        Raises
        ------
        ValueError
            For parameters or data that cannot be used, or as the learner does.
        """
        self._check_voting()
        X, y = validate_data(self, X, y)
        self.classes_, index = classes_and_index(y)
        self._fit(X, index, sample_weight)
        if self.oob_score:
            proba = self._out_of_bag(X, len(self.classes_))
            there = ~np.isnan(proba[:, 0])
            self.oob_decision_function_ = proba
            chosen = proba[there].argmax(axis=1)
            self.oob_score_ = float(accuracy_score(index[there], chosen))
        return self

    def predict_proba(self, X: Any) -> Values:
        """The mean of the members' probabilities, or their shares of votes; (rows, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self._mean_outputs(X, len(self.classes_))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class that is most probable, (rows,)."""
        return most_probable(self.predict_proba(X), self.classes_)


class BaggingRegressor(RegressorMixin, BaseBagging):  # type: ignore[misc]
    """Bagged regressors (Breiman 1996); the prediction is the mean of the members'.

    Parameters
    ----------
    estimator : the learner; None for a decision tree
    n_estimators, max_samples, max_features, bootstrap, bootstrap_features, n_jobs, random_state :
        as in `BaggingClassifier`
    oob_score : measure R² on rows by the members that did not see them

    Attributes
    ----------
    estimators_, estimators_features_, estimators_samples_, sample_counts_ : as there
    oob_prediction_ : (rows,), NaN for rows that all members saw; with ``oob_score``
    oob_score_ : R² of these; with ``oob_score``
    """

    def _default(self) -> Any:
        return DecisionTreeRegressor()

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the members on ``X`` (rows, features) and ``y`` (rows,).

        Raises as `BaggingClassifier.fit` does.
        """
        X, y = validate_data(self, X, y, y_numeric=True)
        y = flat_values(y)
        self._fit(X, y, sample_weight)
        if self.oob_score:
            values = self._out_of_bag(X, None)[:, 0]
            there = ~np.isnan(values)
            self.oob_prediction_ = values
            self.oob_score_ = float(r2_score(y[there], values[there]))
        return self

    def predict(self, X: Any) -> Values:
        """The mean of what the members predict, (rows,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        values: Values = self._mean_outputs(X, None)[:, 0]
        return values


def _share(name: str, given: Any, whole: int) -> int:
    """How many of ``whole`` a number or a share of them is."""
    if isinstance(given, bool) or not isinstance(given, Real):
        raise TypeError(f"{name} must be a number, not {given!r}")
    number = float(given)
    if isinstance(given, Integral) and 1 <= number <= whole:
        return int(number)
    if not isinstance(given, Integral) and 0 < number <= 1:
        return max(1, int(number * whole))
    raise ValueError(f"{name} must be a share above 0 and up to 1.0, or 1 to {whole}, not {given}")


def _draw(
    generator: np.random.RandomState, population: int, drawn: int, *, replace: bool
) -> NDArray[np.int64]:
    if replace:
        return generator.randint(0, population, drawn)
    if drawn == population:  # in their order, so that columns need not be copied
        sample_without_replacement(population, drawn, random_state=generator)
        return np.arange(population)
    chosen: NDArray[np.int64] = sample_without_replacement(
        population, drawn, random_state=generator
    )
    return chosen
