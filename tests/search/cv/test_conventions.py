"""What scikit-learn expects of a search, with its own searches as the measure."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sklearn
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from scipy.stats import loguniform
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from hpo import MLPClassifier, NarrowingSearchCV
from tests.estimators.making import diabetes, iris, small
from tests.search.cv.making import ALPHA, Fragile, ridge, without_seconds

SHORT: dict[str, Any] = {
    "n_trials": 4,
    "n_rounds": 2,
    "cv": 2,
    "error_score": "raise",
    "random_state": 0,
}


def expected_failures(search: NarrowingSearchCV) -> dict[str, str]:
    """Checks that scikit-learn does not make of its own searches either."""
    if not is_regressor(search):
        return {}
    return {"check_supervised_y_2d": "there is no warning to catch: several targets are learnt"}


# Looking for classes, scikit-learn casts a target that is not finite before it refuses it.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    [
        NarrowingSearchCV(Ridge(), ALPHA, **SHORT),
        NarrowingSearchCV(
            LogisticRegression(), {"C": FloatDistribution(1e-2, 1e2, log=True)}, **SHORT
        ),
        NarrowingSearchCV(
            make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": ALPHA["alpha"]}, **SHORT
        ),
        NarrowingSearchCV(
            MLPClassifier(max_epochs=10, batch_size=8, random_state=0),
            {"learning_rate": FloatDistribution(3e-3, 3e-2, log=True)},
            **SHORT | {"n_trials": 2},
        ),
    ],
    expected_failed_checks=expected_failures,
)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@contextmanager
def failures() -> Iterator[None]:
    """Expect what scikit-learn warns of where some fits fail."""
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        yield


def test_the_words_are_those_of_randomized_search() -> None:
    ours = set(inspect.signature(NarrowingSearchCV).parameters)
    theirs = set(inspect.signature(RandomizedSearchCV).parameters)
    assert theirs - ours == {"n_iter"}
    assert ours - theirs == {"n_trials", "n_rounds", "storage", "study_name"}


def test_every_parameter_is_documented() -> None:
    documentation = inspect.getdoc(NarrowingSearchCV) or ""
    heads = re.findall(r"^([\w, ]+) : ", documentation, re.MULTILINE)
    named = {name for head in heads for name in head.split(", ")}
    fitted = vars(ridge(storage=InMemoryStorage()).fit(*diabetes()))
    assert {name for name in fitted if not name.startswith("_")} <= named


@pytest.mark.parametrize("scoring", [None, "r2", ["r2", "neg_max_error"]])
@pytest.mark.parametrize("return_train_score", [False, True])
def test_results_have_the_names_that_randomized_search_gives_them(
    scoring: Any, *, return_train_score: bool
) -> None:
    given: dict[str, Any] = {
        "scoring": scoring,
        "return_train_score": return_train_score,
        "refit": "r2" if isinstance(scoring, list) else True,
        "cv": 3,
        "random_state": 0,
    }
    theirs = RandomizedSearchCV(Ridge(), {"alpha": loguniform(1e-6, 10)}, n_iter=12, **given)
    theirs.fit(*diabetes())
    ours = ridge(**given).fit(*diabetes())
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, expected in theirs.cv_results_.items():
        assert type(ours.cv_results_[name]) is type(expected)
        assert getattr(ours.cv_results_[name], "dtype", None) == getattr(expected, "dtype", None)
    fitted = {name for name in vars(theirs) if name.endswith("_")}
    assert fitted <= set(vars(ours))


@pytest.mark.parametrize("stored", [False, True])
def test_results_are_those_of_scikit_learn_for_the_same_candidates(*, stored: bool) -> None:
    """A grid search over the very points is the oracle, folds that fail included."""
    points = {"place": FloatDistribution(0.0, 1.0)}
    given: dict[str, Any] = {"cv": 3, "return_train_score": True}
    X, y = np.zeros((9, 1)), np.zeros(9)
    with failures():
        ours = NarrowingSearchCV(
            Fragile(),
            points,
            n_trials=12,
            n_rounds=3,
            random_state=1,
            storage=InMemoryStorage() if stored else None,
            **given,
        ).fit(X, y)
    grid = [{"place": [each["place"]]} for each in ours.cv_results_["params"]]
    with failures():
        theirs = GridSearchCV(Fragile(), grid, **given).fit(X, y)
    expected = without_seconds(theirs.cv_results_)
    assert np.isnan(expected["mean_test_score"]).any()
    for name, each in without_seconds(ours.cv_results_).items():
        np.testing.assert_array_equal(each, expected[name], err_msg=name)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_


def test_scores_are_those_of_cross_validate() -> None:
    X, y = diabetes()
    scoring = ["r2", "neg_mean_squared_error"]
    cv = KFold(4, shuffle=True, random_state=1)
    search = ridge(scoring=scoring, refit="r2", cv=cv, return_train_score=True).fit(X, y)
    for index in (0, 5, 11):
        candidate = Ridge(**search.cv_results_["params"][index])
        given = {"cv": cv, "scoring": scoring, "return_train_score": True}
        expected = cross_validate(candidate, X, y, **given)
        for metric in scoring:
            for kind in ("test", "train"):
                scores = [search.cv_results_[f"split{n}_{kind}_{metric}"][index] for n in range(4)]
                np.testing.assert_array_equal(scores, expected[f"{kind}_{metric}"])


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "f1_macro", "average_precision"])
def test_a_classifier_is_scored_by_any_scorer_by_its_name(scoring: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    space = {"logisticregression__C": FloatDistribution(1e-4, 10, log=True)}
    search = NarrowingSearchCV(
        model, space, n_trials=4, n_rounds=2, cv=3, scoring=scoring, random_state=0
    ).fit(X, y)
    for params, found in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        scores = cross_val_score(clone(model).set_params(**params), X, y, cv=3, scoring=scoring)
        assert found == pytest.approx(scores.mean(), rel=1e-12)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()


def test_the_best_estimator_is_the_candidate_fitted_on_all_rows() -> None:
    X, y = diabetes()
    search = ridge().fit(X, y)
    alone = Ridge(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict(X), alone.predict(X))
    assert search.score(X, y) == alone.score(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]


def test_without_refit_there_is_no_estimator() -> None:
    search = ridge(refit=False).fit(*diabetes())
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")
    assert search.best_params_ == ridge().fit(*diabetes()).best_params_


def test_a_callable_chooses_the_candidate_that_is_fitted() -> None:
    search = ridge(refit=lambda results: int(results["mean_fit_time"].size) - 1).fit(*diabetes())
    assert search.best_index_ == 11
    assert search.best_estimator_.alpha == search.cv_results_["params"][11]["alpha"]
    assert not hasattr(search, "best_score_")


@pytest.mark.parametrize("wrong", [12, -1, "first"])
def test_a_callable_that_chooses_what_is_not_there_is_refused(wrong: Any) -> None:
    with pytest.raises((IndexError, TypeError), match="best_index_"):
        ridge(refit=lambda _: wrong).fit(*diabetes())


def test_several_metrics_need_one_that_decides() -> None:
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        ridge(scoring=["r2", "neg_max_error"]).fit(*diabetes())
    several = ridge(scoring=lambda *_: {"a": 1.0, "b": 2.0})
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        several.fit(*diabetes())


def two_scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    error = float(np.square(estimator.predict(X) - y).mean())
    return {"fit": -error, "size": float(np.square(estimator.coef_).sum())}


@pytest.mark.parametrize(
    ("refit", "decides"),
    [("fit", "fit"), ("size", "size"), (False, "fit"), (lambda _: 3, "fit")],
    ids=["fit", "size", "none", "callable"],
)
def test_the_ranges_narrow_by_the_metric_of_refit_else_by_the_first(
    refit: Any, decides: str
) -> None:
    several = ridge(scoring=two_scores, refit=refit).fit(*diabetes())
    alone = ridge(scoring=lambda *given: two_scores(*given)[decides]).fit(*diabetes())
    assert several.rounds_ == alone.rounds_
    by_name = {"fit": "neg_mean_squared_error", "other": "neg_max_error"}
    if decides == "fit" and not isinstance(refit, str):
        listed = ridge(scoring=by_name, refit=refit).fit(*diabetes())
        assert listed.rounds_ == alone.rounds_
    assert hasattr(several, "best_index_") is (refit is not False)


def test_weights_and_groups_go_where_randomized_search_sends_them() -> None:
    X, y = diabetes()
    weights = np.random.default_rng(0).uniform(size=len(y))
    groups = np.arange(len(y)) % 7
    search = ridge(cv=GroupKFold(3)).fit(X, y, sample_weight=weights, groups=groups)
    grid = {"alpha": [each["alpha"] for each in search.cv_results_["params"]]}
    theirs = GridSearchCV(Ridge(), grid, cv=GroupKFold(3))
    theirs.fit(X, y, sample_weight=weights, groups=groups)
    for name, expected in without_seconds(theirs.cv_results_).items():
        np.testing.assert_array_equal(search.cv_results_[name], expected, err_msg=name)
    np.testing.assert_array_equal(search.best_estimator_.coef_, theirs.best_estimator_.coef_)


def test_metadata_are_routed_by_request() -> None:
    X, y = diabetes()
    weights = np.random.default_rng(0).uniform(size=len(y))
    groups = np.arange(len(y)) % 7
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = Ridge().set_fit_request(sample_weight=True)
        scorer = make_scorer(mean_squared_error, greater_is_better=False)
        scorer.set_score_request(sample_weight=True)
        given: dict[str, Any] = {"scoring": scorer, "cv": GroupKFold(3)}
        search = ridge(estimator=estimator, **given)
        search.fit(X, y, sample_weight=weights, groups=groups)
        grid = {"alpha": [each["alpha"] for each in search.cv_results_["params"]]}
        theirs = GridSearchCV(estimator, grid, **given)
        theirs.fit(X, y, sample_weight=weights, groups=groups)
        assert search.score(X, y, sample_weight=weights) == theirs.score(
            X, y, sample_weight=weights
        )
        for name, expected in without_seconds(theirs.cv_results_).items():
            np.testing.assert_array_equal(search.cv_results_[name], expected, err_msg=name)
        with pytest.raises(TypeError, match="unexpected"):
            search.fit(X, y, unexpected=weights)


def test_tags_are_those_of_the_estimator() -> None:
    assert is_regressor(ridge())
    assert is_classifier(NarrowingSearchCV(SVC(), {"C": FloatDistribution(0.1, 1)}))
    assert get_tags(NarrowingSearchCV(SVC(kernel="precomputed"), {})).input_tags.pairwise


def test_a_copy_searches_likewise() -> None:
    X, y = diabetes()
    search = ridge().fit(X, y)
    loaded = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(loaded.predict(X), search.predict(X))
    copied = clone(search)
    assert not hasattr(copied, "cv_results_")
    assert copied.fit(X, y).best_params_ == search.best_params_


def test_clones_share_a_storage() -> None:
    storage = InMemoryStorage()
    search = ridge(storage=storage)
    assert clone(search).storage is storage
    assert search.storage is storage


def test_parameters_that_are_set_count() -> None:
    search = ridge().set_params(n_trials=6, estimator__fit_intercept=False, cv=2)
    search.fit(*diabetes())
    assert len(search.cv_results_["params"]) == 6
    assert not search.best_estimator_.fit_intercept
    assert search.n_splits_ == 2


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"n_trials": 0}, ValueError, "'n_trials' parameter"),
        ({"n_rounds": 0}, ValueError, "'n_rounds' parameter"),
        ({"storage": 3}, ValueError, "'storage' parameter"),
        ({"random_state": "x"}, ValueError, "'random_state' parameter"),
        ({"param_distributions": {}}, ValueError, "is empty"),
        ({"param_distributions": {"alpha": [1, 2]}}, TypeError, "alpha is a list"),
        ({"param_distributions": {"alfa": ALPHA["alpha"]}}, ValueError, "no parameter 'alfa'"),
        ({"cv": []}, ValueError, "cv has no folds"),
    ],
)
def test_mistakes_are_told_in_one_line(wrong: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        ridge().set_params(**wrong).fit(*diabetes())
    assert "\n" not in str(caught.value)


def test_a_search_in_which_all_fits_fail_says_why() -> None:
    search = NarrowingSearchCV(Fragile(limit=9), {"place": FloatDistribution(0, 1)}, n_trials=2)
    with pytest.raises(ValueError, match=r"All the 10 fits failed(.|\n)*too low"):
        search.fit(np.zeros((9, 1)), np.zeros(9))


def test_an_error_is_raised_if_that_is_wanted() -> None:
    places = {"place": FloatDistribution(0, 1)}
    search = NarrowingSearchCV(Fragile(), places, error_score="raise", random_state=0)
    with pytest.raises(ValueError, match=r"^too low$"):
        search.fit(np.zeros((9, 1)), np.zeros(9))


def test_a_round_that_fails_does_not_end_the_search() -> None:
    """One candidate in each round, of which some cannot be fitted."""
    places = {"place": FloatDistribution(0, 1)}
    search = NarrowingSearchCV(Fragile(), places, n_trials=8, n_rounds=8, random_state=0)
    with failures():
        search.fit(np.zeros((9, 1)), np.zeros(9))
    failed = np.isnan(search.cv_results_["mean_test_score"])
    assert 0 < failed.sum() < 8
    assert search.best_params_["place"] >= 0.5


def test_all_kinds_of_distributions_and_estimators_without_a_target() -> None:
    X, y = iris()
    kinds = {
        "max_depth": IntDistribution(1, 6),
        "min_samples_leaf": IntDistribution(1, 64, log=True),
        "ccp_alpha": FloatDistribution(0.0, 0.1, step=0.01),
        "criterion": CategoricalDistribution(("gini", "entropy")),
    }
    tree = DecisionTreeClassifier(random_state=0)
    search = NarrowingSearchCV(tree, kinds, n_trials=20, cv=3, random_state=0).fit(X, y)
    assert search.best_score_ > 0.9
    assert all(type(each["max_depth"]) is int for each in search.cv_results_["params"])
    assert set(search.cv_results_["param_criterion"]) == {"gini", "entropy"}
    alone = NarrowingSearchCV(Fragile(limit=0), {"place": FloatDistribution(0, 1)}, random_state=0)
    assert abs(alone.fit(X).best_params_["place"] - 0.7) < 0.01


def test_a_search_can_be_cross_validated_and_searched() -> None:
    X, y = diabetes()
    assert cross_val_score(ridge(), X, y, cv=3).mean() > 0.4
    outer = GridSearchCV(ridge(), {"estimator__fit_intercept": [True, False]}, cv=2).fit(X, y)
    assert outer.best_params_ == {"estimator__fit_intercept": True}


def test_our_networks_are_searched() -> None:
    X, y = iris()
    ranges = {
        "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
        "activation": CategoricalDistribution(("relu", "tanh")),
    }
    net = small(MLPClassifier, max_epochs=20)
    search = NarrowingSearchCV(net, ranges, n_trials=10, cv=3, random_state=0).fit(X, y)
    assert search.best_score_ > 0.85
    np.testing.assert_array_equal(search.classes_, [0, 1, 2])


def test_verbose_tells_about_each_round(capsys: pytest.CaptureFixture[str]) -> None:
    ridge(verbose=1).fit(*diabetes())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Round 1 of 3; 3 folds for each of 4 candidates; alpha 1e-06..10"
    assert len(lines) == 3
    choices = {"fit_intercept": CategoricalDistribution((True, False))}
    ridge(verbose=2, n_trials=1).set_params(param_distributions=choices).fit(*diabetes())
    out = capsys.readouterr().out
    assert out.startswith(
        "Round 1 of 1; 3 folds for each of 1 candidates; fit_intercept True|False\n"
    )
    assert out.count("[CV] END ") == 3


def test_a_password_is_not_shown() -> None:
    assert "hidden" not in repr(ridge(storage="postgresql://me:hidden@somewhere/db"))
    assert "me:***@somewhere" in repr(ridge(storage="postgresql://me:hidden@somewhere/db"))


def test_callbacks_are_not_taken_in_silence() -> None:
    assert not hasattr(ridge(), "set_callbacks")
