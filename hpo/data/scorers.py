"""scikit-learn's scorers by their names, called on predictions instead of a fitted estimator.

A scorer is no mean over rows, so of other rows it has to be asked again.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hpo.data.schema import Task

    Floats = NDArray[np.float64]

# About what a call takes, in seconds: so much, and so much for each number of the prediction. The
# scorers that look at pairs of classes take that for each pair.
_CALL_SECONDS, _NUMBER_SECONDS = 1.5e-3, 3e-7
_BOOTSTRAP_SECONDS = 10.0
_MOST_TRIALS = 20

REPLICATES = 500
"""Of a bootstrap."""

BLOCK = 50
"""How many of them are drawn at a time, which bounds the memory."""


@dataclass(frozen=True)
class ScorerMetric:
    """A scorer of scikit-learn.

    It is given class indices for labels: they have the same order, and are sorted more quickly
    than texts.

    Attributes
    ----------
    name : as `sklearn.metrics.get_scorer` knows it
    task : what it scores
    positive : of two classes, the index of the one that is looked for
    """

    name: str
    task: Task
    positive: int = 1

    def __call__(self, prediction: NDArray[Any], target: NDArray[Any]) -> Floats:
        """Return the score of each member, (members,); NaN where it has none.

        Parameters
        ----------
        prediction : (members, rows, classes) probabilities, or (members, rows, 1) in the target's
            units
        target : (rows,) class indices, or values
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.array([self._score(each, target)[0] for each in prediction], np.float64)

    def complaint(self, prediction: NDArray[Any], target: NDArray[Any]) -> str:
        """What scikit-learn says of one member, (1, rows, outputs), that has no finite score."""
        return self._told(prediction[0], target)[1]

    def shortcoming(self, target: NDArray[Any], n_outputs: int) -> str:
        """What it is, if it cannot score these rows, whatever is predicted; empty if it can.

        It can if of the right answer and two that are wrong in part some have scores, and not all
        the same one.
        """
        reasons: list[str] = []
        found: set[float] = set()
        for answer in _answers(self.task, target, n_outputs):
            score, reason = self._told(answer, target)
            if math.isfinite(score):
                found.add(score)
            if len(found) > 1:
                return ""
            reasons += [reason] if reason else []
        reason = next(iter(reasons), "all predictions would have the same score")
        return f"cannot score them: {reason}"

    def evidence(self, prediction: NDArray[Any], _target: NDArray[Any]) -> NDArray[Any]:
        """Return what scores of any choice of rows follow from: here the prediction as it is."""
        return prediction

    def resampled(
        self,
        evidence: NDArray[Any],
        counts: NDArray[Any],
        target: NDArray[Any],
        chosen: NDArray[np.int64] | None = None,
    ) -> Floats:
        """Return the scores of the rows that are drawn; NaN where there is none.

        Parameters
        ----------
        evidence : (members, rows, outputs)
        counts : (replicates, rows): how often each row is drawn
        target : (rows,) class indices, or values
        chosen : (replicates,): the only member that is asked for; None for all

        Returns
        -------
        (members, replicates), or (replicates,) of those chosen
        """
        found = []
        for replicate, count in enumerate(counts.astype(np.int64)):
            rows = np.repeat(np.arange(len(target)), count)
            asked = evidence if chosen is None else evidence[[chosen[replicate]]]
            found.append(self(asked[:, rows], target[rows]))
        scores = np.stack(found, axis=-1)
        return scores if chosen is None else scores[0]

    def replicates(self, evidence: NDArray[Any]) -> int:
        """How many replicates of a bootstrap these members are worth, by what a call takes."""
        members, rows, outputs = evidence.shape
        pairs = outputs * (outputs - 1) / 2 if "_ovo" in self.name else 1.0
        seconds = pairs * (_CALL_SECONDS + _NUMBER_SECONDS * rows * outputs) * (members + 1)
        blocks = int(_BOOTSTRAP_SECONDS / seconds / BLOCK)
        return BLOCK * min(max(1, blocks), REPLICATES // BLOCK)

    def most_trials(self, n_rows: int, n_outputs: int, n_bytes: int) -> int:
        """Of how many trials the evidence is to be held in so much memory, two at least."""
        return max(2, min(_MOST_TRIALS, n_bytes // (8 * n_rows * n_outputs)))

    def _score(self, prediction: NDArray[Any], target: NDArray[Any]) -> tuple[float, str]:
        """The score of (rows, outputs), NaN if there is none, and what was raised, in one line."""
        if not np.isfinite(prediction).all():
            return math.nan, "a prediction is not finite"
        if not len(target):
            return math.nan, "there are no rows"
        rows = np.ascontiguousarray(prediction)  # in one layout sums come out the same
        classification = self.task == "classification"
        if classification and self.positive == 0:
            target = 1 - target
        stand_in = _classifier(rows.shape[1], self.positive) if classification else _regressor()
        try:
            with np.errstate(all="ignore"):
                return float(scorer(self.name)(stand_in, rows, target)), ""
        except (ValueError, ArithmeticError) as error:
            return math.nan, _one_line(error)

    def _told(self, prediction: NDArray[Any], target: NDArray[Any]) -> tuple[float, str]:
        """The same; where scikit-learn warns that it made up a value there is none."""
        from sklearn.exceptions import UndefinedMetricWarning  # noqa: PLC0415  # slow to import

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            score, reason = self._score(prediction, target)
        made_up = [each for each in said if issubclass(each.category, UndefinedMetricWarning)]
        return (math.nan, _one_line(made_up[0].message)) if made_up else (score, reason)


def _one_line(said: object) -> str:
    """The first sentence of a message, without its full stop."""
    return str(said).strip().partition("\n")[0].partition(". ")[0].rstrip(".")


def _answers(task: Task, target: NDArray[Any], n_outputs: int) -> Iterator[NDArray[Any]]:
    """Yield the right answer, one with something wrong, and one with more, (rows, outputs) each.

    Some metrics have no score for what is all right, and some take positive numbers only.
    """
    if task == "regression":
        upwards = np.abs(target) + 1
        yield target[:, None]
        yield upwards[:, None]
        yield (upwards + np.linspace(0, 1, len(target)))[:, None]
        return
    right = np.zeros((len(target), n_outputs), np.float32)
    right[np.arange(len(target)), target] = 1
    _, first = np.unique(target, return_index=True)
    yield right
    for rows in (first[:1], first):
        # The next class is the most probable one, and the right one the least.
        away = (np.arange(n_outputs) - target[rows, None] - 1) % n_outputs
        wrong = right.copy()
        wrong[rows] = (n_outputs - 1 - away) / max(1, n_outputs * (n_outputs - 1) / 2)
        yield wrong


@cache
def scorer(name: str) -> Any:
    """Return scikit-learn's scorer of this name."""
    from sklearn.metrics import get_scorer  # noqa: PLC0415  # slow to import

    return get_scorer(name)


@cache
def _classifier(n_classes: int, positive: int) -> Any:
    """A classifier whose rows are its probabilities, (rows, classes); class 1 is the positive."""
    from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: PLC0415  # slow to import

    class StandIn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.arange(n_classes)

        def predict(self, X: NDArray[Any]) -> NDArray[Any]:
            # Of classes that are equally probable the first.
            best: NDArray[np.int64] = X.argmax(axis=1)
            return best if positive == 1 else 1 - best

        def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
            return X if positive == 1 else X[:, ::-1]

    return StandIn()


@cache
def _regressor() -> Any:
    """A regressor whose rows are its predictions, (rows, 1)."""
    from sklearn.base import BaseEstimator, RegressorMixin  # noqa: PLC0415  # slow to import

    class StandIn(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        def predict(self, X: NDArray[Any]) -> NDArray[Any]:
            return X[:, 0]

    return StandIn()
