"""Calibration: scikit-learn's calibrators, closed forms, what each method promises."""

from __future__ import annotations

import json
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from ensembles.calibration import (
    COLDEST,
    HOTTEST,
    Calibrator,
    IsotonicCalibration,
    PlattScaling,
    Steps,
    TemperatureScaling,
    calibrator_from_json,
)
from ensembles.losses import LogLoss, loss_of

KINDS: list[Any] = [TemperatureScaling, PlattScaling, IsotonicCalibration]
Problem = tuple[NDArray[np.float64], NDArray[np.int64]]


def problem(rows: int, classes: int, seed: int, sureness: float = 2.0) -> Problem:
    """Probabilities that are more sure than they should be, if ``sureness`` is above 1."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, classes))
    honest = softmax(logits, axis=1)
    y = np.array([generator.choice(classes, p=each) for each in honest])
    return softmax(sureness * logits, axis=1), y


class Says(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose inputs are its probabilities."""

    def fit(self, X: Any, y: Any) -> Self:
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X: Any) -> Any:
        return X

    def predict(self, X: Any) -> Any:
        return self.classes_[X.argmax(axis=1)]


class SaysOdds(Says):
    """Likewise, but it tells them as log-odds."""

    def decision_function(self, X: Any) -> Any:
        return logit(X)[:, 1] if X.shape[1] == 2 else logit(X)


def by_sklearn(
    kind: type[Says], method: str, problem: Problem, new: NDArray[Any], weights: Any = None
) -> NDArray[np.float64]:
    proba, y = problem
    frozen = FrozenEstimator(kind().fit(proba, y))
    fitted = CalibratedClassifierCV(frozen, method=method).fit(proba, y, sample_weight=weights)
    found: NDArray[np.float64] = fitted.predict_proba(new)
    return found


# Scikit-learn warns that what is frozen does not learn from weights.
@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not appear to accept")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize(
    ("ours", "kind", "method"),
    [
        # Scikit-learn adds 1e-12 to each probability before it takes logarithms.
        (TemperatureScaling, Says, "temperature"),
        # It fits the logistic function to a decision function, if there is one, as Platt did, and
        # to the probability itself if there is none; so the log-odds must be given as the former.
        (PlattScaling, SaysOdds, "sigmoid"),
        # Of a decision function the steps would be the same, and the lines between them not.
        (IsotonicCalibration, Says, "isotonic"),
    ],
)
def test_scikit_learn_calibrates_likewise(
    ours: Any, kind: type[Says], method: str, classes: int, weighted: bool
) -> None:
    rows = problem(400, classes, 0)
    new = problem(200, classes, 1)[0]
    weights = np.random.default_rng(2).uniform(0.1, 3, size=400) if weighted else None
    expected = by_sklearn(kind, method, rows, new, weights)
    found = ours.fit(*rows, weights)(new)
    np.testing.assert_allclose(found, expected, atol=1e-12 if ours is IsotonicCalibration else 1e-7)


@given(
    rows=st.integers(1, 40),
    classes=st.integers(2, 4),
    seed=st.integers(0, 999),
    sureness=st.floats(0.0, 50.0),
)
def test_temperature_never_raises_the_log_loss_of_its_rows(
    rows: int, classes: int, seed: int, sureness: float
) -> None:
    proba, y = problem(rows, classes, seed, sureness)
    found = TemperatureScaling.fit(proba, y)
    after = found(proba)
    assert COLDEST <= found.temperature <= HOTTEST
    assert loss_of(LogLoss(), after, y) <= loss_of(LogLoss(), proba, y) + 1e-9
    # The class that was most probable still is, but for rounding.
    before = proba.argmax(axis=1)
    chosen = np.take_along_axis(after, before[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen, after.max(axis=1), rtol=1e-12)


@given(seed=st.integers(0, 99), classes=st.integers(2, 4))
def test_no_other_temperature_is_better(seed: int, classes: int) -> None:
    proba, y = problem(30, classes, seed)
    best = loss_of(LogLoss(), TemperatureScaling.fit(proba, y)(proba), y)
    for other in np.geomspace(COLDEST, HOTTEST, 60):
        assert best <= loss_of(LogLoss(), TemperatureScaling(float(other))(proba), y) + 1e-12


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0, 7.5])
def test_a_temperature_by_hand(temperature: float) -> None:
    """Three rows of four are right, and should be so by 3/4: at log-odds log 3.

    What was said are these odds times the temperature.
    """
    said = expit(np.log(3) * temperature)
    proba = np.tile([1 - said, said], (4, 1))
    found = TemperatureScaling.fit(proba, np.array([1, 1, 1, 0]))
    assert found.temperature == pytest.approx(temperature)
    np.testing.assert_allclose(found(proba), np.tile([0.25, 0.75], (4, 1)))


