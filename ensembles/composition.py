"""What ensembles of named, different learners share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted

from ensembles.errors import LeakError
from ensembles.kinds import check_learner
from ensembles.losses import Values
from ensembles.out_of_fold import (
    Fold,
    OutOfFold,
    Stored,
    check_folds,
    fit_on,
    model_outputs,
    most_voted,
    out_of_fold,
)
from ensembles.targets import classes_and_index, flat_values

Named = Sequence[tuple[str, Any]]

MEMBERS = ("refit", "folds")


class Composition(_BaseComposition):  # type: ignore[misc]
    """An ensemble of learners that have names; ``net__learning_rate`` is a parameter of ``net``."""

    estimators: Named
    n_jobs: int | None
    feature_names_in_: NDArray[Any]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the ensemble, and with ``deep`` those of its learners."""
        found: dict[str, Any] = self._get_params("estimators", deep=deep)
        return found

    def set_params(self, **params: Any) -> Composition:
        """Set parameters; ``name=learner`` replaces one, ``name="drop"`` leaves it out."""
        self._set_params("estimators", **params)
        return self

    def _learners(self) -> list[tuple[str, Any]]:
        """Those that take part; raises ``ValueError`` for what cannot be one."""
        given: Any = self.estimators
        if not given or not all(isinstance(each, tuple) and len(each) == 2 for each in given):
            raise ValueError(
                "Invalid 'estimators' attribute, 'estimators' should be a non-empty list of "
                "(string, estimator) tuples."
            )
        self._validate_names([name for name, _ in self.estimators])
        found = [(name, each) for name, each in self.estimators if not _is_dropped(each)]
        if not found:
            raise ValueError("All estimators are dropped. At least one is required.")
        for name, each in found:
            if not isinstance(each, Stored):
                check_learner(f"the learner {name!r}", each, classifier=is_classifier(self))
        return found

    def _checked(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        """``X`` so that rows can be taken from it, and ``y`` as the members learn it, (rows,).

        Features are the members' to check: they may be pipelines that take what others do not.
        ``y`` are indices of classes, or values.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        rows, _ = indexable(X, y)
        if is_classifier(self):
            self.classes_, index = classes_and_index(y)
            return rows, index
        return rows, flat_values(y)

    def _placed(self, learners: Named) -> list[tuple[str, Any]]:
        """The learners, what is stored with its classes where the ensemble has them."""
        labels = self.classes_ if is_classifier(self) else None
        return [
            (name, each.placed(name, labels) if isinstance(each, Stored) else each)
            for name, each in learners
        ]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        given = [each for _, each in self.estimators or () if not isinstance(each, type)]
        learners = [each for each in given if hasattr(each, "__sklearn_tags__")]
        tags.input_tags.sparse = all(get_tags(each).input_tags.sparse for each in learners)
        tags.input_tags.allow_nan = all(get_tags(each).input_tags.allow_nan for each in learners)
        return tags

    @property
    def _n_classes(self) -> int | None:
        return len(self.classes_) if is_classifier(self) else None

    def _keep_features(self, members: Sequence[Any]) -> None:
        """Remember what columns there were, as the members saw them; those of an earlier fit go."""
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        for each in members:
            if hasattr(each, "feature_names_in_"):
                self.feature_names_in_ = each.feature_names_in_
                break

    @property
    def n_features_in_(self) -> int:
        """How many features there were in `fit`."""
        check_is_fitted(self)
        for each in self._first_members():
            if hasattr(each, "n_features_in_"):
                return int(each.n_features_in_)
        raise AttributeError("no member knows how many features there were")

    @abstractmethod
    def _first_members(self) -> list[Any]:
        """Fitted members that saw the features themselves."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "members_")


def deal(cv: Any, X: Any, y: NDArray[Any], groups: Any, *, classes: bool) -> list[Fold]:
    """The folds: rows to train on and rows to predict, in turn.

    ``cv`` is a number of folds, a splitter of scikit-learn, or pairs of rows.

    Raises
    ------
    LeakError
        For a row that a model would be trained on and predict; and for ``"prefit"``: nobody knows
        which rows the models saw.
    """
    if isinstance(cv, str):
        raise LeakError(
            f"cv={cv!r} would combine predictions of rows that the models may have been trained "
            "on: give trained models as ensembles.Stored, which says which rows they saw"
        )
    splitter = check_cv(cv, y, classifier=classes)
    folds = [
        (np.arange(len(y))[train], np.arange(len(y))[test])
        for train, test in splitter.split(X, y, groups)
    ]
    check_folds(folds, len(y))
    return folds


def out_of_fold_predictions(
    learners: Named,
    X: Any,
    y: NDArray[Any],
    folds: Sequence[Fold],
    n_classes: int | None,
    sample_weight: NDArray[Any] | None,
    n_jobs: int | None,
    *,
    hard: bool = False,
) -> list[OutOfFold]:
    """Of each learner what it predicts for rows that it did not see, and the models of its folds.

    ``hard``: 1 for the class that is predicted, 0 for the others.

    Raises
    ------
    LeakError
        For a learner that is trained already, if it is not a `Stored`.
    ValueError
        For stored predictions that do not fit, or leave no row.
    """
    known = _known(learners, len(y), n_classes, hard=hard)
    return [
        known[name]
        if name in known
        else out_of_fold(each, X, y, folds, n_classes, sample_weight, n_jobs=n_jobs, hard=hard)
        for name, each in learners
    ]


def _known(
    learners: Named, n_rows: int, n_classes: int | None, *, hard: bool
) -> dict[str, OutOfFold]:
    """What is stored, by name; it is checked before the others are trained."""
    found = {}
    for name, each in learners:
        if isinstance(each, FrozenEstimator):
            raise LeakError(
                f"{name} is trained already, and nobody knows on which rows: give it as "
                "ensembles.Stored, which says it"
            )
        if isinstance(each, Stored):
            prediction = _stored(name, each, n_rows, n_classes)
            found[name] = OutOfFold(most_voted(prediction) if hard else prediction, (each,))
    if found:
        usable(list(found), list(found.values()))
    return found


def _stored(name: str, stored: Stored, n_rows: int, n_classes: int | None) -> Values:
    prediction = np.asarray(stored.predictions, np.float64)
    expected = n_rows, n_classes or 1
    if prediction.shape != expected:
        raise ValueError(
            f"{name} has stored predictions of shape {prediction.shape}, not {expected}"
        )
    return prediction


def trained_members(
    learners: Named,
    X: Any,
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    *,
    n_jobs: int | None,
) -> list[tuple[Any, ...]]:
    """The models of each learner that predict new rows, one each, trained on all rows.

    What is stored stays as it is.
    """
    work = (
        joblib.delayed(fit_on)(clone(each), X, y, sample_weight)
        for _, each in learners
        if not isinstance(each, Stored)
    )
    fitted = iter(joblib.Parallel(n_jobs=n_jobs)(work))
    return [(each if isinstance(each, Stored) else next(fitted),) for _, each in learners]


def check_members(members: str) -> None:
    """Raise ``ValueError`` if it is not one of `MEMBERS`."""
    if members not in MEMBERS:
        raise ValueError(f"members is 'refit' or 'folds', not {members!r}")


def stacked(
    members: Sequence[tuple[Any, ...]], X: Any, n_classes: int | None, *, hard: bool = False
) -> Values:
    """What each learner predicts, the mean of its models, (learners, rows, outputs).

    ``hard``: 1 for the class that is predicted, 0 for the others.
    """
    return np.stack(
        [
            np.mean([model_outputs(each, X, n_classes, hard=hard) for each in models], axis=0)
            for models in members
        ]
    )


def usable(names: Sequence[str], known: Sequence[OutOfFold]) -> NDArray[np.bool_]:
    """The rows for which every learner has a prediction, (rows,).

    Raises
    ------
    ValueError
        If there are none.
    """
    each_one = [~np.isnan(each.prediction).any(axis=1) for each in known]
    for name, its_own in zip(names, each_one, strict=True):
        if not its_own.any():
            raise ValueError(
                f"{name} has no prediction for any row, and the ensemble learns from predictions: "
                "give those of rows that its models did not see, or leave it out"
            )
    there: NDArray[np.bool_] = np.all(each_one, axis=0)
    if not there.any():
        raise ValueError(
            f"no row has a prediction by each of {', '.join(names)}: give predictions for the same "
            "rows, or leave one out"
        )
    return there


def _is_dropped(each: Any) -> bool:
    return isinstance(each, str) and each == "drop"
