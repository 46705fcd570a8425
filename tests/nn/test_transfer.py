"""Initial values from another network: what is taken over and what is drawn anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.initializers import initial_params
from hpo.nn.transfer import transferred
from tests.nn.making import classifier, regressor

STATES = (3, (4, 1))


def numbers(architecture: Architecture, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return rng.normal(size=architecture.n_params).astype(np.float32)


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4, 3)])
def test_a_network_alike_is_copied_to_every_member(batch_norm: Any, hidden: Any) -> None:
    architecture = classifier(6, hidden, 3, batch_norm=batch_norm)
    params = numbers(architecture)
    start = transferred(architecture, params, architecture, STATES)
    assert start.dtype == np.float32
    np.testing.assert_array_equal(start, [params, params])


@pytest.mark.parametrize("batch_norm", ["none", "before"])
@pytest.mark.parametrize("n_classes", [2, 7])
def test_another_head_is_drawn_from_each_member_s_own_state(
    batch_norm: Any, n_classes: int
) -> None:
    source = classifier(6, (5, 4), 3, batch_norm=batch_norm)
    target = classifier(6, (5, 4), n_classes, batch_norm=batch_norm)
    params = numbers(source)
    start = transferred(source, params, target, STATES, "orthogonal")
    fresh = initial_params(target, STATES, "orthogonal")
    first = target.layer_starts[2]
    np.testing.assert_array_equal(start[:, :first], [params[:first]] * 2)
    np.testing.assert_array_equal(
        start[:, first : target.n_trainable], fresh[:, first : target.n_trainable]
    )
    np.testing.assert_array_equal(
        start[:, target.n_trainable :], [params[source.n_trainable :]] * 2
    )


def test_members_draw_new_heads_with_initializers_of_their_own() -> None:
    source, target = classifier(6, (5,), 3), classifier(6, (5,), 4)
    names = ("zeros", "lecun_normal")
    start = transferred(source, numbers(source), target, STATES, names)
    first = target.layer_starts[1]
    np.testing.assert_array_equal(
        start[:, first:], initial_params(target, STATES, names)[:, first:]
    )
    assert not start[0, first:].any()


def test_a_head_with_another_loss_is_another_head() -> None:
    source, target = classifier(6, (5,), 3), regressor(6, (5,), 3)
    params, first = numbers(source), target.layer_starts[1]
    start = transferred(source, params, target, (0,))
    np.testing.assert_array_equal(start[0, first:], initial_params(target, (0,))[0, first:])


def test_the_weight_of_a_loss_makes_no_other_head() -> None:
    source = classifier(6, (5,), 3)
    target = replace(source, heads=(Head(3, weight=0.5),))
    params = numbers(source)
    np.testing.assert_array_equal(transferred(source, params, target, (0,))[0], params)


def test_one_head_more_makes_all_of_them_new() -> None:
    source = classifier(6, (5,), 3)
    target = replace(source, heads=(Head(3), Head(2, "squared_error")))
    first = target.layer_starts[1]
    start = transferred(source, numbers(source), target, (0,))
    np.testing.assert_array_equal(start[0, first:], initial_params(target, (0,))[0, first:])


def test_the_source_is_copied_not_shared() -> None:
    architecture = classifier(6, (5,), 3)
    params = numbers(architecture)
    before = params.copy()
    transferred(architecture, params, architecture, STATES)[...] = 7
    np.testing.assert_array_equal(params, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_inputs": 7}, "n_inputs 7 cannot start from one with n_inputs 6"),
        ({"hidden": (5,)}, r"hidden \(5,\) cannot start from one with hidden \(5, 4\)"),
        ({"activation": "tanh"}, "activation tanh cannot start from one with activation relu"),
        ({"batch_norm": "after"}, "batch_norm after cannot start from one with batch_norm none"),
    ],
    ids=str,
)
def test_hidden_layers_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    source = classifier(6, (5, 4), 3)
    with pytest.raises(ValueError, match=message):
        transferred(source, numbers(source), replace(source, **change), (0,))
