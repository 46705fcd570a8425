"""``hpo leaderboard``: the right order, the right words, at any width, and nothing written."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest

from hpo.cli.tables import Column, csv_table, markdown_table, text_table
from storage.trials import RoundStorage
from tests.filling import REASON, fill
from tests.running import Hpo, stored_trials
from tests.storage.databases import Database
from tests.storage.looking import content, sql

QUICK = ("--trials", 6, "--rounds", 2, "--hidden", 4, "--epochs", 3, "--repeats", 0)


@pytest.fixture
def path(empty: Path, tmp_path: Path) -> Path:
    """The database that a command finds if nothing else is said."""
    return Path(shutil.copy(empty, tmp_path / "hpo.db"))


def study_of_optuna(path: Path, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    storage = RoundStorage(f"sqlite:///{path}")
    return optuna.create_study(storage=storage, study_name="theirs", direction=direction)


# What it says of a search


def test_the_order_and_the_numbers_are_those_of_the_search(hpo: Hpo, tmp_path: Path) -> None:
    printed = hpo("search", "iris", *QUICK).out
    trials = stored_trials(tmp_path / "hpo.db", "iris")
    board = hpo("leaderboard", "iris", "--json").document
    lines = board["leaderboard"]
    assert [line["rank"] for line in lines] == [1, 2, 3, 4, 5, 6]
    by_score = sorted(trials, key=lambda number: (-trials[number]["values"][0][1], number))
    assert [line["trial"] for line in lines] == by_score
    for line in lines:
        params = {name: value for name, value, _ in trials[line["trial"]]["params"]}
        assert line["params"] == pytest.approx(params)
        assert line["validation"] == trials[line["trial"]]["values"][0][1]
        assert line["gap"] == line["train"] - line["validation"]
        assert 0 < line["seconds"] < 60
        assert line["weights"] == (4 + 1) * 4 + (4 + 1) * 3
        assert (line["state"], line["reason"]) == ("complete", None)
    assert board["network"] == [4, 4, 3]
    assert board["metric"] == "accuracy"
    assert board["direction"] == "maximize"
    assert board["trials"] == {
        "complete": 6, "pruned": 0, "running": 0, "waiting": 0, "failed": 0
    }  # fmt: skip
    assert f"winner: trial {lines[0]['trial']}, val acc {lines[0]['validation']:.3f}" in printed


def test_the_screen(hpo: Hpo) -> None:
    hpo("search", "iris", *QUICK)
    lines = hpo("leaderboard").out.splitlines()
    best = hpo("leaderboard", "--json").document["leaderboard"][0]
    assert lines[:4] == [
        "iris: 6 complete",
        "networks 4-4-3, 35 weights each",
        "",
        "rank  trial  state     val acc  train     gap  seconds        lr  weight decay",
    ]
    assert lines[4].split() == [
        "1",
        str(best["trial"]),
        "complete",
        f"{best['validation']:.3f}",
        f"{best['train']:.3f}",
        f"{best['gap']:.3f}",
        f"{best['seconds']:.2f}",
        f"{best['params']['learning_rate']:.2e}",
        f"{best['params']['weight_decay']:.2e}",
    ]
    assert len(lines) == 10
    assert hpo("leaderboard", "iris", "--top", 2).out.splitlines() == [
        *lines[:6],
        "",
        "and 4 more trials",
    ]


def test_failed_trials_come_last_with_their_reason(hpo: Hpo, path: Path) -> None:
    values = fill(path, 120)
    failed = [number for number, value in enumerate(values) if value is None]
    assert failed == [7, 57, 107]
    document = hpo("leaderboard", "--json").document
    assert [line["trial"] for line in document["leaderboard"][-3:]] == failed
    assert document["trials"]["failed"] == 3
    for line in document["leaderboard"][-3:]:
        assert (line["rank"], line["validation"], line["train"], line["gap"]) == (None,) * 4
        assert line["reason"] == REASON
    lines = hpo("leaderboard").out.splitlines()
    assert lines[0] == "big: 117 complete, 3 failed"
    assert lines[-4] == "failed:"
    for line, number in zip(lines[-3:], failed, strict=True):
        assert line.startswith(f"  trial {number} (lr: ")
        assert line.endswith(f"): {REASON}")


def test_trials_of_all_states_stand_in_their_order(hpo: Hpo, path: Path) -> None:
    fill(path, 9)
    for number, state in ((0, "RUNNING"), (1, "WAITING"), (2, "PRUNED"), (3, "WAITING")):
        sql(path, "UPDATE trials SET state = ? WHERE number = ?", state, number)
    found = hpo("leaderboard", "--json").document["leaderboard"]
    assert [(line["trial"], line["state"]) for line in found[-5:]] == [
        (2, "pruned"),
        (0, "running"),
        (1, "waiting"),
        (3, "waiting"),
        (7, "failed"),
    ]
    assert hpo("leaderboard").out.splitlines()[0] == (
        "big: 4 complete, 1 pruned, 1 running, 2 waiting, 1 failed"
    )
    top = hpo("leaderboard", "--json", "--top", 100).document
    assert [line["state"] for line in top["leaderboard"]] == ["complete"] * 4


def test_what_another_program_added_to_a_study_cannot_win(hpo: Hpo, path: Path) -> None:
    fill(path, 5)
    sql(path, "UPDATE trial_values SET value = 99 WHERE trial_id = 2")
    sql(path, "DELETE FROM trial_user_attributes WHERE trial_id = 2 AND key = 'train'")
    found = hpo("leaderboard", "--json").document["leaderboard"]
    assert found[-1]["trial"] == 1
    assert (found[-1]["rank"], found[-1]["validation"], found[-1]["train"]) == (None, 99.0, None)
    assert hpo("leaderboard").out.splitlines()[-1].split()[:4] == ["-", "1", "complete", "99.000"]


def test_a_study_without_trials(hpo: Hpo, path: Path) -> None:
    fill(path, 0)
    assert hpo("leaderboard").out == "big: no trials yet\nnetworks 64-32-10, 2,410 weights each\n"
    assert hpo("leaderboard", "--format", "csv").out.count("\n") == 1


# Studies of other programs


def test_a_study_that_is_minimised_and_has_infinite_values(hpo: Hpo, path: Path) -> None:
    study = study_of_optuna(path, "minimize")
    space: Any = {"x": optuna.distributions.FloatDistribution(-10, 10)}
    for value in (3.0, -2.5, math.inf, -math.inf, -2.5):
        study.add_trial(
            optuna.trial.create_trial(value=value, params={"x": 1.5}, distributions=space)
        )
    document = hpo("leaderboard", "theirs", "--json").document
    found = document["leaderboard"]
    assert [(line["rank"], line["trial"], line["validation"]) for line in found] == [
        (1, 1, -2.5),
        (2, 4, -2.5),
        (3, 0, 3.0),
        (None, 2, None),
        (None, 3, None),
    ]
    assert document["direction"] == "minimize"
    assert (document["metric"], document["network"], document["weights"]) == ("value", None, None)
    head = hpo("leaderboard").out.splitlines()[2]
    assert head.split() == ["rank", "trial", "state", "val", "value", "seconds", "x"]


def test_a_study_with_several_values_has_no_leaderboard(hpo: Hpo, path: Path) -> None:
    optuna.create_study(
        storage=RoundStorage(f"sqlite:///{path}"), study_name="two", directions=["minimize"] * 2
    )
    ran = hpo("leaderboard", "two")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "hpo: study 'two' has 2 values for each trial, and a leaderboard needs one\n"
    )


# Which study


def test_the_only_study_is_meant_if_none_is_named(hpo: Hpo, path: Path) -> None:
    ran = hpo("leaderboard")
    assert ran.code == 2
    assert ran.err == "hpo: the storage holds no study yet: hpo search digits makes one\n"
    fill(path, 3, "digits")
    assert hpo("leaderboard").out.startswith("digits: ")
    fill(path, 3, "wine", "e" * 32)
    ran = hpo("leaderboard")
    assert ran.code == 2
    assert ran.err == "hpo: the storage holds 2 studies, name one: 'digits', 'wine'\n"


def test_a_study_that_is_not_there_is_guessed(hpo: Hpo, path: Path) -> None:
    for place, name in enumerate(("digits", "wine", "a b", "x'y", "é", "six", "seven")):
        fill(path, 1, name, f"{place:032}")
    ran = hpo("leaderboard", "digit")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "hpo: there is no study 'digit': the storage holds 'digits', 'wine', 'a b', \"x'y\", 'é' "
        "and 2 more; did you mean 'digits'?\n"
    )
    assert "did you mean" not in hpo("leaderboard", "zzzzzz").err
    assert hpo("leaderboard", "é").code == 0


@pytest.mark.parametrize("command", ["leaderboard", "studies"])
def test_a_storage_that_cannot_be_read_is_one_line(hpo: Hpo, tmp_path: Path, command: str) -> None:
    ran = hpo(command)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == (
        f"hpo: there is no database {tmp_path / 'hpo.db'}: hpo search makes it, or choose another "
        "--storage\n"
    )
    assert list(tmp_path.iterdir()) == []
    ran = hpo(command, "--storage", "postgresql://me:hush-hush@127.0.0.1:9/x")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.count("\n") == 1
    assert "hush" not in ran.err


@pytest.mark.parametrize("command", ["leaderboard", "studies", "doctor", "gc"])
def test_the_variable_says_which_storage(
    hpo: Hpo, path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    fill(path, 3)
    path.rename(path.with_name("other.db"))
    assert hpo(command).code == 4
    monkeypatch.setenv("HPO_STORAGE", "sqlite:///other.db")
    assert hpo(command).code == 0


# Formats


def test_csv_holds_what_json_holds(hpo: Hpo, path: Path) -> None:
    fill(path, 60)
    text = hpo("leaderboard", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    board = hpo("leaderboard", "--format", "json").document["leaderboard"]
    assert len(rows) == len(board) == 60
    for row, line in zip(rows, board, strict=True):
        params = line.pop("params")
        for name, value in {**line, **params}.items():
            assert row.pop(name) == ("" if value is None else str(value))
        assert row == {}
    assert hpo("leaderboard", "--json").document["leaderboard"][0]["trial"] == board[0]["trial"]


def test_markdown_is_a_table_with_the_numbers_of_the_screen(hpo: Hpo, path: Path) -> None:
    fill(path, 8)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in hpo("leaderboard", "--format", "md").out.splitlines()
    ]
    assert rows[0] == [
        *("rank", "trial", "state", "validation", "train", "gap", "seconds", "weights"),
        *("learning_rate", "weight_decay", "reason"),
    ]
    assert rows[1] == ["---:", "---:", "---", *["---:"] * 7, "---"]
    assert len(rows) == 10
    assert {len(row) for row in rows} == {11}
    assert rows[2][0] == "1"
    assert rows[-1][1:4] == ["7", "failed", ""]
    assert rows[-1][-1] == REASON
    screen = hpo("leaderboard").out.splitlines()[4].split()
    assert rows[2][3:7] + rows[2][8:10] == screen[3:]


def test_no_cell_of_text_is_a_formula_and_no_number_is_quoted(hpo: Hpo, path: Path) -> None:
    study = study_of_optuna(path, "maximize")
    wild = ["=1+1", "+1", "-1|x", "@a", "\t=1", "plain", 'a,b\n"c"']
    space: Any = {
        "=name": optuna.distributions.CategoricalDistribution(wild),
        "x": optuna.distributions.FloatDistribution(-10, 10),
    }
    for place, text in enumerate(wild):
        params: Any = {"=name": text, "x": -1.5}
        trial = optuna.trial.create_trial(value=-place, params=params, distributions=space)
        study.add_trial(trial)
    head, *rows = csv.reader(io.StringIO(hpo("leaderboard", "--format", "csv").out))
    place = head.index("'=name")
    texts = [row[place] for row in rows]
    assert texts == ["'=1+1", "'+1", "'-1|x", "'@a", "'\t=1", "plain", 'a,b\n"c"']
    assert [row[head.index("validation")] for row in rows][1:3] == ["-1.0", "-2.0"]
    assert {row[head.index("x")] for row in rows} == {"-1.5"}
    marked = hpo("leaderboard", "--format", "md").out.splitlines()
    assert len(marked) == 2 + len(wild), "a line break in a cell would end the row"
    assert "| '-1\\|x |" in marked[4]
    assert "| -2.000 |" in marked[4]
    screen = hpo("leaderboard").out
    assert "\t" not in screen
    assert "-1|x" in screen


def test_what_could_steer_a_terminal_is_not_printed(hpo: Hpo, path: Path) -> None:
    fill(path, 8, "red\x1b[31m\x9b\u202e")
    reason = json.dumps("bell \x07 and\r\nlines")
    sql(path, "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'reason'", reason)
    for form in ("table", "md"):
        out = hpo("leaderboard", "--format", form).out
        assert not {each for each in out if not each.isprintable()} - {"\n"}
    assert hpo("leaderboard", "--json").document["study"] == "red\x1b[31m\x9b\u202e"


# Widths


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_the_score_is_always_there(
    hpo: Hpo, path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    fill(path, 60)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = hpo("leaderboard").out.splitlines()
    assert max(map(len, lines)) <= width
    best = hpo("leaderboard", "--json").document["leaderboard"][0]
    row = next(line for line in lines if line.split()[:1] == ["1"])
    assert f"{best['validation']:.3f}" in row.split()
    if width >= 40:
        assert f"{best['params']['learning_rate']:.2e}" in row.split()
        assert f"{best['params']['weight_decay']:.2e}" in row.split()
    hidden = [line for line in lines if line.startswith("no room for")]
    assert bool(hidden) == (width < 80)


def test_through_a_pipe_every_column_is_there_and_no_colour(path: Path) -> None:
    fill(path, 3, "a study with a name that is longer than a terminal" * 3)
    done = subprocess.run(
        [sys.executable, "-m", "hpo", "leaderboard"],
        cwd=path.parent,
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "weight decay" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0].endswith("terminal: 3 complete")
    assert done.stderr == ""


def test_a_reader_that_goes_away_is_no_error(path: Path) -> None:
    fill(path, 3000)
    script = f"{sys.executable} -m hpo leaderboard | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=path.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout == "big: 2940 complete, 60 failed\n0\n"
    assert done.stderr == ""


# How it reads


def test_ten_thousand_trials_take_less_than_two_seconds_and_no_heavy_import(path: Path) -> None:
    fill(path, 10_000)
    script = (
        "import sys; from hpo.cli.app import run; code = run(['leaderboard', 'big']); "
        "heavy = {'sklearn', 'scipy', 'joblib', 'alembic', 'optuna.storages._rdb.models'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=path.parent, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor, which other processes of a busy machine do not stretch.
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.stderr == "[]\n"
    assert done.stdout.startswith("big: 9800 complete, 200 failed\n")
    assert spent < 2


def test_nothing_is_written_and_nothing_is_waited_for(hpo: Hpo, path: Path) -> None:
    fill(path, 10)
    before = content(path.parent)
    first = hpo("leaderboard").out
    assert content(path.parent) == before
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE trial_values SET value = 0")
        assert hpo("leaderboard").out == first


def test_every_kind_of_database_gives_the_same(hpo: Hpo, database: Database) -> None:
    place = ("--storage", database.url)
    hpo("search", "iris", *QUICK, *place, "--artifacts", "networks")
    hpo("search", "iris", *QUICK, "--storage", "sqlite:///alone.db")
    document = hpo("leaderboard", *place, "--json").document
    alone = hpo("leaderboard", "--storage", "sqlite:///alone.db", "--json").document
    for board in (document, alone):
        del board["storage"]
        for line in board["leaderboard"]:
            del line["seconds"]
    assert document == alone


# Tables


def test_wide_letters_take_two_cells() -> None:
    names = Column("name", ["日本", "ab", None], right=False)
    lines, hidden = text_table([names, Column("n", [1, 22, 333])], None)
    assert lines == ["name    n", "日本    1", "ab     22", "-     333"]
    assert hidden == []


def test_a_text_is_cut_before_a_column_is_left_out() -> None:
    name = Column("name", ["abcdefghij", "日本語日本語"], right=False, weight=2, shortest=5)
    columns = [name, Column("number", [1, 2], weight=1, short="n")]
    assert text_table(columns, 30)[0][1] == "abcdefghij         1"
    assert text_table(columns, 14)[0] == ["name         n", "abcdefghij   1", "日本語日本…  2"]
    assert text_table(columns, 8)[0] == ["name   n", "abcd…  1", "日本…  2"]
    assert text_table(columns, 7) == (["name", "abcdef…", "日本語…"], ["number"])


def test_empty_tables() -> None:
    columns = [Column("a", []), Column("b", [])]
    assert text_table(columns, None) == (["a  b"], [])
    assert csv_table(columns) == "a,b\n"
    assert markdown_table([Column("a", [1])]) == "| a |\n| ---: |\n| 1 |\n"
