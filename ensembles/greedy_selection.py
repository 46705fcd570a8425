"""Greedy selection of an ensemble from many models (Caruana et al. 2004)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.losses import TIE, Loss, Values, mean_loss


@dataclass(frozen=True, eq=False)
class Selected:
    """The share of each member, and how the selection went.

    ``weights`` (members,), sum 1. ``order`` are the members, step by step, up to the best prefix;
    ``losses`` are those of all steps that were tried, so ``losses[len(order) - 1]`` is that of the
    selection. ``tried`` are the members of all steps. Of several bags these are empty.
    """

    weights: Values
    order: tuple[int, ...]
    losses: tuple[float, ...]
    tried: tuple[int, ...] = ()


def select(
    predictions: NDArray[Any],
    y: NDArray[Any],
    loss: Loss,
    *,
    steps: int = 50,
    initial: int = 0,
    sample_weight: NDArray[Any] | None = None,
    costs: NDArray[Any] | None = None,
    budget: NDArray[Any] | None = None,
) -> Selected:
    """Add the member that lowers the loss of the mean most, again and again.

    Parameters
    ----------
    predictions : (members, rows, outputs)
    y : class indices (rows,), or values (rows, outputs)
    steps : how many members are added; one may be added several times. The best prefix is kept,
        the shortest of equal ones.
    initial : begin with so many of the best single members (section 2.2)
    sample_weight : (rows,)
    costs, budget : (members, kinds) and (kinds,): the costs of the members taken, each counted
        once, may add up to no more

    Of members that are equally good one that was taken before is added, and then the first one.

    Raises
    ------
    ValueError
        If no member fits the budget.
    """
    evidence = loss.evidence(predictions, y)
    affordable = _Budget(costs, budget, len(evidence))
    steps = max(steps, 1)
    wanted = min(initial, steps)

    def score(means: Values) -> Values:
        return mean_loss(loss, means, sample_weight)

    begun = _best_singles(score(evidence), affordable, wanted)
    order, losses = _grown(evidence, score, affordable, begun, steps)
    # Where fewer fit than are wanted, the best prefix may be shorter than what it began with.
    least = wanted if len(begun) == wanted else 1
    length = _shortest_of_the_best(losses, max(least, 1))
    counts = np.bincount(order[:length], minlength=len(evidence))
    return Selected(counts / length, tuple(order[:length]), tuple(losses), tuple(order))


def size_curve(
    predictions: NDArray[Any],
    y: NDArray[Any],
    loss: Loss,
    folds: NDArray[np.int64],
    *,
    steps: int = 50,
) -> Values:
    """The loss of selections of 1, 2, … members on rows that they were not selected by; (steps,).

    Parameters
    ----------
    predictions, y, loss, steps : as of `select`
    folds : (rows,): a selection is made on the rows of all folds but one, and scored on that one's
    """
    total = np.zeros(steps)
    for fold in np.unique(folds):
        own = folds == fold
        order = select(predictions[:, ~own], y[~own], loss, steps=steps).tried
        evidence = loss.evidence(predictions[:, own], y[own])
        means = np.cumsum(evidence[list(order)], axis=0)
        means /= np.arange(1, steps + 1).reshape(-1, *[1] * (means.ndim - 1))
        total += mean_loss(loss, means) * own.sum()
    curve: Values = total / len(y)
    return curve


def select_from_bags(
    predictions: NDArray[Any],
    y: NDArray[Any],
    loss: Loss,
    *,
    bags: int,
    share: float = 0.5,
    random_state: np.random.RandomState,
    steps: int = 50,
    initial: int = 0,
    sample_weight: NDArray[Any] | None = None,
) -> Selected:
    """Select from ``bags`` random parts of the members, and add up what was taken (section 2.3).

    ``share``: of all members in each bag. Other parameters as in `select`.
    """
    members = len(predictions)
    size = max(1, round(share * members))
    weights = np.zeros(members)
    for _ in range(bags):
        bag = np.sort(random_state.choice(members, size=size, replace=False))
        found = select(
            predictions[bag], y, loss, steps=steps, initial=initial, sample_weight=sample_weight
        )
        # Each bag counts alike, however many members it took.
        weights[bag] += found.weights / bags
    return Selected(weights, (), ())


class _Budget:
    """What may still be taken."""

    def __init__(
        self, costs: NDArray[Any] | None, budget: NDArray[Any] | None, members: int
    ) -> None:
        self.costs = np.zeros((members, 1)) if costs is None else np.asarray(costs, np.float64)
        self.budget = np.zeros(1) if budget is None else np.asarray(budget, np.float64)
        if not self.beside(np.zeros(members, dtype=bool)).any():
            raise ValueError("no member fits the budget")

    def beside(self, taken: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which members fit, those that were taken being free."""
        spent = self.costs[taken].sum(axis=0)
        fits: NDArray[np.bool_] = (spent + self.costs <= self.budget).all(axis=1) | taken
        return fits


def _best_singles(losses: Values, affordable: _Budget, wanted: int) -> list[int]:
    """The best members that fit beside each other, ``wanted`` of them if there are so many."""
    ranked = np.argsort(losses, kind="stable")
    taken = np.zeros(len(losses), dtype=bool)
    order: list[int] = []
    for _ in range(wanted):
        possible = affordable.beside(taken) & ~taken
        best = ranked[possible[ranked]][:1]  # nobody, if no other one fits
        order += best.tolist()
        taken[best] = True
    return order


def _grown(
    evidence: Values,
    score: Callable[[Values], Values],
    affordable: _Budget,
    begun: list[int],
    steps: int,
) -> tuple[list[int], list[float]]:
    """The members that are taken, step by step, first those it is ``begun`` with; the losses."""
    order: list[int] = []
    losses: list[float] = []
    total = np.zeros(evidence.shape[1:])
    taken = np.zeros(len(evidence), dtype=bool)
    for step in range(steps):
        place = np.asarray(begun[step : step + 1] or np.flatnonzero(affordable.beside(taken)))
        of_place = score((total + evidence[place]) / (step + 1))
        best, value = _first_of_the_best(place, of_place, taken)
        order.append(best)
        losses.append(value)
        total += evidence[best]
        taken[best] = True
    return order, losses


def _first_of_the_best(
    place: NDArray[np.int64], losses: Values, taken: NDArray[np.bool_]
) -> tuple[int, float]:
    equal = _lowest(losses)
    known = equal & taken[place]
    chosen = np.flatnonzero(known if known.any() else equal)[0]
    return int(place[chosen]), float(losses[chosen])


def _shortest_of_the_best(losses: list[float], least: int) -> int:
    """The length, at least ``least``, of the prefix with the least loss."""
    return least + int(np.flatnonzero(_lowest(np.array(losses[least - 1 :])))[0])


def _lowest(losses: Values) -> NDArray[np.bool_]:
    """Which are the lowest one, or equal to it."""
    equal: NDArray[np.bool_] = losses <= losses.min() + TIE * abs(losses.min())
    return equal
