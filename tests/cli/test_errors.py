"""Bad input gets one line that says what, where and what to do, and the right exit code."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import Hpo

TABLE = "a,b,y\n" + "".join(f"{i},{i % 3},{'pq'[i % 2]}\n" for i in range(40))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def assert_refused(
    hpo: Hpo, tmp_path: Path, arguments: list[object], code: int, *says: str
) -> None:
    ran = hpo("search", *arguments)
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert ran.err.startswith("hpo: ")
    assert ran.err.count("\n") == 1, ran.err
    for part in says:
        assert part in ran.err
    assert "secret" not in ran.err
    assert not (tmp_path / "hpo.db").exists(), "nothing is to be left behind"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nothing.csv"], 3, ["nothing.csv"]),
        (["digit"], 3, ["digits"]),
        (["table.csv"], 2, ["--target", "a, b, y"]),
        (["table.csv", "--target", "z"], 3, ["z", "a, b, y"]),
        (["table.csv", "--target", "y", "--numeric", "y"], 3, ["y", "line 2"]),
        (["table.csv", "--target", "y", "--task", "regression"], 3, ["y", "'p'"]),
        (["table.csv", "--target", "y", "--metric", "r2"], 2, ["r2", "accuracy"]),
        (["table.csv", "--target", "y", "--metric", "acuracy"], 2, ["accuracy"]),
        (["table.csv", "--target", "y", "--metric", "f1"], 2, ["--positive, p or q", "f1_macro"]),
        (["table.csv", "--target", "y", "--metric", "rand_score"], 2, ["clusterings"]),
        (["table.csv", "--target", "y", "--positive", "p"], 2, ["--positive", "'accuracy'"]),
        (["digits", "--metric", "roc_auc"], 2, ["two classes", "10", "roc_auc_ovr"]),
        (["diabetes", "--metric", "f1_macro"], 2, ["f1_macro", "classification", "r2"]),
        (["digits", "--trials", "0"], 2, ["--trials"]),
        (["digits", "--trials", "many"], 2, ["--trials", "many"]),
        (["digits", "--hidden", "64,x"], 2, ["64,x", "64,64"]),
        (["digits", "--optimizer", "adamm"], 2, ["adamm", "adam"]),
        (["digits", "--test-size", "1.5"], 2, ["--test-size 1.5", "0.2"]),
        (["digits", "--validation-size", "0"], 2, ["--validation-size 0", "0.2"]),
        (["digits", "--hidden", "8,0"], 2, ["8,0", "64,64"]),
        (["digits", "--space", "learning_rat=1..2"], 2, ["learning_rate"]),
        (["digits", "--space", "learning_rate=2..1"], 2, ["2", "1"]),
        (["digits", "--nothing"], 2, ["--nothing"]),
        (["digits", "--target", "x"], 2, ["--target 'x'"]),
        (["table.csv", "--target", "y", "--labels", "x"], 2, ["--labels 'x'"]),
        (["digits", "--hidden", "1_0"], 2, ["1_0"]),
        (["digits", "--seed", str(2**32)], 2, ["--seed"]),
        (["digits", "--seed", "-1"], 2, ["--seed"]),
        (["digits", "--storage", "hpo.db"], 4, ["sqlite:///"]),
        (["digits", "--storage", "sqlite:///no/such/folder/x.db"], 4, ["no/such/folder"]),
        (
            ["digits", "--storage", "oracle://me:secret@host/db"],
            4,
            ["SQLite, PostgreSQL or MySQL, not in oracle", "sqlite:///"],
        ),
        (["digits", "--storage", "postgresql://me:secret@host"], 4, ["names no database"]),
        (["digits", "--storage", "mysql://me:se@cret@host/db"], 4, ["'@' too many", "%40"]),
        (["digits", "--timeout", "0"], 2, ["--timeout"]),
        (["digits", "--keep", "0"], 2, ["--keep"]),
    ],
)
@pytest.mark.usefixtures("table")
def test_one_line_and_the_code(
    hpo: Hpo, tmp_path: Path, arguments: list[object], code: int, says: list[str]
) -> None:
    assert_refused(hpo, tmp_path, arguments, code, *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ["empty"]),
        ("a,b,y\n", ["table.csv"]),
        ("a,b,y\n1,2\n", ["line 2"]),
        ("a,b,y\n" + "1,2,same\n" * 30, ["y", "same"]),
        ("a,b,y\n" + "1,2,\n" * 30, ["y"]),
        ("a,b,y\n1,2,p\n2,3,q\n", ["2 rows"]),
        ("a,b,y\n" + "1,2,p\n1,2,q\n" * 20, ["constant"]),
    ],
)
def test_bad_tables(hpo: Hpo, tmp_path: Path, table: Path, content: str, says: list[str]) -> None:
    table.write_text(content)
    assert_refused(hpo, tmp_path, [table, "--target", "y"], 3, *says)


def test_foreign_and_broken_databases_end_with_4_and_stay_as_they_are(
    hpo: Hpo, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")
        connection.commit()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    for path, says in ((foreign, "another program"), (broken, "no SQLite database")):
        before = path.read_bytes()
        assert_refused(hpo, tmp_path, ["digits", "--storage", f"sqlite:///{path}"], 4, says)
        assert path.read_bytes() == before


def test_an_internal_error_is_one_line_too(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.data.loading.load", lambda *_, **__: 1 / 0)
    ran = hpo("search", "digits")
    assert ran.code == 1
    assert ran.err.startswith("hpo: internal error: ZeroDivisionError")
    assert ran.err.count("\n") == 1
    monkeypatch.setenv("HPO_DEBUG", "1")
    assert "Traceback" in hpo("search", "digits").err


def test_an_error_of_several_lines_is_said_in_one(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("first\n  second")

    monkeypatch.setattr("hpo.data.loading.load", refuse)
    ran = hpo("search", "digits")
    assert ran.code == 1
    assert ran.err.startswith("hpo: internal error: RuntimeError: first second; ")
    assert ran.err.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    quick = "--trials 2 --rounds 1 --hidden 4 --epochs 1 --workers 1"
    script = f"{sys.executable} -m hpo search wine {quick} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0].startswith("wine: classification")
    assert done.stdout.splitlines()[1] == "0"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_result_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    quick = "--trials 2 --rounds 1 --hidden 4 --epochs 1 --workers 1"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m hpo search wine {quick} > /dev/full"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hpo: the result cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_without_a_command_the_help_is_shown(hpo: Hpo) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        ran = hpo(*arguments)
        assert ran.code == 0
        assert ran.out.startswith("Usage: hpo ")
        assert "hpo search digits" in ran.out
    assert hpo("serch").err == "hpo: No such command 'serch'. Did you mean 'search'?\n"


def test_a_package_that_shadows_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "storage.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "hpo", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"another package answers to the name 'storage': {tmp_path}/storage.py" in done.stderr
    assert done.stderr.count("\n") == 1
