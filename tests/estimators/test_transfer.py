"""Networks that start from others: what is taken over, what is frozen, and that it helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from tests.estimators.making import assert_same_network, digits, iris, small, target_for

DEEP: dict[str, Any] = {"hidden_layer_sizes": (8, 6, 5)}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch_norm": {"batch_norm": True},
    "batch_norm after": {"batch_norm": "after"},
    "weight_decay": {"weight_decay": 0.5, "optimizer": "adamw"},
    "penalties": {"l1": 0.01, "l2": 0.1},
    "max_norm": {"max_norm": 0.05},
    "clip_norm": {"clip_norm": 0.1, "dropout": 0.3},
}


def source_of(kind: type[BaseMLP] = MLPClassifier, **params: Any) -> Any:
    return small(kind, random_state=7, **DEEP | params).fit(iris()[0], target_for(kind))


def layers(fitted: BaseMLP) -> list[NDArray[Any]]:
    """Numbers of each layer, with the moving statistics of batch normalisation."""
    starts = fitted.architecture_.layer_starts
    parts = np.split(fitted.params_, starts[1:])
    moving = np.split(parts.pop(), np.cumsum([2 * units for units in (8, 6, 5)]))
    return [np.concatenate(pair) for pair in zip(parts, moving, strict=True)]


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor, MLPMultiTask])
def test_all_layers_are_taken_over_from_a_network_alike(kind: type[BaseMLP]) -> None:
    source = source_of(kind)
    target = target_for(kind)
    taken = small(kind, **DEEP, init_from=source, learning_rate=0.0).fit(iris()[0], target)
    np.testing.assert_array_equal(taken.params_, source.params_)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("freeze", [1, 2, 3])
def test_the_first_layers_stay_as_they_are(settings: str, freeze: int) -> None:
    X, y = iris()
    norm = {"batch_norm": SETTINGS[settings].get("batch_norm", False)}
    source = source_of(**norm)
    fitted = small(
        MLPClassifier, **DEEP, **SETTINGS[settings], init_from=source, freeze=freeze
    ).fit(X[:90], y[:90])
    for place, (before, after) in enumerate(zip(layers(source), layers(fitted), strict=True)):
        assert np.array_equal(before, after) == (place < freeze), place


@pytest.mark.parametrize("settings", SETTINGS)
def test_without_freezing_all_layers_learn(settings: str) -> None:
    norm = {"batch_norm": SETTINGS[settings].get("batch_norm", False)}
    source = source_of(**norm)
    fitted = small(MLPClassifier, **DEEP, **SETTINGS[settings], init_from=source).fit(*iris())
    for before, after in zip(layers(source), layers(fitted), strict=True):
        assert not np.array_equal(before, after)


def test_all_but_last_freezes_every_hidden_layer() -> None:
    source = source_of()
    by_name = small(MLPClassifier, **DEEP, init_from=source, freeze="all_but_last").fit(*iris())
    by_number = small(MLPClassifier, **DEEP, init_from=source, freeze=3).fit(*iris())
    assert_same_network(by_name, by_number)


def test_a_frozen_network_is_softmax_regression_on_its_last_hidden_layer() -> None:
    X, y = iris()
    source = source_of(activation="tanh")
    fitted = small(
        MLPClassifier, **DEEP, activation="tanh", init_from=source, freeze=3, max_epochs=2
    ).fit(X, y)
    hidden = source.scaling_.transform(X)
    for layer in source.architecture_.layers(source.params_[None])[:-1]:
        hidden = np.tanh(hidden @ layer.weights[0] + layer.biases[0])
    (last,) = fitted.architecture_.layers(fitted.params_[None])[3:]
    z = hidden @ last.weights[0] + last.biases[0]
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4)


def test_frozen_layers_without_a_source_keep_their_initial_values() -> None:
    X, y = iris()
    start = small(MLPClassifier, learning_rate=0.0).fit(X, y)
    fitted = small(MLPClassifier, freeze=1).fit(X, y)
    first = start.architecture_.layer_starts[1]
    np.testing.assert_array_equal(fitted.params_[:first], start.params_[:first])
    assert not np.array_equal(fitted.params_[first:], start.params_[first:])


@pytest.mark.parametrize("classes", [2, 4])
def test_other_classes_get_a_new_head_of_the_own_random_state(classes: int) -> None:
    X, y = iris()[0], np.arange(150) % classes
    source = source_of()
    fitted = small(MLPClassifier, **DEEP, init_from=source, learning_rate=0.0).fit(X, y)
    scratch = small(MLPClassifier, **DEEP, learning_rate=0.0).fit(X, y)
    for place, (taken, known, new) in enumerate(
        zip(layers(fitted), layers(source), layers(scratch), strict=True)
    ):
        np.testing.assert_array_equal(taken, known if place < 3 else new)


def test_a_network_of_another_kind_is_a_source() -> None:
    source = source_of(MLPRegressor)
    fitted = small(MLPClassifier, **DEEP, init_from=source, freeze=3).fit(*iris())
    for known, taken in zip(layers(source)[:3], layers(fitted), strict=False):
        np.testing.assert_array_equal(known, taken)
    assert fitted.classes_.tolist() == [0, 1, 2]


def test_inputs_are_seen_as_the_source_saw_them() -> None:
    X, y = iris()
    source = small(MLPClassifier, scaling="standard").fit(X * 3, y)
    fitted = small(MLPClassifier, init_from=source).fit(X, y)
    assert fitted.scaling_ is source.scaling_


def test_the_source_stays_as_it_was() -> None:
    source = source_of(batch_norm=True)
    before = source.params_.copy()
    small(MLPClassifier, **DEEP, batch_norm=True, init_from=source).fit(*iris())
    np.testing.assert_array_equal(source.params_, before)


def test_a_source_that_saw_other_features_is_refused() -> None:
    X, y = iris()
    source = source_of()
    message = "n_inputs 3 cannot start from one with n_inputs 4|3 features.* 4 features"
    with pytest.raises(ValueError, match=message):
        small(MLPClassifier, **DEEP, init_from=source).fit(X[:, :3], y)


@pytest.mark.parametrize(
    "params",
    [{"hidden_layer_sizes": (8, 6)}, {"activation": "tanh"}, {"batch_norm": True}],
    ids=str,
)
def test_a_source_of_another_shape_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot start from one with"):
        small(MLPClassifier, **DEEP | params, init_from=source_of()).fit(*iris())


def test_a_source_that_is_no_network_is_refused() -> None:
    source: Any = "network.npz"
    with pytest.raises(ValueError, match="init_from is a fitted network, not str"):
        small(MLPClassifier, init_from=source).fit(*iris())


def test_a_source_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(NotFittedError):
        small(MLPClassifier, init_from=small(MLPClassifier)).fit(*iris())


def test_a_source_that_diverged_is_refused() -> None:
    """Not as if the learning rate of the new network were at fault."""
    (source,) = small(MLPClassifier, optimizer="sgd").fit_many(*iris(), [{"learning_rate": 1e30}])
    with pytest.raises(ValueError, match="init_from"):
        small(MLPClassifier, init_from=source).fit(*iris())


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (2, "of 2 layers, 2 cannot be frozen"),
        (-1, "freeze is a number of layers"),
        (True, "freeze is a number of layers"),
        ("first", "freeze is a number of layers"),
    ],
)
def test_layers_that_cannot_be_frozen_are_refused(freeze: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(MLPClassifier, freeze=freeze).fit(*iris())


def test_a_clone_starts_from_the_same_network() -> None:
    """Whatever clones the estimator, such as a grid search, starts where the user said."""
    X, y = iris()
    transfer = small(MLPClassifier, **DEEP, init_from=source_of())
    assert_same_network(clone(transfer).fit(X, y), transfer.fit(X, y))


def test_cross_validation_starts_from_the_network_that_was_given() -> None:
    X, y = iris()
    source = small(MLPClassifier, max_epochs=30, learning_rate=0.03).fit(X, y)
    transfer = small(MLPClassifier, init_from=source, learning_rate=1e-6)
    assert cross_val_score(transfer, X, y, cv=3).min() > 0.9


def test_calls_of_partial_fit_start_from_the_source() -> None:
    source = source_of()
    fitted = small(MLPClassifier, **DEEP, init_from=source, learning_rate=0.0)
    np.testing.assert_array_equal(fitted.partial_fit(*iris()).params_, source.params_)


@pytest.mark.parametrize("freeze", [None, 1])
def test_a_related_task_is_learnt_from_few_rows(freeze: int | None) -> None:
    """All targets are functions of three hidden quantities, which ten of them tell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 30))
    hidden = np.tanh(X @ rng.normal(size=(30, 3)) / 3)
    known, new = hidden @ rng.normal(size=(3, 10)), hidden @ rng.normal(size=3)
    settings: dict[str, Any] = {"hidden_layer_sizes": (8,), "activation": "tanh"}
    settings |= {"learning_rate": 0.01, "max_epochs": 40, "random_state": 0}
    source = MLPRegressor(**settings).fit(X[:600], known[:600])
    transfer, scratch = (
        MLPRegressor(**settings | params).fit(X[600:640], new[600:640]).score(X[640:], new[640:])
        for params in ({"init_from": source, "freeze": freeze}, {})
    )
    assert transfer > 0.8
    assert scratch < 0.6


