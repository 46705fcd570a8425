"""Activations, losses and optimisers of the user's own: right ones train, wrong ones do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from hpo.estimators import MLPClassifier
from hpo.nn import activations, losses, optimizers
from hpo.nn.activations import Activation
from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.losses import Loss
from hpo.nn.members import Rows, TrainingSettings
from hpo.nn.optimizers import Optimizer
from hpo.nn.registration import register_activation, register_loss, register_optimizer
from hpo.nn.training import train
from tests.nn.making import classifier, digits, members_of, one_member, random_rows

TABLES: list[dict[str, Any]] = [activations.ACTIVATIONS, losses.LOSSES, optimizers.OPTIMIZERS]


@pytest.fixture(autouse=True)
def _tables_as_they_were() -> Iterator[None]:
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)


def names() -> list[set[str]]:
    return [set(table) for table in TABLES]


def softsign(z: Floats, out: Floats) -> None:
    np.divide(z, 1 + np.abs(z), out=out)


def softsign_derivative(a: Floats, delta: Floats, _scratch: Floats) -> None:
    """``1 / (1 + |z|)²`` is ``(1 - |a|)²``."""
    delta *= np.square(1 - np.abs(a))


def squared_relu(z: Floats, out: Floats) -> None:
    np.square(np.maximum(z, 0), out=out)


def squared_relu_derivative(z: Floats, delta: Floats, _scratch: Floats) -> None:
    delta *= 2 * np.maximum(z, 0)


SOFTSIGN = Activation(softsign, softsign_derivative)
SQUARED_RELU = Activation(squared_relu, squared_relu_derivative, from_input=True)


def log_cosh(values: Floats, target: Floats) -> Floats:
    return np.asarray(np.log(np.cosh(values - target)).sum(axis=-1))


def inplace_log_cosh_delta(values: Floats, target: Floats) -> None:
    values -= target
    np.tanh(values, out=values)


LOG_COSH = Loss(lambda _z: None, log_cosh, inplace_log_cosh_delta)


def signs(params: Floats, gradient: Floats, _state: Any, rate: Floats) -> None:
    """``w <- w - lr * sign(g)`` (Bernstein et al. 2018)."""
    params -= rate * np.sign(gradient)


def rate_of(_step: int, hyper: Any) -> tuple[Any, ...]:
    return (hyper["learning_rate"],)


SIGNS = Optimizer(0, {}, rate_of, signs)


@pytest.mark.parametrize("activation", [SOFTSIGN, SQUARED_RELU], ids=["output", "input"])
def test_a_right_activation_trains(activation: Activation) -> None:
    register_activation("mine", activation)
    rows = digits(0, 300)
    architecture = classifier(64, (32,), 10, "mine")
    settings = TrainingSettings(epochs=20, patience=None)
    trained = train(architecture, settings, one_member(), rows, None)
    assert trained.curves["train_loss"][0, -1] < 0.2 * trained.curves["train_loss"][0, 0]


def test_a_copy_of_an_activation_trains_as_the_first_one() -> None:
    register_activation("tanh_again", activations.ACTIVATIONS["tanh"])
    X, y = digits(0, 200).X, digits(0, 200).targets[0]
    settings: dict[str, Any] = {"initializer": "he_normal", "max_epochs": 2, "random_state": 0}
    mine = MLPClassifier((8,), activation="tanh_again", **settings).fit(X, y)
    theirs = MLPClassifier((8,), activation="tanh", **settings).fit(X, y)
    assert mine.params_.tobytes() == theirs.params_.tobytes()


def test_an_activation_without_a_derivative_is_entered_and_trains_nothing() -> None:
    untrainable = Activation(activations.step, softsign_derivative, trainable=False)
    register_activation("stairs", untrainable)
    with pytest.raises(ValueError, match="activation 'stairs' has no derivative"):
        MLPClassifier((8,), activation="stairs").fit(digits(0, 50).X, digits(0, 50).targets[0])


def test_a_wrong_derivative_is_refused_with_its_worst_place() -> None:
    wrong = Activation(softsign, lambda a, delta, _: np.multiply(delta, 1 - np.abs(a), out=delta))
    before = names()
    message = r"mine has a wrong derivative: largest relative error .* at layer \d \w+\[\d.*\]"
    with pytest.raises(ValueError, match=message):
        register_activation("mine", wrong)
    assert names() == before


def test_a_derivative_that_is_wrong_by_a_millionth_is_refused() -> None:
    def nearly(a: Floats, delta: Floats, scratch: Floats) -> None:
        softsign_derivative(a, delta, scratch)
        delta *= 1 + 1e-5

    with pytest.raises(ValueError, match="mine has a wrong derivative"):
        register_activation("mine", Activation(softsign, nearly))


def test_an_activation_that_fails_is_not_entered() -> None:
    def broken(_z: Floats, _out: Floats) -> None:
        raise RuntimeError("no")

    before = names()
    with pytest.raises(RuntimeError, match="no"):
        register_activation("mine", Activation(broken, softsign_derivative))
    assert names() == before


def test_an_activation_that_depends_on_the_stack_is_refused() -> None:
    """In single precision only, so that the check of the derivative does not see it."""

    def shifted(z: Floats, out: Floats) -> None:
        np.add(z, len(z) if z.dtype == np.float32 else 0, out=out)

    before = names()
    identity = Activation(shifted, lambda _a, _delta, _scratch: None)
    with pytest.raises(ValueError, match=r"mine gives a member other numbers .*, at \[0, 0, 0\]"):
        register_activation("mine", identity)
    assert names() == before


def test_an_untrainable_activation_that_depends_on_the_stack_is_refused() -> None:
    def centred(z: Floats, out: Floats) -> None:
        np.subtract(z, z.mean(axis=0), out=out)

    activation = Activation(centred, softsign_derivative, trainable=False)
    with pytest.raises(ValueError, match="other numbers in a stack than alone"):
        register_activation("mine", activation)


def test_a_right_loss_trains() -> None:
    register_loss("log_cosh", LOG_COSH)
    architecture = Architecture(6, (16,), (Head(2, "log_cosh"),), "tanh")
    X = random_rows(architecture, 60).X
    settings = TrainingSettings(epochs=40, patience=None)
    trained = train(architecture, settings, one_member(), Rows(X, (2 * X[:, :2],)), None)
    assert trained.curves["train_loss"][0, -1] < 0.3 * trained.curves["train_loss"][0, 0]


@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_a_loss_is_checked_with_targets_of_its_kind(kind: Any) -> None:
    seen: list[Any] = []
    model = {"classes": "cross_entropy", "labels": "binary_cross_entropy"}
    theirs = losses.LOSSES[model.get(kind, "squared_error")]

    def watched(prediction: Floats, target: Any) -> Floats:
        seen.append(target)
        return theirs.row_loss(prediction, target)

    register_loss("mine", theirs._replace(row_loss=watched))
    shapes = {target.shape for target in seen}
    values = set(np.concatenate([target.ravel() for target in seen]).tolist())
    assert shapes == {(7,) if kind == "classes" else (7, 2)}
    assert (values == {0, 1}) == (kind != "values")


def test_a_loss_with_a_wrong_derivative_is_refused_with_its_worst_place() -> None:
    def twice(values: Floats, target: Floats) -> None:
        inplace_log_cosh_delta(values, target)
        values *= 2

    before = names()
    message = r"mine has a wrong derivative: .* at layer \d \w+\[\d.* of member \d"
    with pytest.raises(ValueError, match=message):
        register_loss("mine", LOG_COSH._replace(inplace_delta=twice))
    assert names() == before


def test_a_loss_with_the_derivative_of_another_activation_is_refused() -> None:
    def inplace_expit(z: Floats) -> None:
        z[...] = expit(z)

    with pytest.raises(ValueError, match="mine has a wrong derivative"):
        register_loss("mine", LOG_COSH._replace(activate_inplace=inplace_expit))


def test_a_loss_that_depends_on_the_stack_is_refused() -> None:
    """A constant for all members has no derivative, but is another one in another stack."""
    before = names()
    stacked = LOG_COSH._replace(row_loss=lambda v, t: log_cosh(v, t) + len(v))
    with pytest.raises(ValueError, match="mine gives a member other numbers"):
        register_loss("mine", stacked)
    assert names() == before


def test_a_right_optimiser_trains() -> None:
    register_optimizer("signs", SIGNS)
    X, y = digits(0, 300).X, digits(0, 300).targets[0]
    fitted = MLPClassifier((16,), optimizer="signs", learning_rate=0.01, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.9


def test_an_optimiser_with_options_has_them_per_member() -> None:
    def scaled(params: Floats, gradient: Floats, _state: Any, rate: Floats) -> None:
        params -= rate * gradient

    def coefficients(_step: int, hyper: Any) -> tuple[Any, ...]:
        return (hyper["learning_rate"] * hyper["factor"],)

    register_optimizer("scaled", Optimizer(0, {"factor": 1.0}, coefficients, scaled))
    architecture = classifier(5, (4,), 3)
    rows = random_rows(architecture, 30)
    settings = TrainingSettings("scaled", epochs=2, patience=None)
    members = members_of([{"learning_rate": 0.1, "options": {"factor": 0.5}}])
    half = train(architecture, settings, members, rows, None)
    plain = train(architecture, settings, one_member(learning_rate=0.05), rows, None)
    np.testing.assert_array_equal(half.params, plain.params)


def test_an_optimiser_that_ascends_is_refused() -> None:
    def up(params: Floats, gradient: Floats, _state: Any, rate: Floats) -> None:
        params += rate * gradient

    before = names()
    message = r"mine does not descend: the sum of squares of member \d went from"
    with pytest.raises(ValueError, match=message):
        register_optimizer("mine", Optimizer(0, {}, rate_of, up))
    assert names() == before


@pytest.mark.parametrize("factor", [1e30, np.nan, np.inf], ids=str)
def test_an_optimiser_that_leaves_the_numbers_is_refused(factor: float) -> None:
    def away(params: Floats, gradient: Floats, _state: Any, rate: Floats) -> None:
        params -= factor * rate * gradient

    with pytest.raises(ValueError, match="mine does not descend"):
        register_optimizer("mine", Optimizer(0, {}, rate_of, away))


def test_an_optimiser_that_stands_still_is_refused() -> None:
    still = Optimizer(0, {}, rate_of, lambda _params, _gradient, _state, _rate: None)
    with pytest.raises(ValueError, match="mine does not descend"):
        register_optimizer("mine", still)


def test_an_optimiser_that_depends_on_the_stack_is_refused() -> None:
    def by_all(params: Floats, gradient: Floats, _state: Any, rate: Floats) -> None:
        params -= rate * gradient / np.abs(gradient).max()

    before = names()
    with pytest.raises(ValueError, match="mine gives a member other numbers in a stack than alone"):
        register_optimizer("mine", Optimizer(0, {}, rate_of, by_all))
    assert names() == before


def test_names_that_are_taken_are_refused() -> None:
    before = [dict(table) for table in TABLES]
    with pytest.raises(ValueError, match="the activation 'relu' exists already"):
        register_activation("relu", SOFTSIGN)
    with pytest.raises(ValueError, match="the loss 'huber' exists already"):
        register_loss("huber", LOG_COSH)
    with pytest.raises(ValueError, match="the optimizer 'adam' exists already"):
        register_optimizer("adam", SIGNS)
    assert before == TABLES


def test_a_name_is_taken_after_it_was_entered() -> None:
    register_activation("mine", SOFTSIGN)
    with pytest.raises(ValueError, match="the activation 'mine' exists already"):
        register_activation("mine", SOFTSIGN)
    assert activations.ACTIVATIONS["mine"] is SOFTSIGN


@pytest.mark.parametrize("name", ["", "two words", "1st", "normal:0.1"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name is made of letters, digits and underscores"):
        register_activation(name, SOFTSIGN)


def test_a_refused_name_may_be_tried_again() -> None:
    with pytest.raises(ValueError, match="wrong derivative"):
        register_activation("mine", Activation(softsign, lambda _a, _delta, _scratch: None))
    register_activation("mine", SOFTSIGN)
    assert activations.ACTIVATIONS["mine"] is SOFTSIGN


def test_what_was_entered_by_a_test_is_gone() -> None:
    assert "mine" not in activations.ACTIVATIONS
    rows = Rows(np.zeros((4, 3), np.float32), (np.zeros(4, int),))
    with pytest.raises(ValueError, match="unknown activation 'mine'"):
        train(classifier(3, (2,), 2, "mine"), TrainingSettings(), one_member(), rows, rows)
