"""Metrics against scikit-learn's, and as functions of the mean loss of the rows."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from hpo.data.metrics import METRICS, default_metric, find_metric, zero_one

ORACLES: dict[str, Any] = {
    "accuracy": lambda p, y, w: sk.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
    "neg_log_loss": lambda p, y, w: -sk.log_loss(y, p, labels=range(p.shape[1]), sample_weight=w),
    "r2": lambda p, y, w: sk.r2_score(y, p[:, 0], sample_weight=w),
    "neg_mean_squared_error": lambda p, y, w: -sk.mean_squared_error(y, p[:, 0], sample_weight=w),
    "neg_root_mean_squared_error": lambda p, y, w: (
        -sk.root_mean_squared_error(y, p[:, 0], sample_weight=w)
    ),
    "neg_mean_absolute_error": lambda p, y, w: -sk.mean_absolute_error(y, p[:, 0], sample_weight=w),
}


def sample(name: str, seed: int, members: int = 3, rows: int = 40) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    if METRICS[name].task == "classification":
        return rng.dirichlet(np.ones(4) * 0.3, (members, rows)), rng.integers(0, 4, rows)
    return rng.normal(3, 2, (members, rows, 1)), rng.normal(3, 2, rows)


def test_every_metric_has_an_oracle() -> None:
    assert ORACLES.keys() == METRICS.keys()
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_as_scikit_learn(name: str, seed: int) -> None:
    prediction, target = sample(name, seed)
    expected = [ORACLES[name](member, target, None) for member in prediction]
    found = METRICS[name](prediction, target)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_weights_as_scikit_learn(name: str, seed: int) -> None:
    prediction, target = sample(name, seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(target)).astype(float)
    weights[0] += 1
    metric = METRICS[name]
    mean_loss = metric.row_loss(prediction, target) @ weights / weights.sum()
    expected = [ORACLES[name](member, target, weights) for member in prediction]
    np.testing.assert_allclose(metric.score(mean_loss, target, weights), expected, rtol=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_a_bootstrap_is_one_matrix_product(name: str) -> None:
    prediction, target = sample(name, 0)
    draws = np.random.default_rng(1).integers(0, 40, (5, 40))
    weights = np.stack([np.bincount(draw, minlength=40) for draw in draws]).astype(float)
    metric = METRICS[name]
    found = metric.score(metric.row_loss(prediction, target) @ weights.T / 40, target, weights)
    expected = [metric(prediction[:, draw], target[draw]) for draw in draws]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_equal_weights_are_no_weights_and_order_does_not_matter(name: str) -> None:
    prediction, target = sample(name, 3)
    metric, order = METRICS[name], np.random.default_rng(0).permutation(40)
    score = metric(prediction, target)
    mean_loss = metric.row_loss(prediction, target).mean(axis=1)
    np.testing.assert_allclose(metric.score(mean_loss, target, np.full(40, 7.0)), score, rtol=1e-12)
    np.testing.assert_allclose(metric(prediction[:, order], target[order]), score, rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_prediction_that_is_not_finite_spoils_its_member_only(name: str, wrong: float) -> None:
    prediction, target = sample(name, 0)
    expected = METRICS[name](prediction, target)
    prediction[1, 7, -1] = wrong
    found = METRICS[name](prediction, target)
    assert np.isnan(found).tolist() == [False, True, False]
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("name", METRICS)
def test_huge_predictions_do_not_warn(name: str) -> None:
    prediction, target = sample(name, 0)
    assert not (METRICS[name](prediction * 1e200, target) > 1).any()


@given(
    members=st.integers(1, 4),
    rows=st.integers(0, 9),
    classes=st.sampled_from([1, 2, 3, 10, 255, 256, 257, 300]),
    levels=st.sampled_from([1, 2, 5, 10**6]),
    layout=st.sampled_from(list(permutations(range(3)))),
    kind=st.sampled_from([np.float32, np.float64]),
    of_classes=st.sampled_from([np.int64, np.uint8, np.int16]),
    seed=st.integers(0, 99),
)
def test_errors_are_those_of_argmax(
    members: int,
    rows: int,
    classes: int,
    levels: int,
    layout: tuple[int, ...],
    kind: Any,
    of_classes: Any,
    seed: int,
) -> None:
    """Of equal probabilities, which few levels make, the first counts; in any order of memory."""
    rng = np.random.default_rng(seed)
    plain = rng.integers(levels, size=(members, rows, classes)).astype(kind) / levels
    target = rng.integers(min(classes, 256 if of_classes is np.uint8 else 300), size=rows)
    laid_out = np.ascontiguousarray(plain.transpose(layout)).transpose(np.argsort(layout))
    found = zero_one(laid_out, target.astype(of_classes))
    assert found.dtype == np.float64
    assert found.shape == (members, rows)
    assert found.tolist() == (plain.argmax(axis=-1) != target).tolist()
    assert np.array_equal(laid_out, plain)


def test_errors_where_all_classes_are_equal() -> None:
    """As many ties as a byte can count, and more; only the first class is right."""
    for classes in (2, 255, 256, 257, 512, 1000):
        prediction = np.full((2, classes, classes), 1 / classes, np.float32)
        errors = zero_one(prediction, np.arange(classes))
        assert errors.sum(axis=1).tolist() == [classes - 1] * 2
        assert not errors[:, 0].any()


def test_single_precision_is_clipped_as_in_scikit_learn() -> None:
    prediction = np.array([[[0, 1], [0.5, 0.5]]], dtype=np.float32)
    target = np.array([0, 1])
    expected = -sk.log_loss(target, prediction[0], labels=[0, 1])
    np.testing.assert_allclose(METRICS["neg_log_loss"](prediction, target), [expected], rtol=1e-6)


def test_hand_worked() -> None:
    target = np.array([1.0, 2.0, 4.0])
    prediction = np.array([[[1.0], [4.0], [3.0]]])
    scores = {name: METRICS[name](prediction, target).item() for name in list(METRICS)[2:]}
    assert scores == pytest.approx(
        {
            "r2": 1 - 5 / (14 / 3),
            "neg_mean_squared_error": -5 / 3,
            "neg_root_mean_squared_error": -np.sqrt(5 / 3),
            "neg_mean_absolute_error": -1.0,
        }
    )


@pytest.mark.parametrize("value", [3.0, 0.1])
def test_r2_of_a_constant_target(value: float) -> None:
    target = np.full(7, value)
    prediction = np.stack([target, target + 1, np.full(7, np.nan)])[..., None]
    expected = [sk.r2_score(np.full(7, 3.0), np.full(7, 3.0) + shift) for shift in (0, 1)]
    np.testing.assert_array_equal(METRICS["r2"](prediction, target), [*expected, np.nan])


def test_r2_needs_two_rows() -> None:
    assert np.isnan(METRICS["r2"](np.ones((2, 1, 1)), np.ones(1))).all()


def test_finding_a_metric() -> None:
    assert find_metric("r2", "regression") is METRICS["r2"]
    for task in ("classification", "regression"):
        assert METRICS[default_metric(task)].task == task
    with pytest.raises(ValueError, match="'r2' is no metric for classification but for regression"):
        find_metric("r2", "classification")
    with pytest.raises(
        ValueError, match=r"no metric; see docs/search\.md .*did you mean 'accuracy'"
    ):
        find_metric("acuracy", "classification")


def test_r2_of_one_row_with_weight_is_no_score() -> None:
    target, loss = np.array([1.0, 2.0, 4.0]), np.array([[3.0, 3.0]])
    weights = np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 0.0]])
    one, two = METRICS["r2"].score(loss, target, weights)[0]
    assert np.isnan(one)
    assert two == 1 - 3.0 / 0.25
