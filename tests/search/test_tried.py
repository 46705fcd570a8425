"""What a study has tried comes again only where nothing else is left, or where the user asks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna import Study, Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.search.narrowing import FinishedTrial, NarrowingSampler, NarrowingSettings, propose
from hpo.search.narrowing.tried import Tried
from tests.running import stock_optuna

pytestmark = pytest.mark.usefixtures("quiet_optuna")


# ------------------------------------------------------------------ the tree


class Question(NamedTuple):
    """An objective's next parameter, and what it asks after each of its values; None: nothing."""

    name: str
    after: tuple[Question | None, ...]

    @property
    def distribution(self) -> IntDistribution:
        return IntDistribution(0, len(self.after) - 1)


def leaves(question: Question | None, before: dict[str, int] | None = None) -> list[dict[str, int]]:
    """Every point of an objective, in the order in which it asks."""
    before = before or {}
    if question is None:
        return [before]
    return [
        leaf
        for value, after in enumerate(question.after)
        for leaf in leaves(after, before | {question.name: value})
    ]


def distributions(question: Question | None, point: dict[str, int]) -> dict[str, BaseDistribution]:
    found: dict[str, BaseDistribution] = {}
    while question is not None and question.name in point:
        found[question.name] = question.distribution
        question = question.after[point[question.name]]
    return found


@st.composite
def questions(draw: st.DrawFn, depth: int = 0) -> Question | None:
    """Objectives whose later parameters depend on the values of earlier ones."""
    if depth == 3 or (depth and draw(st.booleans())):
        return None
    names = [f"{letter}{depth}" for letter in "ab"]
    after = draw(st.lists(questions(depth + 1), min_size=1, max_size=3))
    return Question(draw(st.sampled_from(names)), tuple(after))


def frozen(
    question: Question | None, number: int, point: dict[str, int], state: TrialState
) -> FrozenTrial:
    kinds = distributions(question, point)
    trial = create_trial(
        state=state,
        params=point,
        distributions={name: kinds[name] for name in point},
        value=0.0 if state == TrialState.COMPLETE else None,
    )
    trial.number = number
    return trial


@pytest.mark.parametrize("shuffled", [False, True])
@given(question=questions(), data=st.data())
def test_a_branch_is_full_when_all_its_points_were_tried(
    question: Question, shuffled: bool, data: st.DataObject
) -> None:
    """Against the list of all points, which the tree does not have."""
    everything = leaves(question)
    order = data.draw(st.permutations(everything))
    told = order[: data.draw(st.integers(0, len(order)))]
    trials = []
    for number, point in enumerate(told):
        names = data.draw(st.permutations(list(point))) if shuffled else list(point)
        written = {name: point[name] for name in names}
        trials.append(frozen(question, number, written, TrialState.COMPLETE))
    tree = Tried()
    for _ in range(3):  # what is asked for may rearrange it
        prefix: dict[str, int] = {}
        asked: Question | None = question
        while asked is not None:
            current = frozen(question, len(trials), prefix, TrialState.RUNNING)
            full = tree.full([*trials, current], current, asked.name)
            expected = {
                value
                for value, after in enumerate(asked.after)
                if all(each in told for each in leaves(after, prefix | {asked.name: value}))
            }
            # One who adds trials in another order than the objective's may hide that one is full.
            assert full <= expected if shuffled else full == expected
            value = data.draw(st.integers(0, len(asked.after) - 1))
            prefix, asked = prefix | {asked.name: value}, asked.after[value]


# ------------------------------------------------------------------ the sampler


def conditional(trial: Trial) -> float:
    """Twelve points: four grids and a branch."""
    if trial.suggest_categorical("kind", ["grid", "pair"]) == "pair":
        return trial.suggest_int("n", 1, 4) + trial.suggest_categorical("flag", [True, False])
    return trial.suggest_float("x", 0.0, 0.3, step=0.1)


def points(study: Study) -> list[str]:
    return [repr(sorted(trial.params.items())) for trial in study.trials]


@pytest.mark.parametrize("per_round", [1, 5, 30])
@pytest.mark.parametrize("seed", range(5))
def test_every_point_is_tried_once_before_any_is_tried_again(per_round: int, seed: int) -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, per_round, seed=seed))
    study.optimize(conditional, n_trials=12)
    assert len(set(points(study))) == 12
    study.optimize(conditional, n_trials=5)
    assert len(points(study)) == 17
    assert len(set(points(study))) == 12


def test_repeats_may_be_asked_for() -> None:
    space: dict[str, BaseDistribution] = {"c": CategoricalDistribution("ab")}
    study = optuna.create_study(sampler=NarrowingSampler(2, 10, seed=0, repeats=True))
    for number in range(20):
        study.tell(study.ask(space), number)
    settings = NarrowingSettings(0, 10, 2, repeats=True)
    told = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials]
    expected = [
        point for first in (0, 10)
        for point in propose(space, told, settings, range(first, first + 10))
    ]  # fmt: skip
    assert [trial.params for trial in study.trials] == expected


def test_a_range_without_a_grid_is_left_as_it_is() -> None:
    """Also where choices come before it, all of which were tried often."""
    space: dict[str, BaseDistribution] = {
        "c": CategoricalDistribution("ab"),
        "x": FloatDistribution(0, 1),
        "d": CategoricalDistribution("ab"),
    }
    study = optuna.create_study(sampler=NarrowingSampler(2, 10, seed=0))
    for number in range(20):
        study.tell(study.ask(space), number)
    told = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials]
    settings = NarrowingSettings(0, 10, 2)
    for first in (0, 10):
        expected = propose(space, told, settings, range(first, first + 10))
        assert [t.params for t in study.trials[first : first + 10]] == expected


