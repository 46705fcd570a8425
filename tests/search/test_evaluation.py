"""Slots to outcomes: the same in any stack and any process, and nothing lost when one dies."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from hpo.data.loading import load
from hpo.data.metrics import METRICS
from hpo.nn.network import predict
from hpo.preparation import prepare
from hpo.search import evaluation, processes, streams
from hpo.search.evaluation import Outcome, OutOfTimeError, Slot, Workers, row_order, train_slots
from hpo.search.problem import Problem
from hpo.search.space import SearchSpace
from hpo.search.stacks import stacks
from hpo.settings import Settings
from tests.search import chunks
from tests.search.chunks import kills_for_a_wild_rate

# Workers cannot import test modules, so what stands here travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
cloudpickle.register_pickle_by_value(chunks)


def problem(name: str = "iris", epochs: int = 8, optimizer: str = "adam") -> Problem:
    task = "regression" if name == "diabetes" else "classification"
    settings = Settings(
        target=None,
        header=True,
        numeric=(),
        task=task,  # type: ignore[arg-type]
        metric="r2" if task == "regression" else "accuracy",
        space=SearchSpace().to_json(),
        hidden=(16,),
        epochs=epochs,
        optimizer=optimizer,
    )
    return prepare(load(name), settings).problem


def slots(count: int, rate: float = 1e-2) -> list[Slot]:
    decays = np.geomspace(1e-4, 1, count)
    return [
        Slot(number, {"learning_rate": rate, "weight_decay": float(decay)})
        for number, decay in enumerate(decays)
    ]


def essence(outcome: Outcome) -> tuple[object, ...]:
    assert outcome.params is not None
    assert outcome.prediction is not None
    assert outcome.curves is not None
    return (
        outcome.number,
        outcome.value,
        outcome.train_value,
        outcome.epochs,
        outcome.best_epoch,
        outcome.params.tobytes(),
        outcome.prediction.tobytes(),
        {name: curve.tobytes() for name, curve in outcome.curves.items()},
    )


def by_number(workers: Workers, chosen: list[Slot]) -> dict[int, Outcome]:
    outcomes = [each for group in workers.evaluate(chosen) for each in group]
    assert len({each.number for each in outcomes}) == len(outcomes), "a slot was trained twice"
    return {each.number: each for each in outcomes}


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_any_number_of_workers_gives_the_same_outcomes(name: str) -> None:
    task = problem(name)
    alone = {slot.number: essence(train_slots(task, [slot])[0]) for slot in slots(7)}
    for n_workers in (1, 2, 3):
        found = by_number(Workers(task, n_workers), slots(7))
        assert {number: essence(each) for number, each in found.items()} == alone


def test_each_trial_starts_from_its_seed_and_number() -> None:
    task = problem("iris", epochs=1)
    params = {"learning_rate": 0.0, "weight_decay": 0.0}
    outcomes = train_slots(task, [Slot(0, params), Slot(1, params)])
    outcomes += train_slots(dataclasses.replace(task, seed=1), [Slot(0, params)])
    assert len({each.params.tobytes() for each in outcomes if each.params is not None}) == 3


def test_each_trial_decays_as_its_parameter_says() -> None:
    task = problem("iris", epochs=1)
    weights = []
    for decay in (0.0, 10.0):
        (outcome,) = train_slots(task, [Slot(0, {"learning_rate": 1e-2, "weight_decay": decay})])
        assert outcome.params is not None
        weights.append(
            np.concatenate(
                [each.weights.ravel() for each in task.architecture.layers(outcome.params[None])]
            )
        )
    # Three steps, each of which takes a tenth off times the schedule's factor: the cosine of the
    # first, second and last third, 1, 3/4 and 1/4. So 0.9 * 0.925 * 0.975 is left, about.
    assert np.linalg.norm(weights[1]) < 0.85 * np.linalg.norm(weights[0])


def test_the_time_of_a_stack_is_shared_by_its_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=iter([10.0, 16.0]).__next__)
    monkeypatch.setattr(evaluation, "time", clock)
    assert [each.seconds for each in train_slots(problem(epochs=1), slots(3))] == [2.0] * 3


def test_no_two_purposes_share_a_stream() -> None:
    # Trailing zeros do not change a SeedSequence, so trial 0 would have the stream of the order.
    words = [streams.MEMBER, streams.ROW_ORDER, streams.REPLICATES]
    assert len(set(words)) == len(words)
    assert row_order(3) == (3, streams.ROW_ORDER)


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_values_are_the_metric_of_the_stored_network(name: str) -> None:
    task = problem(name)
    outcome = train_slots(task, slots(2))[1]
    assert outcome.params is not None
    assert outcome.prediction is not None
    score = accuracy_score if name == "iris" else r2_score

    def scored(X: np.ndarray, target: np.ndarray) -> float:
        raw = predict(task.architecture, outcome.params[None], X)[0]  # type: ignore[index]
        units = raw.argmax(axis=1) if name == "iris" else task.target.inverse(raw)[:, 0]
        return float(score(target, units))

    assert outcome.value == pytest.approx(scored(task.validation.X, task.validation_target))
    assert outcome.train_value == pytest.approx(scored(task.training.X, task.training_target))
    best = outcome.best_epoch - 1
    assert outcome.curves is not None
    assert outcome.curves["val_score"][best] == pytest.approx(outcome.value, abs=1e-5)
    if name == "diabetes":
        residual = 2 * outcome.curves["train_loss"] * task.target.deviation**2
        r2 = 1 - residual / task.training_target.var()
        assert outcome.curves["train_score"] == pytest.approx(r2, abs=1e-5)
    stored = task.metric(task.in_units(outcome.prediction[None]), task.validation_target)
    assert stored == outcome.value


def test_curves_end_with_the_last_epoch() -> None:
    task = problem("iris", epochs=200)
    task = dataclasses.replace(task, settings=dataclasses.replace(task.settings, patience=2))
    (outcome,) = train_slots(task, slots(1, rate=0.1))
    assert outcome.epochs == outcome.best_epoch + 2 < 200
    assert outcome.curves is not None
    assert {len(curve) for curve in outcome.curves.values()} == {outcome.epochs}
    assert all(np.isfinite(curve).all() for curve in outcome.curves.values())
    assert max(outcome.intermediate) == outcome.epochs


def test_intermediate_values_at_powers_of_two_and_the_last_epoch() -> None:
    scores = np.arange(11.0)
    outcome = Outcome(0, 1.0, None, 0.0, curves={"val_score": scores})
    assert outcome.intermediate == {1: 0.0, 2: 1.0, 4: 3.0, 8: 7.0, 11: 10.0}
    shorter = dataclasses.replace(outcome, curves={"val_score": scores[:1]})
    assert shorter.intermediate == {1: 0.0}


def test_a_diverged_slot_fails_with_its_epoch_and_harms_nobody() -> None:
    task = problem("diabetes", optimizer="sgd")
    wild = Slot(3, {"learning_rate": 1e6, "weight_decay": 0.0})
    tame = Slot(4, {"learning_rate": 1e-2, "weight_decay": 0.1})
    failed, fine = train_slots(task, [wild, tame])
    assert failed.value is None
    assert failed.reason is not None
    assert "diverged in epoch 1" in failed.reason
    assert (failed.epochs, failed.params, failed.prediction) == (1, None, None)
    assert failed.curves is not None
    assert [len(curve) for curve in failed.curves.values()] == [1, 1, 1, 1]
    assert all(math.isfinite(value) for value in failed.intermediate.values())
    assert essence(fine) == essence(train_slots(task, [tame])[0])


@pytest.mark.parametrize("rows", ["training", "validation"])
def test_a_score_that_is_not_finite_is_a_failed_trial(rows: str) -> None:
    """A network may fit one part and overflow on the other; neither score may be stored."""
    task = problem("diabetes", epochs=3)
    target = f"{rows}_target"
    task = dataclasses.replace(task, **{target: np.full_like(getattr(task, target), np.nan)})
    (outcome,) = train_slots(task, slots(1))
    assert (outcome.value, outcome.train_value) == (None, None)
    assert outcome.reason == "r2 was not finite after epoch 3"
    assert outcome.curves is not None
    assert len(outcome.curves["val_loss"]) == 3


def test_stacks_are_bounded_by_members_and_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    task = problem("iris")
    needed = task.member_bytes(task.recipe)

    def sizes(count: int, n_workers: int) -> list[int]:
        return [len(stack) for stack in stacks(task, slots(count), n_workers)]

    assert sizes(130, 1) == [44, 44, 42]  # as alike as can be
    assert sizes(64, 1) == [64]
    assert sizes(130, 2) == [33, 33, 33, 31]
    assert sizes(9, 4) == [3, 3, 3]
    assert sizes(2, 4) == [1, 1]
    monkeypatch.setattr("hpo.search.stacks.STACK_BYTES", 5 * needed + 1)
    assert sizes(12, 1) == [4, 4, 4]
    monkeypatch.setattr("hpo.search.stacks.STACK_BYTES", needed - 1)
    assert sizes(2, 1) == [1, 1]


def test_a_member_takes_about_what_is_said() -> None:
    """By hand: 4 inputs, 16 and 3 units, batches of 32, blocks of 512 and 24 validation rows."""
    parameters = 4 * 16 + 16 + 16 * 3 + 3
    state = 5 * parameters  # with their gradient, Adam's two buffers and the best ones
    activations = (2 * 32 + 512) * (16 + 3)
    task = problem("iris")
    assert task.member_bytes(task.recipe) == 4 * (state + activations + 2 * 24 * 3)


def test_a_worker_that_is_killed_loses_only_the_culprit() -> None:
    task = problem("diabetes", epochs=3, optimizer="sgd")
    deadly = dataclasses.replace(METRICS["r2"], loss_of_rows=kills_for_a_wild_rate)
    task = dataclasses.replace(task, metric=deadly)
    chosen = slots(6)
    chosen[4] = Slot(4, {"learning_rate": 1e6, "weight_decay": 0.0})
    found = by_number(Workers(task, 2), chosen)
    assert sorted(found) == list(range(6))
    assert found[4].value is None
    assert found[4].reason == "the worker process was killed while it trained"
    assert all(found[number].value is not None for number in (0, 1, 2, 3, 5))


def hungry(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    if len(prediction) > 1:
        raise MemoryError
    return np.asarray((prediction[..., 0] - target) ** 2)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_without_memory_for_a_stack_slots_are_trained_alone(n_workers: int) -> None:
    task = problem("diabetes", epochs=3)
    metric = dataclasses.replace(METRICS["accuracy"], loss_of_rows=hungry)
    found = by_number(Workers(dataclasses.replace(task, metric=metric), n_workers), slots(4))
    assert sorted(found) == [0, 1, 2, 3]
    assert all(each.value is not None for each in found.values())


def test_who_stops_asking_hears_nothing_of_the_rest() -> None:
    """Warnings are errors here, and joblib warns of work that nobody waited for."""
    outcomes = Workers(problem("iris", epochs=300), 2).evaluate(slots(4))
    assert len(next(outcomes)) == 2
    outcomes.close()  # type: ignore[attr-defined]


def starving(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    raise MemoryError


def test_a_slot_that_finds_no_memory_alone_fails_with_the_reason() -> None:
    task = problem("diabetes", epochs=1)
    metric = dataclasses.replace(METRICS["accuracy"], loss_of_rows=starving)
    found = by_number(Workers(dataclasses.replace(task, metric=metric), 1), slots(2))
    assert [each.value for each in found.values()] == [None, None]
    assert {each.reason for each in found.values()} == {"there was not enough memory to train it"}


def test_a_fault_of_the_program_is_no_failed_trial() -> None:
    task = problem("iris", epochs=1)
    broken = [Slot(0, {"weight_decay": 1e-2})]
    with pytest.raises(TypeError):
        by_number(Workers(task, 1), broken)


# Deadlines


def clock(*moments: float) -> SimpleNamespace:
    """A clock that shows these moments one after the other, and then no more."""
    return SimpleNamespace(time=iter(moments).__next__, perf_counter=lambda: 0.0)


def test_a_deadline_that_is_not_reached_changes_nothing() -> None:
    task = problem()
    free, bound = train_slots(task, slots(3)), train_slots(task, slots(3), time.time() + 3600)
    assert [essence(each) for each in bound] == [essence(each) for each in free]


def test_training_ends_with_the_epoch_in_which_the_deadline_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = clock(1.0, 2.9, 3.0)
    monkeypatch.setattr(evaluation, "time", shown)
    with pytest.raises(OutOfTimeError):
        train_slots(problem(epochs=8), slots(2), 3.0)
    with pytest.raises(StopIteration):
        shown.time()  # it was asked three times, once an epoch


def test_without_a_deadline_the_clock_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "time", clock())
    assert len(train_slots(problem(epochs=2), slots(2))) == 2


@pytest.mark.parametrize(("now", "over"), [(2.9, False), (3.0, True), (3.1, True)])
def test_it_is_over_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, now: float, over: bool
) -> None:
    monkeypatch.setattr(evaluation, "time", clock(now))
    assert Workers(problem(epochs=1), 1, 3.0).is_over() == over
    monkeypatch.setattr(evaluation, "time", clock(now))
    assert not Workers(problem(epochs=1), 1).is_over()


def test_what_is_not_trained_in_time_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three stacks of two: one is done in time, one is broken off, one is not begun."""
    task = problem(epochs=2)
    alone = {slot.number: essence(train_slots(task, [slot])[0]) for slot in slots(6)}
    monkeypatch.setattr("hpo.search.stacks.MOST_MEMBERS", 2)
    # Each stack is begun by a look at the clock, and each of its epochs ends with one.
    shown = clock(0, 0, 0, 0, 9, 9)
    monkeypatch.setattr(evaluation, "time", shown)
    found = by_number(Workers(task, 1, 9.0), slots(6))
    assert {number: essence(each) for number, each in found.items()} == {0: alone[0], 1: alone[1]}
    with pytest.raises(StopIteration):
        shown.time()


@pytest.mark.parametrize("n_workers", [1, 2])
def test_endless_training_ends_soon_after_the_deadline(n_workers: int) -> None:
    task = problem(epochs=10**6)
    task = dataclasses.replace(task, settings=dataclasses.replace(task.settings, patience=None))
    began = time.monotonic()
    workers = Workers(task, n_workers, time.time() + 0.5)
    assert list(workers.evaluate(slots(4))) == []
    assert workers.is_over()
    assert 0.4 < time.monotonic() - began < 30


def test_nothing_is_begun_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "train_slots", None)
    assert list(Workers(problem(), 1, time.time()).evaluate(slots(4))) == []


def test_slots_are_trained_alone_only_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stack that found no memory; what is left out waits, and has not failed."""
    task = problem("diabetes", epochs=1)
    metric = dataclasses.replace(METRICS["accuracy"], loss_of_rows=starving)
    task = dataclasses.replace(task, metric=metric)
    began = []

    def each(*_: object) -> Iterator[tuple[int, list[Outcome]]]:
        began.append(time.time())
        raise MemoryError

    monkeypatch.setattr(processes, "_each", each)
    assert by_number(Workers(task, 1, time.time()), slots(3)) == {}
    assert len(began) == 1
