"""The live block, drawn into a string: nothing is lost on a narrow terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from hpo.cli.progress import _bar, _follow_plainly, _Progress, say
from hpo.search.evaluation import Outcome, Slot
from hpo.search.loop import Event, OthersTrain, Recorded, RoundClaimed
from hpo.search.narrowing import NarrowingSettings
from storage.records import TrialRecord

LOG = FloatDistribution(1e-4, 1.0, log=True)


@pytest.mark.parametrize(
    ("low", "high", "drawn"),
    [
        (1e-4, 1.0, "████████"),
        (1e-4, 1e-2, "████────"),
        (1e-2, 1.0, "────████"),
        (1e-3, 1e-1, "──████──"),
        (0.99, 1.0, "───────█"),
        (1e-4, 1.01e-4, "█───────"),
    ],
)
def test_the_bar_shows_the_range_in_the_logarithm(low: float, high: float, drawn: str) -> None:
    assert _bar(LOG, [low, high], 8).plain == drawn


@pytest.mark.parametrize("cells", [0, 1, 2, 24])
def test_the_bar_is_as_wide_as_asked(cells: int) -> None:
    for low, high in [(1e-4, 1.0), (1e-3, 2e-3), (0.5, 1.0)]:
        assert len(_bar(LOG, [low, high], cells).plain) == cells


def test_a_range_of_one_logarithm_is_drawn() -> None:
    low, high = 1e-3, 1.0000000000000002e-3
    assert len(_bar(FloatDistribution(low, high, log=True), [low, high], 8).plain) == 8


def test_a_linear_range_is_drawn_linearly() -> None:
    assert _bar(FloatDistribution(0, 10), [5, 10], 10).plain == "─────█████"


def progress(*trials: TrialRecord, total: int = 10) -> _Progress:
    """The state before a search of a study that holds these trials already, four to a round."""
    store = SimpleNamespace(trials=lambda: list(trials))
    experiment = SimpleNamespace(
        study="s",
        store=store,
        narrowing=NarrowingSettings(0, trials_per_round=4, n_rounds=2),
        settings=SimpleNamespace(metric="accuracy", cv=None),
    )
    return _Progress.of(experiment, total)  # type: ignore[arg-type]


def complete(number: int, value: float) -> TrialRecord:
    return TrialRecord(number, "COMPLETE", value, {"learning_rate": 10.0**-number}, {"train": 0.5})


def claimed(index: int, *numbers: int) -> RoundClaimed:
    slots = tuple(Slot(number, {"learning_rate": 10.0**-number}) for number in numbers)
    return RoundClaimed(index, {"learning_rate": [1e-4, 1.0]}, slots)


def recorded(values: dict[int, float | None]) -> Recorded:
    return Recorded(tuple(Outcome(number, value, None, 0.0) for number, value in values.items()))


def test_the_line_of_a_search_that_begins() -> None:
    state = progress()
    state.take(claimed(0, 0, 1, 2, 3))
    assert re.fullmatch(r"s: round 1/3, 0/10 trials, no score yet, \d+ s", state.line())
    state.take(recorded({2: 0.5, 3: None}))
    line = r"s: round 1/3, 2/10 trials, 1 failed, best val acc 0.500 \(trial 2\), lr: 1.00e-02, "
    assert re.fullmatch(line + r"\d+ s left", state.line())


def test_pruned_trials_are_counted_and_are_never_best() -> None:
    state = progress(TrialRecord(0, "PRUNED", None, {}, {}))
    assert ", 1/10 trials, 1 pruned, no score yet" in state.line()
    state.take(claimed(0, 1, 2, 3))
    gone = Outcome(1, None, None, 0.0, curves={"val_score": np.array([0.9])}, pruned=True)
    state.take(Recorded((gone,)))
    state.take(recorded({2: 0.5, 3: None}))
    assert ", 4/10 trials, 2 pruned, 1 failed, best val acc 0.500 (trial 2)" in state.line()


def test_of_equal_scores_the_lower_number_is_best() -> None:
    state = progress()
    state.take(claimed(0, 0, 1, 2, 3))
    state.take(recorded({1: 0.5, 2: 0.5}))
    assert "0.500 (trial 1)" in state.line()
    state.take(recorded({0: 0.5}))
    assert "0.500 (trial 0)" in state.line()
    state.take(recorded({3: 0.75}))
    assert "0.750 (trial 3)" in state.line()


def test_a_search_that_goes_on_counts_what_was_there() -> None:
    state = progress(
        complete(0, 0.75),
        TrialRecord(1, "FAIL", None, {}, {}),
        TrialRecord(2, "WAITING", None, {}, {}),
    )
    assert state.line().startswith("s: round 1/3, 2/10 trials, 1 failed, best val acc 0.750 (tri")
    assert "lr: 1.00e+00" in state.line()
    state.started -= 20
    state.take(claimed(0, 2, 3))
    state.take(recorded({2: 0.5, 3: 0.5}))
    # Two were trained in 20 seconds, and six are left.
    assert state.line().endswith("best val acc 0.750 (trial 0), lr: 1.00e+00, 60 s left")


def test_a_total_that_is_passed_already() -> None:
    done = [complete(number, 0.5) for number in range(6)]
    assert "6/6 trials" in progress(*done, total=3).line()


def test_while_others_train_it_is_seen_what_they_have_done(monkeypatch: pytest.MonkeyPatch) -> None:
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

    clock = [100.0]
    monkeypatch.setattr("hpo.cli.progress.time.monotonic", lambda: clock[0])
    state.experiment.store.trials = look  # type: ignore[method-assign]
    for moment in (100.0, 100.5, 100.9, 101.0, 101.1):
        clock[0] = moment
        state.take(OthersTrain())
    assert looks == [100.0, 101.0], "not more than once a second"
    assert (
        "5/8 trials, 1 pruned, 1 failed, best val acc 0.200 (trial 2), lr: 1.00e-02" in state.line()
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

    _follow_plainly(state, until_the_others_are_done())
    assert "4/4 trials, best val acc 0.300 (trial 3)" in capsys.readouterr().err.splitlines()[-1]


def test_the_last_line_is_printed_whatever_was_printed_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events: list[Event] = [
        claimed(0, 0, 1),
        recorded({0: 0.5}),
        recorded({1: 0.5}),
    ]
    _follow_plainly(progress(total=2), events)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", ")[1] for line in lines] == ["1/2 trials", "2/2 trials"]


def test_nobody_reading_the_progress_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", gone)
    say("unheard")
