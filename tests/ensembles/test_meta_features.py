"""What meta-models see: columns by hand, clipping, sums, two classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembles.losses import LogLoss, SquaredLoss
from ensembles.meta_features import CLIP, KINDS, log_odds, meta_features
from tests.ensembles.test_weights import problem


def test_of_two_classes_the_second_one_is_seen() -> None:
    """Two members, two rows."""
    predictions = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.8, 0.2], [0.3, 0.7]]])
    found = meta_features(predictions, "proba", classes=True)
    assert found.tolist() == [[0.1, 0.2], [0.6, 0.7]]


def test_of_more_classes_all_are_seen_member_by_member() -> None:
    predictions = np.array([[[0.5, 0.3, 0.2]], [[0.1, 0.2, 0.7]]])
    found = meta_features(predictions, "proba", classes=True)
    assert found.tolist() == [[0.5, 0.3, 0.2, 0.1, 0.2, 0.7]]


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_what_they_are(kind: str) -> None:
    """Two outputs are no two classes."""
    values = np.array([[[1.0, -2.0]], [[3.0, 40.0]]])
    found = meta_features(values, kind, classes=False)  # type: ignore[arg-type]
    assert found.tolist() == [[1, -2, 3, 40]]


def test_log_odds_by_hand() -> None:
    """Of two classes log(3 / 1); of three log 4, log 2, log 2 less their mean, log(16) / 3."""
    np.testing.assert_allclose(log_odds(np.array([[0.25, 0.75]])), [[np.log(3)]])
    found = log_odds(np.array([[0.5, 0.25, 0.25]]))
    expected = np.log([2, 1, 1]) - np.log(2) / 3
    np.testing.assert_allclose(found, [expected])


def test_certainty_is_clipped() -> None:
    limit = np.log((1 - CLIP) / CLIP)
    sure = np.array([[0.0, 1.0], [1.0, 0.0], [CLIP, 1 - CLIP], [CLIP / 9, 1 - CLIP / 9]])
    np.testing.assert_allclose(log_odds(sure)[:, 0], [limit, -limit, limit, limit])
    three = log_odds(np.array([[1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(three[0, 0] - three[0, 1], limit)


@given(seed=st.integers(0, 99), rows=st.integers(1, 10))
def test_centred_logarithms_add_up_to_0_and_keep_differences(seed: int, rows: int) -> None:
    proba = np.clip(problem(LogLoss(), 2, rows, seed)[0], 0.01, None)
    proba /= proba.sum(axis=-1, keepdims=True)
    found = log_odds(proba)
    np.testing.assert_allclose(found.sum(axis=-1), 0, atol=1e-12)
    logs = np.log(proba)
    np.testing.assert_allclose(found[..., 1:] - found[..., :1], logs[..., 1:] - logs[..., :1])


@given(share=st.floats(0.001, 0.999))
def test_log_odds_change_their_sign_with_the_classes(share: float) -> None:
    one, other = log_odds(np.array([[share, 1 - share], [1 - share, share]]))[:, 0]
    assert one == pytest.approx(-other, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [True, False])
def test_a_member_has_the_same_columns_whoever_is_beside_it(kind: str, classes: bool) -> None:
    predictions, _ = problem(LogLoss() if classes else SquaredLoss(), 3, 7, 0)
    whole = meta_features(predictions, kind, classes=classes)  # type: ignore[arg-type]
    parts = [meta_features(predictions[[each]], kind, classes=classes) for each in range(3)]  # type: ignore[arg-type]
    np.testing.assert_array_equal(whole, np.hstack(parts))
