"""Several targets of one network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.metrics import accuracy_score, r2_score

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from tests.estimators.making import PLAIN, assert_same_network, iris, small


def mixed() -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of iris: the kind as a word, the sepal's length, whether it is broad."""
    X, y = iris()
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    target = np.empty((len(y), 3), dtype=object)
    target[:, 0], target[:, 1], target[:, 2] = words, X[:, 0], X[:, 1] > 3
    return X, target


def learner(**params: Any) -> MLPMultiTask:
    return small(MLPMultiTask, **{"max_epochs": 40, "learning_rate": 0.02} | params)


def test_classes_and_numbers_are_learnt_together() -> None:
    X, y = mixed()
    fitted = learner().fit(X[:100], y[:100])
    prediction = fitted.predict(X[100:])
    assert accuracy_score(y[100:, 0].tolist(), prediction[:, 0].tolist()) > 0.85
    assert r2_score(y[100:, 1].astype(float), prediction[:, 1].astype(float)) > 0.7
    assert accuracy_score(y[100:, 2].tolist(), prediction[:, 2].tolist()) > 0.7


def test_types_of_a_mixed_prediction_are_those_of_the_columns() -> None:
    X, y = mixed()
    prediction = learner(max_epochs=1).fit(X, y).predict(X)
    assert prediction.dtype == object
    assert set(map(type, prediction[0].tolist())) == {str, float, bool}


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [([[0, 1], [1, 0]], np.int64), ([[0.5, 1.5], [1, 0.1]], np.float64)],
)
def test_columns_of_one_type_make_an_array_of_that_type(columns: Any, dtype: Any) -> None:
    X, y = np.arange(40.0)[:, None], np.array(columns * 20)
    prediction = learner(max_epochs=1).fit(X, y).predict(X)
    assert prediction.dtype == dtype
    assert prediction.shape == (40, 2)


def test_numbers_that_are_not_all_whole_are_taken_for_regression() -> None:
    X, y = mixed()
    fitted = learner(max_epochs=1).fit(X, y)
    assert fitted.tasks_ == ["classification", "regression", "classification"]
    whole = learner(max_epochs=1).fit(X, np.round(X[:, :2]))
    assert whole.tasks_ == ["classification", "classification"]


def test_tasks_that_are_named_are_those_that_are_learnt() -> None:
    X = iris()[0]
    whole = np.round(10 * X[:, :2])
    fitted = learner(tasks=("regression", "classification")).fit(X, whole)
    assert fitted.tasks_ == ["regression", "classification"]
    assert r2_score(whole[:, 0], fitted.predict(X)[:, 0]) > 0.8
    assert set(fitted.predict(X)[:, 1]) <= set(whole[:, 1])


@pytest.mark.parametrize(
    "tasks", [("classification",), ("regression", "ranking"), "regression", None, 2]
)
def test_tasks_that_do_not_fit_the_columns_are_refused(tasks: Any) -> None:
    X = iris()[0]
    message = "tasks must say classification or regression for each of 2 columns"
    with pytest.raises(ValueError, match=message):
        learner(tasks=tasks).fit(X, X[:, :2])


def test_words_are_no_regression() -> None:
    X, y = mixed()
    with pytest.raises(ValueError, match="could not convert string to float"):
        learner(tasks=("regression",) * 3).fit(X, y)


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3), 2.0, "ab"])
def test_as_many_loss_weights_as_columns_are_needed(weights: Any) -> None:
    X = iris()[0]
    with pytest.raises(ValueError, match="loss_weights do not fit 2 columns"):
        learner(loss_weights=weights).fit(X, X[:, :2])


@pytest.mark.parametrize("weights", [("much", "little"), (1, None)])
def test_loss_weights_that_are_no_numbers_are_refused(weights: Any) -> None:
    X = iris()[0]
    with pytest.raises(ValueError, match="loss_weights must be numbers"):
        learner(loss_weights=weights).fit(X, X[:, :2])


@pytest.mark.parametrize("weight", [0, -1, np.nan, np.inf])
def test_a_loss_weight_that_is_none_is_refused(weight: float) -> None:
    X = iris()[0]
    with pytest.raises(ValueError, match="weight must be a number above 0"):
        learner(loss_weights=(1, weight)).fit(X, X[:, :2])


