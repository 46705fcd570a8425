"""The flat buffer: where each layer stands in it, and what describes it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.nn.architecture import Architecture, BatchNorm, Head
from tests.nn.making import classifier, regressor

HEADS = (Head(3), Head(1, "huber", 0.5), Head(2, "binary_cross_entropy", 2.0))


def test_layout_by_hand() -> None:
    architecture = regressor(2, (3,))
    assert (architecture.n_trainable, architecture.n_params) == (13, 13)
    first, second = architecture.layers(np.arange(26.0).reshape(2, 13))
    assert first.weights[1].tolist() == [[13, 14, 15], [16, 17, 18]]
    assert first.biases[0].tolist() == [[6, 7, 8]]
    assert second.weights[0].tolist() == [[9], [10], [11]]
    assert second.biases[1].tolist() == [[25]]
    assert first.scale.size == first.shift.size == second.scale.size == 0
    assert architecture.moving(np.zeros((2, 13))) == []


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_layout_with_normalisation_by_hand(batch_norm: BatchNorm) -> None:
    architecture = regressor(2, (3, 2), batch_norm=batch_norm)
    # 6 weights, 3 biases, 3 scales, 3 shifts; 6, 2, 2, 2; 2 and 1; then 2 * (3 + 2) statistics.
    assert architecture.layer_starts == (0, 15, 27, 30)
    assert (architecture.n_trainable, architecture.n_params) == (30, 40)
    flat = np.arange(40.0)[None]
    first, second, last = architecture.layers(flat)
    assert (first.scale[0].tolist(), first.shift[0].tolist()) == ([[9, 10, 11]], [[12, 13, 14]])
    assert second.weights[0].tolist() == [[15, 16], [17, 18], [19, 20]]
    assert (second.scale[0].tolist(), second.shift[0].tolist()) == ([[23, 24]], [[25, 26]])
    assert (last.weights.ravel().tolist(), last.biases.ravel().tolist()) == ([27, 28], [29])
    assert last.scale.size == 0
    moving = [each.ravel().tolist() for pair in architecture.moving(flat) for each in pair]
    assert moving == [[30, 31, 32], [33, 34, 35], [36, 37], [38, 39]]


@given(
    hidden=st.lists(st.integers(1, 5), max_size=3).map(tuple),
    batch_norm=st.sampled_from(["none", "before", "after"]),
    members=st.integers(1, 3),
)
def test_views_cover_the_buffer_once(
    hidden: tuple[int, ...], batch_norm: BatchNorm, members: int
) -> None:
    architecture = Architecture(4, hidden, HEADS, batch_norm=batch_norm)
    flat = np.zeros((members, architecture.n_params), dtype=np.float32)
    for layer in architecture.layers(flat):
        for view in (layer.weights, layer.biases, layer.scale, layer.shift):
            view += 1
    assert flat[:, : architecture.n_trainable].all()
    assert not flat[:, architecture.n_trainable :].any()
    for moving in architecture.moving(flat):
        for view in moving:
            view += 1
    assert (flat == 1).all()


def test_heads_stand_side_by_side() -> None:
    architecture = Architecture(4, (5,), HEADS)
    assert architecture.n_outputs == 6
    assert architecture.sizes == (4, 5, 6)
    assert architecture.head_slices == (slice(0, 3), slice(3, 4), slice(4, 6))


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
def test_json_round_trip(batch_norm: BatchNorm) -> None:
    architecture = Architecture(4, (5, 6), HEADS, "selu", batch_norm)
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


@pytest.mark.parametrize(("n_inputs", "hidden"), [(0, (3,)), (2, (0,)), (2, (3, -1))])
def test_empty_layers_are_refused(n_inputs: int, hidden: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        classifier(n_inputs, hidden, 2)


def test_impossible_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one output, got 0"):
        Head(0)
    for weight in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="weight must be a number above 0"):
            Head(1, weight=weight)
    with pytest.raises(ValueError, match="at least one head"):
        Architecture(2, (3,), ())


def test_an_unknown_place_of_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_norm is none, before or after, not 'between'"):
        regressor(2, (3,), batch_norm="between")  # type: ignore[arg-type]
