"""What networks cost: hand-worked sizes, measured times, and each shape asked once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from hpo.nn.architecture import Architecture, Head
from hpo.nn.initializers import initial_params
from hpo.nn.members import TrainingSettings
from hpo.search import objectives
from hpo.search.evaluation import Outcome, Slot
from hpo.search.objectives import COSTS, Costs, check_costs_differ, latency, size, with_costs
from hpo.search.pruning import Judge
from hpo.search.recipe import Recipe
from hpo.search.space import SearchSpace
from hpo.settings import OBJECTIVES

X = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)


def shape(*hidden: int, batch_norm: str = "none") -> Architecture:
    return Architecture(5, hidden, (Head(3),), batch_norm=batch_norm)  # type: ignore[arg-type]


RECIPE = Recipe(shape(4), TrainingSettings(epochs=1))


def space(*items: str) -> SearchSpace:
    return SearchSpace.parse(items)


def test_every_objective_can_be_named() -> None:
    assert ("score", *COSTS) == OBJECTIVES


def test_sizes_by_hand() -> None:
    assert size(shape(4), X) == 5 * 4 + 4 + 4 * 3 + 3
    assert size(shape(4, 2), X) == 5 * 4 + 4 + 4 * 2 + 2 + 2 * 3 + 3
    # Scale, shift, mean and variance of each of the four units.
    assert size(shape(4, batch_norm="after"), X) == 39 + 4 * 4


@pytest.mark.parametrize("batch_norm", ["none", "before"])
def test_the_size_is_what_a_network_keeps(batch_norm: str) -> None:
    architecture = shape(7, 6, batch_norm=batch_norm)
    assert size(architecture, X) == initial_params(architecture, [0]).size


def test_a_far_larger_network_takes_longer() -> None:
    small, large = latency(shape(4), X), latency(shape(512, 512), X)
    assert 0 < small < large
    # 1,000 rows through 2 * 512 * 520 multiplications take more than a fiftieth of a millisecond
    # and, anywhere, less than ten seconds.
    assert 0.02 < large < 10_000


def test_it_is_the_time_of_a_thousand_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by 9 ms at each prediction, but by 3 ms when nothing else runs."""
    now = [0.0]
    seen: list[tuple[int, ...]] = []

    def predict(_architecture: object, params: np.ndarray, rows: np.ndarray) -> None:
        seen.append((len(params), *rows.shape))
        now[0] += 0.003 if len(seen) % 10 == 0 else 0.009

    monkeypatch.setattr(objectives, "predict", predict)
    monkeypatch.setattr("hpo.search.objectives.time.perf_counter", lambda: now[0])
    assert latency(shape(4), X) == 3.0
    assert set(seen) == {(1, 1000, 5)}
    assert len(seen) > objectives.LEAST_TIMES


def test_a_slow_network_is_timed_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def predict(*_: object) -> None:
        now[0] += 2.0

    monkeypatch.setattr(objectives, "predict", predict)
    monkeypatch.setattr("hpo.search.objectives.time.perf_counter", lambda: now[0])
    assert latency(shape(4), X) == 2000.0
    assert now[0] == 2.0 * (1 + objectives.LEAST_TIMES)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Architecture]:
    """The shapes that were measured, the first as 1 ms, the second as 2 ms."""
    seen: list[Architecture] = []

    def measure(architecture: Architecture, _X: object) -> float:
        seen.append(architecture)
        return float(len(seen))

    monkeypatch.setattr(objectives, "COSTS", {"size": size, "latency": measure})
    return seen


def test_a_shape_is_measured_once(measured: list[Architecture]) -> None:
    costs = Costs(("size", "latency"), X)
    assert [costs.of(shape(n)) for n in (4, 2, 4, 2)] == [(39, 1), (21, 2), (39, 1), (21, 2)]
    assert measured == [shape(4), shape(2)]


def test_what_a_study_holds_is_not_measured_again(measured: list[Architecture]) -> None:
    held = {shape(4): (0.5,)}
    costs = Costs(("latency",), X, lambda: held)
    assert costs.of(shape(4)) == (0.5,)
    held[shape(2)] = (0.25,)  # by another search
    assert costs.of(shape(2)) == (0.25,)
    assert not measured
    assert costs.of(shape(3)) == (1.0,)


def test_outcomes_get_their_costs_before_anything_is_trained(
    measured: list[Architecture],
) -> None:
    slots = [Slot(n, {"hidden": each}) for n, each in enumerate(["4", "2", "4"])]

    def evaluate(given: Sequence[Slot], _judge: Judge | None) -> Iterator[list[Outcome]]:
        assert len(measured) == 2
        assert given == slots
        yield [Outcome(2, 0.5, None, 0.0), Outcome(0, None, "diverged", 0.0)]
        yield [Outcome(1, 0.25, None, 0.0)]

    found = with_costs(evaluate, RECIPE, Costs(("size", "latency"), X))(slots, None)
    assert [[(each.number, each.value, each.costs) for each in part] for part in found] == [
        [(2, 0.5, (39, 1)), (0, None, (39, 1))],
        [(1, 0.25, (21, 2))],
    ]


@pytest.mark.parametrize(
    ("names", "items"),
    [
        (["size"], []),
        (["latency"], []),
        (["size"], ["hidden=8"]),
        (["size"], ["activation=relu|tanh"]),
        # Eight units in one layer, and as many numbers whether normalised before or after it.
        (["size"], ["batch_norm=before|after"]),
    ],
)
def test_a_cost_that_all_share_is_refused(names: list[str], items: list[str]) -> None:
    with pytest.raises(ValueError, match=f"^objective {names[0]}: all networks .*--space") as told:
        check_costs_differ(names, RECIPE, space(*items).distributions)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("names", "items"),
    [
        (["size", "latency"], ["hidden=8|16"]),
        (["size"], ["batch_norm=none|after"]),
        (["latency"], ["activation=relu|tanh"]),
        (["latency"], ["batch_norm=before|after"]),
        ([], []),
        (["size", "latency"], ["wide"]),
    ],
)
def test_a_cost_that_differs_is_not(names: list[str], items: list[str]) -> None:
    check_costs_differ(names, RECIPE, space(*items).distributions)
