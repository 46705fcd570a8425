"""Thresholds: by hand, all ways to decide, scikit-learn's own search among the same ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.model_selection import TunedThresholdClassifierCV

from ensembles.thresholds import best_threshold, candidates
from tests.ensembles.test_calibration import Says, problem

PROBA = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=15
)


def balance(y: NDArray[Any], decided: NDArray[Any]) -> float:
    """Hits less false alarms, without a division."""
    return float(np.sum(decided * (2 * y - 1)))


def test_a_threshold_by_hand() -> None:
    """The rows of class 1 have .4, .6 and .9: one false alarm at .5 is the least."""
    proba, y = np.array([0.1, 0.4, 0.5, 0.6, 0.9]), np.array([0, 1, 0, 1, 1])
    found = best_threshold(proba, y, accuracy_score)
    # As good as .25, with a miss instead, is .55, which is nearer to 1/2.
    assert found.value == pytest.approx(0.55)
    assert found.score == 0.8
    assert best_threshold(proba, y, f1_score) == pytest.approx((0.25, 6 / 7))


def test_of_equal_ones_the_nearest_to_a_half_is_taken_and_then_the_lower() -> None:
    proba, y = np.array([0.2, 0.4, 0.8]), np.array([0, 1, 0])
    assert best_threshold(proba, y, lambda _y, _decided: 1.0).value == pytest.approx(0.6)
    two = best_threshold(np.array([0.0, 0.5, 1.0]), y, lambda _y, _decided: -1.0)
    assert two == (0.25, -1.0)


def test_to_decide_for_one_class_everywhere_may_be_best() -> None:
    proba = np.array([0.0, 0.3, 1.0])
    assert best_threshold(proba, np.ones(3, dtype=int), accuracy_score) == (0.0, 1.0)
    never = best_threshold(proba, np.zeros(3, dtype=int), accuracy_score)
    assert never.score == 1
    assert not (proba >= never.value).any()


def test_means_of_many_members_may_round_to_a_little_more_than_1() -> None:
    proba = np.array([-1e-17, np.nextafter(1, 2)])
    assert best_threshold(proba, np.ones(2, dtype=int), accuracy_score) == (-1e-17, 1.0)
    never = best_threshold(proba, np.zeros(2, dtype=int), accuracy_score)
    assert never.value > proba[1]
    assert never.score == 1


@given(proba=PROBA)
def test_each_way_to_decide_is_tried_once(proba: list[float]) -> None:
    given_ = np.array(proba)
    ways = {tuple((given_ >= each).tolist()) for each in candidates(given_)}
    assert len(ways) == len(candidates(given_)) == len(set(proba)) + 1
    assert (np.diff(candidates(given_)) > 0).all()


@given(proba=PROBA, seed=st.integers(0, 99))
def test_no_threshold_is_better(proba: list[float], seed: int) -> None:
    given_, y = np.array(proba), np.random.default_rng(seed).integers(2, size=len(proba))
    found = best_threshold(given_, y, balance)
    every = [balance(y, (given_ >= each).astype(int)) for each in [*given_, np.inf]]
    assert found.score == max(every)
    assert found.score == balance(y, (given_ >= found.value).astype(int))


@pytest.mark.parametrize(
    ("name", "metric"),
    [("accuracy", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)],
)
@pytest.mark.parametrize("seed", range(3))
def test_scikit_learn_finds_the_same_score(name: str, metric: Any, seed: int) -> None:
    proba, y = problem(60, 2, seed)
    found = best_threshold(proba[:, 1], y, metric)
    search = TunedThresholdClassifierCV(
        FrozenEstimator(Says().fit(proba, y)),
        scoring=name,
        thresholds=candidates(proba[:, 1]),
        cv="prefit",
        refit=False,
    ).fit(proba, y)
    assert found.score == pytest.approx(search.best_score_)


def test_thresholds_without_a_score_are_not_taken() -> None:
    def precision(y: NDArray[Any], decided: NDArray[Any]) -> float:
        return float(y[decided == 1].mean()) if decided.any() else float("nan")

    proba, y = np.array([0.1, 0.4, 0.8]), np.array([0, 1, 0])
    assert best_threshold(proba, y, precision) == pytest.approx((0.25, 0.5))
    with pytest.raises(ValueError, match="NaN at every threshold"):
        best_threshold(proba, y, lambda _y, _decided: float("nan"))


@pytest.mark.parametrize(
    ("proba", "y", "message"),
    [
        ([[0.5, 0.5]], [0], r"\(rows,\) of class 1"),
        ([], [], r"\(rows,\) of class 1"),
        ([0.5, 1.5], [0, 1], "between 0 and 1"),
        ([0.5, np.nan], [0, 1], "between 0 and 1"),
        ([0.5, 0.5], [0, 2], "indices from 0 to 1"),
    ],
)
def test_what_cannot_be_decided_is_refused(proba: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_threshold(np.array(proba), np.array(y), accuracy_score)
