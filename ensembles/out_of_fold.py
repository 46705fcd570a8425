"""Predictions for the training rows, each by models that did not see the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from ensembles.errors import LeakError
from ensembles.labels import check_labels, known_by_index, places, proba_of_labels
from ensembles.losses import Values
from ensembles.members import outputs, takes_weights
from ensembles.protocols import BatchLearner

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The rows that a model is trained on, and those that it predicts."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A learner that is trained already, as one of an ensemble's: nothing of it is trained again.

    Parameters
    ----------
    models : the fitted models; new rows get the mean of what they predict
    predictions : (rows, outputs): what the models gave for the rows that the ensemble learns from,
        NaN for a row that has no prediction. Probabilities, in the order of ``classes``, or values.
    seen : (models, rows), True where a model was trained on a row, in any way: also to stop its
        training, or to choose it among others
    classes : (outputs,), the labels that the columns of ``predictions`` belong to, and that the
        models have as ``classes_``; any other class has probability 0. None: those that
        the ensemble learns, sorted, which the models have as ``classes_`` by their labels or by
        their indices.

    Raises
    ------
    LeakError
        If there is a prediction for a row that every model saw.
    ValueError
        For arrays and classes that do not fit.
    """

    models: Sequence[Any]
    predictions: NDArray[Any]
    seen: NDArray[np.bool_]
    classes: ArrayLike | None = None

    def __post_init__(self) -> None:
        predictions = np.asarray(self.predictions, np.float64)
        seen = np.asarray(self.seen)
        if predictions.ndim != 2 or seen.shape != (len(self.models), len(predictions)):
            raise ValueError(
                f"predictions of shape {predictions.shape} and seen of shape {seen.shape} do not "
                f"fit {len(self.models)} models: (rows, outputs) and (models, rows)"
            )
        if seen.dtype != bool:
            raise ValueError(f"seen must be True or False, not of type {seen.dtype}")
        leaked = np.all(seen, axis=0) & ~np.isnan(predictions).any(axis=1)
        if leaked.any():
            raise LeakError(
                f"{leaked.sum()} of {len(predictions)} rows have a prediction by models that were "
                f"trained on them, such as row {int(np.argmax(leaked))}: give NaN for these"
            )
        if self.classes is not None:
            check_labels(self.classes, predictions.shape[1], self.models)

    def fit(self, X: Any, y: Any) -> Stored:
        """Nothing is to be learnt."""
        return self

    def outputs(self, X: Any, n_classes: int | None) -> Values:
        """The mean of what the models predict, (rows, outputs)."""
        found = [
            outputs(each, X, n_classes)
            if self.classes is None
            else proba_of_labels(each, X, self.classes)
            for each in self.models
        ]
        mean: Values = np.mean(found, axis=0)
        return mean

    def placed(self, name: str, labels: NDArray[Any] | None) -> Stored:
        """As the learner ``name`` of an ensemble that learns classes, or of values if None.

        Probabilities then are in the order of ``labels`` (classes,).

        Raises
        ------
        ValueError
            For a class that has no place among them.
        """
        if labels is None:
            if self.classes is not None:
                raise ValueError(f"{name} has classes, but the ensemble learns values: give none")
            return self
        if self.classes is not None:
            return replace(self, predictions=self._columns(name, labels), classes=labels)
        n_outputs = np.shape(self.predictions)[1]
        if n_outputs != len(labels):
            raise ValueError(
                f"{name} has stored predictions of {n_outputs} classes, but y has {len(labels)}: "
                "give Stored classes=, the labels of the columns"
            )
        # Models of indices are asked for these, as those that the ensemble trains.
        return self if known_by_index(name, self.models, labels) else replace(self, classes=labels)

    def _columns(self, name: str, labels: NDArray[Any]) -> Values:
        """The predictions in the order of ``labels``, (rows, classes)."""
        assert self.classes is not None
        place, own = places(labels), list(places(self.classes))
        unknown = [each for each in own if each not in place]
        if unknown:
            raise ValueError(
                f"{name} has the class {unknown[0]!r}, which y does not have: give rows of all its "
                "classes, or leave it out"
            )
        given = np.asarray(self.predictions, np.float64)
        missing = np.isnan(given).any(axis=1, keepdims=True)
        placed: Values = np.where(missing, np.nan, np.zeros(len(labels)))
        placed[:, [place[each] for each in own]] = given
        return placed


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """``prediction`` (rows, outputs), NaN where there is none, and the ``models`` of the folds."""

    prediction: Values
    models: tuple[Any, ...]


