"""Trials that differ in what a stack shares: recipes, and rounds whose groups stay large."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.nn.architecture import Architecture, Head
from hpo.nn.members import TrainingSettings
from hpo.nn.schedules import Schedule
from hpo.search.evaluation import Slot, Workers, train_slots
from hpo.search.narrowing import NarrowingSettings, propose
from hpo.search.recipe import Recipe
from hpo.search.space import SearchSpace
from hpo.search.stacks import stacks
from hpo.search.tunable import STRUCTURAL, TUNABLE
from tests.search.test_evaluation import by_number, problem

BASE = Recipe(
    Architecture(4, (64, 64), (Head(3),)),
    TrainingSettings(epochs=7, batch_size=32, schedule=Schedule("step", decay=0.5)),
)
WIDE = SearchSpace.parse(["wide"])
ROUNDS = NarrowingSettings(seed=1, trials_per_round=20, n_rounds=3)


def wide_slots(count: int = 20) -> list[Slot]:
    points = propose(WIDE.distributions, [], ROUNDS, range(count), WIDE.shape("adam"))
    return [Slot(*pair) for pair in enumerate(points)]


def test_a_trial_changes_what_it_names_and_nothing_else() -> None:
    assert BASE.of({"learning_rate": 1.0, "dropout": 0.1, "momentum": 0.3}) == BASE
    recipe = BASE.of(
        {
            "hidden": "8,4",
            "activation": "tanh",
            "batch_norm": "after",
            "optimizer": "nadam",
            "batch_size": 16,
            "schedule": "cosine",
            "warmup": 0.25,
        }
    )
    assert recipe.architecture == Architecture(4, (8, 4), (Head(3),), "tanh", "after")
    assert recipe.settings == TrainingSettings(
        "nadam", 7, 16, schedule=Schedule("cosine", warmup=0.25, decay=0.5)
    )


@pytest.mark.parametrize("name", sorted(STRUCTURAL))
def test_what_is_structural_makes_another_recipe_and_nothing_else_does(name: str) -> None:
    usual: Any = TUNABLE[name].usual
    values = getattr(usual, "choices", None) or (usual.low, usual.high)
    assert len({BASE.of({name: value}) for value in values}) == len(values)


@pytest.mark.parametrize("name", sorted(set(TUNABLE) - STRUCTURAL))
def test_what_is_not_structural_differs_inside_a_stack(name: str) -> None:
    assert BASE.of({name: getattr(TUNABLE[name].usual, "low", "normal")}) == BASE


def test_members_get_their_own_numbers_and_the_optimizers_others() -> None:
    adam = BASE.of({"optimizer": "adam", "activation": "selu"})
    params = [
        {"learning_rate": 0.1, "dropout": 0.2, "beta1": 0.8, "initializer": "normal"},
        {"learning_rate": 0.2, "dropout": 0.3, "beta1": 0.9, "initializer": "auto"},
    ]
    members = adam.members(params, [1, 2])
    assert members.random_state == (1, 2)
    assert members.learning_rate == [0.1, 0.2]
    assert members.dropout == [0.2, 0.3]
    assert members.options == {"beta1": [0.8, 0.9]}
    assert members.initializer == ("normal", "lecun_normal")
    plain = BASE.members([{"learning_rate": 0.1, "weight_decay": 1.0}], [3])
    assert (plain.weight_decay, plain.dropout, plain.options) == ([1.0], 0.0, {})
    assert plain.initializer == ("he_normal",)


def test_a_round_has_a_recipe_for_each_four_slots() -> None:
    recipes = [BASE.of(slot.params) for slot in wide_slots()]
    assert Counter(Counter(recipes).values()) == {4: 5}
    assert all(len(set(recipes[start : start + 4])) == 1 for start in range(0, 20, 4))
    assert len({slot.params["learning_rate"] for slot in wide_slots()}) == 20


def test_five_groups_take_the_choices_in_turn() -> None:
    """The Latin hypercube of the groups: of six choices no one comes twice among five."""
    optimizers = [slot.params["optimizer"] for slot in wide_slots()][::4]
    assert len(set(optimizers)) == 5


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(1, 5))
def test_stacks_hold_every_slot_once_and_one_recipe(count: int, n_workers: int) -> None:
    task = problem("iris")
    chunks = stacks(task, wide_slots()[:count], n_workers)
    assert sorted(slot.number for chunk in chunks for slot in chunk) == list(range(min(count, 20)))
    for chunk in chunks:
        assert len({task.recipe.of(slot.params) for slot in chunk}) == 1


def test_a_wide_round_trains_as_each_trial_alone_would() -> None:
    """The member does not know its stack, whatever shape the others have."""
    task = problem("iris", epochs=3)
    slots = wide_slots(8)
    together = by_number(Workers(task, 1), slots)
    for slot in slots:
        (alone,) = train_slots(task, [slot])
        found = together[slot.number]
        assert found.reason is None
        assert found.value == alone.value
        assert found.architecture == alone.architecture == task.recipe.of(slot.params).architecture
        np.testing.assert_array_equal(found.params, alone.params)
        np.testing.assert_array_equal(found.prediction, alone.prediction)
