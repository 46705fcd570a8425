"""Batch normalisation: the formulas as plain loops, and what it is good for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.nn.architecture import BatchNorm, Floats, Layer, Moving
from hpo.nn.initializers import initial_params
from hpo.nn.measuring import shares_of
from hpo.nn.members import TrainingSettings
from hpo.nn.network import Stack, TrainingPass, Workspace, forward, predict, with_ones
from hpo.nn.normalization import (
    EPSILON,
    Normalized,
    inplace_normalize,
    inplace_normalize_by_moving,
    statistics_rate,
)
from hpo.nn.training import Start, train
from tests.nn.making import classifier, digits, members_of, one_member, random_rows, regressor
from tests.nn.plain import outputs_of, unpack

MEMBERS, ROWS, UNITS = 2, 8, 3


def neutral(units: int = UNITS) -> tuple[Layer, Moving]:
    ones, zeros = np.ones((MEMBERS, 1, units)), np.zeros((MEMBERS, 1, units))
    return Layer(np.empty((MEMBERS, 1, units)), ones, zeros), Moving(zeros.copy(), ones.copy())


def normalised(
    z: Floats, shares: Floats, layer: Layer, moving: Moving, rate: float = 0.0
) -> Floats:
    out = z.copy()
    kept = Normalized(np.empty_like(z), np.empty((MEMBERS, 1, z.shape[2])))
    inplace_normalize(out, layer, shares, kept, moving, np.full((1, 1, 1), rate))
    return out


weights_of_rows = st.lists(
    st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=MEMBERS * ROWS, max_size=MEMBERS * ROWS
).map(lambda each: np.array(each).reshape(MEMBERS, ROWS))


@given(weights=weights_of_rows, seed=st.integers(0, 99))
def test_a_batch_gets_weighted_mean_0_and_variance_1(weights: Floats, seed: int) -> None:
    weights[:, :2] += 1  # two rows at least, or there is no variance
    z = np.random.default_rng(seed).normal(3, 5, size=(MEMBERS, ROWS, UNITS))
    out = normalised(z, shares_of(weights, np.arange(ROWS), np.float64), *neutral())
    for member in range(MEMBERS):
        own = weights[member]
        np.testing.assert_allclose(np.average(out[member], axis=0, weights=own), 0, atol=1e-9)
        mean = np.average(z[member], axis=0, weights=own)
        variance = np.average((z[member] - mean) ** 2, axis=0, weights=own)
        found = np.average(out[member] ** 2, axis=0, weights=own)
        np.testing.assert_allclose(found, variance / (variance + EPSILON), rtol=1e-9)


def test_scale_and_shift_by_hand() -> None:
    # 1 and 5 have the mean 3 and the deviation 2.
    z = np.array([[[1.0], [5.0]]] * MEMBERS)
    layer, moving = neutral(1)
    layer.scale[1], layer.shift[1] = 10, 7
    out = normalised(z, np.full((1, 1, 2), 0.5), layer, moving)
    np.testing.assert_allclose(out[0].ravel(), [-1, 1], rtol=1e-5)
    np.testing.assert_allclose(out[1].ravel(), [-3, 17], rtol=1e-5)


def test_moving_statistics_by_hand() -> None:
    z, (layer, moving) = np.array([[[1.0], [5.0]]] * MEMBERS), neutral(1)
    shares = np.array([[[0.5, 0.5]], [[0.75, 0.25]]])
    normalised(z, shares, layer, moving, rate=0.1)
    # From 0 towards the means 3 and 2, from 1 towards the variances 4 and 3.
    np.testing.assert_allclose(moving.mean.ravel(), [0.3, 0.2])
    np.testing.assert_allclose(moving.variance.ravel(), [1.3, 1.2])


def test_inference_by_hand() -> None:
    z, (layer, moving) = np.array([[[1.0], [5.0]]] * MEMBERS), neutral(1)
    moving.mean[...], moving.variance[...] = 2, 9
    layer.scale[1], layer.shift[1] = 6, 1
    inplace_normalize_by_moving(z, layer, moving)
    np.testing.assert_allclose(z[0].ravel(), [-1 / 3, 1], rtol=1e-5)
    np.testing.assert_allclose(z[1].ravel(), [-1, 7], rtol=1e-5)


def rate(present: float, seen: float, batch_size: int) -> float:
    return float(
        statistics_rate(np.array([float(present)]), np.array([float(seen)]), batch_size)[0]
    )


def test_the_first_ten_batches_count_alike() -> None:
    moving = 1e6
    batches = np.random.default_rng(0).normal(size=30)
    for step, value in enumerate(batches[:10], start=1):
        moving += rate(8, 8 * step, 8) * (value - moving)
    assert moving == pytest.approx(batches[:10].mean())
    for step, value in enumerate(batches[10:], start=11):
        expected = 0.9 * moving + 0.1 * value
        moving += rate(8, 8 * step, 8) * (value - moving)
        assert moving == pytest.approx(expected)


def test_the_first_rows_count_alike_in_batches_of_any_size() -> None:
    moving, seen = 1e6, 0
    values, sizes = np.random.default_rng(0).normal(size=6), np.array([3, 8, 1, 0, 5, 8])
    for value, present in zip(values, sizes, strict=True):
        seen += present
        moving += rate(present, seen, 8) * (value - moving)
    assert moving == pytest.approx(np.average(values, weights=sizes))
    assert rate(0, 0, 8) == 0
    assert rate(4, 1000, 8) == pytest.approx(0.05)


def test_moving_statistics_are_those_of_the_batches() -> None:
    """At a learning rate of 0, the plain means over the eight batches of the only epoch."""
    architecture = regressor(3, (4,), batch_norm="before")
    rows = random_rows(architecture, 40, dtype=np.float64)
    settings = TrainingSettings("sgd", 1, 5, None, row_order=3)
    trained = train(architecture, settings, one_member(learning_rate=0.0), rows, None)
    layer, moving = architecture.layers(trained.params)[0], architecture.moving(trained.params)[0]
    order = np.random.default_rng(np.random.SeedSequence(3)).permutation(40).reshape(8, 5)
    batches = [rows.X[chosen] @ layer.weights[0] for chosen in order]
    np.testing.assert_allclose(
        moving.mean[0, 0], np.mean([z.mean(axis=0) for z in batches], axis=0)
    )
    variance = np.mean([z.var(axis=0) for z in batches], axis=0)
    np.testing.assert_allclose(moving.variance[0, 0], variance)


def test_moving_statistics_of_members_that_miss_batches() -> None:
    """Each sees the rows that it has, as if the others were not there; one has no row at all."""
    architecture = regressor(3, (4,), batch_norm="before")
    order = np.random.default_rng(np.random.SeedSequence(3)).permutation(40)
    weights = np.zeros((4, 40))
    weights[0, order[5:10]], weights[1, order[22:24]], weights[2] = 2.0, 1.0, 1.0
    rows = random_rows(architecture, 40, weights=weights, dtype=np.float64)
    start = Start(initial_params(architecture, [0] * 4).astype(np.float64))
    for moving in architecture.moving(start.params):
        moving.mean[...], moving.variance[...] = 1e6, 1e6
    members = members_of([{"learning_rate": 0.0}] * 4)
    settings = TrainingSettings("sgd", 1, 5, None, row_order=3)
    trained = train(architecture, settings, members, rows, None, start=start)
    (moving,) = architecture.moving(trained.params)
    units = rows.X @ architecture.layers(trained.params)[0].weights[0]
    batches = [units[chosen] for chosen in order.reshape(8, 5)]
    expected = {0: [batches[1]], 1: [batches[4][2:4]], 2: batches}
    for member, seen in expected.items():
        np.testing.assert_allclose(
            moving.mean[member, 0], np.mean([each.mean(axis=0) for each in seen], axis=0)
        )
        np.testing.assert_allclose(
            moving.variance[member, 0], np.mean([each.var(axis=0) for each in seen], axis=0)
        )
    assert np.unique(moving.mean[3]) == np.unique(moving.variance[3]) == 1e6


def test_continued_statistics_are_past_their_first_rows() -> None:
    """After steps of earlier training a full batch counts for a tenth, as it would have."""
    architecture = regressor(3, (4,), batch_norm="before")
    rows = random_rows(architecture, 5, dtype=np.float64)
    params = initial_params(architecture, [0, 0]).astype(np.float64)
    members = members_of([{"learning_rate": 0.0}] * 2)
    settings = TrainingSettings("sgd", 1, 5, None)
    start = Start(params, (), np.array([3, 30]))
    trained = train(architecture, settings, members, rows, None, start=start)
    (moving,) = architecture.moving(trained.params)
    mean = (rows.X @ architecture.layers(params)[0].weights[0]).mean(axis=0)
    np.testing.assert_allclose(moving.mean[:, 0], [mean / 4, mean / 10])


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_training_and_inference_differ_as_they_should(batch_norm: BatchNorm) -> None:
    architecture = regressor(3, (5, 4), 2, "tanh", batch_norm)
    rng = np.random.default_rng(0)
    params = rng.normal(size=(2, architecture.n_params))
    params[:, architecture.n_trainable :] **= 2
    X = random_rows(architecture, 9, dtype=np.float64).X
    inferred = predict(architecture, params, X)
    stack = Stack(architecture, params.copy())
    work = Workspace.allocate(stack, 9, training=True)
    shares = np.full((1, 1, 9), 1 / 9)
    one = TrainingPass(shares, np.ones((1, 1, 1)))
    in_training = forward(stack, with_ones(X, X.dtype), work, one).copy()
    for member in range(2):
        layers = unpack(architecture, params[member])
        np.testing.assert_allclose(inferred[member], outputs_of(architecture, layers, X))
        expected = outputs_of(architecture, layers, X, np.full(9, 1 / 9))
        np.testing.assert_allclose(in_training[member], expected)
    assert not np.allclose(inferred, in_training)
    # At a rate of 1 the moving statistics are those of the batch, and both agree.
    np.testing.assert_allclose(predict(architecture, stack.params, X), in_training)


def test_inference_takes_each_row_alone() -> None:
    architecture = classifier(3, (5,), 2, batch_norm="before")
    params = initial_params(architecture, [0])
    X = random_rows(architecture, 9).X
    together = predict(architecture, params, X)
    alone = [predict(architecture, params, X[row : row + 1])[0, 0] for row in range(9)]
    np.testing.assert_allclose(together[0], alone, rtol=1e-6)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_a_batch_of_one_row_or_of_equal_rows_is_no_accident(batch_norm: BatchNorm) -> None:
    architecture = classifier(3, (5,), 2, batch_norm=batch_norm)
    for rows, batch_size in ((9, 8), (1, 1)):
        some = random_rows(architecture, rows)
        some.X[:] = some.X[0]
        settings = TrainingSettings(epochs=3, batch_size=batch_size, patience=None)
        trained = train(architecture, settings, one_member(learning_rate=0.1), some, some)
        assert np.isfinite(trained.params).all()
        assert np.isfinite(trained.curves["val_loss"]).all()


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_scale_of_the_weights_below_does_not_matter(batch_norm: BatchNorm) -> None:
    """Ioffe & Szegedy 2015, section 3.3: BN(aWx) = BN(Wx); after a ReLU as well."""
    architecture = regressor(3, (5,), batch_norm=batch_norm)
    params = np.random.default_rng(0).normal(size=(2, architecture.n_params))
    params[1] = params[0]
    first = architecture.layers(params)[0]
    first.matrix[0] *= 100  # so large that what is added to variances is nothing
    first.matrix[1] *= 5000
    stack = Stack(architecture, params)
    work = Workspace.allocate(stack, 9, training=True)
    inputs = with_ones(random_rows(architecture, 9).X, params.dtype)
    shares = np.full((1, 1, 9), 1 / 9)
    out = forward(stack, inputs, work, TrainingPass(shares, np.zeros((1, 1, 1))))
    np.testing.assert_allclose(out[0], out[1], rtol=1e-3)


def losses_after(batch_norm: BatchNorm, rates: list[float]) -> Any:
    """Training losses after 20 epochs from tiny initial values, in five hidden layers."""
    architecture = classifier(64, (30,) * 5, 10, batch_norm=batch_norm)
    settings = TrainingSettings("sgd", 20, 50, None)
    members = members_of([{"learning_rate": r, "initializer": "normal:0.01"} for r in rates])
    return train(architecture, settings, members, digits(0, 500), None).curves["train_loss"][:, -1]


def test_normalisation_trains_what_would_not_train() -> None:
    """From normal(0.01), five layers pass nothing on; normalised, they do (at any of the rates)."""
    rates = [0.01, 0.1, 0.5]
    assert losses_after("none", rates).min() > 0.98 * np.log(10)
    assert losses_after("before", rates).min() < 0.3
    assert losses_after("after", rates).min() < 0.3
