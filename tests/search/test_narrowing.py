import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.stats import hypergeom

from hpo.search import narrowing
from hpo.search.narrowing import Choices, FinishedTrial, NarrowingSettings, edge, point, propose
from hpo.search.narrowing.box import _at_most
from hpo.search.narrowing.scale import value_at

LOG = FloatDistribution(1e-5, 1e-1, log=True)


def settings_of(**changes: Any) -> NarrowingSettings:
    common = {"seed": 0, "trials_per_round": 10, "n_rounds": 5, "min_best": 2}
    return NarrowingSettings(**{**common, **changes})


def ranked(*values: Any) -> list[FinishedTrial]:
    """Trials of one parameter x, the best first."""
    return [FinishedTrial(i, float(i), {"x": value}) for i, value in enumerate(values)]


def contains(distribution: BaseDistribution, value: Any) -> bool:
    return distribution._contains(distribution.to_internal_repr(value))


# ------------------------------------------------------------------ what hypothesis draws

finite = st.floats(allow_nan=False, allow_infinity=False)
# Whether a box holds ranges or choices is known here.
narrow: Any = narrowing.narrow

positive = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)
# Optuna subtracts integers as floats: beyond this a distribution does not contain its own ends.
exact = st.integers(-(2**51), 2**51)


@st.composite
def float_ranges(draw: st.DrawFn) -> FloatDistribution:
    log = draw(st.booleans())
    low, high = sorted(draw(st.tuples(*[positive if log else finite] * 2)))
    return FloatDistribution(low, high, log=log)


@st.composite
def float_grids(draw: st.DrawFn) -> FloatDistribution:
    step = draw(st.sampled_from([0.1, 0.25, 0.3, 1e-3, 7.0]))
    low = draw(st.integers(-1000, 1000)) / 10
    return FloatDistribution(low, round(low + draw(st.integers(0, 300)) * step, 9), step=step)


