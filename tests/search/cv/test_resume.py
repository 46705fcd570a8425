"""A search that was broken off goes on, and another one's study is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import KFold, cross_val_score

from hpo import MLPClassifier, NarrowingSearchCV
from storage.trials import RoundStorage
from tests.estimators.making import diabetes, iris, small
from tests.search.cv.making import (
    ALPHA,
    Counted,
    Fragile,
    assert_same_results,
    ridge,
    without_seconds,
)

FITS = 12 * 3
"""Of a whole search, before the best candidate is fitted on all rows."""

Place = Callable[[], str | BaseStorage]


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    Counted.fits, Counted.last = 0, 10**9
    yield
    Counted.fits, Counted.last = 0, 10**9


@pytest.fixture(params=["memory", "sqlite", "ours"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Opens the storage as each new process would."""
    url = f"sqlite:///{tmp_path}/trials.db"
    if request.param == "sqlite":
        yield lambda: url
        return
    storage = InMemoryStorage() if request.param == "memory" else RoundStorage(url)
    yield lambda: storage
    if isinstance(storage, RoundStorage):
        storage.close()


def counted(**params: Any) -> NarrowingSearchCV:
    return ridge(estimator=Counted(), **params)


def broken_off(search: NarrowingSearchCV, fits: int) -> None:
    """Run a search until it has made so many more fits."""
    Counted.last = Counted.fits + fits
    with pytest.raises(KeyboardInterrupt):
        search.fit(*diabetes())
    Counted.last = 10**9


@pytest.mark.parametrize("fits", [0, 2, 3, 13, FITS - 1])
def test_a_search_that_was_broken_off_ends_as_if_it_was_not(place: Place, fits: int) -> None:
    whole = counted().fit(*diabetes())
    broken_off(counted(storage=place()), fits)
    Counted.fits = 0
    search = counted(storage=place()).fit(*diabetes())
    assert_same_results(search, whole)
    np.testing.assert_array_equal(search.best_estimator_.coef_, whole.best_estimator_.coef_)
    # Trials of which all three folds were finished are not evaluated again.
    assert Counted.fits == FITS - fits // 3 * 3 + 1


