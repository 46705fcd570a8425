"""What networks see of the inputs: against scikit-learn's scalers and the formula of the clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.preprocessing import RobustScaler, StandardScaler

from hpo.estimators import MLPClassifier, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.estimators.inputs import BLOCK, InputScaling
from tests.estimators.making import KINDS, assert_same_network, iris, small, target_for

SCALINGS: list[Any] = ["robust", "standard"]


def clip(scaled: NDArray[Any]) -> NDArray[Any]:
    """The formula of Holzmüller et al. 2024."""
    return np.asarray(scaled / np.sqrt(1 + (scaled / 3) ** 2))


def table(rows: int = 101, seed: int = 0) -> NDArray[np.float64]:
    """Columns of several scales and shapes."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            rng.normal(size=rows),
            1e6 + 1e3 * rng.normal(size=rows),
            rng.exponential(size=rows) ** 3,
            rng.integers(0, 9, rows),
        ]
    )


def test_robust_is_the_robust_scaler_with_a_smooth_clip() -> None:
    X, others = table(), table(seed=1) * 3
    scaling = InputScaling.fit(X, None, "robust")
    scaler = RobustScaler().fit(X)
    for rows in (X, others):
        expected = clip(scaler.transform(rows))
        np.testing.assert_allclose(scaling.transform(rows), expected, rtol=1e-6, atol=1e-6)


def test_robust_takes_half_the_range_where_the_quartiles_are_equal() -> None:
    X = np.zeros((100, 1))
    X[:10, 0], X[10, 0] = 4.0, -2.0
    scaled = InputScaling.fit(X, None, "robust").transform(X)
    np.testing.assert_allclose(scaled, clip(X / 3), rtol=1e-6)


def test_standard_is_the_standard_scaler() -> None:
    X, others = table(), table(seed=1) * 3
    scaling = InputScaling.fit(X, None, "standard")
    scaler = StandardScaler().fit(X)
    for rows in (X, others):
        np.testing.assert_allclose(
            scaling.transform(rows), scaler.transform(rows), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_standard_is_the_standard_scaler_of_the_same_single_precision_numbers(
    offset: float,
) -> None:
    """A sum of 20 000 numbers around 1e6 in single precision is no sum any more."""
    X = (offset + 100 * np.random.default_rng(0).normal(size=(20_000, 2))).astype(np.float32)
    scaling = InputScaling.fit(X, None, "standard")
    scaler = StandardScaler().fit(X.astype(np.float64))
    np.testing.assert_allclose(scaling.centre, scaler.mean_, atol=0.01)
    np.testing.assert_allclose(1 / scaling.factor, scaler.scale_, rtol=1e-4)


def test_none_leaves_the_inputs_as_they_are() -> None:
    X = table()
    scaled = InputScaling.fit(X, None, "none").transform(X)
    np.testing.assert_array_equal(scaled, X.astype(np.float32))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_weight_of_k_counts_as_k_equal_rows(scaling: Any) -> None:
    X = table()
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    weighted = InputScaling.fit(X, weights.astype(float), scaling)
    repeated = InputScaling.fit(np.repeat(X, weights, axis=0), None, scaling)
    np.testing.assert_allclose(weighted.centre, repeated.centre, rtol=1e-12)
    np.testing.assert_allclose(weighted.factor, repeated.factor, rtol=1e-9)


def test_standard_weighs_rows_as_the_standard_scaler_does() -> None:
    X = table()
    weights = np.random.default_rng(1).uniform(0, 2, len(X))
    scaling = InputScaling.fit(X, weights, "standard")
    scaler = StandardScaler().fit(X, sample_weight=weights)
    np.testing.assert_allclose(scaling.centre, scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(1 / scaling.factor, scaler.scale_, rtol=1e-9)


def test_robust_leaves_half_of_the_weight_on_each_side_of_the_centre() -> None:
    """Whatever the definition of weighted quantiles, but for the row that stands there."""
    X = table()
    weights = np.random.default_rng(1).uniform(0, 2, len(X))
    scaled = InputScaling.fit(X, weights, "robust").transform(X)
    below, above = weights @ (scaled < 0), weights @ (scaled > 0)
    assert np.maximum(below, above).max() <= weights.sum() / 2 + weights.max()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -1e-9, 1e-300])
def test_a_constant_column_says_nothing(scaling: Any, value: float) -> None:
    X = np.full((1000, 1), value)
    fitted = InputScaling.fit(X, None, scaling)
    assert (fitted.transform(X) == 0).all()
    assert (fitted.transform(X * 2 + 5) == 0).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_what_a_constant_column_holds_later_does_not_matter(scaling: str) -> None:
    X, y = iris()
    constant = np.column_stack([X, np.full(len(X), 5.0)])
    fitted = small(MLPClassifier, scaling=scaling).fit(constant, y)
    expected = fitted.predict_proba(constant)
    constant[:, 4] = np.arange(len(X))
    np.testing.assert_array_equal(fitted.predict_proba(constant), expected)


@given(
    st.lists(st.floats(-1e9, 1e9, width=32), min_size=2, max_size=20),
    st.floats(-1e12, 1e12),
)
def test_robust_inputs_are_at_most_3_and_keep_their_order(
    column: list[float], value: float
) -> None:
    X = np.array(column)[:, None]
    scaling = InputScaling.fit(X, None, "robust")
    scaled = scaling.transform(np.array([[value], [value + abs(value) + 1]]))[:, 0]
    assert np.abs(scaled).max() <= 3
    assert scaled[0] <= scaled[1]


