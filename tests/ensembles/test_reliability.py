"""Reliability: a diagram by hand, scikit-learn's calibration curve, what the error promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from ensembles.reliability import reliability
from tests.ensembles.test_calibration import problem


def test_a_diagram_by_hand() -> None:
    """Halves: .3, .5 (right once), then .6, .8, 1 (right twice); the label's own bin edge is low.

    Error: 2/5 |.5 - .4| + 3/5 |2/3 - .8|.
    """
    said = np.array([0.3, 0.5, 0.6, 0.8, 1.0])
    y = np.array([0, 1, 1, 0, 1])
    found = reliability(np.column_stack([1 - said, said]), y, bins=2, label=1)
    assert found.edges.tolist() == [0, 0.5, 1]
    np.testing.assert_allclose(found.probability, [0.4, 0.8])
    np.testing.assert_allclose(found.hits, [1 / 2, 2 / 3])
    assert found.count.tolist() == [2, 3]
    assert found.error == pytest.approx(2 / 5 * 0.1 + 3 / 5 * (0.8 - 2 / 3))


def test_the_top_class_by_hand() -> None:
    """Said .5 (right), .6 (wrong), .9 (right), in quarters: none below, two, one."""
    proba = np.array([[0.3, 0.2, 0.5], [0.6, 0.3, 0.1], [0.05, 0.9, 0.05]])
    found = reliability(proba, np.array([2, 1, 1]), bins=4)
    assert found.count.tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(found.probability, [np.nan, 0.5, 0.6, 0.9])
    np.testing.assert_allclose(found.hits, [np.nan, 1, 0, 1])
    assert found.error == pytest.approx((0.5 + 0.6 + 0.1) / 3)


@given(rows=st.integers(1, 60), bins=st.integers(1, 20), seed=st.integers(0, 999))
def test_scikit_learn_draws_the_same_curve(rows: int, bins: int, seed: int) -> None:
    proba, y = problem(rows, 2, seed)
    proba = np.round(proba, 1)  # some on the edges
    found = reliability(proba, y, bins, label=1)
    hits, probability = calibration_curve(y == 1, proba[:, 1], n_bins=bins, pos_label=True)
    there = found.count > 0
    np.testing.assert_allclose(found.hits[there], hits)
    np.testing.assert_allclose(found.probability[there], probability)
    assert found.count.sum() == rows
    assert np.isnan(found.hits[~there]).all()


@given(seed=st.integers(0, 99), classes=st.integers(2, 4))
def test_one_bin_compares_the_means(seed: int, classes: int) -> None:
    proba, y = problem(40, classes, seed)
    accuracy, sureness = np.mean(proba.argmax(axis=1) == y), proba.max(axis=1).mean()
    assert reliability(proba, y, bins=1).error == pytest.approx(abs(accuracy - sureness))


def test_who_is_sure_and_right_makes_no_error() -> None:
    y = np.arange(9) % 3
    assert reliability(np.eye(3)[y], y).error == 0
    assert reliability(np.eye(3)[y], (y + 1) % 3).error == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"bins": 0}, "at least 1, got 0"), ({"label": 2}, "from 0 to 1, got 2")],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, int], message: str) -> None:
    proba, y = problem(10, 2, 0)
    with pytest.raises(ValueError, match=message):
        reliability(proba, y, **options)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        reliability(np.empty((0, 2)), np.empty(0, dtype=int))