def test_a_search_may_be_broken_off_again_and_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    for _ in range(FITS // 4):
        broken_off(counted(storage=url), 4)
    assert_same_results(counted(storage=url).fit(*diabetes()), counted().fit(*diabetes()))


def test_a_finished_search_fits_nothing_but_the_best(place: Place) -> None:
    first = counted(storage=place()).fit(*diabetes())
    Counted.fits = 0
    second = counted(storage=place()).fit(*diabetes())
    assert Counted.fits == 1
    assert_same_results(second, first)
    for name in ("mean_fit_time", "std_score_time"):
        np.testing.assert_array_equal(second.cv_results_[name], first.cv_results_[name])


SCRIPT = """
import json, sys
from hpo import NarrowingSearchCV
from tests.estimators.making import diabetes
from tests.search.cv.making import ALPHA, Dying

search = NarrowingSearchCV(
    Dying(), ALPHA, n_trials=12, n_rounds=3, cv=3, random_state=0, storage=sys.argv[1]
)
search.fit(*diabetes())
scores = search.cv_results_["mean_test_score"].tolist()
print(json.dumps([search.cv_results_["params"], scores, search.rounds_, Dying.fits]))
"""


def in_another_process(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, url],
        cwd=Path(__file__).parents[3],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_search_that_was_killed_goes_on_in_another_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    # Python salts the hashes of texts in each process anew.
    killed = in_another_process(url, DIES_AT="17", PYTHONHASHSEED="1")
    assert killed.returncode == -signal.SIGKILL
    (name,) = optuna.get_all_study_names(url)
    assert len(optuna.load_study(study_name=name, storage=url).trials) == 5
    done = in_another_process(url, PYTHONHASHSEED="2")
    assert done.returncode == 0, done.stderr
    params, scores, rounds, fits = json.loads(done.stdout)
    whole = ridge().fit(*diabetes())
    assert params == whole.cv_results_["params"]
    assert scores == whole.cv_results_["mean_test_score"].tolist()
    assert rounds == whole.rounds_
    assert fits == FITS - 15 + 1


def test_several_processes_come_to_the_same_and_record_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    broken_off(counted(storage=url), 10)
    search = counted(storage=url, n_jobs=2).fit(*diabetes())
    assert_same_results(search, counted().fit(*diabetes()))
    study = optuna.load_study(study_name=search.study_name_, storage=url)
    assert [trial.user_attrs["hpo:number"] for trial in study.trials] == list(range(12))


def test_more_trials_in_as_many_more_rounds_go_on_with_a_search(place: Place) -> None:
    counted(storage=place()).fit(*diabetes())
    Counted.fits = 0
    longer = counted(storage=place(), n_trials=20, n_rounds=5).fit(*diabetes())
    assert Counted.fits == 8 * 3 + 1
    assert_same_results(longer, counted(n_trials=20, n_rounds=5).fit(*diabetes()))
    shorter = counted(storage=place(), n_trials=7, n_rounds=2).fit(*diabetes())
    assert_same_results(shorter, counted(n_trials=7, n_rounds=2).fit(*diabetes()))


def begun(storage: BaseStorage, **params: Any) -> NarrowingSearchCV:
    return ridge(storage=storage, study_name="mine", **params)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"estimator": Lasso()}, "different estimator: "),
        ({"estimator": Ridge(fit_intercept=False)}, "different estimator: "),
        (
            {"param_distributions": {"alpha": FloatDistribution(1e-5, 10, log=True)}},
            "different param_distributions: ",
        ),
        ({"random_state": 1}, "different random_state (0, not 1): "),
        ({"n_rounds": 4}, "different number of trials per round (4, not 3): "),
        ({"scoring": "neg_max_error"}, "different scoring (None, not 'neg_max_error'): "),
        ({"error_score": -1.0}, "different error_score (nan, not -1.0): "),
        ({"return_train_score": True}, "different return_train_score (False, not True): "),
        ({"cv": 4}, "different set of folds: "),
        ({"cv": KFold(3, shuffle=True)}, "different set of folds: "),
        ({"cv": 4, "random_state": 1}, "different set of folds and random_state (0, not 1): "),
    ],
)
def test_a_study_begun_with_other_settings_is_refused(changed: Any, words: str) -> None:
    storage = InMemoryStorage()
    begun(storage).fit(*diabetes())
    with pytest.raises(ValueError, match="study 'mine' was begun with a ") as caught:
        begun(storage).set_params(**changed).fit(*diabetes())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("or take another study_name")


def test_a_study_begun_with_other_data_is_refused() -> None:
    X, y = diabetes()
    storage = InMemoryStorage()
    begun(storage).fit(X, y)
    other = X.copy()
    other[0, 0] = np.nextafter(other[0, 0], 1)
    for rows, target, params, words in (
        (other, y, {}, "different X: "),
        (X, y + 1, {}, "different y: "),
        (X, y, {"sample_weight": np.ones(len(y))}, "different set of fit parameters: "),
        (X[:-1], y[:-1], {}, "different X, y and set of folds: "),
    ):
        with pytest.raises(ValueError, match="study 'mine' was begun") as caught:
            begun(storage).fit(rows, target, **params)
        assert words in str(caught.value)
    assert_same_results(begun(storage).fit(X, y), ridge().fit(X, y))


def test_the_metric_that_narrows_belongs_to_a_study() -> None:
    storage = InMemoryStorage()
    both = ["r2", "neg_max_error"]
    begun(storage, scoring=both, refit="r2").fit(*diabetes())
    with pytest.raises(ValueError, match=r"different metric to narrow by \('r2', not 'neg_max_err"):
        begun(storage, scoring=both, refit="neg_max_error").fit(*diabetes())
    # What is fitted at the end is another matter.
    begun(storage, scoring=both, refit=False).fit(*diabetes())
    begun(storage, scoring=both, refit=lambda _: 0).fit(*diabetes())


