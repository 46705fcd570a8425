"""Losses and their output activations against SciPy, scikit-learn and numbers by hand."""

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, huber, log_softmax, softmax
from sklearn.metrics import log_loss, mean_squared_error

from hpo.nn.architecture import Architecture, Head
from hpo.nn.losses import (
    LOSSES,
    Target,
    binary_cross_entropy,
    cross_entropy,
    inplace_sigmoid,
    inplace_softmax,
    one_hot,
    smoothed,
    squared_error,
)
from hpo.nn.measuring import row_losses

RNG = np.random.default_rng(1)


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


@given(st.floats(-50, 50), st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_softmax_forgets_what_all_classes_share(shift: float, logits: list[float]) -> None:
    z = np.array([[logits]])
    moved = z + shift
    inplace_softmax(z)
    inplace_softmax(moved)
    np.testing.assert_allclose(moved, z, rtol=1e-9, atol=1e-12)
    assert z.sum() == pytest.approx(1)


def test_cross_entropy_equals_scikit_learn() -> None:
    logits, labels = RNG.normal(size=(3, 50, 4)), RNG.integers(4, size=50)
    losses = cross_entropy(softmax(logits, axis=2), labels)
    expected = [log_loss(labels, softmax(z, axis=1), labels=range(4)) for z in logits]
    np.testing.assert_allclose(losses.mean(axis=1), expected)
    by_hand = -log_softmax(logits, axis=2)[:, np.arange(50), labels]
    np.testing.assert_allclose(losses, by_hand)


def test_cross_entropy_of_distributions_is_a_mean_over_classes() -> None:
    logits, labels = RNG.normal(size=(2, 9, 3)), RNG.integers(3, size=9)
    p, wanted = softmax(logits, axis=2), RNG.dirichlet([1, 1, 1], size=(2, 9))
    np.testing.assert_allclose(cross_entropy(p, wanted), -(wanted * np.log(p)).sum(axis=2))
    np.testing.assert_allclose(cross_entropy(p, np.eye(3)[labels]), cross_entropy(p, labels))


def test_hopeless_probability_keeps_the_loss_finite() -> None:
    certain = np.array([[[1.0, 0.0]]], dtype=np.float32)
    assert cross_entropy(certain, np.array([1])) == pytest.approx(-np.log(2.0**-126))
    assert cross_entropy(certain, np.array([[0.0, 1.0]])) == pytest.approx(-np.log(2.0**-126))


def test_sigmoid_equals_scipy() -> None:
    z = RNG.normal(scale=10, size=(2, 5, 3))
    ours = z.copy()
    inplace_sigmoid(ours)
    np.testing.assert_allclose(ours, expit(z), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activate", ["inplace_sigmoid", "inplace_softmax"])
def test_predictions_are_right_in_any_layout(activate: str, dtype: Any) -> None:
    """The outputs of a network are strided views, those of a short last batch most of all.

    NumPy 2.4's ``negative`` in place reads as if there were no strides if they are 16 bytes.
    """
    expected = {"inplace_sigmoid": expit, "inplace_softmax": partial(softmax, axis=2)}[activate]
    for outputs, members, rows in product((1, 2, 5), (1, 2, 3, 7), range(1, 10)):
        buffer = np.ones((outputs, members + 1, rows), dtype)[:, :members].transpose(1, 2, 0)
        for first in range(1, rows + 1):
            z = buffer[:, :first]
            z[...] = RNG.normal(size=z.shape)
            wanted = expected(z.copy())
            {"inplace_sigmoid": inplace_sigmoid, "inplace_softmax": inplace_softmax}[activate](z)
            np.testing.assert_allclose(z, wanted, rtol=1e-5, err_msg=f"{z.shape} {z.strides}")


def test_binary_cross_entropy_equals_scikit_learn() -> None:
    p, labels = expit(RNG.normal(size=(3, 40, 2))), RNG.integers(2, size=(40, 2))
    losses = binary_cross_entropy(p, labels)
    for member in range(3):
        each = [log_loss(labels[:, k], p[member, :, k]) for k in (0, 1)]
        assert losses[member].mean() == pytest.approx(sum(each))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hopeless_binary_probabilities_keep_the_loss_finite(dtype: Any) -> None:
    p, target = (
        np.array([[[0.0], [1.0], [0.0], [1.0]]], dtype=dtype),
        np.array([[1], [0], [0], [1]]),
    )
    losses = binary_cross_entropy(p, target)[0]
    np.testing.assert_allclose(losses[:2], -np.log(np.finfo(dtype).eps / 2))
    np.testing.assert_allclose(losses[2:], 0, atol=1e-7)


def test_squared_error_is_half_the_sum_of_squares() -> None:
    values, target = RNG.normal(size=(3, 20, 2)), RNG.normal(size=(20, 2))
    losses = squared_error(values, target)
    for member in range(3):
        each = mean_squared_error(target, values[member], multioutput="raw_values")
        assert losses[member].mean() == pytest.approx(each.sum() / 2)


def test_a_large_error_is_squared_in_float64() -> None:
    # In float32 its square would be infinite, and the member would count as diverged.
    loss = squared_error(np.full((1, 3, 1), 1e20, np.float32), np.zeros((3, 1), np.float32))
    np.testing.assert_allclose(loss, [[0.5e40] * 3], rtol=1e-6)


def test_huber_equals_scipy() -> None:
    values, target = RNG.normal(scale=2, size=(3, 20, 2)), RNG.normal(size=(20, 2))
    expected = huber(1.0, values - target).sum(axis=2)
    np.testing.assert_allclose(LOSSES["huber"].row_loss(values, target), expected)


def test_huber_does_not_overflow() -> None:
    values = np.array([[[3e38], [-3e38]]], dtype=np.float32)
    with np.errstate(over="raise"):
        losses = LOSSES["huber"].row_loss(values, np.zeros((2, 1)))
    np.testing.assert_allclose(losses, [[3e38, 3e38]], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_has_the_shape_members_by_rows(name: str) -> None:
    target: Target = np.zeros(5, dtype=int) if name == "cross_entropy" else np.zeros((5, 2))
    assert LOSSES[name].row_loss(np.full((3, 5, 2), 0.5), target).shape == (3, 5)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_delta_is_the_derivative_by_the_pre_activations(name: str) -> None:
    loss, rng = LOSSES[name], np.random.default_rng(4)
    z = rng.normal(scale=2, size=(1, 6, 3))
    target: Target = rng.integers(2, size=6 if name == "cross_entropy" else (6, 3))

    def value(z: Any) -> Any:
        z = z.copy()
        loss.activate_inplace(z)
        return loss.row_loss(z, target)[0]

    delta = z.copy()
    loss.activate_inplace(delta)
    loss.inplace_delta(delta, target)
    for output in range(3):
        move = 1e-6 * np.eye(3)[output]
        expected = (value(z + move) - value(z - move)) / 2e-6
        np.testing.assert_allclose(delta[0, :, output], expected, atol=1e-8)


def test_label_smoothing_by_hand() -> None:
    found = smoothed(one_hot(np.array([0, 2]), 3, np.float64), np.array([0.0, 0.3]))
    assert found[0].tolist() == [[1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(found[1], [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])


def test_full_smoothing_knows_no_class() -> None:
    found = smoothed(one_hot(np.array([1]), 4, np.float64), np.ones(1))
    np.testing.assert_allclose(found, np.full((1, 1, 4), 0.25))


def test_heads_losses_are_added_with_their_weights() -> None:
    heads = (Head(3, weight=0.5), Head(2, "squared_error", 3.0), Head(1, "huber"))
    architecture = Architecture(2, (), heads)
    prediction = RNG.uniform(0.1, 1, size=(2, 5, 6))
    classes, values, one = RNG.integers(3, size=5), RNG.normal(size=(5, 2)), np.zeros((5, 1))
    found = row_losses(architecture, prediction, (classes, values, one))
    for member, row in np.ndindex(2, 5):
        p = prediction[member, row]
        squares = (p[3] - values[row, 0]) ** 2 + (p[4] - values[row, 1]) ** 2
        expected = -0.5 * np.log(p[classes[row]]) + 3.0 * squares / 2 + p[5] ** 2 / 2
        assert found[member, row] == pytest.approx(expected)
