"""Update rules against hand-worked numbers, plain loops, scikit-learn and PyTorch."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from hpo.nn import descent
from hpo.nn.architecture import Architecture, Floats, Head
from hpo.nn.members import Members, Rows, TrainingSettings
from hpo.nn.optimizers import (
    NADAM_DECAY,
    OPTIMIZERS,
    Hyperparameters,
    State,
    _nadam_products,
    columns_of,
)
from hpo.nn.regularizers import inplace_weight_decay
from hpo.nn.schedules import Schedule
from hpo.nn.training import Start, Trained, train

NAMES = list(OPTIMIZERS)


def hyper_of(name: str, members: int, rate: ArrayLike, **options: ArrayLike) -> Hyperparameters:
    """All hyperparameters of ``name``, (members,) each."""
    numbers = {**OPTIMIZERS[name].defaults, "learning_rate": rate, **options}
    return {
        each: np.broadcast_to(np.asarray(value, dtype=np.float64), members).copy()
        for each, value in numbers.items()
    }


def inplace_step(
    name: str, step: int, params: Floats, gradient: Floats, state: State, hyper: Hyperparameters
) -> None:
    """One update as training makes it; the gradient is left alone."""
    optimizer = OPTIMIZERS[name]
    columns = columns_of(optimizer.coefficients(step, hyper), params)
    optimizer.update_inplace(params, gradient.copy(), state, *columns)


# The published rules on scalars, one step each: what is added to the parameter.

Memory = dict[str, float]
Plain = Callable[[int, float, Memory, Mapping[str, float]], float]


def plain_sgd(_t: int, g: float, _m: Memory, h: Mapping[str, float]) -> float:
    return -h["learning_rate"] * g


def plain_momentum(_t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    m["v"] = h["momentum"] * m["v"] - h["learning_rate"] * g
    return m["v"]


def plain_nesterov(_t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    """Sutskever et al. 2013, equations 3 and 4: the gradient is taken at theta + mu * v.

    ``v' = mu * v - lr * g``, ``theta' = theta + v'``; the parameter is the point theta + mu * v.
    """
    before = m["v"]
    m["v"] = h["momentum"] * before - h["learning_rate"] * g
    return m["v"] + h["momentum"] * (m["v"] - before)


def plain_adagrad(_t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    m["h"] += g * g
    return -h["learning_rate"] * g / (math.sqrt(m["h"]) + h["eps"])


def plain_rmsprop(_t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    m["h"] = h["rho"] * m["h"] + (1 - h["rho"]) * g * g
    return -h["learning_rate"] * g / (math.sqrt(m["h"]) + h["eps"])


def plain_adadelta(_t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    m["h"] = h["rho"] * m["h"] + (1 - h["rho"]) * g * g
    change = math.sqrt(m["u"] + h["eps"]) / math.sqrt(m["h"] + h["eps"]) * g
    m["u"] = h["rho"] * m["u"] + (1 - h["rho"]) * change * change
    return -h["learning_rate"] * change


def plain_adam(t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    m["m"] = h["beta1"] * m["m"] + (1 - h["beta1"]) * g
    m["v"] = h["beta2"] * m["v"] + (1 - h["beta2"]) * g * g
    first, second = m["m"] / (1 - h["beta1"] ** t), m["v"] / (1 - h["beta2"] ** t)
    return -h["learning_rate"] * first / (math.sqrt(second) + h["eps"])


def plain_nadam(t: int, g: float, m: Memory, h: Mapping[str, float]) -> float:
    """Nadam with the first moment of Adam, as in PyTorch and Keras."""
    mus = [float(h["beta1"] * (1 - 0.5 * 0.96 ** (k / 250))) for k in range(1, t + 2)]
    m["m"] = h["beta1"] * m["m"] + (1 - h["beta1"]) * g
    m["v"] = h["beta2"] * m["v"] + (1 - h["beta2"]) * g * g
    first = mus[-1] * m["m"] / (1 - math.prod(mus))
    first += (1 - mus[-2]) * g / (1 - math.prod(mus[:-1]))
    second = m["v"] / (1 - h["beta2"] ** t)
    return -h["learning_rate"] * first / (math.sqrt(second) + h["eps"])


PLAIN: dict[str, Plain] = {
    "sgd": plain_sgd,
    "momentum": plain_momentum,
    "nesterov": plain_nesterov,
    "adagrad": plain_adagrad,
    "rmsprop": plain_rmsprop,
    "adadelta": plain_adadelta,
    "adam": plain_adam,
    "nadam": plain_nadam,
    "adamw": plain_adam,
}


def plain_path(
    name: str, w: float, slope: Callable[[int, float], float], steps: int, h: Mapping[str, float]
) -> list[float]:
    """Where the plain rule leads from ``w``, which is the first entry."""
    path, memory = [w], defaultdict[str, float](float)
    for t in range(1, steps + 1):
        w += PLAIN[name](t, slope(t, w), memory, h)
        path.append(w)
    return path


def test_there_is_an_oracle_for_every_optimizer() -> None:
    assert set(PLAIN) == set(OPTIMIZERS)


def test_defaults() -> None:
    """Where nothing is said; Adam's are the paper's."""
    adam = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert {name: dict(optimizer.defaults) for name, optimizer in OPTIMIZERS.items()} == {
        "sgd": {},
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.9},
        "adagrad": {"eps": 1e-7},
        "rmsprop": {"rho": 0.99, "eps": 1e-7},
        "adadelta": {"rho": 0.9, "eps": 1e-6},
        "adam": adam,
        "nadam": adam,
        "adamw": adam,
    }


# By hand

ROOT7 = math.sqrt(7)
MU = [0.5 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in range(4)]
BY_HAND: list[tuple[str, dict[str, float], tuple[float, float], tuple[float, float]]] = [
    # 1 - 0.1 * 2; then - 0.1 * -1.
    ("sgd", {"learning_rate": 0.1}, (2.0, -1.0), (0.8, 0.9)),
    # v = -0.2, w = 0.8; v = 0.5 * -0.2 - 0.1 * 1 = -0.2, w = 0.6.
    ("momentum", {"learning_rate": 0.1, "momentum": 0.5}, (2.0, 1.0), (0.8, 0.6)),
    # v = -0.2, w = 1 + 0.5 * -0.2 - 0.2 = 0.7; v = -0.1 - 0.1 = -0.2, w = 0.7 - 0.1 - 0.1 = 0.5.
    ("nesterov", {"learning_rate": 0.1, "momentum": 0.5}, (2.0, 1.0), (0.7, 0.5)),
    # h = 9, w = 1 - 0.4 * 3 / (3 + 1) = 0.7; h = 25, w = 0.7 - 0.4 * 4 / (5 + 1).
    ("adagrad", {"learning_rate": 0.4, "eps": 1.0}, (3.0, 4.0), (0.7, 0.7 - 1.6 / 6)),
    # h = 16 / 4, w = 1 - 0.4 * 4 / (2 + 1); h = 0.75 * 4 + 4 / 4 = 4, w = … - 0.4 * 2 / 3 = 0.2.
    ("rmsprop", {"learning_rate": 0.4, "rho": 0.75, "eps": 1.0}, (4.0, 2.0), (1 - 1.6 / 3, 0.2)),
    # h = 64 / 4 = 16, the change is sqrt(0 + 9) / sqrt(16 + 9) * 8 = 4.8, w = 1 - 0.5 * 4.8;
    # u = 4.8² / 4 = 5.76, h = 12 + 16 / 4 = 16, the change is sqrt(5.76 + 9) / sqrt(25) * 4.
    (
        "adadelta",
        {"learning_rate": 0.5, "rho": 0.75, "eps": 9.0},
        (8.0, 4.0),
        (-1.4, -1.4 - 0.5 * math.sqrt(14.76) / 5 * 4),
    ),
    # m = 2, v = 4, corrected 4 and 16, w = 1 - 0.5 * 4 / (4 + 1) = 0.6;
    # m = 1 + 1 = 2, v = 3 + 1 = 4, corrected 2 / 0.75 = 8/3 and 4 / 0.4375 = 64/7.
    (
        "adam",
        {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 1.0},
        (4.0, 2.0),
        (0.6, 0.6 - 0.5 * (8 / 3) / (8 / ROOT7 + 1)),
    ),
    # The moments of Adam. Step 1: (mu2 * 2 / (1 - mu1 mu2) + (1 - mu1) * 4 / (1 - mu1)) / (4 + 1);
    # step 2: (mu3 * 2 / (1 - mu1 mu2 mu3) + (1 - mu2) * 2 / (1 - mu1 mu2)) / (8 / sqrt(7) + 1).
    (
        "nadam",
        {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 1.0},
        (4.0, 2.0),
        (
            1 - 0.1 * (MU[2] * 2 / (1 - MU[1] * MU[2]) + 4),
            1
            - 0.1 * (MU[2] * 2 / (1 - MU[1] * MU[2]) + 4)
            - 0.5
            * (MU[3] * 2 / (1 - MU[1] * MU[2] * MU[3]) + (1 - MU[2]) * 2 / (1 - MU[1] * MU[2]))
            / (8 / ROOT7 + 1),
        ),
    ),
]


@pytest.mark.parametrize(("name", "hyper", "gradients", "expected"), BY_HAND)
def test_two_steps_by_hand(
    name: str,
    hyper: dict[str, float],
    gradients: tuple[float, float],
    expected: tuple[float, float],
) -> None:
    """From 1; a second member whose learning rate is 0 stays there."""
    options = {key: value for key, value in hyper.items() if key != "learning_rate"}
    both = hyper_of(name, 2, [hyper["learning_rate"], 0.0], **options)
    params = np.ones((2, 1))
    state = OPTIMIZERS[name].init(params)
    for step, (slope, value) in enumerate(zip(gradients, expected, strict=True), start=1):
        inplace_step(name, step, params, np.full((2, 1), slope), state, both)
        np.testing.assert_allclose(params, [[value], [1.0]], rtol=1e-14)


def test_two_steps_of_adamw_by_hand() -> None:
    # Adam's steps by hand, and w <- (1 - 0.5 * 0.2) * w before each.
    params, hyper = np.ones((1, 1, 1)), hyper_of("adamw", 1, 0.5, beta1=0.5, beta2=0.75, eps=1)
    flat = params[:, 0]
    state = OPTIMIZERS["adamw"].init(flat)
    expected = [0.9 - 0.4, 0.9 * 0.5 - 0.5 * (8 / 3) / (8 / ROOT7 + 1)]
    for step, (slope, value) in enumerate(zip((4.0, 2.0), expected, strict=True), start=1):
        inplace_weight_decay(params, 1 - hyper["learning_rate"] * 0.2)
        inplace_step("adamw", step, flat, np.array([[slope]]), state, hyper)
        np.testing.assert_allclose(params, [[[value]]], rtol=1e-14)


def test_adamw_is_adam_and_its_decay_is_that_of_the_training() -> None:
    assert OPTIMIZERS["adamw"] == OPTIMIZERS["adam"]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_first_adam_step_is_the_learning_rate(name: str) -> None:
    # m / (1 - beta1) = g and v / (1 - beta2) = g * g, so the first step is lr * sign(g).
    params = np.zeros((1, 3))
    state = OPTIMIZERS[name].init(params)
    inplace_step(name, 1, params, np.array([[3.0, -0.2, 1e3]]), state, hyper_of(name, 1, 0.01))
    np.testing.assert_allclose(params, [[-0.01, 0.01, -0.01]], rtol=1e-6)


def test_eps_stands_beside_the_corrected_root() -> None:
    # Algorithm 1, not the variant at the end of its section 2: g / (|g| + eps) is 1/2 for g = eps.
    params = np.zeros((1, 1))
    state = OPTIMIZERS["adam"].init(params)
    for step in (1, 2):
        gradient = np.array([[1e-8]])
        inplace_step("adam", step, params, gradient, state, hyper_of("adam", 1, 0.01, eps=1e-8))
    np.testing.assert_allclose(params, [[-0.01]], rtol=1e-6)


# Plain loops

DIFFERENT: dict[str, dict[str, tuple[float, float]]] = {
    "sgd": {"learning_rate": (0.3, 0.001)},
    "momentum": {"learning_rate": (0.3, 0.001), "momentum": (0.5, 0.99)},
    "nesterov": {"learning_rate": (0.3, 0.001), "momentum": (0.5, 0.99)},
    "adagrad": {"learning_rate": (0.3, 0.01), "eps": (1e-2, 1e-7)},
    "rmsprop": {"learning_rate": (0.3, 0.01), "rho": (0.5, 0.99), "eps": (1e-2, 1e-7)},
    "adadelta": {"learning_rate": (1.0, 0.1), "rho": (0.5, 0.99), "eps": (1e-2, 1e-7)},
    "adam": {
        "learning_rate": (0.3, 0.01),
        "beta1": (0.5, 0.99),
        "beta2": (0.9, 0.9999),
        "eps": (1e-2, 1e-8),
    },
}
DIFFERENT |= {"nadam": DIFFERENT["adam"], "adamw": DIFFERENT["adam"]}


@pytest.mark.parametrize("name", NAMES)
def test_70_steps_equal_the_published_rule(name: str) -> None:
    """Two members that differ in everything; the numbers are those of the rule on scalars."""
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(71, 2, 5)) * 10.0 ** rng.integers(-4, 3, size=(71, 2, 5))
    hyper = DIFFERENT[name]
    start = rng.normal(size=(2, 5))
    ours = start.copy()
    state = OPTIMIZERS[name].init(ours)
    for step in range(1, 71):
        inplace_step(name, step, ours, gradients[step], state, hyper_of(name, 2, 0, **hyper))

    def plain(member: int, column: int) -> float:
        chosen = {key: values[member] for key, values in hyper.items()}
        slopes = gradients[:, member, column].tolist()
        w = float(start[member, column])
        return plain_path(name, w, lambda t, _w: float(slopes[t]), 70, chosen)[-1]

    expected = [[plain(member, column) for column in range(5)] for member in range(2)]
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_nesterov_looks_ahead() -> None:
    """Sutskever et al. 2013, equations 3 and 4, on a function: theta + mu * v are our parameters.

    This loop keeps theta and asks for the gradient of w² + sin(w) where theta will be.
    """
    params = np.array([[2.0]])
    state = OPTIMIZERS["nesterov"].init(params)
    theta, v = 2.0, 0.0
    for step in range(1, 31):
        ahead = theta + 0.8 * v
        np.testing.assert_allclose(params, [[ahead]], rtol=1e-12)
        v = 0.8 * v - 0.1 * (2 * ahead + math.cos(ahead))
        theta += v
        gradient = 2 * params + np.cos(params)
        hyper = hyper_of("nesterov", 1, 0.1, momentum=0.8)
        inplace_step("nesterov", step, params, gradient, state, hyper)
    np.testing.assert_allclose(state[0], [[v]], rtol=1e-12)


def valley(name: str, rate: float, **options: float) -> tuple[Floats, Floats]:
    """Our path and the plain loop's, (31, 2) each, on f = x²/20 + y² from (-7, 2)."""
    params = np.array([[-7.0, 2.0]])
    state = OPTIMIZERS[name].init(params)
    path = [params[0].copy()]
    for step in range(1, 31):
        gradient = params * np.array([0.1, 2.0])
        inplace_step(name, step, params, gradient, state, hyper_of(name, 1, rate, **options))
        path.append(params[0].copy())
    hyper = {"learning_rate": rate, **options}
    plain = [
        plain_path(name, -7.0, lambda _t, x: x / 10, 30, hyper),
        plain_path(name, 2.0, lambda _t, y: 2 * y, 30, hyper),
    ]
    return np.stack(path), np.array(plain).T


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        ("sgd", 0.95, {}),
        ("momentum", 0.1, {"momentum": 0.9}),
        ("adagrad", 1.5, {"eps": 1e-7}),
        ("adam", 0.3, {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    ],
)
def test_path_on_the_narrow_valley(name: str, rate: float, options: dict[str, float]) -> None:
    """Saitoh, Deep Learning from Scratch, chapter 6, with the book's rates.

    SGD swings across the valley at every step, the others hardly do. The book's momentum and
    Adam's betas are our defaults, and so is its eps for AdaGrad.
    """
    ours, plain = valley(name, rate, **options)
    np.testing.assert_allclose(ours, plain, rtol=1e-10, atol=1e-13)
    defaults, _ = valley(name, rate, **OPTIMIZERS[name].defaults)
    assert ours.tobytes() == defaults.tobytes()
    swings = int(np.sum(np.diff(np.sign(ours[:, 1])) != 0))
    assert swings == 30 if name == "sgd" else swings <= 5
    assert abs(ours[-1, 1]) < 0.5
    assert abs(ours[-1, 0]) < 3.5


