"""What scikit-learn expects of an estimator, and what its tools make of ours."""

from __future__ import annotations

import inspect
import pickle
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info, threadpool_limits

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.nn.threads import one_blas_thread
from tests.estimators.making import KINDS, assert_same_network, iris, small, target_for

BATCHES = (
    "in batches of 8, a row with weight 2 and two equal rows make other mini-batches; "
    "tests/estimators/test_weights.py compares the two in full batches"
)


def expected_failures(estimator: BaseMLP) -> dict[str, str]:
    """Checks that cannot pass, and why; classes alone are too coarse to differ."""
    if isinstance(estimator, MLPMultiTask):
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": BATCHES}


@parametrize_with_checks(
    [kind(max_epochs=10, batch_size=8, random_state=0) for kind in KINDS],
    expected_failed_checks=expected_failures,
)  # type: ignore[untyped-decorator]
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_documented(kind: type[BaseMLP]) -> None:
    documentation = inspect.getdoc(kind) or ""
    heads = re.findall(r"^([\w, ]+) : ", documentation, re.MULTILINE)
    named = {name for head in heads for name in head.split(", ")}
    assert set(inspect.signature(kind).parameters) <= named
    assert "{" not in re.sub(r"``.*?``", "", documentation)


def test_scikit_learn_tells_the_kinds_apart() -> None:
    assert is_classifier(MLPClassifier())
    assert is_regressor(MLPRegressor())
    assert not is_classifier(MLPMultiTask())
    assert not is_regressor(MLPMultiTask())


@pytest.mark.parametrize("kind", KINDS)
def test_tags_say_that_several_targets_are_learnt(kind: type[BaseMLP]) -> None:
    tags = get_tags(kind())
    assert tags.target_tags.multi_output
    assert tags.target_tags.single_output
    assert tags.target_tags.required
    assert kind is not MLPClassifier or tags.classifier_tags.multi_label


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_prediction_hardly_depends_on_the_rows_beside_it(kind: type[Any]) -> None:
    """In single precision it would, by a ten-millionth, with some kernels of OpenBLAS."""
    X, y = iris()[0], target_for(kind)
    fitted = small(kind, hidden_layer_sizes=(64, 33)).fit(X, y)
    predict = fitted.predict if kind is MLPRegressor else fitted.predict_proba
    together = predict(X)
    for size in (1, 7, 64):
        parts = [predict(X[start : start + size]) for start in range(0, len(X), size)]
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=1e-12)
    assert together.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_has_the_parameters_and_no_fit(kind: type[BaseMLP]) -> None:
    fitted = small(kind, dropout=0.3, optimizer_options={"beta1": 0.8})
    fitted.fit(iris()[0], target_for(kind))
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "params_")


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_that_are_set_are_those_that_count(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    given: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_epochs": 2, "random_state": 3}
    given["activation"] = "tanh"
    later = kind().set_params(**given).fit(X, y)
    assert_same_network(later, kind(**given).fit(X, y))


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_does_not_exist_is_refused(kind: type[BaseMLP]) -> None:
    with pytest.raises(ValueError, match="Invalid parameter 'lr'"):
        kind().set_params(lr=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_network_is_the_same(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    fitted: Any = small(kind).fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert_same_network(copy, fitted)
    np.testing.assert_array_equal(copy.predict(X), fitted.predict(X))


def test_a_pickled_network_goes_on_as_the_first_one_does() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, optimizer="adam").fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert_same_network(copy.partial_fit(X, y), fitted.partial_fit(X, y))


def test_joblib_keeps_a_network(tmp_path: Path) -> None:
    X, y = iris()
    fitted = small(MLPClassifier).fit(X, y)
    joblib.dump(fitted, tmp_path / "network")
    assert_same_network(joblib.load(tmp_path / "network"), fitted)


def test_a_network_fitted_in_another_thread_is_the_same() -> None:
    X, y = iris()
    fits = [joblib.delayed(small(MLPClassifier, random_state=n).fit)(X, y) for n in range(4)]
    for number, fitted in enumerate(joblib.Parallel(n_jobs=2, prefer="threads")(fits)):
        assert_same_network(fitted, small(MLPClassifier, random_state=number).fit(X, y))


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_a_fit_that_ends_leaves_one_blas_thread_to_the_fits_of_other_threads() -> None:
    """Two fits that overlap as threads make them: each bit depends on there being one thread."""
    with threadpool_limits(2, user_api="blas"), ExitStack() as first, ExitStack() as second:
        first.enter_context(one_blas_thread())
        second.enter_context(one_blas_thread())
        first.close()
        assert blas_threads() == {1}
        second.close()
        assert blas_threads() == {2}


def test_a_pipeline_that_standardises_equals_our_own_scaling() -> None:
    X, y = iris()
    pipeline = make_pipeline(StandardScaler(), small(MLPClassifier, scaling="none")).fit(X, y)
    alone = small(MLPClassifier, scaling="standard").fit(X, y)
    np.testing.assert_allclose(pipeline.predict_proba(X), alone.predict_proba(X), rtol=1e-3)


def test_a_grid_search_finds_the_rate_that_learns() -> None:
    grid = {"learning_rate": [0.0, 0.03, 1e-9]}
    search = GridSearchCV(small(MLPClassifier, max_epochs=15), grid, cv=3).fit(*iris())
    assert search.best_params_["learning_rate"] == 0.03
    assert search.best_score_ > 0.85


def test_cross_validation_equals_a_plain_loop() -> None:
    X, y = iris()
    scores = cross_val_score(small(MLPClassifier), X, y, cv=KFold(3))
    for score, (rows, others) in zip(scores, KFold(3).split(X), strict=True):
        fitted = small(MLPClassifier).fit(X[rows], y[rows])
        assert score == np.mean(fitted.predict(X[others]) == y[others])


def test_stacking_feeds_on_our_probabilities() -> None:
    X, y = iris()
    pair = [("narrow", small(MLPClassifier)), ("wide", small(MLPClassifier, activation="tanh"))]
    stacking = StackingClassifier(pair, LogisticRegression(), cv=3).fit(X, y)
    expected = np.hstack([each.predict_proba(X) for each in stacking.estimators_])
    np.testing.assert_array_equal(stacking.transform(X), expected)
    assert stacking.score(X, y) > 0.8


def test_calibration_mends_a_network_that_is_too_sure() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(int)
    sure = small(MLPClassifier, hidden_layer_sizes=(32,), max_epochs=40, learning_rate=0.1)
    calibrated = CalibratedClassifierCV(sure, cv=2).fit(X[:100], y[:100])
    alone = sure.fit(X[:100], y[:100])
    losses = [log_loss(y[100:], each.predict_proba(X[100:])) for each in (calibrated, alone)]
    assert losses[0] < 0.7 < losses[1]
