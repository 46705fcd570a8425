"""The learners of scikit-learn that stand beside a study's networks, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR

from hpo.data.schema import Task
from hpo.data.wording import did_you_mean
from hpo.errors import UsageError

TREES = 100
"""How many trees a forest has."""

STAGES = 100
"""How many trees boosting has."""

NEIGHBOURS = 15

Target = NDArray[Any]


def _svm(y: Target, seed: int) -> Any:
    """Its scores are turned to probabilities over folds, for which each class needs two rows."""
    fewest = int(np.unique(y, return_counts=True)[1].min())
    if fewest < 2:
        return SVC(C=10.0)
    return CalibratedClassifierCV(SVC(C=10.0), cv=min(5, fewest), ensemble=False)


_CLASSIFIERS: Mapping[str, Callable[[Target, int], Any]] = {
    "forest": lambda _y, seed: RandomForestClassifier(TREES, random_state=seed),
    "extra_trees": lambda _y, seed: ExtraTreesClassifier(TREES, random_state=seed),
    "hist_gradient_boosting": lambda _y, seed: HistGradientBoostingClassifier(
        max_iter=STAGES, early_stopping=False, random_state=seed
    ),
    "knn": lambda y, _seed: KNeighborsClassifier(
        min(NEIGHBOURS, len(y)), weights="distance", algorithm="brute"
    ),
    "logistic": lambda _y, _seed: LogisticRegression(max_iter=5000),
    "svm": _svm,
}

_REGRESSORS: Mapping[str, Callable[[Target, int], Any]] = {
    "forest": lambda _y, seed: RandomForestRegressor(TREES, random_state=seed),
    "extra_trees": lambda _y, seed: ExtraTreesRegressor(TREES, random_state=seed),
    "hist_gradient_boosting": lambda _y, seed: HistGradientBoostingRegressor(
        max_iter=STAGES, early_stopping=False, random_state=seed
    ),
    "knn": lambda y, _seed: KNeighborsRegressor(
        min(NEIGHBOURS, len(y)), weights="distance", algorithm="brute"
    ),
    "ridge": lambda _y, _seed: RidgeCV(np.logspace(-3, 3, 13)),
    "svm": lambda _y, _seed: SVR(C=10.0),
}

BY_TASK = {"classification": _CLASSIFIERS, "regression": _REGRESSORS}

DEFAULT = {
    "classification": ("forest", "extra_trees", "hist_gradient_boosting", "logistic"),
    "regression": ("forest", "extra_trees", "hist_gradient_boosting", "ridge"),
}


SLOWEST_FIRST = (
    "hist_gradient_boosting", "svm", "forest", "extra_trees", "logistic", "ridge", "knn",
)  # fmt: skip


def check_names(names: tuple[str, ...], task: Task) -> None:
    """Raise ``UsageError`` for a learner that there is not, or not for this task."""
    known = BY_TASK[task]
    other = next(each for each in BY_TASK if each != task)
    for name in names:
        if name in BY_TASK[other] and name not in known:
            raise UsageError(f"--with {name}: it is for {other}; choose among {', '.join(known)}")
        if name not in known:
            raise UsageError(
                f"--with {name}: there is {', '.join(known)}{did_you_mean(name, known)}"
            )


def make(name: str, task: Task, y: Target, seed: int) -> Any:
    """The learner, not fitted; ``y`` (rows,) is what it will learn."""
    return BY_TASK[task][name](y, seed)
