"""Columns that say how rows are split: out of the features, checked, and told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load, load_features
from hpo.data.parts import describe_parts, draw_parts
from hpo.data.table import Dataset, describe_change, fingerprint
from tests.data.making import refusal, write_rows

N = 60
DAYS = [f"2019-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(N)]


@pytest.fixture
def patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Twenty patients with three rows each, one row a day."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 7},P{i // 3},{DAYS[i]},{i},{'ab'[i % 2]}" for i in range(N)]
    return write_rows(tmp_path / "patients.csv", "size,who,day,n,y", rows)


def split(dataset: Dataset, **options: Any) -> Any:
    sizes = {"test_size": 0.2, "validation_size": 0.2}
    return draw_parts(dataset, classification=True, seed=0, **{**sizes, **options})[0]


def told(dataset: Dataset, **sizes: float) -> tuple[str, ...]:
    chosen = {"test_size": 0.2, "validation_size": 0.2, **sizes}
    return describe_parts(dataset, split(dataset, **chosen), **chosen)


def test_a_group_column_is_no_feature_and_its_groups_stay_whole(patients: str) -> None:
    dataset = load(patients, target="y", group="who")
    assert dataset.features.columns == ("size", "day", "n")
    assert dataset.features.numeric_names == ("size", "n")
    assert dataset.features.text_names == ("day",)
    parts = split(dataset)
    patient = np.arange(N) // 3
    seen = [set(patient[part].tolist()) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, seen)) == 20
    assert told(dataset) == ("'who' is no feature; its 20 groups stay whole (13, 3, 4)",)


@pytest.mark.parametrize(
    ("column", "begins"),
    [("day", ["2019-02-11", "2019-02-21"]), ("n", ["38", "48"])],
)
def test_a_time_column_is_no_feature_and_orders_the_rows(
    patients: str, column: str, begins: list[str]
) -> None:
    dataset = load(patients, target="y", time=column)
    assert column not in dataset.features.columns
    parts = split(dataset)
    assert parts.train.tolist() == list(range(38))
    assert parts.validation.tolist() == list(range(38, 48))
    assert parts.test.tolist() == list(range(48, 60))
    assert told(dataset) == (
        (
            f"'{column}' is no feature; validation begins with {begins[0]}, test begins with "
            f"{begins[1]}"
        ),
    )


def test_texts_are_ordered_as_times_and_not_as_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{i} Mar 2019,{'ab'[i % 2]}" for i in range(1, 31)]
    name = write_rows(tmp_path / "march.csv", "x,day,y", rows)
    parts = split(load(name, target="y", time="day"))
    assert parts.test.tolist() == list(range(24, 30))


def test_new_rows_need_no_such_column(patients: str) -> None:
    dataset = load(patients, target="y", group="who")
    numeric, text = dataset.features.numeric_names, dataset.features.text_names
    lines = [line.split(",") for line in Path(patients).read_text().splitlines()]
    Path("new.csv").write_text("".join(f"{size},{day},{n}\n" for size, _, day, n, _ in lines))
    table = load_features("new.csv", numeric=numeric, text=text)
    np.testing.assert_array_equal(table.numeric, dataset.features.numeric)
    assert table.columns == dataset.features.columns


def test_a_mixed_group_column_is_not_told_of_as_a_category(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{'A1' if i < 9 else i // 5},{'ab'[i % 2]}" for i in range(N)]
    name = write_rows(tmp_path / "t.csv", "x,who,y", rows)
    assert load(name, target="y", group="who").warnings == ()
    assert len(load(name, target="y").warnings) == 1


def test_columns_of_a_file_without_a_header_are_named_by_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = write_rows(tmp_path / "t.csv", "0,0,1.5,a", [f"{i},{i // 4},1.5,b" for i in range(1, N)])
    for group in ("c1", "1", "-3"):
        dataset = load(name, target="-1", header=False, group=group)
        assert dataset.features.columns == ("c0", "c2")
    assert refusal(name, target="-1", header=False, group="-1") == (
        "--group '-1' is the target; name another column"
    )
    assert "there is no column 9" in refusal(name, target="-1", header=False, group="9")


@pytest.mark.parametrize("options", [{"group": "who"}, {"time": "day"}])
def test_the_content_of_a_file_is_the_same_whatever_its_columns_are_for(
    patients: str, options: dict[str, Any]
) -> None:
    """So a study that is asked for with another --group says just that."""
    assert fingerprint(load(patients, target="y", **options)) == fingerprint(
        load(patients, target="y")
    )


def test_a_changed_group_is_a_change_of_the_data(patients: str) -> None:
    before = fingerprint(load(patients, target="y", group="who"))
    Path(patients).write_text(Path(patients).read_text().replace(",P3,", ",P4,"))
    after = fingerprint(load(patients, target="y", group="who"))
    assert describe_change(before, after) == "columns changed: who"


def test_rows_that_are_groups_of_their_own(patients: str) -> None:
    assert told(load(patients, target="y", group="n")) == (
        "'n' is no feature; each row is a group of its own, so --group changes little",
    )


def test_sizes_that_are_far_off_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{i // 20},{'ab'[i % 2]}" for i in range(N)]
    name = write_rows(tmp_path / "t.csv", "x,k,y", rows)
    for option, what in (("group", "rows of one group"), ("time", "rows of equal time")):
        lines = told(load(name, target="y", **{option: "k"}))  # type: ignore[arg-type]
        assert lines[1:] == (
            f"the validation part has 20 rows, not 8: {what} stay together",
            f"the test part has 20 rows, not 12: {what} stay together",
        )


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no such group": (
        {"group": "whom"},
        (
            "patients.csv: there is no column whom; the columns are: size, who, day, n; did you "
            "mean 'who'?"
        ),
    ),
    "no such time": (
        {"time": "dya"},
        (
            "patients.csv: there is no column dya; the columns are: size, who, day, n; did you "
            "mean 'day'?"
        ),
    ),
    "target": ({"group": "y"}, "--group 'y' is the target; name another column"),
    "both": (
        {"group": "who", "time": "day"},
        "rows are split by --group or by --time, not by both; leave one out",
    ),
    "no time": (
        {"time": "who"},
        (
            "patients.csv: --time 'who', line 2: 'P0' is no time; write it as 2019-03-23 or "
            "2019-03-23T20:21:09"
        ),
    ),
}


@pytest.mark.parametrize(("options", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_what_cannot_be(patients: str, options: dict[str, str], expected: str) -> None:
    assert refusal(patients, target="y", **options) == expected


@pytest.mark.parametrize(
    ("option", "cells", "expected"),
    [
        ("time", ["2019-03-01", "", "NA"], "has 2 missing cells, the first in line 3; fill them"),
        ("time", ["1", "?", "3"], "has 1 missing cell, the first in line 3; fill them or delete"),
        ("group", ["a", "b", "-"], None),
        ("group", ["a", "b", ""], "has 1 missing cell, the first in line 4; fill them or delete"),
        ("time", ["2019-03-01", "soon", "2019-03-01"], ", line 3: 'soon' is no time; write it as"),
        ("time", ["3/4/2019", "2/2/2019", "4/3/2019"], ", line 2: '3/4/2019' may be day/month or"),
        ("time", ["1", "2", "2019-03-01"], ", line 2: '1' is no time; write it as 2019-03-23 or"),
    ],
)
def test_cells_that_say_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    cells: list[str],
    expected: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{cell},{'ab'[i % 2]}" for i, cell in enumerate(cells)]
    name = write_rows(tmp_path / "t.csv", "x,k,y", rows)
    options: dict[str, Any] = {option: "k"}
    if expected is None:
        assert load(name, target="y", **options).steering is not None
    else:
        assert refusal(name, target="y", **options).startswith(f"t.csv: --{option} 'k'")
        assert expected in refusal(name, target="y", **options)


def test_infinite_groups_of_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a text file are refused when they are read."""
    monkeypatch.chdir(tmp_path)
    rows = ["0,1e999,a", "1,1,b"]
    name = write_rows(tmp_path / "t.csv", "x,k,y", rows)
    assert "'1e999' is infinite as a number" in refusal(name, target="y", group="k")