def test_a_study_of_something_else_is_refused() -> None:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    optuna.create_study(storage=storage, study_name="down", direction="minimize")
    for name in ("mine", "down"):
        with pytest.raises(ValueError, match=f"study '{name}' is not one of NarrowingSearchCV"):
            ridge(storage=storage, study_name=name).fit(*diabetes())


def test_a_trial_at_another_point_is_refused() -> None:
    """As a version would find it that draws its points in another way."""
    X, y = diabetes()
    storage, moved = InMemoryStorage(), InMemoryStorage()
    begun(storage).fit(X, y)
    source = optuna.load_study(study_name="mine", storage=storage)
    target = optuna.create_study(storage=moved, study_name="mine", direction="maximize")
    for name, value in source.user_attrs.items():
        target.set_user_attr(name, value)
    for trial in source.trials:
        trial.params = {"alpha": 0.5}
        target.add_trial(trial)
    with pytest.raises(ValueError, match="trial 0 has other parameters"):
        begun(moved).fit(X, y)


def test_a_study_in_which_nothing_is_finished_begins_anew() -> None:
    storage = InMemoryStorage()
    broken_off(counted(storage=storage, study_name="mine"), 2)
    search = begun(storage, cv=4).fit(*diabetes())
    assert_same_results(search, ridge(cv=4).fit(*diabetes()))


def test_without_a_name_every_search_has_a_study_of_its_own() -> None:
    storage = InMemoryStorage()
    names = {
        ridge(storage=storage, **params).fit(*diabetes()).study_name_
        for params in ({}, {"random_state": 1}, {"cv": 4}, {"n_jobs": 2}, {"verbose": 1})
    }
    assert len(names) == 3
    assert all(name.startswith("Ridge-") for name in names)
    assert ridge().fit(*diabetes()).study_name_ is None


def test_an_outer_cross_validation_goes_on_too() -> None:
    storage = InMemoryStorage()
    first = cross_val_score(counted(storage=storage), *diabetes(), cv=2)
    Counted.fits = 0
    np.testing.assert_array_equal(
        cross_val_score(counted(storage=storage), *diabetes(), cv=2), first
    )
    assert Counted.fits == 2


@pytest.mark.parametrize("state", [None, np.random.RandomState(3)])
def test_a_seed_that_was_drawn_is_kept(state: Any) -> None:
    storage = InMemoryStorage()
    broken_off(counted(storage=storage, random_state=state), 10)
    search = counted(storage=storage, random_state=state).fit(*diabetes())
    again = counted(storage=storage, random_state=state).fit(*diabetes())
    assert_same_results(search, again)
    assert_same_results(search, counted(random_state=search.random_state_).fit(*diabetes()))


def test_without_a_storage_every_search_draws_anew() -> None:
    first, second = (ridge(random_state=None).fit(*diabetes()) for _ in range(2))
    assert first.random_state_ != second.random_state_
    again = ridge(random_state=first.random_state_).fit(*diabetes())
    assert_same_results(again, first)
    seeded = [ridge(random_state=np.random.RandomState(3)).fit(*diabetes()) for _ in range(2)]
    assert_same_results(*seeded)


def test_the_study_is_one_that_optuna_reads(place: Place) -> None:
    search = ridge(storage=place(), return_train_score=True).fit(*diabetes())
    study = optuna.load_study(study_name=search.study_name_, storage=place())
    assert study.best_trial.number == search.best_index_
    assert study.best_params == search.best_params_
    assert study.best_value == search.best_score_
    assert {trial.distributions["alpha"] for trial in study.trials} == {ALPHA["alpha"]}
    for index, trial in enumerate(study.trials):
        splits = [search.cv_results_[f"split{n}_train_score"][index] for n in range(3)]
        assert trial.user_attrs["train_scores"] == splits
        assert trial.state == TrialState.COMPLETE


