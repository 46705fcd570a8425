"""Options of data and splits with the real command: what they do, refuse, and keep in the study."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data.splitting import Split
from tests.openml import Openml, point_to, serving
from tests.running import QUICK, Hpo, finish, start
from tests.storage.looking import content

N = 90


def rows(first: int = 0, n: int = N, who: str = "P") -> list[str]:
    days = [date(2019, 1, 1) + timedelta(days=i) for i in range(first, first + n)]
    rng = np.random.default_rng(first)
    return [
        f"{rng.normal():.3f},{who}{i // 3},{days[i]:%d/%m/%Y},{'uvw'[i % 3]},{'ab'[i % 2]}"
        for i in range(n)
    ]


HEADER = "x,who,day,kind,y"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    for name, lines in (("data", rows()), ("later", rows(100, 20, "Q"))):
        (tmp_path / f"{name}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        tabs = [line.replace(",", "\t") for line in (HEADER, *lines)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(tabs) + "\n")


def search(hpo: Hpo, *arguments: object, data: object = "data.csv") -> Any:
    ran = hpo("search", data, "--target", "y", *QUICK, "--json", *arguments)
    assert ran.code == 0, ran.err
    return ran.document


def stored(path: Path) -> tuple[dict[str, Any], dict[str, Any], Split]:
    """The settings, the preparation and the split of the one study."""
    with closing(sqlite3.connect(path / "hpo.db")) as connection:
        query = "SELECT settings, preparation, split FROM hpo_experiments"
        ((settings, preparation, packed),) = connection.execute(query)
    return json.loads(settings), json.loads(preparation), Split.from_bytes(packed)


def test_groups(hpo: Hpo, tmp_path: Path) -> None:
    ran = hpo("search", "data.csv", "--target", "y", *QUICK, "--group", "who", "--json")
    assert "note: 'who' is no feature; its 30 groups stay whole (" in ran.err
    assert ran.document["rows"] == {"train": 57, "validation": 15, "test": 18}
    settings, preparation, split = stored(tmp_path)
    assert (settings["group"], settings["time"]) == ("who", None)
    assert preparation["encoding"]["text_names"] == ["day", "kind"]
    seen = [
        {row // 3 for row in part.tolist()} for part in (split.train, split.validation, split.test)
    ]
    assert sum(map(len, seen)) == 30
    again = search(hpo, "--group", "who", "--trials", 6)
    assert again["trials"]["complete"] == 6


def test_time(hpo: Hpo, tmp_path: Path) -> None:
    ran = hpo("search", "data.tsv", "--target", "y", *QUICK, "--time", "day", "--json")
    assert ran.document["rows"] == {"train": 57, "validation": 15, "test": 18}
    assert (
        "note: 'day' is no feature; validation begins with 27/02/2019, test begins with 14/03/2019"
    ) in ran.err.splitlines()
    _, preparation, split = stored(tmp_path)
    assert preparation["encoding"]["text_names"] == ["who", "kind"]
    assert split.test.tolist() == list(range(72, 90))
    assert split.validation.tolist() == list(range(57, 72))


def test_the_seed_draws_groups_and_does_not_move_time(hpo: Hpo, tmp_path: Path) -> None:
    digests: dict[str, set[str]] = {"group": set(), "time": set()}
    for option, column in (("group", "who"), ("time", "day")):
        for seed in (0, 1):
            url = f"sqlite:///{option}{seed}.db"
            search(hpo, f"--{option}", column, "--seed", seed, "--storage", url)
            (tmp_path / f"{option}{seed}.db").rename(tmp_path / "hpo.db")
            digests[option].add(stored(tmp_path)[2].digest())
    assert len(digests["group"]) == 2
    assert len(digests["time"]) == 1


@pytest.mark.parametrize("test_file", ["later.csv", "later.tsv", "later.parquet"])
def test_a_test_file(hpo: Hpo, tmp_path: Path, test_file: str) -> None:
    frame = pd.read_csv(tmp_path / "later.csv")
    frame[["y", "kind", "day", "x", "who"]].to_parquet(tmp_path / "later.parquet")
    document = search(hpo, "--test-file", test_file)
    assert document["rows"] == {"train": 72, "validation": 18, "test": 20}
    assert document["test"]["evaluations"] == 1
    _, preparation, split = stored(tmp_path)
    assert preparation["split"]["test_file"] == str(tmp_path / test_file)
    assert len(split.test) == 0
    again = search(hpo, "--test-file", test_file)
    assert {**again, "seconds": 0} == {**document, "seconds": 0}


def test_the_rows_of_a_test_file_are_sealed(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.preparation.SealedRows.score", None)
    document = search(hpo, "--test-file", "later.csv", "--keep-sealed")
    assert document["test"] == {"score": None, "evaluations": 0}


def test_trials_do_not_depend_on_the_test_file(hpo: Hpo, tmp_path: Path) -> None:
    one = search(hpo, "--test-file", "later.csv", "--study", "one")
    lines = [HEADER, *(line.replace("w", "never seen") for line in rows(200, 7, "R"))]
    (tmp_path / "other.csv").write_text("\n".join(lines) + "\n")
    two = search(hpo, "--test-file", "other.csv", "--study", "two")
    assert one["best"] == two["best"]
    assert one["rounds"] == two["rounds"]


def test_with_groups_and_with_time(hpo: Hpo) -> None:
    grouped = search(hpo, "--test-file", "later.csv", "--group", "who", "--study", "g")
    assert grouped["rows"]["test"] == 20
    timed = search(hpo, "--test-file", "later.csv", "--time", "day", "--study", "t")
    assert timed["rows"] == {"train": 72, "validation": 18, "test": 20}


def test_a_changed_test_file_is_refused(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo, "--test-file", "later.csv")
    before = content(tmp_path)["hpo.db"]
    path = tmp_path / "later.csv"
    text = path.read_text()
    path.write_text("\n".join(text.splitlines()[:-1]) + "\n")
    arguments = ("search", "data.csv", "--target", "y", *QUICK)
    ran = hpo(*arguments, "--test-file", "later.csv")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "hpo: study 'data' was made with other data (test file: rows 20 -> 19): restore "
        f"{tmp_path}/data.csv and {path}, or use another --study\n"
    )
    path.write_text(text.replace(",u,", ",v,", 1))
    assert "(test file: columns changed: kind)" in hpo(*arguments, "--test-file", "later.csv").err
    ran = hpo(*arguments)
    assert ran.code == 2
    assert "(test file 20 rows -> none)" in ran.err
    assert content(tmp_path)["hpo.db"] == before


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([], ["--group", "who"], "group none (stored) / who (asked for)"),
        (["--group", "who"], [], "group who (stored) / none (asked for)"),
        (["--time", "day"], ["--time", "x"], "time day (stored) / x (asked for)"),
    ],
)
def test_another_split_is_refused(hpo: Hpo, first: list[str], second: list[str], says: str) -> None:
    search(hpo, *first)
    ran = hpo("search", "data.csv", "--target", "y", *QUICK, *second)
    assert ran.code == 2
    assert ran.err == (
        f"hpo: study 'data' was made with other settings: {says}; repeat the stored ones, or use "
        "another --study\n"
    )


def test_another_target_is_said_as_a_setting_too(hpo: Hpo) -> None:
    search(hpo)
    ran = hpo("search", "data.csv", "--target", "kind", *QUICK)
    assert ran.code == 2
    assert "target y -> kind" in ran.err
    assert "and with other settings: target y (stored) / kind (asked for)" in ran.err


def test_a_study_of_before_these_options_goes_on(hpo: Hpo, tmp_path: Path) -> None:
    """Its settings say nothing of them: absent, they are as if not given."""
    first = search(hpo)
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection, connection:
        for table_column in ("settings", "preparation"):
            query = f"SELECT {table_column} FROM hpo_experiments"
            ((text,),) = connection.execute(query)
            record = json.loads(text)
            for key in ("group", "time"):
                record.pop(key, None)
            record.get("split", {}).pop("test_file", None)
            update = f"UPDATE hpo_experiments SET {table_column} = ?"
            connection.execute(update, (json.dumps(record),))
    again = search(hpo)
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    ran = hpo("search", "data.csv", "--target", "y", *QUICK, "--group", "who")
    assert "group none (stored) / who (asked for)" in ran.err
    (tmp_path / "data.csv").write_text("\n".join([HEADER, *rows(n=60)]) + "\n")
    ran = hpo("search", "data.csv", "--target", "y", *QUICK)
    assert f"restore {tmp_path}/data.csv, or use another" in ran.err


def test_a_dry_run(hpo: Hpo, tmp_path: Path) -> None:
    before = content(tmp_path)
    options = ("--group", "who", "--test-file", "later.csv", "--dry-run")
    ran = hpo("search", "data.csv", "--target", "y", *QUICK, *options)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == (
        "data: classification, 72 training, 18 validation and 20 test rows"
    )
    assert ran.err == "note: 'who' is no feature; its 30 groups stay whole (24, 6)\n"
    assert content(tmp_path) == before


def test_parquet(hpo: Hpo, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "data.csv")
    frame["day"] = pd.to_datetime(frame["day"], format="%d/%m/%Y")
    frame["kind"] = frame["kind"].astype("category")
    frame.to_parquet(tmp_path / "data.parquet")
    ran = hpo("search", "data.parquet", "--target", "y", *QUICK, "--time", "day", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["study"] == "data"
    assert "test begins with 2019-03-14 00:00:00" in ran.err
    assert stored(tmp_path)[2].test.tolist() == list(range(72, 90))


def test_openml(hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving(Openml()) as openml:
        point_to(openml.url, monkeypatch)
        first = hpo("search", "openml:flowers", *QUICK, "--json")
        assert first.code == 0, first.err
    # What was loaded is kept, so the study goes on without a network.
    for name in ("openml:flowers", "openml:61"):
        again = hpo("search", name, *QUICK, "--json").document
        assert {**again, "seconds": 0} == {**first.document, "seconds": 0}
    assert first.document["study"] == "flowers"
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection:
        assert connection.execute("SELECT source FROM hpo_experiments").fetchall() == [
            ("openml:61",)
        ]


REFUSED = [
    (["--group", "nobody"], 3, "there is no column nobody; the columns are: x, who, day, kind"),
    (["--time", "who"], 3, "data.csv: --time 'who', line 2: 'P0' is no time; write it as 2019-"),
    (["--group", "who", "--time", "day"], 2, "by --group or by --time, not by both; leave one out"),
    (["--group", "y"], 2, "--group 'y' is the target; name another column"),
    (["--test-file", "nothing.csv"], 3, "nothing.csv: there is no such file"),
    (["--test-file", "data.csv"], 2, "--test-file data.csv is the data file itself; leave it out"),
    (
        ["--test-file", "later.csv", "--test-size", "0.2"],
        2,
        "--test-size 0.2 makes no sense with --test-file, whose rows are the test part; leave one",
    ),
    (["--test-size", "1.5"], 2, "--test-size 1.5: it must lie between 0 and 1, as 0.2 does"),
    (["--group", "who", "--test-size", "0.99"], 3, "90 rows cannot be split: 90 for the test"),
    (["--no-header"], 3, "there is no column 'y'"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), REFUSED)
def test_what_is_refused(
    hpo: Hpo, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    before = content(tmp_path)
    ran = hpo("search", "data.csv", "--target", "y", *QUICK, *arguments)
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert says in ran.err
    assert ran.err.startswith("hpo: ")
    assert ran.err.count("\n") == 1
    assert content(tmp_path) == before


def test_too_few_groups_and_times(hpo: Hpo, tmp_path: Path) -> None:
    lines = [f"{i},{i % 2},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "few.csv").write_text("\n".join(["x,k,y", *lines]) + "\n")
    for option, what in (("--group", "2 groups"), ("--time", "2 distinct times")):
        ran = hpo("search", "few.csv", "--target", "y", *QUICK, option, "k")
        assert ran.code == 3
        assert ran.err.startswith(f"hpo: {option} 'k': {what} cannot be split into 3 parts, each")


def test_a_missing_library_is_said_with_2(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = hpo("search", "data.parquet", "--target", "y")
    assert ran.code == 2
    assert "pip install 'hpo-stacks[parquet]'" in ran.err


def test_no_search_without_them_imports_the_optional_libraries(tmp_path: Path) -> None:
    script = (
        "import sys; from hpo.cli.app import run; "
        "code = run(['search', 'data.csv', '--target', 'y', '--dry-run', '--workers', '1']); "
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_real_command(tmp_path: Path) -> None:
    options = ("--time", "day", "--test-file", "later.tsv", "--workers", 2, "--json")
    ran = finish(start(tmp_path, "search", "data.csv", "--target", "y", *QUICK, *options))
    assert ran.code == 0, ran.err
    assert ran.document["rows"] == {"train": 72, "validation": 18, "test": 20}
    assert ran.err.splitlines()[0] == (
        "note: 'day' is no feature; validation begins with 14/03/2019"
    )
