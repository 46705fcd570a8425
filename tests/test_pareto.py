"""The Pareto front against a plain loop over all pairs, and against Optuna's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from hpo.pareto import non_dominated, pareto_front
from storage.records import TrialRecord

# Few different numbers, so that many are equal.
few = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 2.0, 3.0])
points = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(few, min_size=n, max_size=n), min_size=1, max_size=30)
)


def plainly(losses: Sequence[Sequence[float]]) -> list[bool]:
    """Nobody is nowhere larger and somewhere smaller."""
    return [
        not any(
            all(a <= b for a, b in zip(other, one, strict=True))
            and any(a < b for a, b in zip(other, one, strict=True))
            for other in losses
        )
        for one in losses
    ]


@given(points)
def test_the_front_is_what_no_other_dominates(losses: list[list[float]]) -> None:
    assert non_dominated(np.array(losses)).tolist() == plainly(losses)


@given(points)
def test_the_order_of_points_is_irrelevant(losses: list[list[float]]) -> None:
    order = np.random.default_rng(len(losses)).permutation(len(losses))
    found = non_dominated(np.array(losses))
    assert (non_dominated(np.array(losses)[order]) == found[order]).all()


def test_a_front_of_thousands_of_points() -> None:
    losses = np.random.default_rng(0).normal(size=(2000, 2)).round(2)
    expected = [
        not ((losses <= one).all(axis=1) & (losses < one).any(axis=1)).any() for one in losses
    ]
    assert non_dominated(losses).tolist() == expected


def record(number: int, value: float | None, *costs: float, ours: bool = True) -> TrialRecord:
    state = "FAIL" if value is None else "COMPLETE"
    attributes = {"train": 1.0} if ours and value is not None else {}
    return TrialRecord(number, state, value, {}, attributes, costs=costs)


def test_by_hand() -> None:
    trials = [
        record(0, 0.90, 100),
        record(1, 0.95, 100),  # beats 0
        record(2, 0.95, 400),  # beaten by 1
        record(3, 0.97, 900),
        record(4, None),
        record(5, 0.80, 10),
        record(6, 0.95, 100),  # as 1
        record(7, 0.99, 1, ours=False),  # has no network
    ]
    assert [each.number for each in pareto_front(trials)] == [3, 1, 6, 5]
    assert pareto_front([record(0, None)]) == []


@given(st.lists(st.tuples(few, few, few), max_size=20))
def test_it_is_optunas(values: list[tuple[float, float, float]]) -> None:
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trials([create_trial(values=each) for each in values])
    ours = pareto_front(
        [record(0, None), *(record(n, *each) for n, each in enumerate(values, start=1))]
    )
    assert {each.number for each in ours} == {each.number for each in study.best_trials}
