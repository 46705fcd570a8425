"""Gradient boosting as a descent of the loss, stage by stage (Friedman 2001, algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.boosting_losses import BoostingLoss
from ensembles.losses import Values
from ensembles.stages import Rows, Stage, fit_stage, stage_outputs


@dataclass(frozen=True, eq=False)
class Descent:
    """How to descend.

    Parameters
    ----------
    learner : a regressor, of which each stage has copies
    learning_rate : what stages are shrunk by
    subsample : share of the rows that a stage learns from
    max_step : the most that a stage changes a score by, before it is shrunk
    patience : stop after so many stages that did not lower the loss of validation rows; None for
        never
    """

    learner: Any
    loss: BoostingLoss
    learning_rate: float
    subsample: float = 1.0
    max_step: float = math.inf
    patience: int | None = None


@dataclass(frozen=True, eq=False)
class Boosted:
    """Stages, and the mean loss of training and of validation rows after each.

    ``initial`` (outputs,) are the scores before the first stage.
    """

    initial: Values
    stages: list[Stage] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)

    def best(self) -> int:
        """How many stages have the least loss of validation rows, the fewest of equal ones."""
        return int(np.argmin(self.val_loss)) + 1


def boost(how: Descent, rows: Rows, held_out: Rows | None, seeds: Sequence[int]) -> Boosted:
    """At most one stage for each of ``seeds``; fewer if the validation rows say so."""
    boosted = Boosted(how.loss.initial(rows.y, rows.counts()))
    scores = start(boosted.initial, len(rows.y))
    others = None if held_out is None else start(boosted.initial, len(held_out.y))
    for seed in seeds:
        generator = np.random.RandomState(seed)
        stage, learnt = fit_stage(
            how.learner,
            how.loss,
            rows,
            scores,
            drawn=_drawn(how.subsample, len(scores), generator),
            max_step=how.max_step,
            generator=generator,
        )
        scores = after(scores, stage, learnt, how.learning_rate)
        boosted.stages.append(stage)
        boosted.train_loss.append(_mean_loss(how.loss, rows, scores))
        if held_out is not None and others is not None:
            theirs = stage_outputs(stage.learners, held_out.X)
            others = after(others, stage, theirs, how.learning_rate)
            boosted.val_loss.append(_mean_loss(how.loss, held_out, others))
            waited = len(boosted.stages) - boosted.best()
            if how.patience is not None and waited >= how.patience:
                break
    return boosted


def start(initial: Values, n_rows: int) -> Values:
    """The scores before the first stage, (rows, outputs)."""
    return np.tile(initial, (n_rows, 1))


def after(scores: Values, stage: Stage, learnt: Values, learning_rate: float) -> Values:
    """Scores (rows, outputs) with one stage more, shrunk (Friedman 2001, equation 36)."""
    added: Values = scores + learning_rate * stage.factor * learnt
    return added


def _drawn(
    subsample: float, n_rows: int, generator: np.random.RandomState
) -> NDArray[np.int64] | None:
    """The rows that a stage learns from, without replacement (Friedman 2002, algorithm 1)."""
    if subsample == 1:
        return None
    size = max(1, int(subsample * n_rows))
    return np.sort(generator.permutation(n_rows)[:size])


def _mean_loss(loss: BoostingLoss, rows: Rows, scores: Values) -> float:
    return float(np.average(loss.of_rows(rows.y, scores), weights=rows.counts()))
