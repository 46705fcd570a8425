"""Update rules against hand-worked numbers, plain loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from hpo.nn.optimizers import OPTIMIZERS, adam, inplace_weight_decay, sgd


def test_sgd_by_hand() -> None:
    params = np.array([[1.0, 2.0], [1.0, 2.0]])
    sgd().update_inplace(params, np.array([[0.5, -1.0]] * 2), (), 1, np.array([0.1, 1.0]))
    np.testing.assert_allclose(params, [[0.95, 2.1], [0.5, 3.0]])


def test_first_adam_step_is_the_learning_rate() -> None:
    # m / (1 - beta1) = g and v / (1 - beta2) = g * g, so the first step is lr * sign(g).
    params = np.zeros((1, 3))
    optimizer = adam()
    gradient = np.array([[3.0, -0.2, 1e3]])
    optimizer.update_inplace(params, gradient, optimizer.init(params), 1, np.array([0.01]))
    np.testing.assert_allclose(params, [[-0.01, 0.01, -0.01]], rtol=1e-6)


def test_eps_stands_beside_the_corrected_root() -> None:
    # Algorithm 1, not the variant at the end of its section 2: g / (|g| + eps) is 1/2 for g = eps.
    params, optimizer = np.zeros((1, 1)), adam(eps=1e-8)
    state = optimizer.init(params)
    for step in (1, 2):
        optimizer.update_inplace(params, np.array([[1e-8]]), state, step, np.array([0.01]))
    np.testing.assert_allclose(params, [[-0.01]], rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_update_equals_scikit_learn(name: str) -> None:
    rng = np.random.default_rng(0)
    rates = np.array([0.3, 0.001])
    ours = rng.normal(size=(2, 11))
    theirs = [row.copy() for row in ours]
    peers = [
        AdamOptimizer([row], learning_rate_init=rate)
        if name == "adam"
        else SGDOptimizer([row], learning_rate_init=rate, momentum=0.0, nesterov=False)
        for row, rate in zip(theirs, rates, strict=True)
    ]
    optimizer = OPTIMIZERS[name]()
    state = optimizer.init(ours)
    for step in range(1, 41):
        gradients = rng.normal(size=ours.shape) * 10.0 ** rng.integers(-4, 4)
        for peer, row, gradient in zip(peers, theirs, gradients, strict=True):
            peer.update_params([row], [gradient])
        optimizer.update_inplace(ours, gradients.copy(), state, step, rates)
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.95), ("adam", 0.3)])
def test_path_on_the_narrow_valley(name: str, rate: float) -> None:
    """x²/20 + y² from (-7, 2): SGD swings across the valley at every step, Adam hardly does."""
    params = np.array([[-7.0, 2.0]])
    optimizer = OPTIMIZERS[name]()
    state = optimizer.init(params)
    heights = [2.0]
    for step in range(1, 31):
        gradient = params * np.array([0.1, 2.0])
        optimizer.update_inplace(params, gradient, state, step, np.array([rate]))
        heights.append(params[0, 1])
    swings = int(np.sum(np.diff(np.sign(heights)) != 0))
    assert swings == 30 if name == "sgd" else swings <= 5
    assert abs(heights[-1]) < 0.5


def test_weight_decay_by_hand() -> None:
    weights = np.array([[1.0, -2.0], [4.0, 8.0]])
    inplace_weight_decay(weights, np.array([0.1, 0.01]), np.array([1.0, 10.0]))
    np.testing.assert_allclose(weights, [[0.9, -1.8], [3.6, 7.2]])