@st.composite
def int_ranges(draw: st.DrawFn) -> IntDistribution:
    log = draw(st.booleans())
    low, high = sorted(draw(st.tuples(*[st.integers(1, 2**53) if log else exact] * 2)))
    step = 1 if log else draw(st.sampled_from([1, 2, 7, 1000]))
    return IntDistribution(low, low + (high - low) // step * step, log=log, step=step)


EXTREMES = [
    FloatDistribution(-1.7e308, 1.7e308),
    FloatDistribution(5e-324, 1.7e308, log=True),
    FloatDistribution(5e-324, 1e-323, log=True),
    FloatDistribution(0.0, 5e-324),
    FloatDistribution(1.0, math.nextafter(1.0, 2.0)),
    FloatDistribution(1e300, math.nextafter(1e300, math.inf), log=True),
    FloatDistribution(-1e300, math.nextafter(-1e300, 0.0)),
    IntDistribution(-(2**53), 2**53),
    IntDistribution(1, 2**53, log=True),
]
small_ints = st.builds(
    lambda low, n, log: IntDistribution(low, low + n, log=log),
    st.integers(1, 5),
    st.integers(0, 6),
    st.booleans(),
)
numerical = st.one_of(float_ranges(), float_grids(), int_ranges(), small_ints)
categorical = st.builds(CategoricalDistribution, st.sampled_from(["a", "ab", "abcde", (1, None)]))
distributions = st.one_of(numerical, categorical)
all_settings = st.builds(
    NarrowingSettings,
    seed=st.integers(0, 2**70),
    trials_per_round=st.integers(1, 25),
    n_rounds=st.just(5),
    keep=st.floats(0.01, 1),
    min_best=st.integers(2, 9),
    margin=st.floats(0, 3),
    explore=st.floats(0, 1),
    min_width=st.floats(1e-9, 1),
    evidence=st.floats(0, 0.99),
    group_size=st.integers(1, 5),
    repeats=st.booleans(),
    warm=st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[NarrowingSettings, BaseDistribution, list[FinishedTrial]]:
    """Some of the trials of the first three rounds, proposed by the search, arbitrary losses."""
    settings, distribution = draw(all_settings), draw(distributions)
    n = 3 * settings.trials_per_round
    losses = draw(st.lists(st.floats(), min_size=n, max_size=n))
    finished: list[FinishedTrial] = []
    for number, loss in enumerate(losses):
        box = narrow({"x": distribution}, finished, settings, number // settings.trials_per_round)
        value = point(settings, number, "x", distribution, box.get("x"))
        assert contains(distribution, value)
        finished.append(FinishedTrial(number, loss, {"x": value}))
    return settings, distribution, finished


# ------------------------------------------------------------------ boxes


def test_box_worked_by_hand_on_a_linear_range() -> None:
    # 8 trials, a quarter kept: the best two stand at 2 and 4; half their span, 1, is the margin,
    # a half of it on each side.
    trials = ranked(2.0, 4.0, 9.0, 0.0, 1.0, 8.0, 7.0, 6.0)
    settings = settings_of(trials_per_round=8)
    assert narrow({"x": FloatDistribution(0, 10)}, trials, settings, 1) == {"x": (1.5, 4.5)}


def test_box_worked_by_hand_in_the_logarithm_and_cut_by_the_users_range() -> None:
    # 1e-2 and 1e-4 span two decades and get half a decade on each side; 1e-1 and 1e-3 would reach
    # half a decade beyond the range.
    settings = settings_of(trials_per_round=4, keep=0.5)
    box = narrow({"x": LOG}, ranked(1e-2, 1e-4, 1.1e-5, 1e-5), settings, 1)
    np.testing.assert_allclose(box["x"], (10**-4.5, 10**-1.5), rtol=1e-12)
    low, high = narrow({"x": LOG}, ranked(1e-1, 1e-3, 1e-5, 1e-5), settings, 1)["x"]
    assert high == 1e-1
    assert low == pytest.approx(10**-3.5)


@pytest.mark.parametrize(
    ("best", "box"),
    [
        ([3, 5], (2, 6)),  # 2.5 and 5.5, rounded outwards
        ([2, 6], (1, 7)),  # exactly 1 and 7
        ([4, 4], (3, 5)),  # a least width around one value holds its neighbours
        ([0, 0], (0, 1)),
        ([10, 10], (9, 10)),
    ],
)
def test_box_on_integers_worked_by_hand(best: list[int], box: tuple[float, float]) -> None:
    settings = settings_of(trials_per_round=4, keep=0.5)
    narrowed = narrow({"x": IntDistribution(0, 10)}, ranked(*best, 0, 9), settings, 1)["x"]
    assert narrowed == box
    assert {type(end) for end in narrowed} == {int}


@pytest.mark.parametrize("best", [2, 3, 5, 49, 111, 333])
def test_a_box_without_margin_ends_on_its_best_trials(best: int) -> None:
    # Neither a logarithm and back nor a step of 0.1 is exact; no neighbour is taken for that.
    settings = settings_of(trials_per_round=4, keep=0.5, margin=0.0)
    ints = {"x": IntDistribution(1, 1000, log=True)}
    assert narrow(ints, ranked(best, 3 * best, 1, 1), settings, 1) == {"x": (best, 3 * best)}
    grid = {"x": FloatDistribution(-10.2, 100.2, step=0.1)}
    box = narrow(
        grid,
        ranked(best / 10, best / 5, 1.0, 1.0),
        settings_of(trials_per_round=4, keep=0.5, margin=0.0, min_width=1e-6),
        1,
    )
    assert box["x"] == pytest.approx((best / 10, best / 5), abs=1e-12)


@pytest.mark.parametrize(
    ("n_finished", "per_round", "min_best", "kept"),
    [
        (20, 20, 4, 5),  # a quarter of a round
        (100, 20, 4, 5),  # and no more of them when there are more trials
        (8, 8, 4, 4),  # the least number where a round is small
        (6, 8, 4, 3),  # but never more than half of what there is
        (3, 8, 4, 2),
    ],
)
def test_how_many_trials_span_a_box(
    n_finished: int, per_round: int, min_best: int, kept: int
) -> None:
    settings = settings_of(trials_per_round=per_round, min_best=min_best, margin=0.0)
    trials = ranked(*(float(i) for i in range(n_finished)))
    box = narrow(
        {"x": FloatDistribution(0, n_finished)}, trials, settings, -(-n_finished // per_round)
    )
    assert box["x"] == pytest.approx((0, max(kept - 1, 0.05 * n_finished)))


def test_the_kept_share_is_rounded_up_from_its_decimalvalue_at() -> None:
    # 0.07 * 100 is 7.000000000000001 in floating point.
    settings = settings_of(trials_per_round=100, keep=0.07, margin=0.0, min_width=1e-9)
    trials = ranked(*(float(i) for i in range(100)))
    assert narrow({"x": FloatDistribution(0, 99)}, trials, settings, 1) == {"x": (0.0, 6.0)}


@pytest.mark.parametrize(("at", "box"), [(5.0, (4.5, 5.5)), (0.0, (0.0, 1.0)), (9.9, (9.0, 10.0))])
def test_a_box_keeps_its_least_width_and_slides_into_the_range(
    at: float, box: tuple[float, float]
) -> None:
    space = {"x": FloatDistribution(0, 10)}
    narrowed = narrow(space, ranked(*[at] * 10), settings_of(min_width=0.1), 1)
    assert narrowed["x"] == pytest.approx(box)


def test_the_first_round_and_too_few_trials_have_the_full_range() -> None:
    settings = settings_of(keep=0.25)
    trials = ranked(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)
    assert narrow({"x": LOG}, trials, settings, 0) == {"x": (1e-5, 1e-1)}
    assert narrow({"x": LOG}, trials[:2], settings, 1) == {"x": (1e-5, 1e-1)}
    assert narrow({"x": LOG}, trials, settings, 1) != {"x": (1e-5, 1e-1)}


def test_only_finite_trials_of_earlier_rounds_count() -> None:
    settings = settings_of()
    counted = ranked(1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3)
    others = [
        FinishedTrial(6, -math.inf, {"x": 1e-5}),
        FinishedTrial(7, math.nan, {"x": 1e-5}),
        FinishedTrial(8, math.inf, {"x": 1e-5}),
        FinishedTrial(10, -9.0, {"x": 1e-5}),
    ]
    assert narrow({"x": LOG}, counted + others, settings, 1) == narrow(
        {"x": LOG}, counted, settings, 1
    )


def test_trials_without_the_parameter_or_outside_its_range_are_passed_over() -> None:
    settings = settings_of()
    counted = [FinishedTrial(i, float(i), {"x": 1e-3 * (i + 1)}) for i in range(5)]
    others = [
        FinishedTrial(5, -1.0, {"y": 3}),
        FinishedTrial(6, -1.0, {"x": 0.5}),
        FinishedTrial(7, -1.0, {"x": "adam"}),
        FinishedTrial(8, -1.0, {"x": None}),
        FinishedTrial(9, -1.0, {"x": -1.0}),
    ]
    assert narrow({"x": LOG}, others + counted, settings, 1) == narrow(
        {"x": LOG}, counted, settings, 1
    )


def test_without_evidence_all_choices_stay() -> None:
    space = {"x": LOG, "c": CategoricalDistribution("ab")}
    assert narrow(space, [], settings_of(), 1) == {"x": (1e-5, 1e-1), "c": Choices(("a", "b"))}


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        # Of 20 trials 10 have each choice. None of the best 5 is a b by chance in
        # C(10, 5) / C(20, 5) = 252 / 15504 = 1.6 % of all orders: no evidence at 1 %.
        ("a" * 5 + "b" * 10 + "a" * 5, "ab"),
        # Of 24 trials none of 12 in the best 6: C(12, 6) / C(24, 6) = 924 / 134596 = 0.7 %.
        ("a" * 6 + "b" * 12 + "a" * 6, "a"),
        # One of them: and 12 * C(12, 5) / C(24, 6) = 7.1 % more.
        ("a" * 5 + "b" * 11 + "a" * 7 + "b", "ab"),
        # The best trial's choice stays, whatever the others say.
        ("b" + "a" * 20 + "b" * 7, "ab"),
        ("b" * 6 + "a" * 12 + "b" * 6, "b"),
        ("a" * 24, "ab"),
    ],
)
def test_a_choice_is_dropped_on_the_evidence_of_the_best_quarter(order: str, kept: str) -> None:
    space = {"c": CategoricalDistribution("ab")}
    trials = [FinishedTrial(i, float(i), {"c": choice}) for i, choice in enumerate(order)]
    settings = settings_of(trials_per_round=len(order))
    assert narrow(space, trials, settings, 1) == {"c": Choices(tuple(kept))}
    assert narrow(space, trials, replace(settings, evidence=0), 1)["c"].kept == ("a", "b")


@pytest.mark.parametrize(
    ("order", "dropped", "kept"),
    [
        # 24 trials, the best 6 without one of the 12: as above, but the others have no rank.
        ("a" * 6, "b" * 12 + "a" * 6, "a"),
        ("a" * 2, "b" * 12 + "a" * 10, "ab"),  # only two have a rank: C(12, 2) / C(24, 2) = 24 %
        ("a" * 4, "b" * 24 + "a" * 2, "a"),  # C(6, 4) / C(30, 4) = 0.05 %
        # Nothing is known of an order among them.
        ("", "a" * 12 + "b" * 12, "ab"),
        ("b", "a" * 12 + "b" * 12, "ab"),
    ],
)
def test_pruned_trials_speak_against_their_choices(order: str, dropped: str, kept: str) -> None:
    space = {"c": CategoricalDistribution("ab")}
    complete = [FinishedTrial(i, float(i), {"c": choice}) for i, choice in enumerate(order)]
    pruned = [
        # Neither their value nor their number makes any difference.
        FinishedTrial(len(order) + i, -5.0, {"c": choice}, pruned=True)
        for i, choice in enumerate(dropped)
    ]
    settings = settings_of(trials_per_round=len(order) + len(dropped))
    for trials in (complete + pruned, pruned[::-1] + complete):
        assert narrow(space, trials, settings, 1) == {"c": Choices(tuple(kept))}


@given(st.lists(st.floats(1e-5, 1e-1), min_size=4, max_size=12), st.floats(1e-5, 1e-1))
def test_pruned_trials_span_no_range(values: list[float], elsewhere: float) -> None:
    trials = ranked(*values)
    settings = settings_of(trials_per_round=20)
    pruned = FinishedTrial(19, -9.0, {"x": elsewhere}, pruned=True)
    assert narrow({"x": LOG}, [*trials, pruned], settings, 1) == narrow(
        {"x": LOG}, trials, settings, 1
    )


@given(st.integers(1, 30), st.data())
def test_the_evidence_is_that_of_the_hypergeometric_distribution(
    among: int, data: st.DataObject
) -> None:
    own, drawn = data.draw(st.integers(0, among)), data.draw(st.integers(0, among))
    found = data.draw(st.integers(0, min(own, drawn)))
    expected = hypergeom(among, own, drawn).cdf(found)
    assert _at_most(found, own, drawn, among) == pytest.approx(expected)


def test_a_choice_that_was_dropped_is_left_to_the_slots_that_explore() -> None:
    space = {"c": CategoricalDistribution("abc")}
    settings = settings_of(trials_per_round=20, explore=0.3)
    box = {"c": Choices(("c", "a"))}
    drawn = [point(settings, i, "c", space["c"], box["c"]) for i in range(20, 40)]
    assert sorted(drawn) == sorted("ca" * 7 + "abc" * 2)
    first = [point(settings, i, "c", space["c"], box["c"]) for i in range(20)]
    assert {first.count(each) for each in "abc"} == {6, 7}


def test_ties_go_to_the_lower_number() -> None:
    settings = settings_of(trials_per_round=4, keep=0.5, margin=0.0)
    trials = [FinishedTrial(i, 1.0, {"x": float(i)}) for i in (3, 1, 0, 2)]
    assert narrow({"x": FloatDistribution(0, 9)}, trials, settings, 1) == {"x": (0.0, 1.0)}


@given(histories(), st.randoms(use_true_random=False))
def test_a_box_lies_in_the_range_and_is_the_same_for_any_order_of_arrival(
    history: tuple[NarrowingSettings, BaseDistribution, list[FinishedTrial]], random: Any
) -> None:
    settings, distribution, finished = history
    shuffled = random.sample(finished, len(finished))
    for round_index in range(4):
        box = narrow({"x": distribution}, finished, settings, round_index)
        assert box == narrow({"x": distribution}, shuffled, settings, round_index)
        if isinstance(distribution, CategoricalDistribution):
            assert set(box["x"].kept) <= set(distribution.choices)
            assert box["x"].kept
            continue
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        low, high = box["x"]
        assert distribution.low <= low <= high <= distribution.high
        assert low < high or distribution.single()
        assert contains(distribution, low)
        assert contains(distribution, high)


@given(histories())
def test_points_of_a_box_lie_in_it_unless_they_explore(
    history: tuple[NarrowingSettings, BaseDistribution, list[FinishedTrial]],
) -> None:
    settings, distribution, finished = history
    n = settings.trials_per_round
    box = narrow({"x": distribution}, finished, settings, 3)
    outside = 0
    for params in propose({"x": distribution}, finished, settings, range(3 * n, 4 * n)):
        assert contains(distribution, params["x"])
        left = box["x"]
        if isinstance(left, Choices):
            outside += params["x"] not in left.kept
        else:
            outside += not left[0] <= params["x"] <= left[1]
    assert outside <= max(round(settings.explore * n), settings.explore > 0 and n >= 2)


@pytest.mark.parametrize("distribution", EXTREMES, ids=str)
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_box_at_the_end_of_an_extreme_range_is_one(
    distribution: FloatDistribution | IntDistribution, end: str
) -> None:
    trials = ranked(*[getattr(distribution, end)] * 10)
    low, high = narrow({"x": distribution}, trials, settings_of(), 1)["x"]
    assert distribution.low <= low < high <= distribution.high
    for params in propose({"x": distribution}, trials, settings_of(), range(10, 20)):
        assert contains(distribution, params["x"])


def test_a_range_whose_width_overflows_is_searched_and_narrowed_evenly() -> None:
    huge = FloatDistribution(-1.6e308, 1.6e308)
    values = [point(settings_of(), i, "x", huge) for i in range(10)]
    assert sorted(math.floor(value / 3.2e307) for value in values) == list(range(-5, 5))
    narrowed = narrow({"x": huge}, ranked(*[0.0] * 10), settings_of(min_width=0.1), 1)
    assert narrowed["x"] == pytest.approx((-1.6e307, 1.6e307))


# ------------------------------------------------------------------ points


def strata(values: list[float], low: float, high: float) -> list[int]:
    """Which of as many strata as there are values each value stands in, log scale, sorted."""
    shares = np.log(np.array(values) / low) / math.log(high / low)
    return sorted(np.floor(shares * len(values)).astype(int).tolist())


@given(seed=st.integers(0, 2**64), n=st.integers(1, 40), name=st.text())
def test_the_first_round_is_a_latin_hypercube_over_the_full_range(
    seed: int, n: int, name: str
) -> None:
    settings = settings_of(seed=seed, trials_per_round=n)
    values = [point(settings, i, name, LOG) for i in range(n)]
    assert strata(values, LOG.low, LOG.high) == list(range(n))


@given(seed=st.integers(0, 2**64), round_index=st.integers(1, 50))
def test_a_later_round_is_one_latin_hypercube_over_the_box_and_one_over_the_full_range(
    seed: int, round_index: int
) -> None:
    settings = settings_of(seed=seed, trials_per_round=20, explore=0.3)
    numbers = range(20 * round_index, 20 * round_index + 20)
    box = (1.0e-3, 1.001e-3)
    values = [point(settings, number, "x", LOG, box) for number in numbers]
    narrowed = [value for value in values if box[0] <= value <= box[1]]
    exploring = [value for value in values if not box[0] <= value <= box[1]]
    assume(len(exploring) == 6)  # one explorer in ten thousand falls into the box
    assert strata(narrowed, *box) == list(range(14))
    assert strata(exploring, LOG.low, LOG.high) == list(range(6))


def test_the_same_slots_explore_for_all_parameters_and_they_change_with_the_round() -> None:
    settings = settings_of(trials_per_round=20, explore=0.2)
    box = (1.0e-3, 1.0000001e-3)

    def explorers(round_index: int, name: str) -> set[int]:
        values = [point(settings, 20 * round_index + s, name, LOG, box) for s in range(20)]
        return {s for s, value in enumerate(values) if not box[0] <= value <= box[1]}

    assert explorers(1, "x") == explorers(1, "y")
    assert len(explorers(1, "x")) == 4
    assert explorers(1, "x") != explorers(2, "x")


@pytest.mark.parametrize(
    ("n", "explore", "expected"),
    [(1, 0.1, 0), (2, 0.1, 1), (5, 0.1, 1), (20, 0.1, 2), (20, 0.0, 0), (20, 1.0, 20)],
)
def test_number_of_exploring_slots(n: int, explore: float, expected: int) -> None:
    settings = settings_of(trials_per_round=n, explore=explore)
    box = (1.0e-3, 1.0000001e-3)
    values = [point(settings, n + s, "x", LOG, box) for s in range(n)]
    assert sum(not box[0] <= value <= box[1] for value in values) == expected


def test_points_differ_between_parameters_rounds_and_seeds() -> None:
    def values(seed: int, round_index: int, name: str) -> tuple[float, ...]:
        settings = settings_of(seed=seed)
        return tuple(point(settings, 10 * round_index + s, name, LOG) for s in range(10))

    drawn = {values(seed, r, name) for seed in (0, 1) for r in (0, 1) for name in ("x", "y")}
    assert len(drawn) == 8


def test_two_parameters_are_uncorrelated_over_many_rounds() -> None:
    settings = settings_of(trials_per_round=5)
    unit = FloatDistribution(0, 1)
    x, y = ([point(settings, i, name, unit) for i in range(2000)] for name in "xy")
    assert abs(np.corrcoef(x, y)[0, 1]) < 4 / math.sqrt(2000)


def test_points_are_the_same_for_ever() -> None:
    # A golden value: were the recipe changed, every unfinished study would go on differently.
    value = point(settings_of(), 13, "learning_rate", LOG, (1e-4, 1e-2))
    assert value == pytest.approx(0.003683359626112218, rel=1e-12)


def frequencies(distribution: BaseDistribution, n: int = 6000) -> dict[Any, float]:
    settings = settings_of(trials_per_round=3)
    counts = Counter(point(settings, i, "x", distribution) for i in range(n))
    return {value: counts[value] / n for value in sorted(counts)}


@pytest.mark.parametrize(
    "distribution", [IntDistribution(-2, 3), IntDistribution(0, 10, step=2)], ids=str
)
def test_all_values_of_an_int_range_are_equally_likely(distribution: IntDistribution) -> None:
    shares = frequencies(distribution)
    assert list(shares) == list(range(distribution.low, distribution.high + 1, distribution.step))
    np.testing.assert_allclose(list(shares.values()), 1 / 6, atol=0.02)


def test_values_of_a_float_grid_are_equally_likely() -> None:
    shares = frequencies(FloatDistribution(-0.2, 0.3, step=0.1))
    assert list(shares) == pytest.approx([-0.2, -0.1, 0.0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(list(shares.values()), 1 / 6, atol=0.02)


def test_values_of_a_log_int_range_are_as_likely_as_their_cells_are_wide() -> None:
    shares = frequencies(IntDistribution(1, 4, log=True))
    widths = np.diff(np.log([0.5, 1.5, 2.5, 3.5, 4.5]))
    np.testing.assert_allclose(list(shares.values()), widths / widths.sum(), atol=0.02)


def test_log_floats_are_uniform_in_the_logarithm() -> None:
    settings = settings_of(trials_per_round=3)
    shares = [math.log10(point(settings, i, "x", LOG)) / 4 + 1.25 for i in range(3000)]
    counts, _ = np.histogram(shares, bins=10, range=(0, 1))
    np.testing.assert_allclose(counts / 3000, 0.1, atol=0.025)


@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 30),
    n_choices=st.integers(1, 8),
    round_index=st.integers(0, 9),
)
def test_choices_are_dealt_out_evenly(seed: int, n: int, n_choices: int, round_index: int) -> None:
    settings = settings_of(seed=seed, trials_per_round=n)
    choices = CategoricalDistribution(range(n_choices))
    counts = Counter(point(settings, n * round_index + s, "c", choices) for s in range(n))
    assert {counts[c] for c in range(n_choices)} <= {n // n_choices, -(-n // n_choices)}


def test_each_choice_is_equally_likely_to_be_the_one_that_appears_more_often() -> None:
    shares = frequencies(CategoricalDistribution((2, 4, 5, 7)))
    np.testing.assert_allclose(list(shares.values()), 0.25, atol=0.02)


@pytest.mark.parametrize(
    ("distribution", "box"),
    [
        (FloatDistribution(0.0, 1.0), (0.1, 0.7)),
        (FloatDistribution(1e-5, 1.0, log=True), (1e-4, 0.3)),
        (FloatDistribution(0.0, 1.0, step=0.25), (0.25, 0.75)),
        (IntDistribution(0, 10, step=2), (2, 6)),
        (IntDistribution(1, 10, log=True), (2, 6)),
        (IntDistribution(1, 10, log=True), (3, 7)),
    ],
    ids=str,
)
def test_a_box_reaches_from_its_low_to_its_high(
    distribution: FloatDistribution | IntDistribution, box: tuple[float, float]
) -> None:
    # Rounding may lift the last share of a large round to 1.
    assert [value_at(distribution, box, share) for share in (0.0, 1.0)] == pytest.approx(box)


def test_a_mean_of_logarithms_rounded_up_does_not_overflow() -> None:
    high = 1.7976931348621712e308
    distribution = FloatDistribution(1.0, high, log=True)
    assert value_at(distribution, (high, high), 0.4621436927973584) == high


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(2.0, 2.0),
        FloatDistribution(2.0, 2.0, log=True),
        FloatDistribution(2.0, 2.0, step=0.5),
        IntDistribution(2, 2),
        IntDistribution(2, 2, log=True),
        CategoricalDistribution([2]),
    ],
    ids=str,
)
def test_a_single_value_is_thatvalue_at(distribution: BaseDistribution) -> None:
    assert {point(settings_of(), i, "x", distribution) for i in range(30)} == {2}


def test_a_distribution_of_another_kind_is_refused() -> None:
    class Other(BaseDistribution):
        def to_internal_repr(self, param_value_in_external_repr: Any) -> float:
            raise NotImplementedError

        def single(self) -> bool:
            raise NotImplementedError

        def _contains(self, param_value_in_internal_repr: float) -> bool:
            raise NotImplementedError

    with pytest.raises(TypeError, match="x: a Other cannot be searched"):
        point(settings_of(), 0, "x", Other())


# ------------------------------------------------------------------ rounds


def test_propose_is_a_point_for_each_number_and_name() -> None:
    space = {"x": LOG, "c": CategoricalDistribution("ab")}
    settings = settings_of()
    finished = ranked(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)
    box = narrow(space, finished, settings, 1)
    assert propose(space, finished, settings, [13, 11]) == [
        {
            "x": point(settings, number, "x", LOG, box["x"]),
            "c": point(settings, number, "c", space["c"]),
        }
        for number in (13, 11)
    ]
    assert propose(space, finished, settings, []) == []


def test_propose_refuses_trials_of_two_rounds() -> None:
    with pytest.raises(ValueError, match=r"not of rounds \[0, 1\]"):
        propose({"x": LOG}, [], settings_of(), [9, 10])


def searched(seed: int, explore: float) -> list[FinishedTrial]:
    """Minimise a quadratic in log space over two parameters: five rounds of 20 trials."""
    space = {"x": LOG, "y": LOG}
    settings = settings_of(seed=seed, trials_per_round=20, explore=explore)
    finished: list[FinishedTrial] = []
    for first in range(0, 100, 20):
        for params in propose(space, finished, settings, range(first, first + 20)):
            loss = sum((math.log10(value) + 2.7) ** 2 for value in params.values())
            finished.append(FinishedTrial(len(finished), loss, params))
    return finished


def mean_losses(explore: float) -> tuple[float, float]:
    """Return the median loss of the last round and the best of all, in the mean of 20 seeds."""
    losses = np.array([[trial.value for trial in searched(s, explore)] for s in range(20)])
    return np.median(losses[:, 80:], axis=1).mean(), losses.min(axis=1).mean()


def test_later_rounds_are_closer_to_the_optimum_than_random_search() -> None:
    last_round, best = mean_losses(explore=0.1)
    last_round_of_random, best_of_random = mean_losses(explore=1.0)
    assert last_round < 0.2 * last_round_of_random
    assert best < 0.6 * best_of_random


def test_a_wrong_first_round_is_undone_by_the_slots_that_explore() -> None:
    space = {"x": FloatDistribution(0, 1)}
    settings = settings_of(trials_per_round=10, explore=0.2)
    # The first round was bad luck: everything good in it lies far from the optimum at 0.9.
    finished = [
        FinishedTrial(i, abs(0.05 + i / 200 - 0.9), {"x": 0.05 + i / 200}) for i in range(10)
    ]
    assert narrow(space, finished, settings, 1)["x"][1] < 0.2
    for first in range(10, 70, 10):
        for params in propose(space, finished, settings, range(first, first + 10)):
            finished.append(FinishedTrial(len(finished), abs(params["x"] - 0.9), params))
    low, high = narrow(space, finished, settings, 7)["x"]
    assert low > 0.4
    assert low < 0.9 < high


@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(0, 4))
def test_a_choice_that_was_dropped_wrongly_comes_back(seed: int, n_choices: int, best: int) -> None:
    """The first round was bad luck: every trial of the best choice was the worst of all."""
    choices = tuple(range(n_choices))
    best %= n_choices
    space = {"c": CategoricalDistribution(choices)}
    settings = settings_of(seed=seed, trials_per_round=40, explore=0.2, evidence=0.1)
    finished = [
        FinishedTrial(number, 100.0 if params["c"] == best else 50.0 + number, params)
        for number, params in enumerate(propose(space, [], settings, range(40)))
    ]
    dropped = best not in narrow(space, finished, settings, 1)["c"].kept
    for index in range(1, 9):
        for params in propose(space, finished, settings, range(40 * index, 40 * index + 40)):
            loss = 0.0 if params["c"] == best else 1.0
            finished.append(FinishedTrial(len(finished), loss + len(finished) * 1e-6, params))
    assert best in narrow(space, finished, settings, 9)["c"].kept
    last = [trial.params["c"] for trial in finished[-40:]]
    assert last.count(best) > 40 / n_choices - 1
    # With two to five choices forty trials are evidence enough to drop one.
    assert dropped


