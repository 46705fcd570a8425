"""Settings, members and rows that cannot be used: one clear line each."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo.nn.architecture import Architecture, Head
from hpo.nn.augmentation import Augmentation
from hpo.nn.members import RANGES, Members, Rows, TrainingSettings
from hpo.nn.optimizers import OPTIMIZERS
from hpo.nn.training import Start, Trained, train
from tests.nn.making import classifier, one_member, random_rows, regressor

NETWORK = classifier(3, (4,), 2)
ROWS = random_rows(NETWORK, 10)
SETTINGS = TrainingSettings(epochs=2, batch_size=4, patience=None)


def pair(**numbers: Any) -> Members:
    given: dict[str, Any] = {"random_state": (0, 1), "learning_rate": 0.1} | numbers
    return Members(**given)


def attempt(
    members: Members | None = None,
    settings: TrainingSettings = SETTINGS,
    rows: Rows = ROWS,
    architecture: Architecture = NETWORK,
    validation: Rows | None = None,
    start: Start | None = None,
) -> Trained:
    members = members or one_member()
    return train(architecture, settings, members, rows, validation, start=start)


def complaint(*arguments: Any, **named: Any) -> str:
    """The one line of the ``ValueError`` that is raised."""
    with pytest.raises(ValueError, match=r".") as caught:
        attempt(*arguments, **named)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 200
    return line


@pytest.mark.parametrize("name", sorted(RANGES))
@pytest.mark.parametrize("shape", ["one", "each"])
def test_numbers_outside_their_range_are_refused(name: str, shape: str) -> None:
    low, high = RANGES[name]
    assert low == 0
    for value in [-1.0, np.nan, *([high + 0.5] if high < np.inf else [])]:
        line = complaint(pair(**{name: value if shape == "one" else [0.5, value]}))
        assert line == f"{name} must be from 0 to {high:g}, got {value:g}"
    attempt(pair(**{name: [low, min(high, 0.5)]}))


def test_a_dropout_of_one_and_a_half_is_refused() -> None:
    assert complaint(pair(dropout=1.5)) == "dropout must be from 0 to 0.99, got 1.5"
    assert complaint(pair(dropout=[[0.1], [1.0]])) == "dropout must be from 0 to 0.99, got 1"


@pytest.mark.parametrize("name", sorted(set(RANGES) - {"dropout"}))
def test_numbers_of_another_shape_are_refused(name: str) -> None:
    line = complaint(pair(**{name: [0.1, 0.1, 0.1]}))
    assert line == f"{name} has the shape (3,), which does not fit (2,)"


def test_dropout_of_another_shape_is_refused() -> None:
    two = replace(NETWORK, hidden=(4, 4))
    for rates in ([[0.1] * 3] * 2, [[0.1, 0.1]] * 3, [0.1] * 3):
        assert "dropout has the shape" in complaint(pair(dropout=rates), architecture=two)
    attempt(pair(dropout=[[0.1, 0.2]] * 2), architecture=two)
    attempt(pair(dropout=[0.1, 0.2]), architecture=two)


@pytest.mark.parametrize("name", ["learning_rate", "dropout"])
@pytest.mark.parametrize("value", ["fast", {}, [[0.1], [0.1, 0.2]]], ids=str)
def test_what_is_no_number_is_named(name: str, value: Any) -> None:
    assert complaint(pair(**{name: value})) == f"{name} must be a number, got {value!r}"


UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "optimizer": (
        {"settings": replace(SETTINGS, optimizer="adm")},
        "unknown optimizer 'adm': did you mean 'adam'?",
    ),
    "activation": (
        {"architecture": replace(NETWORK, activation="rleu")},
        "unknown activation 'rleu': did you mean 'relu'?",
    ),
    "loss": (
        {"architecture": replace(NETWORK, heads=(Head(2, "cross_entrop"),))},
        "unknown loss 'cross_entrop': did you mean 'cross_entropy'?",
    ),
    "initializer": (
        {"members": pair(initializer="zeroes")},
        "unknown initializer 'zeroes': did you mean 'zeros'?",
    ),
    "far": (
        {"members": pair(initializer=("zeros", "QQ"))},
        "unknown initializer 'QQ': there are zeros, normal, xavier_normal",
    ),
    "option": (
        {"members": pair(options={"momentum": 0.9, "rho": 1})},
        "this optimizer has no momentum, rho; it takes beta1, beta2, eps",
    ),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_unknown_names_are_named(kind: str) -> None:
    arguments, expected = UNKNOWN[kind]
    assert complaint(**arguments).startswith(expected)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_options_are_checked_like_the_rest(name: str) -> None:
    settings = replace(SETTINGS, optimizer=name)
    for option in OPTIMIZERS[name].defaults:
        attempt(pair(options={option: [0.1, 0.9]}), settings)
        line = complaint(pair(options={option: [0.1, -0.9]}), settings)
        assert line.startswith(f"{option} must be from 0 to ")
        line = complaint(pair(options={option: [0.1, 0.1, 0.1]}), settings)
        assert line == f"{option} has the shape (3,), which does not fit (2,)"


@pytest.mark.parametrize("frozen", [-1, 2, 7])
def test_the_last_layer_is_never_frozen(frozen: int) -> None:
    line = complaint(settings=replace(SETTINGS, frozen_layers=frozen))
    assert line == f"of 2 layers, {frozen} cannot be frozen: at least the last one trains"


@pytest.mark.parametrize("monitor", ["val_loss", "val_score_loss"])
def test_patience_needs_what_it_watches(monitor: Any) -> None:
    line = complaint(settings=replace(SETTINGS, patience=3, monitor=monitor))
    assert line == f"patience watches {monitor}, and there are no validation rows"
    attempt(settings=replace(SETTINGS, patience=3, monitor="train_loss"))


def test_one_initializer_for_each_member_or_for_all() -> None:
    attempt(pair(initializer=("zeros", "orthogonal")))
    assert "initializer" in complaint(pair(initializer=("zeros",)))


def test_images_of_another_size_are_refused() -> None:
    settings = replace(SETTINGS, augmentation=Augmentation((2, 2), noise=0.1))
    assert "images of shape (2, 2)" in complaint(settings=settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"epochs": -1},
        {"batch_size": 0},
        {"batch_size": -4},
        {"patience": 0},
        {"patience": -1},
        {"min_delta": -0.1},
        {"min_delta": np.nan},
        {"monitor": "loss", "patience": 2},
    ],
    ids=str,
)
def test_settings_without_sense_are_refused(changes: dict[str, Any]) -> None:
    assert next(iter(changes)) in complaint(settings=replace(SETTINGS, **changes), validation=ROWS)


X, CLASSES = ROWS.X, np.arange(10) % 2
WANTED = "where cross_entropy needs (10,) class numbers"
ILL_FITTING: dict[str, tuple[Rows, str]] = {
    "no rows": (Rows(X[:0], (CLASSES[:0],)), "there are no ROWS"),
    "too few inputs": (
        Rows(X[:, :2], (CLASSES,)),
        "ROWS of shape (10, 2) do not fit 3 inputs",
    ),
    "no columns": (Rows(X[:, 0], (CLASSES,)), "ROWS of shape (10,) do not fit 3 inputs"),
    "whole numbers": (
        Rows(np.ones((10, 3), np.int64), (CLASSES,)),
        "ROWS must be float32 or float64, got int64",
    ),
    "half precision": (
        Rows(X.astype(np.float16), (CLASSES,)),
        "ROWS must be float32 or float64, got float16",
    ),
    "too few targets": (
        Rows(X, (CLASSES[:5],)),
        f"a target of the ROWS is int64 of shape (5,), {WANTED}",
    ),
    "classes as numbers": (
        Rows(X, (CLASSES.astype(float),)),
        f"a target of the ROWS is float64 of shape (10,), {WANTED}",
    ),
    "a target too many": (
        Rows(X, (CLASSES, CLASSES)),
        "the ROWS have 2 targets for 1 heads",
    ),
    "a class too many": (
        Rows(X, (CLASSES + 1,)),
        "classes of the ROWS must be from 0 to 1, got 1 to 2",
    ),
    "a class below 0": (
        Rows(X, (CLASSES - 1,)),
        "classes of the ROWS must be from 0 to 1, got -1 to 0",
    ),
    "too few weights": (
        Rows(X, (CLASSES,), np.ones(5)),
        "weights of the ROWS have the shape (5,), not (10,) or (1, 10)",
    ),
    "weights of other members": (
        Rows(X, (CLASSES,), np.ones((3, 10))),
        "weights of the ROWS have the shape (3, 10), not (10,) or (1, 10)",
    ),
    "weights below 0": (
        Rows(X, (CLASSES,), -np.ones(10)),
        "weights of the ROWS must be finite and not negative",
    ),
    "weights that are no numbers": (
        Rows(X, (CLASSES,), np.full(10, np.nan)),
        "weights of the ROWS must be finite and not negative",
    ),
    "weights without end": (
        Rows(X, (CLASSES,), np.full(10, np.inf)),
        "weights of the ROWS must be finite and not negative",
    ),
}


@pytest.mark.parametrize("fault", ILL_FITTING)
def test_rows_that_do_not_fit_are_refused(fault: str) -> None:
    rows, line = ILL_FITTING[fault]
    assert complaint(rows=rows) == line.replace("ROWS", "training rows")
    assert complaint(validation=rows) == line.replace("ROWS", "validation rows")


@pytest.mark.parametrize(
    "values", [np.zeros(10), np.zeros((10, 2)), np.zeros((9, 1))], ids=np.shape
)
def test_values_have_a_column_for_each_output(values: Any) -> None:
    architecture = regressor(3, (4,))
    line = complaint(rows=Rows(X, (values,)), architecture=architecture)
    assert line == (
        f"a target of the training rows has the shape {values.shape}, not (10, 1), "
        "which squared_error needs"
    )


def test_classes_may_be_any_whole_numbers() -> None:
    expected = attempt(rows=Rows(X, (CLASSES,))).params
    for kind in (np.uint8, np.int16, np.uint64):
        assert np.array_equal(attempt(rows=Rows(X, (CLASSES.astype(kind),))).params, expected)


NUMBERS = np.zeros((1, NETWORK.n_params), np.float32)
BUFFER = np.zeros((1, NETWORK.n_trainable), np.float32)


@pytest.mark.parametrize(
    "start",
    [
        Start(NUMBERS[:, 1:]),
        Start(np.repeat(NUMBERS, 2, axis=0)),
        Start(NUMBERS, (BUFFER,)),
        Start(NUMBERS, (BUFFER[:, 1:],) * 2),
    ],
    ids=["too few parameters", "too many members", "too few buffers", "too small buffers"],
)
def test_a_start_that_does_not_fit_is_refused(start: Start) -> None:
    complaint(start=start)
    attempt(start=Start(NUMBERS, (BUFFER, BUFFER), 3))


def test_what_is_wrong_with_a_start_is_said() -> None:
    lines = {
        "parameters of shape (1, 25) are no start for 1 networks of 26": Start(NUMBERS[:, 1:]),
        "parameters must be float32 or float64, got float16": Start(NUMBERS.astype(np.float16)),
        "state of shapes [(1, 26)] does not fit adam, which keeps 2 of (1, 26)": Start(
            NUMBERS, (BUFFER,)
        ),
        "2 numbers of steps are no start for 1 networks": Start(NUMBERS, (), np.array([1, 2])),
        "steps are whole numbers from 0, got -1": Start(NUMBERS, (), np.array([-1])),
        "steps are whole numbers from 0, got 1.5": Start(NUMBERS, (), 1.5),  # type: ignore[arg-type]
    }
    for line, start in lines.items():
        assert complaint(start=start) == line
    frozen = replace(SETTINGS, frozen_layers=1)
    line = complaint(start=Start(NUMBERS, (BUFFER, BUFFER)), settings=frozen)
    assert line.endswith("does not fit adam, which keeps 2 of (1, 10)")
