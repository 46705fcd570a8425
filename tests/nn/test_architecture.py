"""The flat buffer and its initial values."""

import json

import numpy as np
import pytest

from hpo.nn.architecture import Architecture
from hpo.nn.initializers import initial_params


def test_layout_by_hand() -> None:
    architecture = Architecture(2, (3,), 1)
    assert (architecture.n_weights, architecture.n_params) == (9, 13)
    first, second = architecture.layers(np.arange(26.0).reshape(2, 13))
    assert first.weights[1].tolist() == [[13, 14, 15], [16, 17, 18]]
    assert second.weights[0].tolist() == [[6], [7], [8]]
    assert first.biases[0].tolist() == [[9, 10, 11]]
    assert second.biases[1].tolist() == [[25]]


def test_layers_are_views() -> None:
    architecture = Architecture(4, (5, 6), 3)
    flat = np.zeros((2, architecture.n_params), dtype=np.float32)
    for layer in architecture.layers(flat):
        layer.weights[...] = 1
        layer.biases[...] = 2
    assert flat[:, : architecture.n_weights].min() == 1
    assert flat[:, architecture.n_weights :].min() == 2


def test_json_round_trip() -> None:
    architecture = Architecture(4, (5, 6), 3, loss="squared_error")
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


@pytest.mark.parametrize("sizes", [(0, (3,), 1), (2, (0,), 1), (2, (3,), 0)])
def test_empty_layers_are_refused(sizes: tuple[int, tuple[int, ...], int]) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        Architecture(*sizes)


def test_he_normal_keeps_the_spread_of_relu_layers() -> None:
    # He et al. 2015: with variance 2 / inputs the mean square passes from layer to layer.
    architecture = Architecture(400, (400,) * 5, 400)
    activations = np.random.default_rng(0).normal(size=(500, 400))
    for weights, biases in architecture.layers(initial_params(architecture, [3])):
        assert not biases.any()
        assert weights.var() == pytest.approx(2 / 400, rel=0.02)
        activations = np.maximum(activations @ weights[0], 0)
        assert np.mean(activations**2) == pytest.approx(1.0, rel=0.3)


def test_initial_values_belong_to_the_random_state_and_not_to_the_place() -> None:
    architecture = Architecture(7, (5,), 2)
    many = initial_params(architecture, [1, (2, 3), 4])
    assert many[1].tobytes() == initial_params(architecture, [(2, 3)])[0].tobytes()
    assert len(np.unique(many[:, 0])) == 3
