"""Calibrators: functions that make probabilities say how often they are right.

Each is learnt by ``fit`` from probabilities (rows, classes) and class indices (rows,) of rows that
the model was not trained on; it is a value that is called with other probabilities, and written and
read as plain numbers. So they calibrate what is an array and no estimator: out-of-fold predictions,
an ensemble's mean. For an estimator take scikit-learn's `CalibratedClassifierCV`, and for its
threshold `TunedThresholdClassifierCV`.

With more than two classes `PlattScaling` and `IsotonicCalibration` look at each class against the
rest, and what comes out is divided by its sum (Zadrozny & Elkan 2002); a row in which all are 0
gets the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, softmax
from sklearn.isotonic import IsotonicRegression

from ensembles.losses import SMALLEST, Values
from ensembles.probabilities import checked_index, checked_proba, checked_weights

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures between which the best one is looked for. Where every row is right the log loss
falls for ever towards 0, and where rows are worse than guessed it does towards infinity."""

FLAT = 1e-12
"""Where the log loss falls by less than this, no other temperature is better."""

MOST_STEPS = 100
RIDGE = 1e-12
"""Added to second derivatives: scores that are all the same have none."""


class Calibrator(Protocol):
    """What makes probabilities better ones."""

    def __call__(self, proba: NDArray[Any]) -> Values:
        """Calibrated probabilities (rows, classes) of ``proba`` (rows, classes)."""

    def to_json(self) -> dict[str, Any]:
        """Plain values that `calibrator_from_json` reads back."""


