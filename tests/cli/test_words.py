"""Numbers as people read them."""

from __future__ import annotations

import pytest

from hpo.cli.words import parameters, plus_minus, score


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98261, "0.983"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (-12.3456, "-12.346"),
        (-3012.4, "-3012"),
        (-0.0000012345, "-1.234e-06"),
        (1.5e9, "1.5e+09"),
    ],
)
def test_scores(value: float, text: str) -> None:
    assert score(value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.9661, 0.00881, "0.966 ± 0.009"),
        (0.9819, 0.0003, "0.982 ± 0.0003"),
        (-3012.4, 151.2, "-3012 ± 150"),
        (-1.2e-12, 3e-13, "-1.2e-12 ± 3e-13"),
    ],
)
def test_standard_errors(value: float, error: float, text: str) -> None:
    assert plus_minus(value, error) == text


def test_parameters_have_the_names_of_the_field() -> None:
    params = {"learning_rate": 0.00921, "weight_decay": 4.59e-4}
    assert parameters(params) == "lr: 9.21e-03, weight decay: 4.59e-04"
