"""The epoch loop against a literal one, and early stopping."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from hpo.nn import network, training
from hpo.nn.architecture import Architecture, Floats
from hpo.nn.initializers import initial_params
from hpo.nn.losses import Target
from hpo.nn.network import forward, predict
from hpo.nn.stopping import Best
from hpo.nn.training import Members, Rows, TrainingSettings, train


def wrong(prediction: Floats, target: Target) -> Floats:
    return np.asarray(prediction.argmax(axis=2) != target, dtype=np.float64)


def one(rate: float, decay: float = 0.0, state: int = 0) -> Members:
    return Members(np.array([rate]), np.array([decay]), (state,))


@pytest.fixture(scope="module")
def digits() -> tuple[Rows, Rows]:
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    return Rows(X[:1000], y[:1000]), Rows(X[1000:], y[1000:])


def test_training_equals_a_literal_loop(digits: tuple[Rows, Rows]) -> None:
    """One hidden layer, SGD with weight decay: the textbook loop in float64."""
    training, validation = digits
    architecture, settings = Architecture(64, (8,), 10), TrainingSettings("sgd", 3, 100, None, 11)
    trained = train(architecture, settings, one(0.1, 0.5), training, validation, wrong)

    flat = initial_params(architecture, [0])[0].astype(np.float64)
    W1, W2 = flat[:512].reshape(64, 8).copy(), flat[512:592].reshape(8, 10).copy()
    b1, b2 = np.zeros(8), np.zeros(10)
    orders = np.random.default_rng(np.random.SeedSequence(11))
    for _ in range(3):
        order = orders.permutation(1000)
        for rows in order.reshape(10, 100):
            X, y = training.X[rows].astype(np.float64), np.eye(10)[training.target[rows]]
            hidden = np.maximum(X @ W1 + b1, 0)
            p = np.exp(hidden @ W2 + b2)
            p /= p.sum(axis=1, keepdims=True)
            delta = (p - y) / 100
            below = (delta @ W2.T) * (hidden > 0)
            W1, W2 = W1 * (1 - 0.05), W2 * (1 - 0.05)
            W1, b1 = W1 - 0.1 * X.T @ below, b1 - 0.1 * below.sum(axis=0)
            W2, b2 = W2 - 0.1 * hidden.T @ delta, b2 - 0.1 * delta.sum(axis=0)
    expected = np.concatenate([W1.ravel(), W2.ravel(), b1, b2])
    np.testing.assert_allclose(trained.params[0], expected, rtol=1e-3, atol=1e-5)


def test_training_with_adam_equals_a_literal_loop(digits: tuple[Rows, Rows]) -> None:
    """No hidden layer and a short last batch: the textbook's Adam in float64, each step counted."""
    training, validation = digits
    architecture, settings = Architecture(64, (), 10), TrainingSettings("adam", 3, 96, None, 11)
    trained = train(architecture, settings, one(0.01, 0.5), training, validation, wrong)

    flat = initial_params(architecture, [0])[0].astype(np.float64)
    m, v, step = np.zeros(650), np.zeros(650), 0
    orders = np.random.default_rng(np.random.SeedSequence(11))
    for _ in range(3):
        order = orders.permutation(1000)
        for start in range(0, 1000, 96):
            rows = order[start : start + 96]
            X, y = training.X[rows].astype(np.float64), np.eye(10)[training.target[rows]]
            p = np.exp(X @ flat[:640].reshape(64, 10) + flat[640:])
            delta = (p / p.sum(axis=1, keepdims=True) - y) / len(rows)
            gradient = np.concatenate([(X.T @ delta).ravel(), delta.sum(axis=0)])
            step += 1
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            flat[:640] *= 1 - 0.01 * 0.5
            corrected = m / (1 - 0.9**step), v / (1 - 0.999**step)
            flat -= 0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    assert step == 33
    np.testing.assert_allclose(trained.params[0], flat, rtol=1e-3, atol=1e-5)


def test_training_curves_are_means_over_every_row(digits: tuple[Rows, Rows]) -> None:
    """At a learning rate of 0 the running means are those of the weights, short batch included."""
    rows = Rows(digits[0].X[:97], digits[0].target[:97])
    settings = TrainingSettings("sgd", epochs=2, batch_size=32, patience=None)
    curves = train(Architecture(64, (8,), 10), settings, one(0.0), rows, rows, wrong).curves
    np.testing.assert_allclose(curves["train_loss"], curves["val_loss"], rtol=1e-5)
    np.testing.assert_allclose(curves["train_score_loss"], curves["val_score_loss"], rtol=1e-12)


def test_digits_are_learnt(digits: tuple[Rows, Rows]) -> None:
    architecture = Architecture(64, (64,), 10)
    trained = train(architecture, TrainingSettings(epochs=20), one(1e-2), *digits, wrong)
    assert trained.curves["val_score_loss"][0, trained.best_epoch[0]] < 0.08
    assert trained.curves["train_loss"][0, 0] > 10 * trained.curves["train_loss"][0, 10]


