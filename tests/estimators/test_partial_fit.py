"""One epoch at a time, and fits that go on from the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from tests.estimators.making import (
    KINDS,
    PLAIN,
    assert_same_network,
    diabetes,
    iris,
    small,
    target_for,
)

STEPWISE = [MLPClassifier, MLPRegressor]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "nadam", "adadelta"])
@pytest.mark.parametrize("kind", STEPWISE)
def test_five_calls_are_five_epochs_at_a_constant_rate(kind: type[Any], optimizer: str) -> None:
    """So the optimiser's state and its step go on."""
    X, y = iris()[0], target_for(kind)
    params = PLAIN | {"optimizer": optimizer, "learning_rate": 0.01}
    stepwise = small(kind, **params)
    for _ in range(5):
        stepwise.partial_fit(X, y)
    whole = small(kind, **params, max_epochs=5).fit(X, y)
    np.testing.assert_allclose(stepwise.params_, whole.params_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        stepwise.history_["train_loss"], whole.history_["train_loss"], rtol=1e-4
    )


def test_without_the_state_of_adam_the_second_call_would_be_another_one() -> None:
    X, y = iris()
    params = PLAIN | {"optimizer": "adam", "learning_rate": 0.01}
    twice = small(MLPClassifier, **params).partial_fit(X, y).partial_fit(X, y)
    first = small(MLPClassifier, **params).partial_fit(X, y)
    anew = small(MLPClassifier, **params, init_from=first).partial_fit(X, y)
    assert np.abs(twice.params_ - anew.params_).max() > 1e-4


