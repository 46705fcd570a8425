"""Whole rounds written by us, as Optuna's own storage reads them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from storage import trials
from storage.errors import StorageError, StudyGoneError
from storage.records import Result, Slot, TrialRecord
from storage.trials import RoundStorage
from tests.storage.conftest import Stock
from tests.storage.looking import sql

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "decay": FloatDistribution(0.0, 1.0, step=0.25),
    "units": IntDistribution(8, 128, log=True),
    "norm": CategoricalDistribution(["none", "batch", None]),
}


def slots(numbers: Sequence[int]) -> list[Slot]:
    return [
        Slot(n, {"rate": 1e-4 * (n % 9 + 1), "decay": 0.25, "units": 8 + n % 9, "norm": None})
        for n in numbers
    ]


def create(rounds: RoundStorage, study_id: int, numbers: Sequence[int]) -> None:
    with rounds.transaction() as connection:
        trials.create_slots(connection, study_id, slots(numbers), SPACE)


def claim(rounds: RoundStorage, study_id: int, below: int) -> list[Slot]:
    with rounds.transaction() as connection:
        return trials.claim_slots(connection, study_id, below)


def release(rounds: RoundStorage, study_id: int) -> None:
    with rounds.transaction() as connection:
        trials.release_slots(connection, study_id)


def finish(rounds: RoundStorage, study_id: int, *results: Result) -> None:
    with rounds.transaction() as connection:
        trials.finish_slots(connection, study_id, results)


def result(number: int, value: float | None = 0.5, **rest: Any) -> Result:
    return Result(number, value, rest.get("intermediate", {}), rest.get("attributes", {}))


def records(rounds: RoundStorage, study_id: int) -> list[TrialRecord]:
    with rounds.reading() as connection:
        return trials.trials(connection, study_id)


def read(stock: Stock, name: str = "study") -> list[FrozenTrial]:
    """The study as stock Optuna has it."""
    with stock() as storage:
        return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=True)


def states(stock: Stock) -> list[str]:
    return [trial.state.name for trial in read(stock)]


def just_now(moment: datetime | None) -> bool:
    return moment is not None and abs(datetime.now() - moment) < timedelta(seconds=30)  # noqa: DTZ005


# What stock Optuna reads


def test_a_round_waits_with_its_parameters(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(3))
    create(rounds, study_id, range(3, 5))
    found = read(stock)
    assert [trial.number for trial in found] == [0, 1, 2, 3, 4]
    assert {trial.state.name for trial in found} == {"WAITING"}
    assert [trial.params for trial in found] == [slot.params for slot in slots(range(5))]
    assert all(trial.distributions == SPACE for trial in found)
    assert {(trial.datetime_start, trial.datetime_complete) for trial in found} == {(None, None)}


def test_a_claimed_slot_runs(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(3))
    assert claim(rounds, study_id, 2) == slots(range(2))
    assert states(stock) == ["RUNNING", "RUNNING", "WAITING"]
    first, _, third = read(stock)
    assert just_now(first.datetime_start)
    assert third.datetime_start is None
    assert claim(rounds, study_id, 2) == []
    assert claim(rounds, study_id, 10) == slots([2])


def test_finished_slots(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(3))
    claim(rounds, study_id, 3)
    finish(
        rounds,
        study_id,
        result(2, 0.75, intermediate={1: 0.5, 8: 0.75}, attributes={"epochs": 8, "note": "ü"}),
        result(0, None, attributes={"reason": "diverged in epoch 3"}),
    )
    failed, running, complete = read(stock)
    assert [each.state.name for each in (failed, running, complete)] == [
        "FAIL",
        "RUNNING",
        "COMPLETE",
    ]
    assert complete.value == 0.75
    assert complete.intermediate_values == {1: 0.5, 8: 0.75}
    assert complete.user_attrs == {"epochs": 8, "note": "ü"}
    assert complete.params == slots([2])[0].params
    assert just_now(complete.datetime_complete)
    assert complete.duration is not None
    assert timedelta() <= complete.duration < timedelta(seconds=30)
    assert failed.values is None
    assert failed.user_attrs == {"reason": "diverged in epoch 3"}
    assert just_now(failed.datetime_complete)
    with stock() as storage:
        assert optuna.load_study(study_name="study", storage=storage).best_trial.number == 2


def test_an_infinite_step_is_shown_as_it_is(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(1))
    claim(rounds, study_id, 1)
    finish(rounds, study_id, result(0, intermediate={1: math.inf, 2: -math.inf, 4: math.nan}))
    assert str(read(stock)[0].intermediate_values) == str({1: math.inf, 2: -math.inf, 4: math.nan})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_result_has_an_endless_value(value: float) -> None:
    with pytest.raises(ValueError, match=r"^trial 7 has the value -?(nan|inf): it must be finite"):
        result(7, value)


def test_released_slots_are_claimed_again(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(3))
    claim(rounds, study_id, 3)
    finish(rounds, study_id, result(1))
    release(rounds, study_id)
    assert states(stock) == ["WAITING", "COMPLETE", "WAITING"]
    assert read(stock)[0].datetime_start is None
    assert claim(rounds, study_id, 3) == slots([0, 2])


def test_stock_optuna_goes_on_in_the_same_study(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(2))
    with stock() as storage:
        study = optuna.load_study(study_name="study", storage=storage)
        trial = study.ask()
        assert (trial.number, trial.params) == (0, slots([0])[0].params)
        assert trial.suggest_float("rate", 1e-5, 1e-1, log=True) == slots([0])[0].params["rate"]
        study.tell(trial, 0.25)
    assert [(each.state, each.value) for each in records(rounds, study_id)] == [
        ("COMPLETE", 0.25),
        ("WAITING", None),
    ]


def test_studies_do_not_mix(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    other = rounds.create_new_study([StudyDirection.MAXIMIZE], "other")
    create(rounds, study_id, range(2))
    create(rounds, other, range(2))
    claim(rounds, other, 2)
    finish(rounds, other, result(0, 0.125))
    release(rounds, study_id)
    assert states(stock) == ["WAITING", "WAITING"]
    assert [trial.state.name for trial in read(stock, "other")] == ["COMPLETE", "RUNNING"]


def test_records_are_what_stock_optuna_reads(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(4))
    claim(rounds, study_id, 3)
    finish(rounds, study_id, result(1, None, attributes={"reason": "x"}), result(2, -0.5))
    assert records(rounds, study_id) == [
        TrialRecord(
            trial.number, trial.state.name, trial.value, trial.params, dict(trial.user_attrs)
        )
        for trial in read(stock)
    ]


def test_no_results_change_nothing(rounds: RoundStorage, study_id: int) -> None:
    create(rounds, study_id, range(1))
    claim(rounds, study_id, 1)
    finish(rounds, study_id)
    assert [each.state for each in records(rounds, study_id)] == ["RUNNING"]


def distributions() -> st.SearchStrategy[BaseDistribution]:
    reals = st.tuples(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3), st.booleans())
    whole = st.tuples(st.integers(1, 999), st.integers(1, 999), st.booleans())
    choice = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    return st.one_of(
        reals.map(lambda each: FloatDistribution(min(each[:2]), max(each[:2]), log=each[2])),
        whole.map(lambda each: IntDistribution(min(each[:2]), max(each[:2]), log=each[2])),
        st.lists(choice, min_size=1, max_size=4).map(CategoricalDistribution),
    )


def values_of(distribution: BaseDistribution) -> st.SearchStrategy[Any]:
    if isinstance(distribution, FloatDistribution):
        return st.floats(distribution.low, distribution.high)
    if isinstance(distribution, IntDistribution):
        return st.integers(distribution.low, distribution.high)
    assert isinstance(distribution, CategoricalDistribution)
    return st.sampled_from(distribution.choices)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
spaces = st.dictionaries(names, distributions(), min_size=1, max_size=3)
attributes = st.dictionaries(names, finite | st.text(max_size=5) | st.integers() | st.none())


@st.composite
def finished_rounds(
    draw: st.DrawFn,
) -> tuple[Mapping[str, BaseDistribution], list[Slot], list[Result]]:
    space = draw(spaces)
    point = st.fixed_dictionaries({name: values_of(each) for name, each in space.items()})
    points = draw(st.lists(point, min_size=1, max_size=4))
    steps = st.dictionaries(st.integers(0, 10**6), st.floats(), max_size=3)
    outcomes = st.builds(Result, st.just(0), st.none() | finite, steps, attributes)
    results = [
        Result(number, each.value, each.intermediate, each.attributes)
        for number, each in enumerate(draw(st.lists(outcomes, min_size=len(points), max_size=4)))
    ]
    return space, [Slot(*pair) for pair in enumerate(points)], results[: len(points)]


def texts(values: Mapping[int, float]) -> dict[int, str]:
    """Comparable also where a value is NaN."""
    return {step: repr(value) for step, value in values.items()}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(finished_rounds())
def test_a_round_trip_through_stock_optuna(
    rounds: RoundStorage,
    stock: Stock,
    drawn: tuple[Mapping[str, BaseDistribution], list[Slot], list[Result]],
) -> None:
    space, points, results = drawn
    study_id = rounds.create_new_study([StudyDirection.MINIMIZE])
    with rounds.transaction() as connection:
        trials.create_slots(connection, study_id, points, space)
        assert trials.claim_slots(connection, study_id, len(points)) == points
        trials.finish_slots(connection, study_id, results)
    found = read(stock, rounds.get_study_name_from_id(study_id))
    assert [(each.number, each.params) for each in found] == points
    assert all(each.distributions == space for each in found)
    for trial, written in zip(found, results, strict=True):
        assert (trial.state.name == "FAIL") == (written.value is None)
        assert trial.values == (None if written.value is None else [written.value])
        assert texts(trial.intermediate_values) == texts(written.intermediate)
        assert trial.user_attrs == written.attributes
    assert [each.params for each in records(rounds, study_id)] == [each.params for each in found]


# All or nothing


@contextmanager
def failing_at(rounds: RoundStorage, nth: int) -> Iterator[None]:
    """Let the n-th statement fail, BEGIN included."""
    left = iter(range(nth - 1, -1, -1))

    def fail(*_: Any) -> None:
        if next(left, None) == 0:
            raise sqlite3.OperationalError("interrupted")

    sa.event.listen(rounds.engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        sa.event.remove(rounds.engine, "before_cursor_execute", fail)


def dump(path: Path) -> list[list[tuple[Any, ...]]]:
    tables = [name for (name,) in sql(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [sql(path, f'SELECT * FROM "{name}"') for name in tables]


def holds_at_every_statement(rounds: RoundStorage, path: Path, write: Callable[[], object]) -> int:
    """``write`` changes nothing if any statement of it fails; returns how many there are."""
    before = dump(path)
    for nth in count(1):
        with failing_at(rounds, nth):
            try:
                write()
            except StorageError as error:
                assert str(error) == f"interrupted: {path}"  # noqa: PT017
            else:
                return nth - 1
        assert dump(path) == before
    raise AssertionError


def test_rounds_are_created_claimed_and_finished_whole_or_not_at_all(
    rounds: RoundStorage, study_id: int, stock: Stock, path: Path
) -> None:
    done = result(0, 0.5, intermediate={1: 1.0}, attributes={"a": 1})
    writes: list[Callable[[], object]] = [
        lambda: create(rounds, study_id, range(3)),
        lambda: claim(rounds, study_id, 3),
        lambda: finish(rounds, study_id, done, result(1, None)),
        lambda: release(rounds, study_id),
    ]
    statements = [holds_at_every_statement(rounds, path, write) for write in writes]
    assert all(number > 1 for number in statements)
    assert states(stock) == ["COMPLETE", "FAIL", "WAITING"]


# Others in the same database


def test_a_deleted_study(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(2))
    claim(rounds, study_id, 1)
    with stock() as storage:
        storage.delete_study(study_id)
    with pytest.raises(StudyGoneError, match=r"^the study was deleted while it was searched$"):
        create(rounds, study_id, range(2, 4))
    with pytest.raises(StudyGoneError, match="the study was deleted, or its trials were changed"):
        finish(rounds, study_id, result(0))
    with rounds.reading() as connection, pytest.raises(StudyGoneError):
        trials.count(connection, study_id)
    with rounds.reading() as connection:
        assert not trials.study_exists(connection, study_id)
    assert claim(rounds, study_id, 9) == []
    assert records(rounds, study_id) == []
    release(rounds, study_id)


def test_a_result_is_recorded_once(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(2))
    claim(rounds, study_id, 2)
    finish(rounds, study_id, result(0, 0.5))
    with pytest.raises(StudyGoneError):
        finish(rounds, study_id, result(1, 0.25), result(0, 0.75))
    assert [trial.value for trial in read(stock)] == [0.5, None]
    assert states(stock) == ["COMPLETE", "RUNNING"]


def test_a_waiting_slot_cannot_finish(rounds: RoundStorage, study_id: int) -> None:
    create(rounds, study_id, range(1))
    with pytest.raises(StudyGoneError):
        finish(rounds, study_id, result(0))


def test_anothers_trials_are_noticed_before_a_round_is_created(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(2))
    with stock() as storage:
        optuna.load_study(study_name="study", storage=storage).ask()
        optuna.load_study(study_name="study", storage=storage).ask()
        optuna.load_study(study_name="study", storage=storage).ask()
    with pytest.raises(StorageError, match="holds 3 trials where 2 were expected: another program"):
        create(rounds, study_id, range(2, 4))
    assert len(read(stock)) == 3


def test_an_enqueued_trial_is_noticed_before_it_is_claimed(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(2))
    with stock() as storage:
        optuna.load_study(study_name="study", storage=storage).enqueue_trial({"rate": 1e-3})
    assert claim(rounds, study_id, 1) == slots(range(1))
    with pytest.raises(StorageError, match="trial 2 waits without parameters: another program"):
        claim(rounds, study_id, 3)
    assert states(stock) == ["RUNNING", "WAITING", "WAITING"]


def test_a_round_may_be_larger_than_a_statement(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    rounds.engine.dispose()

    @sa.event.listens_for(rounds.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 99)

    size = 1200
    create(rounds, study_id, range(size))
    assert claim(rounds, study_id, size) == slots(range(size))
    finish(rounds, study_id, *(result(number, number / size) for number in range(size)))
    assert [trial.value for trial in read(stock)] == [number / size for number in range(size)]


def test_the_best_are_the_greatest_complete_ones_that_have_the_attribute(
    rounds: RoundStorage, study_id: int
) -> None:
    values = [0.3, None, 0.9, 0.9, -2.0, 0.5]
    create(rounds, study_id, range(7))
    claim(rounds, study_id, 7)
    results = [
        Result(number, value, {}, {"other": 1} if number == 5 else {"ours": 1})
        for number, value in enumerate(values)
    ]
    finish(rounds, study_id, *results)
    with rounds.reading() as connection:
        for limit in (1, 2, 9):
            found = trials.best(connection, study_id, limit, having="ours")
            assert found == [(2, 0.9), (3, 0.9), (0, 0.3), (4, -2.0)][:limit]
        assert trials.best(connection, study_id + 1, 9, having="ours") == []
