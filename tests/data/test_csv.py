"""Comma- and tab-separated files: what is read, and what every fault says."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data.cells import numbers_of
from hpo.data.errors import DataError, OptionError
from hpo.data.loading import load, load_features

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into the working folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write_file(content: str | bytes, name: str = "data.csv") -> str:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return name

    return write_file


def message(source: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(source, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


SMALL = "size,colour,y\n1,red,a\n2.5,blue,b\n,red,a\n"


def test_columns_of_numbers_and_of_texts(write: Write, tmp_path: Path) -> None:
    dataset = load(write(SMALL), target="y")
    features, target = dataset.features, dataset.target
    assert (dataset.name, dataset.source) == ("data", str(tmp_path / "data.csv"))
    assert features.columns == ("size", "colour")
    np.testing.assert_array_equal(features.numeric, [[1], [2.5], [np.nan]])
    assert features.numeric_names == ("size",)
    assert features.text_names == ("colour",)
    assert features.vocabularies == (("blue", "red"),)
    np.testing.assert_array_equal(features.codes, [[1], [0], [1]])
    assert target.vocabulary == ("a", "b")
    np.testing.assert_array_equal(target.values, [0, 1, 0])
    assert dataset.warnings == ()


@pytest.mark.parametrize(
    "content",
    [
        SMALL.replace("\n", "\r\n"),
        SMALL.replace("\n", "\r"),
        "\ufeff" + SMALL,
        SMALL.rstrip("\n"),
        SMALL + "\n\n",
        SMALL.replace("red", '"red"').replace("size", " size "),
        SMALL.replace("red", " red "),
    ],
    ids=["crlf", "cr", "bom", "no last newline", "blank lines", "quotes and spaces", "spaces"],
)
def test_the_same_table_written_otherwise(write: Write, content: str) -> None:
    expected, dataset = load(write(SMALL, "a.csv"), target="y"), load(write(content), target="y")
    assert dataset.features.columns == expected.features.columns
    np.testing.assert_array_equal(dataset.features.numeric, expected.features.numeric)
    np.testing.assert_array_equal(dataset.features.codes, expected.features.codes)
    assert dataset.features.vocabularies == expected.features.vocabularies


def test_tabs(write: Write) -> None:
    dataset = load(write(SMALL.replace(",", "\t"), "data.tsv"), target="y")
    assert dataset.features.columns == ("size", "colour")


@pytest.mark.parametrize(
    "cell", ["", " ", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-nan", "#N/A"]
)
def test_missing_cells(write: Write, cell: str) -> None:
    dataset = load(write(f"a,b,y\n1,x,1\n{cell},{cell},2\n3,z,3\n"), target="y")
    assert dataset.features.numeric_names == ("a",)
    assert np.isnan(dataset.features.numeric[:, 0]).tolist() == [False, True, False]
    assert dataset.features.codes[:, 0].tolist() == [0, -1, 1]


@pytest.mark.parametrize(("target", "column"), [("c1", 1), ("1", 1), ("-1", 2), ("0", 0)])
def test_a_file_without_header(write: Write, target: str, column: int) -> None:
    dataset = load(write("1,2,3\n4,5,6\n"), target=target, header=False)
    assert dataset.target.name == f"c{column}"
    assert dataset.features.columns == tuple(f"c{i}" for i in range(3) if i != column)
    np.testing.assert_array_equal(dataset.target.values, [1 + column, 4 + column])


def test_a_text_among_numbers_makes_categories_and_a_warning(write: Write) -> None:
    name = write("a,y\n1,1\n2,2\n\n" + "x" * 50 + ",3\nz,4\n")
    (warning,) = load(name, target="y").warnings
    assert warning == (
        f"data.csv, line 5, column 1 (a): '{'x' * 37}...' is a text among numbers, so the column "
        "is taken as categories; correct the cell, or make texts an error with --numeric"
    )


def test_blocks_of_rows_do_not_show(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    numbers, texts = rng.normal(size=50).tolist(), rng.choice(["b", "a", "NA"], 50).tolist()
    rows = [f"{numbers[i]!r},{texts[i]},{i}" for i in range(50)]
    rows[30] = rows[30].replace(texts[30], "7")
    monkeypatch.setattr("hpo.data.rows._CELLS_OF_A_BLOCK", 10)
    dataset = load(write("n,t,y\n" + "\n".join(rows)), target="y")
    np.testing.assert_array_equal(dataset.features.numeric[:, 0], numbers)
    np.testing.assert_array_equal(dataset.target.values, np.arange(50))
    place = {"7": 0, "a": 1, "b": 2, "NA": -1}
    expected = [place[text] for text in (*texts[:30], "7", *texts[31:])]
    assert dataset.features.codes[:, 0].tolist() == expected
    (warning,) = dataset.warnings
    line = next(i for i, text in enumerate(texts) if text != "NA") + 2
    assert f"line {line}, column 2 (t): '{texts[line - 2]}' is a text among numbers" in warning


def test_a_text_where_numbers_were_asked_for(write: Write) -> None:
    name = write("a,y\n1,1\nlots,2\n")
    assert message(name, target="y", numeric=["a"]) == (
        "data.csv, line 3, column 1 (a): 'lots' is a text where a number must be; correct or empty "
        "the cell"
    )
    assert "no column b; the columns are: a, y" in message(name, target="y", numeric=["b"])


def test_line_and_column_of_a_text_after_a_cell_with_line_breaks(write: Write) -> None:
    name = write('a,t,y\n1,"two\nlines",1\nx,b,2\n')
    assert "line 4, column 1 (a): 'x'" in message(name, target="y", numeric=["a"])


@pytest.mark.parametrize("cell", ["inf", "-inf", "Infinity", "1e400", "-1e400"])
def test_infinite_numbers(write: Write, cell: str) -> None:
    assert message(write(f"a,y\n1,1\n{cell},2\n"), target="y") == (
        f"data.csv, line 3, column 1 (a): '{cell}' is infinite as a number; correct or empty the "
        "cell"
    )


def test_python_spellings_are_no_numbers(write: Write) -> None:
    assert load(write("a,y\n1_0,1\n2_0,2\n"), target="y").features.text_names == ("a",)


FAULTS = {
    "empty": (b"", "data.csv is empty"),
    "blank": (b"\n\n", "data.csv is empty"),
    "header only": (b"a,y\n", "data.csv has a header and no rows"),
    "too few cells": (
        b"a,b,y\n1,2,3\n1,2\n",
        "data.csv, line 3: 2 cells, but the first row has 3; look for a comma too many or too few",
    ),
    "too many cells": (
        b"a,b,y\n1,2,3,4\n",
        "data.csv, line 2: 4 cells, but the first row has 3; look for a comma too many or too few",
    ),
    "NUL": (
        b"a,y\n1,2\n\x00,3\n",
        "data.csv, line 3: a NUL byte; the file is binary, UTF-16 or damaged; save it as UTF-8",
    ),
    "UTF-16": (
        "a,y\n1,2\n".encode("utf-16"),
        "data.csv, line 1: the file is UTF-16; save it as UTF-8",
    ),
    "UTF-16 BE": (
        b"\xfe\xff" + "a,y\n".encode("utf-16-be"),
        "data.csv, line 1: the file is UTF-16; save it as UTF-8",
    ),
    "Latin-1": (
        "a,y\n1,2\ncafé,3\n".encode("latin-1"),
        "data.csv, line 3: byte 0xe9 at character 4 is not UTF-8; save it as UTF-8",
    ),
    "duplicate header": (
        b"a,y,a \n1,2,3\n",
        "data.csv, line 1: columns 1 and 3 are both named 'a'; rename one",
    ),
    "nameless column": (
        b"a,,y\n1,2,3\n",
        "data.csv, line 1, column 2: the column has no name; give it one",
    ),
    "large cell": (
        b"a,y\n1,2\n" + b"x" * 10_000_000 + b",3\n",
        "data.csv, line 3: a cell longer than 131,072 characters; is a quotation mark left open?",
    ),
    "open quote": (
        b'a,y\n1,2\n"x,3\n',
        "data.csv, line 3: a quotation mark is opened and never closed; close or delete it",
    ),
    "quote in a cell": (
        b'a,y\n"x" z,3\n',
        "data.csv, line 2: quotation marks that do not match; double those inside a cell",
    ),
    "only the target": (
        b"y\n1\n2\n",
        "data.csv: the target is its only column; nothing is left to learn from",
    ),
}


def test_a_file_of_tabs_lacks_tabs(write: Write) -> None:
    name = write("a\tb\ty\n1\t2,5\tx\n1\t2\n", "data.tsv")
    assert message(name, target="y") == (
        "data.tsv, line 3: 2 cells, but the first row has 3; look for a tab too many or too few"
    )


@pytest.mark.parametrize(("content", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(write: Write, content: bytes, expected: str) -> None:
    assert message(write(content), target="y") == expected


def test_a_column_name_cannot_break_the_line_of_a_message(write: Write) -> None:
    name = write('"a\n\x1b[31m",y\n1e400,1\n')
    assert r"(a\n\x1b[31m)" in message(name, target="y")


def test_a_target_that_is_not_there(write: Write) -> None:
    name = write("height,weight,species\n1,2,a\n3,4,b\n")
    assert message(name, target="specis") == (
        "data.csv: there is no column 'specis'; the columns are: height, weight, species; did you "
        "mean 'species'?"
    )
    assert message(name, target="-1").startswith("data.csv: there is no column '-1'")
    assert message(name, target="3", header=False).endswith(
        "c0, c1, c2; or give its position: 0 is the first, -1 the last"
    )


def test_a_target_must_be_named(write: Write) -> None:
    with pytest.raises(OptionError, match=r"with --target; the columns are: size, colour, y$"):
        load(write(SMALL))


def test_many_columns_are_not_all_listed(write: Write) -> None:
    name = write(",".join(f"f{i}" for i in range(30)) + "\n" + ",".join("1" * 30) + "\n")
    assert message(name, target="y").endswith("f6, f7 and 22 more")


def test_a_first_row_of_numbers_is_suspected_to_be_data(write: Write) -> None:
    hint = "is the first row data? Then add --no-header"
    assert message(write("1.5,2,3,a\n4,5,6,b\n"), target="y").endswith(hint)
    assert message(write("1,1,3\n4,5,6\n"), target="y").endswith(hint)
    assert hint not in message(write("a,2019,b\n4,5,6\n"), target="y")


def test_semicolons_are_recognised(write: Write) -> None:
    assert "separated by semicolons or tabs" in message(write("a;b\n1;2\n"), target="b")


TARGETS = {
    "all missing": (["", "NA"], "has no value at all; choose another column"),
    "missing": (
        ["1", "", "2", "?"],
        "has 2 missing cells, the first in line 3; fill them or delete their rows",
    ),
    "one number": (["3", "3.0"], "has only one value (3): nothing to learn; choose another"),
    "one class": (["ill", "ill"], "has only one value (ill): nothing to learn; choose another"),
    "too large": (
        ["1", "1e200"],
        "is 1e+200 in line 3; numbers beyond ±1e+150 cannot be squared: correct or rescale it",
    ),
    "too low": (
        ["1", "-1e200"],
        "is -1e+200 in line 3; numbers beyond ±1e+150 cannot be squared: correct or rescale it",
    ),
}


@pytest.mark.parametrize(("cells", "expected"), TARGETS.values(), ids=TARGETS.keys())
def test_targets_that_cannot_be_learned(write: Write, cells: list[str], expected: str) -> None:
    name = write("y,a\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    assert message(name, target="y") == f"data.csv: target 'y' {expected}"


def test_an_infinite_target(write: Write) -> None:
    name = write("y,a\n1,1\n-inf,2\n")
    assert "line 3, column 1 (y): '-inf' is infinite" in message(name, target="y")


def test_columns_that_teach_nothing_are_reported(write: Write) -> None:
    dataset = load(write("e,c,d,k,a,b,y\n,5,5,t,1,1,1\nNA,5,5,t,2,2,2\n"), target="y")
    assert dataset.warnings == (
        "columns without any value, left out: e",
        "columns with one value in every row, left out: c, d, k",
        "columns that repeat another, kept: b = a",
    )


@pytest.mark.parametrize(
    ("odd", "reported"),
    [("1e308", True), ("-1e308", True), ("1e20", True), ("1e11", False), ("7", False)],
)
def test_values_that_leave_the_others_no_room_are_reported(
    write: Write, odd: str, reported: bool
) -> None:
    cells = [str(place % 7) for place in range(60)]
    cells[3] = odd
    cells[9] = "1e308" if odd == "-1e308" else ""
    told = load(
        write("a,b,y\n" + "".join(f"{c},{i % 5},{i}\n" for i, c in enumerate(cells))), target="y"
    ).warnings
    assert [line for line in told if "so large" in line] == [
        (
            "columns in which a few values are so large that all others look alike: "
            f"a (up to {abs(float(odd)):.0e})"
        )
    ] * reported


@pytest.mark.parametrize("cells", [["0"] * 59 + ["1e20"], [f"{i}e18" for i in range(60)]])
def test_large_values_alone_are_not_reported(write: Write, cells: list[str]) -> None:
    """Most are 0, as where few have any; or all are as large."""
    name = write("a,y\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    assert load(name, target="y").warnings == ()


def test_a_file_that_changes_between_the_readings(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write(SMALL)
    monkeypatch.setattr("hpo.data.delimited.check_numbers", lambda *_: write(SMALL + "1,red,b\n"))
    assert message(name, target="y") == "data.csv was changed while it was read; try again"


def test_new_rows_are_read_as_the_columns_of_the_training(write: Write) -> None:
    name = write("y,zip,size,extra\n,7,NA,x\n,8,3,\n")
    table = load_features(name, numeric=["size"], text=["zip"])
    assert table.columns == ("zip", "size")
    assert table.vocabularies == (("7", "8"),)
    np.testing.assert_array_equal(table.numeric, [[np.nan], [3]])
    with pytest.raises(DataError, match="no column depth; the columns are: y, zip, size, extra"):
        load_features(name, numeric=["depth"], text=[])
    with pytest.raises(DataError, match=r"line 2, column 4 \(extra\): 'x' is a text where"):
        load_features(name, numeric=["extra"], text=[])


def test_where_the_file_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to("gone.csv")
    (tmp_path / "penguins.csv").write_text("a\n")
    assert message("folder") == "folder is a folder: name a file in it"
    assert message("link.csv") == "link.csv is a link to nothing (gone.csv): correct the link"
    assert message("penguin.csv") == (
        "penguin.csv: there is no such file; did you mean 'penguins.csv'?"
    )
    assert message("x/y.csv") == "x/y.csv: there is no such file"
    assert message("digist") == (
        "digist is neither a file nor a data set of scikit-learn (digits, breast_cancer, wine, "
        "iris, diabetes); did you mean 'digits'?"
    )
    assert message("/dev/null") == "/dev/null is no regular file: save the data to a file first"
    assert message("a" * 300) == "a" * 300 + " cannot be read: File name too long"


def test_a_file_that_may_not_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    name = write(SMALL)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert message(name, target="y") == "data.csv cannot be read: Permission denied"


@pytest.mark.parametrize("name", ["t.parquet", "t.npy", "t.xlsx", "t.csv.gz"])
def test_formats_that_are_not_read(write: Write, name: str) -> None:
    assert message(write(b"123", name)).startswith(f"{name}")


def test_options_without_effect_are_refused(write: Write) -> None:
    assert message(write(SMALL), target="y", labels="l").endswith("leave --labels 'l' out")
    assert message("iris", target="y") == "iris has its own target; leave --target 'y' out"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1))
def test_numbers_are_read_as_python_writes_them(values: list[float | None]) -> None:
    cells = ["" if value is None else repr(value) for value in values]
    expected = [np.nan if value is None else value for value in values]
    np.testing.assert_array_equal(numbers_of(cells), expected)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.lists(words, min_size=2, max_size=8), st.sampled_from([",", "\t"]))
def test_texts_are_read_as_the_csv_module_writes_them(ends: list[str], delimiter: str) -> None:
    cells = [f"t{end}" for end in ends]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv" if delimiter == "," else "data.tsv")
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = [("t", "y"), *((cell, i) for i, cell in enumerate(cells))]
            csv.writer(file, delimiter=delimiter).writerows(rows)
        features = load(str(path), target="y").features
    found = [features.vocabularies[0][code] for code in features.codes[:, 0]]
    assert found == [cell.strip() for cell in cells]
