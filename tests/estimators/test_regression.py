"""Numbers: one or several, of any size, with outliers or without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import huber
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from hpo.estimators import MLPRegressor
from tests.estimators.making import assert_same_network, diabetes, iris, small

LINEAR: dict[str, Any] = {
    "hidden_layer_sizes": (),
    "optimizer": "momentum",
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "max_epochs": 300,
    "batch_size": 1000,
    "schedule": "constant",
    "warmup": 0.0,
    "scaling": "standard",
    "random_state": 0,
}
"""Linear regression, trained until nothing changes."""


def plane(rows: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of three features, and a linear function of them with a little noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3))
    return X, X @ [2.0, -1.0, 0.5] + 0.1 * rng.normal(size=rows)


def test_without_hidden_layers_it_is_linear_regression() -> None:
    X, y = iris()[0][:, 1:], iris()[0][:, 0]
    ours, theirs = MLPRegressor(**LINEAR).fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-4)


def test_several_outputs_are_linear_regressions() -> None:
    X, y = iris()[0][:, 2:], iris()[0][:, :2] * [1000, 1] - [0, 50]
    ours, theirs = MLPRegressor(**LINEAR).fit(X, y), LinearRegression().fit(X, y)
    assert ours.predict(X).shape == (150, 2)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)
    each = r2_score(y, ours.predict(X), multioutput="raw_values")
    expected = r2_score(y, theirs.predict(X), multioutput="raw_values")
    np.testing.assert_allclose(each, expected, atol=1e-4)


def test_a_penalty_makes_ridge_regression() -> None:
    """Features and target in deviations: half the mean square and ``l2 / 2 * sum w²``."""
    X, y = diabetes()
    ours = MLPRegressor(**LINEAR, l2=0.5).fit(X, y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = Ridge(alpha=0.5 * len(y)).fit(scaled, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(scaled), rtol=1e-3)


def test_weighted_rows_make_weighted_regression() -> None:
    X, y = plane(100)
    weights = np.random.default_rng(1).uniform(0, 3, 100)
    ours = MLPRegressor(**LINEAR).fit(X, y, weights)
    theirs = LinearRegression().fit(X, y, weights)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3, atol=1e-3)


def test_a_curve_is_learnt_that_no_plane_is() -> None:
    X = np.linspace(-2, 2, 200)[:, None]
    y = np.abs(X[:, 0])
    fitted = MLPRegressor((32,), learning_rate=0.02, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.95
    assert LinearRegression().fit(X, y).score(X, y) < 0.01


@pytest.mark.parametrize(("factor", "offset"), [(1e6, 1e9), (1e-6, 0.0), (1e150, 0)])
def test_the_units_of_the_target_do_not_matter(factor: float, offset: float) -> None:
    X, y = plane(100)
    plain = small(MLPRegressor, max_epochs=10).fit(X, y)
    scaled = small(MLPRegressor, max_epochs=10).fit(X, y * factor + offset)
    assert scaled.score(X, y * factor + offset) == pytest.approx(plain.score(X, y), abs=1e-4)
    expected = plain.predict(X) * factor + offset
    np.testing.assert_allclose(scaled.predict(X), expected, rtol=1e-3, atol=1e-3 * factor)


def test_a_constant_target_is_predicted_as_it_is() -> None:
    X, _ = plane(50)
    fitted = small(MLPRegressor, learning_rate=0.0, initializer="zeros").fit(X, np.full(50, 7.5))
    assert fitted.predict(X).tolist() == [7.5] * 50


def test_one_output_in_a_column_is_warned_of_and_flat() -> None:
    X, y = plane(50)
    with pytest.warns(Warning, match="column-vector y was passed"):
        fitted = small(MLPRegressor).fit(X, y[:, None])
    assert_same_network(fitted, small(MLPRegressor).fit(X, y))
    assert fitted.predict(X).shape == (50,)


@pytest.mark.parametrize("outputs", [1, 2])
def test_huber_minds_outliers_less(outputs: int) -> None:
    X, y = plane(300)
    y = np.column_stack([y, -y])[:, :outputs].squeeze()
    spoilt = y.copy()
    spoilt[::10] += 40
    others, truth = plane(300, seed=1)
    truth = np.column_stack([truth, -truth])[:, :outputs].squeeze()
    scores = {
        loss: MLPRegressor((16,), loss=loss, learning_rate=0.01, random_state=0)
        .fit(X, spoilt)
        .score(others, truth)
        for loss in ("huber", "squared_error")
    }
    assert scores["huber"] > scores["squared_error"] + 0.5


def test_huber_without_hidden_layers_is_the_minimum_that_scipy_finds() -> None:
    X, y = plane(100)
    y[::5] += 10
    Z = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(100)])
    target = (y - y.mean()) / y.std()
    best = minimize(lambda w: huber(1.0, Z @ w - target).mean(), np.zeros(4), tol=1e-10)
    ours = MLPRegressor(**LINEAR, loss="huber").fit(X, y)
    expected = Z @ best.x * y.std() + y.mean()
    np.testing.assert_allclose(ours.predict(X), expected, rtol=1e-2, atol=1e-2)
    assert ours.history_["train_loss"][-1] == pytest.approx(best.fun, rel=1e-4)


def test_another_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="loss is 'squared_error' or 'huber', not 'absolute'"):
        small(MLPRegressor, loss="absolute").fit(*plane(20))


def test_validation_rows_with_other_outputs_are_refused() -> None:
    X, y = plane(20)
    with pytest.raises(ValueError, match="the target has 2 columns, not 1"):
        small(MLPRegressor).fit(X, y, X_val=X, y_val=np.column_stack([y, y]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_targets_that_are_no_numbers_are_refused(bad: float) -> None:
    X, y = plane(20)
    y[3] = bad
    with pytest.raises(ValueError, match="y contains"):
        small(MLPRegressor).fit(X, y)


def test_targets_in_a_sparse_matrix_are_refused_or_learnt() -> None:
    """NumPy's error about sequences does not say what is wrong."""
    X, y = plane(20)
    target = np.column_stack([y, y])
    try:
        fitted = small(MLPRegressor).fit(X, csr_matrix(target))
    except (TypeError, ValueError) as error:
        assert "parse" in str(error)  # noqa: PT017 - either is right
    else:
        assert_same_network(fitted, small(MLPRegressor).fit(X, target))


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_layout_of_a_target_in_memory_does_not_matter(outputs: int) -> None:
    X, y = plane(200)
    y = np.column_stack([y, y**2, np.sin(y)])[:, :outputs]
    rows, columns = np.ascontiguousarray(y), np.asfortranarray(y)
    first, second = (
        small(MLPRegressor).fit(X, target.squeeze(), X_val=X, y_val=target.squeeze())
        for target in (rows, columns)
    )
    assert_same_network(first, second)


def test_targets_beyond_all_others_give_finite_losses() -> None:
    X, y = plane(50)
    fitted = small(MLPRegressor).fit(X, y, X_val=X, y_val=np.where(y > 0, 1.7e308, -1.7e308))
    assert np.isfinite(fitted.history_["val_loss"]).all()
    assert np.isfinite(fitted.history_["val_score"]).all()


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1.7e308])
def test_targets_of_any_size_are_learnt(size: float) -> None:
    X, y = plane(100)
    target = np.where(y > 0, size, -size)
    fitted = small(MLPRegressor, max_epochs=40, learning_rate=0.02).fit(X, target)
    assert (np.sign(fitted.predict(X)) == np.sign(target)).mean() > 0.9
    assert np.isfinite(fitted.predict(X)).all()
