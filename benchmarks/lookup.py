"""What a trial gets at any point of a space, by what was trained at some of them.

On the **grid** a point gets what the nearest node got, in the logarithms. Interpolation between
nodes would average the noise of single trainings away, which is what a search has to live with.

Eight parameters have no dense grid, so the **design** is learnt by a forest, from the point to the
scores: of the models that were compared for this purpose, forests are among those that predict best
and rank optimisers as the real problem does (Eggensperger, Hutter, Hoos & Leyton-Brown 2015,
*Efficient benchmarking of hyperparameter optimizers via surrogates*). Its trees are extremely
randomised (Geurts, Ernst & Wehenkel 2006): among the good points they rank better than those of a
random forest, whose steps are too coarse. A point's mean scores are the forest's predictions. The
noise of a trial is lent by one of the design's points that share most leaves with it: how far one
of that point's trainings lay from their mean, but not beyond what this training got. Added as it
is, the luck of an unstable point would lift a middling one above all that was ever trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks.outcomes import Outcomes, value_at
from hpo.search.narrowing import Point
from hpo.search.space import SearchSpace

WORST = -1.0
"""R² has no lower end, and a mean of such values tells nothing: a forest learns none below this."""

TREES = 64
NEAR = 5
"""Of so many neighbours one lends its noise."""

SAMPLE = 1 << 13
"""Random points at which the best score of a forest is looked for, besides the design's."""


class Scores(NamedTuple):
    """Of one trial: the validation score that it shows, NaN if it failed, and the mean scores."""

    seen: float
    validation: float
    test: float


class Table(Protocol):
    """A data set with one split, ready to be searched in."""

    @property
    def space(self) -> SearchSpace:
        """What is searched."""

    @property
    def best(self) -> tuple[float, float]:
        """The best mean validation score and the best mean test score of all points."""

    def look(self, point: Point, rng: np.random.Generator) -> Scores:
        """What a trial gets at this point; ``rng`` says with which initial values."""


class GridTable:
    """Outcomes of a grid over all parameters of its space, on one split."""

    def __init__(self, outcomes: Outcomes, split: int) -> None:
        self.space = outcomes.plan.space
        # The nodes of each axis; the points are their product, the last axis running fastest.
        self._axes = {
            name: np.unique([point[name] for point in outcomes.plan.points])
            for name in self.space.distributions
        }
        self._seen = outcomes.validation[split]
        self._validation, self._test = means(self._seen), means(outcomes.test[split])
        self.best = float(self._validation.max()), float(self._test.max())

    def look(self, point: Point, rng: np.random.Generator) -> Scores:
        """What one of the trainings at the nearest node got."""
        node = self.node(point)
        seen = self._seen[node, rng.integers(self._seen.shape[1])]
        return Scores(float(seen), float(self._validation[node]), float(self._test[node]))

    def node(self, point: Point) -> int:
        """The place of the nearest node among the points."""
        node = 0
        for name, axis in self._axes.items():
            logs = np.log(axis)
            node = node * len(axis) + int(np.abs(logs - math.log(point[name])).argmin())
        return node


def means(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each row, (rows,), of what did not fail; the lowest of all where nothing did."""
    known = np.isfinite(scores)
    total = np.where(known, scores, 0).sum(axis=1)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nanmin(scores))


class ForestTable:
    """Outcomes of a design on one split, and a forest between its points."""

    def __init__(self, outcomes: Outcomes, split: int) -> None:
        self.space = outcomes.plan.space
        self._seen = np.maximum(outcomes.validation[split], WORST)
        self._X = np.array([self._coordinates(each) for each in outcomes.plan.points])
        tests = means(np.maximum(outcomes.test[split], WORST))
        self._scores = np.stack([means(self._seen), tests], axis=1)
        self._forest = _forest().fit(self._X, self._scores)
        self._trees = [each.tree_ for each in self._forest.estimators_]
        self._means = [tree.value[:, :, 0] for tree in self._trees]
        self._leaves = self._leaves_of(self._X)
        # Of a few trainings the deviations from their own mean are too small on average.
        n = self._seen.shape[1]
        own = self._seen - self._scores[:, :1]
        self._noise = np.nan_to_num(own) * math.sqrt(n / (n - 1))

    def look(self, point: Point, rng: np.random.Generator) -> Scores:
        """The forest's means, and the noise of a neighbour."""
        leaves = self._leaves_of(self._coordinates(point)[None])
        pairs = zip(self._means, leaves[:, 0], strict=True)
        validation, test = np.mean([scores[leaf] for scores, leaf in pairs], axis=0)
        shared = (self._leaves == leaves).sum(axis=0)
        near = np.argsort(-shared, kind="stable")[rng.integers(NEAR)]
        training = rng.integers(self._seen.shape[1])
        noise, seen = self._noise[near, training], self._seen[near, training]
        ends = sorted((0.0, seen - validation)) if np.isfinite(seen) else (0.0, 0.0)
        seen = validation + min(max(noise, ends[0]), ends[1])
        return Scores(float(seen), float(validation), float(test))

    def _leaves_of(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        """The leaf of each tree that each point falls into, (trees, points)."""
        single = X.astype(np.float32)
        return np.array([tree.apply(single) for tree in self._trees])

    @cached_property
    def best(self) -> tuple[float, float]:
        """The best of the forest's scores at the design's points and at random ones."""
        shares = np.random.default_rng(0).random((SAMPLE, len(self.space.distributions)))
        every = [self._coordinates(_point(self.space.distributions, each)) for each in shares]
        found = self._forest.predict(np.concatenate([self._X, np.array(every)]))
        validation, test = found.max(axis=0)
        return float(validation), float(test)

    @property
    def fit(self) -> tuple[float, float]:
        """How well such a forest ranks points that it has not seen, by validation and test score.

        Spearman's coefficient between the means of points and what the forest of four other fifths
        of the design predicts for them.
        """
        folds = KFold(5, shuffle=True, random_state=0)
        unseen = cross_val_predict(_forest(), self._X, self._scores, cv=folds)
        each = [spearmanr(unseen[:, i], self._scores[:, i]).statistic for i in range(2)]
        return float(each[0]), float(each[1])

    def _coordinates(self, point: Point) -> NDArray[np.float64]:
        """Logarithms of log ranges, numbers as they are, and a 1 in the place of each choice."""
        parts: list[float] = []
        for name, distribution in self.space.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                parts += [float(point[name] == choice) for choice in distribution.choices]
            else:
                assert isinstance(distribution, FloatDistribution)
                parts.append(math.log(point[name]) if distribution.log else point[name])
        return np.array(parts)


def _forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0)


def _point(distributions: Mapping[str, BaseDistribution], shares: Sequence[float]) -> Point:
    pairs = zip(distributions.items(), shares, strict=True)
    return {name: value_at(each, float(share)) for (name, each), share in pairs}
