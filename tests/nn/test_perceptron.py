"""What one unit can tell apart, and what two layers can: the truth tables."""

import numpy as np
import pytest

from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.network import predict
from hpo.nn.training import Trained, train
from tests.nn.making import members_of

INPUTS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float32)
GATES = {"AND": [0, 0, 0, 1], "NAND": [1, 1, 1, 0], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}
BY_HAND = {"AND": (0.5, 0.5, -0.7), "NAND": (-0.5, -0.5, 0.7), "OR": (0.5, 0.5, -0.2)}
BINARY = (Head(1, "binary_cross_entropy"),)
UNIT = Architecture(2, (), BINARY)


def answers(architecture: Architecture, params: Floats) -> list[list[int]]:
    """What each member says of the four inputs."""
    said = predict(architecture, params, INPUTS)[..., 0] > 0.5
    return [list(map(int, each)) for each in said]


def learnt(architecture: Architecture, gate: str, members: int, rate: float) -> Trained:
    rows = Rows(INPUTS, (np.array(GATES[gate], dtype=np.float32)[:, None],))
    settings = TrainingSettings("adam", 400, patience=None)
    each = [
        {"random_state": i, "learning_rate": rate, "initializer": "xavier_normal"}
        for i in range(members)
    ]
    return train(architecture, settings, members_of(each), rows, None)


@pytest.mark.parametrize("gate", sorted(BY_HAND))
def test_one_unit_is_a_gate_with_weights_by_hand(gate: str) -> None:
    params = np.array([BY_HAND[gate]], dtype=np.float32)
    assert answers(UNIT, params) == [GATES[gate]]


@pytest.mark.parametrize("gate", sorted(BY_HAND))
def test_one_unit_learns_a_gate(gate: str) -> None:
    assert answers(UNIT, learnt(UNIT, gate, 5, 0.05).params) == [GATES[gate]] * 5


def test_one_unit_cannot_be_xor() -> None:
    """Minsky & Papert 1969: no line parts the corners. Neither learnt nor on a fine grid."""
    learnt_xor = learnt(UNIT, "XOR", 20, 0.05)
    assert GATES["XOR"] not in answers(UNIT, learnt_xor.params)
    np.testing.assert_allclose(learnt_xor.curves["train_loss"][:, -1], np.log(2), rtol=0.02)
    sides = np.linspace(-2, 2, 21, dtype=np.float32)
    grid = np.stack(np.meshgrid(sides, sides, sides), axis=-1).reshape(-1, 3)
    found = {tuple(each) for each in answers(UNIT, grid)}
    assert {tuple(GATES[gate]) for gate in BY_HAND} <= found
    assert tuple(GATES["XOR"]) not in found


def test_two_layers_of_steps_are_xor() -> None:
    """XOR is AND of NAND and OR."""
    architecture = Architecture(2, (2,), BINARY, "step")
    (w1, w2, b), (v1, v2, c) = BY_HAND["NAND"], BY_HAND["OR"]
    params = np.array([[w1, v1, w2, v2, b, c, *BY_HAND["AND"]]], dtype=np.float32)
    assert answers(architecture, params) == [GATES["XOR"]]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_two_layers_learn_xor(activation: str) -> None:
    architecture = Architecture(2, (8,), BINARY, activation)
    found = answers(architecture, learnt(architecture, "XOR", 10, 0.1).params)
    assert found.count(GATES["XOR"]) >= 8


def test_two_layers_of_identities_are_one() -> None:
    """What is linear stays linear, however many layers it has."""
    architecture = Architecture(2, (8, 8), BINARY, "identity")
    assert GATES["XOR"] not in answers(architecture, learnt(architecture, "XOR", 10, 0.05).params)
