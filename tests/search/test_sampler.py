import copy
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
from optuna import Study, Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.testing.pytest_samplers import BasicSamplerTestCase, SingleOnlySamplerTestCase
from optuna.trial import TrialState, create_trial

from hpo.search.narrowing import (
    SETTINGS_ATTRIBUTE,
    FinishedTrial,
    NarrowingSampler,
    NarrowingSettings,
    propose,
)
from tests.running import stock_optuna

pytestmark = pytest.mark.usefixtures("quiet_optuna")


COMPLETE, FAIL, PRUNED, RUNNING = (
    TrialState.COMPLETE,
    TrialState.FAIL,
    TrialState.PRUNED,
    TrialState.RUNNING,
)
UNIT: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


class TestOptunaSuite(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: NarrowingSampler(n_rounds=3, trials_per_round=4)


def objective(trial: Trial) -> float:
    """A loss over every kind of parameter, some of them conditional."""
    loss = (math.log10(trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)) + 2.7) ** 2
    loss += abs(trial.suggest_int("layers", 1, 9) - 4) + trial.suggest_float("q", 0, 1, step=0.1)
    if trial.suggest_categorical("optimizer", ["adam", "sgd"]) == "sgd":
        loss += trial.suggest_float("momentum", 0.0, 1.0)
    if trial.number % 7 == 3:
        raise optuna.TrialPruned
    return math.nan if trial.number % 11 == 5 else loss


def params_of(study: Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def one_run(direction: Literal["minimize", "maximize"] = "minimize") -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10, seed=7), direction=direction)
    sign = 1 if direction == "minimize" else -1
    study.optimize(lambda trial: sign * objective(trial), n_trials=40)
    return params_of(study)


# ------------------------------------------------------------------ resuming


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_five_resumes_equal_one_run(kind: str, tmp_path: Path) -> None:
    memory = InMemoryStorage()
    for _ in range(5):
        opened = nullcontext(memory) if kind == "memory" else stock_optuna(tmp_path / "hpo.db")
        with opened as storage:
            study = optuna.create_study(
                study_name="s",
                storage=storage,
                sampler=NarrowingSampler(4, 10, seed=7),
                load_if_exists=True,
            )
            study.optimize(objective, n_trials=8)
            found = params_of(study)
    assert found == one_run()


SCRIPT = """
import sys
import optuna
from hpo.search.narrowing import NarrowingSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="s", storage=sys.argv[1], sampler=NarrowingSampler(3, 5))
study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 1, 50), n_trials=8)
"""


def test_another_process_goes_on_with_the_same_points(tmp_path: Path) -> None:
    def loss(trial: Trial) -> float:
        return trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 50)

    alone = optuna.create_study(sampler=NarrowingSampler(3, 5, seed=3))
    alone.optimize(loss, n_trials=15)

    path = tmp_path / "hpo.db"
    sampler = NarrowingSampler(3, 5, seed=3)
    with stock_optuna(path) as storage:
        study = optuna.create_study(study_name="s", storage=storage, sampler=sampler)
        study.optimize(loss, n_trials=7)
        subprocess.run(
            [sys.executable, "-c", SCRIPT, f"sqlite:///{path}"],
            check=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": "123"},
        )
        found = params_of(study)
    assert found == params_of(alone)


def test_points_are_those_of_the_pure_functions() -> None:
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(1e-4, 1.0, log=True),
        "y": FloatDistribution(-2.0, 2.0),
    }
    study = optuna.create_study(sampler=NarrowingSampler(3, 10, seed=5, keep=0.5, explore=0.2))
    for _ in range(30):
        trial = study.ask(space)
        study.tell(trial, trial.params["x"] + trial.params["y"])
    settings = NarrowingSettings(5, 10, 3, keep=0.5, explore=0.2)
    finished = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials]
    for first in (0, 10, 20):
        numbers = range(first, first + 10)
        assert propose(space, finished, settings, numbers) == params_of(study)[first : first + 10]


# ------------------------------------------------------------------ directions, states


def test_maximising_the_negative_is_the_same_search() -> None:
    assert one_run("maximize") == one_run("minimize")