def test_other_digits_are_no_reason_to_keep_the_head() -> None:
    """Five classes and five others: what says 0 knows nothing of 5."""
    X, y = digits()
    old, new = y < 5, y >= 5
    settings: dict[str, Any] = {"hidden_layer_sizes": (16,), "random_state": 0}
    source = MLPClassifier(**settings, max_epochs=10).fit(X[old], y[old])
    still: dict[str, Any] = {"max_epochs": 1, "learning_rate": 0.0}
    transfer, scratch = (
        MLPClassifier(**settings | still, init_from=start).fit(X[new], y[new])
        for start in (source, None)
    )
    last = source.architecture_.layer_starts[1]
    np.testing.assert_array_equal(transfer.params_[:last], source.params_[:last])
    np.testing.assert_array_equal(transfer.params_[last:], scratch.params_[last:])


def test_a_grid_search_tries_networks_to_start_from() -> None:
    """It clones what it tries, which takes a wrapper to survive."""
    X, y = iris()
    good = small(MLPClassifier, max_epochs=30, learning_rate=0.03).fit(X, y)
    grid = {"init_from": [None, FrozenEstimator(good)]}
    search = GridSearchCV(small(MLPClassifier, learning_rate=1e-6), grid, cv=3).fit(X, y)
    assert search.best_params_["init_from"].estimator is good
    assert search.best_score_ > 0.9
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        small(MLPClassifier, init_from=clone(good)).fit(X, y)


