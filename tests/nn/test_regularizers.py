"""Penalties, bounds and dropout: by hand, as invariants of training, and what they are good for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.nn.architecture import Floats
from hpo.nn.initializers import initial_params
from hpo.nn.losses import cross_entropy
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.network import predict
from hpo.nn.regularizers import (
    draw_dropout,
    inplace_clip,
    inplace_max_norm,
    inplace_penalty_gradient,
    inplace_weight_decay,
    norms_of,
    penalty,
)
from hpo.nn.training import Start, train
from tests.nn.making import Numbers, classifier, digits, members_of, random_rows, wrong


def test_penalties_by_hand() -> None:
    layers = [np.array([[[1.0, -2.0]], [[1.0, -2.0]]]), np.array([[[3.0]], [[3.0]]])]
    # The absolute values add up to 6, half the squares to 7.
    found = penalty(layers, np.array([1.0, 0.1]), np.array([0.0, 10.0]))
    np.testing.assert_allclose(found, [6, 0.6 + 70])


def test_gradients_of_penalties_by_hand() -> None:
    weights = np.array([[[1.0, -2.0, 0.0]], [[1.0, -2.0, 0.0]]])
    gradient = np.ones_like(weights)
    inplace_penalty_gradient(gradient, weights, np.array([0.5, 0.0]), np.array([0.0, 0.1]))
    np.testing.assert_allclose(gradient[:, 0], [[1.5, 0.5, 1], [1.1, 0.8, 1]])


def test_no_penalty_leaves_a_gradient_its_bits() -> None:
    """Beside members with one, and where weights are not finite."""
    weights = np.array([[[np.inf, np.nan, -0.0]]] * 3)
    gradient: Floats = np.array([[[1.0, -0.0, 2.0]]] * 3)
    before = gradient.copy()
    strengths = np.array([0.0, 0.0, 0.1]), np.array([0.0, 0.1, 0.0])
    with np.errstate(invalid="ignore"):
        inplace_penalty_gradient(gradient, weights, *strengths)
    assert gradient[0].tobytes() == before[0].tobytes()
    assert not np.array_equal(gradient[1], before[1])
    assert not np.array_equal(gradient[2], before[2])


def test_weight_decay_by_hand() -> None:
    weights = np.array([[[1.0, -2.0]], [[4.0, 8.0]]])
    inplace_weight_decay(weights, np.array([0.9, 0.5]))
    np.testing.assert_allclose(weights[:, 0], [[0.9, -1.8], [2.0, 4.0]])


def test_max_norm_by_hand() -> None:
    # Units have the incoming weights (3, 4), (0.3, 0.4) and (0, 0), of norm 5, 0.5 and 0.
    weights: Floats = np.array([[[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]]] * 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        inplace_max_norm(weights, np.array([1.0, 0.25, np.inf, 0.0]))
    np.testing.assert_allclose(weights[0], [[0.6, 0.3, 0], [0.8, 0.4, 0]])
    np.testing.assert_allclose(weights[1], [[0.15, 0.15, 0], [0.2, 0.2, 0]])
    np.testing.assert_allclose(weights[2], [[3, 0.3, 0], [4, 0.4, 0]])
    assert not weights[3].any()


def test_clipping_by_hand() -> None:
    gradient = np.array([[3.0, 4.0], [0.3, 0.4], [3.0, 4.0], [0.0, 0.0]])
    assert norms_of(gradient).tolist() == pytest.approx([5, 0.5, 5, 0])
    with np.errstate(invalid="ignore", divide="ignore"):
        inplace_clip(gradient, norms_of(gradient), np.array([1.0, 1.0, np.inf, 1.0]))
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0.3, 0.4], [3.0, 4.0], [0.0, 0.0]])


def test_a_huge_gradient_is_clipped_and_not_lost() -> None:
    """Its squares overflow in float32, but its direction is known."""
    gradient = np.array([[3e20, 4e20]], dtype=np.float32)
    with np.errstate(over="ignore"):
        inplace_clip(gradient, norms_of(gradient), np.array([1.0]))
    np.testing.assert_allclose(gradient, [[0.6, 0.8]], rtol=1e-5)


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(numbers, min_size=1, max_size=40), st.sampled_from([1, 30]))
def test_norms_hold_where_squares_do_not(values: list[float], times: int) -> None:
    """Squares leave the range of float32 both ways; those of its neighbours do not matter."""
    gradient = np.array(values * times, dtype=np.float32)
    expected = float(np.sqrt(np.square(gradient.astype(np.longdouble)).sum()))
    some = np.stack([np.full_like(gradient, 3e38), gradient, np.zeros_like(gradient)])
    with np.errstate(over="ignore", under="ignore"):
        alone, among = norms_of(gradient[None]), norms_of(some)
    assert alone[0] == among[1] == pytest.approx(expected, rel=1e-5, abs=0)
    assert among[0] == pytest.approx(float(np.float32(3e38)) * np.sqrt(len(gradient)))
    assert among[2] == 0


def test_norms_of_what_is_not_finite_are_not_finite() -> None:
    gradient = np.array([[1.0, np.nan], [1.0, np.inf], [np.inf, -np.inf], [1.0, 0.0]], np.float32)
    norms = norms_of(gradient)
    assert np.isnan(norms).tolist() == [True, False, False, False]
    assert norms[1:].tolist() == [np.inf, np.inf, 1]


@given(st.floats(0.05, 3), st.floats(0.05, 3), st.integers(0, 99))
def test_bounds_hold_and_directions_stay(largest: float, clip: float, seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(1, 4, 3))
    before = weights.copy()
    inplace_max_norm(weights, np.array([largest]))
    norms, old = (np.linalg.norm(each[0], axis=0) for each in (weights, before))
    np.testing.assert_allclose(norms, np.minimum(old, largest))
    np.testing.assert_allclose(weights[0] / norms, before[0] / old)
    gradient = before.reshape(1, -1).copy()
    inplace_clip(gradient, norms_of(gradient), np.array([clip]))
    length = np.linalg.norm(before)
    np.testing.assert_allclose(gradient[0], before.ravel() * np.minimum(1, clip / length))


def test_trained_units_keep_their_bound() -> None:
    architecture = classifier(20, (15, 10), 3)
    rows = random_rows(architecture, 60)
    bounds = [0.1, 0.7, 2.0, np.inf]
    members = members_of([{"max_norm": bound, "learning_rate": 0.1} for bound in bounds])
    trained = train(architecture, TrainingSettings(epochs=10, patience=None), members, rows, None)
    largest = [
        max(np.linalg.norm(layer.weights[member], axis=0).max() for layer in layers)
        for layers in [architecture.layers(trained.params)]
        for member in range(4)
    ]
    np.testing.assert_allclose(largest[:3], bounds[:3], rtol=1e-5)
    assert largest[3] > 2


def masks_of(
    rates: NDArray[np.float64], shapes: list[tuple[int, ...]], seed: int = 0
) -> list[Floats]:
    masks: list[Floats] = [np.full(shape, np.nan, np.float32) for shape in shapes]
    generators = [np.random.default_rng((seed, member)) for member in range(len(rates))]
    draw_dropout(masks, rates, generators)
    return masks


def test_dropout_has_the_rates_of_layers_and_members() -> None:
    rates = np.array([[0.0, 0.25], [0.5, 0.0], [0.1, 0.9]])
    masks = masks_of(rates, [(3, 200, 50), (3, 200, 30)])
    for layer, mask in enumerate(masks):
        for member, rate in enumerate(rates[:, layer]):
            kept = mask[member] != 0
            np.testing.assert_allclose(mask[member][kept], 1 / (1 - rate), rtol=1e-4)
            spread = np.sqrt(rate * (1 - rate) / kept.size)
            assert abs(kept.mean() - (1 - rate)) <= 4 * spread


def test_dropout_keeps_the_mean_activation() -> None:
    activations = np.random.default_rng(1).random((500, 40))
    for rate in (0.1, 0.5, 0.8):
        mask = masks_of(np.array([[rate]]), [(1, 500, 40)])[0][0]
        error = np.sqrt(rate / (1 - rate) * np.mean(activations**2) / mask.size)
        assert abs((mask * activations).mean() - activations.mean()) < 4 * error


def test_units_and_rows_are_dropped_independently() -> None:
    kept = masks_of(np.array([[0.5]]), [(1, 4000, 12)])[0][0] != 0
    units = np.corrcoef(kept.T) - np.eye(12)
    assert np.abs(units).max() < 5 / np.sqrt(4000)
    following = np.corrcoef(kept[:-1].ravel(), kept[1:].ravel())[0, 1]
    assert abs(following) < 5 / np.sqrt(kept.size)


def test_dropout_of_a_member_is_its_own() -> None:
    shapes: list[tuple[int, ...]] = [(2, 9, 5)]
    both = masks_of(np.array([[0.5], [0.5]]), shapes)[0]
    other = masks_of(np.array([[0.9], [0.5]]), shapes)[0]
    assert not np.array_equal(both[0], both[1])
    assert np.array_equal(both[1], other[1])


def test_batches_drop_other_units() -> None:
    generator = [np.random.default_rng(0)]
    masks = [np.empty((1, 20, 10)), np.empty((1, 20, 10))]
    for mask in masks:
        draw_dropout([mask], np.array([[0.5]]), generator)
    assert not np.array_equal(masks[0], masks[1])


def test_inference_drops_nothing() -> None:
    """At a learning rate of 0 the running loss is noisy, and the validation loss is not."""
    architecture = classifier(10, (30,), 3)
    rows = random_rows(architecture, 40)
    members = members_of([{"learning_rate": 0.0, "dropout": (p,)} for p in (0.0, 0.5)])
    settings = TrainingSettings(epochs=3, patience=None)
    curves = train(architecture, settings, members, rows, rows).curves
    assert np.unique(curves["val_loss"]).size == 1
    assert np.unique(curves["train_loss"][1]).size == 3
    np.testing.assert_allclose(curves["train_loss"][0], curves["val_loss"][0], rtol=1e-5)


def trained_on_digits(numbers: list[Numbers], **settings: Any) -> Floats:
    """Weights of each member's two layers, side by side, (members, weights)."""
    architecture = classifier(64, (20,), 10)
    how = TrainingSettings(**({"epochs": 40, "batch_size": 50, "patience": None} | settings))
    trained = train(architecture, how, members_of(numbers), digits(0, 300), None)
    layers = architecture.layers(trained.params)
    return np.hstack([layer.weights.reshape(len(numbers), -1) for layer in layers])