# ------------------------------------------------------------------ settings


@given(all_settings)
def test_settings_survive_json(settings: NarrowingSettings) -> None:
    assert NarrowingSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed must be 0 or more, but it is -1"),
        ({"trials_per_round": 0}, "trials_per_round must be 1 or more, but it is 0"),
        ({"n_rounds": 0}, "n_rounds must be 1 or more, but it is 0"),
        ({"keep": 0.0}, "keep must be above 0 and at most 1, but it is 0.0"),
        ({"keep": 1.1}, "keep must be above 0 and at most 1, but it is 1.1"),
        ({"margin": -0.1}, "margin must be 0 or more, and finite, but it is -0.1"),
        ({"margin": math.inf}, "margin must be 0 or more, and finite, but it is inf"),
        ({"explore": math.nan}, "explore must be from 0 to 1, but it is nan"),
        ({"min_width": 0.0}, "min_width must be above 0 and at most 1, but it is 0.0"),
    ],
)
def test_settings_outside_their_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(**change)


@pytest.mark.parametrize("record", [{}, {**settings_of().to_json(), "shrink": 1}])
def test_records_of_something_else_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="these are no settings of a narrowing search"):
        NarrowingSettings.from_json(record)


@pytest.mark.parametrize(
    ("left", "value", "expected"),
    [
        ((1e-2, 1e-1), 9e-2, "upper"),
        ((1e-2, 1e-1), 3e-2, None),  # not in the outer tenth, 0.4 of four decades
        ((1e-5, 1e-4), 2e-5, "lower"),
        ((1e-2, 9e-2), 9e-2, None),  # the box does not reach the end
        ((1e-3 * 0.9, 1e-1), 9e-2, None),  # more than half of the range is left
    ],
)
def test_a_winner_at_the_end_of_its_range_is_told(
    left: tuple[float, float], value: float, expected: str | None
) -> None:
    assert edge(LOG, left, value) == expected


def test_what_has_no_range_has_no_end() -> None:
    assert edge(FloatDistribution(1, 1), (1, 1), 1) is None
    assert edge(CategoricalDistribution("ab"), (0, 1), 0) is None


def test_whole_numbers_have_ends_too() -> None:
    assert edge(IntDistribution(1, 100), (1, 20), 3) == "lower"
    assert edge(IntDistribution(1, 100), (90, 100), 100) == "upper"
