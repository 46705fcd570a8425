"""The expected score: without the luck of the maximum, in the metric's own words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import r2_score

from hpo.data.metrics import METRICS
from hpo.search.expectation import expected_score, measured_score


def test_one_trial_expects_its_own_score() -> None:
    wrong = np.zeros((1, 400))
    wrong[0, :40] = 1
    expected = expected_score(wrong, np.zeros(400), METRICS["accuracy"], seed=0)
    assert expected.score == pytest.approx(0.9, abs=0.005)
    # The standard error of a share: sqrt(p (1 - p) / n).
    assert expected.standard_error == pytest.approx(np.sqrt(0.9 * 0.1 / 400), rel=0.1)


@pytest.mark.parametrize(("rows", "trials"), [(30, 100), (100, 100), (150, 200)])
def test_the_luck_of_the_best_of_many_equals_is_taken_off(rows: int, trials: int) -> None:
    """Many coins, each right on 90 % of endless rows: the best of them promises more.

    On few rows accuracies tie, and a tie must not be broken by the rows that were not drawn.
    """
    promised, expected, within = [], [], []
    for seed in range(40):
        wrong = (np.random.default_rng(seed).random((trials, rows)) < 0.1).astype(float)
        promised.append(1 - wrong.mean(axis=1).min())
        found = expected_score(wrong, np.zeros(rows), METRICS["accuracy"], seed=seed)
        assert found.score is not None
        assert found.standard_error is not None
        expected.append(found.score)
        within.append(abs(found.score - 0.9) <= 2 * found.standard_error)
    assert np.mean(promised) > 0.94
    assert np.mean(expected) == pytest.approx(0.9, abs=0.012)
    assert np.mean(within) >= 0.9


def test_a_clear_winner_keeps_its_score() -> None:
    rng = np.random.default_rng(0)
    losses = (rng.random((50, 500)) < 0.4).astype(float)
    losses[0] = rng.random(500) < 0.05
    score = expected_score(losses, np.zeros(500), METRICS["accuracy"], seed=0).score
    assert score == pytest.approx(1 - losses[0].mean(), abs=0.005)


def test_r2_is_that_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(50, 10, 3000)
    prediction = target + rng.normal(0, 5, 3000)
    losses = METRICS["r2"].row_loss(prediction[None, :, None], target)
    expected = expected_score(losses, target, METRICS["r2"], seed=0)
    assert expected.score == pytest.approx(r2_score(target, prediction), abs=0.005)
    assert expected.standard_error is not None
    assert 0 < expected.standard_error < 0.02


def test_the_same_seed_gives_the_same_number() -> None:
    losses = (np.random.default_rng(0).random((5, 60)) < 0.3).astype(float)
    accuracy = METRICS["accuracy"]
    first, again = (expected_score(losses, np.zeros(60), accuracy, 7) for _ in range(2))
    assert first == again
    assert first != expected_score(losses, np.zeros(60), accuracy, 8)


@pytest.mark.parametrize("name", ["accuracy", "r2"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_of_hardly_any_rows_nothing_is_promised_or_something_finite(name: str, rows: int) -> None:
    losses = np.random.default_rng(0).random((4, rows))
    target = np.arange(float(rows))
    expected = expected_score(losses, target, METRICS[name], seed=0)
    if rows == 1:
        assert expected.score is None
    for value in expected:
        assert value is None or np.isfinite(value)


def test_a_score_that_few_replicates_have_is_none() -> None:
    # R2 needs two rows that were not drawn: of three, in one replicate of nine.
    losses, target = np.random.default_rng(0).random((4, 3)), np.arange(3.0)
    assert expected_score(losses, target, METRICS["r2"], seed=0) == (None, None)


def test_a_trial_without_a_loss_is_never_chosen() -> None:
    losses = (np.random.default_rng(0).random((3, 60)) < 0.3).astype(float)
    losses[1] = np.nan
    alone = expected_score(losses[::2], np.zeros(60), METRICS["accuracy"], 0)
    assert expected_score(losses, np.zeros(60), METRICS["accuracy"], 0) == alone


def test_the_error_of_a_share_is_agresti_and_coulls() -> None:
    """By hand: of 36 rows 9 wrong. (9 + 2) / 40 = 0.275; sqrt(0.275 * 0.725 / 40) = 0.0706."""
    losses = np.repeat([1.0, 0.0], [9, 27])
    found = measured_score(losses, np.zeros(36), METRICS["accuracy"], seed=0)
    assert found.score == 0.75
    assert found.standard_error == pytest.approx(0.0706, abs=1e-4)
    perfect = measured_score(np.zeros(36), np.zeros(36), METRICS["accuracy"], seed=0)
    assert perfect.score == 1.0
    assert perfect.standard_error == pytest.approx(math.sqrt(0.05 * 0.95 / 40))


def test_the_error_of_a_mean_is_the_bootstraps() -> None:
    rng = np.random.default_rng(0)
    losses, target = rng.exponential(size=400), rng.normal(size=400)
    found = measured_score(losses, target, METRICS["neg_mean_squared_error"], seed=0)
    assert found.score == pytest.approx(-losses.mean())
    assert found.standard_error == pytest.approx(losses.std() / 20, rel=0.1)


def test_a_score_that_is_not_finite_promises_nothing() -> None:
    losses = np.array([0.5, np.nan, 0.25])
    metric = METRICS["neg_mean_squared_error"]
    assert measured_score(losses, np.zeros(3), metric, seed=0) == (None, None)