def test_a_network_that_is_too_sure_gets_its_temperature_back() -> None:
    proba, y = problem(20_000, 3, 0, sureness=2.5)
    assert TemperatureScaling.fit(proba, y).temperature == pytest.approx(2.5, rel=0.05)


def test_temperatures_that_have_no_end() -> None:
    right = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert TemperatureScaling.fit(right, np.array([0, 1])).temperature == pytest.approx(COLDEST)
    assert TemperatureScaling.fit(right, np.array([1, 0])).temperature == pytest.approx(HOTTEST)
    alike = np.full((2, 2), 0.5)
    assert TemperatureScaling.fit(alike, np.array([1, 0])).temperature == 1


def test_probabilities_of_0_stay_finite() -> None:
    proba = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    y = np.array([0, 1, 1])
    for kind in KINDS:
        found = kind.fit(proba, y)(proba)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_the_logistic_function_by_hand() -> None:
    """Two places, of which the smoothed targets have known means: a line through two points.

    8 rows of class 1 and 6 of class 0 have targets 9/10 and 1/8. At odds 1/3 there are two and five
    of them, at odds 3 six and one.
    """
    said = np.repeat([0.25, 0.75], 7)
    y = np.array([1] * 2 + [0] * 5 + [1] * 6 + [0])
    means = (2 * 0.9 + 5 / 8) / 7, (6 * 0.9 + 1 / 8) / 7
    slope = (logit(means[1]) - logit(means[0])) / (2 * np.log(3))
    found = PlattScaling.fit(np.column_stack([1 - said, said]), y)
    assert found.slopes[0] == pytest.approx(slope)
    assert found.intercepts[0] == pytest.approx((logit(means[0]) + logit(means[1])) / 2)


@given(seed=st.integers(0, 99), sureness=st.floats(0.1, 6))
def test_no_other_logistic_function_is_better(seed: int, sureness: float) -> None:
    proba, y = problem(25, 2, seed, sureness)
    found = PlattScaling.fit(proba, y)
    positive = y.sum()
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (25 - positive + 2))
    score = np.log(proba[:, 1]) - np.log(proba[:, 0])

    def loss(params: Any) -> float:
        logits = params[0] * score + params[1]
        return float(np.sum(np.logaddexp(0, logits) - target * logits))

    ours = loss([found.slopes[0], found.intercepts[0]])
    assert ours <= minimize(loss, [1.0, 0.0], method="Nelder-Mead").fun + 1e-9


def test_separable_classes_have_a_finite_logistic_function() -> None:
    proba = np.array([[1 - 1e-9, 1e-9], [1 - 1e-8, 1e-8], [1e-9, 1 - 1e-9]])
    found = PlattScaling.fit(proba, np.array([0, 0, 1]))
    np.testing.assert_allclose(found(proba)[:, 1], [1 / 4, 1 / 4, 2 / 3], atol=0.02)


@pytest.mark.parametrize("said", [0.5, 0.3, 0.9])
@pytest.mark.parametrize("rows", [3, 4, 7])
def test_one_score_for_all_rows_gives_the_mean_target(said: float, rows: int) -> None:
    """One row of class 1, with the target 2/3, and others with 1 / (rows + 1)."""
    proba = np.tile([1 - said, said], (rows, 1))
    found = PlattScaling.fit(proba, (np.arange(rows) == 0).astype(int))
    mean = (2 / 3 + (rows - 1) / (rows + 1)) / rows
    np.testing.assert_allclose(found(np.array([[0.8, 0.2]])), [[1 - mean, mean]])
    assert found.slopes == (0.0,)


def test_steps_by_hand() -> None:
    """Hits 0, 1, 0, 1 at rising probabilities: the two in the middle violate the order."""
    said = np.array([0.2, 0.4, 0.6, 0.8])
    found = IsotonicCalibration.fit(np.column_stack([1 - said, said]), np.array([0, 1, 0, 1]))
    new = np.array([0.0, 0.2, 0.3, 0.5, 0.7, 0.8, 1.0])
    calibrated = found(np.column_stack([1 - new, new]))[:, 1]
    np.testing.assert_allclose(calibrated, [0, 0, 0.25, 0.5, 0.75, 1, 1])


