"""Losses and their output activations against SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss, mean_squared_error

from hpo.nn.losses import LOSSES, cross_entropy, inplace_softmax, squared_error


@pytest.mark.parametrize("classes", [1, 2, 3, 10, 101])
def test_softmax_equals_scipy(classes: int) -> None:
    z = np.random.default_rng(0).normal(scale=30, size=(4, 6, classes))
    ours = z.copy()
    inplace_softmax(ours)
    np.testing.assert_allclose(ours, softmax(z, axis=2), rtol=1e-12)


def test_softmax_of_huge_values_is_finite() -> None:
    z = np.array([[[1e30, -1e30, 1e30]]], dtype=np.float32)
    inplace_softmax(z)
    np.testing.assert_allclose(z, [[[0.5, 0.0, 0.5]]])


def test_cross_entropy_equals_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(3, 50, 4)), rng.integers(4, size=50)
    values = cross_entropy(softmax(logits, axis=2), labels)
    expected = [log_loss(labels, softmax(z, axis=1), labels=range(4)) for z in logits]
    np.testing.assert_allclose(values, expected)
    by_hand = -log_softmax(logits, axis=2)[:, np.arange(50), labels].mean(axis=1)
    np.testing.assert_allclose(values, by_hand)


def test_hopeless_probability_keeps_the_loss_finite() -> None:
    certain = np.array([[[1.0, 0.0]]], dtype=np.float32)
    assert cross_entropy(certain, np.array([1])) == pytest.approx(-np.log(2.0**-126))


def test_squared_error_is_half_the_mean_square() -> None:
    rng = np.random.default_rng(2)
    values, target = rng.normal(size=(3, 20, 1)), rng.normal(size=(20, 1))
    expected = [mean_squared_error(target, member) / 2 for member in values]
    np.testing.assert_allclose(squared_error(values, target), expected)


def test_a_large_error_is_squared_in_float64() -> None:
    # In float32 its square would be infinite, and the member would count as diverged.
    loss = squared_error(np.full((1, 3, 1), 1e20, np.float32), np.zeros((3, 1), np.float32))
    np.testing.assert_allclose(loss, [0.5e40], rtol=1e-6)


def test_every_loss_has_the_shape_members() -> None:
    for name, loss in LOSSES.items():
        target = np.zeros(5, dtype=int) if name == "cross_entropy" else np.zeros((5, 2))
        prediction = np.full((3, 5, 2), 0.5)
        assert loss.value(prediction, target).shape == (3,)
