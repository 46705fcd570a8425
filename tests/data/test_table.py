"""Fingerprints: the same content has the same, other content another, and the change is named."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.data.loading import load
from hpo.data.table import Dataset, Table, describe_change, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

SMALL = "size,colour,y\n1,red,a\n2.5,blue,b\n,red,a\n"


def read(folder: Path, content: str, target: str = "y", name: str = "data.csv") -> dict[str, Any]:
    (folder / name).write_text(content, newline="")
    found: dict[str, Any] = json.loads(
        json.dumps(fingerprint(load(str(folder / name), target=target)))
    )
    return found


def test_what_it_holds(tmp_path: Path) -> None:
    found = read(tmp_path, SMALL)
    assert found["rows"] == 3
    assert found["target"] == "y"
    assert list(found["columns"]) == ["size", "colour"]
    assert found["target_sha256"] not in found["columns"].values()
    assert all(len(digest) == 64 for digest in (*found["columns"].values(), found["sha256"]))


@pytest.mark.parametrize(
    "content",
    [
        SMALL.replace("\n", "\r\n"),
        SMALL.replace("2.5", "2.50"),
        SMALL.replace("\n,", "\nNA,"),
        SMALL.replace("red", '"red"'),
    ],
)
def test_the_way_of_writing_does_not_count(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content, name="other.csv") == read(tmp_path, SMALL)


CHANGES = {
    "a number": (SMALL.replace("2.5", "2.6"), "columns changed: size"),
    "a text": (SMALL.replace("blue", "green"), "columns changed: colour"),
    "the target": (SMALL.replace("red,a", "red,b", 1), "columns changed: y"),
    "two columns": (SMALL.replace("1,red", "2,blue"), "columns changed: size, colour"),
    "a row more": (SMALL + "2,red,a\n", "rows 3 -> 4"),
    "a name": (SMALL.replace("size", "width"), "new: width; gone: size"),
    "the order": (
        "colour,size,y\nred,1,a\nblue,2.5,b\nred,,a\n",
        "columns in another order",
    ),
}


@pytest.mark.parametrize(("content", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_every_change_is_named(tmp_path: Path, content: str, expected: str) -> None:
    old, new = read(tmp_path, SMALL), read(tmp_path, content)
    assert old["sha256"] != new["sha256"]
    assert describe_change(old, new) == expected
    assert describe_change(new, new) == ""


def test_another_target(tmp_path: Path) -> None:
    full = SMALL.replace("\n,", "\n7,")
    old, new = read(tmp_path, full), read(tmp_path, full, target="size")
    assert describe_change(old, new) == "target y -> size"


def test_a_feature_of_the_targets_name_counts_too(tmp_path: Path) -> None:
    """An NPZ file's features are named by their place, and its target may have such a name."""
    path = tmp_path / "named.npz"
    X, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])

    def of(X: NDArray[Any]) -> str:
        np.savez(path, X=X, x0=y)
        return str(fingerprint(load(str(path), target="x0"))["sha256"])

    first = of(X)
    assert of(X) == first
    assert of(X + np.array([1, 0])) != first


def test_long_lists_are_shortened() -> None:
    target = {"target": "y", "target_sha256": ""}
    old: dict[str, Any] = {"rows": 1, **target, "columns": {}, "sha256": "a"}
    new = {**old, "columns": {f"f{i}": "" for i in range(20)}, "sha256": "b"}
    assert describe_change(old, new) == "new: f0, f1, f2, f3, f4, f5, f6, f7 and 12 more"


def test_zero_has_one_hash_and_nan_too() -> None:
    iris = load("iris")
    payload = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]

    def of(first: float, second: float) -> dict[str, Any]:
        numeric = iris.features.numeric[:, :1].copy()
        numeric[:2, 0] = first, second
        features = Table.of_numbers(numeric, ("a",))
        return fingerprint(dataclasses.replace(iris, features=features))

    assert of(0.0, np.nan) == of(-0.0, payload)
    assert of(0.0, np.nan) != of(np.nan, 0.0)


def test_labels_are_the_users_words() -> None:
    dataset: Dataset = load("iris")
    assert dataset.target.label(0.0) == "setosa"
    number = dataclasses.replace(dataset.target, vocabulary=None)
    assert [number.label(value) for value in (3.0, -0.0, 0.5, 1e15)] == [
        "3", "0", "0.5", "1000000000000000",
    ]  # fmt: skip
