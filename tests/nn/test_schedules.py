"""Schedules against closed forms, PyTorch, and what training really applies."""

import json
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.schedules import SCHEDULES, Schedule
from hpo.nn.training import Start, train

NAMES = list(SCHEDULES)

any_steps = st.integers(1, 10_000)
any_warmup = st.floats(0, 1, exclude_max=True)


def factors(schedule: Schedule, steps: int) -> list[float]:
    return [schedule.factor(step, steps) for step in range(1, steps + 1)]


def drops(schedule: Schedule, done: Fraction) -> float:
    return schedule.decay ** math.floor(done / Fraction(schedule.every).limit_denominator(1000))


def rise_and_fall(_schedule: Schedule, done: Fraction) -> float:
    if done < Fraction(3, 10):
        return 1 / 25 + 24 / 25 * math.sin(math.pi / 2 * float(done) / 0.3) ** 2
    return 4e-6 + (1 - 4e-6) * math.cos(math.pi / 2 * (float(done) - 0.3) / 0.7) ** 2


CLOSED_FORMS: dict[str, Callable[[Schedule, Fraction], float]] = {
    "constant": lambda _schedule, _done: 1.0,
    "step": drops,
    "exponential": lambda schedule, done: math.exp(math.log(schedule.decay) * done),
    "cosine": lambda _schedule, done: math.cos(math.pi / 2 * done) ** 2,
    "one_cycle": rise_and_fall,
}


def closed_form(schedule: Schedule, step: int, steps: int) -> float:
    """The factor from the definitions, in fractions and other trigonometry than the module's.

    Of ``steps``, the first floor(warmup * steps) warm up, and the others run from progress 0.
    """
    warm = Fraction(str(schedule.warmup)) * steps
    if step <= warm:
        return float(step / warm)
    done = Fraction(step - 1 - math.floor(warm), steps - math.floor(warm))
    return CLOSED_FORMS[schedule.name](schedule, done)


# Closed forms