def check_folds(folds: Sequence[Fold], n_rows: int) -> None:
    """Raise ``LeakError`` for a row on both sides, ``ValueError`` for a side without any."""
    for number, (train, test) in enumerate(folds):
        both = np.intersect1d(train, test)
        if len(both):
            raise LeakError(
                f"fold {number} is trained on row {both[0]}, which it is to predict; "
                f"{len(both)} rows are on both sides"
            )
        if not len(train) or not len(test):
            side = "predict" if len(train) else "train on"
            raise ValueError(
                f"fold {number} has none of the {n_rows} rows to {side}: leave it out of cv"
            )
    if not folds:
        raise ValueError("cv has no folds: give pairs of rows to train on and rows to predict")


def out_of_fold(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    folds: Sequence[Fold],
    n_classes: int | None,
    sample_weight: NDArray[Any] | None = None,
    *,
    n_jobs: int | None = None,
    hard: bool = False,
) -> OutOfFold:
    """Train a copy of ``estimator`` for each fold, and let it predict the rows that are left out.

    Networks are trained as one stack, in which a row that a member must not see has weight 0;
    their inputs, and values to be learnt, are standardised by all rows together. A row that
    several folds predict gets the mean. ``hard``: 1 for the class that is predicted, else 0.
    """
    models = _models(estimator, X, y, folds, sample_weight, n_jobs)
    width = n_classes or 1
    total, count = np.zeros((len(y), width)), np.zeros(len(y))
    for model, (_, test) in zip(models, folds, strict=True):
        total[test] += model_outputs(model, _safe_indexing(X, test), n_classes, hard=hard)
        count[test] += 1
    with np.errstate(invalid="ignore"):
        prediction = total / count[:, None]
    return OutOfFold(prediction, tuple(models))


def _models(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    folds: Sequence[Fold],
    sample_weight: NDArray[Any] | None,
    n_jobs: int | None,
) -> list[Any]:
    if isinstance(estimator, BatchLearner):
        weights = np.zeros((len(folds), len(y)))
        for row, (train, _) in zip(weights, folds, strict=True):
            row[train] = 1 if sample_weight is None else sample_weight[train]
        members = list(estimator.fit_many(X, y, [{}] * len(folds), weights))
        if any(getattr(each, "diverged_", False) for each in members):
            raise ValueError("the training of a network diverged: lower its learning_rate")
        return members
    work = (
        joblib.delayed(_fitted)(clone(estimator), X, y, train, sample_weight) for train, _ in folds
    )
    found: list[Any] = joblib.Parallel(n_jobs=n_jobs)(work)
    return found


def _fitted(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    rows: NDArray[np.int64],
    sample_weight: NDArray[Any] | None,
) -> Any:
    weights = None if sample_weight is None else sample_weight[rows]
    return fit_on(estimator, _safe_indexing(X, rows), y[rows], weights)


def fit_on(estimator: Any, X: Any, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> Any:
    """Fit ``estimator`` itself; raises ``ValueError`` if there are weights that it cannot take."""
    if sample_weight is None:
        return estimator.fit(X, y)
    if not takes_weights(estimator):
        raise ValueError(f"{type(estimator).__name__} takes no sample_weight")
    return estimator.fit(X, y, sample_weight=sample_weight)


def model_outputs(model: Any, X: Any, n_classes: int | None, *, hard: bool = False) -> Values:
    """Likewise `outputs`, also of what is `Stored`."""
    if not isinstance(model, Stored):
        return outputs(model, X, n_classes, hard=hard)
    found = model.outputs(X, n_classes)
    return most_voted(found) if hard else found


def most_voted(proba: NDArray[Any]) -> Values:
    """1 for the most probable class, 0 for the others; rows of NaN stay; (rows, classes)."""
    voted: Values = np.eye(proba.shape[1])[proba.argmax(axis=1)]
    voted[np.isnan(proba).any(axis=1)] = np.nan
    return voted
