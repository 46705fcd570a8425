"""The epoch loop against literal ones in float64, its curves, and where it goes on."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from hpo.nn import descent, network
from hpo.nn.architecture import Architecture, BatchNorm, Floats, Head
from hpo.nn.descent import BLOCK_ROWS
from hpo.nn.initializers import initial_params
from hpo.nn.measuring import row_losses
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.network import forward, predict
from hpo.nn.optimizers import OPTIMIZERS
from hpo.nn.schedules import Schedule
from hpo.nn.training import CURVES, Curves, Start, train
from tests.nn.making import (
    classifier,
    digits,
    members_of,
    one_member,
    random_rows,
    regressor,
    squares,
    wrong,
)
from tests.nn.plain import Descent, descend

MIXED = (Head(3, weight=0.5), Head(1, "huber", 2.0), Head(1, "binary_cross_entropy"))
NORMS: tuple[BatchNorm, ...] = ("none", "before", "after")
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 3.0, 0.0, 1.0, 1.0, 0.25, 1.0, 4.0])


@pytest.fixture(scope="module")
def parts() -> tuple[Rows, Rows]:
    return digits(0, 1000), digits(1000, 1797)


def one(rate: float, decay: float = 0.0) -> Members:
    return one_member(learning_rate=rate, weight_decay=decay)


def test_training_equals_a_literal_loop(parts: tuple[Rows, Rows]) -> None:
    """One hidden layer, SGD with weight decay: the textbook loop in float64."""
    rows, validation = parts
    architecture = classifier(64, (8,), 10)
    settings = TrainingSettings("sgd", 3, 100, None, row_order=11)
    trained = train(architecture, settings, one(0.1, 0.5), rows, validation, wrong)

    flat = initial_params(architecture, [0])[0].astype(np.float64)
    W1, W2 = flat[:512].reshape(64, 8).copy(), flat[520:600].reshape(8, 10).copy()
    b1, b2 = np.zeros(8), np.zeros(10)
    orders = np.random.default_rng(np.random.SeedSequence(11))
    for _ in range(3):
        order = orders.permutation(1000)
        for chosen in order.reshape(10, 100):
            X, y = rows.X[chosen].astype(np.float64), np.eye(10)[rows.targets[0][chosen]]
            hidden = np.maximum(X @ W1 + b1, 0)
            p = np.exp(hidden @ W2 + b2)
            p /= p.sum(axis=1, keepdims=True)
            delta = (p - y) / 100
            below = (delta @ W2.T) * (hidden > 0)
            W1, W2 = W1 * (1 - 0.05), W2 * (1 - 0.05)
            W1, b1 = W1 - 0.1 * X.T @ below, b1 - 0.1 * below.sum(axis=0)
            W2, b2 = W2 - 0.1 * hidden.T @ delta, b2 - 0.1 * delta.sum(axis=0)
    expected = np.concatenate([W1.ravel(), b1, W2.ravel(), b2])
    np.testing.assert_allclose(trained.params[0], expected, rtol=1e-3, atol=1e-5)


def test_training_with_adam_equals_a_literal_loop(parts: tuple[Rows, Rows]) -> None:
    """No hidden layer and a short last batch: the textbook's Adam in float64, each step counted."""
    rows, validation = parts
    architecture = classifier(64, (), 10)
    settings = TrainingSettings("adam", 3, 96, None, row_order=11)
    trained = train(architecture, settings, one(0.01, 0.5), rows, validation, wrong)

    flat = initial_params(architecture, [0])[0].astype(np.float64)
    m, v, step = np.zeros(650), np.zeros(650), 0
    orders = np.random.default_rng(np.random.SeedSequence(11))
    for _ in range(3):
        order = orders.permutation(1000)
        for start in range(0, 1000, 96):
            chosen = order[start : start + 96]
            X, y = rows.X[chosen].astype(np.float64), np.eye(10)[rows.targets[0][chosen]]
            p = np.exp(X @ flat[:640].reshape(64, 10) + flat[640:])
            delta = (p / p.sum(axis=1, keepdims=True) - y) / len(chosen)
            gradient = np.concatenate([(X.T @ delta).ravel(), delta.sum(axis=0)])
            step += 1
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            flat[:640] *= 1 - 0.01 * 0.5
            corrected = m / (1 - 0.9**step), v / (1 - 0.999**step)
            flat -= 0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    assert step == trained.steps[0] == 33
    np.testing.assert_allclose(trained.params[0], flat, rtol=1e-3, atol=1e-5)


