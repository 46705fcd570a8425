"""Means, deviations and quantiles of weighted columns, against NumPy's of repeated rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.estimators.moments import BLOCK, moments, powers_of_two, quantiles

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


def column(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[:, None]


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(numbers)
def test_without_weights_quantiles_are_those_of_numpy(values: list[float]) -> None:
    X = column(values)
    expected = np.quantile(X, SHARES, axis=0)
    np.testing.assert_allclose(quantiles(X, None, SHARES), expected, rtol=1e-12, atol=1e-9)


@given(numbers, st.data())
def test_whole_weights_are_repeated_rows(values: list[float], data: st.DataObject) -> None:
    X = column(values)
    counts = np.array(data.draw(st.lists(st.integers(1, 5), min_size=len(X), max_size=len(X))))
    repeated = np.repeat(X, counts, axis=0)
    weights = counts.astype(float)
    np.testing.assert_allclose(
        quantiles(X, weights, SHARES),
        np.quantile(repeated, SHARES, axis=0),
        rtol=1e-12,
        atol=1e-9,
    )
    mean, deviation = moments(X, weights)
    np.testing.assert_allclose(mean, repeated.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(deviation, repeated.std(axis=0), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("weight", [0.1, 0.7, 1e-300])
def test_equal_weights_that_are_no_counts_are_none(weight: float) -> None:
    X = np.random.default_rng(0).normal(size=(101, 2))
    weights = np.full(101, weight)
    np.testing.assert_array_equal(quantiles(X, weights, SHARES), quantiles(X, None, SHARES))
    mean, deviation = moments(X, weights)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, X.std(axis=0), rtol=1e-12)


def test_only_ratios_of_weights_that_are_no_counts_matter() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    weights = np.random.default_rng(1).uniform(0.1, 2, 50)
    first = quantiles(X, weights, SHARES)
    np.testing.assert_allclose(quantiles(X, weights * 1e-9, SHARES), first, rtol=1e-9)


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e-40, 1e40, 1e300, 1.7e308])
def test_numbers_of_any_size_have_moments_and_quantiles(size: float) -> None:
    X = np.array([[-1.0, 1.0, 0.0, 1.0]]).T * size
    mean, deviation = moments(X, None)
    rounding = 5e-324
    np.testing.assert_allclose(mean, [0.25 * size], rtol=1e-12, atol=rounding)
    np.testing.assert_allclose(deviation, [np.sqrt(0.6875) * size], rtol=1e-12, atol=rounding)
    np.testing.assert_allclose(
        quantiles(X, None, (0.0, 0.5, 1.0)),
        np.array([[-1.0], [0.5], [1.0]]) * size,
        rtol=1e-12,
        atol=2 * rounding,
    )


@pytest.mark.parametrize("value", [0.1, -1e9 / 3, 1e-300, 0.0])
def test_a_constant_column_has_no_deviation(value: float) -> None:
    X = np.full((2 * BLOCK + 5, 1), value)
    weights = np.random.default_rng(0).uniform(0.1, 3, len(X))
    for given_weights in (None, weights):
        mean, deviation = moments(X, given_weights)
        assert deviation.tolist() == [0]
        np.testing.assert_allclose(mean, [value], rtol=1e-12)


def test_what_rounding_leaves_of_a_constant_is_no_deviation() -> None:
    X = column([0.3, 0.1 + 0.2] * 50)
    assert X[0] != X[1]
    assert moments(X, None)[1].tolist() == [0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_are_added_up(dtype: Any) -> None:
    X = np.random.default_rng(0).normal(3, 2, size=(2 * BLOCK + 7, 2)).astype(dtype)
    mean, deviation = moments(X, None)
    assert mean.dtype == deviation.dtype == np.float64
    np.testing.assert_allclose(mean, X.astype(float).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(deviation, X.astype(float).std(axis=0), rtol=1e-13)


def test_powers_of_two_are_near() -> None:
    sizes = np.array([5e-324, 1e-310, 0.1, 1.0, 3.0, 1.7e308])
    powers = powers_of_two(sizes)
    assert (np.frexp(powers)[0] == 0.5).all()
    assert ((sizes / powers >= 1) & (sizes / powers < 2)).all()
