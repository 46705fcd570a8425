"""The backward pass against central differences in float64, and the check against wrong ones."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from hpo.nn import gradients, network, normalization
from hpo.nn.activations import ACTIVATIONS
from hpo.nn.architecture import Architecture, BatchNorm, Floats, Head, Layer
from hpo.nn.gradients import (
    TOLERANCE,
    Batch,
    analytic_gradient,
    compare,
    gradient_check,
    locate,
    mean_loss,
    numerical_gradient,
)
from hpo.nn.losses import LOSSES
from hpo.nn.measuring import shares_of
from hpo.nn.network import (
    Stack,
    TrainingPass,
    Workspace,
    backward,
    forward,
    inplace_output_delta,
    with_ones,
)
from tests.nn.making import classifier, random_rows, regressor
from tests.nn.plain import CURVES, differences, losses_of, outputs_of, unpack

HEADS = {
    "cross_entropy": (Head(3),),
    "binary_cross_entropy": (Head(2, "binary_cross_entropy"),),
    "squared_error": (Head(2, "squared_error"),),
    "huber": (Head(2, "huber"),),
    "mixed": (
        Head(3, weight=0.5),
        Head(1, "huber", 2.0),
        Head(2, "binary_cross_entropy"),
        Head(1, "squared_error", 0.25),
    ),
}
WEIGHTS = np.array([[1.0, 0.0, 2.0, 0.5, 0.0, 1.0, 3.0], [0.0, 1.0, 1.0, 0.0, 4.0, 0.1, 1.0]])
ALL: dict[str, Any] = {
    "l1": 0.01,
    "l2": 0.02,
    "dropout": 0.4,
    "label_smoothing": 0.1,
    "weights": WEIGHTS,
}
NORMS: tuple[BatchNorm, ...] = ("none", "before", "after")


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("activation", [name for name, a in ACTIVATIONS.items() if a.trainable])
def test_backward_equals_central_differences(activation: str, heads: str) -> None:
    for batch_norm in NORMS:
        architecture = Architecture(3, (5, 4), HEADS[heads], activation, batch_norm)
        for settings in ({}, ALL):
            report = gradient_check(architecture, **settings)
            assert report.error < 1e-6, (batch_norm, sorted(settings), str(report))
            assert report.passed


@pytest.mark.parametrize("batch_norm", NORMS)
@pytest.mark.parametrize("hidden", [(), (1,), (6,), (5, 4, 3, 2)])
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_any_shape_has_the_right_gradient(
    hidden: tuple[int, ...], n_outputs: int, batch_norm: BatchNorm
) -> None:
    for make in (classifier, regressor):
        architecture = make(1, hidden, n_outputs, "tanh", batch_norm)
        report = gradient_check(architecture, members=3, random_state=len(hidden))
        assert report.passed, str(report)


def test_the_seed_decides_what_is_checked() -> None:
    architecture = classifier(3, (4,), 2, "tanh")
    reports = [gradient_check(architecture, random_state=seed) for seed in (0, 0, 1)]
    assert reports[0] == reports[1] != reports[2]


def test_the_users_rows_are_checked() -> None:
    architecture = Architecture(2, (3,), (Head(2), Head(1, "huber")), "gelu")
    X, classes = [[1e3, 0.0], [0.0, 1.0]], np.array([1, 0])
    report = gradient_check(architecture, X, (classes, np.array([[0.1], [50.0]])), weights=[1, 3])
    assert report.passed, str(report)
    steep = gradient_check(architecture, X, (classes, np.array([[0.1], [50.0]])), weights=[0, 3])
    assert steep.analytic != report.analytic


def random_stack(architecture: Architecture, members: int = 2) -> Stack:
    params = np.random.default_rng(5).normal(size=(members, architecture.n_params))
    for moving in architecture.moving(params):
        moving.variance[...] = 1
    return Stack(architecture, params)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("batch_norm", NORMS)
def test_the_gradient_is_that_of_a_plain_network(heads: str, batch_norm: BatchNorm) -> None:
    """Central differences of a network that shares no code with the one that is checked."""
    architecture = Architecture(3, (4, 2), HEADS[heads], "tanh", batch_norm)
    stack, rows = random_stack(architecture), random_rows(architecture, 7, dtype=np.float64)
    batch = Batch(rows.X, rows.targets, WEIGHTS, l1=[0.0, 0.3], l2=[0.1, 0.2])
    found = analytic_gradient(stack, batch)
    n = architecture.n_trainable
    for member, (l1, l2) in enumerate([(0.0, 0.1), (0.3, 0.2)]):
        rest, shares = stack.params[member, n:], WEIGHTS[member] / WEIGHTS[member].sum()

        def loss(
            flat: Any, rest: Any = rest, shares: Any = shares, l1: float = l1, l2: float = l2
        ) -> float:
            layers = unpack(architecture, np.concatenate([flat, rest]))
            outputs = outputs_of(architecture, layers, rows.X, shares)
            weights = [layer.weights for layer in layers]
            penalty = sum(l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum() for w in weights)
            return float(shares @ losses_of(architecture, outputs, rows.targets) + penalty)

        flat = stack.params[member, :n].astype(np.float64)
        assert mean_loss(stack, batch)[member] == pytest.approx(loss(flat), rel=1e-12)
        np.testing.assert_allclose(found[member], differences(loss, flat), rtol=1e-6, atol=1e-8)


def test_a_tiny_network_by_hand() -> None:
    # x = 2; z = 1.5 * 2 - 1 = 2 = h; y = 3 * 2 + 1 = 7; with the target 4 the delta is 3.
    architecture = regressor(1, (1,))
    stack = Stack(architecture, np.array([[1.5, -1.0, 3.0, 1.0]]))
    batch = Batch(np.array([[2.0]]), (np.array([[4.0]]),))
    assert mean_loss(stack, batch).tolist() == [4.5]
    # dy/dh = 3, so below it is 9: times x for the weight, times 1 for the bias.
    assert analytic_gradient(stack, batch).tolist() == [[18, 9, 6, 3]]
    np.testing.assert_allclose(numerical_gradient(stack, batch), [[18, 9, 6, 3]], rtol=1e-9)


def test_penalties_by_hand() -> None:
    architecture = regressor(1, ())
    stack = Stack(architecture, np.array([[-2.0, 5.0], [-2.0, 5.0]]))
    batch = Batch(np.array([[0.0]]), (np.array([[5.0]]),), l1=[0.1, 0.0], l2=[0.0, 0.3])
    np.testing.assert_allclose(mean_loss(stack, batch), [0.2, 0.6])
    np.testing.assert_allclose(analytic_gradient(stack, batch), [[-0.1, 0], [-0.6, 0]])
    numerical = numerical_gradient(stack, batch)
    np.testing.assert_allclose(numerical, [[-0.1, 0], [-0.6, 0]], rtol=1e-6, atol=1e-9)


def test_softmax_regression_has_the_closed_form() -> None:
    architecture = classifier(4, (), 3)
    stack, rows = random_stack(architecture), random_rows(architecture, 9, dtype=np.float64)
    found = analytic_gradient(stack, Batch(rows.X, rows.targets))
    for member in range(2):
        W, b = stack.params[member, :12].reshape(4, 3), stack.params[member, 12:]
        delta = (softmax(rows.X @ W + b, axis=1) - np.eye(3)[rows.targets[0]]) / 9
        expected = np.concatenate([(rows.X.T @ delta).ravel(), delta.sum(axis=0)])
        np.testing.assert_allclose(found[member], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_norm", NORMS)
def test_a_member_without_rows_has_no_gradient(batch_norm: BatchNorm) -> None:
    architecture = classifier(3, (4,), 2, "tanh", batch_norm)
    stack, rows = random_stack(architecture), random_rows(architecture, 7, dtype=np.float64)
    found = analytic_gradient(stack, Batch(rows.X, rows.targets, WEIGHTS * [[0], [1]]))
    assert not found[0].any()
    assert found[1].any()


def wrong_for_unit(unit: int, factor: float) -> Any:
    """The derivative of tanh, but for one unit."""

    def derivative(a: Floats, delta: Floats, _scratch: Floats) -> None:
        delta *= 1 - a * a
        delta[..., unit] *= factor

    return derivative


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.0001, 2.0])
def test_a_wrong_derivative_is_found_where_it_is(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    tanh = ACTIVATIONS["tanh"]
    wrong = tanh._replace(inplace_derivative=wrong_for_unit(2, factor))
    monkeypatch.setitem(ACTIVATIONS, "tanh", wrong)
    report = gradient_check(classifier(3, (4,), 2, "tanh"))
    assert not report.passed
    assert (report.layer, report.index[-1]) == (0, 2)
    assert report.part in ("weights", "biases")
    assert report.analytic == pytest.approx(factor * report.numerical, rel=1e-5, abs=1e-9)
    place = f"at layer 0 {report.part}{list(report.index)} of member {report.member}"
    assert place in str(report)


@pytest.mark.parametrize("heads", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_a_wrong_loss_is_found_at_its_output(monkeypatch: pytest.MonkeyPatch, heads: str) -> None:
    loss = LOSSES[heads]

    def wrong(prediction: Floats, target: Any) -> None:
        loss.inplace_delta(prediction, target)
        prediction[..., 1] *= 1.001

    monkeypatch.setitem(LOSSES, heads, loss._replace(inplace_delta=wrong))
    report = gradient_check(Architecture(3, (), HEADS[heads]))
    assert not report.passed
    assert (report.layer, report.index[-1]) == (0, 1)
    assert report.analytic == pytest.approx(1.001 * report.numerical)


@pytest.mark.parametrize("part", ["scale", "shift"])
@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_a_wrong_normalisation_is_found_where_it_is(
    monkeypatch: pytest.MonkeyPatch, part: str, batch_norm: BatchNorm
) -> None:
    right = normalization.inplace_normalize_delta

    def wrong(delta: Floats, layer: Layer, gradient: Layer, *rest: Any) -> None:
        right(delta, layer, gradient, *rest)
        if delta.shape[-1] == 3:  # the second hidden layer
            getattr(gradient, part)[:, 0, 1] += 1

    monkeypatch.setattr(network, "inplace_normalize_delta", wrong)
    report = gradient_check(classifier(3, (4, 3), 2, "tanh", batch_norm))
    assert (report.layer, report.part, report.index) == (1, part, (1,))
    assert report.analytic == pytest.approx(report.numerical + 1)


def test_a_derivative_that_is_not_finite_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_a: Floats, delta: Floats, _scratch: Floats) -> None:
        delta *= np.nan

    wrong = ACTIVATIONS["tanh"]._replace(inplace_derivative=endless)
    monkeypatch.setitem(ACTIVATIONS, "tanh", wrong)
    report = gradient_check(classifier(3, (4,), 2, "tanh"))
    assert not report.passed
    assert report.error == np.inf


def test_a_forgotten_penalty_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "inplace_penalty_gradient", lambda *_: None)
    assert not gradient_check(classifier(3, (4,), 2, "tanh"), l1=0.01).passed
    assert not gradient_check(classifier(3, (4,), 2, "tanh"), l2=0.01).passed
    assert gradient_check(classifier(3, (4,), 2, "tanh")).passed


@pytest.mark.parametrize("batch_norm", NORMS)
def test_every_place_of_the_buffer_is_located(batch_norm: BatchNorm) -> None:
    architecture = Architecture(2, (3, 1), HEADS["mixed"], batch_norm=batch_norm)
    numbers = np.arange(architecture.n_trainable)[None]
    layers = architecture.layers(numbers)  # type: ignore[arg-type]
    for place in range(architecture.n_trainable):
        layer, part, index = locate(architecture, place)
        found = getattr(layers[layer], part)[0]
        assert found[index if part == "weights" else (0, *index)] == place
    with pytest.raises(IndexError):
        locate(architecture, architecture.n_trainable)


def test_the_worst_place_is_reported_with_its_relative_error() -> None:
    architecture = regressor(2, (3,))
    numerical = np.random.default_rng(0).normal(size=(2, 13))
    analytic = numerical.copy()
    analytic[0, 3] *= 1.01
    analytic[1, 7] *= 1.5
    report = compare(architecture, analytic, numerical)
    assert (report.member, report.layer, report.part, report.index) == (1, 0, "biases", (1,))
    assert report.error == pytest.approx(0.5 / 2.5)
    assert (report.analytic, report.numerical) == (analytic[1, 7], numerical[1, 7])


def test_tiny_derivatives_are_compared_absolutely() -> None:
    architecture = regressor(1, ())
    nothing, little = np.zeros((1, 2)), np.array([[1e-10, 0.0]])
    assert compare(architecture, little, nothing).error == pytest.approx(1e-7)
    assert compare(architecture, nothing, nothing).error == 0
    assert not compare(architecture, np.array([[0.0, TOLERANCE]]), nothing).passed


@pytest.mark.parametrize("name", ["tahn", "step"])
def test_what_cannot_be_checked_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        gradient_check(classifier(3, (4,), 2, name))
    with pytest.raises(ValueError, match="unknown loss 'squared'"):
        gradient_check(Architecture(3, (4,), (Head(1, "squared"),)))


@pytest.mark.parametrize("frozen", [0, 1, 2])
@pytest.mark.parametrize("batch_norm", NORMS)
def test_gradients_of_frozen_layers_are_untouched(frozen: int, batch_norm: BatchNorm) -> None:
    architecture = classifier(3, (4, 5), 2, "tanh", batch_norm)
    stack, rows = random_stack(architecture), random_rows(architecture, 7, dtype=np.float64)
    moving = [(each.mean.copy(), each.variance.copy()) for each in stack.moving]
    work = Workspace.allocate(stack, 7, training=True)
    inputs = with_ones(rows.X, np.float64)
    shares = shares_of(None, np.arange(7), np.float64)
    training = TrainingPass(shares, np.full((1, 1, 1), 0.5), frozen=frozen)
    gradient = np.full((2, architecture.n_trainable), 7.0)
    prediction = forward(stack, inputs, work, training)
    inplace_output_delta(stack, prediction, rows.targets, shares)
    backward(stack, architecture.layers(gradient), inputs, work, training)

    first = architecture.layer_starts[frozen]
    assert (gradient[:, :first] == 7).all()
    for place, (mean, variance) in enumerate(moving):
        kept = place < frozen
        assert np.array_equal(stack.moving[place].mean, mean) == kept
        assert np.array_equal(stack.moving[place].variance, variance) == kept
    for member in range(2):
        flat = stack.params[member].astype(np.float64)
        # What the frozen layers were before they could have moved: forward left them alone.
        layers_before, n = flat[:first], architecture.n_trainable

        def loss(trained: Any, before: Any = layers_before, rest: Any = flat[n:]) -> float:
            layers = unpack(architecture, np.concatenate([before, trained, rest]))
            outputs = outputs_of(architecture, layers, rows.X, np.full(7, 1 / 7), frozen)
            return float(losses_of(architecture, outputs, rows.targets).mean())

        expected = differences(loss, flat[first:n])
        np.testing.assert_allclose(gradient[member, first:], expected, rtol=1e-6, atol=1e-8)


def test_the_plain_network_knows_the_activations_it_is_compared_with() -> None:
    z = np.linspace(-3, 3, 101)
    for name, curve in CURVES.items():
        out = np.empty_like(z) if ACTIVATIONS[name].from_input else z.copy()
        ACTIVATIONS[name].apply(z if ACTIVATIONS[name].from_input else out, out)
        np.testing.assert_allclose(out, curve(z), rtol=1e-12, atol=1e-15)