PLAIN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one frozen layer": {"frozen": 1},
    "two frozen layers": {"frozen": 2},
    "one batch": {"batch_size": 99, "epochs": 3},
    "batches of one": {"batch_size": 1, "epochs": 1},
    "everything": {
        "decay": 0.5,
        "l1": 0.03,
        "l2": 0.3,
        "smoothing": 0.3,
        "max_norm": 0.8,
        "clip_norm": 0.5,
        "frozen": 1,
    },
}
STRENGTHS: list[dict[str, Any]] = [
    {"decay": 0.5},
    {"l1": 0.03},
    {"l2": 0.3},
    {"smoothing": 0.3},
    {"max_norm": 0.8},
    {"clip_norm": 0.2},
]


# A batch of one row that has no weight has no mean, so batches of one are not weighted.
@pytest.mark.parametrize(
    ("feature", "weighted"),
    [*product(PLAIN, [False]), *product(sorted(set(PLAIN) - {"batches of one"}), [True])],
)
def test_descent_equals_that_of_a_plain_network(feature: str, weighted: bool) -> None:
    """Eleven rows in batches of four, three heads, in float64; nothing shared with the oracle."""
    how = Descent(**({"epochs": 2, "batch_size": 4, "rate": 0.4, "row_order": 3} | PLAIN[feature]))
    weights = WEIGHTS if weighted else None
    members = one_member(
        learning_rate=how.rate,
        weight_decay=how.decay,
        l1=how.l1,
        l2=how.l2,
        label_smoothing=how.smoothing,
        max_norm=how.max_norm,
        clip_norm=how.clip_norm,
    )
    settings = TrainingSettings(
        "sgd", how.epochs, how.batch_size, None, frozen_layers=how.frozen, row_order=3
    )
    for batch_norm in NORMS:
        architecture = Architecture(2, (3, 2), MIXED, "tanh", batch_norm)
        rows = random_rows(architecture, 11, 2, weights, np.float64)
        start = np.random.default_rng(7).normal(size=(1, architecture.n_params))
        start[:, architecture.n_trainable :] **= 2
        trained = train(architecture, settings, members, rows, None, start=Start(start))
        expected = descend(architecture, start[0], rows, how, weights)
        assert trained.params.dtype == np.float64
        assert not np.allclose(expected, start[0])
        np.testing.assert_allclose(trained.params[0], expected, rtol=1e-6, atol=1e-8)


