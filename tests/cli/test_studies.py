"""``hpo studies``: what a storage holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest

from storage.trials import RoundStorage
from tests.filling import fill
from tests.running import QUICK, Hpo
from tests.storage.databases import Database
from tests.storage.looking import content, sql


@pytest.fixture
def path(empty: Path, tmp_path: Path) -> Path:
    """The database that a command finds if nothing else is said."""
    return Path(shutil.copy(empty, tmp_path / "hpo.db"))


def test_a_storage_without_studies(hpo: Hpo, path: Path) -> None:
    ran = hpo("studies")
    assert ran.code == 0
    assert ran.out.startswith(f"no studies in {path}, ")
    document = hpo("studies", "--json").document
    assert document == {
        "storage": "sqlite:///hpo.db",
        "bytes": path.stat().st_size,
        "studies": [],
    }


def test_a_search_is_listed_with_what_it_left(hpo: Hpo, database: Database, tmp_path: Path) -> None:
    place = ("--storage", database.url, "--artifacts", "networks")
    searched = hpo("search", "iris", *QUICK, *place, "--json").document
    hpo("search", "wine", *QUICK, *place, "--study", "second", "--keep", 1)
    document = hpo("studies", "--storage", database.url, "--json").document
    first, second = document["studies"]
    assert first["study"] == "iris"
    assert first["trials"] == {
        "complete": 4, "pruned": 0, "running": 0, "waiting": 0, "failed": 0
    }  # fmt: skip
    assert first["best"] == searched["best"]["validation"]
    assert (first["metric"], first["source"]) == ("accuracy", "iris")
    assert first["made"].endswith("+00:00")
    assert first["artifacts"] == str(tmp_path / "networks")
    assert (first["networks"], second["networks"]) == (4, 1)
    assert (second["study"], second["source"]) == ("second", "wine")
    files = sum(each.stat().st_size for each in (tmp_path / "networks").glob("*.*"))
    arrays = sum(
        len(data)
        for table in ("hpo_curves", "hpo_predictions")
        for (data,) in database.sql(f"SELECT data FROM {table}")
    )
    assert first["bytes"] + second["bytes"] == files + arrays
    assert document["bytes"] > arrays
    lines = hpo("studies", "--storage", database.url).out.splitlines()
    head = "study   complete  best       made (UTC)        data     size"
    assert [line.split()[0] for line in lines[1:3]] == ["iris", "second"]
    assert lines[0].split() == head.split()
    assert lines[1].split()[1:4] == ["4", "acc", f"{first['best']:.3f}"]
    assert lines[-1].startswith("2 studies in ")


def test_states_that_occur_have_a_column_each(hpo: Hpo, path: Path) -> None:
    fill(path, 20, "a")
    sql(path, "UPDATE trials SET state = 'RUNNING' WHERE number = 1")
    sql(path, "UPDATE trials SET state = 'WAITING' WHERE number IN (2, 3)")
    fill(path, 5, "b", "e" * 32)
    head, first, second = hpo("studies").out.splitlines()[:3]
    assert head.split()[1:5] == ["complete", "running", "waiting", "failed"]
    assert first.split()[1:5] == ["16", "1", "2", "1"]
    assert second.split()[1:5] == ["5", "0", "0", "0"]


def test_studies_of_other_programs_are_listed_too(hpo: Hpo, path: Path) -> None:
    storage = RoundStorage(f"sqlite:///{path}")
    least = optuna.create_study(storage=storage, study_name="least", direction="minimize")
    optuna.create_study(storage=storage, study_name="two", directions=["minimize", "maximize"])
    for value in (2.0, -1.0, float("-inf")):
        least.add_trial(optuna.trial.create_trial(value=value))
    first, second = hpo("studies", "--json").document["studies"]
    assert (first["best"], second["best"]) == (-1.0, None)
    for each in (first, second):
        assert (each["made"], each["source"], each["bytes"]) == (None, None, None)
    line = hpo("studies").out.splitlines()[1]
    assert line.split() == ["least", "3", "-1.000", "-", "-", "-"]


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(
    hpo: Hpo, path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    fill(path, 60, "a study with quite a long name, longer than a narrow terminal")
    fill(path, 5, "digits", "e" * 32)
    source = "/home/somebody/data/of/this/year/measurements-of-the-second-quarter.csv"
    sql(path, "UPDATE hpo_experiments SET source = ? WHERE uid = ?", source, "e" * 32)
    monkeypatch.setenv("COLUMNS", str(width))
    lines = hpo("studies").out.splitlines()
    assert max(map(len, lines[: lines.index("")])) <= width
    assert lines[1].startswith("a study wit")
    assert "acc" in lines[1]
    assert any(line.startswith("no room for") for line in lines) == (width == 40)
    if width == 80:
        assert "  …ter.csv  " in lines[2], "the end of a path says most"


def test_nothing_is_written(hpo: Hpo, path: Path) -> None:
    fill(path, 10)
    before = content(path.parent)
    hpo("studies")
    assert content(path.parent) == before
