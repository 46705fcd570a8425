"""Activations against closed forms in float64, and what is published about them."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, log_expit, ndtr
from scipy.stats import norm

from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Floats
from hpo.nn.gradients import gradient_check
from hpo.nn.members import TrainingSettings
from hpo.nn.training import train
from tests.nn.making import one_member, random_rows, regressor

SELU = (1.0507009873554805, 1.6732632423543772)
GRID = np.linspace(-12, 12, 1000)  # without 0, where some have no derivative

Curve = Callable[[Any], Any]


def rectified(z: Any, below: Any) -> Any:
    return np.where(z.real > 0, z, below)


ANALYTIC: dict[str, Curve] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: rectified(z, 0 * z),
    "leaky_relu": lambda z: rectified(z, 0.01 * z),
    "elu": lambda z: rectified(z, np.exp(z) - 1),
    "selu": lambda z: SELU[0] * rectified(z, SELU[1] * (np.exp(z) - 1)),
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "mish": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
}
"""Closed forms that take complex numbers too."""

trainable = pytest.mark.parametrize("name", sorted(ANALYTIC))
moderate = st.floats(-30, 30).map(lambda z: np.array([[z]]))


def applied(name: str, z: Any) -> Floats:
    values: Floats = np.array(z)
    out = np.empty_like(values) if ACTIVATIONS[name].from_input else values
    ACTIVATIONS[name].apply(values, out)
    return out


def derivative(name: str, z: Any) -> Floats:
    kept: Floats = np.array(z) if ACTIVATIONS[name].from_input else applied(name, z)
    delta = np.ones_like(kept)
    ACTIVATIONS[name].inplace_derivative(kept, delta, np.full_like(kept, np.nan))
    return delta


def test_every_activation_has_a_closed_form_here() -> None:
    assert set(ACTIVATIONS) == {*ANALYTIC, "step"}
    assert [name for name, each in ACTIVATIONS.items() if not each.trainable] == ["step"]


@trainable
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_values_are_those_of_the_closed_form(name: str, dtype: Any, error: float) -> None:
    z = GRID.astype(dtype)
    expected = ANALYTIC[name](z.astype(np.float64))
    np.testing.assert_allclose(applied(name, z), expected, rtol=error, atol=error)
    assert applied(name, z).dtype == dtype


@trainable
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 3e-6)])
def test_derivatives_are_those_of_complex_steps(name: str, dtype: Any, error: float) -> None:
    # f(z + ih) = f(z) + ih f'(z) - ...: nothing is subtracted, so nothing is lost.
    z = GRID.astype(dtype)
    expected = ANALYTIC[name](z.astype(np.float64) + 1e-30j).imag / 1e-30
    np.testing.assert_allclose(derivative(name, z), expected, rtol=error, atol=error)
    assert derivative(name, z).dtype == dtype


@trainable
def test_a_derivative_multiplies_what_comes_from_above(name: str) -> None:
    delta, scratch = np.linspace(-3, 2, len(GRID)), np.empty_like(GRID)
    expected = delta * derivative(name, GRID)
    kept = GRID.copy() if ACTIVATIONS[name].from_input else applied(name, GRID)
    ACTIVATIONS[name].inplace_derivative(kept, delta, scratch)
    np.testing.assert_allclose(delta, expected, rtol=1e-12)


@trainable
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_rows_of_a_buffer_are_taken_as_they_are(name: str, dtype: Any) -> None:
    """As in a short last batch: (members, rows, units + 1) of which the first rows count."""
    for members, rows, units in product((1, 2, 3, 5), (2, 4, 8), (1, 3, 4, 7)):
        buffer = np.random.default_rng(0).normal(size=(members, rows, units + 1)).astype(dtype)
        for first in {1, rows // 2, rows - 1}:
            z = buffer.copy()[:, :first]
            values, slopes = applied(name, z.copy()), derivative(name, z.copy())
            out = np.zeros_like(buffer)[:, :first] if ACTIVATIONS[name].from_input else z
            kept = z if ACTIVATIONS[name].from_input else out
            delta, scratch = (np.ones_like(buffer)[:, :first] for _ in range(2))
            ACTIVATIONS[name].apply(z, out)
            np.testing.assert_allclose(out, values, rtol=1e-5, atol=1e-7)
            ACTIVATIONS[name].inplace_derivative(kept, delta, scratch)
            np.testing.assert_allclose(delta, slopes, rtol=1e-5, atol=1e-7)


def test_scipy_gives_the_same() -> None:
    np.testing.assert_allclose(applied("sigmoid", GRID), expit(GRID), rtol=1e-12)
    np.testing.assert_allclose(applied("silu", GRID), GRID * expit(GRID), rtol=1e-12)
    np.testing.assert_allclose(applied("softplus", GRID), -log_expit(-GRID), rtol=1e-12)
    # Hendrycks & Gimpel 2016: the tanh form approximates z * P(Z <= z).
    np.testing.assert_allclose(applied("gelu", GRID), GRID * ndtr(GRID), atol=5e-4)


@given(moderate)
def test_symmetries(z: Floats) -> None:
    np.testing.assert_allclose(applied("sigmoid", z) + applied("sigmoid", -z), 1)
    np.testing.assert_allclose(applied("tanh", -z), -applied("tanh", z))
    for name in ("relu", "gelu", "silu", "softplus"):
        # Each is z times something that adds up to 1 with its mirror image, or its integral.
        np.testing.assert_allclose(applied(name, z) - applied(name, -z), z, atol=1e-12)


def test_the_sigmoid_is_steepest_at_0_with_a_quarter() -> None:
    z = np.linspace(-5, 5, 10001)
    slopes = derivative("sigmoid", z)
    assert slopes.max() == 0.25
    assert z[slopes.argmax()] == 0


def test_selu_keeps_mean_0_and_variance_1() -> None:
    """Klambauer et al. 2017: of a standard normal, the fixed point of the two moments."""

    def moment(power: int) -> float:
        def part(z: float) -> float:
            return float(applied("selu", [z])[0] ** power * norm.pdf(z))

        return float(quad(part, -20, 0)[0] + quad(part, 0, 20)[0])

    assert moment(1) == pytest.approx(0, abs=1e-7)
    assert moment(2) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_does_not_overflow(dtype: Any) -> None:
    with np.errstate(over="raise", invalid="raise"):
        z = np.array([-1e30, -1000, 0, 1000, 1e30], dtype=dtype)
        np.testing.assert_allclose(applied("softplus", z), [0, 0, np.log(2), 1000, 1e30])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e3, 1e12, 1e18])
@trainable
def test_large_arguments_give_the_limits(name: str, size: float, dtype: Any) -> None:
    below, above = np.array([-size], dtype), np.array([size], dtype)
    bounded = {"sigmoid": (0, 1), "tanh": (-1, 1)}
    floors = {"identity": -size, "leaky_relu": -0.01 * size, "elu": -1, "selu": -SELU[0] * SELU[1]}
    slopes = {"identity": (1, 1), "leaky_relu": (0.01, 1), "sigmoid": (0, 0), "tanh": (0, 0)}
    top = SELU[0] if name == "selu" else 1
    low, high = bounded.get(name, (floors.get(name, 0), top * size))
    falling, rising = slopes.get(name, (0, top))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(applied(name, [below, above]).ravel(), [low, high], rtol=1e-6)
        found = derivative(name, [below, above]).ravel()
    np.testing.assert_allclose(found, [falling, rising], rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_derivative_of_relu_at_0_is_0(dtype: Any) -> None:
    z = np.array([[-1.0, -0.0, 0.0, np.finfo(dtype).tiny, 1.0]] * 3, dtype=dtype)
    assert derivative("relu", z).tolist() == [[0, 0, 0, 1, 1]] * 3


def test_a_step_is_0_or_1() -> None:
    z = np.array([[-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0]])
    assert applied("step", z).tolist() == [[0, 0, 0, 0, 1, 1]]


def test_the_gradient_check_refuses_a_step() -> None:
    with pytest.raises(ValueError, match="step has no derivative that could train"):
        gradient_check(regressor(2, (3,), activation="step"))


def test_training_through_a_step_is_refused() -> None:
    architecture = regressor(2, (3,), activation="step")
    rows = random_rows(architecture, 8)
    settings = TrainingSettings(epochs=1, patience=None)
    with pytest.raises(ValueError, match="step"):
        train(architecture, settings, one_member(), rows, None)


def test_behind_frozen_steps_the_last_layer_trains() -> None:
    """The perceptron with fixed associators (Rosenblatt 1958)."""
    architecture = regressor(2, (9,), activation="step")
    rows = random_rows(architecture, 8)
    settings = TrainingSettings(epochs=60, patience=None, frozen_layers=1)
    trained = train(architecture, settings, one_member(learning_rate=0.1), rows, None)
    assert trained.curves["train_loss"][0, -1] < 0.5 * trained.curves["train_loss"][0, 0]
