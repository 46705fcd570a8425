"""The best model alone is kept only where it is significantly better than every ensemble."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hpo.ensembling.assembling import BEST, Assembled
from hpo.ensembling.picking import beaten, pick

POOL: Any = SimpleNamespace(n_classes=None, y=np.zeros((100, 1)))


def way(method: str, losses: Any, members: int = 2) -> Assembled:
    """One whose squared errors on the hundred rows are these."""
    prediction = np.sqrt(np.broadcast_to(losses, 100).astype(float))[:, None]
    models: Any = [SimpleNamespace()] * members
    return Assembled(method, models, None, prediction, float(np.mean(prediction**2)))  # type: ignore[arg-type]


def noise(mean: float, deviation: float) -> Any:
    """A hundred values of this mean and standard deviation."""
    return mean + deviation * np.tile([-1.0, 1.0], 50)


def test_the_ensemble_with_the_least_loss_is_taken() -> None:
    greedy, stack = way("greedy", 0.3), way("stacking", 0.2)
    assert pick([way(BEST, 0.4, 1), greedy, stack], POOL) is stack


@pytest.mark.parametrize(
    ("difference", "kept"),
    [(0.0, "greedy"), (0.0199, "greedy"), (0.0201, BEST), (0.5, BEST)],
)
def test_one_model_must_be_better_by_two_standard_errors(difference: float, kept: str) -> None:
    """With a standard deviation of 0.1 on a hundred rows the standard error is 0.01."""
    best = way(BEST, 1.0, 1)
    ensembles = [way("stacking", 3.0), way("greedy", 1.0 + noise(difference, 0.1))]
    assert pick([best, *ensembles], POOL).method == kept


def test_one_model_goes_by_its_own_name() -> None:
    best = way(BEST, 1.0, 1)
    assert pick([best, way("greedy", 1.0, 1)], POOL) is best
    # Nor is a worse ensemble taken then, though rows cannot tell it from the best model.
    stack = way("stacking", 1.0 + noise(0.01, 0.5))
    assert pick([best, way("greedy", 1.001, 1), stack], POOL) is best
    assert pick([best], POOL) is best


@pytest.mark.parametrize(
    ("difference", "kept"),
    [(-0.5, "blend"), (0.0, "blend"), (0.0099, "blend"), (0.0101, "stacking"), (0.5, "stacking")],
)
def test_an_ensemble_must_be_better_than_the_blend_by_one(difference: float, kept: str) -> None:
    """With a standard deviation of 0.1 on a hundred rows the standard error is 0.01."""
    blend = way("blend", 1.0 + noise(difference, 0.1))
    ways = [way("greedy", 3.0), way("stacking", 1.0), blend]
    assert pick(ways, POOL).method == kept
    assert pick([way(BEST, 5.0, 1), *ways], POOL).method == kept
    assert pick([way(BEST, 0.1, 1), *ways], POOL).method == BEST
    # Of a selection that needs no other there is nothing to blend.
    alone = [way(BEST, 0.99, 1), way("greedy", 0.99, 1), blend]
    assert pick(alone, POOL).method == (BEST if difference >= 0 else "blend")


def test_what_it_was_better_than() -> None:
    best, greedy, stack, mean = (
        way(name, loss) for name, loss in [(BEST, 1.0), ("greedy", 2), ("stacking", 4), ("mean", 3)]
    )
    assert beaten(greedy, [best, greedy, stack, mean]) == [greedy, mean, stack]
    assert beaten(best, [best, greedy]) == [best, greedy]
