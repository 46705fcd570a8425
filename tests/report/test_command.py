"""``hpo report``: true to what is stored, to nobody else, and searched again by its own command."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import optuna
import pytest
from optuna.importance import PedAnovaImportanceEvaluator

from hpo.recounting import recount
from hpo.report.records import Study
from hpo.search.importance import importances
from storage.reader import opened
from tests.report.conftest import CLASSES, COLUMN, NAME, STUDY
from tests.report.making import Page
from tests.running import QUICK, Hpo, stock_optuna, stored_trials


@pytest.fixture
def folder(evil: Path, tmp_path: Path) -> Path:
    """A copy of the search in an empty folder."""
    shutil.copy(evil / "hpo.db", tmp_path / "hpo.db")
    shutil.copytree(evil / "hpo.artifacts", tmp_path / "hpo.artifacts")
    return tmp_path


def told(path: Path, study: str | None = None) -> Study:
    with opened(f"sqlite:///{path}") as reader:
        return reader.read(lambda connection: recount(connection, study, "sqlite:///hpo.db"))


def test_it_writes_one_file_and_nothing_else(hpo: Hpo, folder: Path) -> None:
    before = sha256((folder / "hpo.db").read_bytes()).digest()
    ran = hpo("report")
    assert (ran.code, ran.out, ran.err) == (0, "i_evil_i_co-report.html\n", "")
    assert sha256((folder / "hpo.db").read_bytes()).digest() == before
    written = sorted(each.name for each in folder.iterdir())
    assert written == ["hpo.artifacts", "hpo.db", "i_evil_i_co-report.html"]
    page = Page((folder / "i_evil_i_co-report.html").read_text())
    assert page.texts("h1") == [STUDY]
    assert not {"script", "b", "i", "u"} & {name for name, _, _ in page.elements}
    assert any(each[0] == COLUMN for each in page.table("SHA-256 of each column"))
    assert f"Ensemble: {NAME}" in page.texts("h2")
    assert not any(name in each for name in CLASSES for each in page.texts("style"))


def test_its_numbers_are_those_that_are_stored(hpo: Hpo, folder: Path) -> None:
    trials = stored_trials(folder / "hpo.db", STUDY)
    scores = {number: each["values"][0][1] for number, each in trials.items() if each["values"]}
    failed = [number for number, each in trials.items() if each["state"] == "FAIL"]
    assert failed
    page = Page(hpo("report", STUDY, "--output", "-").out)
    best = page.table(f"The best {min(20, len(scores))} of")[1:]
    for cells in best:
        assert float(cells[2]) == pytest.approx(scores[int(cells[1])], abs=5e-4)
    assert [float(cells[2]) for cells in best] == sorted(
        (float(cells[2]) for cells in best), reverse=True
    )
    assert len(best) == min(20, len(scores))
    listed = page.table(f"{len(failed)} of {len(failed)} failed")[1:]
    assert [int(cells[0]) for cells in listed] == failed
    with closing(sqlite3.connect(folder / "hpo.db")) as connection:
        ranges = connection.execute("SELECT ranges FROM hpo_rounds ORDER BY round").fetchall()
        looks = connection.execute("SELECT why FROM hpo_test_looks ORDER BY look").fetchall()
        (source,) = connection.execute("SELECT source FROM hpo_experiments").fetchone()
    assert len(page.table("Rounds")) == 1 + len(ranges)
    assert page.table("Rounds")[2][2] == "{:.1e}..{:.1e}".format(
        *json.loads(ranges[1][0])["learning_rate"]
    )
    assert [cells[1] for cells in page.table("Looks")[1:]] == [why for (why,) in looks]
    assert ["source", source] in page.table("Data")


def test_it_says_where_in_json(hpo: Hpo, folder: Path) -> None:
    document = hpo("report", "--output", "here.html", "--json").document
    assert document == {
        "study": STUDY,
        "storage": "sqlite:///hpo.db",
        "output": "here.html",
        "bytes": (folder / "here.html").stat().st_size,
    }


def test_what_cannot_be_done_is_said_in_one_line(hpo: Hpo, folder: Path) -> None:
    ran = hpo("report", "--output", "no/where.html")
    assert (ran.code, ran.err) == (2, "hpo: --output no/where.html: No such file or directory\n")
    ran = hpo("report", "--output", "-", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "leave one out" in ran.err
    ran = hpo("report", "evil")
    assert ran.code == 2
    assert "there is no study 'evil'" in ran.err
    ran = hpo("report", "--storage", f"sqlite:///{folder}/none.db")
    assert ran.code == 4


SEARCHES = [
    ("iris", *QUICK),
    ("wine", *QUICK, "--cv", 3, "--objectives", "score,size", "--sampler", "tpe",
     "--space", "hidden=4|8", "--keep-sealed", "--study", "two words"),
    ("iris", "--trials", 5, "--rounds", 2, "--hidden", "4,3", "--epochs", 3, "--repeats", 1,
     "--refit", "--metric", "neg_log_loss", "--pruner", "rungs",
     "--batch-size", 16, "--patience", 2,
     "--schedule", "constant", "--point", "learning_rate=0.01", "--async", "--optimizer", "nadam",
     "--test-size", 0.3, "--validation-size", 0.25, "--seed", 9,
     "--space", "dropout=0..0.123456789", "--space", "beta1", "--space", "batch_norm=none"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", SEARCHES, ids=["quick", "folds", "many"])
def test_its_command_searches_the_same_again(
    arguments: tuple[object, ...], hpo: Hpo, tmp_path: Path
) -> None:
    assert hpo("search", *arguments).code == 0
    study = told(tmp_path / "hpo.db")
    (command,) = study.commands
    program, *typed = shlex.split(command)
    assert program == "hpo"
    found = hpo(*typed, "--dry-run")  # it would refuse other settings
    assert found.code == 0, found.err
    first = stored_trials(tmp_path / "hpo.db", study.name)
    (tmp_path / "hpo.db").rename(tmp_path / "first.db")
    again = hpo(*typed)
    assert again.code == 0, again.err
    assert stored_trials(tmp_path / "hpo.db", study.name) == first


def test_importances_are_those_that_optuna_tells_of_the_study(evil: Path) -> None:
    study = told(evil / "hpo.db")
    with stock_optuna(evil / "hpo.db") as storage:
        theirs = optuna.importance.get_param_importances(
            optuna.load_study(study_name=STUDY, storage=storage),
            evaluator=PedAnovaImportanceEvaluator(),
        )
    assert len(theirs) == 3
    assert study.importances == pytest.approx(theirs)


def test_importances_find_the_parameter_that_matters() -> None:
    float_ = optuna.distributions.FloatDistribution(0.0, 1.0)
    spaces = {"x": float_, "y": float_}
    points = [
        ({"x": (7 * k % 100) / 100, "y": (37 * k % 100) / 100}, -abs((7 * k % 100) / 100 - 0.5))
        for k in range(100)
    ]
    found = importances(spaces, points)
    assert list(found) == ["x", "y"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["x"] > 0.8
    assert importances(spaces, points[:19]) == {}
    assert importances(spaces, [(params, 1.0) for params, _ in points]) == {}
    assert importances({"x": float_}, [({"x": p["x"]}, v) for p, v in points]) == {}
