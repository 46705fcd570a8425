"""Every scorer of scikit-learn by its name, against that scorer on a fitted pipeline."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    get_scorer,
    get_scorer_names,
    jaccard_score,
    make_scorer,
    precision_score,
    recall_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hpo.data.metrics import METRICS, find_metric
from hpo.data.scorers import REPLICATES, ScorerMetric

CLUSTERING = {
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "completeness_score",
    "fowlkes_mallows_score",
    "homogeneity_score",
    "mutual_info_score",
    "normalized_mutual_info_score",
    "rand_score",
    "v_measure_score",
}
SEVERAL_LABELS = {"f1_samples", "jaccard_samples", "precision_samples", "recall_samples"}
REGRESSION = {
    each
    for each in get_scorer_names()
    if each in {"r2", "explained_variance", "d2_absolute_error_score"}
    or each.endswith(("_error", "_deviance"))
}
CLASSIFICATION = set(get_scorer_names()) - CLUSTERING - REGRESSION - SEVERAL_LABELS
FOR_CLASS_1 = {"average_precision", "f1", "jaccard", "precision", "recall"}
LIKELIHOODS = {"positive_likelihood_ratio", "neg_negative_likelihood_ratio"}
TWO_CLASSES = (FOR_CLASS_1 | LIKELIHOODS | {"roc_auc"}) - {"average_precision"}

NAMES: dict[str, tuple[Any, ...]] = {
    "two numbers": (0, 1),
    "1 comes first": (1, 2),
    "two texts": ("ill", "well"),
    "three numbers": (3, 5, 11),
    "three texts": ("Ant", "bee", "ant"),  # capitals sort first
}


@cache
def classified(kind: str, forest: bool) -> tuple[Any, Any, Any]:
    """A fitted pipeline, and rows that it did not see with their labels."""
    labels = np.array(sorted(NAMES[kind]))
    data = load_breast_cancer() if len(labels) == 2 else load_wine()
    rng = np.random.default_rng(0)
    X = data.data + 3 * data.data.std(axis=0) * rng.normal(size=data.data.shape)
    y = labels[data.target]
    order = rng.permutation(len(y))
    seen, fresh = order[:80], order[80:]
    # A forest of few trees has equal probabilities, also the same for both classes.
    model = RandomForestClassifier(4, max_depth=3, random_state=0) if forest else GaussianNB()
    return make_pipeline(StandardScaler(), model).fit(X[seen], y[seen]), X[fresh], y[fresh]


def check_classification(name: str, kind: str, forest: bool, metric: Any, scorer: Any) -> None:
    pipeline, X, y = classified(kind, forest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = scorer(pipeline, X, y)
    codes = np.searchsorted(pipeline.classes_, y)
    (found,) = metric(pipeline.predict_proba(X)[None], codes)
    assert np.isfinite(found)
    # The six that are means over rows add up in another order.
    assert found == (pytest.approx(expected, rel=1e-12) if name in METRICS else expected)


def labels_of(kind: str) -> tuple[str, ...]:
    return tuple(map(str, sorted(NAMES[kind])))


def test_every_scorer_has_its_place() -> None:
    names = set(get_scorer_names())
    assert names >= CLUSTERING | SEVERAL_LABELS | TWO_CLASSES
    assert len(CLASSIFICATION) > 25
    assert len(REGRESSION) > 12


@pytest.mark.parametrize("forest", [False, True])
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("name", sorted(CLASSIFICATION))
def test_classification_as_scikit_learn(name: str, kind: str, forest: bool) -> None:
    labels = labels_of(kind)
    unfit = (name in TWO_CLASSES and len(labels) == 3) or (
        name == "top_k_accuracy" and len(labels) == 2
    )
    nameless = name in FOR_CLASS_1 and kind == "two texts"
    if unfit or nameless:
        with pytest.raises(ValueError, match=r"needs .*two classes|say which with --positive"):
            find_metric(name, "classification", labels)
        return
    scorer = get_scorer(name)
    if kind == "two texts" and name in {"neg_brier_score", "d2_brier_score"}:
        # scikit-learn wants to know which class is positive, which makes no difference.
        scorer = make_scorer(
            scorer._score_func,
            greater_is_better=scorer._sign > 0,
            response_method="predict_proba",
            pos_label="well",
        )
    metric = find_metric(name, "classification", labels)
    check_classification(name, kind, forest, metric, scorer)


@pytest.mark.parametrize("forest", [False, True])
@pytest.mark.parametrize("kind", [each for each in NAMES if len(NAMES[each]) == 2])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "function", [f1_score, precision_score, recall_score, jaccard_score, average_precision_score]
)
def test_the_class_that_is_looked_for_can_be_named(
    function: Any, which: int, kind: str, forest: bool
) -> None:
    name, label = function.__name__.removesuffix("_score"), sorted(NAMES[kind])[which]
    response = "predict_proba" if name == "average_precision" else "predict"
    scorer = make_scorer(function, response_method=response, pos_label=label)
    metric = find_metric(name, "classification", labels_of(kind), str(label))
    check_classification(name, kind, forest, metric, scorer)


@pytest.mark.parametrize("which", [0, 1])
def test_likelihood_ratios_by_hand(which: int) -> None:
    """Of 4 a and 5 b, 3 and 4 are said to be what they are."""
    target = np.repeat([0, 1], [4, 5])
    said = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0])
    prediction = np.eye(2)[said][None]
    hit, false = ((4 / 5, 1 / 4), (3 / 4, 1 / 5))[1 - which]
    found = [
        find_metric(name, "classification", ("a", "b"), "ab"[which])(prediction, target)[0]
        for name in ("positive_likelihood_ratio", "neg_negative_likelihood_ratio")
    ]
    assert found == pytest.approx([hit / false, -(1 - hit) / (1 - false)])


@cache
def estimated() -> tuple[Any, Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return RandomForestRegressor(5, random_state=0).fit(X[:200], y[:200]), X[200:], y[200:]


@pytest.mark.parametrize("name", sorted(REGRESSION))
def test_regression_as_scikit_learn(name: str) -> None:
    forest, X, y = estimated()
    expected = get_scorer(name)(forest, X, y)
    (found,) = find_metric(name, "regression")(forest.predict(X)[None, :, None], y)
    assert found == (pytest.approx(expected, rel=1e-12) if name in METRICS else expected)


@pytest.mark.parametrize("name", sorted(CLUSTERING))
def test_clusterings_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^'{name}' is no metric for .* clusterings.*[^\n]$"):
        find_metric(name, "classification", ("a", "b"))


@pytest.mark.parametrize(
    ("name", "task", "classes", "positive", "says"),
    [
        ("f1", "classification", "abc", None, ["needs two classes, and there are 3", "f1_macro"]),
        ("roc_auc", "classification", "abcd", None, ["there are 4", "roc_auc_ovr"]),
        ("positive_likelihood_ratio", "classification", "abc", None, ["two classes", "search.md"]),
        ("top_k_accuracy", "classification", "ab", None, ["more than two", "use accuracy"]),
        ("f1_samples", "classification", "ab", None, ["one class for each row", "multilabel"]),
        ("f1", "classification", "ab", None, ["--positive, a or b", "f1_macro"]),
        ("average_precision", "classification", "ab", None, ["--positive, a or b"]),
        ("f1", "classification", ["ill", "well"], "wel", ["no class", "did you mean 'well'"]),
        ("f1", "classification", "23", "1", ["--positive '1' is no class: choose 2 or 3"]),
        ("roc_auc", "classification", "ab", "a", ["--positive says nothing to 'roc_auc'"]),
        ("accuracy", "classification", "ab", "a", ["--positive says nothing to 'accuracy'"]),
        ("average_precision", "classification", "abc", "a", ["--positive says nothing"]),
        ("r2", "regression", "", "a", ["--positive says nothing to 'r2'"]),
        ("neg_max_error", "regression", "", "a", ["--positive says nothing"]),
        ("neg_max_error", "classification", "ab", None, ["but for regression", "accuracy"]),
        ("roc_auc", "regression", "", None, ["but for classification", "r2"]),
        ("max_error", "regression", "", None, ["did you mean 'neg_max_error'"]),
        ("roc", "classification", "ab", None, ["is no metric; see docs/search.md"]),
    ],
)
def test_what_does_not_suit_is_refused_with_advice(
    name: str, task: Any, classes: Any, positive: str | None, says: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        find_metric(name, task, tuple(classes), positive)
    for part in says:
        assert part in str(caught.value)


def metric(name: str, task: Any = "classification") -> ScorerMetric:
    return ScorerMetric(name, task)


@pytest.mark.parametrize(
    ("name", "target", "n_outputs", "says"),
    [
        ("roc_auc", [1, 1, 1, 1], 2, "class"),
        ("roc_auc", [0, 1, 1, 1], 2, None),
        ("roc_auc_ovr", [0, 1, 1, 0], 3, "Number of classes"),
        ("roc_auc_ovr", [0, 1, 2, 0], 3, None),
        ("top_k_accuracy", [0, 1, 0], 3, "cannot score them"),
        ("top_k_accuracy", [0, 1, 2], 3, None),
        ("f1", [0, 0, 0], 2, "F-score"),
        ("f1", [0, 0, 1], 2, None),
        ("recall", [0, 0, 0], 2, "ecall"),
        ("average_precision", [0, 0, 0], 2, "same score"),
        ("f1_macro", [0, 0, 2], 3, None),
        ("matthews_corrcoef", [1, 1, 1], 2, "same score"),
        ("balanced_accuracy", [1, 1, 1], 2, None),
        ("positive_likelihood_ratio", [0, 0, 1, 1], 2, None),
        ("positive_likelihood_ratio", [1, 1, 1, 1], 2, "cannot score them"),
        ("neg_negative_likelihood_ratio", [0, 0, 1, 1], 2, None),
    ],
)
def test_rows_of_classes_that_cannot_be_scored(
    name: str, target: list[int], n_outputs: int, says: str | None
) -> None:
    found = metric(name).shortcoming(np.array(target), n_outputs)
    assert (found == "") if says is None else (says in found)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("neg_mean_gamma_deviance", [0.0, 1.0, 2.0], "strictly positive"),
        ("neg_mean_gamma_deviance", [0.5, 1.0, 2.0], None),
        ("neg_mean_poisson_deviance", [0.0, 1.0, 2.0], None),
        ("neg_mean_poisson_deviance", [-1.0, 1.0, 2.0], "non-negative"),
        ("neg_mean_squared_log_error", [-2.0, 1.0, 2.0], "Mean Squared Log"),
        ("neg_mean_squared_log_error", [0.0, 1.0, 2.0], None),
        ("d2_absolute_error_score", [1.0], "two samples"),
        ("explained_variance", [1.0], "same score"),
        ("explained_variance", [1.0, 1.0], None),
        ("neg_median_absolute_error", [1.0], None),
        ("neg_max_error", [-5.0, 1e100], None),
    ],
)
def test_rows_of_quantities_that_cannot_be_scored(
    name: str, target: list[float], says: str | None
) -> None:
    found = metric(name, "regression").shortcoming(np.array(target), 1)
    assert (found == "") if says is None else (says in found)


def test_of_no_rows_there_is_no_score() -> None:
    assert np.isnan(metric("f1_macro")(np.empty((1, 0, 2)), np.empty(0, np.int64))).all()
    assert metric("f1_macro").shortcoming(np.empty(0, np.int64), 2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_prediction_that_is_not_finite_spoils_its_member_only(wrong: float) -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(3, 20, 1)), rng.normal(size=20)
    mine = metric("neg_median_absolute_error", "regression")
    expected = mine(prediction, target)
    prediction[1, 7] = wrong
    found = mine(prediction, target)
    assert np.isnan(found).tolist() == [False, True, False]
    assert (found[[0, 2]] == expected[[0, 2]]).all()
    assert mine.complaint(prediction[1:2], target) == "a prediction is not finite"


def test_what_scikit_learn_refuses_is_no_score_and_told_in_one_line() -> None:
    gamma, target = metric("neg_mean_gamma_deviance", "regression"), np.array([1.0, 2.0])
    prediction = np.array([[[1.0], [-1.0]], [[1.0], [3.0]]])
    found = gamma(prediction, target)
    assert np.isnan(found[0])
    # By hand: 2 (log(3 / 2) + 2 / 3 - 1), halved for the other row, which is right.
    assert found[1] == pytest.approx(-(np.log(3 / 2) + 2 / 3 - 1))
    said = gamma.complaint(prediction[:1], target)
    assert "strictly positive" in said
    assert "\n" not in said


def test_nothing_is_said_while_networks_are_scored() -> None:
    """Any warning is an error in these tests; a network that knows one class has an F1 of 0."""
    prediction = np.tile([1.0, 0.0], (3, 4, 1))
    target = np.array([0, 0, 1, 1])
    assert metric("f1")(prediction, target).tolist() == [0.0] * 3
    assert metric("precision_macro")(prediction, target).tolist() == [0.25] * 3
    assert np.isnan(metric("roc_auc")(prediction, np.zeros(4, np.int64))).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), layout=st.sampled_from("CF"))
def test_a_member_is_scored_as_if_it_were_alone(seed: int, layout: Any) -> None:
    rng = np.random.default_rng(seed)
    prediction = rng.dirichlet(np.ones(3), (4, 30)).astype(np.float32)
    target = rng.permutation(np.arange(30) % 3)
    for name in ("roc_auc_ovr", "d2_log_loss_score"):
        alone = [metric(name)(each[None].copy(), target)[0] for each in prediction]
        laid_out = np.asarray(prediction, order=layout)
        assert metric(name)(laid_out, target).tolist() == alone


@pytest.mark.parametrize("name", ["f1_macro", "roc_auc"])
def test_a_bootstrap_scores_the_rows_that_were_drawn(name: str) -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.dirichlet(np.ones(2), (3, 40)), rng.integers(0, 2, 40)
    draws = rng.integers(0, 40, (5, 40))
    counts = np.stack([np.bincount(draw, minlength=40) for draw in draws]).astype(float)
    mine = metric(name)
    evidence = mine.evidence(prediction, target)
    expected = np.transpose([mine(prediction[:, draw], target[draw]) for draw in draws])
    found = mine.resampled(evidence, counts, target)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    chosen = np.array([2, 0, 1, 1, 2])
    np.testing.assert_allclose(
        mine.resampled(evidence, counts, target, chosen), expected[chosen, np.arange(5)], rtol=1e-12
    )


def test_a_bootstrap_ends_in_good_time() -> None:
    def replicates(name: str, *shape: int) -> int:
        return metric(name).replicates(np.broadcast_to(0.0, shape))

    assert replicates("f1_macro", 1, 300, 2) == REPLICATES == 500
    assert 50 < replicates("f1_macro", 20, 300, 2) < 500
    assert replicates("f1_macro", 20, 100_000, 10) == 50
    assert replicates("roc_auc_ovo", 1, 300, 10) < replicates("roc_auc_ovr", 1, 300, 10)
    assert metric("f1_macro").most_trials(300, 10, 1 << 28) == 20
    assert metric("f1_macro").most_trials(100_000, 100, 1 << 28) == 3
    assert metric("f1_macro").most_trials(10**7, 100, 1 << 28) == 2
