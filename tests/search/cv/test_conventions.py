"""What scikit-learn expects of a search, with its own searches as the measure."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import numpy as np
import pytest
import sklearn
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from scipy.stats import loguniform
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from hpo import MLPClassifier, NarrowingSearchCV
from tests.estimators.making import diabetes, iris, small
from tests.search.cv.making import ALPHA, Fragile, ridge, without_seconds

SHORT: dict[str, Any] = {
    "n_trials": 4,
    "n_rounds": 2,
    "cv": 2,
    "error_score": "raise",
    "random_state": 0,
}


def expected_failures(search: NarrowingSearchCV) -> dict[str, str]:
    """Checks that scikit-learn does not make of its own searches either."""
    if not is_regressor(search):
        return {}
    return {"check_supervised_y_2d": "there is no warning to catch: several targets are learnt"}


# Looking for classes, scikit-learn casts a target that is not finite before it refuses it.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    [
        NarrowingSearchCV(Ridge(), ALPHA, **SHORT),
        NarrowingSearchCV(
            LogisticRegression(), {"C": FloatDistribution(1e-2, 1e2, log=True)}, **SHORT
        ),
        NarrowingSearchCV(
            make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": ALPHA["alpha"]}, **SHORT
        ),
        NarrowingSearchCV(
            MLPClassifier(max_epochs=10, batch_size=8, random_state=0),
            {"learning_rate": FloatDistribution(3e-3, 3e-2, log=True)},
            **SHORT,
        ),
    ],
    expected_failed_checks=expected_failures,
)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
