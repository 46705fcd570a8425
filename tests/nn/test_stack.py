"""A member does not know its stack: alone or among others, its numbers are the same bits."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.nn import descent, network
from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.augmentation import Augmentation
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.network import CACHE_BYTES, Predictor, Stack, member_parts, predict
from hpo.nn.optimizers import OPTIMIZERS
from hpo.nn.schedules import Schedule
from hpo.nn.threads import one_blas_thread
from hpo.nn.training import CURVES, Curves, Start, Trained, train
from tests.nn.making import Numbers, classifier, members_of, random_rows, regressor, squares

MIXED = (Head(3, weight=0.5), Head(1, "huber", 2.0), Head(2, "binary_cross_entropy"))
ONE = {"random_state": 5, "learning_rate": 0.01}


@dataclass(frozen=True)
class Case:
    """A member, and what it is trained on with others or without.

    ``numbers`` are its own; its neighbours have none or all of their kinds, at random. Weights are
    drawn if ``weighted``, for ``rows`` or for ``members`` and rows. Neighbours of a number that
    ``leave`` says are dropped after the second epoch.
    """

    architecture: Architecture
    settings: TrainingSettings
    numbers: Numbers = field(default_factory=lambda: dict(ONE))
    rows: int = 33
    weighted: str = "none"
    wild: bool = True
    leave: int = 0


def neighbour(case: Case, rng: np.random.Generator) -> Numbers:
    """Another member; if ``case.wild``, one of four diverges, and each has all strengths."""
    hidden = len(case.architecture.hidden)
    own: Numbers = {
        "random_state": int(rng.integers(1000)),
        "learning_rate": 10 ** rng.uniform(-4, -1),
    }
    if case.wild:
        own |= {
            "learning_rate": 1e8 if rng.random() < 0.25 else 10 ** rng.uniform(-4, 0),
            "weight_decay": rng.choice([0.0, 0.5]),
            "l1": rng.choice([0.0, 0.01]),
            "l2": rng.choice([0.0, 0.1]),
            "label_smoothing": rng.choice([0.0, 0.2]),
            "max_norm": rng.choice([np.inf, 0.5]),
            "clip_norm": rng.choice([np.inf, 0.1]),
            "dropout": tuple(rng.choice([0.0, 0.3], size=hidden)),
            "initializer": str(rng.choice(["xavier_uniform", "orthogonal", "normal:2"])),
        }
    if "options" in case.numbers:
        own["options"] = {name: rng.uniform(0.1, 0.9) for name in case.numbers["options"]}
    return own


def random_weights(rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A third of them 0, but not all."""
    weights = rng.integers(0, 3, size=rows) * rng.random(rows)
    weights[rng.integers(rows)] = 1
    return weights


def drops(leave: int, size: int, place: int) -> Callable[[int, Curves], NDArray[np.bool_]]:
    """A callback that drops some neighbours of ``place`` after the second epoch."""

    def hopeless(epoch: int, curves: Curves) -> NDArray[np.bool_]:
        assert set(curves) == set(CURVES)
        assert len(curves["train_loss"]) == size
        number = np.arange(size)
        dropped: NDArray[np.bool_] = (number % leave == 0) & (number != place) & (epoch >= 1)
        return dropped

    return hopeless


