"""Classes of all types, their weights, and labels that stand together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from hpo.estimators import MLPClassifier
from tests.estimators.making import PLAIN, assert_same_network, iris, small

LOGISTIC: dict[str, Any] = {
    "hidden_layer_sizes": (),
    "scaling": "none",
    "optimizer": "momentum",
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "l2": 0.1,
    "max_epochs": 400,
    "batch_size": 200,
    "schedule": "constant",
    "warmup": 0.0,
    "random_state": 0,
}
"""Logistic regression with the penalty ``0.05 * sum w²``, trained until nothing changes."""

TYPES = [
    pytest.param(np.array([3, 7, 11]), id="int"),
    pytest.param(np.array([3, 7, 11], dtype=np.uint8), id="uint8"),
    pytest.param(np.array([-1.0, 0.0, 2.0]), id="float"),
    pytest.param(np.array(["ant", "bee", "cicada"]), id="text"),
    pytest.param(np.array(["ant", "bée", "cicada"], dtype=object), id="object"),
]


def uneven() -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of `iris` of which the classes have 20, 45 and 50."""
    X, y = iris()
    kept = np.concatenate([np.flatnonzero(y == c)[:n] for c, n in enumerate((20, 45, 50))])
    return X[kept], y[kept]


@pytest.mark.parametrize("classes", TYPES)
def test_classes_come_back_as_they_were(classes: NDArray[Any]) -> None:
    X, y = iris()
    fitted = small(MLPClassifier, max_epochs=20).fit(X, classes[y], X_val=X, y_val=classes[y])
    assert fitted.classes_.dtype == classes.dtype
    assert fitted.classes_.tolist() == classes.tolist()
    assert fitted.predict(X).dtype == classes.dtype
    expected = small(MLPClassifier, max_epochs=20).fit(X, y, X_val=X, y_val=y)
    assert_same_network(fitted, expected)
    assert fitted.predict(X).tolist() == classes[expected.predict(X)].tolist()


def test_classes_may_be_true_and_false() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, max_epochs=20, learning_rate=0.02).fit(X, y == 0)
    assert fitted.classes_.tolist() == [False, True]
    assert fitted.predict(X).dtype == np.bool_
    assert fitted.score(X, y == 0) > 0.95


def test_probabilities_are_in_the_order_of_the_sorted_classes() -> None:
    X, y = iris()
    words = np.array(["zebra", "ant", "monkey"])[y]
    fitted: Any = small(MLPClassifier, max_epochs=20, learning_rate=0.02).fit(X, words)
    probabilities = fitted.predict_proba(X)
    assert fitted.classes_.tolist() == ["ant", "monkey", "zebra"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert fitted.predict(X).tolist() == fitted.classes_[probabilities.argmax(axis=1)].tolist()
    assert probabilities[words == "zebra", 2].mean() > 0.6


def test_logarithms_are_those_of_the_probabilities() -> None:
    X, y = iris()
    fitted = small(MLPClassifier).fit(X, y)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), fitted.predict_proba(X))


def test_the_logarithm_of_a_probability_of_0_is_minus_infinity() -> None:
    X = np.array([[-1.0], [1.0]] * 20)
    sure = MLPClassifier((), scaling="none", random_state=0).fit(X, [0, 1] * 20)
    logs = sure.predict_log_proba(np.array([[1e6]]))
    assert logs.tolist() == [[-np.inf, 0.0]]


@pytest.mark.parametrize("only", [5, "ant", True])
def test_one_class_only_is_always_predicted(only: Any) -> None:
    X = iris()[0]
    fitted = small(MLPClassifier).fit(X, np.full(len(X), only))
    assert set(fitted.predict(X).tolist()) == {only}
    assert fitted.predict_proba(X).tolist() == [[1.0]] * len(X)


def test_a_class_of_one_row_is_a_class() -> None:
    X, y = iris()
    once = np.where(np.arange(len(y)) == 17, 9, y % 2)
    weights = {0: 1.0, 1: 1.0, 9: 200.0}
    fitted = small(MLPClassifier, class_weight=weights, learning_rate=0.05, max_epochs=40)
    assert fitted.fit(X, once).classes_.tolist() == [0, 1, 9]
    assert fitted.predict(X[17:18]).tolist() == [9]


def test_two_rows_are_enough() -> None:
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    fitted = MLPClassifier(random_state=0, max_epochs=100).fit(X, ["a", "b"])
    assert fitted.predict(X).tolist() == ["a", "b"]


def test_without_hidden_layers_it_is_logistic_regression() -> None:
    X, y = iris()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    ours = MLPClassifier(**LOGISTIC).fit(X, y)
    theirs = LogisticRegression(C=1 / (0.1 * len(y))).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-3)