# Other libraries


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_descent_equals_scikit_learn(name: str) -> None:
    rng = np.random.default_rng(0)
    rates, momenta = np.array([0.3, 0.001]), np.array([0.5, 0.97])
    options = {} if name == "sgd" else {"momentum": momenta}
    ours = rng.normal(size=(2, 11))
    theirs = [row.copy() for row in ours]
    peers = [
        SGDOptimizer(
            [row],
            learning_rate_init=rate,
            momentum=0.0 if name == "sgd" else momentum,
            nesterov=name == "nesterov",
        )
        for row, rate, momentum in zip(theirs, rates, momenta, strict=True)
    ]
    state = OPTIMIZERS[name].init(ours)
    for step in range(1, 41):
        gradients = rng.normal(size=ours.shape) * 10.0 ** rng.integers(-4, 4)
        for peer, row, gradient in zip(peers, theirs, gradients, strict=True):
            peer.update_params([row], [gradient])
        inplace_step(name, step, ours, gradients, state, hyper_of(name, 2, rates, **options))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_equals_scikit_learn(name: str) -> None:
    """Scikit-learn's epsilon stands beside the root that is not corrected.

    Ours is therefore epsilon / sqrt(1 - beta2^t) at step t, and the rest is the same.
    """
    rng = np.random.default_rng(0)
    rates, beta1, beta2 = np.array([0.3, 0.001]), np.array([0.9, 0.5]), np.array([0.999, 0.9])
    epsilon = np.array([1e-2, 1e-8])
    ours = rng.normal(size=(2, 11))
    theirs = [row.copy() for row in ours]
    peers = [
        AdamOptimizer([row], rates[place], beta1[place], beta2[place], epsilon[place])
        for place, row in enumerate(theirs)
    ]
    state = OPTIMIZERS[name].init(ours)
    for step in range(1, 41):
        gradients = rng.normal(size=ours.shape) * 10.0 ** rng.integers(-4, 4)
        for peer, row, gradient in zip(peers, theirs, gradients, strict=True):
            peer.update_params([row], [gradient])
        eps = epsilon / np.sqrt(1 - beta2**step)
        hyper = hyper_of(name, 2, rates, beta1=beta1, beta2=beta2, eps=eps)
        inplace_step(name, step, ours, gradients, state, hyper)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