@pytest.mark.parametrize("kind", STEPWISE)
def test_the_first_call_is_a_fit_of_one_epoch(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    one_epoch = {"max_epochs": 1, "schedule": "constant", "warmup": 0.0}
    expected = small(kind, **PLAIN | one_epoch).fit(X, y)
    first = small(kind, **PLAIN).partial_fit(X, y)
    np.testing.assert_allclose(first.params_, expected.params_, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", STEPWISE)
def test_many_calls_learn(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    fitted = small(kind, learning_rate=0.02)
    for _ in range(40):
        fitted.partial_fit(X, y)
    assert fitted.history_["train_loss"][-1] < 0.3 * fitted.history_["train_loss"][0]
    assert fitted.score(X, y) > 0.8


@pytest.mark.parametrize("kind", STEPWISE)
def test_the_history_grows_with_every_call(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    fitted = small(kind, learning_rate=0.02).fit(X, y)
    before = {name: values.copy() for name, values in fitted.history_.items()}
    fitted.partial_fit(X, y).partial_fit(X, y)
    assert fitted.n_iter_ == 5
    for name, values in fitted.history_.items():
        assert values.shape == (5,), name
        np.testing.assert_array_equal(values[:3], before[name])
    assert fitted.history_["learning_rate"][3:].tolist() == [0.02, 0.02]


def test_the_best_epoch_is_the_one_whose_weights_are_kept() -> None:
    fitted = small(MLPClassifier)
    for call in range(1, 4):
        fitted.partial_fit(*iris())
        assert (fitted.n_iter_, fitted.best_epoch_) == (call, call)


@pytest.mark.parametrize("kind", STEPWISE)
def test_only_the_first_call_learns_the_scales(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    fitted = small(kind).partial_fit(X, y)
    scaling, coders = fitted.scaling_, fitted.coders_
    fitted.partial_fit(X * 100, y)
    assert fitted.scaling_ is scaling
    assert fitted.coders_ is coders


def test_calls_see_rows_in_other_orders_and_give_the_same_again() -> None:
    """At rate 0 the running gradient's norm depends on the batches alone."""
    first, second = (
        small(MLPClassifier, learning_rate=0.0, batch_size=20)
        .partial_fit(*iris())
        .partial_fit(*iris())
        for _ in range(2)
    )
    assert_same_network(first, second)
    assert first.history_["gradient_norm"][0] != first.history_["gradient_norm"][1]


def test_classes_that_come_later_are_announced_in_the_first_call() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, learning_rate=0.01)
    fitted.partial_fit(X[y < 2], y[y < 2], classes=[2, 1, 0])
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.predict_proba(X).shape == (150, 3)
    for _ in range(40):
        fitted.partial_fit(X, y)
    assert fitted.score(X, y) > 0.85


def test_a_class_that_was_not_announced_is_refused() -> None:
    X, y = iris()
    fitted = small(MLPClassifier).partial_fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"class .*2.* was not among the classes .*: 0, 1"):
        fitted.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"class .*2.* was not among the classes .*: 0, 1"):
        small(MLPClassifier).partial_fit(X, y, classes=[0, 1])


def test_other_classes_in_a_later_call_are_refused() -> None:
    """As scikit-learn does; without a word they would be forgotten."""
    fitted = small(MLPClassifier).partial_fit(*iris(), classes=[0, 1, 2])
    fitted.partial_fit(*iris(), classes=[2, 1, 0])
    with pytest.raises(ValueError, match="classes"):
        fitted.partial_fit(*iris(), classes=[0, 1, 2, 3])


def test_labels_are_learnt_call_by_call() -> None:
    X, y = iris()
    together = np.column_stack([y == 0, y > 0]).astype(int)
    fitted = small(MLPClassifier, learning_rate=0.02)
    for _ in range(30):
        fitted.partial_fit(X, together)
    assert fitted.score(X, together) > 0.95


@pytest.mark.parametrize("kind", STEPWISE)
def test_weights_of_a_call_are_weights_of_its_rows(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    weights = (np.arange(150) % 2).astype(float)
    weighted = small(kind).partial_fit(X, y, sample_weight=weights)
    without = small(kind).partial_fit(X[1::2], y[1::2], sample_weight=np.ones(75))
    assert_same_network(weighted, without)


def test_rows_with_other_features_are_refused() -> None:
    X, y = iris()
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4"):
        small(MLPClassifier).partial_fit(X, y).partial_fit(X[:, :3], y)


def test_a_target_with_other_columns_is_refused() -> None:
    X = iris()[0]
    with pytest.raises(ValueError, match="the target has 1 columns, not 2"):
        small(MLPRegressor).partial_fit(X, X[:, :2]).partial_fit(X, X[:, 0])


@pytest.mark.parametrize("kind", STEPWISE)
def test_a_call_that_diverges_is_an_error(kind: type[Any]) -> None:
    """Only `fit_many` returns networks that diverged."""
    X, y = iris()[0], target_for(kind)
    fitted = small(kind, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        fitted.partial_fit(X, y)
    assert not hasattr(fitted, "params_")


@pytest.mark.parametrize("kind", STEPWISE)
def test_a_call_that_diverges_leaves_the_network_as_it_was(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    fitted, other = (small(kind, learning_rate=0.01).fit(X, y).partial_fit(X, y) for _ in range(2))
    fitted.set_params(learning_rate=1e30)
    with pytest.raises(ValueError, match=r"diverged in epoch 5 .*learning_rate below 1e\+30"):
        fitted.partial_fit(X, y)
    assert_same_network(fitted, other)
    fitted.set_params(learning_rate=0.01)
    assert_same_network(fitted.partial_fit(X, y), other.partial_fit(X, y))


def test_a_network_that_diverged_is_not_gone_on_from() -> None:
    X, y = iris()
    leader = small(MLPClassifier, optimizer="sgd", warm_start=True)
    (member,) = leader.fit_many(X, y, [{"learning_rate": 1e30}])
    with pytest.raises(ValueError, match="diverged, it cannot go on"):
        member.partial_fit(X, y)
    member.set_params(learning_rate=0.1)
    assert_same_network(member.fit(X, y), leader.set_params(learning_rate=0.1).fit(X, y))


def test_calls_after_a_fit_with_validation_rows_measure_none() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, patience=1, max_epochs=20, learning_rate=0.3)
    fitted.fit(X, y, X_val=X[:30], y_val=(y[:30] + 1) % 3)
    epochs, before = fitted.n_iter_, fitted.history_["val_loss"].copy()
    assert fitted.best_epoch_ < epochs
    fitted.partial_fit(X, y)
    assert fitted.n_iter_ == fitted.best_epoch_ == epochs + 1
    assert {len(curve) for curve in fitted.history_.values()} == {epochs + 1}
    np.testing.assert_array_equal(fitted.history_["val_loss"][:-1], before)
    assert np.isnan(fitted.history_["val_loss"][-1])


def test_calls_drop_other_units() -> None:
    """At rate 0, with all rows in one batch, losses differ by what was dropped alone."""
    fitted = small(MLPClassifier, dropout=0.5, learning_rate=0.0, batch_size=150).fit(*iris())
    for _ in range(3):
        fitted.partial_fit(*iris())
    losses = fitted.history_["train_loss"]
    assert np.abs(losses[:, None] - losses + np.eye(6)).min() > 1e-4


def test_a_matrix_of_weights_is_for_several_networks() -> None:
    with pytest.raises(ValueError, match="sample_weight has 2 rows for 1 members"):
        small(MLPClassifier).partial_fit(*iris(), sample_weight=np.ones((2, 150)))


def test_weights_of_classes_may_name_classes_that_a_call_does_not_have() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, class_weight={2: 5.0}, scaling="none")
    fitted.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    plain = small(MLPClassifier, scaling="none")
    plain.partial_fit(X[y < 2], y[y < 2], [0, 1, 2], np.ones(100))
    assert_same_network(fitted, plain)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "classes is empty"),
        ([0, 1, "a", None], "classes must be of one type|was not among the classes"),
        (["a", "b", "c"], "was not among the classes"),
    ],
    ids=str,
)
def test_classes_that_are_none_are_refused(classes: list[Any], message: str) -> None:
    given: Any = np.array(classes, dtype=object) if classes else classes
    with pytest.raises(ValueError, match=message):
        small(MLPClassifier).partial_fit(*iris(), classes=given)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "momentum"},
        {"hidden_layer_sizes": (9,)},
        {"freeze": 1},
        {"activation": "tanh"},
        {"batch_norm": True},
    ],
    ids=str,
)
def test_parameters_that_do_not_fit_the_last_call_are_refused_by_name(
    change: dict[str, Any],
) -> None:
    fitted = small(MLPClassifier).partial_fit(*iris())
    before = small(MLPClassifier).partial_fit(*iris())
    with pytest.raises(ValueError, match=f"{next(iter(change))} was .* so far and is .* now"):
        fitted.set_params(**change).partial_fit(*iris())
    assert_same_network(fitted, before)


