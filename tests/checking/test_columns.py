"""Columns that name rows, groups and times; missing cells, new categories, rare classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo.checking.cells import check_content, check_missing, check_new_categories
from hpo.checking.classes import check_classes
from hpo.checking.columns import features
from hpo.checking.data import check_data, suspicions
from hpo.checking.identifiers import check_identifiers
from hpo.checking.relations import check_relations
from hpo.data.splitting import Split
from hpo.data.steering import take_out
from tests.checking.making import clean, faults, subject, table

N = 400
RNG = np.random.default_rng(0)


def test_a_clean_table_has_no_finding() -> None:
    for seed in range(10):
        made = subject(*clean(seed=seed))
        assert faults(check_data(made)) == []
        assert suspicions(made) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (np.arange(N) + 7.0, "a running number"),
        (RNG.permutation(N) + 0.0, "a running number"),
        (np.cumsum(RNG.integers(1, 9, size=N)) + 0.0, "a running number"),
        ([f"row {i}" for i in RNG.permutation(N)], "a text of its own in every row"),
        ([f"row {max(i, 9)}" for i in range(N)], "a text of its own in nearly every row"),
    ],
)
def test_what_numbers_or_names_rows_is_found(cells: Any, said: str) -> None:
    columns, classes = clean()
    made = subject(columns | {"k": cells}, classes)
    found = list(check_identifiers(list(features(made.dataset.features))))
    assert faults(found) == [("warning", "identifiers", ("k",))]
    assert found[0].what == f"'k': {said}"
    assert faults(check_data(made)) == faults(found)


@pytest.mark.parametrize(
    "cells",
    [
        RNG.normal(size=N),  # all distinct, and no whole numbers
        np.sort(RNG.normal(size=N)),
        RNG.permutation(10 * N)[:N] + 0.0,  # all distinct, but with gaps
        np.repeat(np.arange(N / 2), 2),
        RNG.choice(["a", "b"], size=N),
    ],
)
def test_what_does_not_is_not(cells: Any) -> None:
    assert faults(list(check_identifiers(list(features(table({"k": cells})))))) == []
    few = list(features(table({"k": np.arange(10.0)})))
    assert faults(list(check_identifiers(few))) == []


@pytest.mark.parametrize(
    ("name", "cells", "level"),
    [
        ("patient", [f"P{i // 4}" for i in range(N)], "warning"),
        ("PatientID", np.arange(N) // 4 + 0.0, "warning"),
        ("zone", [f"Z{i % 40}" for i in range(N)], "note"),
        ("seen", [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(N)], "warning"),
        ("year", 2000 + np.arange(N) % 20 + 0.0, "note"),
        ("at", 1.5e9 + 86_400 * RNG.integers(999, size=N), "note"),
    ],
)
def test_what_looks_like_a_group_or_a_time_is_told(name: str, cells: Any, level: str) -> None:
    columns, classes = clean()
    made = subject(columns | {name: cells}, classes)
    found = list(check_relations(made, list(features(made.dataset.features))))
    assert faults(found) == [(level, "relations", (name,))]
    option = "--time" if name in {"seen", "year", "at"} else "--group"
    assert found[0].advice.endswith(f"{option} {name}")
    # Some patients have no training row, which is another finding.
    told = [each for each in faults(check_data(made)) if each[1] != "categories"]
    assert told == faults(found)


def test_what_is_split_by_is_looked_after() -> None:
    columns, classes = clean()
    columns["patient"] = np.array([f"P{i // 4}" for i in range(N)])
    made = subject(columns, classes)
    features_left, steering = take_out(made.dataset.features, "group", "patient", "made.csv", str)
    dataset = replace(made.dataset, features=features_left, steering=steering)
    apart = Split(np.arange(200), np.arange(200, 300), np.arange(300, 400))
    kept = replace(made, dataset=dataset, split=apart)
    (well,) = check_relations(kept, list(features(features_left)))
    assert str(well) == "'patient': no group stands in two parts"
    torn = replace(kept, split=Split(np.arange(201), np.arange(201, 300), np.arange(300, 400)))
    (fault,) = check_relations(torn, [])
    assert (fault.level, fault.what) == ("problem", "'patient': 1 group in two parts")


def test_later_parts_are_later() -> None:
    columns, classes = clean()
    made = subject(columns | {"day": np.arange(N) + 0.5}, classes)
    left, steering = take_out(made.dataset.features, "time", "day", "made.csv", str)
    dataset = replace(made.dataset, features=left, steering=steering)
    (fault,) = check_relations(replace(made, dataset=dataset), [])  # drawn by lot
    assert fault.what == "'day': a part begins before an earlier one ends"
    apart = Split(np.arange(200), np.arange(200, 300), np.arange(300, 400))
    (well,) = check_relations(replace(made, dataset=dataset, split=apart), [])
    assert well.what == "'day': each part is later than the one before"


def test_missing_cells_are_counted() -> None:
    some = np.where(np.arange(N) < 2, np.nan, 1.5 + np.arange(N))
    many = [None if i % 5 else "x" for i in range(N)]
    made = table({"some": some, "many": many, "none": np.full(N, np.nan)})
    found = list(check_missing(list(features(made)), N))
    assert [str(each) for each in found] == [
        "'many': 80% of its cells are missing; delete the column if the others say as much",
        "missing cells, which are filled from the training rows: some 0.5%",
    ]
    assert [each.level for each in found] == ["warning", "note"]


def test_columns_that_say_nothing_are_named() -> None:
    column = RNG.normal(size=N)
    made = table({"a": column, "b": column, "c": np.ones(N), "d": np.full(N, np.nan)})
    assert [(str(each), each.columns) for each in check_content(made)] == [
        ("columns without any value, left out: d", ("d",)),
        ("columns with one value in every row, left out: c", ("c",)),
        ("columns that repeat another: b = a", ("b",)),
    ]


def test_new_categories_are_counted_by_part() -> None:
    split = Split(np.arange(200), np.arange(200, 300), np.arange(300, 400))
    make = ["old"] * 200 + ["new"] * 3 + ["old"] * 97 + ["newer"] * 30 + ["old"] * 70
    made = subject({"make": make, "v": RNG.normal(size=N)}, RNG.normal(size=N), split)
    found = list(check_new_categories(made, list(features(made.dataset.features))))
    assert [(each.level, each.what.rpartition(": ")[2]) for each in found] == [
        ("note", "make (3)"),
        ("warning", "make (30)"),
    ]
    assert [each.what.split(",")[0] for each in found] == ["100 validation rows", "100 test rows"]


def test_few_and_uneven_classes_are_told() -> None:
    split = Split(np.arange(200), np.arange(200, 300), np.arange(300, 400))
    classes = np.array(["usual"] * N)
    classes[[0, 1, 2]] = "rare"
    classes[250] = "late"
    classes[350] = "sealed"
    (few, uneven) = check_classes(subject({"v": RNG.normal(size=N)}, classes, split))
    assert (few.level, few.what) == (
        "warning",
        "classes with fewer than 10 training rows: late (0), rare (3)",
    )
    assert "98.7% of the rows are of class 'usual'" in uneven.what
    (well,) = check_classes(subject(*clean()))
    assert well.level == "ok"