def run(case: Case, size: int, place: int, seed: int = 0) -> Trained:
    """Train a stack of ``size`` in which the member of the case stands at ``place``."""
    rng = np.random.default_rng((seed, size, place))
    numbers = [neighbour(case, rng) for _ in range(size)]
    hidden = len(case.architecture.hidden)
    numbers[place] = {"dropout": (0.0,) * hidden} | case.numbers
    if case.wild or "dropout" in case.numbers:
        numbers = [{"dropout": (0.0,) * hidden} | each for each in numbers]
    else:
        numbers = [each | {"dropout": 0.0} for each in numbers]
    own = np.random.default_rng(1)
    parts = []
    for count, part in ((case.rows, 3), (max(1, case.rows // 2), 4)):
        weights: Any = None
        if case.weighted != "none":
            weights = random_weights(count, own)
        if case.weighted == "members":
            weights = np.stack([random_weights(count, rng) for _ in range(size)])
            weights[place] = random_weights(count, np.random.default_rng(part))
        parts.append(random_rows(case.architecture, count, part, weights))
    hopeless = drops(case.leave, size, place) if case.leave and size > 1 else None
    members, (training, validation) = members_of(numbers), parts
    return train(
        case.architecture, case.settings, members, training, validation, squares, hopeless=hopeless
    )


def bits(curve: NDArray[np.float64]) -> bytes:
    """All bits but the sign of what is no number."""
    return np.where(np.isnan(curve), np.nan, curve).tobytes()


def assert_same_member(alone: Trained, stack: Trained, place: int, *, norms: bool = True) -> None:
    for name, curve in alone.curves.items():
        if norms or name != "gradient_norm":
            assert bits(curve[0]) == bits(stack.curves[name][place]), name
    for name in ("epochs", "best_epoch", "diverged", "dropped"):
        assert getattr(alone, name)[0] == getattr(stack, name)[place], name
    if alone.diverged[0]:
        return  # whose parameters mean nothing
    for one, all_of_them in zip(alone.state, stack.state, strict=True):
        assert one[0].tobytes() == all_of_them[place].tobytes(), "state"
    assert alone.params[0].tobytes() == stack.params[place].tobytes()


def member_of(stack: Trained, place: int) -> Trained:
    """One member's part of what was trained."""
    one = slice(place, place + 1)
    arrays = {
        name: value[one]
        for name, value in vars(stack).items()
        if name not in ("curves", "seconds", "state")
    }
    curves = {name: curve[one] for name, curve in stack.curves.items()}
    return replace(stack, **arrays, curves=curves, state=tuple(each[one] for each in stack.state))


def assert_same_stack(one: Trained, other: Trained) -> None:
    for place in range(len(one.params)):
        assert_same_member(member_of(one, place), other, place)


def cut(patch: pytest.MonkeyPatch, size: int) -> None:
    """Take ``size`` members at a time, whatever fits the cache."""

    def parts(members: int, _bytes: int) -> list[slice]:
        return [slice(start, min(start + size, members)) for start in range(0, members, size)]

    for module in (descent, network):
        patch.setattr(module, "member_parts", parts)


def check(case: Case, sizes: tuple[int, ...]) -> None:
    """The member alone equals itself at the first, a middle and the last place of stacks."""
    alone = run(case, 1, 0)
    for size in sizes:
        for place in {0, size // 2, size - 1}:
            # Norms are measured for all if they are clipped for one; see the test of that.
            norms = case.settings.gradient_norms or not case.wild
            assert_same_member(alone, run(case, size, place), place, norms=norms)


def settings_of(**changes: Any) -> TrainingSettings:
    # 33 rows in batches of 16 end with a batch of one row, the shape that BLAS treats apart.
    return TrainingSettings(**({"epochs": 2, "batch_size": 16, "patience": None} | changes))


SHAPES = [
    classifier(64, (64,), 10),
    classifier(20, (33, 17), 3, "tanh"),
    classifier(5, (), 2),
    regressor(1, (1,)),
    regressor(13, (50, 50), 3),
    classifier(1, (1, 1), 1, "sigmoid"),
    classifier(2, (3, 1, 2), 2, "mish"),
    classifier(100, (128,), 2),
]


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
@pytest.mark.parametrize("wild", [False, True])
def test_member_equals_itself_in_any_stack(architecture: Architecture, wild: bool) -> None:
    sizes = (2, 7, 64) if wild else (2, 7)
    check(Case(architecture, settings_of(batch_size=32), rows=97, wild=wild), sizes)


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_member_equals_itself_with_every_optimizer(optimizer: str, batch_norm: Any) -> None:
    architecture = classifier(9, (17, 8), 3, "relu", batch_norm)
    options = {name: 0.5 for name in OPTIMIZERS[optimizer].defaults if name != "eps"}
    numbers = ONE | {"options": options} if options else ONE
    check(Case(architecture, settings_of(optimizer=optimizer), numbers), sizes=(5,))


FEATURES: dict[str, tuple[Numbers, dict[str, Any]]] = {
    "decay": ({"weight_decay": 0.3}, {}),
    "l1": ({"l1": 0.02}, {}),
    "l2": ({"l2": 0.02}, {}),
    "dropout": ({"dropout": (0.3, 0.5)}, {}),
    "dropout of one layer": ({"dropout": (0.0, 0.5)}, {}),
    "smoothing": ({"label_smoothing": 0.2}, {}),
    "max_norm": ({"max_norm": 0.7}, {}),
    "clip_norm": ({"clip_norm": 0.05}, {"gradient_norms": True}),
    "norms": ({}, {"gradient_norms": True}),
    "frozen": ({"dropout": (0.3, 0.5), "l2": 0.1}, {"frozen_layers": 1}),
    "both frozen": ({}, {"frozen_layers": 2}),
    "patience": ({"learning_rate": 0.05}, {"epochs": 8, "patience": 2}),
    "min_delta": ({}, {"epochs": 6, "patience": 1, "min_delta": 0.01, "monitor": "train_loss"}),
    "schedule": ({}, {"schedule": Schedule("cosine", warmup=0.2)}),
    "pictures": ({}, {"augmentation": Augmentation((3, 3), 0.5, 20, 1, noise=0.1, erase=0.2)}),
    "large batch": ({}, {"batch_size": 1000}),
    "diverges": ({"learning_rate": 1e10, "initializer": "normal:3"}, {"optimizer": "sgd"}),
    "initializer": ({"initializer": "orthogonal"}, {}),
}


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("feature", FEATURES)
def test_member_equals_itself_with_every_feature(feature: str, batch_norm: Any) -> None:
    numbers, changes = FEATURES[feature]
    architecture = Architecture(9, (11, 6), MIXED, "silu", batch_norm)
    check(Case(architecture, settings_of(**changes), ONE | numbers, leave=2), sizes=(5,))


@pytest.mark.parametrize("feature", FEATURES)
def test_cuts_through_a_stack_change_nothing(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those of training nor those of validation, also when members have left."""
    numbers, changes = FEATURES[feature]
    for batch_norm, weighted in (("none", "members"), ("before", "members"), ("after", "rows")):
        architecture = Architecture(9, (11, 6), MIXED, "silu", batch_norm)  # type: ignore[arg-type]
        case = Case(architecture, settings_of(**changes), ONE | numbers, 33, weighted, leave=2)
        outcomes = []
        for size in (7, 1, 3):
            cut(monkeypatch, size)
            outcomes.append(run(case, 7, 3))
        for other in outcomes[1:]:
            assert_same_stack(outcomes[0], other)


def without_blocks(optimizer: str, batch_norm: Any, weighted: str) -> Case:
    architecture = Architecture(9, (11, 6), MIXED, "tanh", batch_norm)
    schedule = Schedule("cosine", warmup=0.2)
    how = settings_of(optimizer=optimizer, schedule=schedule, gradient_norms=True)
    numbers = {"dropout": (0.2, 0.0), "weight_decay": 0.1, "clip_norm": 0.5}
    return Case(architecture, how, ONE | numbers, 53, weighted)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_blocks_of_rows_change_no_parameter(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses are added up block by block, so that they may differ in the last bits."""
    for batch_norm, weighted in (("none", "none"), ("before", "members"), ("after", "rows")):
        case = without_blocks(optimizer, batch_norm, weighted)
        monkeypatch.setattr(descent, "BLOCK_ROWS", 1 << 20)
        whole = run(case, 4, 1)
        for rows in (1, 16, 40):
            monkeypatch.setattr(descent, "BLOCK_ROWS", rows)
            blocks = run(case, 4, 1)
            for name in ("train_loss", "train_score_loss"):
                close = np.allclose(blocks.curves[name], whole.curves[name], 1e-9, equal_nan=True)
                assert close, name
            assert_same_stack(replace(whole, curves=blocks.curves), blocks)
            assert bits(blocks.curves["val_loss"]) == bits(whole.curves["val_loss"])


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("weighted", ["rows", "members"])
def test_member_equals_itself_with_weights(weighted: str, batch_norm: Any) -> None:
    architecture = Architecture(9, (11, 6), MIXED, "elu", batch_norm)
    case = Case(architecture, settings_of(patience=2, epochs=5), weighted=weighted, leave=3)
    check(case, sizes=(2, 7))


@pytest.mark.parametrize("rows", [1, 2, 31, 33, 64])
def test_member_equals_itself_for_any_number_of_rows(rows: int) -> None:
    for architecture in (classifier(20, (16,), 4), regressor(1, (1,), 1, "tanh", "before")):
        check(Case(architecture, settings_of(), rows=rows), sizes=(3,))


def test_member_equals_itself_in_batches_of_one_row() -> None:
    for batch_norm in ("none", "before", "after"):
        architecture = Architecture(9, (11, 6), MIXED, "silu", batch_norm)
        check(Case(architecture, settings_of(batch_size=1, epochs=2), rows=12), sizes=(5,))


def test_member_equals_itself_in_a_last_batch_of_one_row_of_any_size() -> None:
    """In one row the outputs are as far apart as the batch is large, which NumPy may mind."""
    for batch_size in (2, 4, 8):
        architecture = Architecture(2, (), (Head(2, "binary_cross_entropy"), Head(2)))
        how = settings_of(batch_size=batch_size, epochs=1)
        check(Case(architecture, how, rows=batch_size + 1), sizes=(2, 3))


def test_a_bound_of_the_neighbours_leaves_one_unit_as_it_is() -> None:
    """Sums over inputs, where a unit stands alone or among few."""
    for units in ((1,), (2, 1), (3, 3)):
        architecture = regressor(37, units)
        check(Case(architecture, settings_of(), ONE | {"max_norm": 0.3}), sizes=(2, 7))


def test_neighbours_that_diverge_or_stop_change_nothing() -> None:
    architecture = regressor(20, (16, 16))
    rates = [1e6, 0.01, 1e-9, 30.0]
    numbers = [{"random_state": i, "learning_rate": rate} for i, rate in enumerate(rates)]
    how = settings_of(optimizer="sgd", epochs=30, patience=3)
    rows, others = random_rows(architecture, 200), random_rows(architecture, 53, 1)
    stack = train(architecture, how, members_of(numbers), rows, others, squares)
    for place, own in enumerate(numbers):
        alone = train(architecture, how, members_of([own]), rows, others, squares)
        assert_same_member(alone, stack, place)
    assert stack.diverged.tolist() == [True, False, False, True]
    assert len(set(stack.epochs.tolist())) > 1


def test_gradient_norms_of_a_member_do_not_depend_on_whose_gradient_is_clipped() -> None:
    architecture = regressor(5, (4,))
    rows = random_rows(architecture, 20)
    curves = [
        train(architecture, settings_of(), members_of(numbers), rows, None).curves["gradient_norm"]
        for numbers in ([ONE], [ONE, ONE | {"clip_norm": 0.1}])
    ]
    assert curves[0][0].tobytes() == curves[1][0].tobytes()


def test_penalties_of_neighbours_leave_saturated_units_alone() -> None:
    """Weights may be infinite where no input is 0: bounded units still give a finite loss."""
    architecture = regressor(2, (3,), activation="tanh")
    params = np.random.default_rng(0).normal(size=(1, architecture.n_params)).astype(np.float32)
    architecture.layers(params)[0].weights[0, 0] = np.inf
    rows = random_rows(architecture, 20)
    outcomes = []
    for others in ([], [ONE | {"l2": 0.1}]):
        members = members_of([ONE, *others])
        start = Start(np.repeat(params, len(members), axis=0))
        outcomes.append(train(architecture, settings_of(), members, rows, rows, start=start))
    assert not outcomes[0].diverged[0]
    assert_same_member(outcomes[0], outcomes[1], 0)


def test_continued_members_equal_themselves() -> None:
    architecture = classifier(9, (6,), 3, "relu", "after")
    how, rows = settings_of(batch_size=10), random_rows(architecture, 33)
    numbers = [ONE | {"random_state": i, "dropout": (0.2,)} for i in range(5)]
    first = train(architecture, how, members_of(numbers), rows, rows)
    start = Start(first.params, first.state, first.steps)
    second = train(architecture, how, members_of(numbers), rows, rows, start=start)
    for place, own in enumerate(numbers):
        one = slice(place, place + 1)
        state = tuple(buffer[one] for buffer in first.state)
        start = Start(first.params[one], state, first.steps[one])
        alone = train(architecture, how, members_of([own]), rows, rows, start=start)
        assert_same_member(alone, second, place)


STEPS = np.array([0, 1, 7, 1, 498])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_members_that_made_other_numbers_of_steps_equal_themselves(
    optimizer: str, dtype: Any
) -> None:
    """One batch in each epoch, of all rows: the second step may be the only one of its block."""
    architecture = classifier(9, (6,), 3, "relu", "after")
    how = settings_of(optimizer=optimizer, epochs=3, schedule=Schedule("cosine", warmup=0.2))
    rows = random_rows(architecture, 14, dtype=dtype)
    rng = np.random.default_rng(0)
    params = rng.normal(size=(5, architecture.n_params)).astype(dtype) ** 2
    shape = (5, architecture.n_trainable)
    state = tuple(rng.random(shape).astype(dtype) for _ in range(OPTIMIZERS[optimizer].slots))
    options = {name: rng.uniform(0.1, 0.9, 5) for name in OPTIMIZERS[optimizer].defaults}
    numbers = [
        {"random_state": i, "options": {name: each[i] for name, each in options.items()}}
        for i in range(5)
    ]
    start = Start(params, state, STEPS)
    stack = train(architecture, how, members_of(numbers), rows, rows, start=start)
    assert stack.steps.tolist() == (STEPS + 3).tolist()
    for place, own in enumerate(numbers):
        one = slice(place, place + 1)
        start = Start(params[one], tuple(each[one] for each in state), int(STEPS[place]))
        alone = train(architecture, how, members_of([own]), rows, rows, start=start)
        assert_same_member(alone, stack, place)


def test_members_that_stopped_early_go_on_as_alone() -> None:
    """Each from its own step of the schedule, of Adam's corrections and of moving statistics."""
    architecture = regressor(5, (8,), batch_norm="before")
    how = settings_of(epochs=12, patience=1, schedule=Schedule("exponential", decay=0.2))
    numbers = [{"random_state": i, "learning_rate": 0.03 * 2.0**i} for i in range(5)]
    rows, others = random_rows(architecture, 40), random_rows(architecture, 30, 1)
    first = train(architecture, how, members_of(numbers), rows, others)
    assert len(set(first.steps.tolist())) > 2
    start = Start(first.params, first.state, first.steps)
    second = train(architecture, how, members_of(numbers), rows, others, start=start)
    for place, own in enumerate(numbers):
        alone = train(architecture, how, members_of([own]), rows, others)
        start = Start(alone.params, alone.state, alone.steps)
        alone = train(architecture, how, members_of([own]), rows, others, start=start)
        assert_same_member(alone, second, place)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_training_has_the_type_of_its_start(dtype: Any) -> None:
    """Whatever that of the rows is."""
    architecture = Architecture(5, (4,), MIXED, "tanh", "before")
    narrow = random_rows(architecture, 20)
    wide = Rows(
        narrow.X.astype(np.float64),
        tuple(t if t.ndim == 1 else t.astype(np.float64) for t in narrow.targets),
    )
    params = np.random.default_rng(0).random((2, architecture.n_params)).astype(dtype)
    members = members_of([{"label_smoothing": 0.1, "dropout": 0.2}, {"random_state": 1}])
    outcomes = [
        train(architecture, settings_of(), members, rows, rows, squares, start=Start(params))
        for rows in (narrow, wide)
    ]
    assert {each.params.dtype for each in outcomes} == {np.dtype(dtype)}
    assert_same_stack(*outcomes)


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
def test_rows_may_lie_in_memory_as_they_like(batch_norm: Any) -> None:
    architecture = Architecture(5, (4,), MIXED, "tanh", batch_norm)
    plain = random_rows(architecture, 20)
    backwards = Rows(plain.X[::-1], tuple(target[::-1] for target in plain.targets))
    copied = Rows(backwards.X.copy(), tuple(target.copy() for target in backwards.targets))
    columns = Rows(np.asfortranarray(copied.X), tuple(map(np.asfortranarray, copied.targets)))
    members = members_of([{}, {"random_state": 1}])
    expected, *outcomes = [
        train(architecture, settings_of(), members, rows, rows, squares)
        for rows in (copied, backwards, columns)
    ]
    for each in outcomes:
        assert_same_stack(expected, each)


@given(members=st.integers(0, 200), member_bytes=st.integers(1, 2 * CACHE_BYTES))
def test_parts_take_every_member_once_and_fit_the_cache(members: int, member_bytes: int) -> None:
    parts = member_parts(members, member_bytes)
    assert [place for part in parts for place in range(members)[part]] == list(range(members))
    sizes = [part.stop - part.start for part in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
    fitting = max(1, CACHE_BYTES // member_bytes)
    assert sizes[0] <= fitting
    assert len(parts) == max(1, -(-members // fitting)), "no more parts than it takes"


def test_large_networks_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a member needs counts: parameters, units, outputs."""
    counted: list[int] = []

    def parts(members: int, member_bytes: int) -> list[slice]:
        counted.append(len(member_parts(members, member_bytes)))
        return member_parts(members, member_bytes)

    for module in (descent, network):
        monkeypatch.setattr(module, "member_parts", parts)
    monkeypatch.setattr(network, "CACHE_BYTES", 30_000)
    for architecture in (regressor(4000, ()), regressor(1, (200,)), regressor(1, (), 200)):
        how = settings_of(optimizer="sgd", batch_size=40)
        rows = random_rows(architecture, 40)
        train(architecture, how, members_of([{}] * 3), rows, rows)
        assert counted == [3, 3]
        counted.clear()


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
def test_a_predictor_in_parts_follows_its_parameters(
    batch_norm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be called again, for fewer rows too, and sees what has changed in the stack."""
    architecture = Architecture(20, (16, 3), MIXED, "gelu", batch_norm)
    X = random_rows(architecture, 1100).X
    rng = np.random.default_rng(0)
    params: Floats = rng.random((7, architecture.n_params)).astype(np.float32)
    predictors = []
    for size in (1, 3, 7):
        cut(monkeypatch, size)
        predictors.append(Predictor(Stack(architecture, params), len(X)))
    for rows in (1100, 1100, 600, 513, 1, 0):
        params[...] = rng.random(params.shape)
        expected = predict(architecture, params.copy(), X[:rows])
        with one_blas_thread(), np.errstate(all="ignore"):
            for predictor in predictors:
                found = predictor(X[:rows])
                assert found.shape == (7, rows, 6)
                assert found.tobytes() == expected.tobytes()


def test_memory_of_a_training_is_that_of_its_rows() -> None:
    """Many outputs of many members, but few rows: blocks are no longer than these."""
    architecture = classifier(1, (), 400)
    rows, members = random_rows(architecture, 10), members_of([{}] * 50)
    train(architecture, settings_of(epochs=1), members, rows, None)
    tracemalloc.start()
    train(architecture, settings_of(epochs=1), members, rows, None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    predictions = 50 * 10 * 400 * 4
    assert most < 12 * predictions


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
def test_prediction_of_a_member_equals_that_of_the_stack(batch_norm: Any) -> None:
    architecture = Architecture(20, (16,), MIXED, "gelu", batch_norm)
    X = random_rows(architecture, 1500).X
    params = np.random.default_rng(0).normal(size=(9, architecture.n_params)).astype(np.float32)
    params[:, architecture.n_trainable :] **= 2
    together = predict(architecture, params, X)
    assert np.isfinite(together).all()
    for member in range(9):
        alone = predict(architecture, params[member : member + 1], X)
        assert alone[0].tobytes() == together[member].tobytes()


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 513, 1025])
@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
def test_a_row_is_predicted_as_beside_any_others(rows: int, batch_norm: Any) -> None:
    architecture = Architecture(60, (50, 1), MIXED, "tanh", batch_norm)
    rng = np.random.default_rng(rows)
    params = rng.normal(size=(2, architecture.n_params)).astype(np.float32)
    params[:, architecture.n_trainable :] **= 2
    X = random_rows(architecture, 1025).X
    chosen = rng.permutation(1025)[:rows]
    found = predict(architecture, params, X[chosen])
    assert found.shape == (2, rows, 6)
    # The BLAS adds in another order at the edges of a block; in float64 that is not to be seen.
    np.testing.assert_allclose(
        found, predict(architecture, params, X)[:, chosen], rtol=1e-4, atol=1e-4
    )
    double = params.astype(np.float64)
    found = predict(architecture, double, X[chosen])
    np.testing.assert_allclose(found, predict(architecture, double, X)[:, chosen], rtol=1e-12)


def test_prediction_equals_the_plain_formula() -> None:
    architecture = classifier(6, (5,), 3)
    params = np.random.default_rng(0).normal(size=(2, architecture.n_params)).astype(np.float32)
    X = np.random.default_rng(1).normal(size=(600, 6)).astype(np.float32)
    for member, flat in enumerate(params.astype(np.float64)):
        first, second = flat[:30].reshape(6, 5), flat[35:50].reshape(5, 3)
        hidden = np.maximum(X @ first + flat[30:35], 0)
        logits = np.exp(hidden @ second + flat[50:53])
        expected = logits / logits.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(
            predict(architecture, params, X)[member], expected, rtol=2e-5, atol=1e-7
        )


def test_prediction_takes_memory_it_must_not_change() -> None:
    architecture = classifier(6, (5,), 3)
    params: Floats = np.zeros((2, architecture.n_params), np.float32)
    X = random_rows(architecture, 30).X
    params.flags.writeable = X.flags.writeable = False
    assert np.unique(predict(architecture, params, X)).size == 1


heads = st.lists(
    st.one_of(
        st.integers(1, 4).map(Head),
        st.integers(1, 3).map(lambda n: Head(n, "squared_error", 0.5)),
        st.integers(1, 3).map(lambda n: Head(n, "huber")),
        st.integers(1, 3).map(lambda n: Head(n, "binary_cross_entropy", 2.0)),
    ),
    min_size=1,
    max_size=3,
).map(tuple)

strengths = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.sampled_from([1e-3, 0.3, 1e9]),
        "weight_decay": st.just(0.2),
        "l1": st.just(0.01),
        "l2": st.just(0.01),
        "label_smoothing": st.just(0.1),
        "max_norm": st.just(0.5),
        "clip_norm": st.just(0.2),
        "initializer": st.sampled_from(["xavier_normal", "orthogonal", "zeros"]),
    },
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    pictures = draw(st.booleans())
    sizes = st.sampled_from([1, 2, 3, 5, 8, 17, 33])
    hidden = draw(st.lists(sizes, max_size=3).map(tuple))
    architecture = Architecture(
        n_inputs=12 if pictures else draw(sizes),
        hidden=hidden,
        heads=draw(heads),
        activation=draw(st.sampled_from(["relu", "tanh", "selu", "gelu", "softplus", "sigmoid"])),
        batch_norm=draw(st.sampled_from(["none", "before", "after"])),
    )
    augmentation = Augmentation((2, 2, 3), 0.5, 30, 1, 0.2, 0.1, 0.1, 0.2)
    how = TrainingSettings(
        optimizer=draw(st.sampled_from(sorted(OPTIMIZERS))),
        epochs=draw(st.integers(1, 4)),
        batch_size=draw(st.integers(1, 20)),
        patience=draw(st.sampled_from([None, 1, 2])),
        monitor=draw(st.sampled_from(["val_loss", "val_score_loss", "train_loss"])),
        frozen_layers=draw(st.integers(0, len(hidden))),
        augmentation=augmentation if pictures else None,
        gradient_norms=draw(st.booleans()),
    )
    numbers = ONE | draw(strengths)
    numbers |= {"dropout": tuple(draw(st.sampled_from([0.0, 0.4])) for _ in hidden)}
    return Case(
        architecture,
        how,
        numbers,
        rows=draw(st.integers(1, 45)),
        weighted=draw(st.sampled_from(["none", "rows", "members"])),
        wild=draw(st.booleans()),
        leave=draw(st.integers(0, 2)),
    )


def check_one_place(case: Case, size: int, where: float, part: int) -> None:
    place = int(where * (size - 1))
    norms = case.settings.gradient_norms or not case.wild
    norms = norms and case.numbers.get("clip_norm") is None
    alone = run(case, 1, 0)
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, part)
        stack = run(case, size, place)
    assert_same_member(alone, stack, place, norms=norms)


@given(case=cases(), size=st.integers(2, 9), where=st.floats(0, 1), part=st.integers(1, 9))
@settings(max_examples=60)
def test_any_member_equals_itself_in_any_stack(
    case: Case, size: int, where: float, part: int
) -> None:
    check_one_place(case, size, where, part)


@pytest.mark.slow
@given(case=cases(), size=st.integers(2, 70), where=st.floats(0, 1), part=st.integers(1, 70))
@settings(max_examples=1500)
def test_thousands_of_members_equal_themselves(
    case: Case, size: int, where: float, part: int
) -> None:
    check_one_place(case, size, where, part)
