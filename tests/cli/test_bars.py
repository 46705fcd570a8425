"""Where a range lies in its bar, by hand-worked numbers."""

from __future__ import annotations

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from hpo.cli.bars import ASCII, UNICODE, Bar, bar, glyphs

LOG = FloatDistribution(1e-4, 1.0, log=True)


def drawn(found: Bar) -> str:
    cells = ["-#"[found.first <= cell < found.last] for cell in range(found.cells)]
    if found.best is not None:
        cells[found.best] = "*"
    return "".join(cells)


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (1e-4, 1.0, "########"),
        (1e-4, 1e-2, "####----"),
        (1e-2, 1.0, "----####"),
        (1e-3, 1e-1, "--####--"),
        (0.99, 1.0, "-------#"),
        (1e-4, 1.01e-4, "#-------"),
    ],
)
def test_the_bar_shows_the_range_in_the_logarithm(low: float, high: float, shown: str) -> None:
    assert drawn(bar(LOG, low, high, 8)) == shown


def test_a_linear_range_is_drawn_linearly() -> None:
    assert drawn(bar(FloatDistribution(0, 10), 5, 10, 10)) == "-----#####"
    assert drawn(bar(IntDistribution(0, 8), 2, 6, 8)) == "--####--"


@pytest.mark.parametrize(
    ("best", "shown"),
    [
        (1e-4, "*-####--"),  # the first cell begins there
        (1.1e-3, "--*###--"),  # two cells to a power of ten
        (9e-3, "--#*##--"),
        (1.1e-2, "--##*#--"),
        (1.0, "--####-*"),  # the end of the range belongs to the last cell
        (2.0, "--####--"),
        (None, "--####--"),
    ],
)
def test_the_best_value_has_a_cell(best: float | None, shown: str) -> None:
    assert drawn(bar(LOG, 1e-3, 1e-1, 8, best)) == shown


def test_a_value_in_the_range_is_not_drawn_outside_of_it() -> None:
    # 0.14 to 0.44 of ten cells are rounded to the cells 1 to 3, and 0.42 lies in the fifth.
    full = FloatDistribution(0, 1)
    assert drawn(bar(full, 0.14, 0.44, 10, 0.42)) == "-##*------"
    assert drawn(bar(full, 0.14, 0.44, 10, 0.45)) == "-###*-----"


@pytest.mark.parametrize("cells", [1, 2, 24])
def test_no_cell_lies_beyond_the_bar(cells: int) -> None:
    for low, high in [(1e-4, 1.0), (1e-3, 2e-3), (0.5, 1.0)]:
        found = bar(LOG, low, high, cells, high)
        assert 0 <= found.first < found.last <= cells
        assert found.best in range(cells)


def test_a_range_of_one_logarithm_is_whole() -> None:
    low, high = 1e-3, 1.0000000000000002e-3
    assert drawn(bar(FloatDistribution(low, high, log=True), low, high, 8)) == "########"


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", UNICODE),
        ("UTF-16", UNICODE),
        ("ascii", ASCII),
        ("iso-8859-1", ASCII),
        (None, ASCII),
        ("no such encoding", ASCII),
    ],
)
def test_what_the_encoding_lacks_is_drawn_in_ascii(encoding: str | None, found: object) -> None:
    assert glyphs(encoding) is found
    assert "".join(ASCII).isascii()