# torch 2.13.0+cpu, float64: hyperparameters, and the parameters after 5 and after 25 steps.
PYTORCH: dict[str, tuple[dict[str, float], list[float], list[float]]] = {
    "momentum": (
        {"learning_rate": 0.05, "momentum": 0.8},
        [0.8957224465504919, -0.9158831326077437, 2.0321475983107895, -0.299867284374834],
        [2.8029026391340763, -0.805238257368635, 2.0250321326297906, -0.30174263363017895],
    ),
    "nesterov": (
        {"learning_rate": 0.05, "momentum": 0.8},
        [1.5409358584276844, -0.8393496625134327, 2.033965706265627, -0.30043615349171393],
        [3.2056469466789865, -0.8230849252682738, 2.0190761703906954, -0.30220777097747215],
    ),
    "adagrad": (
        {"learning_rate": 0.3, "eps": 1e-3},
        [0.6838139801002231, -0.2145034135013961, 2.4836123111306514, -0.4002142123993576],
        [0.63902179510881, -0.4751017032733328, 2.272147273847957, -0.3976507065064344],
    ),
    "rmsprop": (
        {"learning_rate": 0.02, "rho": 0.95, "eps": 1e-3},
        [0.5597926183587227, -0.9417765399675373, 2.1384053817153714, -0.3342746853959378],
        [0.5524105154438371, -1.0240417998616613, 2.0658214534156705, -0.3411725694684719],
    ),
    "adadelta": (
        {"learning_rate": 0.7, "rho": 0.85, "eps": 1e-4},
        [0.5359897456390533, -1.14545851217504, 2.0309701668825135, -0.3072545733957279],
        [0.5463888819322397, -1.192002647734922, 1.9886404366526094, -0.31111198897697245],
    ),
    "adam": (
        {"learning_rate": 0.03, "beta1": 0.8, "beta2": 0.97, "eps": 1e-3},
        [0.47612185253869543, -1.1112765757790108, 2.113624994248964, -0.26569734949350066],
        [0.5160104851951814, -1.090894882137808, 2.0978303507506015, -0.29978618183845995],
    ),
    "nadam": (
        {"learning_rate": 0.03, "beta1": 0.8, "beta2": 0.97, "eps": 1e-3},
        [0.5322364291851831, -1.1126233579101583, 2.064124162157461, -0.31620112709401516],
        [0.5519783934925433, -1.1427323370673181, 2.0166709564008807, -0.33917068517739735],
    ),
    "adamw": (
        {"learning_rate": 0.03, "beta1": 0.8, "beta2": 0.97, "eps": 1e-3},
        [0.4490009392742777, -1.0414122504074208, 1.9930958765175977, -0.25027872245305216],
        [0.38841291706459186, -0.7982538424508697, 1.5528844662463648, -0.22695744435121157],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_25_steps_equal_pytorch(name: str) -> None:
    """The numbers were printed by PyTorch, with the hyperparameters above, by::

        torch.set_default_dtype(torch.float64)  # NAdam keeps its product of momenta in this type
        p = torch.tensor([0.5, -1.25, 2.0, -0.3])
        o = torch.optim.NAdam([p], lr=0.03, betas=(0.8, 0.97), eps=1e-3, momentum_decay=0.004)
        for t in range(1, 26):
            p.grad = torch.tensor([math.cos(0.7 * t + i) * 10.0 ** (1 - i) for i in range(4)])
            o.step()
            if t in (5, 25): print(p.tolist())

    ``o`` is SGD(momentum), SGD(momentum, nesterov=True), Adagrad, RMSprop(alpha = our rho),
    Adadelta, Adam, NAdam and AdamW(weight_decay=0.4) in turn. Our defaults differ from PyTorch's
    in eps only (Adagrad 1e-10, RMSprop 1e-8 there); momentum_decay is fixed at PyTorch's default
    here. PyTorch's velocity is not scaled by the learning rate, ours is: with one constant rate,
    as here, both make the same path.
    """
    hyper, after_5, after_25 = PYTORCH[name]
    params = np.array([[[0.5, -1.25, 2.0, -0.3]]])
    flat = params[0]
    state = OPTIMIZERS[name].init(flat)
    options = hyper_of(name, 1, 0, **hyper)
    for t in range(1, 26):
        gradient = np.array([[math.cos(0.7 * t + i) * 10.0 ** (1 - i) for i in range(4)]])
        if name == "adamw":
            inplace_weight_decay(params, 1 - options["learning_rate"] * 0.4)
        inplace_step(name, t, flat, gradient, state, options)
        if t == 5:
            np.testing.assert_allclose(flat[0], after_5, rtol=1e-12)
    np.testing.assert_allclose(flat[0], after_25, rtol=1e-12)


# What holds for all


def some_hyper(name: str, members: int, rng: np.random.Generator) -> Hyperparameters:
    """Hyperparameters drawn for each member."""
    ranges = {"momentum": (0, 1), "rho": (0.5, 1), "beta1": (0, 1), "beta2": (0.5, 1)}
    options: dict[str, ArrayLike] = {
        key: 10.0 ** rng.uniform(-8, -1, members)
        if key == "eps"
        else rng.uniform(*ranges[key], size=members)
        for key in OPTIMIZERS[name].defaults
    }
    return hyper_of(name, members, 10.0 ** rng.uniform(-4, 0, members), **options)


def of_members(hyper: Hyperparameters, which: slice) -> Hyperparameters:
    return {key: values[which] for key, values in hyper.items()}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(
    members=st.integers(1, 6),
    n=st.integers(1, 40),
    chunk=st.integers(1, 7),
    margin=st.integers(0, 2),
    first_step=st.sampled_from([1, 2, 15, 999]),
    seed=st.integers(0, 1000),
)
def test_a_member_does_not_know_its_stack(
    name: str, members: int, n: int, chunk: int, margin: int, first_step: int, seed: int
) -> None:
    """Together, in chunks of any size and alone: the same bits, of the state too.

    With a ``margin`` the stack is a part of wider rows, as it is where layers are frozen.
    """
    rng = np.random.default_rng(seed)
    optimizer, hyper = OPTIMIZERS[name], some_hyper(name, members, rng)
    start = rng.normal(size=(members, n)).astype(np.float32)
    gradients = rng.normal(size=(3, members, n)) * 10.0 ** rng.integers(-6, 6, (3, members, n))
    gradients[rng.random(gradients.shape) < 0.1] = 0
    gradients = gradients.astype(np.float32)

    def walked(which: slice, size: int) -> list[bytes]:
        wide = np.pad(start[which], ((0, 0), (margin, margin)))
        params = wide[:, margin : margin + n]
        state = optimizer.init(params)
        for step, gradient in enumerate(gradients[:, which], start=first_step):
            factors = optimizer.coefficients(step, of_members(hyper, which))
            columns = columns_of(factors, params)
            scratch = np.pad(gradient, ((0, 0), (margin, margin)))[:, margin : margin + n]
            for first in range(0, len(params), size):
                part = slice(first, first + size)
                optimizer.update_inplace(
                    params[part],
                    scratch[part],
                    tuple(buffer[part] for buffer in state),
                    *(column[part] for column in columns),
                )
        rows = zip(params, *state, strict=True)
        return [b"".join(each.tobytes() for each in row) for row in rows]

    together = walked(slice(None), members)
    assert walked(slice(None), chunk) == together
    assert [walked(slice(m, m + 1), 1)[0] for m in range(members)] == together


@pytest.mark.parametrize("name", NAMES)
def test_training_in_chunks_of_any_size_gives_the_same_bits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(20, 3)).astype(np.float32), (rng.integers(2, size=20),))
    members = Members(tuple(range(5)), np.array([0.1, 0.03, 0.01, 0.3, 0.02]), 0.1)

    def trained(members_at_once: int) -> Trained:
        architecture = Architecture(3, (4,), (Head(2),))
        monkeypatch.setattr(
            descent,
            "member_parts",
            lambda n, _: [
                slice(m, min(m + members_at_once, n)) for m in range(0, n, members_at_once)
            ],
        )
        settings = TrainingSettings(name, epochs=3, batch_size=8, patience=None)
        return train(architecture, settings, members, rows, None)

    whole = trained(5)
    for size in (1, 2, 3, 4):
        parts = trained(size)
        assert parts.params.tobytes() == whole.params.tobytes()
        assert [each.tobytes() for each in parts.state] == [each.tobytes() for each in whole.state]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [1, 2, 5000])
