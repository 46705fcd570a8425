"""One round of SAMME and of R2: worked by hand, the papers' properties, a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensembles.reweighting import R2_LOSSES, SMALLEST, lifted, r2, samme, weighted_median

THIRDS = np.full(3, 1 / 3)


def drawn_weights(rows: int, seed: int) -> NDArray[np.float64]:
    raw = np.random.default_rng(seed).uniform(0.1, 1, rows)
    weights: NDArray[np.float64] = raw / raw.sum()
    return weights


def test_three_rows_of_two_classes_by_hand() -> None:
    """One of three is wrong: error 1/3, importance log 2, its weight doubles to 1/2."""
    found = samme(THIRDS, np.array([False, True, False]), 2, 1.0)
    assert found.error == pytest.approx(1 / 3)
    assert found.importance == pytest.approx(np.log(2))
    np.testing.assert_allclose(found.weights, [1 / 4, 1 / 2, 1 / 4])


def test_three_rows_of_three_classes_by_hand() -> None:
    """Importance log 2 + log 2, so the weight of the wrong row is fourfold: 4 of 6."""
    found = samme(THIRDS, np.array([False, True, False]), 3, 1.0)
    assert found.importance == pytest.approx(np.log(4))
    np.testing.assert_allclose(found.weights, [1 / 6, 4 / 6, 1 / 6])


def test_half_the_learning_rate_is_half_the_importance() -> None:
    found = samme(THIRDS, np.array([False, True, False]), 3, 0.5)
    assert found.importance == pytest.approx(np.log(2))
    np.testing.assert_allclose(found.weights, [1 / 4, 2 / 4, 1 / 4])


@pytest.mark.parametrize(
    ("loss", "losses"),
    [
        ("linear", [0, 1 / 2, 1]),
        ("square", [0, 1 / 4, 1]),
        ("exponential", [0, 1 - np.exp(-0.5), 1 - np.exp(-1)]),
    ],
)
def test_three_rows_of_values_by_hand(loss: str, losses: list[float]) -> None:
    """Weights 1/2, 1/4, 1/4 and distances 0, 2, 4."""
    found = r2(np.array([2, 1, 1]) / 4, np.array([0.0, 2, 4]), loss, 1.0)
    mean = (losses[1] + losses[2]) / 4
    beta = mean / (1 - mean)
    assert found.error == pytest.approx(mean)
    assert found.importance == pytest.approx(np.log(1 / beta))
    raw = np.array([2 * beta, beta ** (1 - losses[1]), beta ** (1 - losses[2])])
    np.testing.assert_allclose(found.weights, raw / raw.sum())


@given(rows=st.integers(2, 30), n_classes=st.integers(2, 6), seed=st.integers(0, 999))
def test_a_learner_is_at_chance_in_the_weights_that_it_leads_to(
    rows: int, n_classes: int, seed: int
) -> None:
    """Such is the importance chosen: the same learner again would be worth nothing."""
    wrong = np.random.default_rng(seed).random(rows) < 0.3
    wrong[:2] = True, False
    found = samme(drawn_weights(rows, seed), wrong, n_classes, 1.0)
    if not found.useful:
        return
    again = samme(found.weights, wrong, n_classes, 1.0)
    assert again.error == pytest.approx(1 - 1 / n_classes)
    assert not again.useful
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_guessing_is_of_no_use(n_classes: int) -> None:
    wrong = np.arange(n_classes) > 0
    assert not samme(np.full(n_classes, 1 / n_classes), wrong, n_classes, 1.0).useful


@pytest.mark.parametrize("rate", [1e-15, 1e3])
def test_a_learner_is_judged_before_the_learning_rate_counts(rate: float) -> None:
    """And however large the rate, weights are finite."""
    found = samme(THIRDS, np.array([False, True, False]), 2, rate)
    assert found.useful
    assert found.weights.sum() == pytest.approx(1)
    assert not samme(THIRDS, np.array([True, True, False]), 2, rate).useful


def test_all_wrong_is_of_no_use() -> None:
    assert not samme(THIRDS, np.ones(3, dtype=bool), 2, 1.0).useful
    assert not r2(THIRDS, np.ones(3), "linear", 1.0).useful


@pytest.mark.parametrize("loss", R2_LOSSES)
def test_half_the_largest_loss_is_too_much(loss: str) -> None:
    assert r2(THIRDS, np.array([1.0, 0, 0]), loss, 1.0).useful
    assert not r2(THIRDS, np.array([1.0, 1, 1]), loss, 1.0).useful or loss == "exponential"
    assert not r2(np.full(2, 0.5), np.array([1.0, 0]), "linear", 1.0).useful


def test_a_perfect_learner_counts_one_and_weights_stay() -> None:
    for found in (samme(THIRDS, np.zeros(3), 3, 0.1), r2(THIRDS, np.zeros(3), "square", 0.1)):
        assert found.useful
        assert (found.error, found.importance) == (0, 1)
        np.testing.assert_array_equal(found.weights, THIRDS)


def test_what_is_not_a_number_is_of_no_use() -> None:
    assert not r2(THIRDS, np.array([0.0, 1, np.nan]), "linear", 1.0).useful


def test_rows_without_weight_count_for_nothing() -> None:
    """The largest distance is that of a row that is not there."""
    weights = np.array([0, 1 / 2, 1 / 4, 1 / 4])
    found = r2(weights, np.array([100.0, 0, 2, 4]), "linear", 1.0)
    assert found.error == pytest.approx(3 / 8)
    assert found.weights[0] == 0


def test_rows_that_are_there_keep_some_weight() -> None:
    raised = lifted(np.array([0.0, 0, 1]), np.array([False, True, True]))
    np.testing.assert_array_equal(raised, [0, SMALLEST, 1])


def plain_median(values: NDArray[Any], importances: NDArray[Any]) -> float:
    for each in sorted(values):
        if importances[values <= each].sum() >= 0.5 * importances.sum():
            return float(each)
    raise AssertionError


@given(members=st.integers(1, 9), seed=st.integers(0, 999))
def test_the_median_is_the_least_value_with_half_the_importance(members: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    predictions = generator.normal(size=(members, 4))
    importances = generator.uniform(0.1, 2, members)
    expected = [plain_median(each, importances) for each in predictions.T]
    np.testing.assert_array_equal(weighted_median(predictions, importances), expected)


def test_of_two_members_that_count_alike_the_median_is_the_lower() -> None:
    predictions = np.array([[1.0, 5.0], [2.0, 4.0]])
    assert weighted_median(predictions, np.ones(2)).tolist() == [1, 4]
    assert weighted_median(predictions, np.array([1.0, 3.0])).tolist() == [2, 4]
