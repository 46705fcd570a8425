"""Which candidate wins: numbers worked out by hand, and what must hold for any."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hpo.search.selection import Candidate, best_candidate, complete_candidates


def candidate(number: int, values: list[float], train: float = 1.0) -> Candidate:
    return Candidate(number, tuple(values), (train,) * len(values))


def test_one_that_is_as_good_and_overfits_less_wins() -> None:
    """Differences 0.02, -0.01, 0.02: mean 0.01, standard error 0.03 / sqrt(3) / sqrt(3) = 0.01."""
    best = candidate(0, [0.90, 0.80, 0.92], train=1.0)
    alike = candidate(1, [0.88, 0.81, 0.90], train=0.9)
    assert best_candidate([best, alike]) == alike
    assert best_candidate([best, candidate(1, [0.88, 0.81, 0.90], train=1.0)]) == best


def test_one_that_is_always_a_little_worse_is_worse() -> None:
    """The difference has no spread, whatever the scores themselves have."""
    best = candidate(0, [0.9, 0.5, 0.7])
    worse = candidate(1, [0.89, 0.49, 0.69], train=0.7)
    assert best_candidate([best, worse]) == best


def test_of_equal_ones_the_better_and_then_the_earlier_wins() -> None:
    one, two = candidate(4, [0.5, 0.7]), candidate(3, [0.5, 0.7])
    assert best_candidate([one, two]) == two
    # Both are trained to less than they score: no gap.
    good, other = candidate(1, [0.5, 0.9], train=0.1), candidate(0, [0.5, 0.8], train=0.2)
    assert best_candidate([good, other]) == good


def test_one_repeat_tells_nothing_of_errors() -> None:
    best, close = candidate(0, [0.9]), candidate(1, [0.8999], train=0.9)
    assert best_candidate([close, best]) == best


scores = st.floats(-1, 1)
candidates = st.integers(1, 4).flatmap(
    lambda n: st.lists(
        st.tuples(
            st.lists(scores, min_size=n, max_size=n), st.lists(scores, min_size=n, max_size=n)
        ),
        min_size=1,
        max_size=6,
    )
)


@given(candidates, st.randoms(use_true_random=False))
def test_the_winner_is_none_that_another_beats_in_both(
    drawn: list[tuple[list[float], list[float]]], random: object
) -> None:
    found = [Candidate(i, tuple(a), tuple(b)) for i, (a, b) in enumerate(drawn)]
    winner = best_candidate(found)
    shuffled = found[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert best_candidate(shuffled) == winner
    best = max(found, key=lambda each: each.value)
    assert winner.gap <= best.gap or math.isclose(winner.value, best.value)


def test_candidates_are_the_trials_all_of_whose_repeats_succeeded() -> None:
    values = {7: {1: (0.3, 0.4), 0: (0.1, 0.2)}, 3: {0: (0.5, 0.6)}, 5: {0: (0.0, 0.0), 1: (1, 1)}}
    assert complete_candidates(values, 2) == [
        Candidate(5, (0.0, 1), (0.0, 1)),
        Candidate(7, (0.1, 0.3), (0.2, 0.4)),
    ]
