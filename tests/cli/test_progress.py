"""The state of a search, event by event, and the lines that are printed of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from hpo.cli.block import line
from hpo.cli.display import Lines
from hpo.cli.frame import say
from hpo.cli.progress import Progress
from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import Event, OthersTrain, Recorded, RoundClaimed
from hpo.search.narrowing import NarrowingSettings
from hpo.search.repeats import Retrained
from storage.records import RoundRecord, SelectionRecord, TrialRecord

FULL = [1e-4, 1.0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock, whose first and only place says what time it is."""
    now = [100.0]
    for module in ("progress", "display"):
        time = SimpleNamespace(monotonic=lambda: now[0], time=lambda: 1000 + now[0])
        monkeypatch.setattr(f"hpo.cli.{module}.time", time)
    return now


def progress(*trials: TrialRecord, total: int = 10, **options: float) -> Progress:
    """The state before a search of a study that holds these trials already, four to a round."""
    space = SimpleNamespace(distributions={"learning_rate": FloatDistribution(1e-4, 1.0, log=True)})
    rounds = [
        RoundRecord(index, {"learning_rate": [1e-4, 10.0**-index]})
        for index in sorted({each.number // 4 for each in trials})
    ]
    experiment = SimpleNamespace(
        study="s",
        store=SimpleNamespace(trials=lambda: list(trials), space=space),
        rounds=lambda: rounds,
        narrowing=NarrowingSettings(0, trials_per_round=4, n_rounds=2),
        settings=SimpleNamespace(metric="accuracy", cv=None),
    )
    return Progress(experiment, total, **options)  # type: ignore[arg-type]


def shown(state: Progress) -> str:
    return line(state.standing, state.passing())


def complete(number: int, value: float) -> TrialRecord:
    return TrialRecord(number, "COMPLETE", value, {"learning_rate": 10.0**-number}, {"train": 0.5})


def claimed(index: int, *numbers: int) -> RoundClaimed:
    slots = tuple(Slot(number, {"learning_rate": 10.0**-number}) for number in numbers)
    return RoundClaimed(index, {"learning_rate": FULL}, slots)


def recorded(values: dict[int, float | None]) -> Recorded:
    return Recorded(tuple(Outcome(number, value, None, 0.0) for number, value in values.items()))


def test_the_line_of_a_search_that_begins(clock: list[float]) -> None:
    state = progress()
    state.take(claimed(0, 0, 1, 2, 3))
    clock[0] += 2.5
    assert shown(state) == "s: round 1/3, 0/10 trials, no score yet, 3 s so far"
    state.take(recorded({2: 0.5, 3: None}))
    # Two took 2.5 seconds, and eight are left.
    assert shown(state) == (
        "s: round 1/3, 2/10 trials, 1 failed, best val acc 0.500 (trial 2), lr: 1.00e-02, 10 s left"
    )


def test_pruned_trials_are_counted_and_are_never_best() -> None:
    state = progress(TrialRecord(0, "PRUNED", None, {}, {}))
    assert ", 1/10 trials, 1 pruned, no score yet" in shown(state)
    state.take(claimed(0, 1, 2, 3))
    gone = Outcome(1, None, None, 0.0, curves={"val_score": np.array([0.9])}, pruned=True)
    state.take(Recorded((gone,)))
    state.take(recorded({2: 0.5, 3: None}))
    assert ", 4/10 trials, 2 pruned, 1 failed, best val acc 0.500 (trial 2)" in shown(state)


def test_of_equal_scores_the_cheaper_one_is_best_and_then_the_older() -> None:
    state = progress()
    state.take(claimed(0, 0, 1, 2, 3))
    state.take(recorded({1: 0.5, 2: 0.5}))
    assert "0.500 (trial 1)" in shown(state)
    state.take(recorded({0: 0.5}))
    assert "0.500 (trial 0), lr: 1.00e+00" in shown(state)
    state.take(recorded({3: 0.75}))
    assert "0.750 (trial 3), lr: 1.00e-03" in shown(state)
    costly = progress()
    costly.take(claimed(0, 0, 1))
    for number, cost in ((0, 3.0), (1, 2.0)):
        costly.take(Recorded((Outcome(number, 0.5, None, 0.0, costs=(cost,)),)))
    assert "0.500 (trial 1)" in shown(costly)


def test_a_search_that_goes_on_counts_what_was_there(clock: list[float]) -> None:
    state = progress(
        complete(0, 0.75),
        TrialRecord(1, "FAIL", None, {}, {}),
        TrialRecord(2, "WAITING", None, {}, {}),
    )
    assert shown(state).startswith("s: round 1/3, 2/10 trials, 1 failed, best val acc 0.750 (tri")
    assert "lr: 1.00e+00" in shown(state)
    state.take(claimed(0, 2, 3))
    clock[0] += 20
    state.take(recorded({2: 0.5, 3: 0.5}))
    # Two were trained in 20 seconds, and six are left.
    assert shown(state).endswith("best val acc 0.750 (trial 0), lr: 1.00e+00, 60 s left")
    clock[0] += 7
    assert shown(state).endswith(", 53 s left")
    clock[0] += 60
    assert shown(state).endswith(", 1 s left"), "never less, while there is something to do"


def test_no_more_time_is_left_than_until_the_deadline(clock: list[float]) -> None:
    state = progress(deadline=1130.0)
    assert shown(state).endswith(", 30 s left")
    state.take(claimed(0, 0, 1))
    clock[0] += 10
    state.take(recorded({0: 0.5, 1: 0.5}))
    assert shown(state).endswith(", 20 s left")
    clock[0] += 40
    assert shown(state).endswith(", 1 s left")


def test_the_networks_that_choose_the_winner_are_counted(clock: list[float]) -> None:
    done = [complete(number, 0.5) for number in range(6)]
    state = progress(*done, total=6)
    assert "left" not in shown(state)
    state.hear(Retrained(6, 0, 30))
    clock[0] += 10
    state.hear(Retrained(6, 20, 30))
    said = "training the best 6 again to choose the winner, 20/30 networks, 5 s left"
    assert shown(state).endswith(said)
    state.hear(Retrained(1, 0, 5, rows=1437))
    clock[0] += 4
    state.hear(Retrained(1, 4, 5, rows=1437))
    said = "training the winner again on all 1437 rows, 4/5 networks, 1 s left"
    assert shown(state).endswith(said)
    state.hear(Retrained(1, 5, 5, rows=1437))
    assert shown(state).endswith("5/5 networks")
    state.end(SelectionRecord(6, 5, 0, "", {"candidates": []}))
    assert shown(state).endswith("lr: 1.00e+00")
    assert state.standing.chosen is not None


def test_a_total_that_is_passed_already() -> None:
    done = [complete(number, 0.5) for number in range(6)]
    assert shown(progress(*done, total=3)).startswith("s: round 2/2, 6/6 trials")


def test_events_and_the_storage_lead_to_the_same() -> None:
    state = progress(total=6)
    trials = [complete(number, [0.5, 0.75, 0.25, 0.75, 0.5][number]) for number in range(5)]
    trials.append(TrialRecord(5, "FAIL", None, {}, {}))
    state.take(claimed(0, 0, 1, 2, 3))
    state.take(recorded({each.number: each.value for each in trials[:4]}))
    second = RoundClaimed(1, {"learning_rate": [1e-4, 0.1]}, claimed(1, 4, 5).slots)
    state.take(second)
    state.take(recorded({4: 0.5, 5: None}))
    assert state.standing == progress(*trials, total=6).standing
    # What a search that died had begun, of an earlier round, does not turn the display back.
    state.take(claimed(0, 2))
    assert state.standing.index == 1


def test_while_others_train_it_is_seen_what_they_have_done(clock: list[float]) -> None:
    state = progress(total=8)
    state.take(claimed(0, 0, 1))
    state.take(recorded({0: 0.5, 1: 0.5}))
    trials = [complete(number, number / 10) for number in range(3)]
    others = {3: "FAIL", 4: "RUNNING", 5: "PRUNED"}
    trials += [TrialRecord(number, its_state, None, {}, {}) for number, its_state in others.items()]
    looks = []

    def look() -> list[TrialRecord]:
        looks.append(clock[0])
        return trials

    state.experiment.store.trials = look  # type: ignore[method-assign]
    for moment in (100.0, 100.5, 100.9, 101.0, 101.1):
        clock[0] = moment
        state.take(OthersTrain())
    assert looks == [100.0, 101.0], "not more than once a second"
    assert "5/8 trials, 1 pruned, 1 failed, best val acc 0.200 (trial 2), lr: 1.00e-02" in shown(
        state
    )


def test_the_last_line_counts_what_others_have_done_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = progress(total=4)
    events: list[Event] = [claimed(0, 0, 1), recorded({0: 0.5, 1: 0.25}), OthersTrain()]

    def until_the_others_are_done() -> Iterator[Event]:
        yield from events
        done = [complete(number, number / 10) for number in range(4)]
        state.experiment.store.trials = lambda: done  # type: ignore[method-assign]

    Lines(state).follow(until_the_others_are_done())
    assert "4/4 trials, best val acc 0.300 (trial 3)" in capsys.readouterr().err.splitlines()[-1]


def test_there_is_one_line_in_a_second_and_the_last_one_is_printed_whatever_was_before(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    def events() -> Iterator[Event]:
        yield claimed(0, 0, 1, 2, 3)
        for number in range(4):
            yield recorded({number: 0.5})
            clock[0] += 0.6

    lines = Lines(progress(total=4))
    lines.follow(events())
    counts = [each.split(", ")[1] for each in capsys.readouterr().err.splitlines()]
    assert counts == ["1/4 trials", "3/4 trials", "4/4 trials"]
    for done in (0, 1, 2, 2, 2):  # whoever waits for others hears the same again and again
        clock[0] += 0.3
        lines.hear(Retrained(2, done, 2))
    counts = [each.split(", ")[5] for each in capsys.readouterr().err.splitlines()]
    assert counts == ["1/2 networks", "2/2 networks"]


def test_nobody_reading_the_progress_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", gone)
    say("unheard")
