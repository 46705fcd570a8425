"""Which task a target asks for, and which tasks it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo.data.errors import DataError
from hpo.data.loading import load
from hpo.data.schema import Task, check_task, infer_task
from hpo.data.table import Target


def numbers(values: Any) -> Target:
    return Target("y", np.asarray(values, dtype=np.float64), None)


TEXTS = Target("y", np.array([0.0, 1.0, 0.0]), ("good", "poor"))


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (TEXTS, "classification"),
        (numbers([0, 1, 0, 1]), "classification"),
        (numbers([0, 1, 2, 0, 1]), "regression"),
        (numbers(list(range(20)) * 2), "classification"),
        (numbers(list(range(21)) * 2), "regression"),
        (numbers([0.5, 1.5, 0.5, 1.5]), "regression"),
    ],
    ids=["texts", "two", "three of five rows", "twenty", "twenty-one", "fractions"],
)
def test_inferred(target: Target, task: Task) -> None:
    assert infer_task(target) == task
    check_task(target, task)


def test_shipped_sets() -> None:
    tasks = {name: infer_task(load(name).target) for name in ("digits", "wine", "diabetes")}
    assert tasks == {"digits": "classification", "wine": "classification", "diabetes": "regression"}


@pytest.mark.parametrize(
    ("target", "task", "expected"),
    [
        (
            TEXTS,
            "regression",
            (
                "target 'y' has texts, the first is 'good': regression needs numbers; choose "
                "classification or correct the cells"
            ),
        ),
        (
            numbers([1, 2.5]),
            "classification",
            (
                "target 'y' has fractions, such as 2.5: classes are texts or whole numbers; choose "
                "regression"
            ),
        ),
        (
            numbers(range(1001)),
            "classification",
            (
                "target 'y' has 1,001 distinct values, more than 1,000 classes: choose regression "
                "or another target"
            ),
        ),
    ],
)
def test_refused(target: Target, task: Task, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        check_task(target, task)
    assert str(caught.value) == expected


def test_accepted_when_asked_for() -> None:
    check_task(numbers(range(1000)), "classification")
    check_task(numbers([0, 1]), "regression")
