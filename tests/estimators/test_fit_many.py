"""Many networks at once: each is what it would be by itself, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor, base
from hpo.estimators.base import BaseMLP
from hpo.nn import training
from tests.estimators.making import KINDS, assert_same_network, iris, own_fit, small, target_for

NUMBERS: list[dict[str, Any]] = [
    {},
    {"learning_rate": 0.05},
    {"weight_decay": 0.5},
    {"l1": 0.01},
    {"l2": 0.1},
    {"dropout": 0.4},
    {"dropout": (0.1, 0.6)},
    {"max_norm": 0.5},
    {"clip_norm": 0.05},
    {"optimizer_options": {"beta1": 0.5}},
    {"initializer": "orthogonal"},
    {"learning_rate": 0.02, "l1": 0.001, "dropout": 0.1, "clip_norm": 0.5},
]
"""Differences that one stack holds."""

OF_CLASSES: list[dict[str, Any]] = [
    {"label_smoothing": 0.2},
    {"class_weight": "balanced"},
    {"class_weight": {0: 3, 1: 0.5, 2: 1}},
]

OF_STACKS: list[dict[str, Any]] = [
    {"hidden_layer_sizes": (5,)},
    {"optimizer": "sgd", "learning_rate": 0.1},
    {"batch_size": 50},
    {"learning_rate": 0.03},
    {"activation": "tanh"},
    {"batch_norm": "after"},
    {"max_epochs": 2},
    {"scaling": "standard"},
    {"hidden_layer_sizes": (5,), "learning_rate": 0.03},
    {"schedule": "constant"},
    {"freeze": 1},
]
"""Differences of which all but the numbers make a stack of their own."""


def uneven() -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of `iris` of which the classes have 30, 45 and 50."""
    X, y = iris()
    kept = np.concatenate([np.flatnonzero(y == c)[:n] for c, n in enumerate((30, 45, 50))])
    return X[kept], y[kept]


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the stacks that are trained from now on."""
    sizes: list[int] = []
    train = training.train

    def counted(architecture: Any, settings: Any, members: Any, *rest: Any, **more: Any) -> Any:
        sizes.append(len(members))
        return train(architecture, settings, members, *rest, **more)

    monkeypatch.setattr(base, "train", counted)
    return sizes


@pytest.mark.parametrize("batch_norm", [False, True])
def test_members_that_differ_in_numbers_are_one_stack_and_equal_their_own_fits(
    batch_norm: bool, stacks: list[int]
) -> None:
    X, y = uneven()
    leader = small(MLPClassifier, hidden_layer_sizes=(8, 6), batch_norm=batch_norm)
    params = [*NUMBERS, *OF_CLASSES]
    members = leader.fit_many(X, y, params)
    assert stacks == [len(params)]
    for member, given in zip(members, params, strict=True):
        assert member.get_params() == leader.get_params() | given
        assert_same_network(member, own_fit(leader, given, X, y))


@pytest.mark.parametrize("kind", [MLPRegressor, MLPMultiTask])
def test_members_of_other_kinds_equal_their_own_fits(
    kind: type[BaseMLP], stacks: list[int]
) -> None:
    X, y = iris()[0], target_for(kind)
    leader = small(kind, hidden_layer_sizes=(8, 6))
    members = leader.fit_many(X, y, NUMBERS)
    assert stacks == [len(NUMBERS)]
    for member, given in zip(members, NUMBERS, strict=True):
        assert_same_network(member, own_fit(leader, given, X, y))


def test_members_of_several_stacks_come_in_the_order_that_was_asked_for(stacks: list[int]) -> None:
    X, y = iris()
    leader = small(MLPClassifier)
    members = leader.fit_many(X, y, OF_STACKS)
    assert sorted(stacks) == [1] * 9 + [2]
    for member, given in zip(members, OF_STACKS, strict=True):
        assert member.get_params() == leader.get_params() | given
        assert_same_network(member, own_fit(leader, given, X, y))


def test_no_params_give_no_members() -> None:
    assert small(MLPClassifier).fit_many(*iris(), []) == []


def test_the_leader_itself_is_not_fitted() -> None:
    leader = small(MLPClassifier)
    leader.fit_many(*iris(), [{}, {"learning_rate": 0.1}])
    assert not hasattr(leader, "params_")


def test_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid parameter 'rate'"):
        small(MLPClassifier).fit_many(*iris(), [{}, {"rate": 1}])


def test_random_states_differ_inside_a_stack(stacks: list[int]) -> None:
    """Initial values are those of each state; the order of rows, in full batches, means nothing."""
    X, y = iris()
    leader = small(MLPClassifier, batch_size=150)
    members = leader.fit_many(X, y, [{"random_state": state} for state in (0, 1, 2)])
    assert stacks == [3]
    for state, member in enumerate(members):
        alone = own_fit(leader, {"random_state": state}, X, y)
        np.testing.assert_allclose(member.params_, alone.params_, rtol=1e-4, atol=1e-5)
    assert not np.allclose(members[0].params_, members[1].params_, atol=0.1)


def test_without_a_random_state_members_begin_alike_and_calls_differ() -> None:
    X, y = iris()
    leader = small(MLPClassifier, random_state=None)
    first, second = leader.fit_many(X, y, [{}, {}])
    assert_same_network(first, second)
    assert not np.array_equal(leader.fit_many(X, y, [{}])[0].params_, first.params_)


def test_every_member_stops_on_its_own() -> None:
    X, y = iris()
    params = [{"learning_rate": rate} for rate in (0.3, 0.1, 0.03, 1e-5)]
    leader = small(MLPClassifier, max_epochs=30, patience=2, hidden_layer_sizes=(32,))
    held_out = {"X_val": X[100:], "y_val": y[100:]}
    members = leader.fit_many(X[:100], y[:100], params, **held_out)
    for member, given in zip(members, params, strict=True):
        assert_same_network(member, own_fit(leader, given, X[:100], y[:100], **held_out))
    assert len({member.n_iter_ for member in members}) >= 3
    assert members[-1].n_iter_ == 30


def test_a_member_that_diverges_is_marked_and_leaves_the_others_as_they_are() -> None:
    X, y = target_for(MLPMultiTask), target_for(MLPRegressor)
    params = [{"learning_rate": rate} for rate in (0.01, 1e30, 0.03)]
    leader = small(MLPRegressor, optimizer="sgd")
    members = leader.fit_many(X, y, params)
    assert [member.diverged_ for member in members] == [False, True, False]
    assert members[1].n_iter_ == 1
    for place in (0, 2):
        assert_same_network(members[place], own_fit(leader, params[place], X, y))


@pytest.mark.parametrize("kind", KINDS)
def test_a_diverged_member_refuses_to_predict(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    leader: Any = small(kind, optimizer="sgd", learning_rate=1e30)
    (member,) = leader.fit_many(X, y, [{}])
    with pytest.raises(ValueError, match="diverged; it cannot predict"):
        member.predict(X)


def test_one_fit_that_diverges_is_an_error_that_names_the_rate() -> None:
    X, y = iris()[0], target_for(MLPRegressor)
    diverging = small(MLPRegressor, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(ValueError, match=r"diverged in epoch 1 .*learning_rate below 1e\+30"):
        diverging.fit(X, y)


def test_weights_of_rows_concern_all_members() -> None:
    X, y = iris()
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    members = small(MLPClassifier).fit_many(X, y, NUMBERS[:2], weights)
    for member, given in zip(members, NUMBERS, strict=False):
        assert_same_network(member, own_fit(small(MLPClassifier), given, X, y, weights))


def test_each_member_may_weigh_rows_in_its_own_way() -> None:
    """Stacks of two and one; inputs as they are, because their scale is learnt from all weights."""
    X, y = iris()
    params: list[dict[str, Any]] = [{}, {"hidden_layer_sizes": (5,)}, {"class_weight": "balanced"}]
    weights = np.random.default_rng(0).uniform(0.5, 2, (3, len(y)))
    leader = small(MLPClassifier, scaling="none")
    members = leader.fit_many(X, y, params, weights)
    for member, given, own in zip(members, params, weights, strict=True):
        assert_same_network(member, own_fit(leader, given, X, y, own))


def test_a_row_without_weight_is_not_there_for_that_member() -> None:
    X, y = iris()
    weights = np.ones((2, len(y)))
    weights[0, :40] = 0
    spoilt = y.copy()
    spoilt[:40] = (y[:40] + 1) % 3
    leader = small(MLPClassifier)
    right = leader.fit_many(X, y, [{}, {}], weights)
    wrong = leader.fit_many(X, spoilt, [{}, {}], weights)
    assert_same_network(right[0], wrong[0])
    assert not np.array_equal(right[1].params_, wrong[1].params_)


def test_weights_for_another_number_of_members_are_refused() -> None:
    X, y = iris()
    with pytest.raises(ValueError, match="sample_weight has 3 rows for 2 members"):
        small(MLPClassifier).fit_many(X, y, [{}, {}], np.ones((3, len(y))))


def test_weights_of_validation_rows_are_the_same_for_all_members() -> None:
    """What (members, rows) would mean there is not said; members must not get those of others."""
    X, y = iris()
    weights = np.ones((2, len(y)))
    with pytest.raises(ValueError, match="sample_weight_val"):
        small(MLPClassifier).fit_many(
            X, y, [{}, {"batch_size": 50}], X_val=X, y_val=y, sample_weight_val=weights
        )


def test_members_start_from_networks_of_their_own(stacks: list[int]) -> None:
    """Networks that saw other inputs have other scales, and those make stacks of their own."""
    X, y = iris()
    sources = [small(MLPClassifier, random_state=s).fit(X[s:], y[s:]) for s in (1, 2)]
    stacks.clear()
    params: list[dict[str, Any]] = [{"init_from": sources[n]} for n in (0, 1, 0)]
    params.append({})
    params[2]["learning_rate"] = 0.1
    members = small(MLPClassifier).fit_many(X, y, params)
    assert sorted(stacks) == [1, 1, 2]
    for member, given in zip(members, params, strict=True):
        alone = small(MLPClassifier, **given).fit(X, y)
        assert_same_network(member, alone)


def test_a_leader_that_starts_from_a_network_hands_that_on() -> None:
    X, y = iris()
    source = small(MLPClassifier, random_state=5).fit(X, y)
    leader = small(MLPClassifier, init_from=source)
    (member,) = leader.fit_many(X, y, [{}])
    assert_same_network(member, small(MLPClassifier, init_from=source).fit(X, y))
