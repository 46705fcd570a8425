"""Test rows in a file of their own: the same columns, read as the data's, and never decisive."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load
from hpo.data.table import describe_change, fingerprint
from hpo.preparation import prepare
from hpo.search.space import SearchSpace
from hpo.settings import Settings
from tests.data.making import refusal, write_rows

N = 60
HEADER = "size,zip,who,day,y"
ROWS = [
    f"{i % 7},{'A' if i < 9 else i % 3},P{i // 6},2019-02-{1 + i // 3:02},{'ab'[i % 2]}"
    for i in range(N)
]
LATER = [f"{i},{i % 4},Q{i},2019-03-0{i},{'ab'[i % 2]}" for i in range(1, 9)]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "test.csv", HEADER, LATER)
    return write_rows(tmp_path / "data.csv", HEADER, ROWS)


def change(text: str, *replaced: tuple[str, str]) -> str:
    """Write the test rows again, with something replaced in them."""
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    Path("test.csv").write_text(text)
    return "test.csv"


def settings(task: str = "classification", **changes: Any) -> Settings:
    metric = "accuracy" if task == "classification" else "neg_mean_squared_error"
    common: dict[str, Any] = {"header": True, "numeric": (), "metric": metric}
    return Settings(
        **{"target": "y", "task": task, "space": SearchSpace().to_json(), **common, **changes}
    )


def test_the_rows_are_those_of_the_file(data: str) -> None:
    dataset = load(data, target="y", test_file="test.csv")
    assert dataset.features.n_rows == N
    assert dataset.test is not None
    assert dataset.test.source == str(Path("test.csv").absolute())
    assert dataset.test.features.columns == ("size", "zip", "who", "day")
    np.testing.assert_array_equal(dataset.test.features.numeric[:, 0], range(1, 9))
    # Numbers alone, and yet texts as they are in the data.
    assert dataset.test.features.text_names == ("zip", "who", "day")
    assert dataset.test.features.vocabularies[0] == ("0", "1", "2", "3")
    prepared = prepare(dataset, settings())
    assert prepared.rows == {"train": 48, "validation": 12, "test": 8}
    assert len(prepared.split.test) == 0
    everything = np.concatenate([prepared.split.train, prepared.split.validation])
    assert sorted(everything.tolist()) == list(range(N))


def test_columns_may_be_in_another_order_and_another_format(data: str) -> None:
    straight = load(data, target="y", test_file="test.csv").test
    lines = list(csv.reader([HEADER, *LATER]))
    order = [4, 2, 0, 3, 1]
    for name, separator in (("other.csv", ","), ("other.tsv", "\t")):
        Path(name).write_text(
            "".join(separator.join(line[i] for i in order) + "\n" for line in lines)
        )
        found = load(data, target="y", test_file=name).test
        assert found is not None
        assert straight is not None
        np.testing.assert_array_equal(found.features.numeric, straight.features.numeric)
        np.testing.assert_array_equal(found.features.codes, straight.features.codes)
        np.testing.assert_array_equal(found.target.values, straight.target.values)
        assert found.features.text_names == straight.features.text_names
        # Of the same content, but for the order.
        changed = {**fingerprint(straight), "sha256": ""}
        assert describe_change(changed, fingerprint(found)) == "columns in another order"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_test_rows_decide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Neither the encoding, nor the task, nor the remarks, nor what is trained on."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def label(i: int) -> str:
        return "ab"[i % 2] if task == "classification" else f"{i / 7}"

    rows = [f"{rng.normal()},{'uvw'[i % 3]},{label(i)}" for i in range(N)]
    name = write_rows(tmp_path / "data.csv", "x,k,y", rows)
    write_rows(tmp_path / "one.csv", "x,k,y", ["1,u," + label(1), "2,v," + label(2)])
    write_rows(
        tmp_path / "two.csv", "x,k,y", ["1e9,z," + label(1), ",," + label(1), "7,q," + label(3)]
    )
    made = []
    for test_file in ("one.csv", "two.csv"):
        dataset = load(name, target="y", test_file=test_file)
        prepared = prepare(dataset, settings(task))
        problem = prepared.problem
        made.append(
            (
                dataset.warnings,
                prepared.encoding.to_json(),
                problem.target.to_json(),
                problem.training.X.tobytes(),
                problem.validation.X.tobytes(),
                problem.architecture,
            )
        )
    assert made[0] == made[1]


def test_a_network_is_scored_on_the_rows_of_the_file(data: str) -> None:
    dataset = load(data, target="y", test_file="test.csv")
    prepared = prepare(dataset, settings())
    problem = prepared.problem
    params = np.zeros(problem.architecture.n_params, np.float32)
    network = prepared.network(params, {})
    # Of equal probabilities the first class is told.
    assert prepared.sealed.score(network, problem.metric) == np.mean(np.arange(1, 9) % 2 == 0)


def test_a_changed_test_file_is_a_change_of_the_data(data: str) -> None:
    before = fingerprint(load(data, target="y", test_file="test.csv"))
    without = fingerprint(load(data, target="y"))
    assert describe_change(before, before) == ""
    assert describe_change(without, before) == "test file none -> 8 rows"
    assert describe_change(before, without) == "test file 8 rows -> none"
    text = Path("test.csv").read_text()
    change(text, ("\n3,", "\n33,"))
    after = fingerprint(load(data, target="y", test_file="test.csv"))
    assert after["sha256"] != before["sha256"]
    assert describe_change(before, after) == "test file: columns changed: size"
    change(text, (LATER[-1] + "\n", ""))
    after = fingerprint(load(data, target="y", test_file="test.csv"))
    assert describe_change(before, after) == "test file: rows 8 -> 7"
    assert {**without, "sha256": ""} == {
        **{key: value for key, value in before.items() if key != "test"},
        "sha256": "",
    }


FAULTS = {
    "a column less": (
        [("size,zip", "size,code")],
        "test.csv: there is no column zip; the columns are: size, code, who, day, y",
    ),
    "a column more": (
        [(HEADER, HEADER + ",id"), ("a\n", "a,1\n"), ("b\n", "b,1\n")],
        "test.csv has columns that the data lack: id; delete them",
    ),
    "no target": (
        [(",day,y", ",day,label")],
        "test.csv: there is no column y; the columns are: size, zip, who, day, label",
    ),
    "a text": (
        [("\n3,", "\nthree,")],
        ("test.csv, line 4, column 1 (size): 'three' is a text where a number must be; correct or "
        "empty the cell"),
    ),
    "infinite": (
        [("\n3,", "\n1e999,")],
        ("test.csv, line 4, column 1 (size): '1e999' is infinite as a number; correct or empty the "
        "cell"),
    ),
    "a missing target": (
        [("2019-03-04,a", "2019-03-04,")],
        ("test.csv: target 'y' has 1 missing cell, the first in line 5; fill them or delete their "
        "rows"),
    ),
    "header only": (
        [("\n".join([*LATER, ""]), "")],
        "test.csv has a header and no rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("replaced", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(data: str, replaced: list[tuple[str, str]], expected: str) -> None:
    change(Path("test.csv").read_text(), *replaced)
    assert refusal(data, target="y", test_file="test.csv") == expected


def test_files_that_are_not_there(data: str) -> None:
    assert refusal(data, target="y", test_file="tset.csv") == (
        "tset.csv: there is no such file; did you mean 'test.csv'?"
    )
    with pytest.raises(OptionError, match=r"^--test-file data\.csv is the data file itself"):
        load(data, target="y", test_file=data)


def test_a_class_that_the_data_lack(data: str) -> None:
    change(Path("test.csv").read_text(), ("03-04,a", "03-04,c"))
    dataset = load(data, target="y", test_file="test.csv")
    with pytest.raises(DataError) as caught:
        prepare(dataset, settings())
    assert str(caught.value) == (
        f"{Path('test.csv').absolute()}: target 'y' has classes that the data lack: c; delete "
        "their rows, or add some to the data"
    )


def test_one_class_is_enough_for_a_test(data: str) -> None:
    change(Path("test.csv").read_text(), (",b\n", ",a\n"))
    assert prepare(load(data, target="y", test_file="test.csv"), settings()).rows["test"] == 8


def test_groups_of_both_files(data: str) -> None:
    dataset = load(data, target="y", group="who", test_file="test.csv")
    assert dataset.test is not None
    assert "who" not in (*dataset.features.columns, *dataset.test.features.columns)
    prepared = prepare(dataset, settings(group="who"))
    assert prepared.warnings[1:] == ("'who' is no feature; its 10 groups stay whole (8, 2)",)
    change(Path("test.csv").read_text(), ("Q3", "P3"), ("Q4", "P4"))
    assert refusal(data, target="y", group="who", test_file="test.csv") == (
        "test.csv: 2 groups of 'who' are in the data too: P3, P4; move all rows of a group to one "
        "of the files, or leave --group out"
    )
    change(Path("test.csv").read_text(), ("P4", ""))
    assert refusal(data, target="y", group="who", test_file="test.csv") == (
        "test.csv: --group 'who' has 1 missing cell, the first in line 5; fill them or delete "
        "their rows"
    )


def test_test_rows_are_later_than_the_data(data: str) -> None:
    dataset = load(data, target="y", time="day", test_file="test.csv")
    prepared = prepare(dataset, settings(time="day"))
    assert prepared.warnings[1:] == ("'day' is no feature; validation begins with 2019-02-17",)
    assert prepared.split.validation.tolist() == list(range(48, 60))
    change(Path("test.csv").read_text(), ("2019-03-05", "2019-02-20"))
    assert refusal(data, target="y", time="day", test_file="test.csv") == (
        "test.csv: its earliest 'day' is 2019-02-20, and the latest of the data is 2019-02-20; "
        "test rows must be later: move them, or leave --time out"
    )


def test_times_of_both_files_are_read_alike(data: str) -> None:
    """Alone, the test file does not tell whether 02/03/2019 is in March."""
    rows = [row.replace("2019-02-", "") for row in ROWS]
    rows = [
        ",".join([*row.split(",")[:3], f"{row.split(',')[3]}/02/2019", row[-1]]) for row in rows
    ]
    write_rows(Path(data), HEADER, rows)
    text = Path("test.csv").read_text()
    for i in range(1, 9):
        text = text.replace(f"2019-03-0{i}", f"0{i}/03/2019")
    change(text)
    # Read as days of January to August, they would be too early and be refused.
    with pytest.raises(DataError, match="may be day/month or month/day"):
        load("test.csv", target="y", time="day")
    dataset = load(data, target="y", time="day", test_file="test.csv")
    assert dataset.steering is not None
    assert dataset.test is not None
    assert dataset.test.steering is not None
    assert dataset.test.steering.keys.min() > dataset.steering.keys.max()


def test_times_that_contradict_those_of_the_data(data: str) -> None:
    rows = [
        ",".join([*row.split(",")[:3], f"{13 + i % 9}/02/2019", row[-1]])
        for i, row in enumerate(ROWS)
    ]
    write_rows(Path(data), HEADER, rows)
    text = Path("test.csv").read_text()
    for i in range(1, 9):
        text = text.replace(f"2019-03-0{i}", f"03/1{i}/2019")
    change(text)
    assert "has day and month in another order" in refusal(
        data, target="y", time="day", test_file="test.csv"
    )


def images(path: str, n: int, height: int = 3) -> None:
    pixels = np.random.default_rng(n).integers(0, 256, (n, height, 3), dtype=np.uint8)
    head = np.array([0x803, *pixels.shape], ">i4").tobytes()
    with gzip.open(path, "wb") as file:
        file.write(head + pixels.tobytes())
    with gzip.open(path.replace("images-idx3", "labels-idx1"), "wb") as file:
        file.write(np.array([0x801, n], ">i4").tobytes() + bytes(i % 2 for i in range(n)))


def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images("train-images-idx3-ubyte.gz", 40)
    images("t10k-images-idx3-ubyte.gz", 10)
    images("tall-images-idx3-ubyte.gz", 10, height=4)
    dataset = load("train-images-idx3-ubyte.gz", test_file="t10k-images-idx3-ubyte.gz")
    asked = settings(target=None)
    assert prepare(dataset, asked).rows == {"train": 32, "validation": 8, "test": 10}
    assert refusal("train-images-idx3-ubyte.gz", test_file="tall-images-idx3-ubyte.gz") == (
        "tall-images-idx3-ubyte.gz has rows of 4 x 3 pixels, and the data have rows of 3 x 3 pixels"
    )
    write_rows(tmp_path / "t.csv", "a,b", ["1,2"])
    assert refusal("train-images-idx3-ubyte.gz", test_file="t.csv") == (
        "t.csv holds no images, and the data do; give a file of the same kind"
    )


def test_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    X = np.column_stack([np.arange(30.0), np.arange(30) // 3])
    np.savez("data.npz", X=X, y=np.arange(30) % 2)
    np.savez("test.npz", X=X[:5] + 100, y=np.zeros(5))
    np.savez("wide.npz", X=np.ones((5, 3)), y=np.arange(5) % 2)
    np.savez("texts.npz", X=X[:5], y=np.array(list("ababa")))
    asked = settings(target=None)
    assert prepare(load("data.npz", test_file="test.npz"), asked).rows["test"] == 5
    grouped = load("data.npz", test_file="test.npz", group="x1")
    assert prepare(grouped, asked).rows == {"train": 24, "validation": 6, "test": 5}
    assert refusal("data.npz", test_file="wide.npz") == (
        "wide.npz has rows of 3 numbers, and the data have rows of 2 numbers"
    )
    write_rows(tmp_path / "table.csv", "a,b,y", [f"{i},{i // 3},{i % 2}" for i in range(30)])
    assert refusal("table.csv", target="y", test_file="test.npz") == (
        "test.npz has no names of columns, and the data have; save it as CSV"
    )
    assert refusal("data.npz", test_file="texts.npz") == (
        "texts.npz: its target is texts, and that of the data is numbers"
    )