def test_another_value_comes_from_the_box_as_long_as_it_has_one() -> None:
    grid: dict[str, BaseDistribution] = {"n": IntDistribution(0, 99)}
    study = optuna.create_study(sampler=NarrowingSampler(9, 10, seed=0, explore=0.0))
    while len(study.trials) < 30:
        trial = study.ask(grid)
        study.tell(trial, abs(trial.params["n"] - 50))
    values = [trial.params["n"] for trial in study.trials]
    assert len(set(values)) == 30
    # Two rounds of points around the best ones of the first, few of which are left.
    assert max(abs(value - 50) for value in values[20:]) < 25


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_five_resumes_equal_one_run(kind: str, tmp_path: Path) -> None:
    def run(study: Study, n_trials: int) -> list[str]:
        study.optimize(conditional, n_trials=n_trials)
        return points(study)

    alone = run(optuna.create_study(sampler=NarrowingSampler(4, 3, seed=7)), 10)
    memory = InMemoryStorage()
    for _ in range(5):
        opened = nullcontext(memory) if kind == "memory" else stock_optuna(tmp_path / "hpo.db")
        with opened as storage:
            study = optuna.create_study(
                study_name="s",
                storage=storage,
                sampler=NarrowingSampler(4, 3, seed=7),
                load_if_exists=True,
            )
            found = run(study, 2)
    assert found == alone


def test_trials_that_run_beside_it_count_once_they_have_their_point() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 2), "b": IntDistribution(0, 2)}
    study = optuna.create_study(sampler=NarrowingSampler(4, 3, seed=1))
    study.tell(study.ask(space), 0.0)
    running = [study.ask(space) for _ in range(8)]
    assert len(set(points(study))) == 9
    for trial in running:
        study.tell(trial, 1.0)
    study.ask(space)
    assert len(set(points(study))) == 9


def test_threads_try_every_point() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10, seed=0))
    study.optimize(conditional, n_trials=40, n_jobs=4)
    assert len(set(points(study))) == 12


# ------------------------------------------------------------------ what the user gives


GRID: dict[str, BaseDistribution] = {"a": IntDistribution(0, 3), "b": IntDistribution(0, 3)}


def ask_and_tell(study: Study, n_trials: int, loss: Callable[[Any], float] = math.fsum) -> None:
    for _ in range(n_trials):
        trial = study.ask(GRID)
        study.tell(trial, loss(trial.params.values()))


def test_points_of_the_user_come_first_and_are_not_drawn_again() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 4, seed=0))
    mine = [{"a": 3, "b": 3}, {"a": 0, "b": 2}, {"a": 3, "b": 3}]
    for each in mine:
        study.enqueue_trial(each)
    ask_and_tell(study, 17)
    assert [trial.params for trial in study.trials[:3]] == mine
    assert len(set(points(study))) == 16, "one is there twice, because the user asked for it"


def test_a_part_of_a_point_is_completed() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 4, seed=0))
    for _ in range(4):
        study.enqueue_trial({"a": 1})
    ask_and_tell(study, 16)
    assert [trial.params["a"] for trial in study.trials[:4]] == [1] * 4
    assert len(set(points(study))) == 16


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_trials_that_were_added_count_in_whatever_order_of_their_parameters(
    names: tuple[str, str],
) -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 4, seed=0))
    for a in (0, 1, 2):
        for b in range(4):
            params = {name: {"a": a, "b": b}[name] for name in names}
            study.add_trial(create_trial(params=params, distributions=GRID, value=a + b))
    ask_and_tell(study, 4)
    assert len(set(points(study))) == 16


def test_a_value_of_a_grid_is_known_by_any_last_digit() -> None:
    grid: dict[str, BaseDistribution] = {"x": FloatDistribution(-0.3, 0.3, step=0.1)}
    study = optuna.create_study(sampler=NarrowingSampler(4, 4, seed=0))
    for value in (0.3, 0.2, 0.1 + 0.2 - 0.2, 0.0, -0.1, -0.2):
        study.add_trial(create_trial(params={"x": value}, distributions=grid, value=0.0))
    assert study.ask(grid).params["x"] == pytest.approx(-0.3)


def test_trials_that_were_added_shape_the_box_as_those_of_earlier_rounds() -> None:
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    study = optuna.create_study(sampler=NarrowingSampler(2, 10, seed=0))
    study.add_trials(
        create_trial(params={"x": i / 20}, distributions=space, value=abs(i - 8)) for i in range(20)
    )
    told = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials]
    expected = propose(space, told, NarrowingSettings(0, 10, 2), range(20, 30))
    assert [study.ask(space).params for _ in range(10)] == expected
    assert sum(0.2 < point["x"] < 0.6 for point in expected) >= 8


def test_points_that_were_enqueued_shape_the_box_and_take_a_slot() -> None:
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    study = optuna.create_study(sampler=NarrowingSampler(2, 10, seed=0))
    for value in (0.50, 0.51, 0.52, 0.53):
        study.enqueue_trial({"x": value})
    for _ in range(10):
        trial = study.ask(space)
        study.tell(trial, abs(trial.params["x"] - 0.515))
    settings = NarrowingSettings(0, 10, 2)
    told = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials]
    assert [t.params["x"] for t in study.trials[:4]] == [0.50, 0.51, 0.52, 0.53]
    assert [t.params for t in study.trials[4:]] == propose(space, [], settings, range(4, 10))
    expected = propose(space, told, settings, range(10, 20))
    assert [study.ask(space).params for _ in range(10)] == expected