def test_balanced_weights_are_those_of_the_rows_by_hand() -> None:
    X, y = uneven()
    counts = np.array([20, 45, 50])
    weights = len(y) / (3 * counts)
    balanced = small(MLPClassifier, scaling="none", class_weight="balanced").fit(X, y)
    by_row = small(MLPClassifier, scaling="none").fit(X, y, weights[y])
    assert_same_network(balanced, by_row)


@pytest.mark.parametrize("classes", TYPES)
def test_weights_of_classes_are_weights_of_their_rows(classes: NDArray[Any]) -> None:
    X, y = uneven()
    weights = np.array([4.0, 0.5, 1.25])
    by_class = small(
        MLPClassifier,
        scaling="none",
        class_weight=dict(zip(classes.tolist(), weights.tolist(), strict=True)),
    )
    by_row = small(MLPClassifier, scaling="none").fit(X, classes[y], weights[y])
    assert_same_network(by_class.fit(X, classes[y]), by_row)


def test_weights_of_classes_and_rows_are_multiplied() -> None:
    X, y = uneven()
    own = np.random.default_rng(0).uniform(0.5, 2, len(y))
    weights = np.array([4.0, 0.5, 1.25])
    both = small(MLPClassifier, scaling="none", class_weight={0: 4.0, 1: 0.5, 2: 1.25}).fit(
        X, y, own
    )
    assert_same_network(both, small(MLPClassifier, scaling="none").fit(X, y, own * weights[y]))


def test_classes_that_are_not_named_have_weight_1() -> None:
    X, y = uneven()
    named = small(MLPClassifier, class_weight={0: 3.0}).fit(X, y)
    all_named = small(MLPClassifier, class_weight={0: 3.0, 1: 1.0, 2: 1.0}).fit(X, y)
    assert_same_network(named, all_named)


def test_weights_of_classes_do_not_change_the_scale_of_the_inputs() -> None:
    X, y = uneven()
    weighted = small(MLPClassifier, class_weight="balanced").fit(X, y)
    plain = small(MLPClassifier).fit(X, y)
    np.testing.assert_array_equal(weighted.scaling_.centre, plain.scaling_.centre)


def test_balance_finds_more_of_a_rare_class() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(600) < 0.1).astype(int)
    X = rng.normal(size=(600, 2)) + 1.2 * y[:, None]
    plain, balanced = (
        small(MLPClassifier, max_epochs=20, class_weight=weight).fit(X, y).predict(X)
        for weight in (None, "balanced")
    )
    assert balanced[y == 1].mean() > plain[y == 1].mean() + 0.2


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_weight_of_a_class_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        small(MLPClassifier, class_weight={0: weight}).fit(*iris())


def test_weights_that_leave_no_row_are_refused() -> None:
    with pytest.raises(ValueError, match="weight"):
        small(MLPClassifier, class_weight={0: 0, 1: 0, 2: 0}).fit(*iris())


def test_weights_for_classes_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="not in class_weight"):
        small(MLPClassifier, class_weight={0: 1.0, 9: 2.0}).fit(*iris())


def test_weights_for_all_classes_may_name_more_than_a_part_of_the_rows_has() -> None:
    """So that a class that no row of a fold has is no error."""
    X, y = iris()
    known = y < 2
    weights: Any = {0: 1.0, 1: 3.0}
    more = small(MLPClassifier, class_weight=weights | {2: 9.0}).fit(X[known], y[known])
    assert_same_network(more, small(MLPClassifier, class_weight=weights).fit(X[known], y[known]))


@pytest.mark.parametrize("weight", ["heavy", None, 1e101, 10**400])
def test_what_is_no_weight_of_a_class_is_refused_with_the_class(weight: Any) -> None:
    with pytest.raises(ValueError, match="class_weight of 2 must be a number from 0 to 1e"):
        small(MLPClassifier, class_weight={2: weight}).fit(*iris())


def test_weights_that_leave_a_member_no_row_are_refused() -> None:
    X, y = iris()
    weights: Any = {0: 0, 1: 1, 2: 1}
    with pytest.raises(ValueError, match="class_weight leaves no row"):
        small(MLPClassifier).fit_many(X, y, [{}, {"class_weight": weights}], (y == 0).astype(float))


@pytest.mark.parametrize("weight", [{0: 1.0}, [{0: 1.0, 1: 2.0}] * 3])
def test_weights_of_several_labels_are_balanced_or_none(weight: Any) -> None:
    X, y = labels()
    with pytest.raises(ValueError, match=r"class_weight .* 'balanced' or None"):
        small(MLPClassifier, class_weight=weight).fit(X, y)
    assert small(MLPClassifier, class_weight="balanced").fit(X, y).n_iter_ == 3