def test_several_tasks_have_no_calls() -> None:
    assert not hasattr(MLPMultiTask(), "partial_fit")


def test_a_fit_forgets_the_calls_before_it() -> None:
    X, y = iris()
    fitted = small(MLPClassifier).partial_fit(X[:50], y[:50], classes=[0, 1, 2]).fit(X, y)
    assert_same_network(fitted, small(MLPClassifier).fit(X, y))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_fit_begins_anew(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    assert_same_network(small(kind).fit(X[:80], y[:80]).fit(X, y), small(kind).fit(X, y))


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_goes_on_from_the_last_fit(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    first = small(kind).fit(X, y)
    warm = small(kind, warm_start=True).fit(X, y).fit(X, y)
    assert_same_network(warm, small(kind, init_from=first).fit(X, y))
    assert warm.history_["train_loss"][0] < first.history_["train_loss"][0]


def test_a_warm_start_at_rate_0_stays_where_it_was() -> None:
    X, y = iris()
    warm = small(MLPClassifier, warm_start=True).fit(X, y)
    before = warm.params_.copy()
    warm.set_params(learning_rate=0.0).fit(X[:60] * 2, y[:60])
    np.testing.assert_array_equal(warm.params_, before)


def test_a_warm_start_keeps_the_scales() -> None:
    X, y = diabetes()
    warm = small(MLPRegressor, warm_start=True).fit(X, y)
    scaling, coders = warm.scaling_, warm.coders_
    warm.fit(X * 2, y * 2)
    assert warm.scaling_ is scaling
    assert warm.coders_ is coders


def test_a_warm_start_with_unknown_classes_is_refused() -> None:
    X, y = iris()
    warm = small(MLPClassifier, warm_start=True).fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match="was not among the classes"):
        warm.fit(X, y)


def test_a_warm_start_into_other_layers_is_refused() -> None:
    warm = small(MLPClassifier, warm_start=True).fit(*iris())
    with pytest.raises(ValueError, match=r"hidden \(9,\) cannot start from one with hidden \(8,\)"):
        warm.set_params(hidden_layer_sizes=(9,)).fit(*iris())


def test_another_loss_is_refused_where_training_goes_on() -> None:
    X, y = iris()[0], target_for(MLPRegressor)
    fitted = small(MLPRegressor, warm_start=True).fit(X, y).set_params(loss="huber")
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="loss was 'squared_error' so far and is 'huber' now"):
            getattr(fitted, call)(X, y)


@pytest.mark.parametrize(
    "change",
    [{"tasks": ("regression", "regression")}, {"loss_weights": (1, 2)}],
    ids=str,
)
def test_other_tasks_are_refused_where_training_goes_on(change: dict[str, Any]) -> None:
    X, y = iris()[0], target_for(MLPMultiTask)
    warm = small(MLPMultiTask, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=f"{next(iter(change))} were .* so far and are"):
        warm.set_params(**change).fit(X, y)
    same: dict[str, Any] = {"tasks": ["classification", "regression"], "loss_weights": (1, 1)}
    assert warm.set_params(**same).fit(X, y).n_iter_ == 3
