"""Texts that tell searches apart: equal for equal values, in every process."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from hpo.search.cv.fingerprint import describe, differences, sealed, shortened

PAIRS: list[tuple[Any, Any]] = [
    (1, 2),
    (1, True),
    ("1", 1),
    (1.0, np.nextafter(1.0, 2)),
    (float("nan"), None),
    ((1, 2), [1, 2]),
    ([[1], 2], [[1, 2]]),
    ({"a": 1}, {"a": 2}),
    (np.arange(3), np.arange(4)),
    (np.arange(3), np.arange(3.0)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object)),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    (pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["y"]})),
    (pl.DataFrame({"a": ["x"]}), pl.DataFrame({"a": ["y"]})),
    (sparse.csr_matrix(np.eye(3)), sparse.csr_matrix(2 * np.eye(3))),
    (sparse.csr_matrix(np.eye(3)), sparse.csc_matrix(np.eye(3))),
    (Ridge(), Ridge(alpha=2)),
    (make_pipeline(StandardScaler(), Ridge()), make_pipeline(StandardScaler(), Ridge(alpha=2))),
    (Ridge, StandardScaler),
    (np.log, np.exp),
    (KFold(3), KFold(3, shuffle=True)),
    (np.random.RandomState(0), np.random.RandomState(1)),
    (make_scorer(f1_score, average="micro"), make_scorer(f1_score, average="macro")),
    (partial(max, 1), partial(max, 2)),
    (FloatDistribution(0, 1), FloatDistribution(0, 2)),
    (FloatDistribution(0, 1), IntDistribution(0, 1)),
    (CategoricalDistribution(("a", "b")), CategoricalDistribution(("b", "a"))),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair[0]).__name__)
def test_different_values_have_different_texts(pair: tuple[Any, Any]) -> None:
    left, right = map(describe, pair)
    assert left != right
    assert "\n" not in left
    assert describe(pair[0]) == left


def test_what_equals_is_described_alike() -> None:
    assert describe(np.float64(0.5)) == describe(0.5)
    assert describe(np.int32(3)) == describe(3)
    assert describe(np.arange(6)[::2]) == describe(np.array([0, 2, 4]))
    table = np.arange(6.0).reshape(2, 3)
    assert describe(np.asfortranarray(table)) == describe(table)
    fitted = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    assert describe(fitted) == describe(Ridge())
    first, second = "".join(["a", "b"]), "".join(["a", "b"])
    same, other = np.array([first, first], object), np.array([first, second], object)
    assert describe(same) == describe(other)


def test_a_sparse_matrix_is_the_same_after_its_use() -> None:
    matrix = sparse.random(20, 5, 0.3, format="csr", random_state=0)
    before = describe(matrix)
    assert matrix.has_sorted_indices
    assert matrix.has_canonical_format
    assert describe(matrix) == before


def test_a_frame_is_the_same_after_its_use() -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0, 3.0], "b": [1, 2, 4], "c": ["x", "y", "x"]})
    before = describe(frame)
    Ridge().fit(frame[["a", "b"]], frame["a"])
    assert frame.iloc[:2]["c"].nunique() == 2
    assert describe(frame) == before
    assert describe(frame.copy()) == before


def test_nothing_is_shown_of_the_rows() -> None:
    text = sealed([["Ada", "1815-12-10"]])
    assert "Ada" not in text
    assert text != sealed([["Ada", "1815-12-11"]])
    assert differences({"X": text}, {"X": sealed([])}) == "X"


class Holder(BaseEstimator):  # type: ignore[misc]
    def __init__(self, held: Any) -> None:
        self.held = held


def test_what_cannot_be_pickled_is_described_without_its_address() -> None:
    assert describe(Lock()) == describe(Lock())
    assert describe(Holder(Lock())) == describe(Holder(Lock()))
    first, second = (FunctionTransformer(lambda rows: rows) for _ in range(2))
    assert "<lambda>" in describe(first)
    assert describe(first) == describe(second)


SCRIPT = """
from tests.search.cv.test_fingerprint import PAIRS, describe
print("\\n".join(describe(each) for pair in PAIRS for each in pair))
"""


def test_texts_are_the_same_in_another_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parents[3],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [describe(each) for pair in PAIRS for each in pair]


def test_long_texts_are_shortened_and_stay_different() -> None:
    texts = ["x" * 200 + end for end in "ab"]
    left, right = map(shortened, texts)
    assert left != right
    assert max(len(left), len(right)) < 80
    assert shortened("y" * 120) == "y" * 120


@pytest.mark.parametrize(
    ("stored", "given", "words"),
    [
        ({"a": "1"}, {"a": "1"}, ""),
        ({"a": "1"}, {"a": "2"}, "a (1, not 2)"),
        ({"a": "1", "b": "x" * 99}, {"a": "2", "b": "y"}, "a (1, not 2) and b"),
        ({"a": "1", "b": "1", "c": "1"}, {"a": "2", "b": "2", "c": "z" * 50},
         "a (1, not 2), b (1, not 2) and c"),
        ({}, {"a": "1"}, "a"),
        ({"gone": "1"}, {}, "gone"),
    ],
)  # fmt: skip
def test_differences_are_named(stored: dict[str, str], given: dict[str, str], words: str) -> None:
    assert differences(stored, given) == words