def test_every_trial_records_the_full_range() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(2, 5, seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", -3, 3), n_trials=20)
    assert {t.distributions["x"] for t in study.trials} == {FloatDistribution(-3, 3)}
    late = [t.params["x"] for t in study.trials[15:]]
    assert sorted(late)[3] < 0


def test_failed_pruned_infinite_and_running_trials_do_not_shape_the_box() -> None:
    def late_points(*, clutter: bool) -> list[float]:
        study = optuna.create_study(sampler=NarrowingSampler(2, 10, seed=0))
        for i in range(6):
            study.add_trial(create_trial(params={"x": i / 10}, distributions=UNIT, value=i))
        for state in (FAIL, PRUNED, COMPLETE, RUNNING):
            value = {COMPLETE: -math.inf, PRUNED: -9.0}.get(state)
            cluttering = create_trial(
                state=state, params={"x": 0.99}, distributions=UNIT, value=value
            )
            study.add_trial(cluttering if clutter else create_trial(state=FAIL))
        return [study.ask(UNIT).params["x"] for _ in range(10)]

    assert late_points(clutter=True) == late_points(clutter=False)


def test_a_choice_whose_trials_are_pruned_is_dropped() -> None:
    """As if they had come last: of 24 none of 12 is in the best 6 by chance in 0.7 %."""
    space: dict[str, BaseDistribution] = {"c": CategoricalDistribution(["a", "b"])}

    def later(state: TrialState) -> set[str]:
        study = optuna.create_study(sampler=NarrowingSampler(2, 24, seed=0, explore=0))
        for i in range(24):
            study.add_trial(
                create_trial(
                    state=COMPLETE if i < 12 else state,
                    params={"c": "ab"[i >= 12]},
                    distributions=space,
                    value=float(i) if i < 12 else None,
                )
            )
        return {study.ask(space).params["c"] for _ in range(24)}

    assert later(PRUNED) == {"a"}
    assert later(FAIL) == {"a", "b"}  # of which nothing is known


def test_a_hyperband_pruner_leaves_the_search_as_it_is() -> None:
    def run(pruner: optuna.pruners.BasePruner) -> list[dict[str, Any]]:
        study = optuna.create_study(
            study_name="s", sampler=NarrowingSampler(3, 5, seed=0), pruner=pruner
        )
        study.optimize(lambda trial: trial.suggest_float("x", -3, 3), n_trials=15)
        return params_of(study)

    hyperband = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    assert run(hyperband) == run(optuna.pruners.NopPruner())


def test_a_straggler_still_moves_the_box_when_it_finishes() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(2, 10, seed=0, explore=0.0))
    trials = sorted([study.ask(UNIT) for _ in range(10)], key=lambda trial: trial.params["x"])
    for trial in trials[:-1]:
        study.tell(trial, 1 - trial.params["x"])
    study.ask(UNIT)
    study.tell(trials[-1], -1.0)
    told = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials[:10]]
    settings = NarrowingSettings(0, 10, 2, explore=0.0)
    assert [study.ask(UNIT).params] == propose(UNIT, told, settings, [11])


# ------------------------------------------------------------------ cost


class CountingStorage(InMemoryStorage):
    reads = 0

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[optuna.trial.FrozenTrial]:
        self.reads += 1
        return super().get_all_trials(*args, **kwargs)


def test_the_trials_are_read_once_a_round() -> None:
    def reads(sampler: BaseSampler) -> int:
        storage = CountingStorage()
        study = optuna.create_study(storage=storage, sampler=sampler)
        study.optimize(lambda t: sum(t.suggest_float(x, 0, 1) for x in "abcdef"), n_trials=40)
        return storage.reads

    others = reads(optuna.samplers.RandomSampler(0))
    assert reads(NarrowingSampler(4, 10, seed=0)) == others + 3


# ------------------------------------------------------------------ copies, threads


def test_threads_neither_lose_nor_repeat_a_point() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10))
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=40, n_jobs=4)
    assert sorted(trial.number for trial in study.trials) == list(range(40))
    assert len({trial.params["x"] for trial in study.trials}) == 40
    settings = NarrowingSettings.from_json(study.user_attrs[SETTINGS_ATTRIBUTE])
    assert propose(UNIT, [], settings, range(10)) == params_of(study)[:10]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_copies_go_on_with_the_same_search(
    copied: Callable[[NarrowingSampler], NarrowingSampler],
) -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10, seed=7))
    study.optimize(objective, n_trials=15)
    assert isinstance(study.sampler, NarrowingSampler)
    study.sampler = copied(study.sampler)
    study.sampler.reseed_rng()
    study.optimize(objective, n_trials=25)
    assert params_of(study) == one_run()


