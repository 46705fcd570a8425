"""The live block, drawn into a string: nothing is lost on a narrow terminal."""

from __future__ import annotations

import pytest
from optuna.distributions import FloatDistribution

from hpo.cli.progress import _bar

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
    assert _bar(LOG, low, high, 8).plain == drawn


@pytest.mark.parametrize("cells", [0, 1, 2, 24])
def test_the_bar_is_as_wide_as_asked(cells: int) -> None:
    for low, high in [(1e-4, 1.0), (1e-3, 2e-3), (0.5, 1.0)]:
        assert len(_bar(LOG, low, high, cells).plain) == cells


def test_a_range_of_one_logarithm_is_drawn() -> None:
    low, high = 1e-3, 1.0000000000000002e-3
    assert len(_bar(FloatDistribution(low, high, log=True), low, high, 8).plain) == 8


def test_a_linear_range_is_drawn_linearly() -> None:
    assert _bar(FloatDistribution(0, 10), 5, 10, 10).plain == "─────█████"