def test_l1_makes_weights_vanish_and_l2_makes_them_small() -> None:
    rate = {"learning_rate": 0.1}
    plain, l1, l2 = trained_on_digits(
        [rate, rate | {"l1": 0.01}, rate | {"l2": 0.03}], optimizer="sgd"
    )
    # Descent leaves a weight that l1 holds at 0 within one step of it, 0.1 * 0.01.
    vanished = [np.mean(np.abs(each) <= 1.2e-3) for each in (plain, l1, l2)]
    assert vanished[1] > 0.4
    assert max(vanished[0], vanished[2]) < 0.05
    assert np.square(l2).sum() < 0.5 * np.square(plain).sum()


def test_weight_decay_makes_weights_small() -> None:
    rate = {"learning_rate": 3e-3}
    plain, some, much = trained_on_digits(
        [rate, rate | {"weight_decay": 1.0}, rate | {"weight_decay": 5.0}]
    )
    assert np.square(much).sum() < 0.5 * np.square(some).sum() < 0.5 * np.square(plain).sum()


def test_l2_with_descent_is_weight_decay() -> None:
    """Loshchilov & Hutter 2019, proposition 1: the same for plain descent, not for Adam."""
    numbers: list[Numbers] = [
        {"learning_rate": 0.1, "l2": 0.05},
        {"learning_rate": 0.1, "weight_decay": 0.05},
    ]
    penalised, decayed = trained_on_digits(numbers, optimizer="sgd", epochs=5)
    np.testing.assert_allclose(penalised, decayed, rtol=1e-3, atol=1e-5)
    penalised, decayed = trained_on_digits(numbers, optimizer="adam", epochs=5)
    assert np.abs(penalised - decayed).max() > 0.01


