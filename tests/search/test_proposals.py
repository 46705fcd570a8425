"""Optuna's samplers, asked for whole rounds: the same points however often a search is resumed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import optuna
import pytest

from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import search
from hpo.search.narrowing import NarrowingSettings, propose
from hpo.search.proposals import SAMPLERS, missing, proposer
from hpo.search.pruning import Judge
from hpo.search.space import SearchSpace
from hpo.settings import SAMPLERS as SAMPLER_NAMES
from tests.search.test_loop import MemoryStore

SETTINGS = NarrowingSettings(seed=3, trials_per_round=8, n_rounds=4)
SPACE = SearchSpace()
WIDE = SearchSpace.parse(["dropout", "momentum", "optimizer=sgd|momentum|adam", "hidden=8|16"])

available = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            each,
            marks=pytest.mark.skipif(
                bool(list(missing(each))), reason=f"{each} needs {', '.join(missing(each))}"
            ),
        )
        for each in SAMPLERS
    ],
)


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


def run(store: MemoryStore, name: str, total: int, space: SearchSpace = SPACE) -> MemoryStore:
    for _ in search(store, trained, space, SETTINGS, total, sampler=name):
        pass
    return store


def points(store: MemoryStore) -> list[dict[str, object]]:
    return [dict(slot.params) for _, slot in sorted(store.study.slots.items())]


def test_every_sampler_can_be_named() -> None:
    assert set(SAMPLER_NAMES) == {"narrowing", *SAMPLERS}


@available
def test_a_search_in_parts_comes_to_the_same_points(name: str) -> None:
    whole = points(run(MemoryStore(), name, 32))
    assert len({repr(point) for point in whole}) == 32
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
        assert len({point["learning_rate"] for point in own}) == 4


@pytest.mark.parametrize("name", ["tpe", "cmaes"])
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