ROOT2 = math.sqrt(2)
BY_HAND: list[tuple[Schedule, list[float]]] = [
    (Schedule(), [1, 1, 1, 1]),
    (Schedule("constant", warmup=0.5), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
    # A third of the training each.
    (Schedule("step"), [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]),
    (Schedule("step", decay=0.5, every=0.25), [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
    (Schedule("step", decay=0.5, every=1.0), [1, 1, 1]),
    (Schedule("step", decay=1.0), [1, 1, 1]),
    # Every 0.4 of 5 steps: before the steps 3 and 5.
    (Schedule("step", decay=0.5, every=0.4), [1, 1, 0.5, 0.5, 0.25]),
    # Warm for 2 of 6 steps, then drops after half of the other 4.
    (Schedule("step", warmup=1 / 3, decay=0.5, every=0.5), [0.5, 1, 1, 1, 0.5, 0.5]),
    # 0.01^(k / 4) = 10^(-k / 2).
    (Schedule("exponential", decay=0.01), [1, 10**-0.5, 0.1, 10**-1.5]),
    (Schedule("exponential", warmup=0.5, decay=0.01), [0.5, 1, 1, 0.1]),
    (Schedule("exponential", decay=1.0), [1, 1]),
    # (1 + cos(k pi / 4)) / 2.
    (Schedule("cosine"), [1, (2 + ROOT2) / 4, 0.5, (2 - ROOT2) / 4]),
    (
        Schedule("cosine", warmup=0.5),
        [0.25, 0.5, 0.75, 1, 1, (2 + ROOT2) / 4, 0.5, (2 - ROOT2) / 4],
    ),
    # 2.5 of 10 steps are warm: 1 / 2.5 and 2 / 2.5, then 8 steps.
    (
        Schedule("cosine", warmup=0.25),
        [0.4, 0.8, *((1 + math.cos(k * math.pi / 8)) / 2 for k in range(8))],
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), BY_HAND)
def test_every_factor_by_hand(schedule: Schedule, expected: list[float]) -> None:
    np.testing.assert_allclose(factors(schedule, len(expected)), expected, rtol=1e-14)


def test_one_cycle_by_hand() -> None:
    """1/25 at first, half way up at 15 %, 1 at 30 %, half way down at 65 %, almost 0 at the end."""
    schedule = Schedule("one_cycle")
    ours = factors(schedule, 20)
    np.testing.assert_allclose(ours[0], 0.04, rtol=1e-14)
    np.testing.assert_allclose(ours[3], (0.04 + 1) / 2, rtol=1e-14)
    np.testing.assert_allclose(ours[6], 1, rtol=1e-14)
    np.testing.assert_allclose(ours[13], (1 + 4e-6) / 2, rtol=1e-14)
    np.testing.assert_allclose(schedule.factor(21, 20), 4e-6, rtol=1e-9)
    # Warm for 5 steps to 1, and then the same 20 steps.
    warm = factors(Schedule("one_cycle", warmup=0.2), 25)
    np.testing.assert_allclose(warm, [0.2, 0.4, 0.6, 0.8, 1, *ours], rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.5, 0.95])
@pytest.mark.parametrize("steps", [1, 2, 7, 30, 1000])
def test_every_factor_equals_the_closed_form(name: str, warmup: float, steps: int) -> None:
    for decay, every in [(0.1, 1 / 3), (0.5, 0.1), (0.9, 0.07), (1e-3, 1.0)]:
        schedule = Schedule(name, warmup, decay, every)
        expected = [closed_form(schedule, step, steps) for step in range(1, steps + 1)]
        np.testing.assert_allclose(factors(schedule, steps), expected, rtol=1e-9, atol=1e-15)


@given(steps=any_steps, parts=st.integers(1, 100), data=st.data())
def test_a_drop_on_the_boundary_belongs_behind_it(
    steps: int, parts: int, data: st.DataObject
) -> None:
    """In whole numbers: of n parts, step s has floor((s - 1) * n / steps) behind it."""
    step = data.draw(st.integers(1, steps))
    schedule = Schedule("step", decay=0.99, every=1 / parts)
    assert schedule.factor(step, steps) == 0.99 ** ((step - 1) * parts // steps)


FIRST_LAST: list[tuple[Schedule, float, float]] = [
    (Schedule("constant"), 1, 1),
    (Schedule("step"), 1, 0.01),
    (Schedule("exponential"), 1, 0.1**0.999),
    (Schedule("cosine"), 1, math.sin(math.pi / 2000) ** 2),
    (Schedule("one_cycle"), 0.04, 4e-6 + (1 - 4e-6) * math.sin(math.pi / 1400) ** 2),
]


@pytest.mark.parametrize(("schedule", "first", "last"), FIRST_LAST)
def test_first_and_last_factor_of_1000_steps(schedule: Schedule, first: float, last: float) -> None:
    np.testing.assert_allclose(schedule.factor(1, 1000), first, rtol=1e-13)
    np.testing.assert_allclose(schedule.factor(1000, 1000), last, rtol=1e-9)
    warm = Schedule(schedule.name, warmup=0.2)
    assert warm.factor(1, 1250) == 1 / 250
    assert warm.factor(250, 1250) == 1
    assert warm.factor(251, 1250) == schedule.factor(1, 1000)
    assert warm.factor(1250, 1250) == schedule.factor(1000, 1000)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("constant", 1.0),
        ("step", 0.3**3),
        ("exponential", 0.3),
        ("cosine", 0.0),
        ("one_cycle", 4e-6),
    ],
)
def test_after_the_last_step_the_factor_stays(name: str, end: float) -> None:
    schedule = Schedule(name, decay=0.3)
    for step in (101, 102, 1000):
        np.testing.assert_allclose(schedule.factor(step, 100), end, rtol=1e-9, atol=1e-15)


# PyTorch


def test_cosine_equals_pytorch() -> None:
    """The definition is PyTorch's, with T_max = all steps; torch 2.13.0+cpu printed in float64::

        o = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        s = torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=12)
        for _ in range(12): print(o.param_groups[0]["lr"]); o.step(); s.step()

    and the same after a warm-up by LinearLR.
    """
    recorded = [
        *(1.0, 0.9829629131445341, 0.9330127018922194, 0.8535533905932737, 0.75),
        *(0.6294095225512604, 0.5, 0.3705904774487397, 0.2500000000000001, 0.14644660940672627),
        *(0.06698729810778065, 0.0170370868554659),
    ]
    np.testing.assert_allclose(factors(Schedule("cosine"), 12), recorded, rtol=1e-13)
    # SequentialLR(o, [LinearLR(o, 1 / 4, total_iters=3), CosineAnnealingLR(o, T_max=12)], [4]).
    warm = [0.25, 0.5, 0.75, 1.0, *recorded]
    np.testing.assert_allclose(factors(Schedule("cosine", warmup=0.25), 16), warm, rtol=1e-13)


def test_one_cycle_equals_pytorch() -> None:
    """torch 2.13.0+cpu, float64; printed as for the cosine, with the scheduler::

        OneCycleLR(o, max_lr=1.0, total_steps=21, pct_start=7 / 21, cycle_momentum=False)

    PyTorch reaches its end *at* the last of n steps and its peak at step pct_start * n - 1; ours
    has the end after the last, like every schedule here, and the peak at progress 0.3. The two are
    the same when PyTorch is told of one step more, n + 1, and pct_start = (0.3 n + 1) / (n + 1).
    """
    recorded = [
        *(0.040000000000000036, 0.10430780618346935, 0.28, 0.52, 0.7599999999999999),
        *(0.9356921938165306, 1.0, 0.9874640062350873, 0.9504846320134737, 0.89091617757105),
        *(0.8117456539497631, 0.7169430017913008, 0.6112620219362893, 0.500002),
        *(0.38874197806371075, 0.28306099820869923, 0.18825834605023697, 0.10908782242895004),
        *(0.049519367986526286, 0.012539993764912554),
    ]
    np.testing.assert_allclose(factors(Schedule("one_cycle"), 20), recorded, rtol=1e-13)


# What holds for all


def some_places(steps: int, warmup: float) -> list[int]:
    """About a hundred steps in order: the ends, the end of the warm-up, and neighbours."""
    spread = range(1, steps + 1, max(1, steps // 50))
    corners = [1, steps - 1, steps, math.floor(warmup * steps), math.ceil(0.3 * steps)]
    near = {place + by for place in (*spread, *corners) for by in (0, 1)}
    return sorted(place for place in near if 1 <= place <= steps)


@given(
    name=st.sampled_from(NAMES),
    steps=any_steps,
    warmup=any_warmup,
    decay=st.floats(0, 1, exclude_min=True),
    every=st.floats(1e-6, 1),
)
def test_a_factor_is_between_0_and_1(
    name: str, steps: int, warmup: float, decay: float, every: float
) -> None:
    schedule = Schedule(name, warmup, decay, every)
    for step in some_places(steps, warmup):
        factor = schedule.factor(step, steps)
        assert isinstance(factor, float)
        assert 0 <= factor <= 1
    assert 0 <= schedule.factor(steps + 1, steps) <= 1


@given(name=st.sampled_from(NAMES), steps=any_steps, warmup=any_warmup)
def test_a_factor_rises_while_warm_and_falls_after(name: str, steps: int, warmup: float) -> None:
    """One-cycle rises once more, to its peak, and falls."""
    schedule = Schedule(name, warmup, every=0.05)
    places = some_places(steps, warmup)
    rising = [s for s in places if s <= warmup * steps]
    rest = [s for s in places if s > warmup * steps]
    warm = [schedule.factor(s, steps) for s in rising]
    assert all(np.diff(warm) > 0)
    np.testing.assert_allclose(warm, [s / (warmup * steps) for s in rising], rtol=1e-13)
    falling = np.array([schedule.factor(s, steps) for s in rest])
    if name == "one_cycle":
        peak = int(falling.argmax())
        assert (np.diff(falling[: peak + 1]) > 0).all()
        falling = falling[peak:]
    assert (np.diff(falling) <= 0).all()
    if name in ("exponential", "cosine", "one_cycle"):
        assert (np.diff(falling) < 0).all()


@given(
    name=st.sampled_from(NAMES),
    epochs=st.integers(1, 50),
    steps=st.integers(1, 200),
    sixteenths=st.integers(0, 15),
    data=st.data(),
)
def test_the_same_progress_is_the_same_factor(
    name: str, epochs: int, steps: int, sixteenths: int, data: st.DataObject
) -> None:
    """A training that is n times as long has at step n * (s - 1) + 1 what this one has at s.

    While it is warm the factor counts the step that is being made, and so n * s has it. The
    warm-up is a whole number of steps here; a part of a step is no progress of the schedule.
    """
    steps, warmup = 16 * steps, sixteenths / 16
    step = data.draw(st.integers(1, steps))
    schedule = Schedule(name, warmup, decay=0.5)
    longer = epochs * step if step <= warmup * steps else epochs * (step - 1) + 1
    assert schedule.factor(longer, epochs * steps) == schedule.factor(step, steps)


@given(name=st.sampled_from(NAMES), warmup=st.floats(0, 0.999))
def test_a_training_of_one_step(name: str, warmup: float) -> None:
    """A warm-up that covers less than a step is none."""
    assert Schedule(name, warmup).factor(1, 1) == Schedule(name).factor(1, 1)
    np.testing.assert_allclose(
        Schedule(name, warmup).factor(1, 1), 0.04 if name == "one_cycle" else 1.0, rtol=1e-14
    )


@given(name=st.sampled_from(NAMES), steps=any_steps, share=st.floats(0, 1, exclude_max=True))
def test_a_warm_up_of_less_than_one_step_is_none(name: str, steps: int, share: float) -> None:
    warmup = share / steps
    if warmup * steps < 1:
        for step in some_places(steps, warmup):
            without = Schedule(name).factor(step, steps)
            assert Schedule(name, warmup).factor(step, steps) == without


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_is_plain_data(name: str) -> None:
    schedule = Schedule(name, 0.2, 0.3, 0.4)
    record = json.loads(json.dumps(schedule.to_json()))
    assert record == {"name": name, "warmup": 0.2, "decay": 0.3, "every": 0.4}
    assert Schedule(**record) == schedule == pickle.loads(pickle.dumps(schedule))
    assert hash(Schedule(**record)) == hash(schedule)
    assert factors(schedule, 9) == factors(schedule, 9)


def test_the_default_is_constant() -> None:
    assert Schedule() == Schedule("constant", 0.0, 0.1, 1 / 3) == TrainingSettings().schedule


# What cannot be used


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'?"),
        ({"name": "one-cycle"}, "unknown schedule 'one-cycle': did you mean 'one_cycle'?"),
        ({"name": "Step"}, "unknown schedule 'Step': did you mean 'step'?"),
        (
            {"name": "???"},
            "unknown schedule '???': there are constant, step, exponential, cosine, one_cycle",
        ),
        ({"name": ""}, "unknown schedule ''"),
        ({"name": None}, "unknown schedule None"),
        ({"name": ["cosine"]}, "unknown schedule ['cosine']"),
        ({"name": "two\nlines"}, "unknown schedule 'two\\nlines'"),
        ({"warmup": 1.0}, "warmup is a share of the training, 0 <= warmup < 1: 1.0"),
        ({"warmup": -0.1}, "warmup is a share of the training, 0 <= warmup < 1: -0.1"),
        ({"warmup": math.nan}, "warmup is a share of the training, 0 <= warmup < 1: nan"),
        ({"warmup": math.inf}, "warmup is a share of the training, 0 <= warmup < 1: inf"),
        ({"decay": 0.0}, "decay is a factor, 0 < decay <= 1: 0.0"),
        ({"decay": -0.5}, "decay is a factor, 0 < decay <= 1: -0.5"),
        ({"decay": 1.5}, "decay is a factor, 0 < decay <= 1: 1.5"),
        ({"decay": math.nan}, "decay is a factor, 0 < decay <= 1: nan"),
        ({"every": 0.0}, "every is a share of the training, 0 < every <= 1: 0.0"),
        ({"every": 1.01}, "every is a share of the training, 0 < every <= 1: 1.01"),
        ({"every": -1.0}, "every is a share of the training, 0 < every <= 1: -1.0"),
        ({"every": math.nan}, "every is a share of the training, 0 < every <= 1: nan"),
    ],
)
@pytest.mark.parametrize("name", ["constant", "step"])
def test_what_cannot_be_used_is_refused_in_one_line(
    wrong: dict[str, Any], message: str, name: str
) -> None:
    """Whether the schedule would look at the number or not."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Schedule(**({"name": name} | wrong))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_limits_that_can_be_used() -> None:
    for allowed in (Schedule(warmup=0), Schedule("step", decay=1, every=1), Schedule(decay=1e-300)):
        assert allowed.factor(1, 10) == 1


# What training applies

SCHEDULED = [Schedule(name, warmup, 0.2, 0.25) for name in NAMES for warmup in (0.0, 0.3)]


@pytest.mark.parametrize("schedule", SCHEDULED)
def test_training_applies_the_factors(schedule: Schedule) -> None:
    """Linear regression by full batches: a plain loop with the closed form's factors."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(15, 3)), rng.normal(size=(15, 1))
    start = rng.normal(size=(2, 4))
    rates = (0.3, 0.05)
    architecture = Architecture(3, (), (Head(1, "squared_error"),))
    settings = TrainingSettings("sgd", 11, 15, None, schedule=schedule)
    trained = train(
        architecture, settings, Members((0, 1), rates), Rows(X, (y,)), None, start=Start(start)
    )
    for place, rate in enumerate(rates):
        w, b = start[place, :3].copy(), start[place, 3]
        for step in range(1, 12):
            error = X @ w + b - y[:, 0]
            factor = closed_form(schedule, step, 11)
            w, b = w - rate * factor * X.T @ error / 15, b - rate * factor * error.mean()
        np.testing.assert_allclose(trained.params[place], [*w, b], rtol=1e-11, atol=1e-13)
    assert trained.steps.tolist() == [11, 11]


def travelled(schedule: Schedule, epochs: int, start: Start | None = None) -> Floats:
    """How far biases go whose gradient is -1 throughout, with learning rates of 1 and 10.

    Huber's loss far below the target has that gradient; 7 rows in batches of 3 are three steps an
    epoch, the last of them short.
    """
    rows = Rows(np.zeros((7, 1)), (np.full((7, 1), 1e9),))
    settings = TrainingSettings("sgd", epochs, 3, None, schedule=schedule)
    architecture = Architecture(1, (), (Head(1, "huber"),))
    start = start or Start(np.zeros((2, 2)))
    trained = train(architecture, settings, Members((0, 1), (1.0, 10.0)), rows, None, start=start)
    assert trained.steps.tolist() == [start.steps + 3 * epochs] * 2
    way: Floats = trained.params[:, 1]
    return way


@pytest.mark.parametrize("schedule", SCHEDULED)
def test_each_mini_batch_is_a_step_of_the_schedule(schedule: Schedule) -> None:
    """The way is the sum of the factors of all steps of all epochs."""
    for epochs in (1, 2, 7):
        steps = 3 * epochs
        way = sum(closed_form(schedule, step, steps) for step in range(1, steps + 1))
        np.testing.assert_allclose(travelled(schedule, epochs), [way, 10 * way], rtol=1e-11)


@pytest.mark.parametrize("schedule", SCHEDULED)
def test_a_training_that_goes_on_is_the_rest_of_the_whole(schedule: Schedule) -> None:
    """After 6 steps, two more epochs are the steps 7 to 12 of 12."""
    way = sum(closed_form(schedule, step, 12) for step in range(7, 13))
    ours = travelled(schedule, 2, Start(np.zeros((2, 2)), steps=6))
    np.testing.assert_allclose(ours, [way, 10 * way], rtol=1e-11)


# Found by these tests


@pytest.mark.parametrize("name", NAMES)
def test_a_warm_up_of_whole_steps_has_as_many(name: str) -> None:
    """0.29 * 100 is 28.999999999999996 in floating point, and 29 steps all the same."""
    for warmup, steps in [(0.28, 100), (0.29, 100), (0.57, 100), (0.58, 50)]:
        schedule = Schedule(name, warmup)
        expected = [closed_form(schedule, step, steps) for step in range(1, steps + 1)]
        np.testing.assert_allclose(factors(schedule, steps), expected, rtol=1e-9)


def test_any_share_that_is_accepted_can_be_used() -> None:
    """Here progress / every is more than a floating-point number can hold."""
    assert Schedule("step", every=1e-320).factor(2, 3) == 0
