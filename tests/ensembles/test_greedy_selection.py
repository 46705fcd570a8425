"""Greedy selection: the literal version, hand-worked rows, invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ensembles.greedy_selection import select, select_from_bags, size_curve
from ensembles.losses import LogLoss, Loss, SquaredLoss, loss_of
from tests.ensembles.test_weights import LOSSES, problem


def literally(
    predictions: NDArray[Any], y: NDArray[Any], loss: Loss, steps: int, initial: int
) -> tuple[list[int], list[float]]:
    """The selection as the paper tells it: every candidate ensemble is built and scored."""

    def score(members: list[int]) -> float:
        return loss_of(loss, np.mean([predictions[each] for each in members], axis=0), y)

    ranked = sorted(range(len(predictions)), key=lambda each: (score([each]), each))
    chosen = ranked[: min(initial, steps)]
    losses = [score(chosen[: length + 1]) for length in range(len(chosen))]
    while len(chosen) < steps:
        scores = [score([*chosen, each]) for each in range(len(predictions))]
        least = min(scores)
        equal = [each for each, value in enumerate(scores) if value <= least * (1 + 1e-12)]
        known = [each for each in equal if each in chosen]
        best = (known or equal)[0]
        chosen.append(best)
        losses.append(scores[best])
    start = max(len(ranked[: min(initial, steps)]), 1)
    tail = losses[start - 1 :]
    length = start + next(
        place for place, value in enumerate(tail) if value <= min(tail) * (1 + 1e-12)
    )
    return chosen[:length], losses


@pytest.mark.parametrize("loss", LOSSES)
@given(
    members=st.integers(1, 6),
    rows=st.integers(3, 20),
    steps=st.integers(1, 8),
    initial=st.integers(0, 3),
    seed=st.integers(0, 999),
)
def test_the_quick_version_is_the_literal_one(
    loss: Loss, members: int, rows: int, steps: int, initial: int, seed: int
) -> None:
    initial = min(initial, members)
    predictions, y = problem(loss, members, rows, seed)
    found = select(predictions, y, loss, steps=steps, initial=initial)
    order, losses = literally(predictions, y, loss, steps, initial)
    assert list(found.order) == order
    np.testing.assert_allclose(found.losses, losses, rtol=1e-9)
    np.testing.assert_allclose(found.weights, np.bincount(order, minlength=members) / len(order))


def test_three_rows_by_hand() -> None:
    """Targets 0; A errs by (1, 1, 1), B by (-2, -2, -2), C by (3, 0, 0).

    Squared errors: A 1, B 4, C 3: A first. Then A+A 1, A+B ((-.5)² = .25), A+C ((2²+.5²+.5²)/3 =
    1.5): B. Then A+B+A 0, so A; and it stays at A, B, A.
    """
    predictions = np.array([[1.0, 1, 1], [-2, -2, -2], [3, 0, 0]])[:, :, None]
    found = select(predictions, np.zeros((3, 1)), SquaredLoss(), steps=6)
    assert found.order == (0, 1, 0)
    np.testing.assert_allclose(found.losses[:3], [1, 0.25, 0], atol=1e-15)
    np.testing.assert_allclose(found.weights, [2 / 3, 1 / 3, 0])


def test_of_equal_members_the_one_that_is_in_already_is_taken_again() -> None:
    """Members 0 and 2 are the same; 2 begins, because the best single ones do, ranked."""
    good = np.array([[0.9, 0.1], [0.4, 0.6]])
    bad = np.array([[0.2, 0.8], [0.7, 0.3]])
    found = select(np.stack([good, bad, good]), np.array([0, 1]), LogLoss(), steps=4)
    assert found.order == (0,)
    assert found.losses == pytest.approx([found.losses[0]] * 4)
    after = select(np.stack([bad, good, good]), np.array([0, 1]), LogLoss(), steps=5, initial=1)
    assert set(after.order) == {1}


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=st.integers(0, 99), data=st.data())
def test_the_order_of_members_does_not_matter(loss: Loss, seed: int, data: Any) -> None:
    predictions, y = problem(loss, 5, 15, seed)
    order = data.draw(st.permutations(range(5)))
    one = select(predictions, y, loss, steps=10)
    other = select(predictions[list(order)], y, loss, steps=10)
    np.testing.assert_allclose(one.weights[list(order)], other.weights)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_two_is_a_row_twice(loss: Loss) -> None:
    predictions, y = problem(loss, 4, 20, 3)
    repeats = np.arange(20) % 3
    rows = np.repeat(np.arange(20), repeats)
    weighted = select(predictions, y, loss, steps=9, sample_weight=repeats)
    repeated = select(predictions[:, rows], y[rows], loss, steps=9)
    assert weighted.order == repeated.order


def test_one_member_is_the_ensemble() -> None:
    predictions, y = problem(LogLoss(), 1, 10, 0)
    found = select(predictions, y, LogLoss())
    assert found.weights.tolist() == [1]
    assert found.order == (0,)


@given(seed=st.integers(0, 200), limit=st.floats(1, 12))
def test_the_budget_is_kept(seed: int, limit: float) -> None:
    predictions, y = problem(LogLoss(), 6, 20, seed)
    costs = np.array([[1.0], [2], [3], [4], [5], [6]])
    found = select(predictions, y, LogLoss(), steps=20, costs=costs, budget=np.array([limit]))
    assert costs[found.weights > 0].sum() <= limit


def test_a_budget_that_holds_all_changes_nothing() -> None:
    predictions, y = problem(LogLoss(), 6, 20, 1)
    free = select(predictions, y, LogLoss())
    bound = select(predictions, y, LogLoss(), costs=np.ones((6, 2)), budget=np.full(2, 6.0))
    assert free.order == bound.order


def test_a_budget_that_holds_nobody_is_refused() -> None:
    predictions, y = problem(LogLoss(), 2, 20, 1)
    with pytest.raises(ValueError, match="no member fits"):
        select(predictions, y, LogLoss(), costs=np.ones((2, 1)), budget=np.array([0.5]))


def test_bags_of_all_members_are_the_plain_selection() -> None:
    predictions, y = problem(LogLoss(), 5, 30, 4)
    plain = select(predictions, y, LogLoss(), steps=12)
    bagged = select_from_bags(
        predictions,
        y,
        LogLoss(),
        bags=3,
        share=1.0,
        random_state=np.random.RandomState(0),
        steps=12,
    )
    np.testing.assert_allclose(bagged.weights, plain.weights)


def test_bags_count_alike() -> None:
    """Two bags of one member each: whichever they hold, each has half of the weight."""
    predictions, y = problem(LogLoss(), 2, 30, 4)
    generator = np.random.RandomState(1)
    expected = np.zeros(2)
    for _ in range(2):
        expected[np.random.RandomState.choice(generator, 2, size=1, replace=False)] += 0.5
    found = select_from_bags(
        predictions,
        y,
        LogLoss(),
        bags=2,
        share=0.5,
        random_state=np.random.RandomState(1),
        steps=7,
    )
    np.testing.assert_allclose(found.weights, expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_size_curve_is_of_rows_that_the_selection_did_not_see(loss: Loss) -> None:
    predictions, y = problem(loss, 4, 30, 2)
    folds = np.arange(30) % 3
    curve = size_curve(predictions, y, loss, folds, steps=6)
    for size in range(1, 7):
        total = 0.0
        for fold in range(3):
            rest, own = folds != fold, folds == fold
            order, _ = all_steps(predictions[:, rest], y[rest], loss, size)
            mean = np.mean([predictions[each][own] for each in order], axis=0)
            total += loss_of(loss, mean, y[own]) * own.sum()
        assert curve[size - 1] == pytest.approx(total / 30)


def all_steps(
    predictions: NDArray[Any], y: NDArray[Any], loss: Loss, steps: int
) -> tuple[list[int], float]:
    """Every step of a selection, found by asking for one more each time."""
    chosen: list[int] = []
    for _ in range(steps):
        scores = [
            loss_of(loss, np.mean([predictions[i] for i in [*chosen, each]], axis=0), y)
            for each in range(len(predictions))
        ]
        chosen.append(int(np.argmin(scores)))
    return chosen, min(scores)
