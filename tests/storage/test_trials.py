"""Whole rounds written by us, as Optuna's own storage reads them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage import catalogue, history, leases, optuna_trials, revisions, slots
from storage.errors import StorageError, StudyGoneError
from storage.records import Owner, Result, Slot, TrialRecord
from storage.trials import RoundStorage
from tests.storage.conftest import Stock
from tests.storage.looking import sql
from tests.storage.making import bare

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "decay": FloatDistribution(0.0, 1.0, step=0.25),
    "units": IntDistribution(8, 128, log=True),
    "norm": CategoricalDistribution(["none", "batch", None]),
}


@pytest.fixture(params=["our statements", "the code of Optuna"])
def rounds(
    request: pytest.FixtureRequest, path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RoundStorage]:
    """The storage; once as if the installed Optuna kept its tables in a way that we do not know."""
    if request.param == "the code of Optuna":
        monkeypatch.setattr(revisions, "KNOWN", "v0.0.0.a")
    opened = RoundStorage(f"sqlite:///{path}")
    yield opened
    opened.close()


OURS, THEIRS = leases.this_process(), leases.this_process()


def points(numbers: Sequence[int]) -> list[Slot]:
    return [
        Slot(n, {"rate": 1e-4 * (n % 9 + 1), "decay": 0.25, "units": 8 + n % 9, "norm": None})
        for n in numbers
    ]


def of_study(study_id: int, owner: Owner) -> Owner:
    """An owner is one of one study."""
    return owner._replace(uid=f"{study_id:08x}{owner.uid[8:]}")


@contextmanager
def on_study(rounds: RoundStorage, study_id: int) -> Iterator[tuple[sa.Connection, str]]:
    """A transaction that holds the study's lock, and the experiment of the study."""
    uid = f"{study_id:032x}"
    with rounds.transaction() as connection:
        if catalogue.load_experiment(connection, uid) is None:
            catalogue.save_experiment(connection, bare(uid))
        slots.lock_study(connection, study_id, "any")
        yield connection, uid


def create(rounds: RoundStorage, study_id: int, numbers: Sequence[int]) -> bool:
    with rounds.transaction() as connection:
        return slots.create(connection, study_id, points(numbers), SPACE)


def claim(rounds: RoundStorage, study_id: int, below: int, owner: Owner = OURS) -> list[Slot]:
    with on_study(rounds, study_id) as (connection, uid):
        return leases.claim(connection, study_id, uid, of_study(study_id, owner), below)


def leave(rounds: RoundStorage, study_id: int, owner: Owner = OURS) -> None:
    with on_study(rounds, study_id) as (connection, uid):
        leases.leave(connection, study_id, uid, of_study(study_id, owner))


def finish(rounds: RoundStorage, study_id: int, *results: Result, owner: Owner = OURS) -> None:
    """Enter those results that are the owner's to enter."""
    owner = of_study(study_id, owner)
    with on_study(rounds, study_id) as (connection, uid):
        ids = leases.held(connection, uid, owner)
        slots.finish(connection, ids, [each for each in results if each.number in ids])
        leases.drop(connection, uid, owner, [each.number for each in results])


def result(number: int, value: float | None = 0.5, **rest: Any) -> Result:
    given = {"intermediate": {}, "attributes": {}} | rest
    return Result(number, value, **given)


def records(rounds: RoundStorage, study_id: int) -> list[TrialRecord]:
    with rounds.reading() as connection:
        return history.trials(connection, study_id)


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
    assert [trial.params for trial in found] == [slot.params for slot in points(range(5))]
    assert all(trial.distributions == SPACE for trial in found)
    assert {(trial.datetime_start, trial.datetime_complete) for trial in found} == {(None, None)}


def test_a_claimed_slot_runs(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(3))
    assert claim(rounds, study_id, 2) == points(range(2))
    assert states(stock) == ["RUNNING", "RUNNING", "WAITING"]
    first, _, third = read(stock)
    assert just_now(first.datetime_start)
    assert third.datetime_start is None
    assert claim(rounds, study_id, 2, THEIRS) == []
    assert claim(rounds, study_id, 10, THEIRS) == points([2])


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
    assert complete.params == points([2])[0].params
    assert just_now(complete.datetime_complete)
    assert complete.duration is not None
    assert timedelta() <= complete.duration < timedelta(seconds=30)
    assert failed.values is None
    assert failed.user_attrs == {"reason": "diverged in epoch 3"}
    assert just_now(failed.datetime_complete)
    with stock() as storage:
        assert optuna.load_study(study_name="study", storage=storage).best_trial.number == 2


