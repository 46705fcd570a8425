"""Parameters that cannot be used are refused in words that say which and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.estimators.options import batch_size
from tests.estimators.making import KINDS, assert_same_network, iris, small, target_for

WRONG = [
    ({"activation": "rel"}, "unknown activation 'rel': did you mean 'relu'"),
    ({"activation": "step"}, "activation 'step' has no derivative"),
    ({"optimizer": "adm"}, "unknown optimizer 'adm': did you mean 'adam'"),
    ({"initializer": "he_norm"}, "unknown initializer 'he_norm': did you mean 'he_normal'"),
    ({"initializer": "normal:-1"}, "normal:DEVIATION needs a number above 0"),
    ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'"),
    ({"warmup": 1.0}, "warmup is a share of the training"),
    ({"batch_norm": "between"}, "batch_norm is none, before or after, not 'between'"),
    ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes must be > 0, got \[8, 0\]"),
    ({"hidden_layer_sizes": (2.5,)}, r"hidden_layer_sizes must be whole numbers, got \[2.5\]"),
    ({"hidden_layer_sizes": "64"}, "hidden_layer_sizes must be whole numbers"),
    ({"learning_rate": -1.0}, "learning_rate must be from 0 to inf, got -1"),
    ({"learning_rate": np.nan}, "learning_rate must be from 0 to inf, got nan"),
    ({"weight_decay": -1.0}, "weight_decay must be from 0 to inf, got -1"),
    ({"l1": -1.0}, "l1 must be from 0 to inf, got -1"),
    ({"l2": -1.0}, "l2 must be from 0 to inf, got -1"),
    ({"dropout": 1.0}, "dropout must be from 0 to 0.99, got 1"),
    ({"dropout": (0.1, 0.2, 0.3)}, "dropout is one number or one for each of 2 hidden layers"),
    ({"dropout": (0.1, "much")}, "dropout must be a number, got 'much'"),
    ({"max_norm": -1.0}, "max_norm must be from 0 to inf, got -1"),
    ({"clip_norm": -1.0}, "clip_norm must be from 0 to inf, got -1"),
    ({"optimizer_options": {"mu": 1.0}}, "has no mu; it takes beta1, beta2, eps"),
    ({"optimizer_options": {"beta1": -1.0}}, "beta1 must be from 0"),
    ({"optimizer_options": ["beta1"]}, "optimizer_options is a mapping of names to numbers"),
    ({"optimizer_options": {"beta1": "x"}}, "beta1 must be a number, got 'x'"),
    ({"initializer": None}, "initializer is a name, not None"),
    ({"activation": ["relu"]}, "unknown activation"),
    ({"batch_norm": ["after"]}, "batch_norm is none, before or after"),
    ({"hidden_layer_sizes": [(8, 6), 3]}, "hidden_layer_sizes must be whole numbers"),
    ({"learning_rate": 10**400}, "learning_rate is too large for a number"),
    ({"min_delta": -0.1}, "min_delta must be 0 or more, and finite, got -0.1"),
    ({"random_state": -1}, "random_state must not be negative, got -1"),
    ({"random_state": "lucky"}, "'lucky' cannot be used to seed"),
]


@pytest.mark.parametrize(("params", "message"), WRONG, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_cannot_be_used_is_refused(
    kind: type[BaseMLP], params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small(kind, **{"hidden_layer_sizes": (8, 6)} | params).fit(iris()[0], target_for(kind))


@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_a_smoothing_that_is_no_share_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing must be from 0 to 1"):
        small(MLPClassifier, label_smoothing=smoothing).fit(*iris())


NUMBERS = [
    "learning_rate",
    "weight_decay",
    "l1",
    "l2",
    "dropout",
    "max_norm",
    "clip_norm",
    "label_smoothing",
    "min_delta",
    "warmup",
]


@pytest.mark.parametrize("wrong", ["much", "0.5", True, [0.1, 0.2], {}, 1j], ids=str)
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_in_the_place_of_one_is_called_so(name: str, wrong: Any) -> None:
    """A message about shapes sends the user to the wrong place."""
    params: dict[str, Any] = {name: wrong}
    with pytest.raises(ValueError, match=name) as caught:
        small(MLPClassifier, **params).fit(*iris())
    assert repr(wrong) in str(caught.value)


def test_a_word_among_the_members_is_called_so() -> None:
    with pytest.raises(ValueError, match="learning_rate must be a number, got 'fast'"):
        small(MLPClassifier).fit_many(*iris(), [{}, {"learning_rate": "fast"}])


DEFAULTS: dict[type[BaseMLP], tuple[Any, ...]] = {
    MLPClassifier: ("relu", 3e-3, 0.5, 0.1),
    MLPMultiTask: ("relu", 3e-3, 0.5, 0.1),
    MLPRegressor: ("silu", 5e-3, 0.2, 0.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_those_that_were_measured(kind: type[BaseMLP]) -> None:
    params = kind().get_params()
    names = ("activation", "learning_rate", "weight_decay", "dropout")
    assert tuple(params[name] for name in names) == DEFAULTS[kind]
    shared = {"hidden_layer_sizes": (64, 64), "max_epochs": 100, "optimizer": "adam"}
    shared |= {"schedule": "cosine", "warmup": 0.05, "batch_size": "auto", "scaling": "robust"}
    assert {name: params[name] for name in shared} == shared


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_a_decay_that_is_none_is_refused(beta: float) -> None:
    """1 divides by zero and 2 takes roots of negative numbers; neither is divergence."""
    with pytest.raises(ValueError, match="beta"):
        small(MLPClassifier, optimizer_options={"beta2": beta}).fit(*iris())


def test_one_number_is_one_hidden_layer() -> None:
    sizes: Any = 8
    fitted = small(MLPClassifier, hidden_layer_sizes=sizes).fit(*iris())
    assert_same_network(fitted, small(MLPClassifier, hidden_layer_sizes=(8,)).fit(*iris()))


def test_true_is_normalisation_before_the_activation() -> None:
    fitted = small(MLPClassifier, batch_norm=True).fit(*iris())
    assert_same_network(fitted, small(MLPClassifier, batch_norm="before").fit(*iris()))


@pytest.mark.parametrize(
    ("activation", "initializer"),
    [("relu", "he_normal"), ("tanh", "xavier_uniform"), ("selu", "lecun_normal")],
)
def test_auto_is_the_initializer_of_the_activation(activation: str, initializer: str) -> None:
    auto = small(MLPClassifier, activation=activation).fit(*iris())
    named = small(MLPClassifier, activation=activation, initializer=initializer).fit(*iris())
    assert_same_network(auto, named)


@pytest.mark.parametrize(
    ("rows", "size"), [(90, 32), (1000, 32), (3000, 32), (3200, 64), (6400, 128), (50_000, 256)]
)
def test_the_automatic_batch_grows_with_the_rows(rows: int, size: int) -> None:
    assert batch_size("auto", rows) == size


def test_an_automatic_batch_of_150_rows_has_32() -> None:
    auto = small(MLPClassifier).fit(*iris())
    assert_same_network(auto, small(MLPClassifier, batch_size=32).fit(*iris()))


def test_a_batch_is_never_larger_than_the_table() -> None:
    whole = small(MLPClassifier, batch_size=10_000).fit(*iris())
    assert_same_network(whole, small(MLPClassifier, batch_size=150).fit(*iris()))


def test_the_same_random_state_gives_the_same_network_and_another_one_another() -> None:
    first, again, other = (
        small(MLPClassifier, dropout=0.2, random_state=s).fit(*iris()) for s in (0, 0, 1)
    )
    assert_same_network(first, again)
    assert not np.array_equal(first.params_, other.params_)


def test_a_random_generator_goes_on_from_fit_to_fit() -> None:
    estimator = small(MLPClassifier, random_state=np.random.RandomState(0))
    first, second = (estimator.fit(*iris()).params_.copy() for _ in range(2))
    again = small(MLPClassifier, random_state=np.random.RandomState(0)).fit(*iris())
    np.testing.assert_array_equal(again.params_, first)
    assert not np.array_equal(first, second)