def test_coefficients_are_pure(name: str, step: int) -> None:
    """Twice the same numbers, one for each member, and what was given is left alone."""
    hyper = some_hyper(name, 3, np.random.default_rng(step))
    before = {key: values.copy() for key, values in hyper.items()}
    once = [each.copy() for each in OPTIMIZERS[name].coefficients(step, hyper)]
    OPTIMIZERS[name].coefficients(step + 1, hyper)
    again = OPTIMIZERS[name].coefficients(step, hyper)
    assert [each.tobytes() for each in again] == [each.tobytes() for each in once]
    assert all(each.shape == (3,) and each.dtype == np.float64 for each in again)
    assert all(np.isfinite(each).all() for each in again)
    assert {key: values.tobytes() for key, values in hyper.items()} == {
        key: values.tobytes() for key, values in before.items()
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_are_pure(dtype: Any) -> None:
    factors = (np.array([0.1, 0.2, 0.3]), np.array([1e-8, 1.0, 0.0]))
    like = np.full((3, 5), 7, dtype=dtype)
    columns = columns_of(factors, like)
    assert [column.shape for column in columns] == [(3, 1), (3, 1)]
    assert all(column.dtype == dtype for column in columns)
    expected = [[0.1, 0.2, 0.3], [1e-8, 1.0, 0.0]]
    for column, numbers in zip(columns, expected, strict=True):
        assert column[:, 0].tolist() == np.array(numbers, dtype=dtype).tolist()
    assert [factor.tolist() for factor in factors] == expected
    assert (like == 7).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_update_leaves_its_coefficients_alone(name: str) -> None:
    """In float64 columns may be views of the hyperparameters, which the next step needs."""
    rng = np.random.default_rng(0)
    hyper, params = some_hyper(name, 3, rng), rng.normal(size=(3, 4))
    before = {key: values.copy() for key, values in hyper.items()}
    columns = columns_of(OPTIMIZERS[name].coefficients(1, hyper), params)
    copies = [column.copy() for column in columns]
    state = OPTIMIZERS[name].init(params)
    OPTIMIZERS[name].update_inplace(params, rng.normal(size=(3, 4)), state, *columns)
    for column, copied in zip(columns, copies, strict=True):
        assert column.tobytes() == copied.tobytes()
    assert all(before[key].tobytes() == values.tobytes() for key, values in hyper.items())


@pytest.mark.parametrize(
    ("name", "slots"),
    list(zip(NAMES, (0, 1, 1, 1, 1, 2, 2, 2, 2), strict=True)),
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_init_makes_zeros(name: str, slots: int, dtype: Any) -> None:
    params = np.full((3, 5), np.nan, dtype=dtype)
    state = OPTIMIZERS[name].init(params)
    assert isinstance(state, tuple)
    assert len(state) == slots == OPTIMIZERS[name].slots
    for buffer in state:
        assert (buffer.shape, buffer.dtype) == (params.shape, params.dtype)
        assert not buffer.any()
    owners = [params, *state]
    pairs = [(a, b) for place, a in enumerate(owners) for b in owners[:place]]
    assert not any(np.shares_memory(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first_step", [1, 4998])
def test_a_zero_gradient_changes_nothing(name: str, dtype: Any, first_step: int) -> None:
    """With a state of zeros: no 0/0, with the default hyperparameters and with small ones."""
    start = np.array([[1.0, -2.0, 0.0, 1e-30, 1e30]] * 2, dtype=dtype)
    params = start.copy()
    state = OPTIMIZERS[name].init(params)
    least = {
        key: [value, 1e-12 if key == "eps" else 0.0]
        for key, value in OPTIMIZERS[name].defaults.items()
    }
    hyper = hyper_of(name, 2, [0.1, 1e-3], **least)
    for step in range(first_step, first_step + 4):
        inplace_step(name, step, params, np.zeros_like(params), state, hyper)
    assert params.tobytes() == start.tobytes()
    assert all(not buffer.any() for buffer in state)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_parameter_without_gradient_is_not_touched_by_its_neighbours(
    name: str, dtype: Any
) -> None:
    """A dead unit beside units that learn, over many steps."""
    params = np.ones((2, 3), dtype=dtype)
    state = OPTIMIZERS[name].init(params)
    gradient = np.array([[0.0, 1.0, -1e-3], [1.0, 0.0, -1e3]], dtype=dtype)
    for step in range(1, 40):
        inplace_step(name, step, params, gradient, state, hyper_of(name, 2, 0.01))
    assert params[[0, 1], [0, 1]].tolist() == [1, 1]
    assert np.isfinite(params).all()
    assert (params[gradient > 0] < 1).all()
    assert (params[gradient < 0] > 1).all()


SENSIBLE = {
    "sgd": 0.015,
    "momentum": 0.005,
    "nesterov": 0.005,
    "adagrad": 0.5,
    "rmsprop": 0.01,
    "adadelta": 1.0,
    "adam": 0.01,
    "nadam": 0.01,
    "adamw": 0.01,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_badly_scaled_quadratic_falls_by_a_factor_of_100(name: str, dtype: Any) -> None:
    """(x² + 100 y²) / 2, from three starts."""
    params = np.array([[1.0, 1.0], [-2.0, 0.1], [0.3, -3.0]], dtype=dtype)
    scales = np.array([1, 100], dtype=dtype)
    before = (scales * params**2).sum(axis=1)
    state, hyper = OPTIMIZERS[name].init(params), hyper_of(name, 3, SENSIBLE[name])
    for step in range(1, 2001):
        inplace_step(name, step, params, scales * params, state, hyper)
    after = (scales * params**2).sum(axis=1)
    assert (after < before / 100).all()


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_of_a_step_do_not_depend_on_others(name: str) -> None:
    """One step of one member against blocks of steps of many members, to the last bit.

    NumPy takes a single square, or a root, in another way than those of several numbers.
    """
    rng = np.random.default_rng(0)
    options = {option: rng.uniform(0.05, 0.95, 200) for option in OPTIMIZERS[name].defaults}
    rates = rng.random((3, 200))
    for first in (1, 2, 123, 124, 248, 249, 499):
        steps = first + np.arange(3)[:, None] + np.zeros((1, 200), np.int64)
        hyper = options | {"learning_rate": rates}
        block = [
            np.broadcast_to(each, (3, 200)) for each in OPTIMIZERS[name].coefficients(steps, hyper)
        ]
        for place in range(200):
            one = {option: values[place : place + 1] for option, values in options.items()}
            one["learning_rate"] = rates[:1, place : place + 1]
            alone = OPTIMIZERS[name].coefficients(steps[:1, place : place + 1], one)
            found = [np.broadcast_to(each, (1, 1))[0, 0] for each in alone]
            assert found == [each[0, place] for each in block]


def test_nadam_products_equal_a_plain_loop() -> None:
    """Up to 5,000 steps, from tables of whatever length."""
    assert NADAM_DECAY == 0.004
    product, products = 1.0, [1.0]
    for t in range(1, 5001):
        product *= 1 - 0.5 * 0.96 ** (t / 250)
        products.append(product)
    np.testing.assert_allclose(_nadam_products(5001), products, rtol=1e-11)
    np.testing.assert_allclose(_nadam_products(8192)[:5001], products, rtol=1e-11)
    for length in (2, 3, 64):
        np.testing.assert_allclose(_nadam_products(length), products[:length], rtol=1e-12)


def test_nadam_coefficients_equal_a_plain_loop() -> None:
    """At all of 5,000 steps, over every place where the table grows; products that vanish too."""
    rates, beta1, beta2 = [0.1, 2.0], [0.9, 0.999], [0.99, 0.9999]
    hyper = hyper_of("nadam", 2, rates, beta1=beta1, beta2=beta2, eps=1e-6)
    ours = np.array([OPTIMIZERS["nadam"].coefficients(t, hyper) for t in range(1, 5001)])

    def plain(rate: float, beta1: float, beta2: float) -> list[tuple[float, ...]]:
        product = 1.0
        lines: list[tuple[float, ...]] = []
        for t in range(1, 5001):
            mu = beta1 * (1 - 0.5 * 0.96 ** (t / 250))
            following = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) / 250))
            product *= mu
            # The buffers hold m / (1 - beta1) and v / (1 - beta2).
            root = math.sqrt((1 - beta2) / (1 - beta2**t))
            of_gradient = rate * (1 - mu) / (1 - product) / root
            of_first = rate * (1 - beta1) * following / (1 - product * following) / root
            lines.append((beta1, beta2, 1e-6 / root, of_gradient, of_first))
        return lines

    expected = [plain(*each) for each in zip(rates, beta1, beta2, strict=True)]
    np.testing.assert_allclose(ours.transpose(2, 0, 1), expected, rtol=1e-11)


# Weight decay


def test_weight_decay_by_hand() -> None:
    # Kept are 1 - 0.1 * 1 and 1 - 0.01 * 10 of the weights of each member.
    weights = np.array([[[1.0, -2.0]], [[4.0, 8.0]]])
    kept = 1 - np.array([0.1, 0.02]) * np.array([1.0, 10.0])
    inplace_weight_decay(weights, kept)
    np.testing.assert_allclose(weights, [[[0.9, -1.8]], [[3.2, 6.4]]], rtol=1e-15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schedule", [Schedule(), Schedule("cosine", warmup=0.25)])
def test_weights_without_gradient_only_decay(name: str, schedule: Schedule) -> None:
    """Inputs of 0 and a target that is met: w <- (1 - lr * wd) * w, and biases stay.

    The learning rate of a step is the one after the schedule.
    """
    rates, decays = np.array([0.1, 0.02]), np.array([0.5, 3.0])
    rows = Rows(np.zeros((4, 2)), (np.full((4, 1), 0.7),))
    start = np.array([[1.0, -2.0, 0.7], [3.0, 0.5, 0.7]])
    settings = TrainingSettings(name, 8, 4, None, schedule=schedule)
    architecture = Architecture(2, (), (Head(1, "squared_error"),))
    members = Members((0, 1), rates, decays)
    trained = train(architecture, settings, members, rows, None, start=Start(start))

    expected = start.copy()
    for step in range(1, 9):
        cosine = 0.5 * (1 + math.cos(math.pi * (step - 3) / 6))
        factor = 1.0 if schedule.name == "constant" else step / 2 if step <= 2 else cosine
        expected[:, :2] *= (1 - factor * rates * decays)[:, None]
    np.testing.assert_allclose(trained.params, expected, rtol=1e-13)
    assert trained.params[:, 2].tolist() == [0.7, 0.7]
    assert all(not buffer.any() for buffer in trained.state)


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_is_apart_from_the_gradient(name: str) -> None:
    """After one batch the weights differ by lr * wd * w from those of a member without decay.

    Nothing of it reaches the biases or the optimiser's state.
    """
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(9, 3)), (rng.normal(size=(9, 2)),))
    architecture = Architecture(3, (4,), (Head(2, "squared_error"),), activation="tanh")
    start = Start(np.tile(rng.normal(size=(1, architecture.n_params)), (3, 1)))
    rates, decays = np.array([0.1, 0.1, 0.1]), np.array([0.0, 0.5, 2.0])
    members, settings = Members((0, 0, 0), rates, decays), TrainingSettings(name, 1, 9, None)
    trained = train(architecture, settings, members, rows, None, start=start)
    before, after = architecture.layers(start.params), architecture.layers(trained.params)
    for old, new in zip(before, after, strict=True):
        expected = new.weights[:1] - (rates * decays)[:, None, None] * old.weights
        np.testing.assert_allclose(new.weights, expected, rtol=1e-12, atol=1e-14)
        assert (new.biases == new.biases[:1]).all()
    assert all((buffer == buffer[:1]).all() for buffer in trained.state)


# What cannot be used


def refused(name: str, option: str, value: float) -> None:
    rows = Rows(np.ones((4, 2), np.float32), (np.zeros(4, dtype=np.int64),))
    members = Members((0, 1), 0.1, options={option: np.array([0.5, value])})
    chosen = TrainingSettings(name, epochs=1, patience=None)
    with pytest.raises(ValueError, match=f"^.*{option}.*$") as error:
        train(Architecture(2, (), (Head(2),)), chosen, members, rows, None)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("momentum", "momentum", -0.1),
        ("adam", "beta1", np.nan),
        ("adagrad", "eps", -1e-8),
        ("sgd", "momentum", 0.9),
        ("adam", "rho", 0.9),
    ],
)
def test_hyperparameters_that_cannot_be_used_are_refused(
    name: str, option: str, value: float
) -> None:
    refused(name, option, value)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        *((name, "beta1", 1.0) for name in ("adam", "adamw")),
        *((name, "beta2", 1.0) for name in ("adam", "nadam", "adamw")),
        *((name, beta, 1.5) for name in ("adam", "nadam") for beta in ("beta1", "beta2")),
        *((name, "rho", 1.5) for name in ("rmsprop", "adadelta")),
        ("rmsprop", "rho", 1.0),
    ],
)
def test_means_decay_by_less_than_one(name: str, option: str, value: float) -> None:
    """Kingma & Ba 2015, algorithm 1: beta1 and beta2 are in [0, 1); so is a decayed mean's rho.

    With 1 the rule divides by zero: the member would be marked as diverged, and nobody told why.
    """
    refused(name, option, value)
