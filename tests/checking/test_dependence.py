"""How far a target follows from a column: against SciPy, by hand, and where chance decides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chatterjeexi

from hpo.checking.dependence import Outcome, dependence


@pytest.mark.parametrize("n", [12, 100, 999])
def test_it_is_chatterjees_coefficient_scaled_to_reach_one(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=n)
    y = np.cos(3 * x) + rng.normal(scale=0.3, size=n)
    largest = (n - 2) / (n + 1)
    expected = chatterjeexi(x, y).statistic / largest
    assert dependence(x[:, None], Outcome.of_quantity(y)) == pytest.approx([expected])


def test_of_quantities_by_hand() -> None:
    # Sorted by the columns the ranks are 1 2 3 4, 4 3 2 1 and 2 4 1 3: their steps sum to 3, 3 and
    # 7; two ranks drawn by chance differ by 10/6, so three steps by 5.
    y = np.array([10.0, 20.0, 30.0, 400.0])
    columns = np.array([[1, 4, 3], [2, 3, 1], [3, 2, 4], [4, 1, 2]], dtype=float)
    found = dependence(columns, Outcome.of_quantity(y))
    assert found == pytest.approx([1, 1, 1 - (7 - 3) / (5 - 3)])


def test_of_classes_by_hand() -> None:
    # Three of each of two classes: two rows differ with probability 18/30, so 3 of 5 pairs do; one
    # must. Sorted by the columns 1, 5 and 3 pairs differ.
    classes = np.array(list("aaabbb"))
    columns = np.array([[1, 1, 1], [2, 3, 2], [3, 5, 5], [4, 2, 3], [5, 4, 4], [6, 6, 6]], float)
    found = dependence(columns, Outcome.of_classes(classes))
    assert found == pytest.approx([1, 1 - (5 - 1) / (3 - 1), 1 - (3 - 1) / (3 - 1)])


def test_of_codes_only_rows_of_one_value_are_compared() -> None:
    classes = np.array(list("abababab"))
    codes = np.array([0, 1, 2, 3, 0, 1, 2, 3], float)[:, None]
    # Each code has one class; side by side the classes alternate.
    assert dependence(codes, Outcome.of_classes(classes), ordered=False) == pytest.approx([1])
    alone = np.arange(8.0)[:, None]
    assert np.isnan(dependence(alone, Outcome.of_classes(classes), ordered=False)).all()


def test_a_number_that_stands_for_a_category_is_one() -> None:
    rng = np.random.default_rng(0)
    code = rng.integers(200, size=2000)
    classes = rng.permutation(200)[code] % 2
    assert dependence(code[:, None].astype(float), Outcome.of_classes(classes)) == pytest.approx(1)


def test_missing_cells_are_a_value_of_their_own() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(2, size=500)
    column = np.where(classes == 1, np.nan, rng.normal(size=500))[:, None]
    assert dependence(column, Outcome.of_classes(classes)) == pytest.approx(1)
