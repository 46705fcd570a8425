"""`history_` against what can be computed from the network or from formulas."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss, r2_score

from hpo.estimators import MLPClassifier, MLPMultiTask, MLPRegressor
from hpo.estimators.base import BaseMLP
from hpo.nn.schedules import Schedule
from tests.estimators.making import KINDS, PLAIN, iris, small, target_for

ALWAYS = {"train_loss", "train_score", "learning_rate", "gradient_norm", "seconds"}
HELD_OUT = {"early_stopping": False, "max_epochs": 4}


def weights_of(n: int) -> Any:
    return np.random.default_rng(3).uniform(0.5, 3, n)


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_one_figure_for_each_epoch(kind: type[BaseMLP]) -> None:
    X, y = iris()[0], target_for(kind)
    plain = small(kind, max_epochs=4).fit(X, y)
    assert plain.history_.keys() == ALWAYS
    measured = small(kind, max_epochs=4).fit(X, y, X_val=X, y_val=y)
    assert measured.history_.keys() == ALWAYS | {"val_loss", "val_score"}
    for values in measured.history_.values():
        assert values.shape == (4,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()


def test_the_last_validation_loss_is_the_log_loss_of_the_network() -> None:
    X, y = iris()
    fitted = small(MLPClassifier, **HELD_OUT).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    expected = log_loss(y[100:], fitted.predict_proba(X[100:]))
    assert fitted.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_the_last_validation_loss_is_the_weighted_log_loss() -> None:
    X, y = iris()
    weights = weights_of(50)
    fitted = small(MLPClassifier, **HELD_OUT).fit(
        X[:100], y[:100], X_val=X[100:], y_val=y[100:], sample_weight_val=weights
    )
    expected = log_loss(y[100:], fitted.predict_proba(X[100:]), sample_weight=weights)
    assert fitted.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    score = fitted.score(X[100:], y[100:], weights)
    assert fitted.history_["val_score"][-1] == pytest.approx(score, rel=1e-9)


def test_the_validation_loss_of_labels_is_the_sum_of_their_log_losses() -> None:
    X, y = iris()
    labels = np.column_stack([y == 0, y > 0, X[:, 0] > 6]).astype(int)
    fitted = small(MLPClassifier, **HELD_OUT).fit(X, labels, X_val=X, y_val=labels)
    probabilities = fitted.predict_proba(X)
    expected = sum(log_loss(labels[:, n], probabilities[:, n]) for n in range(3))
    assert fitted.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    assert fitted.history_["val_score"][-1] == pytest.approx(fitted.score(X, labels), rel=1e-9)


def test_the_validation_loss_of_numbers_is_half_the_squared_error_in_deviations() -> None:
    X, y = iris()[0][:, 1:], iris()[0][:, :1] * [2.0, -7.0]
    fitted = small(MLPRegressor, **HELD_OUT).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    errors = (fitted.predict(X[100:]) - y[100:]) / y[:100].std(axis=0)
    expected = 0.5 * np.square(errors).sum(axis=1).mean()
    assert fitted.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_several_tasks_is_the_weighted_sum_of_theirs() -> None:
    X, y = iris()[0], target_for(MLPMultiTask)
    fitted = small(MLPMultiTask, loss_weights=(3, 0.5), **HELD_OUT).fit(X, y, X_val=X, y_val=y)
    errors = (fitted.predict(X)[:, 1] - y[:, 1]) / y[:, 1].std()
    expected = 3 * log_loss(y[:, 0], fitted.predict_task_proba(X, 0))
    expected += 0.5 * 0.5 * np.square(errors.astype(float)).mean()
    assert fitted.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_the_last_validation_score_is_the_score(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    fitted = small(kind, **HELD_OUT).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    expected = fitted.score(X[100:], y[100:])
    assert fitted.history_["val_score"][-1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_of_several_outputs_is_the_mean_of_theirs(weighted: bool) -> None:
    X, y = iris()[0][:, 2:], iris()[0][:, :2] * [1000, 1]
    weights = weights_of(50) if weighted else None
    fitted = small(MLPRegressor, **HELD_OUT).fit(
        X[:100], y[:100], X_val=X[100:], y_val=y[100:], sample_weight_val=weights
    )
    prediction = fitted.predict(X[100:])
    expected = np.mean(
        [r2_score(y[100:, n], prediction[:, n], sample_weight=weights) for n in (0, 1)]
    )
    assert fitted.history_["val_score"][-1] == pytest.approx(expected, rel=1e-5)
    score = fitted.score(X[100:], y[100:], weights)
    assert fitted.history_["val_score"][-1] == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("measured", [False, True])
def test_the_training_score_of_several_outputs_is_that_of_the_network(measured: bool) -> None:
    """Units of the validation rows' variances are those of the training rows, if they are these."""
    X, y = iris()[0][:, 2:], iris()[0][:, :2] * [1000, 1]
    weights = weights_of(len(y))
    held_out = {"X_val": X, "y_val": y, "sample_weight_val": weights} if measured else {}
    fitted = small(MLPRegressor, learning_rate=0.0).fit(X, y, weights, **held_out)
    expected = fitted.score(X, y, weights)
    np.testing.assert_allclose(fitted.history_["train_score"], expected, rtol=1e-5)