def test_a_pruned_slot_is_as_optuna_itself_leaves_one(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    steps = {1: 0.5, 2: 0.25, 4: 0.75}
    create(rounds, study_id, range(3))
    claim(rounds, study_id, 2)
    finish(
        rounds,
        study_id,
        result(0, 0.75, intermediate=steps, attributes={"epochs": 4}, pruned=True),
        result(1, None, pruned=True),  # without a single finite score
    )
    with stock() as storage:
        study = optuna.load_study(study_name="study", storage=storage)
        trial = study.ask()
        for step, value in steps.items():
            trial.report(value, step)
        study.tell(trial, state=TrialState.PRUNED)
    ours, empty, theirs = read(stock)
    for each in (ours, theirs):
        assert (each.state, each.value) == (TrialState.PRUNED, 0.75)
        assert each.intermediate_values == steps
    assert (empty.state, empty.values) == (TrialState.PRUNED, None)
    with rounds.reading() as connection:
        found = history.trials(connection, study_id, attributes=("epochs",), intermediate=True)
        assert history.states(connection, study_id) == {"PRUNED": 3}
    # Its value is no result: it does not count as one of a complete trial.
    assert [(each.state, each.value) for each in found] == [("PRUNED", None)] * 3
    assert [each.intermediate for each in found] == [steps, {}, steps]
    assert [each.attributes for each in found] == [{"epochs": 4}, {}, {}]
    assert [each.intermediate for each in records(rounds, study_id)] == [{}, {}, {}]


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


def test_slots_that_were_given_up_are_claimed_again(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(3))
    claim(rounds, study_id, 3)
    finish(rounds, study_id, result(1))
    leave(rounds, study_id)
    assert states(stock) == ["WAITING", "COMPLETE", "WAITING"]
    if revisions.installed() == revisions.KNOWN:  # Optuna's own code leaves it where it was
        assert read(stock)[0].datetime_start is None
    assert claim(rounds, study_id, 3) == points([0, 2])


def test_stock_optuna_goes_on_in_the_same_study(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(2))
    with stock() as storage:
        study = optuna.load_study(study_name="study", storage=storage)
        trial = study.ask()
        assert (trial.number, trial.params) == (0, points([0])[0].params)
        assert trial.suggest_float("rate", 1e-5, 1e-1, log=True) == points([0])[0].params["rate"]
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
    leave(rounds, study_id)
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
    chosen = draw(st.lists(point, min_size=1, max_size=4))
    steps = st.dictionaries(st.integers(0, 10**6), st.floats(), max_size=3)
    outcomes = st.builds(Result, st.just(0), st.none() | finite, steps, attributes)
    results = [
        Result(number, each.value, each.intermediate, each.attributes)
        for number, each in enumerate(draw(st.lists(outcomes, min_size=len(chosen), max_size=4)))
    ]
    return space, [Slot(*pair) for pair in enumerate(chosen)], results[: len(chosen)]


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
    space, drawn_points, results = drawn
    study_id = rounds.create_new_study([StudyDirection.MINIMIZE])
    with rounds.transaction() as connection:
        assert slots.create(connection, study_id, drawn_points, space)
    assert claim(rounds, study_id, len(drawn_points)) == drawn_points
    finish(rounds, study_id, *results)
    found = read(stock, rounds.get_study_name_from_id(study_id))
    assert [(each.number, each.params) for each in found] == drawn_points
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
        lambda: leave(rounds, study_id),
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
    gone = r"^the study was deleted while it was searched$"
    with pytest.raises(StudyGoneError, match=gone):
        create(rounds, study_id, range(2, 4))
    with rounds.reading() as connection, pytest.raises(StudyGoneError, match=gone):
        history.count(connection, study_id)
    finish(rounds, study_id, result(0))
    assert claim(rounds, study_id, 9) == []
    assert records(rounds, study_id) == []
    leave(rounds, study_id)


def test_the_lock_of_a_study_brings_an_attribute_of_it(rounds: RoundStorage, study_id: int) -> None:
    rounds.set_study_user_attr(study_id, "a", {"b": [1]})
    with rounds.transaction() as connection:
        assert slots.lock_study(connection, study_id, "a") == {"b": [1]}
        assert slots.lock_study(connection, study_id, "c") is None
        assert slots.lock_study(connection, study_id + 1, "a") is None


def test_a_result_is_recorded_once(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(2))
    claim(rounds, study_id, 2)
    finish(rounds, study_id, result(0, 0.5))
    finish(rounds, study_id, result(1, 0.25), result(0, 0.75))
    assert [trial.value for trial in read(stock)] == [0.5, 0.25]
    assert states(stock) == ["COMPLETE", "COMPLETE"]


def test_a_waiting_slot_cannot_finish(rounds: RoundStorage, study_id: int, stock: Stock) -> None:
    create(rounds, study_id, range(1))
    before = read(stock)
    finish(rounds, study_id, result(0, attributes={"a": 1}))
    assert read(stock) == before
    assert states(stock) == ["WAITING"]


def test_a_round_that_is_there_is_not_created_again(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    assert create(rounds, study_id, range(2))
    before = read(stock)
    # Two searches come to the same points, and the second one is late.
    assert not create(rounds, study_id, range(2))
    assert not create(rounds, study_id, range(1, 3))
    assert read(stock) == before
    assert create(rounds, study_id, range(2, 4))
    assert [trial.number for trial in read(stock)] == [0, 1, 2, 3]


def test_trials_of_another_program_push_a_round_back(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(2))
    with stock() as storage:
        study = optuna.load_study(study_name="study", storage=storage)
        for _ in range(3):
            study.ask()
    assert not create(rounds, study_id, range(2, 4))
    assert len(read(stock)) == 3
    assert create(rounds, study_id, range(3, 4))


def test_trials_that_are_gone_are_noticed_before_a_round_is_created(
    rounds: RoundStorage, study_id: int, path: Path
) -> None:
    create(rounds, study_id, range(2))
    sql(path, "DELETE FROM trials WHERE number = 1")
    with pytest.raises(
        StorageError, match="holds 1 trials where 2 were expected: another program removed some"
    ):
        create(rounds, study_id, range(2, 4))


def test_an_enqueued_trial_is_noticed_before_it_is_claimed(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    create(rounds, study_id, range(2))
    with stock() as storage:
        optuna.load_study(study_name="study", storage=storage).enqueue_trial({"rate": 1e-3})
    assert claim(rounds, study_id, 1) == points(range(1))
    finish(rounds, study_id, result(0))
    with pytest.raises(StorageError, match="trial 2 waits without parameters: another program"):
        claim(rounds, study_id, 3)
    assert states(stock) == ["COMPLETE", "WAITING", "WAITING"]
    assert claim(rounds, study_id, 2) == points([1])


def test_a_round_may_be_larger_than_a_statement(
    rounds: RoundStorage, study_id: int, stock: Stock
) -> None:
    if revisions.installed() != revisions.KNOWN:
        pytest.skip("Optuna's own code has such a limit")
    rounds.engine.dispose()

    @sa.event.listens_for(rounds.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 99)

    size = 1200
    create(rounds, study_id, range(size))
    assert claim(rounds, study_id, size) == points(range(size))
    finish(rounds, study_id, *(result(number, number / size) for number in range(size)))
    assert [trial.value for trial in read(stock)] == [number / size for number in range(size)]


# What is read of a study


def test_a_study_in_numbers(rounds: RoundStorage, study_id: int) -> None:
    other = rounds.create_new_study([StudyDirection.MAXIMIZE], "other")
    for each in (study_id, other):
        create(rounds, each, range(6))
    claim(rounds, study_id, 4)
    finish(rounds, study_id, result(0), result(2, None))
    with rounds.reading() as connection:
        assert history.studies(connection) == {"study": study_id, "other": other}
        assert history.count(connection, study_id) == 6
        assert history.states(connection, study_id) == {
            "COMPLETE": 1,
            "FAIL": 1,
            "RUNNING": 2,
            "WAITING": 2,
        }
        ids = {each.number: each.trial_id for each in history.trials(connection, study_id)}
        trial_id = models.TrialModel.__table__.c.trial_id
        several = sa.select(trial_id).where(trial_id.in_([ids[3], ids[4]]))
        nothing = several.where(sa.false())

        def waiting(*arguments: Any) -> list[int]:
            found = history.waiting(connection, study_id, *arguments)
            assert all(ids[number] == trial_id for number, trial_id in found)
            return [number for number, _ in found]

        assert waiting(6, 0, nothing) == [4, 5]
        assert waiting(5, 0, nothing) == [4]
        assert waiting(6, ids[5], nothing) == [5]
        assert waiting(6, 0, several) == [5]
        both = {"RUNNING", "WAITING"}
        for below, left in enumerate([set(), set(), {"RUNNING"}, {"RUNNING"}, {"RUNNING"}, both]):
            assert history.unfinished(connection, study_id, below) == left
        assert history.unfinished(connection, study_id, 6, ids[3]) == both
        assert history.unfinished(connection, study_id, 6, ids[4]) == {"WAITING"}
        assert history.running(connection, several) == {3: ids[3]}
        assert history.params_of(connection, []) == {}
        expected = {slot.number: slot.params for slot in points([0, 3, 5])}
        assert history.params_of(connection, [ids[5], ids[0], ids[3]]) == expected


def test_later_trials_alone_and_with_one_attribute(rounds: RoundStorage, study_id: int) -> None:
    create(rounds, study_id, range(3))
    claim(rounds, study_id, 2)
    first = result(0, 0.5, attributes={"a": 1, "b": 2})
    finish(rounds, study_id, first, result(1, 0.25, attributes={"b": 3}))
    everything = records(rounds, study_id)
    with rounds.reading() as connection:
        since = everything[1].trial_id
        assert history.trials(connection, study_id, since) == everything[1:]
        found = history.trials(connection, study_id, 0, ("a",))
    assert [each.attributes for each in found] == [{"a": 1}, {}, {}]
    assert [replace(each, attributes={}) for each in found] == [
        replace(each, attributes={}) for each in everything
    ]


def test_studies_are_found_by_their_very_name(rounds: RoundStorage, study_id: int) -> None:
    with rounds.reading() as connection:
        assert history.find_study(connection, "study") == study_id
        assert history.find_study(connection, "Study") is None
        assert history.find_study(connection, "stud_") is None


def test_user_attributes_of_studies(rounds: RoundStorage, study_id: int) -> None:
    other = rounds.create_new_study([StudyDirection.MAXIMIZE], "other")
    rounds.set_study_user_attr(study_id, "a", {"b": [1, None]})
    rounds.set_study_user_attr(other, "a", "ü")
    rounds.set_study_user_attr(other, "c", 1)
    rounds.set_study_system_attr(other, "d", 2)
    with rounds.reading() as connection:
        assert history.study_attributes(connection, study_id) == {"a": {"b": [1, None]}}
        assert history.study_attributes(connection, other) == {"a": "ü", "c": 1}
        assert history.study_attributes(connection, other + 1) == {}
        named = history.attributes_named(connection, "a")
        assert named == {study_id: {"b": [1, None]}, other: "ü"}


def test_a_study_is_entered_whole(rounds: RoundStorage, stock: Stock) -> None:
    with rounds.transaction() as connection:
        study_id = slots.create_study(connection, "new", "r2", {"a": [1], "b": "ü"})
    with stock() as storage:
        study = optuna.load_study(study_name="new", storage=storage)
        assert study._study_id == study_id
        assert study.direction == StudyDirection.MAXIMIZE
        assert study.user_attrs == {"a": [1], "b": "ü"}
        assert study.metric_names == ["r2"]
        assert study.trials == []


def test_a_study_of_several_objectives(rounds: RoundStorage, stock: Stock) -> None:
    """Its values are stored and read in their order, those of failed trials nowhere."""
    results = [
        Result(0, 0.5, {}, {}, costs=(30.0, 0.25)),
        Result(1, None, {}, {"reason": "diverged"}, costs=(20.0, 0.125)),
        Result(2, 0.75, {}, {}, costs=(10.0, 0.5)),
    ]
    with rounds.transaction() as connection:
        study_id = slots.create_study(connection, "new", "r2", {"a": 1}, ("size", "latency"))
    create(rounds, study_id, range(3))
    assert [slot.number for slot in claim(rounds, study_id, 3)] == [0, 1, 2]
    finish(rounds, study_id, *results)
    with rounds.reading() as connection:
        found = history.trials(connection, study_id)
        assert [(each.value, each.costs) for each in found] == [
            (0.5, (30.0, 0.25)),
            (None, ()),
            (0.75, (10.0, 0.5)),
        ]
        seen = optuna_trials.trials(connection, study_id)
        assert [(each.value, each.costs) for each in seen] == [
            (each.value, each.costs) for each in found
        ]
    with stock() as storage:
        study = optuna.load_study(study_name="new", storage=storage)
        maximise, minimise = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        assert study.directions == [maximise, minimise, minimise]
        assert study.metric_names == ["r2", "size", "latency"]
        assert [trial.values for trial in study.trials] == [
            [0.5, 30.0, 0.25],
            None,
            [0.75, 10.0, 0.5],
        ]
        assert {trial.number for trial in study.best_trials} == {0, 2}


def test_a_cost_is_finite() -> None:
    with pytest.raises(ValueError, match="trial 3 has the value inf: it must be finite"):
        Result(3, 0.5, {}, {}, costs=(math.inf,))