def test_nothing_is_left_to_learn_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = write_rows(tmp_path / "t.csv", "k,y", ["1,a", "2,b"])
    assert refusal(name, target="y", group="k") == (
        "t.csv: --group 'k' is its only column beside the target; nothing is left to learn from"
    )


def test_images_have_no_groups() -> None:
    with pytest.raises(OptionError, match=r"^digits holds images, which have no column; leave"):
        load("digits", group="pixel_0_0")


def test_columns_of_matrices_and_of_shipped_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    X = np.column_stack([np.arange(30.0), np.arange(30) // 3])
    np.savez("m.npz", X=X, y=np.arange(30) % 2)
    assert load("m.npz", group="x1").features.columns == ("x0",)
    assert load("iris", time="petal width (cm)").features.columns[-1] == "petal length (cm)"


def test_too_few_groups_and_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{i % 2},{'ab'[i // 2 % 2]}" for i in range(N)]
    name = write_rows(tmp_path / "t.csv", "x,k,y", rows)
    with pytest.raises(
        DataError, match=r"^--group \'k\': 2 groups cannot be split into 3 parts, each of which"
    ):
        split(load(name, target="y", group="k"))
    with pytest.raises(DataError, match=r"^--time \'k\': 2 distinct times cannot be split into"):
        split(load(name, target="y", time="k"))


def test_classes_in_few_groups_are_told(patients: str) -> None:
    Path(patients).write_text(Path(patients).read_text().replace(",0,a\n", ",0,rare\n"))
    dataset = load(patients, target="y", group="who")
    sizes = {"test_size": 0.2, "validation_size": 0.2}
    _, lines = draw_parts(dataset, classification=True, seed=0, **sizes)
    assert lines == ("classes in fewer than 3 groups, which cannot stand in every part: rare",)