def gap(numbers: Numbers) -> float:
    """How much better a network is on its 300 digits than on others, in cross entropy."""
    architecture = classifier(64, (100,) * 4, 10)
    training, validation = digits(0, 300), digits(300, 800)
    members = members_of([{"learning_rate": 3e-3} | numbers])
    settings = TrainingSettings(epochs=40, batch_size=50, patience=None)
    params = train(architecture, settings, members, training, None).params
    losses = [
        cross_entropy(predict(architecture, params, rows.X), rows.targets[0]).mean()
        for rows in (validation, training)
    ]
    accuracy = 1 - wrong(predict(architecture, params, training.X), training.targets).mean()
    assert accuracy > 0.9
    return float(losses[0] - losses[1])


def test_decay_and_dropout_shrink_the_gap_on_few_rows() -> None:
    plain = gap({})
    assert plain > 0.2
    assert gap({"weight_decay": 3.0}) < 0.7 * plain
    assert gap({"dropout": (0.4,) * 4}) < 0.8 * plain


def test_smoothed_labels_are_what_is_learnt() -> None:
    """Three rows and no more: the best that can be said is (1 - e) + e / 3 for the class."""
    rows = Rows(np.eye(3, dtype=np.float32), (np.arange(3),))
    architecture = classifier(3, (), 3)
    smoothing = [0.0, 0.15, 0.3, 1.0]
    members = members_of([{"learning_rate": 2.0, "label_smoothing": e} for e in smoothing])
    settings = TrainingSettings("sgd", 500, patience=None)
    trained = train(architecture, settings, members, rows, None)
    found = predict(architecture, trained.params, rows.X)[:, np.arange(3), np.arange(3)]
    np.testing.assert_allclose(found[1:, 0], [0.9, 0.8, 1 / 3], atol=1e-3)
    assert (found[0] > 0.99).all()


@pytest.mark.parametrize("numbers", [{"l1": 0.1}, {"l2": 1.0}, {"weight_decay": 1.0}])
def test_biases_and_normalisation_are_not_penalised(numbers: Numbers) -> None:
    """With inputs and targets that give no gradient, weights shrink and the rest stays."""
    architecture = classifier(3, (4,), 1, batch_norm="before")  # one class is always right
    rows = random_rows(architecture, 20)
    params = initial_params(architecture, [0])
    params[:, : architecture.n_trainable] += 0.5
    settings = TrainingSettings("sgd", 3, patience=None)
    members = members_of([{"learning_rate": 0.1} | numbers])
    trained = train(architecture, settings, members, rows, None, start=Start(params))
    before, after = architecture.layers(params), architecture.layers(trained.params)
    for old, new in zip(before, after, strict=True):
        assert np.square(new.weights).sum() < np.square(old.weights).sum()
        for part in ("biases", "scale", "shift"):
            assert np.array_equal(getattr(new, part), getattr(old, part))