def test_members_with_strengths_of_their_own_equal_plain_networks() -> None:
    """Each regulariser in one member only, and weights of its own for each."""
    names = {"decay": "weight_decay", "smoothing": "label_smoothing"}
    how = [Descent(2, 4, 0.1 * (i + 1), **each) for i, each in enumerate(STRENGTHS)]
    numbers = [
        {"learning_rate": how[i].rate} | {names.get(key, key): each[key] for key in each}
        for i, each in enumerate(STRENGTHS)
    ]
    architecture = Architecture(2, (3,), MIXED, "sigmoid", "before")
    weights = np.stack([np.roll(WEIGHTS + 0.25, i) for i in range(len(how))])
    rows = random_rows(architecture, 11, 2, weights, np.float64)
    start = Start(np.random.default_rng(7).normal(size=(len(how), architecture.n_params)))
    for moving in architecture.moving(start.params):
        moving.variance[...] = 1
    settings = TrainingSettings("sgd", 2, 4, None)
    trained = train(architecture, settings, members_of(numbers), rows, None, start=start)
    plain = descend(architecture, start.params[0], rows, replace(how[0], decay=0), weights[0])
    assert not np.allclose(trained.params[0], plain)
    for member, each in enumerate(how):
        expected = descend(architecture, start.params[member], rows, each, weights[member])
        np.testing.assert_allclose(trained.params[member], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weights", [None, np.arange(97.0) % 3])
def test_training_curves_are_means_over_every_row(parts: tuple[Rows, Rows], weights: Any) -> None:
    """At a learning rate of 0 the running means are those of the weights, short batch included."""
    rows = Rows(parts[0].X[:97], (parts[0].targets[0][:97],), weights)
    settings = TrainingSettings("sgd", epochs=2, batch_size=32, patience=None)
    curves = train(classifier(64, (8,), 10), settings, one(0.0), rows, rows, wrong).curves
    np.testing.assert_allclose(curves["train_loss"], curves["val_loss"], rtol=1e-5)
    np.testing.assert_allclose(curves["train_score_loss"], curves["val_score_loss"], rtol=1e-12)


def test_curves_are_means_of_the_rows_losses() -> None:
    architecture = Architecture(3, (4,), MIXED)
    weights = np.arange(50.0) % 4
    rows = random_rows(architecture, 50, weights=weights)
    settings = TrainingSettings("sgd", epochs=1, patience=None)
    trained = train(architecture, settings, one(0.1), rows, rows, squares)
    prediction = predict(architecture, trained.params, rows.X)
    losses = row_losses(architecture, prediction, rows.targets)[0]
    expected = np.average(losses, weights=weights)
    assert trained.curves["val_loss"][0, 0] == pytest.approx(expected, rel=1e-12)
    score = np.average(np.square(prediction[0].astype(float)).sum(axis=1), weights=weights)
    assert trained.curves["val_score_loss"][0, 0] == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize("count", [1, BLOCK_ROWS - 1, BLOCK_ROWS, 3 * BLOCK_ROWS + 5])
@pytest.mark.parametrize("batch", [100, 2 * BLOCK_ROWS])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_losses_are_means_over_all_rows(count: int, batch: int, weighted: bool) -> None:
    """At a rate of 0 the running means are those of the network, in every epoch."""
    architecture, rng = regressor(2, ()), np.random.default_rng(0)
    weights = rng.random((2, count)) if weighted else None
    rows = random_rows(architecture, count, weights=weights)
    start = Start(rng.normal(size=(2, architecture.n_params)).astype(np.float32))
    settings = TrainingSettings(epochs=2, batch_size=batch, patience=None)
    members = members_of([{"learning_rate": 0.0}] * 2)
    curves = train(architecture, settings, members, rows, None, squares, start=start).curves
    prediction = predict(architecture, start.params, rows.X).astype(float)
    for epoch in range(2):
        errors = (prediction - rows.targets[0])[..., 0] ** 2 / 2
        expected = np.average(errors, axis=1, weights=weights)
        np.testing.assert_allclose(curves["train_loss"][:, epoch], expected, rtol=1e-6)
        expected = np.average(prediction[..., 0] ** 2, axis=1, weights=weights)
        np.testing.assert_allclose(curves["train_score_loss"][:, epoch], expected, rtol=1e-6)


def test_gradient_norms_are_those_of_the_gradient() -> None:
    """One step of gradient descent goes as far as the learning rate times the norm."""
    architecture = classifier(3, (4,), 2, "tanh")
    rows = random_rows(architecture, 20, dtype=np.float64)
    settings = TrainingSettings("sgd", 1, 100, None, gradient_norms=True)
    start = Start(initial_params(architecture, [0]).astype(np.float64))
    for frozen in (0, 1):
        how = replace(settings, frozen_layers=frozen)
        for clip in (np.inf, 1e-3):
            members = one_member(learning_rate=0.5, clip_norm=clip, l2=0.1)
            trained = train(architecture, how, members, rows, None, start=start)
            norm = trained.curves["gradient_norm"][0, 0]
            way = np.linalg.norm(trained.params - start.params)
            assert way == pytest.approx(0.5 * min(norm, clip))
            assert norm > 1e-3


def test_the_norm_of_an_epoch_is_the_mean_over_its_batches() -> None:
    """Equal rows give equal gradients, however many batches they come in."""
    architecture = classifier(3, (4,), 2, "tanh")
    rows = random_rows(architecture, 12, dtype=np.float64)
    rows.X[:], rows.targets[0][:] = rows.X[0], rows.targets[0][0]
    norms = [
        train(
            architecture,
            TrainingSettings("sgd", 1, size, None, gradient_norms=True),
            one(0.0),
            rows,
            None,
        ).curves["gradient_norm"][0, 0]
        for size in (12, 4, 1)
    ]
    np.testing.assert_allclose(norms, norms[0])
    assert norms[0] > 0.01


def test_digits_are_learnt(parts: tuple[Rows, Rows]) -> None:
    architecture = classifier(64, (64,), 10)
    trained = train(architecture, TrainingSettings(epochs=20), one(1e-2), *parts, wrong)
    assert trained.curves["val_score_loss"][0, trained.best_epoch[0]] < 0.08
    assert trained.curves["train_loss"][0, 0] > 10 * trained.curves["train_loss"][0, 10]


def test_several_heads_are_learnt_together(parts: tuple[Rows, Rows]) -> None:
    """The digit, whether it is odd, and its standardised value."""

    def three(rows: Rows) -> Rows:
        digit = rows.targets[0]
        value = ((digit - 4.5) / 2.87)[:, None].astype(np.float32)
        return Rows(rows.X, (digit, (digit % 2)[:, None], value))

    heads = (Head(10), Head(1, "binary_cross_entropy"), Head(1, "squared_error"))
    architecture = Architecture(64, (64,), heads)
    validation = three(parts[1])
    settings = TrainingSettings(epochs=20)
    trained = train(architecture, settings, one(1e-2), three(parts[0]), validation)
    prediction = predict(architecture, trained.params, validation.X)[0]
    digit, odd, value = validation.targets
    assert np.mean(prediction[:, :10].argmax(axis=1) == digit) > 0.9
    assert np.mean((prediction[:, 10:11] > 0.5) == odd) > 0.93
    assert np.corrcoef(prediction[:, 11], value[:, 0])[0, 1] > 0.8


def test_curves_are_those_of_the_weights(parts: tuple[Rows, Rows]) -> None:
    validation = parts[1]
    architecture = classifier(64, (16,), 10)
    trained = train(architecture, TrainingSettings(epochs=5), one(1e-2), *parts, wrong)
    best = trained.best_epoch[0]
    prediction = predict(architecture, trained.params, validation.X)
    score = wrong(prediction, validation.targets).mean()
    assert score == trained.curves["val_score_loss"][0, best]
    assert trained.curves["val_loss"][0, best] == np.nanmin(trained.curves["val_loss"])


def test_without_a_score_its_curves_are_empty(parts: tuple[Rows, Rows]) -> None:
    settings = TrainingSettings(epochs=2, patience=None)
    curves = train(classifier(64, (8,), 10), settings, one(1e-2), *parts).curves
    assert set(curves) == set(CURVES)
    for name in CURVES:
        nothing = name.endswith("score_loss") or name == "gradient_norm"
        assert np.isnan(curves[name]).all() == nothing


def test_without_patience_the_last_weights_are_kept(parts: tuple[Rows, Rows]) -> None:
    settings = TrainingSettings(epochs=3, patience=None)
    trained = train(classifier(64, (8,), 10), settings, one(1e-2), *parts, wrong)
    assert (trained.epochs[0], trained.best_epoch[0]) == (3, 2)
    prediction = predict(classifier(64, (8,), 10), trained.params, parts[1].X)
    score = wrong(prediction, parts[1].targets).mean()
    assert score == trained.curves["val_score_loss"][0, -1]


def test_inputs_are_left_alone() -> None:
    architecture = regressor(3, (4,))
    rows = random_rows(architecture, 20, weights=np.ones(20))
    start = Start(initial_params(architecture, [0]))
    for array in (rows.X, rows.targets[0], rows.weights, start.params):
        assert array is not None
        array.flags.writeable = False
    settings = TrainingSettings("sgd", 2, patience=None)
    trained = train(architecture, settings, one(0.1), rows, rows, start=start)
    assert not np.array_equal(trained.params, start.params)


def test_divergence_is_marked_with_its_epoch() -> None:
    architecture = regressor(3, (8, 8))
    rows = random_rows(architecture, 50)
    members = members_of([{"learning_rate": 1e8}, {"learning_rate": 1e-3}])
    settings = TrainingSettings("sgd", epochs=5, batch_size=10)
    trained = train(architecture, settings, members, rows, rows, squares)
    assert trained.diverged.tolist() == [True, False]
    assert trained.epochs.tolist() == [1, 5]
    assert np.isfinite(trained.params[1]).all()
    assert np.isnan(trained.curves["val_loss"][0, 1:]).all()


def test_a_validation_loss_that_is_not_finite_is_divergence() -> None:
    rng = np.random.default_rng(0)
    ones = np.ones((20, 1), np.float32)
    rows = Rows(rng.normal(size=(20, 3)).astype(np.float32), (ones,))
    validation = Rows(np.full((20, 3), 3e38, np.float32), (ones,))
    settings = TrainingSettings("sgd", epochs=5)
    trained = train(regressor(3, (8,)), settings, one(1e-3), rows, validation, squares)
    assert np.isfinite(trained.curves["train_loss"][0, 0])
    assert (trained.diverged.tolist(), trained.epochs.tolist()) == ([True], [1])


def test_without_validation_rows_divergence_shows_in_the_weights() -> None:
    """The only step of the only epoch goes wrong; the loss before it was finite."""
    architecture = regressor(3, (8,))
    members = members_of([{"learning_rate": 3e38}, {"learning_rate": 1e-3}])
    rows = random_rows(architecture, 20)
    rows.targets[0][:] += 100
    settings = TrainingSettings("momentum", 1, 20, None)
    trained = train(architecture, settings, members, rows, None)
    assert np.isfinite(trained.curves["train_loss"]).all()
    assert trained.diverged.tolist() == [True, False]
    assert np.isfinite(trained.params).all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("patience", [None, 50])
def test_hopeless_members_leave_with_their_curves(patience: int | None) -> None:
    architecture = regressor(3, (4,))
    rows, seen = random_rows(architecture, 50), []

    def hopeless(epoch: int, curves: Curves) -> Any:
        assert np.isfinite(curves["val_loss"][0, : epoch + 1]).all()
        assert np.isnan(curves["val_loss"][:, epoch + 1 :]).all()
        seen.append(epoch)
        return np.array([False, epoch == 2, True, False]) & (epoch > 0)

    numbers = [{"random_state": i, "learning_rate": 1e-3} for i in range(3)]
    members = members_of([*numbers, {"learning_rate": 1e9}])
    settings = TrainingSettings("sgd", 5, patience=patience)
    trained = train(architecture, settings, members, rows, rows, hopeless=hopeless)
    assert seen == [0, 1, 2, 3, 4]
    assert trained.dropped.tolist() == [False, True, True, False]
    assert trained.diverged.tolist() == [False, False, False, True]
    assert trained.epochs[:3].tolist() == [5, 3, 2]
    for member, epochs in enumerate(trained.epochs[:3]):
        assert np.isfinite(trained.curves["val_loss"][member, :epochs]).all()
        assert np.isnan(trained.curves["val_loss"][member, epochs:]).all()
        prediction = predict(architecture, trained.params[member : member + 1], rows.X)
        loss = row_losses(architecture, prediction, rows.targets).mean()
        best = trained.best_epoch[member]
        assert loss == pytest.approx(trained.curves["val_loss"][member, best], rel=1e-6)


def test_who_diverges_is_not_called_hopeless() -> None:
    architecture = regressor(3, (4,))
    rows = random_rows(architecture, 50)
    trained = train(
        architecture,
        TrainingSettings("sgd", 5, patience=None),
        one_member(learning_rate=1e9),
        rows,
        rows,
        hopeless=lambda _epoch, _curves: np.array([True]),
    )
    assert (trained.diverged.tolist(), trained.dropped.tolist()) == ([True], [False])


@pytest.mark.parametrize("batch_norm", NORMS)
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_three_epochs_and_four_more_are_seven(optimizer: str, batch_norm: BatchNorm) -> None:
    """With all rows in each batch their order means nothing but rounding."""
    architecture = classifier(3, (4,), 2, "tanh", batch_norm)
    rows = random_rows(architecture, 20, dtype=np.float64)
    settings = TrainingSettings(optimizer, 7, 20, None)
    members = one_member(learning_rate=0.01, weight_decay=0.1, l2=0.01)
    whole = train(architecture, settings, members, rows, None)
    first = train(architecture, replace(settings, epochs=3), members, rows, None)
    assert (first.steps[0], whole.steps[0]) == (3, 7)
    start = Start(first.params, first.state, first.steps)
    second = train(architecture, replace(settings, epochs=4), members, rows, None, start=start)
    assert second.steps[0] == 7
    # Before normalisation biases have no gradient but rounding, which adaptive rules enlarge.
    np.testing.assert_allclose(second.params, whole.params, rtol=1e-7, atol=1e-9)
    for one_state, other in zip(second.state, whole.state, strict=True):
        np.testing.assert_allclose(one_state, other, rtol=1e-6, atol=1e-9)
    losses = [first.curves["train_loss"], second.curves["train_loss"]]
    np.testing.assert_allclose(np.hstack(losses), whole.curves["train_loss"], rtol=1e-9)


def test_the_schedule_sets_the_rate_of_each_step() -> None:
    """Six steps in one go, and one by one at the rates that the schedule would give."""
    architecture = classifier(3, (4,), 2, "tanh")
    rows = random_rows(architecture, 20, dtype=np.float64)
    settings = TrainingSettings("sgd", 6, 20, None)
    numbers = {"weight_decay": 0.3, "random_state": 1}
    falling = replace(settings, schedule=Schedule("exponential", decay=0.01))
    whole = train(architecture, falling, one_member(learning_rate=0.5, **numbers), rows, None)
    params: Floats = initial_params(architecture, [1]).astype(np.float64)
    for step in range(6):
        members = one_member(learning_rate=0.5 * 0.01 ** (step / 6), **numbers)
        once = replace(settings, epochs=1)
        params = train(architecture, once, members, rows, None, start=Start(params)).params
    np.testing.assert_allclose(whole.params, params, rtol=1e-9)


def test_continuing_forgets_nothing_that_it_was_given(parts: tuple[Rows, Rows]) -> None:
    """Without its state, Adam would go on elsewhere; without its steps too."""
    rows = parts[0]
    architecture, settings = classifier(64, (4,), 10), TrainingSettings("adam", 2, patience=None)
    first = train(architecture, settings, one(1e-2), rows, None)
    starts = [
        Start(first.params, first.state, first.steps),
        Start(first.params, first.state),
        Start(first.params),
    ]
    ends = [train(architecture, settings, one(1e-2), rows, None, start=s).params for s in starts]
    assert len({end.tobytes() for end in ends}) == 3


def test_steps_are_those_of_the_member_and_not_of_its_stack() -> None:
    """A `Start` of a member that stopped early would count steps that it never took."""
    architecture = regressor(3, (4,))
    rows = random_rows(architecture, 50)
    settings = TrainingSettings("adam", 20, 10, patience=1)
    numbers = [{"learning_rate": 1.0}, {"learning_rate": 1e-4}]
    alone = [train(architecture, settings, members_of([n]), rows, rows) for n in numbers]
    stack = train(architecture, settings, members_of(numbers), rows, rows)
    assert alone[0].epochs[0] < alone[1].epochs[0]
    assert stack.steps.tolist() == [int(each.steps[0]) for each in alone]


def test_frozen_layers_keep_their_bits() -> None:
    for batch_norm in NORMS:
        architecture = classifier(3, (4, 5), 2, "tanh", batch_norm)
        rows = random_rows(architecture, 20)
        start = Start(initial_params(architecture, [0]))
        members = one_member(weight_decay=1.0, l2=1.0, max_norm=0.01)
        for frozen in (1, 2):
            settings = TrainingSettings("adam", 3, 8, None, frozen_layers=frozen)
            trained = train(architecture, settings, members, rows, rows, start=start)
            first = architecture.layer_starts[frozen]
            assert trained.params[:, :first].tobytes() == start.params[:, :first].tobytes()
            assert (trained.params[:, first : architecture.n_trainable] != 0).any()
            for place, (before, after) in enumerate(
                zip(
                    architecture.moving(start.params),
                    architecture.moving(trained.params),
                    strict=True,
                )
            ):
                assert (before.mean.tobytes() == after.mean.tobytes()) == (place < frozen)
            for buffer in trained.state:
                assert buffer.shape == (1, architecture.n_trainable - first)


def test_frozen_layers_work_as_in_inference() -> None:
    """With all hidden layers frozen, neither statistics nor dropout move the training loss."""
    architecture = classifier(3, (40,), 2, "tanh", "before")
    rows = random_rows(architecture, 30)
    settings = TrainingSettings("sgd", 1, 10, None, frozen_layers=1)
    members = members_of([{"dropout": (0.0,)}, {"dropout": (0.5,)}])
    members = replace(members, learning_rate=0.0)
    curves = train(architecture, settings, members, rows, rows).curves
    np.testing.assert_allclose(curves["train_loss"], curves["val_loss"], rtol=1e-5)


def test_one_blas_thread_trains_and_predicts(
    parts: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more, a member's last bit depends on its stack; too rarely for a test of the bits."""
    threads: set[int] = set()

    def watched(*arguments: Any) -> Floats:
        pools = threadpool_info()
        threads.update(each["num_threads"] for each in pools if each["user_api"] == "blas")
        return forward(*arguments)

    architecture = classifier(64, (8,), 10)
    for module in (network, descent):
        monkeypatch.setattr(module, "forward", watched)
    with threadpool_limits(2, user_api="blas"):
        trained = train(architecture, TrainingSettings(epochs=1), one(1e-2), *parts, wrong)
        assert threads == {1}
        threads.clear()
        predict(architecture, trained.params, parts[1].X)
        assert threads == {1}