def test_a_clone_keeps_the_network_itself() -> None:
    source = source_of()
    transfer = small(MLPClassifier, **DEEP, init_from=source)
    assert clone(transfer).init_from is source
    assert not hasattr(clone(source), "params_")


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        (["a", "b", "c"], ["a", "b", "c"], True),
        (["a", "b", "c"], ["a", "b", "d"], False),
        (["a", "b", "c"], [0, 1, 2], False),
        ([0, 1, 2], [0.0, 1.0, 2.0], True),
    ],
    ids=str,
)
def test_a_head_is_taken_over_for_the_same_classes_only(
    old: list[Any], new: list[Any], taken: bool
) -> None:
    X, y = iris()
    source = small(MLPClassifier).fit(X, np.array(old)[y])
    fitted = small(MLPClassifier, init_from=source, learning_rate=0.0).fit(X, np.array(new)[y])
    last = source.architecture_.layer_starts[1]
    np.testing.assert_array_equal(fitted.params_[:last], source.params_[:last])
    assert np.array_equal(fitted.params_[last:], source.params_[last:]) == taken


def test_moving_statistics_are_taken_over_with_a_new_head() -> None:
    X, y = iris()
    source = source_of(batch_norm=True)
    fitted = small(
        MLPClassifier, **DEEP, batch_norm=True, init_from=source, freeze=3, learning_rate=0.0
    ).fit(X, np.array(["x", "y", "z"])[y])
    for known, taken in zip(layers(source)[:3], layers(fitted), strict=False):
        np.testing.assert_array_equal(known, taken)


def test_a_class_is_no_fitted_network() -> None:
    source: Any = MLPClassifier
    with pytest.raises(ValueError, match="init_from is a fitted network"):
        small(MLPClassifier, init_from=source).fit(*iris())