def test_an_output_without_variance_among_the_validation_rows_scores_as_in_scikit_learn() -> None:
    X, y = iris()[0][:, 2:], iris()[0][:, :2]
    constant = np.column_stack([y[:, 0], np.full(150, 3.0)])
    fitted = small(MLPRegressor, **HELD_OUT).fit(X, y, X_val=X, y_val=constant)
    assert fitted.history_["val_score"][-1] == pytest.approx(fitted.score(X, constant), rel=1e-5)


def test_the_score_of_several_tasks_is_that_of_the_first_one() -> None:
    X, y = iris()[0], target_for(MLPMultiTask)
    fitted = small(MLPMultiTask, **HELD_OUT).fit(X, y, X_val=X, y_val=y)
    expected = np.mean(fitted.predict(X)[:, 0] == y[:, 0])
    assert fitted.history_["val_score"][-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_training_figures_are_those_of_the_network_if_nothing_is_learnt(kind: type[Any]) -> None:
    X, y = iris()[0], target_for(kind)
    weights = weights_of(len(y))
    fitted = small(kind, learning_rate=0.0).fit(
        X, y, weights, X_val=X, y_val=y, sample_weight_val=weights
    )
    expected = fitted.score(X, y, weights)
    np.testing.assert_allclose(fitted.history_["train_score"], expected, rtol=1e-5)
    for name in ("loss", "score"):
        training, validation = fitted.history_[f"train_{name}"], fitted.history_[f"val_{name}"]
        np.testing.assert_allclose(training, validation, rtol=1e-5)


def test_smoothing_is_no_part_of_the_reported_loss() -> None:
    X, y = iris()
    smooth = small(MLPClassifier, learning_rate=0.0, label_smoothing=0.5).fit(X, y)
    expected = log_loss(y, smooth.predict_proba(X))
    np.testing.assert_allclose(smooth.history_["train_loss"], expected, rtol=1e-5)


STEPS, EACH = 20, 5
"""Steps of a training of four epochs with 150 rows in batches of 30, and steps of an epoch."""

PROGRESS = (np.arange(EACH, STEPS + 1, EACH) - 1) / STEPS


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"schedule": "constant", "warmup": 0.0}, np.ones(4)),
        ({"schedule": "cosine", "warmup": 0.0}, (1 + np.cos(np.pi * PROGRESS)) / 2),
        ({"schedule": "exponential", "warmup": 0.0}, 0.1**PROGRESS),
        ({"schedule": "constant", "warmup": 0.5}, [0.5, 1, 1, 1]),
        ({"schedule": Schedule("step", decay=0.5, every=0.25)}, [1, 0.5, 0.25, 0.125]),
    ],
)
def test_the_learning_rate_is_that_of_the_last_step_of_each_epoch(
    params: dict[str, Any], expected: Any
) -> None:
    fitted = small(MLPClassifier, learning_rate=0.02, batch_size=30, max_epochs=4, **params)
    rates = fitted.fit(*iris()).history_["learning_rate"]
    np.testing.assert_allclose(rates, 0.02 * np.asarray(expected), rtol=1e-12)


def test_rows_without_weight_take_no_steps_of_the_schedule() -> None:
    X, y = iris()
    weights = (np.arange(150) < 60).astype(float)
    fitted = small(MLPClassifier, batch_size=30, max_epochs=4).fit(X, y, weights)
    shorter = small(MLPClassifier, batch_size=30, max_epochs=4).fit(X[:60], y[:60])
    np.testing.assert_array_equal(
        fitted.history_["learning_rate"], shorter.history_["learning_rate"]
    )


def test_the_gradient_norm_is_that_of_softmax_regression() -> None:
    """At rate 0 without hidden layers, with inputs as they are: X'(p - y) / n."""
    X, y = iris()
    plain = PLAIN | {"learning_rate": 0.0, "scaling": "none", "hidden_layer_sizes": ()}
    fitted = small(MLPClassifier, **plain, initializer="orthogonal").fit(X, y)
    ones = np.column_stack([X, np.ones(len(X))])
    p = softmax(ones @ fitted.params_.astype(float).reshape(5, 3), axis=1)
    expected = np.linalg.norm(ones.T @ (p - np.eye(3)[y]) / len(X))
    np.testing.assert_allclose(fitted.history_["gradient_norm"], expected, rtol=1e-4)


def test_the_gradient_norm_is_taken_before_clipping() -> None:
    clipped = small(MLPClassifier, clip_norm=1e-3, max_epochs=1, batch_size=150).fit(*iris())
    free = small(MLPClassifier, max_epochs=1, batch_size=150).fit(*iris())
    assert clipped.history_["gradient_norm"] == free.history_["gradient_norm"]
    assert free.history_["gradient_norm"][0] > 0.1


def test_seconds_are_part_of_those_that_passed() -> None:
    began = time.perf_counter()
    fitted = small(MLPClassifier).fit(*iris())
    passed = time.perf_counter() - began
    assert (fitted.history_["seconds"] > 0).all()
    assert fitted.history_["seconds"].sum() < passed
