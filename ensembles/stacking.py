"""Stacking: a model that learns from other models' predictions (Wolpert 1992)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from ensembles.combining import Single, loss_for
from ensembles.composition import (
    Composition,
    Named,
    check_members,
    deal,
    out_of_fold_predictions,
    stacked,
    trained_members,
    usable,
)
from ensembles.kinds import check_learner
from ensembles.losses import Values, loss_of
from ensembles.members import outputs
from ensembles.meta_features import KINDS, meta_features
from ensembles.out_of_fold import Fold, OutOfFold, fit_on
from ensembles.passthrough import passed_through
from ensembles.row_weights import checked_weights
from ensembles.targets import most_probable


class Comparison(NamedTuple):
    """Mean losses of rows that neither the meta-model nor the choice of ``best`` has seen."""

    stack: float
    single: float
    best: str


class BaseStacking(Composition):
    """What the classifier and the regressor share."""

    def __init__(
        self,
        estimators: Named,
        final_estimator: Any = None,
        *,
        layers: Sequence[Named] = (),
        cv: Any = None,
        meta_features: str = "proba",
        passthrough: bool = False,
        members: str = "refit",
        n_jobs: int | None = None,
    ) -> None:
        self.estimators = estimators
        self.final_estimator = final_estimator
        self.layers = layers
        self.cv = cv
        self.meta_features = meta_features
        self.passthrough = passthrough
        self.members = members
        self.n_jobs = n_jobs

    @abstractmethod
    def _default(self) -> Any:
        """The meta-model if the user gives none."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Train all layers; ``groups`` (rows,) for folds that keep them together."""
        check_members(self.members)
        if self.meta_features not in KINDS:
            raise ValueError(
                f"meta_features is one of {', '.join(KINDS)}, not {self.meta_features!r}"
            )
        if self.final_estimator is not None:
            check_learner("final_estimator", self.final_estimator, classifier=is_classifier(self))
        layers = self._all_layers()
        X, target = self._checked(X, y)
        layers = [self._placed(each) for each in layers]
        if self.passthrough:
            passed_through(X)
        weights = checked_weights(sample_weight, X)
        folds = deal(self.cv, X, target, groups, classes=self._n_classes is not None)
        self.names_ = [name for layer in layers for name, _ in layer]
        there = np.ones(len(target), dtype=bool)
        self.members_: list[list[tuple[Any, ...]]] = []
        columns: list[Values] = []
        found: list[Values] = []
        for depth, learners in enumerate(layers):
            inputs = X if depth == 0 else self._inputs(columns, X)
            before = there
            known, there = self._layer(learners, inputs, target, folds, there, weights)
            found.append(np.stack([each.prediction for each in known]))
            columns.append(self._columns(found[-1]))
            rows = np.flatnonzero(before)
            self.members_.append(
                [each.models for each in known]
                if self.members == "folds"
                else trained_members(
                    learners,
                    _safe_indexing(inputs, rows),
                    target[rows],
                    None if weights is None else weights[rows],
                    n_jobs=self.n_jobs,
                )
            )
        self.out_of_fold_ = np.concatenate(found)
        self.n_rows_without_prediction_ = int((~there).sum())
        self._keep_features(self._first_members())
        seen = _safe_indexing(self._inputs(columns, X), np.flatnonzero(there))
        own = None if weights is None else weights[there]
        model = self._default() if self.final_estimator is None else self.final_estimator
        self.comparison_ = self._compare(model, seen, target[there], own, folds, there)
        self.final_estimator_ = fit_on(clone(model), seen, target[there], own)
        return self

    def _all_layers(self) -> list[Named]:
        """The learners of the first layer and of further ones, all checked alike."""
        given: Any = self.layers
        if not isinstance(given, Sequence) or not all(map(_is_layer, given)):
            raise ValueError(
                "layers must be a list of lists of (name, learner), one list for each further "
                f"layer, not {given!r}"
            )
        first = self._learners()
        further = [type(self)(each)._learners() for each in given]  # noqa: SLF001
        names = [name for layer in (first, *further) for name, _ in layer]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(
                f"two layers have a learner with the name {twice[0]!r}: give each learner a name "
                "of its own"
            )
        return [first, *further]

    def _layer(
        self,
        learners: Named,
        inputs: Any,
        y: NDArray[Any],
        folds: Sequence[Fold],
        there: NDArray[np.bool_],
        weights: NDArray[Any] | None,
    ) -> tuple[list[OutOfFold], NDArray[np.bool_]]:
        """Out-of-fold predictions of one layer for all rows, and for which rows there are any.

        Rows that an earlier layer does not predict cannot be learnt from.
        """
        rows = np.flatnonzero(there)
        place = np.cumsum(there) - 1
        kept = [(place[train[there[train]]], place[test[there[test]]]) for train, test in folds]
        # Where time decides, the first fold's rows are the only ones before the second's.
        possible = [(train, test) for train, test in kept if len(train) and len(test)]
        if not possible:
            raise ValueError("no fold is left that has rows to train on and rows to predict")
        known = out_of_fold_predictions(
            learners,
            _safe_indexing(inputs, rows),
            y[rows],
            possible,
            self._n_classes,
            None if weights is None else weights[rows],
            self.n_jobs,
        )
        whole = []
        for each in known:
            prediction = np.full((len(y), each.prediction.shape[1]), np.nan)
            prediction[rows] = each.prediction
            whole.append(OutOfFold(prediction, each.models))
        return whole, there & usable([name for name, _ in learners], whole)

    def _columns(self, predictions: Values) -> Values:
        kind: Any = self.meta_features
        return meta_features(predictions, kind, classes=self._n_classes is not None)

    def _inputs(self, columns: Sequence[Values], X: Any) -> Any:
        """What the next layer, or the meta-model, sees: all predictions so far, and the features.

        That those of all earlier layers are among them, and not of the last one only, is what skip
        connections are.
        """
        if not self.passthrough:
            return np.hstack(columns)
        numbers = passed_through(X)
        if sparse.issparse(numbers):
            return sparse.hstack([*columns, numbers], format="csr")
        return np.hstack([*columns, numbers])

    def _compare(
        self,
        model: Any,
        seen: Any,
        y: NDArray[Any],
        weights: NDArray[Any] | None,
        folds: Sequence[Fold],
        there: NDArray[np.bool_],
    ) -> Comparison | None:
        """The stack and the best single learner on rows that neither has seen.

        Fold by fold: the meta-model learns from the rows of the other folds, and the best learner
        is the best on these.
        """
        classes = self._n_classes is not None
        of_row = np.full(len(there), -1)
        for number, (_, test) in enumerate(folds):
            of_row[test[of_row[test] < 0]] = number
        dealt = of_row[there]
        if len(np.unique(dealt)) < 2:
            return None
        predictions = self.out_of_fold_[:, there]
        stack, single = (np.empty(predictions.shape[1:]) for _ in range(2))
        for fold in np.unique(dealt):
            own, rest = np.flatnonzero(dealt == fold), np.flatnonzero(dealt != fold)
            if classes and len(np.unique(y[rest])) < 2:
                return None
            part = None if weights is None else weights[rest]
            learnt = fit_on(clone(model), _safe_indexing(seen, rest), y[rest], part)
            stack[own] = outputs(learnt, _safe_indexing(seen, own), self._n_classes)
            best = Single(classes).fit(predictions[:, rest], y[rest], part)
            single[own] = best(predictions[:, own])
        loss = loss_for(classes=classes)
        best = Single(classes).fit(predictions, y, weights)
        return Comparison(
            loss_of(loss, stack, y, weights),
            loss_of(loss, single, y, weights),
            self.names_[int(np.argmax(best.weights))],
        )

    def _first_members(self) -> list[Any]:
        return [models[0] for models in self.members_[0]]

    def _final_inputs(self, X: Any) -> Any:
        """What the meta-model sees of new rows."""
        check_is_fitted(self)
        columns: list[Values] = []
        for members in self.members_:
            inputs = self._inputs(columns, X) if columns else X
            columns.append(self._columns(stacked(members, inputs, self._n_classes)))
        return self._inputs(columns, X)

    @property
    def estimators_(self) -> list[Any]:
        """The fitted members of the first layer."""
        check_is_fitted(self)
        return self._first_members()


