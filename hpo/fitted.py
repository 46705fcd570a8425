"""The stored models of a study as fitted estimators of scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from hpo.data.errors import DataError
from hpo.data.given import table_of
from hpo.data.target_encoding import TargetEncoding
from hpo.models import Model, predictions

_WHOLE = re.compile(r"0|-?[1-9]\d*")


@dataclass(frozen=True)
class About:
    """Where a model comes from: see the attributes of `StudyClassifier`.

    ``name`` is the model's, and ``columns`` are those of the study's data, in their order.
    """

    study: str
    name: str
    columns: Sequence[str]
    trial: int | None = None
    validation: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    expected: float | None = None
    expected_se: float | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


class StudyModel(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share.

    The parameters only say which model it is. So a clone, which has the parameters and nothing
    that was learnt, is one without a network: it neither predicts nor can be trained.
    """

    model_: Model
    trial_: int | None
    validation_: float | None
    trial_params_: dict[str, Any]
    expected_: float | None
    expected_se_: float | None
    record_: dict[str, Any]
    feature_names_in_: NDArray[Any]
    n_features_in_: int

    def __init__(self, study: str = "", model: str = "") -> None:
        self.study = study
        self.model = model

    def fit(self, X: Any = None, y: Any = None, **_: Any) -> NoReturn:
        """Raise ``ValueError``: what a study has trained stays as it is."""
        mlp = type(self).__name__.replace("Study", "MLP")
        raise ValueError(
            f"{type(self).__name__} was trained by a study and cannot be trained again: give "
            "sklearn.frozen.FrozenEstimator(model) to what trains its parts, or what "
            f"Experiment.stored() returns to an ensemble; hpo.{mlp} can be trained"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if not self.__sklearn_is_fitted__():
            return tags
        encoding = self.model_.encoding
        tags.input_tags.three_d_array = encoding.image_shape is not None
        tags.input_tags.allow_nan = encoding.image_shape is None
        tags.input_tags.categorical = tags.input_tags.string = bool(encoding.text_names)
        return tags

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (rows, classes), or values (rows, 1) in the user's units."""
        where = f"Experiment.open({self.study!r}) has the model"
        check_is_fitted(
            self, msg=f"this %(name)s is a copy without its network, as clone makes it: {where}"
        )
        try:
            table = table_of(X, self.model_.encoding)
        except DataError as error:
            raise ValueError(str(error)) from None
        return np.concatenate(list(predictions(self.model_, table)))


class StudyClassifier(ClassifierMixin, StudyModel):  # type: ignore[misc]
    """A classifier that a study holds: a network, the mean of several, or an ensemble.

    It takes rows as the study's data have them: a frame with the columns by name, in any order,
    whose others are passed over; or, where all columns are numbers or pixels, an array in their
    order. Missing cells and texts that were never seen are dealt with as training has taught.
    ``score`` is the accuracy, whatever the study's metric.

    Parameters
    ----------
    study, model : the names of the study and of the model in it

    Attributes
    ----------
    classes_ : (classes,) the study's labels: numbers if all are whole numbers, else texts
    feature_names_in_, n_features_in_ : the columns, in the order of the study's data
    trial_ : number of the trial; None for an ensemble
    validation_ : the study's metric on the rows that scored the trial; None for an ensemble
    trial_params_ : its hyperparameters, those that the study searched
    expected_, expected_se_ : the score to expect on new rows, and its standard error; None where
        nobody measured it
    record_ : how a winner was chosen, or an ensemble was built, in plain values
    model_ : the stored model itself
    """

    classes_: NDArray[Any]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (rows, classes); ``ValueError`` for rows that do not fit."""
        return self._outputs(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class, the first of equal ones, (rows,); ``ValueError`` likewise."""
        proba = self._outputs(X)
        chosen: NDArray[Any] = self.classes_[proba.argmax(axis=1)]
        return chosen


class StudyRegressor(RegressorMixin, StudyModel):  # type: ignore[misc]
    """A regressor that a study holds: a network, the mean of several, or an ensemble.

    What it takes, its parameters and attributes are those of `StudyClassifier`, without
    ``classes_``; ``score`` is R², whatever the study's metric.
    """

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Values (rows,) in the units of the data; ``ValueError`` for rows that do not fit."""
        return self._outputs(X)[:, 0]


Fitted = StudyClassifier | StudyRegressor


def fitted(model: Model, about: About) -> Fitted:
    """The estimator that wraps a stored model."""
    encoding, target = model.encoding, model.target
    kind = StudyClassifier if target.classes else StudyRegressor
    estimator: Fitted = kind(about.study, about.name)
    estimator.model_ = model
    estimator.trial_ = about.trial
    estimator.validation_ = about.validation
    estimator.trial_params_ = dict(about.params)
    estimator.expected_, estimator.expected_se_ = about.expected, about.expected_se
    estimator.record_ = dict(about.record)
    known = {*encoding.numeric_names, *encoding.text_names}
    names = [each for each in about.columns if each in known]
    estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator.n_features_in_ = len(names)
    if isinstance(estimator, StudyClassifier):
        estimator.classes_ = labels_of(target)
    return estimator


def labels_of(target: TargetEncoding) -> NDArray[Any]:
    """The classes as data hold them: numbers if all are whole numbers in order, else texts.

    Whether they were texts of digits is not stored.
    """
    if all(map(_WHOLE.fullmatch, target.classes)):
        numbers = np.array([int(each) for each in target.classes])
        if numbers.dtype == np.int64 and (np.diff(numbers) > 0).all():
            return numbers
    return np.array(target.classes)