def test_a_candidate_that_fails_is_kept_as_failed_and_not_fitted_again(place: Place) -> None:
    X, y = np.zeros((9, 1)), np.zeros(9)

    def fitted(**params: Any) -> NarrowingSearchCV:
        places = {"place": FloatDistribution(0, 1)}
        search = NarrowingSearchCV(Fragile(), places, n_trials=8, random_state=0, **params)
        with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
            search.fit(X, y)
        return search

    first, second = fitted(storage=place()), fitted(storage=place())
    assert_same_results(first, second)
    assert_same_results(first, fitted())
    study = optuna.load_study(study_name=first.study_name_, storage=place())
    assert len(study.trials) == 8
    failed = np.isnan(first.cv_results_["mean_test_score"])
    assert [trial.state == TrialState.FAIL for trial in study.trials] == failed.tolist()
    worst = study.trials[int(failed.argmax())]
    assert worst.user_attrs["fit_error"][0].endswith("ValueError: too low\n")


def named_scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"r2": estimator.score(X, y), "size": float(np.abs(estimator.coef_).sum())}


@pytest.mark.parametrize("place", ["ours"], indirect=True)
def test_an_error_that_ends_the_search_leaves_what_was_finished(place: Place) -> None:
    X, y = np.zeros((9, 1)), np.zeros(9)
    places = {"place": FloatDistribution(0, 1)}
    given: dict[str, Any] = {"n_trials": 8, "random_state": 6, "error_score": "raise", "n_jobs": 2}
    search = NarrowingSearchCV(Fragile(limit=0.2), places, storage=place(), **given)
    for _ in range(2):
        with pytest.raises(ValueError, match="too low"):
            search.fit(X, y)
    study = optuna.load_study(study_name=search.study_name_, storage=place())
    kept = [trial.params["place"] for trial in study.trials]
    # Two rounds of two; the next candidate cannot be fitted.
    assert len(kept) == 4
    assert min(kept) >= 0.2


def test_a_trial_of_another_program_does_no_harm() -> None:
    storage = InMemoryStorage()
    whole = begun(storage).fit(*diabetes())
    storage.create_new_trial(0)
    assert_same_results(begun(storage).fit(*diabetes()), whole)


def test_several_scores_are_kept_by_name(place: Place) -> None:
    given: dict[str, Any] = {"scoring": named_scores, "refit": "size"}
    broken_off(counted(storage=place(), **given), 17)
    search = counted(storage=place(), **given).fit(*diabetes())
    assert_same_results(search, counted(**given).fit(*diabetes()))


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_choices_may_be_what_a_database_cannot_hold(place: Place) -> None:
    sizes: Any = (4,), (8, 8)
    kinds = {
        "hidden_layer_sizes": CategoricalDistribution(sizes),
        "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    }
    net = small(MLPClassifier)
    given: dict[str, Any] = {"n_trials": 4, "n_rounds": 2, "cv": 2, "random_state": 0}
    first = NarrowingSearchCV(net, kinds, storage=place(), **given).fit(*iris())
    second = NarrowingSearchCV(net, kinds, storage=place(), **given).fit(*iris())
    assert_same_results(first, second)
    assert first.best_params_["hidden_layer_sizes"] in ((4,), (8, 8))
    study = optuna.load_study(study_name=first.study_name_, storage=place())
    assert study.trials[0].params["hidden_layer_sizes"] in ("(4)", "(8, 8)")


def test_trials_that_two_processes_evaluated_count_once() -> None:
    storage = InMemoryStorage()
    whole = counted(storage=storage, study_name="mine").fit(*diabetes())
    study = optuna.load_study(study_name="mine", storage=storage)
    for trial in study.trials[3:6]:
        trial.user_attrs["fit_time"] = [100.0] * 3
        study.add_trial(trial)
    Counted.fits = 0
    again = counted(storage=storage, study_name="mine").fit(*diabetes())
    assert Counted.fits == 1
    assert_same_results(again, whole)
    np.testing.assert_array_equal(
        again.cv_results_["mean_fit_time"], whole.cv_results_["mean_fit_time"]
    )


def test_results_do_not_depend_on_the_number_of_jobs() -> None:
    alone = ridge().fit(*diabetes())
    assert_same_results(ridge(n_jobs=2, pre_dispatch=2).fit(*diabetes()), alone)
    names = list(without_seconds(alone.cv_results_))
    assert names.index("split0_test_score") > names.index("params")
