"""Diversity: a table worked by hand, NumPy's correlations, identities between the measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensembles.diversity import (
    disagreement,
    double_fault,
    error_correlation,
    mean_over_pairs,
    q_statistic,
    residual_correlation,
    tally,
)

Measure = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]
OF_CLASSES: list[Measure] = [disagreement, double_fault, q_statistic, error_correlation]

Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])
RIGHT = np.array([[1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 1, 0, 0]], dtype=bool)
"""Both right on 3 rows, the first only on 2, the second only on 1, both wrong on 2."""


def predicted(right: NDArray[np.bool_], y: NDArray[Any]) -> NDArray[np.int64]:
    """Class indices that are right where they should be."""
    found: NDArray[np.int64] = np.where(right, y, (y + 1) % 3)
    return found


def drawn(members: int, rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    y = generator.integers(3, size=rows)
    share = generator.uniform(size=(members, 1))
    return predicted(generator.uniform(size=(members, rows)) < share, y), y


PROBLEMS = {"members": st.integers(1, 5), "rows": st.integers(1, 30), "seed": st.integers(0, 999)}


def test_a_table_by_hand() -> None:
    predictions = predicted(RIGHT, Y)
    counts = tally(predictions, Y)
    assert [each[0, 1] for each in counts] == [3, 2, 1, 2]
    assert disagreement(predictions, Y)[0, 1] == 3 / 8
    assert double_fault(predictions, Y)[0, 1] == 2 / 8
    assert q_statistic(predictions, Y)[0, 1] == (3 * 2 - 2 * 1) / (3 * 2 + 2 * 1)
    # 5 and 4 of 8 right: (6 - 2) / sqrt(5 * 3 * 4 * 4).
    assert error_correlation(predictions, Y)[0, 1] == pytest.approx(4 / np.sqrt(240))


def test_a_member_with_itself_by_hand() -> None:
    predictions = predicted(RIGHT, Y)
    assert np.diag(disagreement(predictions, Y)).tolist() == [0, 0]
    assert np.diag(double_fault(predictions, Y)).tolist() == [3 / 8, 4 / 8]
    assert np.diag(q_statistic(predictions, Y)).tolist() == [1, 1]
    np.testing.assert_allclose(np.diag(error_correlation(predictions, Y)), 1)


def test_one_that_is_right_where_the_other_is_wrong() -> None:
    predictions = predicted(np.stack([RIGHT[0], ~RIGHT[0]]), Y)
    assert disagreement(predictions, Y)[0, 1] == 1
    assert double_fault(predictions, Y)[0, 1] == 0
    assert q_statistic(predictions, Y)[0, 1] == -1
    assert error_correlation(predictions, Y)[0, 1] == pytest.approx(-1)


def test_independent_ones_by_hand() -> None:
    """Each cell of the table holds one row."""
    right = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=bool)
    predictions = predicted(right, Y[:4])
    assert q_statistic(predictions, Y[:4])[0, 1] == 0
    assert error_correlation(predictions, Y[:4])[0, 1] == 0


def test_two_that_are_wrong_in_different_ways_are_wrong_together() -> None:
    predictions, y = np.array([[1], [2]]), np.array([0])
    assert disagreement(predictions, y)[0, 1] == 0
    assert double_fault(predictions, y)[0, 1] == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_member_that_is_always_right_or_never_has_no_q_and_no_correlation(share: float) -> None:
    right = np.stack([np.full(8, bool(share)), RIGHT[0]])
    predictions = predicted(right, Y)
    for measure in (q_statistic, error_correlation):
        found = measure(predictions, Y)
        assert np.isnan(found).tolist() == [[True, True], [True, False]]


@given(**PROBLEMS)
def test_identities(members: int, rows: int, seed: int) -> None:
    """Error of i + error of k = disagreement + 2 double fault; counts add up to the rows."""
    predictions, y = drawn(members, rows, seed)
    errors = np.mean(predictions != y, axis=1)
    both, apart = double_fault(predictions, y), disagreement(predictions, y)
    np.testing.assert_allclose(errors[:, None] + errors, apart + 2 * both, atol=1e-12)
    np.testing.assert_allclose(np.diag(both), errors)
    np.testing.assert_array_equal(np.sum(tally(predictions, y), axis=0), rows)
    q, rho = q_statistic(predictions, y), error_correlation(predictions, y)
    known = ~np.isnan(rho)
    assert not np.isnan(q[known]).any()
    assert (np.abs(q[known]) + 1e-12 >= np.abs(rho[known])).all()
    assert (np.sign(q[known]) == np.sign(rho[known])).all()
    varied = (errors > 0) & (errors < 1)
    assert (np.diag(q)[varied] == 1).all()


@pytest.mark.parametrize("measure", [*OF_CLASSES, residual_correlation])
@given(**PROBLEMS)
def test_matrices_are_symmetric_and_follow_the_order(
    measure: Measure, members: int, rows: int, seed: int
) -> None:
    predictions, y = drawn(members, rows, seed)
    found = measure(predictions, y)
    assert found.shape == (members, members)
    np.testing.assert_array_equal(found, found.T)
    order = np.random.default_rng(seed).permutation(members)
    np.testing.assert_allclose(measure(predictions[order], y), found[np.ix_(order, order)])
    rows_too = np.random.default_rng(seed).permutation(rows)
    np.testing.assert_allclose(measure(predictions[:, rows_too], y[rows_too]), found, atol=1e-12)


@given(**PROBLEMS)
def test_correlations_are_those_of_numpy(members: int, rows: int, seed: int) -> None:
    predictions, y = drawn(members, rows, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = np.atleast_2d(np.corrcoef(predictions != y)) if rows > 1 else np.nan
    found = error_correlation(predictions, y)
    np.testing.assert_allclose(found, np.broadcast_to(wrong, found.shape), atol=1e-12)
    generator = np.random.default_rng(seed)
    values, target = generator.normal(size=(members, rows + 2)), generator.normal(size=rows + 2)
    np.testing.assert_allclose(
        residual_correlation(values, target),
        np.atleast_2d(np.corrcoef(values - target)),
        atol=1e-10,
    )


def test_residuals_by_hand() -> None:
    """Residuals (1, 0, -1), (0, 1, -1) and twice the first one, reversed."""
    target = np.array([10.0, 20, 30])
    residuals = np.array([[1.0, 0, -1], [0, 1, -1], [-2, 0, 2]])
    found = residual_correlation(target + residuals, target)
    np.testing.assert_allclose(found, [[1, 0.5, -1], [0.5, 1, -0.5], [-1, -0.5, 1]])


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e9])
def test_a_member_that_always_misses_by_the_same_has_no_correlation(offset: float) -> None:
    target = np.random.default_rng(0).normal(size=20)
    varied = np.random.default_rng(1).normal(size=20)
    found = residual_correlation(np.stack([target + offset, varied]), target)
    assert np.isnan(found).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_residuals_of_any_size(scale: float) -> None:
    generator = np.random.default_rng(0)
    values, target = generator.normal(size=(3, 10)), generator.normal(size=10)
    np.testing.assert_allclose(
        residual_correlation(values * scale, target * scale), residual_correlation(values, target)
    )


def test_the_mean_over_pairs_by_hand() -> None:
    measure = np.array([[9.0, 1, 2], [1, 9, np.nan], [2, np.nan, 9]])
    assert mean_over_pairs(measure) == 1.5
    assert np.isnan(mean_over_pairs(measure[:1, :1]))
    assert np.isnan(mean_over_pairs(np.full((2, 2), np.nan)))


@pytest.mark.parametrize("measure", [*OF_CLASSES, residual_correlation])
def test_what_cannot_be_compared_is_refused(measure: Measure) -> None:
    with pytest.raises(ValueError, match="argmax"):
        measure(np.zeros((2, 5, 3)), np.zeros(5))
    with pytest.raises(ValueError, match=r"\(2, 5\) do not fit targets of shape \(4,\)"):
        measure(np.zeros((2, 5)), np.zeros(4))
    with pytest.raises(ValueError, match="no rows"):
        measure(np.zeros((2, 0)), np.zeros(0))