def test_curves_are_those_of_the_weights(digits: tuple[Rows, Rows]) -> None:
    training, validation = digits
    architecture = Architecture(64, (16,), 10)
    trained = train(architecture, TrainingSettings(epochs=5), one(1e-2), *digits, wrong)
    best = trained.best_epoch[0]
    prediction = predict(architecture, trained.params, validation.X)
    assert wrong(prediction, validation.target).mean() == trained.curves["val_score_loss"][0, best]
    assert trained.curves["val_loss"][0, best] == np.nanmin(trained.curves["val_loss"])
    assert len(training) == 1000


def test_a_member_stops_after_its_patience_and_keeps_its_best_weights() -> None:
    rng = np.random.default_rng(0)
    training = Rows(rng.normal(size=(40, 10)).astype(np.float32), rng.integers(2, size=40))
    validation = Rows(rng.normal(size=(40, 10)).astype(np.float32), rng.integers(2, size=40))
    architecture = Architecture(10, (32,), 2)
    settings = TrainingSettings(epochs=200, batch_size=10, patience=5)
    members = Members(np.array([1e-1, 1e-5]), np.zeros(2), (0, 0))
    trained = train(architecture, settings, members, training, validation, wrong)
    stopped = trained.epochs[0]
    assert stopped == trained.best_epoch[0] + 6 < 200
    assert np.isnan(trained.curves["val_loss"][0, stopped:]).all()
    shorter = TrainingSettings(epochs=int(trained.best_epoch[0]) + 1, batch_size=10, patience=None)
    again = train(architecture, shorter, members, training, validation, wrong)
    assert again.params[0].tobytes() == trained.params[0].tobytes()


def test_without_patience_the_last_weights_are_kept(digits: tuple[Rows, Rows]) -> None:
    settings = TrainingSettings(epochs=3, patience=None)
    trained = train(Architecture(64, (8,), 10), settings, one(1e-2), *digits, wrong)
    assert (trained.epochs[0], trained.best_epoch[0]) == (3, 2)


def test_divergence_is_marked_with_its_epoch() -> None:
    rng = np.random.default_rng(0)
    rows = Rows(
        rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(50, 1)).astype(np.float32)
    )
    architecture = Architecture(3, (8, 8), 1, loss="squared_error")
    members = Members(np.array([1e8, 1e-3]), np.zeros(2), (0, 0))
    settings = TrainingSettings("sgd", epochs=5, batch_size=10)
    trained = train(
        architecture, settings, members, rows, rows, lambda p, t: np.square(p - t).sum(axis=2)
    )
    assert trained.diverged.tolist() == [True, False]
    assert trained.epochs.tolist() == [1, 5]
    assert np.isfinite(trained.params[1]).all()


def test_a_validation_loss_that_is_not_finite_is_divergence() -> None:
    rng = np.random.default_rng(0)
    training = Rows(rng.normal(size=(20, 3)).astype(np.float32), np.ones((20, 1), np.float32))
    validation = Rows(np.full((20, 3), 3e38, np.float32), np.ones((20, 1), np.float32))
    architecture = Architecture(3, (8,), 1, loss="squared_error")
    trained = train(
        architecture,
        TrainingSettings("sgd", epochs=5),
        one(1e-3),
        training,
        validation,
        lambda p, t: np.square(p - t).sum(axis=2),
    )
    assert np.isfinite(trained.curves["train_loss"][0, 0])
    assert (trained.diverged.tolist(), trained.epochs.tolist()) == ([True], [1])


def test_one_blas_thread_trains_and_predicts(
    digits: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more, a member's last bit depends on its stack; too rarely for a test of the bits."""
    threads: set[int] = set()

    def watched(*arguments: Any) -> Floats:
        pools = threadpool_info()
        threads.update(each["num_threads"] for each in pools if each["user_api"] == "blas")
        return forward(*arguments)

    architecture = Architecture(64, (8,), 10)
    for module in (network, training):
        monkeypatch.setattr(module, "forward", watched)
    with threadpool_limits(2, user_api="blas"):
        trained = train(architecture, TrainingSettings(epochs=1), one(1e-2), *digits, wrong)
        assert threads == {1}
        threads.clear()
        predict(architecture, trained.params, digits[1].X)
        assert threads == {1}


def test_patience_by_hand() -> None:
    params = np.zeros((2, 1))
    best = Best.start(params)
    for epoch, losses in enumerate([[3.0, 1.0], [2.0, np.nan], [2.0, 2.0]]):
        params[:] = epoch
        best = best.observe(epoch, np.array(losses), params)
    assert best.epoch.tolist() == [1, 0]
    assert best.params.ravel().tolist() == [1, 0]
    assert best.exhausted(2, 2).tolist() == [False, True]
    assert best.exhausted(2, None).tolist() == [False, False]
