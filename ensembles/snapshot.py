"""Snapshot ensembles: one training in cycles, a member after each (Huang et al. 2017)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ensembles.kinds import check_learner
from ensembles.losses import Values
from ensembles.members import draw_seeds, seeded, stacked_outputs
from ensembles.out_of_fold import fit_on
from ensembles.parameters import check_count
from ensembles.row_weights import checked_weights
from ensembles.targets import classes_and_index, flat_values, most_probable

Train = Callable[[Any], Any]
"""Fits a network to the rows, and gives it back."""

Params = Mapping[str, Any]


class BaseSnapshot(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share."""

    def __init__(
        self,
        estimator: Any,
        n_snapshots: int = 5,
        *,
        n_members: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_snapshots = n_snapshots
        self.n_members = n_members
        self.random_state = random_state

    def _fit(self, X: NDArray[Any], y: NDArray[Any], sample_weight: Any) -> None:
        """Train, cycle by cycle; ``y`` as the members learn it."""
        self._check()
        weights = checked_weights(sample_weight, X)
        kept = int(self.n_snapshots if self.n_members is None else self.n_members)

        def train(network: Any) -> Any:
            return fit_on(network, X, y, weights)

        cycles = _cycles(self.estimator, train, self._params())
        self.estimators_ = list(deque(cycles, maxlen=kept))

    def _check(self) -> None:
        check_count("n_snapshots", self.n_snapshots)
        if self.n_members is not None:
            check_count("n_members", self.n_members)
            if self.n_members > self.n_snapshots:
                raise ValueError(
                    f"n_members is {self.n_members}, but there are {self.n_snapshots} snapshots: "
                    "take at most n_snapshots"
                )
        check_learner("estimator", self.estimator, classifier=is_classifier(self))

    def _params(self) -> list[dict[str, int]]:
        """The seeds of each cycle."""
        if self.random_state is None:
            return [{}] * int(self.n_snapshots)
        seeds = draw_seeds(check_random_state(self.random_state), int(self.n_snapshots))
        return [seeded(self.estimator, each) for each in seeds]

    def _mean(self, X: Any, n_classes: int | None) -> Values:
        X = validate_data(self, X, reset=False)
        mean: Values = stacked_outputs(self.estimators_, X, n_classes).mean(axis=0)
        return mean


class SnapshotClassifier(ClassifierMixin, BaseSnapshot):  # type: ignore[misc]
    """The mean of a network's snapshots, one after each cycle of its training (Huang et al. 2017).

    A cycle is one fit of ``estimator`` that begins where the last one ended. With a learning rate
    that falls along a cosine in each fit, all of them together follow the paper's schedule
    (equation 2): ``n_snapshots`` cycles, each as long as the fit. So the training takes
    ``n_snapshots`` times as long as that of ``estimator``; give it a share of the epochs.

    Parameters
    ----------
    estimator : the network. One that has a parameter ``init_from`` begins each cycle at the network
        that the last one ended with; it must see inputs on that one's scale. Else one that has
        ``warm_start`` goes on.
    n_snapshots : how many cycles
    n_members : how many of the last snapshots predict; None: all
    random_state : seed of the cycles, each of which gets one of its own; None leaves ``estimator``
        its own, the same in all cycles

    Attributes
    ----------
    estimators_ : the snapshots that predict, from the first to the last; they predict the index of
        a class
    classes_ : (classes,)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on ``X`` (rows, features) and ``y`` (rows,).

        Raises
        ------
        ValueError
            For a learner that cannot go on from a fit, for parameters or data that cannot be used,
            or as the learner does.
        """
        X, y = validate_data(self, X, y)
        self.classes_, index = classes_and_index(y)
        self._fit(X, index, sample_weight)
        return self

    def predict_proba(self, X: Any) -> Values:
        """The mean of the snapshots' probabilities, (rows, classes)."""
        check_is_fitted(self, "estimators_")
        return self._mean(X, len(self.classes_))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class that is most probable, (rows,)."""
        return most_probable(self.predict_proba(X), self.classes_)


class SnapshotRegressor(RegressorMixin, BaseSnapshot):  # type: ignore[misc]
    """The mean of a network's snapshots, one after each cycle of its training (Huang et al. 2017).

    Parameters
    ----------
    estimator, n_snapshots, n_members, random_state : as in `SnapshotClassifier`

    Attributes
    ----------
    estimators_ : the snapshots that predict, from the first to the last
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on ``X`` (rows, features) and ``y`` (rows,); errors as of `SnapshotClassifier`."""
        X, y = validate_data(self, X, y, y_numeric=True)
        self._fit(X, flat_values(y), sample_weight)
        return self

    def predict(self, X: Any) -> Values:
        """The mean of what the snapshots predict, (rows,)."""
        check_is_fitted(self, "estimators_")
        values: Values = self._mean(X, None)[:, 0]
        return values


def _cycles(estimator: Any, train: Train, params: Sequence[Params]) -> Iterator[Any]:
    """A snapshot after each cycle, of which ``params`` says what is different in it.

    Raises
    ------
    ValueError
        If the learner cannot go on from a fit.
    """
    own = estimator.get_params(deep=False)
    if "init_from" in own:
        return _from_the_last(estimator, train, params)
    if "warm_start" in own:
        return _going_on(estimator, train, params)
    raise ValueError(
        f"{type(estimator).__name__} has neither init_from nor warm_start, so it cannot go on from "
        "a fit: give a network that has one of these parameters"
    )


def _from_the_last(estimator: Any, train: Train, params: Sequence[Params]) -> Iterator[Any]:
    last = estimator.init_from
    for each in params:
        last = train(clone(estimator).set_params(**each, init_from=last))
        # Or each snapshot would keep all those before it.
        last.set_params(init_from=estimator.init_from)
        yield last


def _going_on(estimator: Any, train: Train, params: Sequence[Params]) -> Iterator[Any]:
    network = clone(estimator).set_params(warm_start=True)
    for each in params:
        train(network.set_params(**each))
        yield deepcopy(network).set_params(warm_start=estimator.warm_start)
