"""Columns that give the target away are found, and chance is no leak."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.checking.giveaway import MOST_COLUMNS, check_giveaway
from hpo.data.splitting import Split
from tests.checking.making import clean, faults, subject


def test_a_clean_table_has_no_leak() -> None:
    for seed in range(20):
        assert faults(list(check_giveaway(subject(*clean(seed=seed))))) == []


@pytest.mark.parametrize("kind", ["step", "code", "text", "noisy", "missing"])
def test_a_column_made_of_the_classes_is_found(kind: str) -> None:
    columns, classes = clean()
    rng = np.random.default_rng(1)
    ill = classes == "ill"
    made = {
        "step": np.where(ill, 5.0, 0.0) + rng.random(len(ill)),
        "code": np.where(ill, 2 * rng.integers(40, size=len(ill)), 2 * rng.integers(40) + 1),
        "text": np.where(ill, rng.choice(["q", "r"], len(ill)), rng.choice(["s", "t"], len(ill))),
        "noisy": np.where(rng.random(len(ill)) < 0.005, 1 - ill, ill) + 0.1 * rng.random(len(ill)),
        "missing": np.where(ill, np.nan, 1.0),
    }[kind]
    found = list(check_giveaway(subject(columns | {"later": made}, classes)))
    assert faults(found) == [("problem", "giveaway", ("later",))]
    assert "'later': 'y' follows from it alone" in found[0].what


@pytest.mark.parametrize(
    "function", [lambda y: 3 * y + 1, np.exp, lambda y: -(y**3), lambda y: np.round(y, 3)]
)
def test_a_function_of_a_quantity_is_found(function: np.ufunc) -> None:
    columns, _ = clean()
    y = np.random.default_rng(2).normal(size=400)
    found = list(check_giveaway(subject(columns | {"again": function(y)}, y)))
    assert faults(found) == [("problem", "giveaway", ("again",))]


def test_of_a_strong_column_it_is_noted_only() -> None:
    rng = np.random.default_rng(3)
    y = rng.random(2000)
    found = list(check_giveaway(subject({"good": y + 0.015 * rng.normal(size=2000)}, y)))
    assert faults(found) == [("note", "giveaway", ("good",))]


def test_the_worst_are_named() -> None:
    y = np.random.default_rng(4).normal(size=100)
    columns = {f"copy {i}": (i + 1) * y for i in range(20)}
    assert len(faults(list(check_giveaway(subject(columns, y))))) == MOST_COLUMNS


def test_a_file_sorted_by_class_is_no_leak() -> None:
    rng = np.random.default_rng(5)
    classes = np.repeat(["a", "b"], 200)
    columns = {"one": np.zeros(400), "coin": rng.integers(2, size=400).astype(float)}
    assert faults(list(check_giveaway(subject(columns, classes)))) == []


def test_test_rows_are_not_looked_at() -> None:
    columns, classes = clean()
    made = subject(columns, classes)
    only = np.zeros(400)
    only[made.split.test] = (classes == "ill")[made.split.test] + 1.0
    assert faults(list(check_giveaway(subject(columns | {"t": only}, classes, made.split)))) == []
    everything = Split(np.arange(400), made.split.test[:0], made.split.test[:0])
    known = np.where(classes == "ill", 1.0, 0.0)
    assert faults(list(check_giveaway(subject({"t": known}, classes, everything)))) != []


@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(8, 300),
    n_columns=st.integers(1, 60),
    rare=st.floats(0.02, 0.5),
    kind=st.sampled_from(["classes", "numbers", "counts"]),
)
def test_independent_columns_never_look_like_a_leak(
    seed: int, n_rows: int, n_columns: int, rare: float, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    y = {
        "classes": np.where(rng.random(n_rows) < rare, "rare", "usual"),
        "numbers": rng.lognormal(sigma=2, size=n_rows),
        "counts": rng.poisson(rare, size=n_rows) + rng.choice([0, 0.5], n_rows),
    }[kind]
    draws = (
        lambda: rng.normal(size=n_rows),
        lambda: rng.integers(1 + rng.integers(30), size=n_rows).astype(float),
        lambda: rng.choice(list("abcdefgh"), size=n_rows),
        lambda: np.where(rng.random(n_rows) < 0.5, np.nan, rng.random(n_rows)),
    )
    columns = {f"c{i}": draws[i % 4]() for i in range(n_columns)}
    assert faults(list(check_giveaway(subject(columns, y)))) == []
