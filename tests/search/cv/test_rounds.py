"""Later rounds are drawn from narrower ranges, around the best trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config
from joblib._parallel_backends import ThreadingBackend
from joblib.parallel import register_parallel_backend
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage

from hpo import NarrowingSearchCV
from hpo.search.cv.rounds import Candidate, FoldResult, NoRecords, Trial, in_rounds
from hpo.search.narrowing import FinishedTrial, NarrowingSettings, narrow, propose
from hpo.search.space import SearchSpace
from tests.estimators.making import diabetes
from tests.search.cv.making import Fragile, assert_same_results, ridge

SPACE = {
    "x": FloatDistribution(0.0, 1.0),
    "rate": FloatDistribution(1e-6, 1.0, log=True),
    "units": IntDistribution(1, 100),
    "kind": CategoricalDistribution(("a", "b")),
}
SETTINGS = NarrowingSettings(seed=3, trials_per_round=10, n_rounds=4)


def loss(params: dict[str, Any]) -> float:
    far = (params["x"] - 0.3) ** 2 + (np.log10(params["rate"]) + 3) ** 2 / 10
    return float(far + (params["units"] - 40) ** 2 / 1e4)


def evaluated(candidates: Sequence[Candidate]) -> Iterable[Trial]:
    for number, params in candidates:
        yield Trial(number, params, [{"test_scores": -loss(params)}])


def score(trial: Trial) -> float:
    return float(trial.folds[0]["test_scores"])


def run(n_trials: int = 40, records: Any = None) -> tuple[list[Trial], list[dict[str, Any]]]:
    kept = NoRecords() if records is None else records
    return in_rounds(SPACE, SETTINGS, n_trials, evaluated, score, kept, lambda _: None)


def test_points_are_those_of_the_narrowing_search() -> None:
    """Asked and told by hand."""
    trials, rounds = run()
    finished: list[FinishedTrial] = []
    for index in range(4):
        numbers = range(10 * index, 10 * index + 10)
        box = narrow(SPACE, finished, SETTINGS, index)
        assert rounds[index]["ranges"] == SearchSpace(SPACE).ranges(box)
        points = propose(SPACE, finished, SETTINGS, numbers)
        assert [trial.params for trial in trials[10 * index : 10 * index + 10]] == points
        finished += [FinishedTrial(n, loss(p), p) for n, p in zip(numbers, points, strict=True)]


def test_ranges_narrow_around_the_best() -> None:
    trials, rounds = run()
    assert [(each["round"], each["trials"]) for each in rounds] == [(n, 10) for n in range(4)]
    assert rounds[0]["ranges"] == SearchSpace(SPACE).ranges({})
    low, high = rounds[-1]["ranges"]["rate"]
    assert 1e-6 < low < 1e-3 < high < 1.0
    assert high / low < 1e3
    # A tenth of a later round searches the full ranges, the rest the narrowed ones.
    for each in rounds[1:]:
        own = trials[10 * each["round"] : 10 * each["round"] + 10]
        low, high = each["ranges"]["rate"]
        assert sum(low <= trial.params["rate"] <= high for trial in own) >= 9


def test_a_last_round_may_be_smaller() -> None:
    trials, rounds = run(n_trials=33)
    assert [each["trials"] for each in rounds] == [10, 10, 10, 3]
    assert trials == run()[0][:33]


class Some:
    """Records of every third trial; what is added is told."""

    def __init__(self) -> None:
        self.known = {trial.number: trial for trial in run()[0][::3]}
        self.added: list[tuple[int, float]] = []

    def folds(self, candidate: Candidate) -> list[FoldResult] | None:
        trial = self.known.get(candidate.number)
        return None if trial is None else trial.folds

    def add(self, trial: Trial, score: float) -> None:
        self.added.append((trial.number, score))


def test_gaps_in_the_records_are_filled() -> None:
    records = Some()
    trials, rounds = run(records=records)
    assert (trials, rounds) == run()
    assert [number for number, _ in records.added] == [n for n in range(40) if n % 3]
    assert all(value == score(trials[number]) for number, value in records.added)


def test_candidates_without_a_result_do_not_narrow() -> None:
    def failing(trial: Trial) -> float:
        return float("nan") if trial.params["x"] < 0.5 else score(trial)

    _, rounds = in_rounds(SPACE, SETTINGS, 40, evaluated, failing, NoRecords(), lambda _: None)
    assert rounds[-1]["ranges"]["x"][0] > 0.3
    nothing = in_rounds(
        SPACE, SETTINGS, 40, evaluated, lambda _: float("nan"), NoRecords(), lambda _: None
    )
    assert all(each["ranges"] == rounds[0]["ranges"] for each in nothing[1])


def test_the_search_narrows_to_where_the_best_is() -> None:
    places = {"place": FloatDistribution(0.0, 1.0)}
    search = NarrowingSearchCV(Fragile(limit=0), places, n_trials=50, cv=2, random_state=0)
    search.fit(np.zeros((8, 1)), np.zeros(8))
    assert [each["trials"] for each in search.rounds_] == [10] * 5
    low, high = search.rounds_[-1]["ranges"]["place"]
    assert 0.5 < low < 0.7 < high < 0.9
    assert abs(search.best_params_["place"] - 0.7) < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_more_is_found_than_by_chance(seed: int) -> None:
    """Thirty more points by chance come nearer than this in one of ten thousand searches."""
    places = {"place": FloatDistribution(0.0, 1.0), "limit": FloatDistribution(-1.0, 0.0)}
    search = NarrowingSearchCV(Fragile(), places, n_trials=50, cv=2, random_state=seed)
    search.fit(np.zeros((8, 1)), np.zeros(8))
    later = np.array([each["place"] for each in search.cv_results_["params"][30:]])
    assert np.median(np.abs(later - 0.7)) < 0.1


class OnlyWhole(ThreadingBackend):  # type: ignore[misc]
    """A backend that returns all results at once, as Dask's does."""

    supports_return_generator = False


def test_a_backend_that_cannot_return_one_by_one_serves_too() -> None:
    register_parallel_backend("only_whole", OnlyWhole)
    storage = InMemoryStorage()
    with parallel_config("only_whole", n_jobs=2):
        search = ridge(storage=storage).fit(*diabetes())
    assert_same_results(search, ridge().fit(*diabetes()))
    assert len(storage.get_all_trials(0)) == 12