@dataclass(frozen=True)
class TemperatureScaling:
    """One number that makes all probabilities more or less sure (Guo et al. 2017, section 4.2).

    Logits are divided by ``temperature``; the logarithms of probabilities are logits. Which class
    is most probable stays as it is.
    """

    temperature: float

    @classmethod
    def fit(
        cls, proba: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> Self:
        """Find the temperature, from `COLDEST` to `HOTTEST`, with the least log loss.

        Parameters
        ----------
        proba : (rows, classes)
        y : (rows,) class indices
        sample_weight : (rows,)

        The log loss is convex in 1 / temperature, so it is never worse than without.

        Raises
        ------
        ValueError
            For arrays that do not fit, or are no probabilities.
        """
        proba, y, weights = _problem(proba, y, sample_weight)
        logs = _logarithms(proba)
        own = logs[np.arange(len(y)), y]

        def slope(sureness: float) -> float:
            """The derivative of the log loss by 1 / temperature, which rises with it."""
            expected = (softmax(sureness * logs, axis=1) * logs).sum(axis=1)
            return float(weights @ (expected - own) / weights.sum())

        return cls(1 / _root(slope))

    def __call__(self, proba: NDArray[Any]) -> Values:
        """Calibrated probabilities (rows, classes)."""
        scaled: Values = softmax(_logarithms(checked_proba(proba)) / self.temperature, axis=1)
        return scaled

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return {"method": "temperature", "temperature": self.temperature}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What ``to_json`` described."""
        return cls(float(record["temperature"]))


@dataclass(frozen=True)
class PlattScaling:
    """A logistic function of each class's log-odds (Platt 1999).

    Platt calibrates the margin of a support vector machine; the score of a probability p is
    ``log(p / (1 - p))``, of which calibrated ones are the identity. ``slopes`` and ``intercepts``
    have one number for two classes, that of the second class, and else one for each.
    """

    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    @classmethod
    def fit(
        cls, proba: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> Self:
        """Minimise the log loss of smoothed targets.

        These are ``(n + 1) / (n + 2)`` for the n rows of the class and ``1 / (m + 2)`` for the m
        others, so that the logistic function stays finite where the classes can be told apart.
        Parameters and errors as of `TemperatureScaling.fit`.
        """
        proba, y, weights = _problem(proba, y, sample_weight)
        found = [
            _logistic(_log_odds(proba[:, each]), y == each, weights)
            for each in _modelled(proba.shape[1])
        ]
        return cls(tuple(slope for slope, _ in found), tuple(place for _, place in found))

    def __call__(self, proba: NDArray[Any]) -> Values:
        """Calibrated probabilities (rows, classes)."""
        given = _as_fitted(proba, len(self.slopes))
        columns = _log_odds(given[:, _modelled(given.shape[1])])
        return _completed(expit(columns * self.slopes + self.intercepts))

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return {
            "method": "platt",
            "slopes": list(self.slopes),
            "intercepts": list(self.intercepts),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What ``to_json`` described."""
        return cls(tuple(record["slopes"]), tuple(record["intercepts"]))


class Steps(NamedTuple):
    """A function that never falls: it is ``value`` at ``place``, linear between, level outside."""

    place: tuple[float, ...]
    value: tuple[float, ...]


@dataclass(frozen=True)
class IsotonicCalibration:
    """A function of each class's probability that never falls (Zadrozny & Elkan 2002).

    ``steps`` has one entry for two classes, that of the second class, and else one for each. It
    needs many rows: it has as many free numbers as the data have steps.
    """

    steps: tuple[Steps, ...]

    @classmethod
    def fit(
        cls, proba: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None = None
    ) -> Self:
        """Minimise the squared error among functions that never fall.

        Parameters and errors as of `TemperatureScaling.fit`.
        """
        proba, y, weights = _problem(proba, y, sample_weight)
        found = []
        for each in _modelled(proba.shape[1]):
            model = IsotonicRegression().fit(proba[:, each], y == each, weights)
            found.append(
                Steps(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))
            )
        return cls(tuple(found))

    def __call__(self, proba: NDArray[Any]) -> Values:
        """Calibrated probabilities (rows, classes)."""
        given = _as_fitted(proba, len(self.steps))
        columns = given[:, _modelled(given.shape[1])].T
        return _completed(
            np.column_stack(
                [np.interp(own, *steps) for own, steps in zip(columns, self.steps, strict=True)]
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return {
            "method": "isotonic",
            "steps": [
                {"place": list(each.place), "value": list(each.value)} for each in self.steps
            ],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What ``to_json`` described."""
        return cls(
            tuple(Steps(tuple(each["place"]), tuple(each["value"])) for each in record["steps"])
        )


METHODS: dict[str, type[TemperatureScaling | PlattScaling | IsotonicCalibration]] = {
    "temperature": TemperatureScaling,
    "platt": PlattScaling,
    "isotonic": IsotonicCalibration,
}


def calibrator_from_json(record: Mapping[str, Any]) -> Calibrator:
    """The calibrator that ``to_json`` described; ``ValueError`` if its method is unknown."""
    method = record.get("method")
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    return METHODS[method].from_json(record)


def _problem(proba: Any, y: Any, sample_weight: Any) -> tuple[Values, NDArray[np.int64], Values]:
    """Checked arrays without the rows of weight 0."""
    checked = checked_proba(proba)
    if not len(checked):
        raise ValueError("there are no rows to learn from")
    index = checked_index(y, *checked.shape)
    weights = checked_weights(sample_weight, len(checked))
    there = weights > 0
    return checked[there], index[there], weights[there]


def _as_fitted(proba: Any, n_modelled: int) -> Values:
    checked = checked_proba(proba)
    fitted = 2 if n_modelled == 1 else n_modelled
    if checked.shape[1] != fitted:
        raise ValueError(
            f"probabilities are of {checked.shape[1]} classes, but were of {fitted} in fit"
        )
    return checked


def _modelled(n_classes: int) -> list[int]:
    """The classes that have a function of their own."""
    return [1] if n_classes == 2 else list(range(n_classes))


def _completed(columns: Values) -> Values:
    """Probabilities (rows, classes) of those of the `_modelled` classes."""
    if columns.shape[1] == 1:
        return np.hstack([1 - columns, columns])
    total = columns.sum(axis=1, keepdims=True)
    shares: Values = np.full_like(columns, 1 / columns.shape[1])
    np.divide(columns, total, out=shares, where=total > 0)
    return shares


def _logarithms(proba: Values) -> Values:
    logs: Values = np.log(np.maximum(proba, SMALLEST))
    return logs


def _log_odds(proba: Values) -> Values:
    inside = np.clip(proba, SMALLEST, 1 - SMALLEST)
    odds: Values = np.log(inside) - np.log1p(-inside)
    return odds


def _root(slope: Any) -> float:
    """Where a rising ``slope`` is 0, or the nearest end; 1 where it is about 0 there."""
    if abs(slope(1.0)) <= FLAT:
        return 1.0
    least, most = 1 / HOTTEST, 1 / COLDEST
    if slope(least) >= 0:
        return least
    if slope(most) <= 0:
        return most
    return float(brentq(slope, least, most, xtol=1e-14, rtol=1e-14))


def _logistic(score: Values, own: NDArray[np.bool_], weights: Values) -> tuple[float, float]:
    """Slope and intercept of the logistic function with the least log loss, by Newton's method.

    ``score`` (rows,), ``own`` (rows,) the rows of the class. The loss is convex, and has a minimum
    because no target is 0 or 1.
    """
    positive, negative = float(weights[own].sum()), float(weights[~own].sum())
    target = np.where(own, (positive + 1) / (positive + 2), 1 / (negative + 2))
    centre, spread = float(score[0]), 1.0
    if np.ptp(score) > 0:  # The deviation of equal scores is rounding, and need not be 0.
        centre, spread = float(score.mean()), float(score.std())
    design = np.column_stack([(score - centre) / spread, np.ones(len(score))])
    params = np.array([0.0, np.log((positive + 1) / (negative + 1))])
    for _ in range(MOST_STEPS):
        hits = expit(design @ params)
        gradient = design.T @ (weights * (hits - target))
        if np.abs(gradient).max() <= FLAT * weights.sum():
            break
        curvature = (design.T * (weights * hits * (1 - hits))) @ design + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        params = _shorter(params, step, design, target, weights)
    slope = float(params[0] / spread)
    return slope, float(params[1] - slope * centre)


def _shorter(
    params: Values, step: Values, design: Values, target: Values, weights: Values
) -> Values:
    """``params`` less the step, halved until the loss does not rise."""

    def loss(tried: Values) -> float:
        logits = design @ tried
        return float(weights @ (np.logaddexp(0, logits) - target * logits))

    before = loss(params)
    for halvings in range(MOST_STEPS):
        tried: Values = params - step / 2**halvings
        if loss(tried) <= before:
            return tried
    return params
