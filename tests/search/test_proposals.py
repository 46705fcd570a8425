"""Optuna's samplers, asked for whole rounds: the same points however often a search is resumed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest

from hpo import NarrowingSampler
from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import search
from hpo.search.narrowing import NarrowingSettings, propose
from hpo.search.proposals import ONE_OBJECTIVE, SAMPLERS, check_objectives, missing, proposer
from hpo.search.pruning import Judge
from hpo.search.space import SearchSpace
from hpo.settings import SAMPLERS as SAMPLER_NAMES
from tests.search.test_loop import MemoryStore

SETTINGS = NarrowingSettings(seed=3, trials_per_round=8, n_rounds=4)
SPACE = SearchSpace()
WIDE = SearchSpace.parse(["dropout", "momentum", "optimizer=sgd|momentum|adam", "hidden=8|16"])


def named(names: Iterable[str]) -> pytest.MarkDecorator:
    """Samplers, those left out whose packages are not installed."""
    return pytest.mark.parametrize(
        "name",
        [
            pytest.param(
                each,
                marks=pytest.mark.skipif(
                    bool(list(missing(each))), reason=f"{each} needs {', '.join(missing(each))}"
                ),
            )
            for each in names
        ],
    )


available = named(SAMPLERS)


def trained(slots: Sequence[Slot], _judge: Judge | None = None) -> list[list[Outcome]]:
    """Best at a learning rate of 0.01; every seventh fails."""
    return [
        [
            Outcome(
                slot.number,
                None
                if slot.number % 7 == 6
                else -abs(math.log(slot.params["learning_rate"] / 0.01)),
                None,
                0.0,
            )
        ]
        for slot in slots
    ]


def run(
    store: MemoryStore, name: str, total: int, space: SearchSpace = SPACE, evaluate: Any = trained
) -> MemoryStore:
    n_objectives = 1 if evaluate is trained else 2
    for _ in search(
        store, evaluate, space, SETTINGS, total, sampler=name, n_objectives=n_objectives
    ):
        pass
    return store


def trained_with_cost(slots: Sequence[Slot], _judge: Judge | None = None) -> list[list[Outcome]]:
    """Likewise, and the cost is least at a weight decay of 0.1."""
    return [
        [replace(each, costs=(abs(math.log(slot.params["weight_decay"] / 0.1)),))]
        for slot, (each,) in zip(slots, trained(slots), strict=True)
    ]


def points(store: MemoryStore) -> list[dict[str, object]]:
    return [dict(slot.params) for _, slot in sorted(store.study.slots.items())]


def test_every_sampler_can_be_named() -> None:
    assert set(SAMPLER_NAMES) == {"narrowing", *SAMPLERS}


@available
def test_a_search_in_parts_comes_to_the_same_points(name: str) -> None:
    whole = points(run(MemoryStore(), name, 32))
    # A child of the genetic algorithm may be what a parent was.
    assert name == "nsga2" or len({repr(point) for point in whole}) == 32
    store = MemoryStore()
    for total in (5, 16, 21, 32):
        run(store, name, total)
        store.study.release(store.name)
    assert points(store) == whole


@available
def test_every_parameter_is_in_its_range_and_has_a_meaning(name: str) -> None:
    for point in points(run(MemoryStore(), name, 24, WIDE)):
        for key, value in point.items():
            distribution = WIDE.distributions[key]
            assert distribution._contains(distribution.to_internal_repr(value))
        assert ("momentum" in point) == (point["optimizer"] == "momentum")
        assert set(WIDE.distributions) - set(point) <= {"momentum"}


@available
def test_groups_of_a_round_share_what_a_stack_shares(name: str) -> None:
    found = points(run(MemoryStore(), name, 16, WIDE))
    for start in range(0, 16, 4):
        own = found[start : start + 4]
        assert len({(point["optimizer"], point["hidden"]) for point in own}) == 1
        assert name == "nsga2" or len({point["learning_rate"] for point in own}) == 4


@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsga2"])
def test_it_learns_from_what_it_is_told(name: str) -> None:
    """The middle of its last points is nearer to the best than that of its first."""
    if list(missing(name)):
        pytest.skip(f"{name} needs {', '.join(missing(name))}")
    found = points(run(MemoryStore(), name, 80))
    away = [abs(math.log(float(str(point["learning_rate"])) / 0.01)) for point in found]
    assert np.median(away[-16:]) < np.median(away[:16]) / 1.5


def test_tpe_is_optunas_own() -> None:
    """Asked and told by hand."""
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence((3, 106)).generate_state(1)[0]), constant_liar=True
        )
    )
    expected = []
    for index in range(3):
        asked = [study.ask(dict(SPACE.distributions)) for _ in range(8)]
        expected += [trial.params for trial in asked]
        slots = [Slot(8 * index + slot, trial.params) for slot, trial in enumerate(asked)]
        for trial, (outcome,) in zip(asked, trained(slots), strict=True):
            if outcome.value is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, -outcome.value)
    assert points(run(MemoryStore(), "tpe", 24)) == expected


def test_tpe_is_told_of_pruned_trials_as_optuna_tells_of_them() -> None:
    """Asked, reported and told by hand; every third trial is dropped after two epochs."""

    def dropped(slots: Sequence[Slot], _judge: Judge | None) -> list[list[Outcome]]:
        curve = {"val_score": np.array([0.25, 0.5])}
        return [
            [Outcome(each.number, None, None, 0.0, curves=curve, pruned=True)]
            if each.number % 3 == 0
            else outcomes
            for each, outcomes in zip(slots, trained(slots), strict=True)
        ]

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence((3, 106)).generate_state(1)[0]), constant_liar=True
        )
    )
    expected = []
    for index in range(3):
        asked = [study.ask(dict(SPACE.distributions)) for _ in range(8)]
        expected += [trial.params for trial in asked]
        slots = [Slot(8 * index + slot, trial.params) for slot, trial in enumerate(asked)]
        for trial, (outcome,) in zip(asked, trained(slots), strict=True):
            if trial.number % 3 == 0:
                trial.report(-0.25, 1)
                trial.report(-0.5, 2)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            elif outcome.value is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, -outcome.value)
    store = MemoryStore()
    for _ in search(store, dropped, SPACE, SETTINGS, 24, sampler="tpe"):
        pass
    assert points(store) == expected
    assert expected != points(run(MemoryStore(), "tpe", 24))


def test_results_of_other_points_are_told_as_they_are() -> None:
    """As when another version of Optuna proposed them."""
    store = run(MemoryStore(), "random", 16)
    own = proposer("tpe", store, SPACE, SETTINGS, "adam")
    other = proposer("tpe", run(MemoryStore(), "qmc", 16), SPACE, SETTINGS, "adam")
    assert own.points(range(16, 24), {}) != other.points(range(16, 24), {})
    assert own.points(range(16, 24), {}) == own.points(range(16, 24), {})


def test_the_narrowing_search_is_one_of_them() -> None:
    store = run(MemoryStore(), "narrowing", 8)
    assert points(store) == propose(SPACE.distributions, [], SETTINGS, range(8))
    found = Counter(len(slot.params) for slot in store.study.slots.values())
    assert found == {2: 8}


@named(each for each in SAMPLERS if each not in ONE_OBJECTIVE)
def test_a_search_of_two_objectives_in_parts_comes_to_the_same_points(name: str) -> None:
    whole = points(run(MemoryStore(), name, 32, evaluate=trained_with_cost))
    store = MemoryStore()
    for total in (5, 16, 21, 32):
        run(store, name, total, evaluate=trained_with_cost)
        store.study.release(store.name)
    assert points(store) == whole


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_it_learns_from_every_objective(name: str) -> None:
    """Of random points half lie within 1 decade of the best, or 1.5, as the ranges are."""
    found = points(run(MemoryStore(), name, 160, evaluate=trained_with_cost))
    for key, best, decades in (("learning_rate", 0.01, 1.0), ("weight_decay", 0.1, 1.5)):
        away = [abs(math.log10(float(str(point[key])) / best)) for point in found]
        assert np.median(away[-32:]) < decades / 1.5


def test_nsga2_is_optunas_own() -> None:
    """Asked and told by hand; who failed is the worst of its generation, which a round is."""
    sampler = optuna.samplers.NSGAIISampler(
        seed=int(np.random.SeedSequence((3, 106)).generate_state(1)[0]), population_size=8
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    expected = []
    for index in range(4):
        asked = [study.ask(dict(SPACE.distributions)) for _ in range(8)]
        expected += [trial.params for trial in asked]
        slots = [Slot(8 * index + slot, trial.params) for slot, trial in enumerate(asked)]
        for trial, (outcome,) in zip(asked, trained_with_cost(slots), strict=True):
            worst = (-math.inf, math.inf)
            told = worst if outcome.value is None else (outcome.value, *outcome.costs)
            study.tell(trial, told)
    assert points(run(MemoryStore(), "nsga2", 32, evaluate=trained_with_cost)) == expected
    key = "NSGAIISampler:generation"
    generations = Counter(trial.system_attrs[key] for trial in study.trials)
    assert generations == {0: 8, 1: 8, 2: 8, 3: 8}


@pytest.mark.parametrize("name", sorted(ONE_OBJECTIVE))
def test_some_work_towards_one_objective(name: str) -> None:
    check_objectives(name, 1)
    with pytest.raises(ValueError, match=f"^sampler {name} .* 2: choose --sampler tpe, or "):
        proposer(name, MemoryStore(), SPACE, SETTINGS, "adam", n_objectives=2)
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.sampler = NarrowingSampler() if name == "narrowing" else optuna.samplers.CmaEsSampler()
    with pytest.raises(ValueError, match="multi-objective"):  # Optuna's own word
        study.ask(dict(SPACE.distributions))