def test_a_row_whose_classes_are_all_impossible_is_anybodys() -> None:
    never = Steps((0.0, 1.0), (0.0, 0.0))
    found = IsotonicCalibration((never, never, never))(np.array([[0.2, 0.3, 0.5]]))
    np.testing.assert_allclose(found, 1 / 3)


@pytest.mark.parametrize("kind", [PlattScaling, IsotonicCalibration])
@given(seed=st.integers(0, 99))
def test_of_two_classes_a_higher_probability_stays_one(kind: Any, seed: int) -> None:
    """Where the rows say so: the slope of Platt's function falls if probabilities mislead."""
    proba, y = problem(60, 2, seed)
    said = np.linspace(0.01, 0.99, 50)
    found = kind.fit(proba, y)
    rising = np.diff(found(np.column_stack([1 - said, said]))[:, 1])
    if kind is IsotonicCalibration or found.slopes[0] > 0:
        assert (rising >= -1e-15).all()
    else:
        assert (rising <= 1e-15).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_weight_of_two_is_a_row_twice(kind: Any, classes: int) -> None:
    proba, y = problem(80, classes, 3)
    repeats = np.arange(80) % 3
    rows = np.repeat(np.arange(80), repeats)
    weighted = kind.fit(proba, y, repeats)(proba)
    np.testing.assert_allclose(weighted, kind.fit(proba[rows], y[rows])(proba), atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_two_classes_may_change_places(kind: Any) -> None:
    proba, y = problem(80, 2, 4)
    mirrored = kind.fit(proba[:, ::-1], 1 - y)(proba[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(kind.fit(proba, y)(proba), mirrored, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_new_rows_are_better_calibrated(kind: Any) -> None:
    rows, (new, of_new) = problem(2000, 3, 5), problem(2000, 3, 6)
    calibrated = kind.fit(*rows)(new)
    labels = range(3)
    assert log_loss(of_new, calibrated, labels=labels) < log_loss(of_new, new, labels=labels) - 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 3])
def test_plain_numbers_hold_all_of_it(kind: Any, classes: int) -> None:
    proba, y = problem(50, classes, 7)
    found = kind.fit(proba, y)
    text = json.dumps(found.to_json(), allow_nan=False)
    read: Calibrator = calibrator_from_json(json.loads(text))
    assert read == found
    assert type(read) is kind
    np.testing.assert_array_equal(read(proba), found(proba))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature, platt, isotonic, not 'beta'"):
        calibrator_from_json({"method": "beta"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_rows_is_no_obstacle(kind: Any) -> None:
    proba, _ = problem(30, 3, 8)
    found = kind.fit(proba, np.arange(30) % 2)(proba)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert kind is TemperatureScaling or found[:, 2].max() < 0.2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("proba", "y", "weights", "message"),
    [
        ([0.5, 0.5], [0, 1], None, r"\(rows, classes\) with two classes or more"),
        ([[1.0], [1.0]], [0, 0], None, r"not of shape \(2, 1\)"),
        (np.empty((0, 2)), np.empty(0, dtype=int), None, "no rows to learn from"),
        ([[0.5, 0.5], [2.0, -1.0]], [0, 1], None, r"row 1 is \[2.0, -1.0\]"),
        ([[0.5, 0.4], [0.5, 0.5]], [0, 1], None, "row 0"),
        ([[0.5, np.nan], [0.5, 0.5]], [0, 1], None, "row 0"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 2], None, "indices from 0 to 1"),
        ([[0.5, 0.5], [0.5, 0.5]], ["a", "b"], None, "searchsorted"),
        ([[0.5, 0.5], [0.5, 0.5]], [0], None, r"y must be \(2,\)"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 1], [1.0], r"sample_weight must be \(2,\)"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 1], [0.0, 0.0], "not all zero"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 1], [-1.0, 2.0], "not negative"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    kind: Any, proba: Any, y: Any, weights: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind.fit(np.array(proba), np.array(y), weights)


@pytest.mark.parametrize("kind", [PlattScaling, IsotonicCalibration])
def test_another_number_of_classes_is_refused(kind: Any) -> None:
    fitted = kind.fit(*problem(20, 3, 0))
    with pytest.raises(ValueError, match="of 2 classes, but were of 3 in fit"):
        fitted(problem(20, 2, 0)[0])
