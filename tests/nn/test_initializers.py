"""Initial values: their spread, their independence, and what they do to deep networks."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.initializers import INITIALIZERS, find_initializer, initial_params
from hpo.nn.members import TrainingSettings
from hpo.nn.network import Stack, Workspace, forward, with_ones
from hpo.nn.training import train
from tests.nn.making import classifier, one_member, random_rows, regressor

INPUTS, OUTPUTS = 500, 200
DEVIATIONS = {
    "normal": 0.01,
    "normal:0.3": 0.3,
    "xavier_normal": np.sqrt(2 / (INPUTS + OUTPUTS)),
    "xavier_uniform": np.sqrt(2 / (INPUTS + OUTPUTS)),
    "xavier_inputs": np.sqrt(1 / INPUTS),
    "lecun_normal": np.sqrt(1 / INPUTS),
    "lecun_uniform": np.sqrt(1 / INPUTS),
    "he_normal": np.sqrt(2 / INPUTS),
    "he_uniform": np.sqrt(2 / INPUTS),
}


def drawn(name: str, inputs: int = INPUTS, outputs: int = OUTPUTS) -> Floats:
    weights: Floats = find_initializer(name)(np.random.default_rng(0), inputs, outputs)
    assert weights.shape == (inputs, outputs)
    assert weights.dtype == np.float32
    return weights


def test_every_initializer_is_tested_here() -> None:
    assert {*INITIALIZERS, "normal:0.3"} == {*DEVIATIONS, "zeros", "orthogonal"}


@pytest.mark.parametrize("name", sorted(DEVIATIONS))
def test_the_distribution_is_the_published_one(name: str) -> None:
    weights, deviation = drawn(name).astype(np.float64), DEVIATIONS[name]
    # Of n numbers, the mean is known to 1 / sqrt(n) deviations, the deviation to 1 / sqrt(2 n).
    assert weights.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * weights.size))
    assert abs(weights.mean()) < 4 * deviation / np.sqrt(weights.size)
    bound = np.sqrt(3) * deviation
    law = ("uniform", (-bound, 2 * bound)) if "uniform" in name else ("norm", (0, deviation))
    assert kstest(weights.ravel(), *law).pvalue > 0.001
    if "uniform" in name:
        assert np.abs(weights).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(("inputs", "outputs"), [(30, 12), (12, 30), (20, 20), (1, 5), (5, 1)])
def test_orthogonal_weights_are_orthonormal(inputs: int, outputs: int) -> None:
    weights = drawn("orthogonal", inputs, outputs).astype(np.float64)
    few = weights.T @ weights if inputs >= outputs else weights @ weights.T
    np.testing.assert_allclose(few, np.eye(min(inputs, outputs)), atol=1e-6)


def test_orthogonal_weights_have_no_preferred_sign() -> None:
    """LAPACK alone gives the first column one sign."""
    draw, rng = find_initializer("orthogonal"), np.random.default_rng(0)
    positive = np.mean([draw(rng, 4, 3) > 0 for _ in range(400)], axis=0)
    assert positive.shape == (4, 3)
    assert np.abs(positive - 0.5).max() < 0.1


def test_zeros_are_zeros() -> None:
    assert not drawn("zeros").any()


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "much", ""])
def test_a_deviation_must_be_a_number_above_0(value: str) -> None:
    with pytest.raises(ValueError, match=f"needs a number above 0, got 'normal:{value}'"):
        find_initializer(f"normal:{value}")


@pytest.mark.parametrize("name", ["he_norma", "he_normal:2", "zeros:0.1"])
def test_an_unknown_initializer_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown initializer '{name}': did you mean"):
        find_initializer(name)


def test_each_layer_starts_with_its_own_spread_and_neutral_rest() -> None:
    heads = (Head(3), Head(100, "squared_error"))
    architecture = Architecture(200, (50, 400), heads, batch_norm="before")
    params = initial_params(architecture, [3, 4])
    for layer in architecture.layers(params):
        assert layer.weights.std() == pytest.approx(np.sqrt(2 / layer.weights.shape[1]), rel=0.03)
        assert not layer.biases.any()
        assert not layer.shift.any()
        assert (layer.scale == 1).all()
    for moving in architecture.moving(params):
        assert not moving.mean.any()
        assert (moving.variance == 1).all()


def test_initial_values_belong_to_the_random_state_and_not_to_the_place() -> None:
    architecture = classifier(7, (5,), 2)
    many = initial_params(architecture, [1, (2, 3), 4])
    assert many[1].tobytes() == initial_params(architecture, [(2, 3)])[0].tobytes()
    assert len(np.unique(many[:, 0])) == 3


def test_members_of_one_stack_may_start_differently() -> None:
    architecture = classifier(7, (5,), 2)
    names = ("orthogonal", "zeros", "he_uniform")
    many = initial_params(architecture, [8, 8, 8], names)
    for member, name in enumerate(names):
        assert many[member].tobytes() == initial_params(architecture, [8], name)[0].tobytes()
    assert len(np.unique(many[:, 0])) == 3


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_from_zeros_the_units_of_a_layer_stay_equal(activation: str) -> None:
    architecture = classifier(4, (6, 5), 3, activation)
    rows = random_rows(architecture, 40)
    settings = TrainingSettings("sgd", epochs=5, batch_size=7, patience=None)
    params = {}
    for name in ("zeros", "he_normal"):
        start = one_member(learning_rate=0.5, initializer=name)
        params[name] = train(architecture, settings, start, rows, None).params
    first, second, last = architecture.layers(params["zeros"])
    assert last.biases.any()
    for layer in (first, second):
        assert (layer.weights == layer.weights[..., :1]).all()
        assert (layer.biases == layer.biases[..., :1]).all()
    different = architecture.layers(params["he_normal"])[0].weights
    assert (different != different[..., :1])[..., 1:].all()


def spreads(activation: str, initializer: str) -> list[Floats]:
    """Activations of 5 layers of 100 units for 1000 standard normal rows of 100 inputs."""
    architecture = regressor(100, (100,) * 5, activation=activation)
    stack = Stack(architecture, initial_params(architecture, [0], initializer))
    work = Workspace.allocate(stack, 1000)
    inputs = with_ones(np.random.default_rng(1).normal(size=(1000, 100)), np.float32)
    with np.errstate(over="ignore"):
        forward(stack, inputs, work)
    return [each[0, :, :-1].astype(np.float64) for each in work.hidden]


def test_wide_initial_values_saturate_sigmoids() -> None:
    for values in spreads("sigmoid", "normal:1"):
        assert np.mean((values < 0.05) | (values > 0.95)) > 0.5
        slopes = values * (1 - values)
        assert np.median(slopes) < 0.05


def test_narrow_initial_values_make_all_sigmoids_alike() -> None:
    deviations = [values.std() for values in spreads("sigmoid", "normal:0.01")]
    assert max(deviations[1:]) < 0.03
    # What one row differs in from another dies out.
    across_rows = [values.std(axis=0).mean() for values in spreads("sigmoid", "normal:0.01")]
    assert across_rows[4] < 1e-6 < across_rows[0]


@pytest.mark.parametrize("name", ["xavier_normal", "xavier_uniform", "xavier_inputs"])
@pytest.mark.parametrize(("activation", "least"), [("tanh", 0.3), ("sigmoid", 0.1)])
def test_xavier_keeps_the_spread(activation: str, least: float, name: str) -> None:
    layers = spreads(activation, name)
    low = {"tanh": -1, "sigmoid": 0}[activation]
    for values in layers:
        assert values.std() > least
        assert np.mean((values < low + 0.05) | (values > 0.95)) < 0.2


@pytest.mark.parametrize("name", ["he_normal", "he_uniform"])
def test_he_keeps_the_spread_of_relu_layers(name: str) -> None:
    # He et al. 2015: with variance 2 / inputs the mean square passes from layer to layer.
    for values in spreads("relu", name):
        assert np.mean(values**2) == pytest.approx(1.0, rel=0.6)  # 100 units vary much
    assert np.mean(spreads("relu", "xavier_inputs")[4] ** 2) < 0.1
    assert np.mean(spreads("relu", "normal")[4] ** 2) < 1e-6


def test_lecun_keeps_the_spread_of_selu_layers() -> None:
    """Klambauer et al. 2017: mean 0 and variance 1 pass from layer to layer."""
    for values in spreads("selu", "lecun_normal"):
        assert abs(values.mean()) < 0.1
        assert values.std() == pytest.approx(1, rel=0.1)


def test_orthogonal_layers_keep_lengths() -> None:
    inputs: Any = np.random.default_rng(1).normal(size=(1000, 100)).astype(np.float32)
    lengths = np.linalg.norm(inputs, axis=1)
    for values in spreads("identity", "orthogonal"):
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), lengths, rtol=1e-5)