def test_a_pickled_sampler_carries_no_storage() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10, seed=7))
    study.optimize(objective, n_trials=15)
    assert b"Storage" not in pickle.dumps(study.sampler)


@pytest.mark.parametrize("shared", [False, True])
def test_one_sampler_may_serve_two_studies_in_turn(shared: bool) -> None:
    def run(samplers: list[NarrowingSampler]) -> list[list[dict[str, Any]]]:
        storage = InMemoryStorage() if shared else None
        studies = [optuna.create_study(storage=storage, sampler=sampler) for sampler in samplers]
        for _ in range(20):
            studies[0].optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
            studies[1].optimize(lambda trial: -trial.suggest_float("x", 0, 1), n_trials=1)
        return [params_of(study) for study in studies]

    sampler = NarrowingSampler(4, 5, seed=7)
    apart = run([copy.copy(sampler), copy.copy(sampler)])
    assert run([sampler, sampler]) == apart
    assert apart[0] != apart[1]


def test_a_name_may_have_another_distribution_in_another_trial() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(2, 6, seed=0, explore=0.0))
    ranges = [(0.0, 1.0), (10.0, 20.0)]
    for number in range(12):
        low, high = ranges[number % 2]
        trial = study.ask()
        x = trial.suggest_float("x", low, high)
        assert low <= x <= high
        study.tell(trial, x)
    settings = NarrowingSettings(0, 6, 2, explore=0.0)
    told = [FinishedTrial(t.number, t.values[0], t.params) for t in study.trials[:6]]
    for number in range(6, 12):
        low, high = ranges[number % 2]
        space: dict[str, BaseDistribution] = {"x": FloatDistribution(low, high)}
        assert [study.trials[number].params] == propose(space, told, settings, [number])


# ------------------------------------------------------------------ the stored settings


def suggest_once(study: Study) -> float:
    return study.ask().suggest_float("x", 0.0, 1.0)


def test_settings_are_kept_in_a_user_attribute() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10, seed=7, margin=0.25))
    suggest_once(study)
    assert study.user_attrs == {
        "hpo:narrowing": {
            "seed": 7,
            "trials_per_round": 10,
            "n_rounds": 4,
            "keep": 0.25,
            "min_best": 4,
            "margin": 0.25,
            "explore": 0.1,
            "min_width": 0.05,
            "evidence": 0.01,
            "group_size": 4,
            "repeats": False,
            "warm": False,
        }
    }


def test_a_drawn_seed_is_kept_and_adopted() -> None:
    study = optuna.create_study(sampler=NarrowingSampler(4, 10))
    suggest_once(study)
    kept = study.user_attrs[SETTINGS_ATTRIBUTE]
    study.sampler = NarrowingSampler(4, 10)
    (expected,) = propose(UNIT, [], NarrowingSettings.from_json(kept), [1])
    assert suggest_once(study) == expected["x"]
    assert study.user_attrs[SETTINGS_ATTRIBUTE] == kept


def test_two_new_samplers_draw_different_seeds() -> None:
    assert (
        len({suggest_once(optuna.create_study(sampler=NarrowingSampler())) for _ in range(4)}) == 4
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (NarrowingSampler(4, 10, seed=8), "with seed=7, but this sampler has seed=8;"),
        (
            NarrowingSampler(4, 20, keep=0.5),
            "keep=0.25, but this sampler has trials_per_round=20, keep=0.5;",
        ),
    ],
)
def test_other_settings_are_refused_by_name(other: NarrowingSampler, message: str) -> None:
    study = optuna.create_study(study_name="digits", sampler=NarrowingSampler(4, 10, seed=7))
    suggest_once(study)
    study.sampler = other
    with pytest.raises(ValueError, match="study 'digits' was started with") as caught:
        suggest_once(study)
    assert message in str(caught.value)


def test_settings_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="trials_per_round must be 1 or more, but it is 0"):
        NarrowingSampler(trials_per_round=0)
    with pytest.raises(ValueError, match="explore must be from 0 to 1, but it is 2"):
        NarrowingSampler(explore=2)


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=NarrowingSampler())
    with pytest.raises(ValueError, match="NarrowingSampler cannot be used"):
        suggest_once(study)
