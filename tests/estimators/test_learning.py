"""Default settings on real data: good, soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score, train_test_split

from hpo.estimators import MLPClassifier, MLPRegressor
from tests.estimators.making import BARE, diabetes, digits


def test_digits() -> None:
    X, others, y, truth = train_test_split(*digits(), stratify=digits()[1], random_state=0)
    fitted = MLPClassifier(random_state=0, max_epochs=30).fit(X, y)
    assert fitted.score(others, truth) > 0.95


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_tables(load: Callable[..., Any]) -> None:
    X, y = load(return_X_y=True)
    X, others, y, truth = train_test_split(X, y, stratify=y, random_state=0)
    assert MLPClassifier(random_state=0).fit(X, y).score(others, truth) > 0.93


def test_diabetes_with_a_penalty_is_as_good_as_ridge_regression() -> None:
    X, y = diabetes()
    folds = KFold(5, shuffle=True, random_state=0)
    ours = cross_val_score(
        MLPRegressor(**BARE, l2=0.1, max_epochs=20, random_state=0), X, y, cv=folds
    )
    theirs = cross_val_score(Ridge(alpha=0.1), X, y, cv=folds)
    assert np.mean(ours) > 0.3
    assert np.mean(ours) > np.mean(theirs) - 0.05


def test_diabetes_by_default() -> None:
    X, others, y, truth = train_test_split(*diabetes(), random_state=1)
    assert MLPRegressor(random_state=0).fit(X, y).score(others, truth) > 0.3


def test_rows_are_learnt_by_heart() -> None:
    """Random classes of random rows: nothing but memory helps."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 10)), rng.integers(3, size=60)
    fitted = MLPClassifier(
        random_state=0, max_epochs=200, learning_rate=0.01, weight_decay=0.0, dropout=0.0
    ).fit(X, y)
    assert fitted.score(X, y) == 1
    assert fitted.history_["train_loss"][-1] < 0.01