def test_loss_weights_decide_what_is_learnt_better() -> None:
    X, y = mixed()
    few = {"hidden_layer_sizes": (2,), "max_epochs": 15}
    scores = []
    for weights in ((100, 0.01, 1), (0.01, 100, 1)):
        prediction = learner(loss_weights=weights, **few).fit(X, y).predict(X)
        scores.append(
            (
                accuracy_score(y[:, 0].tolist(), prediction[:, 0].tolist()),
                r2_score(y[:, 1].astype(float), prediction[:, 1].astype(float)),
            )
        )
    assert scores[0][0] > scores[1][0] + 0.1
    assert scores[1][1] > scores[0][1] + 0.1


def test_loss_weights_of_gradient_descent_are_rates_of_the_heads() -> None:
    """Without hidden layers, columns share nothing: a weight of 3 is three times the rate."""
    X, y = mixed()
    plain = PLAIN | {"hidden_layer_sizes": (), "scaling": "standard"}
    both = learner(**plain, learning_rate=0.01, loss_weights=(3, 1, 1)).fit(X, y)
    start = learner(**plain, learning_rate=0.0).fit(X, y)
    fast = learner(**plain, learning_rate=0.03).fit(X, y)
    slow = learner(**plain, learning_rate=0.01).fit(X, y)
    heads = [np.reshape(each.params_, (5, -1)) for each in (both, fast, slow, start)]
    np.testing.assert_allclose(heads[0][:, :3], heads[1][:, :3], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(heads[0][:, 3:], heads[2][:, 3:], rtol=1e-3, atol=1e-5)
    assert np.abs(heads[1] - heads[3]).max() > 0.1


def test_probabilities_are_those_of_one_column() -> None:
    X, y = mixed()
    fitted = learner().fit(X, y)
    probabilities = fitted.predict_task_proba(X, 0)
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    words = np.array(["setosa", "versicolor", "virginica"])
    chosen = words[probabilities.argmax(axis=1)]
    assert chosen.tolist() == fitted.predict(X)[:, 0].tolist()
    assert fitted.predict_task_proba(X, 2).shape == (150, 2)


def test_a_regression_has_no_probabilities() -> None:
    X, y = mixed()
    with pytest.raises(ValueError, match="column 1 is a regression; it has no probabilities"):
        learner(max_epochs=1).fit(X, y).predict_task_proba(X, 1)


def test_the_score_is_the_mean_of_accuracy_and_r2() -> None:
    X, y = mixed()
    fitted = learner(max_epochs=5).fit(X, y)
    prediction = fitted.predict(X)
    weights = np.random.default_rng(0).uniform(0, 2, len(X))
    for given in (None, weights):
        each = [
            accuracy_score(y[:, 0].tolist(), prediction[:, 0].tolist(), sample_weight=given),
            r2_score(y[:, 1].astype(float), prediction[:, 1].astype(float), sample_weight=given),
            accuracy_score(y[:, 2].tolist(), prediction[:, 2].tolist(), sample_weight=given),
        ]
        assert fitted.score(X, y, given) == pytest.approx(np.mean(each), rel=1e-9)


def test_the_score_of_whole_numbers_does_not_round_the_prediction() -> None:
    X = iris()[0]
    whole = np.column_stack([np.round(10 * X[:, 0]), np.arange(150) % 2]).astype(int)
    fitted = learner(tasks=("regression", "classification")).fit(X, whole)
    prediction = fitted.predict(X)
    values, classes = prediction[:, 0].astype(float), prediction[:, 1].astype(int)
    expected = (r2_score(whole[:, 0], values) + accuracy_score(whole[:, 1], classes)) / 2
    assert fitted.score(X, whole) == pytest.approx(expected, rel=1e-9)


def test_the_score_compares_whole_words() -> None:
    X, y = iris()
    words = np.array(["cat", "catfish"])[(y > 0).astype(int)]
    fitted = learner().fit(X, words[:, None])
    wrong = np.full((10, 1), "cat")
    assert fitted.predict(X[y > 0][:10]).ravel().tolist() == ["catfish"] * 10
    assert fitted.score(X[y > 0][:10], wrong) == 0


def test_one_column_is_the_network_of_one_task() -> None:
    X, y = iris()
    classifier = small(MLPClassifier).fit(X, y)
    regressor = small(MLPRegressor).fit(X, X[:, 0])
    assert_same_network(small(MLPMultiTask).fit(X, y[:, None]), classifier)
    assert_same_network(small(MLPMultiTask).fit(X, X[:, :1]), regressor)
    assert small(MLPMultiTask).fit(X, y).predict(X).shape == (150, 1)


def test_columns_of_numbers_are_the_outputs_of_a_regression() -> None:
    """In other mini-batches' sums, up to rounding; the loss of one head is the sum of both."""
    X = iris()[0]
    both = small(MLPMultiTask).fit(X, X[:, :2])
    one = small(MLPRegressor).fit(X, X[:, :2])
    np.testing.assert_allclose(both.params_, one.params_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(both.predict(X), one.predict(X), rtol=1e-3)


def test_each_task_is_learnt_about_as_well_as_by_itself() -> None:
    X, y = mixed()
    together = learner().fit(X[:100], y[:100])
    settings = {"max_epochs": 40, "learning_rate": 0.02}
    words, truth = y[:, 0].astype(str), y[:, 1].astype(float)
    alone = small(MLPClassifier, **settings).fit(X[:100], words[:100])
    values = small(MLPRegressor, **settings).fit(X[:100], truth[:100])
    prediction = together.predict(X[100:])
    accuracy = accuracy_score(words[100:], prediction[:, 0].astype(str))
    assert accuracy > alone.score(X[100:], words[100:]) - 0.1
    r2 = r2_score(truth[100:], prediction[:, 1].astype(float))
    assert r2 > values.score(X[100:], truth[100:]) - 0.15


def test_a_shared_layer_learns_from_the_other_task() -> None:
    """Ten noisy columns of one hidden quantity tell more of it than one of them does."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1060, 10))
    hidden = np.tanh(X @ rng.normal(size=10))
    y = hidden[:, None] + rng.normal(size=(1060, 20))
    settings = {"hidden_layer_sizes": (1,), "activation": "tanh", "learning_rate": 0.02}
    settings |= {"max_epochs": 40, "tasks": "auto"}
    errors = [
        np.square(learner(**settings).fit(X[:60], part).predict(X[60:])[:, 0] - hidden[60:]).mean()
        for part in (y[:60], y[:60, :1])
    ]
    assert errors[0] < 0.7 * errors[1]


def test_validation_rows_stop_all_tasks_at_once() -> None:
    X, y = mixed()
    fitted = learner(learning_rate=0.3, patience=2).fit(X[:75], y[:75], X_val=X[75:], y_val=y[75:])
    losses = fitted.history_["val_loss"]
    assert fitted.best_epoch_ == losses.argmin() + 1 == fitted.n_iter_ - 2


def test_an_unknown_class_among_validation_rows_is_refused() -> None:
    X, y = mixed()
    strange = y.copy()
    strange[7, 0] = "tulip"
    with pytest.raises(ValueError, match=r"'tulip'.* was not among the classes"):
        learner().fit(X, y, X_val=X, y_val=strange)


def test_a_target_with_gaps_is_refused() -> None:
    X, y = mixed()
    y[3, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        learner().fit(X, y)


def test_another_number_of_columns_among_validation_rows_is_refused() -> None:
    X, y = mixed()
    with pytest.raises(ValueError, match="column"):
        learner().fit(X, y, X_val=X, y_val=y[:, :2])


def test_another_number_of_columns_has_no_score() -> None:
    X, y = mixed()
    with pytest.raises(ValueError, match="column"):
        learner(max_epochs=1).fit(X, y).score(X, y[:, :2])


def test_a_column_that_does_not_exist_has_no_probabilities() -> None:
    X, y = mixed()
    with pytest.raises(ValueError, match="there is no column 3: columns are 0 to 2"):
        learner(max_epochs=1).fit(X, y).predict_task_proba(X, 3)


def test_rows_in_lists_keep_the_types_of_their_columns() -> None:
    """NumPy makes words of words and numbers that stand in one list."""
    X, y = mixed()
    fitted = learner(max_epochs=1).fit(X, y.tolist())
    assert_same_network(fitted, learner(max_epochs=1).fit(X, y))
    assert fitted.score(X, y.tolist()) == fitted.score(X, y)


def test_an_infinite_number_beside_words_is_refused() -> None:
    X, y = mixed()
    y[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinite"):
        learner().fit(X, y)


def test_the_score_of_a_sparse_target_is_refused() -> None:
    X = iris()[0]
    fitted = learner(max_epochs=1).fit(X, X[:, :2])
    with pytest.raises(TypeError, match="Sparse data was passed for y"):
        fitted.score(X, csr_matrix(X[:, :2]))
