"""Differences between choices against the noise between seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from hpo.comparing.noise import holm, paired


@pytest.mark.parametrize("n", [2, 5, 30])
def test_the_test_is_that_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    values, baseline = rng.normal(size=(2, n))
    found, told = paired(values, baseline), ttest_rel(values, baseline)
    assert found.p == pytest.approx(told.pvalue, rel=1e-9)
    assert found.standard_error is not None
    assert found.mean / found.standard_error == pytest.approx(told.statistic, rel=1e-9)


def test_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, deviation 1, t = 2 * sqrt(3), and with two degrees of freedom
    # p = 1 - t / sqrt(2 + t²) = 1 - sqrt(12 / 14).
    found = paired([2, 4, 6], [1, 2, 3])
    assert found.mean == 2
    assert found.standard_error == pytest.approx(1 / np.sqrt(3))
    assert found.p == pytest.approx(1 - np.sqrt(12 / 14))


def test_one_pair_says_nothing_about_noise() -> None:
    assert paired([2.0], [1.0]) == (1.0, None, None)


def test_pairs_without_any_noise() -> None:
    assert paired([1.0, 2.0], [1.0, 2.0]) == (0, 0, 1)
    assert paired([2.0, 3.0], [1.0, 2.0]) == (1, 0, 0)


def test_holm_by_hand() -> None:
    # In their order 0.005 * 4, 0.01 * 3, 0.03 * 2 and 0.04 * 1, which is raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.8, 0.7]) == [1, 1]
    assert holm([]) == []