def _is_layer(given: Any) -> bool:
    """Whether it is a list that may be one of learners, and not one of them."""
    pair = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
    return isinstance(given, Sequence) and not isinstance(given, str) and not pair


class StackingClassifier(ClassifierMixin, BaseStacking):  # type: ignore[misc]
    """A meta-model over out-of-fold predictions of classifiers (Wolpert 1992).

    Parameters
    ----------
    estimators : list of (name, learner); one may be `Stored`
    final_estimator : the meta-model; None for a logistic regression
    layers : further lists of (name, learner), whose names occur once in all layers. Each sees the
        predictions of all layers before it, and so does the meta-model. ``set_params`` reaches the
        learners of ``estimators`` by name; for these give it other ``layers``.
    cv : folds: a number, a splitter of scikit-learn, or pairs of rows. With forward splits in time
        the first rows have no prediction: the meta-model does not learn from them.
    meta_features : ``"proba"``, or ``"log_odds"`` of clipped probabilities
    passthrough : whether further layers and the meta-model see the features too, which must be
        numbers then
    members : ``"refit"`` trains the members again on all rows; ``"folds"`` keeps the models of the
        folds, whose mean predicts
    n_jobs : processes that train

    Attributes
    ----------
    classes_ : (classes,)
    estimators_ : fitted members of the first layer, which predict the index of a class
    final_estimator_ : the fitted meta-model
    names_ : of all learners, layer by layer
    out_of_fold_ : (learners, rows, classes), NaN for rows that no fold predicts
    n_rows_without_prediction_ : rows that the meta-model did not learn from
    comparison_ : log loss of the stack and of the best single learner on rows that neither has
        seen, and that learner's name; None if there are too few folds to tell
    """

    def _default(self) -> Any:
        return LogisticRegression()

    def predict_proba(self, X: Any) -> Values:
        """What the meta-model says, (rows, classes)."""
        inputs = self._final_inputs(X)
        return outputs(self.final_estimator_, inputs, len(self.classes_))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class that is most probable, (rows,)."""
        return most_probable(self.predict_proba(X), self.classes_)


class StackingRegressor(RegressorMixin, BaseStacking):  # type: ignore[misc]
    """A meta-model over out-of-fold predictions of regressors (Wolpert 1992, Breiman 1996).

    Parameters
    ----------
    estimators, layers, cv, passthrough, members, n_jobs : as in `StackingClassifier`
    final_estimator : the meta-model; None for a ridge regression
    meta_features : as there; values are what they are

    Attributes
    ----------
    estimators_, final_estimator_, names_, n_rows_without_prediction_ : as there
    out_of_fold_ : (learners, rows, 1)
    comparison_ : as there, of squared errors
    """

    def _default(self) -> Any:
        return RidgeCV()

    def predict(self, X: Any) -> Values:
        """What the meta-model says, (rows,)."""
        inputs = self._final_inputs(X)
        values: Values = outputs(self.final_estimator_, inputs, None)[:, 0]
        return values
