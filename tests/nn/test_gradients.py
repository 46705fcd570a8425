"""The backward pass against central differences in float64."""

import numpy as np
import pytest

from hpo.nn.architecture import Architecture, Floats
from hpo.nn.losses import LOSSES, Target
from hpo.nn.network import Workspace, backward, forward

MEMBERS, ROWS = 3, 7


def mean_losses(architecture: Architecture, params: Floats, X: Floats, target: Target) -> Floats:
    work = Workspace(architecture, len(params), len(X), np.float64)
    prediction = forward(architecture, architecture.layers(params), X, work)
    return LOSSES[architecture.loss].value(prediction, target)


def numerical_gradient(
    architecture: Architecture, params: Floats, X: Floats, target: Target, step: float = 1e-6
) -> Floats:
    gradient = np.empty_like(params)
    for index in range(params.shape[1]):
        up, down = params.copy(), params.copy()
        up[:, index] += step
        down[:, index] -= step
        rise = mean_losses(architecture, up, X, target)
        rise = rise - mean_losses(architecture, down, X, target)
        gradient[:, index] = rise / (2 * step)
    return gradient


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4), (5, 4, 3)])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_backward_equals_central_differences(
    hidden: tuple[int, ...], loss: str, n_outputs: int
) -> None:
    architecture = Architecture(4, hidden, n_outputs, loss=loss)
    rng = np.random.default_rng(len(hidden))
    params = rng.normal(size=(MEMBERS, architecture.n_params))
    X = rng.normal(size=(ROWS, 4))
    target: Target = (
        rng.integers(n_outputs, size=ROWS)
        if loss == "cross_entropy"
        else rng.normal(size=(ROWS, n_outputs))
    )
    work = Workspace(architecture, MEMBERS, ROWS, np.float64)
    layers = architecture.layers(params)
    forward(architecture, layers, X, work)
    gradient = np.full_like(params, np.nan)
    backward(architecture, layers, architecture.layers(gradient), X, target, work)

    expected = numerical_gradient(architecture, params, X, target)
    scale = np.maximum(np.abs(gradient) + np.abs(expected), 1e-3)
    assert np.max(np.abs(gradient - expected) / scale) < 1e-6