@pytest.mark.parametrize("size", [5e-324, 1e-200, 1e99])
def test_only_ratios_of_weights_matter(size: float) -> None:
    X, y = uneven()
    plain = small(MLPClassifier, class_weight={0: 1.0, 1: 2.0, 2: 4.0}, scaling="none")
    scaled = small(MLPClassifier, class_weight={0: size, 1: 2 * size, 2: 4 * size}, scaling="none")
    np.testing.assert_allclose(
        scaled.fit(X, y, np.full(len(y), size)).params_,
        plain.fit(X, y).params_,
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_word_that_is_no_class_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="class_weight"):
        small(MLPClassifier, class_weight="equal").fit(*iris())


def test_an_unknown_class_among_validation_rows_is_refused() -> None:
    X, y = iris()
    known = y < 2
    with pytest.raises(ValueError, match=r"class .*2.* was not among the classes .*: 0, 1"):
        small(MLPClassifier).fit(X[known], y[known], X_val=X, y_val=y)


@pytest.mark.parametrize(
    ("classes", "others"),
    [
        (np.array(["a", "b", "c"]), np.array([0, 1, 2])),
        (np.array(["a", "b", "c"], dtype=object), np.array([0, 1, 2])),
        (np.array([0, 1, 2]), np.array(["a", "b", "c"])),
        (np.array([0, 1, 2]), np.array(["a", "b", "c"], dtype=object)),
        (np.array([0, 1, 2]), np.array([0.5, 1.5, 2.5])),
    ],
    ids=["text, int", "object, int", "int, text", "int, object", "int, float"],
)
def test_classes_of_another_type_among_validation_rows_are_refused(
    classes: NDArray[Any], others: NDArray[Any]
) -> None:
    X, y = iris()
    with pytest.raises(ValueError, match="was not among the classes of the training rows"):
        small(MLPClassifier).fit(X, classes[y], X_val=X, y_val=others[y])


def test_numbers_between_whole_ones_are_no_classes() -> None:
    X = iris()[0]
    with pytest.raises(ValueError, match="continuous"):
        small(MLPClassifier).fit(X, X[:, 0])


def labels() -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows, and three labels of which any may stand together."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    noise = 0.3 * rng.normal(size=(200, 3))
    return X, (X[:, :3] @ [[1, 1, 0], [1, -1, 0], [0, 0, 1]] + noise > 0).astype(int)


def test_labels_are_predicted_where_they_are_more_probable_than_not() -> None:
    X, y = labels()
    fitted = small(MLPClassifier, max_epochs=20).fit(X, y)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == y.shape
    np.testing.assert_array_equal(fitted.predict(X), probabilities > 0.5)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert (probabilities.sum(axis=1) > 1.2).any()


def test_the_score_of_labels_is_the_share_of_rows_that_are_all_right() -> None:
    X, y = labels()
    fitted = small(MLPClassifier, max_epochs=20, learning_rate=0.02).fit(X, y)
    all_right = [bool((row == true).all()) for row, true in zip(fitted.predict(X), y, strict=True)]
    assert fitted.score(X, y) == np.mean(all_right) == accuracy_score(y, fitted.predict(X))
    assert fitted.score(X, y) > 0.5


def test_labels_without_hidden_layers_are_logistic_regressions() -> None:
    X, y = labels()
    ours = MLPClassifier(**LOGISTIC).fit(X, y).predict_proba(X)
    for label in range(3):
        theirs = LogisticRegression(C=1 / (0.1 * len(y))).fit(X, y[:, label])
        np.testing.assert_allclose(ours[:, label], theirs.predict_proba(X)[:, 1], atol=1e-3)


def test_labels_of_another_number_among_validation_rows_are_refused() -> None:
    X, y = labels()
    with pytest.raises(ValueError, match="must hold 3 columns of 0 and 1"):
        small(MLPClassifier).fit(X, y, X_val=X, y_val=y[:, :2])


def test_columns_of_several_classes_are_refused() -> None:
    X, y = iris()
    with pytest.raises(ValueError, match="should be a 1d array"):
        small(MLPClassifier).fit(X, np.column_stack([y, y]))


def test_labels_in_a_sparse_matrix_are_refused_or_learnt() -> None:
    """Neither of NumPy's errors about sequences says what is wrong."""
    X, y = labels()
    try:
        fitted = small(MLPClassifier).fit(X, csr_matrix(y))
    except (TypeError, ValueError) as error:
        assert "parse" in str(error)  # noqa: PT017 - either is right
    else:
        assert_same_network(fitted, small(MLPClassifier).fit(X, y))


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_weights_in_full_batches_are_repeated_rows(kind: str) -> None:
    X, y = labels()
    target = y if kind == "labels" else y[:, 0]
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    plain = PLAIN | {"learning_rate": 0.3, "max_epochs": 20, "scaling": "standard"}
    weighted = small(MLPClassifier, **plain).fit(X, target, weights)
    repeated = small(MLPClassifier, **plain).fit(
        np.repeat(X, weights, axis=0), np.repeat(target, weights, axis=0)
    )
    np.testing.assert_allclose(weighted.params_, repeated.params_, rtol=1e-3, atol=1e-5)
