"""A member does not know its stack: alone or among others, its numbers are the same bits."""

from typing import Any

import numpy as np
import pytest

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.losses import Target
from hpo.nn.network import predict
from hpo.nn.training import Members, Rows, Trained, TrainingSettings, train


def row_loss(prediction: Floats, target: Target) -> Floats:
    if target.ndim == 1:
        return np.asarray(prediction.argmax(axis=2) != target, dtype=np.float64)
    return np.asarray(np.square(prediction - target).sum(axis=2), dtype=np.float64)


def data(architecture: Architecture, rows: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, architecture.n_inputs)).astype(np.float32)
    if architecture.loss == "cross_entropy":
        return Rows(X, rng.integers(architecture.n_outputs, size=rows))
    return Rows(X, rng.normal(size=(rows, architecture.n_outputs)).astype(np.float32))


def members(rates: list[float], states: list[int]) -> Members:
    return Members(np.array(rates), np.full(len(rates), 0.1), tuple(states))


def run(architecture: Architecture, who: Members, rows: int, **settings: Any) -> Trained:
    settings = {"epochs": 4, "batch_size": 32, "patience": None} | settings
    return train(
        architecture,
        TrainingSettings(**settings),
        who,
        data(architecture, rows),
        data(architecture, 53, seed=1),
        row_loss,
    )


def assert_same_member(alone: Trained, stack: Trained, place: int) -> None:
    assert alone.params[0].tobytes() == stack.params[place].tobytes()
    for name, curve in alone.curves.items():
        assert curve[0].tobytes() == stack.curves[name][place].tobytes(), name
    assert alone.epochs[0] == stack.epochs[place]
    assert alone.best_epoch[0] == stack.best_epoch[place]


SHAPES = [
    Architecture(64, (64,), 10),
    Architecture(20, (33, 17), 3),
    Architecture(5, (), 2),
    Architecture(1, (1,), 1, loss="squared_error"),
    Architecture(13, (50, 50), 1, loss="squared_error"),
    Architecture(100, (128, 128), 2),
]


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
@pytest.mark.parametrize("size", [2, 7, 64])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_member_equals_itself_in_any_stack(
    architecture: Architecture, size: int, optimizer: str
) -> None:
    # 97 rows in batches of 32 end with a batch of one row, the shape that BLAS treats apart.
    alone = run(architecture, members([0.01], [5]), 97, optimizer=optimizer)
    rng = np.random.default_rng(size)
    for place in {0, size // 2, size - 1}:
        rates, states = list(10 ** rng.uniform(-4, -1, size)), list(range(100, 100 + size))
        rates[place], states[place] = 0.01, 5
        stack = run(architecture, members(rates, states), 97, optimizer=optimizer)
        assert_same_member(alone, stack, place)


@pytest.mark.parametrize("rows", [1, 2, 31, 33, 64])
def test_member_equals_itself_for_any_number_of_rows(rows: int) -> None:
    architecture = Architecture(20, (16,), 4)
    alone = run(architecture, members([0.01], [5]), rows)
    stack = run(architecture, members([0.1, 0.01, 0.02], [1, 5, 2]), rows)
    assert_same_member(alone, stack, 1)


def test_neighbours_that_diverge_or_stop_change_nothing() -> None:
    architecture = Architecture(20, (16, 16), 1, loss="squared_error")
    settings = {"optimizer": "sgd", "epochs": 30, "patience": 3}
    alone = run(architecture, members([0.01], [5]), 200, **settings)
    stack = run(architecture, members([1e6, 0.01, 1e-9, 30.0], [1, 5, 2, 3]), 200, **settings)
    assert_same_member(alone, stack, 1)
    assert stack.diverged.tolist() == [True, False, False, True]
    assert len(set(stack.epochs.tolist())) > 1


def test_prediction_of_a_member_equals_that_of_the_stack() -> None:
    architecture = Architecture(20, (16,), 3)
    X = data(architecture, 1500).X
    params = np.random.default_rng(0).normal(size=(9, architecture.n_params)).astype(np.float32)
    together = predict(architecture, params, X)
    for member in range(9):
        alone = predict(architecture, params[member : member + 1], X)
        assert alone[0].tobytes() == together[member].tobytes()


def test_prediction_equals_the_plain_formula() -> None:
    architecture = Architecture(6, (5,), 3)
    params = np.random.default_rng(0).normal(size=(2, architecture.n_params)).astype(np.float32)
    X = np.random.default_rng(1).normal(size=(600, 6)).astype(np.float32)
    for member, flat in enumerate(params.astype(np.float64)):
        first, second = flat[:30].reshape(6, 5), flat[30:45].reshape(5, 3)
        hidden = np.maximum(X @ first + flat[45:50], 0)
        logits = np.exp(hidden @ second + flat[50:53])
        expected = logits / logits.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(
            predict(architecture, params, X)[member], expected, rtol=2e-5, atol=1e-7
        )