@pytest.mark.parametrize("value", [1e5, 1e20, 1e100, 1e200, 1e308])
def test_an_outlier_of_any_size_is_an_outlier(value: float) -> None:
    scaling = InputScaling.fit(table(), None, "robust")
    scaled = scaling.transform(np.full((1, 4), value) * [1, -1, 1, -1])
    np.testing.assert_allclose(scaled, [[3, -3, 3, -3]], rtol=0.01)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("size", [1e-30, 1e30, 1e100])
def test_the_scale_of_the_inputs_does_not_matter(scaling: str, size: float) -> None:
    X, y = iris()
    plain = small(MLPClassifier, scaling=scaling).fit(X, y)
    scaled = small(MLPClassifier, scaling=scaling).fit(X * size, y)
    np.testing.assert_allclose(
        plain.predict_proba(X), scaled.predict_proba(X * size), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("offset", [1e6, -1e9])
def test_a_great_offset_of_the_inputs_does_not_matter(scaling: str, offset: float) -> None:
    X, y = iris()
    plain = small(MLPClassifier, scaling=scaling).fit(X, y)
    shifted = small(MLPClassifier, scaling=scaling).fit(X * 1e3 + offset, y)
    np.testing.assert_allclose(
        plain.predict_proba(X), shifted.predict_proba(X * 1e3 + offset), rtol=1e-3, atol=1e-4
    )


def test_an_outlier_among_the_rows_spoils_only_standard_inputs() -> None:
    """All of iris but one row is then within a hundred-thousandth of a deviation."""
    X, y = iris()
    X = np.vstack([X, np.full((1, 4), 1e6)])
    y = np.append(y, 0)
    scores = {
        scaling: small(MLPClassifier, scaling=scaling, max_epochs=30, learning_rate=0.03)
        .fit(X, y)
        .score(X[:-1], y[:-1])
        for scaling in SCALINGS
    }
    assert scores["robust"] > 0.9 > scores["standard"]


def test_rows_are_scaled_block_by_block_as_one_by_one() -> None:
    X = table(2 * BLOCK + 1)
    scaling = InputScaling.fit(X, None, "robust")
    places = [0, BLOCK - 1, BLOCK, 2 * BLOCK]
    each = np.concatenate([scaling.transform(X[place : place + 1]) for place in places])
    np.testing.assert_array_equal(scaling.transform(X)[places], each)


def test_single_and_double_precision_are_scaled_alike() -> None:
    X = table().astype(np.float32)
    for scaling in SCALINGS:
        single = InputScaling.fit(X, None, scaling).transform(X)
        double = InputScaling.fit(X.astype(np.float64), None, scaling).transform(X.astype(float))
        assert single.dtype == double.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scaling", [*SCALINGS, "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_layout_of_the_inputs_in_memory_does_not_matter(
    kind: type[BaseMLP], scaling: str
) -> None:
    X, y = iris()[0], target_for(kind)
    columns = np.asfortranarray(X)
    strided = np.repeat(X, 2, axis=0)[::2]
    expected = small(kind, scaling=scaling).fit(X, y)
    for rows in (columns, strided):
        assert_same_network(small(kind, scaling=scaling).fit(rows, y), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_may_be_lists_whole_numbers_or_truth_values(kind: type[BaseMLP]) -> None:
    X, y = iris()[0] > 3, target_for(kind)
    expected = small(kind).fit(X.astype(float), y)
    for rows in (X, X.astype(int), X.astype(int).tolist()):
        assert_same_network(small(kind).fit(rows, y), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_inputs_are_refused(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
        small(kind).fit(csr_matrix(X), y)
    fitted: Any = small(kind).fit(X, y)
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
        fitted.predict(csr_matrix(X))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_no_numbers_are_refused(kind: type[BaseMLP], bad: float) -> None:
    X, y = iris()[0], target_for(kind)
    spoilt = X.copy()
    spoilt[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        small(kind).fit(spoilt, y)
    with pytest.raises(ValueError, match="Input X contains"):
        small(kind).fit(X, y, X_val=spoilt, y_val=y)
    fitted: Any = small(kind).fit(X, y)
    with pytest.raises(ValueError, match="Input X contains"):
        fitted.predict(spoilt)


def test_a_scaling_that_does_not_exist_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="unknown scaling 'robus': did you mean 'robust'"):
        small(MLPRegressor, scaling="robus").fit(iris()[0], iris()[1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_jointly_all_columns_have_the_scale_of_one(scaling: Any, weighted: bool) -> None:
    X = table()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    together = InputScaling.fit(X, weights, scaling, jointly=True)
    each = None if weights is None else np.repeat(weights, 4)
    alone = InputScaling.fit(X.reshape(-1, 1), each, scaling)
    np.testing.assert_array_equal(together.centre, np.repeat(alone.centre, 4))
    np.testing.assert_array_equal(together.factor, np.repeat(alone.factor, 4))


@pytest.mark.parametrize("scaling", [*SCALINGS, "none"])
@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e200, 1.7e308])
def test_inputs_of_any_size_are_finite_and_warn_of_nothing(scaling: Any, size: float) -> None:
    X = np.random.default_rng(0).uniform(-1, 1, size=(40, 3)) * size
    seen = InputScaling.fit(X, None, scaling)
    for rows in (X, np.full((1, 3), 1.7e308), np.full((1, 3), -1.7e308), np.zeros((1, 3))):
        assert np.isfinite(seen.transform(rows)).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_inputs_at_the_end_of_the_numbers_are_learnt(scaling: str) -> None:
    """scikit-learn's check adds them up, and infinity minus infinity is no number."""
    X, y = iris()
    signs = np.where(X - np.median(X, axis=0) > 0, 1.7e308, -1.7e308)
    fitted = small(MLPClassifier, scaling=scaling, max_epochs=40, learning_rate=0.02).fit(signs, y)
    assert fitted.score(signs, y) > 0.7
