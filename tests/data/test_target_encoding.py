"""Class indices and standardised quantities, and the way back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelEncoder, StandardScaler

from hpo.data.encoding import TargetEncoding
from hpo.data.errors import DataError
from hpo.data.table import Target

TEXTS = Target("y", np.array([1.0, 0.0, 2.0, 0.0]), ("a", "b", "c"))
ALL = np.arange(4)


def numbers(values: Any) -> Target:
    return Target("y", np.asarray(values, dtype=np.float64), None)


def test_classes_are_those_of_the_whole_column() -> None:
    encoding = TargetEncoding.fit(TEXTS, np.array([0, 1]), "classification")
    assert encoding.classes == ("a", "b", "c")
    assert encoding.n_outputs == 3
    found = encoding.transform(TEXTS)
    assert found.dtype == np.int64
    assert found.tolist() == [1, 0, 2, 0]
    assert encoding.transform(TEXTS, np.array([2, 3])).tolist() == [2, 0]


@given(st.lists(st.integers(-50, 50), min_size=1))
def test_whole_numbers_as_scikit_learn(values: list[int]) -> None:
    target = numbers(values)
    encoding = TargetEncoding.fit(target, np.arange(len(values)), "classification")
    oracle = LabelEncoder().fit(values)
    assert encoding.classes == tuple(map(str, oracle.classes_))
    np.testing.assert_array_equal(encoding.transform(target), oracle.transform(values))


def test_another_table_has_other_codes() -> None:
    encoding = TargetEncoding.fit(TEXTS, ALL, "classification")
    assert encoding.transform(Target("y", np.array([0.0, 1.0]), ("b", "c"))).tolist() == [1, 2]
    with pytest.raises(DataError, match=r"'y' has classes that were not in training: d, e$"):
        encoding.transform(Target("y", np.array([0.0, 1.0, 2.0]), ("b", "d", "e")))


@given(
    st.lists(st.floats(-1e150, 1e150), min_size=4, max_size=30),
    st.integers(0, 2**32),
)
def test_quantities_come_back(values: list[float], seed: int) -> None:
    target = numbers(values)
    rows = np.sort(np.random.default_rng(seed).permutation(len(values))[:3])
    encoding = TargetEncoding.fit(target, rows, "regression")
    found = encoding.transform(target, rows)
    assert found.shape == (3, 1)
    assert found.dtype == np.float32
    size = max(abs(value) for value in values)
    np.testing.assert_allclose(
        encoding.inverse(found)[:, 0], target.values[rows], rtol=1e-5, atol=1e-5 * size
    )


def test_quantities_as_scikit_learn() -> None:
    values = np.random.default_rng(0).normal(50, 9, 30)
    rows = np.arange(20)
    encoding = TargetEncoding.fit(numbers(values), rows, "regression")
    oracle = StandardScaler().fit(values[rows, None])
    np.testing.assert_allclose(
        encoding.transform(numbers(values)), oracle.transform(values[:, None]), rtol=1e-5
    )
    stack = np.ones((2, 30, 1), dtype=np.float32)
    assert encoding.inverse(stack).shape == (2, 30, 1)
    assert encoding.inverse(stack).dtype == np.float64
    assert encoding.n_outputs == 1


def test_a_quantity_that_is_constant_in_training() -> None:
    target = numbers([3, 3, 5, 7])
    encoding = TargetEncoding.fit(target, np.array([0, 1]), "regression")
    assert encoding.transform(target)[:, 0].tolist() == [0, 0, 2, 4]


def test_texts_are_no_quantities() -> None:
    encoding = TargetEncoding.fit(numbers([1, 2, 3, 4]), ALL, "regression")
    with pytest.raises(DataError, match=r"'y' has texts, the first is 'a': it was numbers in"):
        encoding.transform(TEXTS)


@pytest.mark.parametrize(
    "encoding",
    [
        TargetEncoding.fit(TEXTS, ALL, "classification"),
        TargetEncoding.fit(numbers([1, 2, 0.1, 4]), ALL, "regression"),
    ],
)
def test_json_round_trip(encoding: TargetEncoding) -> None:
    record = json.loads(json.dumps(encoding.to_json()))
    assert TargetEncoding.from_json(record) == encoding
    for key in record:
        with pytest.raises(DataError, match=rf"^stored encoding: '{key}' is missing"):
            TargetEncoding.from_json({k: v for k, v in record.items() if k != key})
    for damage in ({"format": "x"}, {"task": "guess"}, {"name": 1}, {"deviation": [-1.0]}):
        with pytest.raises(DataError, match=r"^stored encoding: "):
            TargetEncoding.from_json({**record, **damage})
