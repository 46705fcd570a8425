"""``hpo ensemble``, ``hpo test`` and ``hpo predict`` as they are typed."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.loading import load
from hpo.ensembling.assembling import BEST, Assembled, assemble
from tests.ensembling.conftest import QUICK
from tests.running import Hpo
from tests.storage.damaging import flip
from tests.storage.golden.making import DATABASE, FOLDER, NETWORKS
from tests.storage.looking import content

BUILD = ("--folds", 3, "--top", 2, "--workers", 1)


@pytest.fixture
def built(hpo: Hpo, folder: Path) -> Path:
    """The folder, with an ensemble of each study."""
    for study in ("iris", "diabetes"):
        ran = hpo("ensemble", study, *BUILD, "--methods", "mean", "--with", "knn")
        assert ran.code == 0, ran.err
    return folder


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def table(path: Path, study: str) -> Path:
    """The study's data as a file of comma-separated text, without the target."""
    data = load(study)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(data.features.numeric_names)
        writer.writerows([repr(float(value)) for value in row] for row in data.features.numeric)
    return path


# hpo ensemble


def test_the_screen_says_what_was_built_and_what_to_type_next(hpo: Hpo, folder: Path) -> None:
    ran = hpo("ensemble", "iris", *BUILD, "--with", "knn,logistic", "--methods", "mean,weights")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    head = "iris: 4 models, compared over 3 folds of 120 rows that they did not see"
    assert lines[0] == head
    assert lines[2].split() == ["method", "log", "loss", "acc"]
    assert {line.split("  ")[0] for line in lines[3:6]} == {"mean", "weights", "best model"}
    losses = [float(line.split()[-2]) for line in lines[3:6]]
    assert losses == sorted(losses)
    assert any(line.startswith("expected on new rows: acc 0.9") for line in lines)
    assert lines[-2:] == [
        "  hpo test iris --model ensemble",
        "  hpo predict iris --model ensemble --input new.csv --output predictions.csv",
    ]
    assert hpo(*lines[-2].split()[1:]).code == 0


def test_the_document(hpo: Hpo, folder: Path) -> None:
    document = hpo("ensemble", "diabetes", *BUILD, "--with", "ridge", "--json").document
    assert document["study"] == document["name"].replace("ensemble", "diabetes") == "diabetes"
    assert {"storage", "task", "metric", "model", "method", "methods", "members"} <= set(document)
    assert document["loss"] == "squared_error"
    assert document["expected_se"] > 0
    assert {each["method"] for each in document["methods"]} == {
        "best",
        "greedy",
        "stacking",
        "blend",
    }
    least = min(document["methods"], key=lambda each: each["loss"])
    assert document["method"] == least["method"]


def test_the_test_rows_stay_sealed(hpo: Hpo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("looked at the test rows")

    monkeypatch.setattr("hpo.preparation.SealedRows.score", forbidden)
    assert hpo("ensemble", "iris", *BUILD, "--with", "none").code == 0


def test_stored_networks_alone(hpo: Hpo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("hpo.nn.training.train", forbidden)
    monkeypatch.setattr("hpo.search.repeats.train", forbidden)
    document = hpo(
        "ensemble", "iris", "--no-refit", "--methods", "greedy", "--with", "none", "--json"
    ).document
    assert document["folds"] is None
    assert len(document["members"]) + len(document["left_out"]) == 6
    assert document["rows"] == 24


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nothing",), "there is no study 'nothing': the storage holds 'iris', 'diabetes'"),
        ((), "the storage holds 2 studies, name one: 'iris', 'diabetes'"),
        (
            ("iris", "--methods", "magic"),
            "--methods magic: there is greedy, stacking, blend, mean, weights",
        ),
        (("iris", "--with", "ridge"), "--with ridge: it is for regression; choose among forest"),
        (("iris", "--folds", 3, "--no-refit"), "--folds trains again, and --no-refit does not"),
        (("iris", "--name", "winner"), "--name winner: choose another one"),
        (("iris", "--data", "wine"), "study 'iris' was made with other data"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    hpo: Hpo, folder: Path, arguments: tuple[Any, ...], line: str
) -> None:
    ran = hpo("ensemble", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert line in ran.err


def test_data_that_were_moved(hpo: Hpo, tmp_path: Path) -> None:
    data = load("iris")
    path = tmp_path / "flowers.csv"
    names = [*data.features.numeric_names, "kind"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row, kind in zip(data.features.numeric, data.target.values, strict=True):
            writer.writerow([*row, f"k{int(kind)}"])
    assert hpo("search", "flowers.csv", "--target", "kind", *QUICK).code == 0
    path.rename(tmp_path / "moved.csv")
    lost = hpo("ensemble", "flowers", *BUILD, "--with", "none")
    assert lost.code == 3
    assert "flowers.csv: there is no such file" in lost.err
    assert "(the data of study 'flowers'; --data says where)" in lost.err
    found = hpo("ensemble", "flowers", *BUILD, "--with", "none", "--data", "moved.csv")
    assert found.code == 0, found.err
    assert hpo("test", "flowers", "--data", "moved.csv").code == 0
    moved = tmp_path / "moved.csv"
    moved.write_text(moved.read_text().replace("k2", "k3"), encoding="utf-8")
    changed = hpo("ensemble", "flowers", *BUILD, "--with", "none", "--data", "moved.csv")
    assert changed.code == 2
    assert "was made with other data" in changed.err


def test_a_study_of_another_program_has_no_networks(hpo: Hpo, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "hpo.db")) as connection, connection:
        connection.execute("DELETE FROM study_user_attributes WHERE study_id = 1")
    for command in ("ensemble", "test"):
        ran = hpo(command, "iris")
        assert (ran.code, ran.out) == (2, "")
        assert "study 'iris' was not made by hpo search, so it has no networks" in ran.err


# hpo test


def test_each_model_is_one_look(hpo: Hpo, built: Path) -> None:
    one = hpo("test", "iris", "--model", "ensemble", "--json").document
    assert one["test"]["look"] == one["test"]["evaluations"] == 2
    again = hpo("test", "iris", "--model", "ensemble", "--json").document
    assert again == one
    winner = hpo("test", "iris", "--model", "winner", "--json").document
    assert winner["test"]["look"] == 1
    assert winner["looks"][1]["why"].startswith("ensemble ensemble (")


def test_the_screen_of_a_test(hpo: Hpo, built: Path) -> None:
    lines = hpo("test", "diabetes", "--model", "ensemble").out.splitlines()
    assert lines[0].startswith("diabetes, ensemble ensemble (")
    assert lines[1].startswith("expected: R2 0.")
    assert lines[2].startswith("test: R2 0.")
    assert lines[2].endswith("on 89 rows (look 2)")
    assert lines[3] == "these rows were looked at 2 times:"
    assert len(lines) == 6


def test_without_a_name_it_is_the_model_with_the_best_promise(hpo: Hpo, built: Path) -> None:
    """The winner promises nothing here, because nothing was trained again."""
    assert hpo("test", "iris", "--json").document["model"] == "ensemble"


def test_a_model_that_there_is_not(hpo: Hpo, built: Path) -> None:
    ran = hpo("test", "iris", "--model", "ensemple")
    assert ran.code == 2
    line = "hpo: there is no model 'ensemple': the study has winner, ens"
    assert ran.err.startswith(line)


def test_a_tampered_model_is_refused_with_6(hpo: Hpo, built: Path) -> None:
    digest = hpo("test", "iris", "--model", "ensemble", "--json").document["digest"]
    path = built / "hpo.artifacts" / f"{digest}.npz"
    flip(path)
    table(built / "new.csv", "iris")
    for command in (
        ("test", "iris", "--model", "ensemble"),
        ("predict", "iris", "--model", "ensemble", "--input", "new.csv"),
    ):
        ran = hpo(*command)
        assert (ran.code, ran.out) == (6, "")
        assert len(ran.err.splitlines()) == 1
        assert digest[:12] in ran.err


# hpo predict


@pytest.mark.parametrize("model", ["winner", "ensemble"])
def test_every_row_is_predicted_in_its_order(hpo: Hpo, built: Path, model: str) -> None:
    table(built / "new.csv", "iris")
    ran = hpo("predict", "iris", "--model", model, "--input", "new.csv", "--proba")
    assert ran.code == 0, ran.err
    head, *lines = rows(ran.out)
    assert head == ["prediction", "proba_setosa", "proba_versicolor", "proba_virginica"]
    assert len(lines) == 150
    proba = np.array([[float(each) for each in line[1:]] for line in lines])
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    classes = np.array(["setosa", "versicolor", "virginica"])
    assert [line[0] for line in lines] == classes[proba.argmax(axis=1)].tolist()
    target = load("iris").target.values.astype(int)
    assert (proba.argmax(axis=1) == target).mean() > 0.7


def test_values_are_in_the_users_units_and_in_a_file(hpo: Hpo, built: Path) -> None:
    table(built / "new.csv", "diabetes")
    ran = hpo(
        "predict", "diabetes", "--input", "new.csv", "--output", "out.csv", "--model", "ensemble"
    )
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "442 predictions in out.csv by the model 'ensemble' of diabetes\n"
    head, *lines = rows((built / "out.csv").read_text(encoding="utf-8"))
    assert head == ["prediction"]
    values = np.array([float(line[0]) for line in lines])
    assert np.corrcoef(values, load("diabetes").target.values)[0, 1] > 0.6


def test_columns_are_found_by_name_and_others_passed_over(hpo: Hpo, built: Path) -> None:
    path = table(built / "new.csv", "iris")
    expected = hpo("predict", "iris", "--input", "new.csv", "--proba").out
    head, *lines = rows(path.read_text(encoding="utf-8"))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *head[::-1]])
        writer.writerows([f"row {number}", *line[::-1]] for number, line in enumerate(lines))
    assert hpo("predict", "iris", "--input", "new.csv", "--proba").out == expected


def test_cells_that_are_missing_or_new_are_dealt_with(hpo: Hpo, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    colours = generator.choice(["red", "green", "blue"], 120)
    sizes = generator.normal(size=120)
    lines = [
        f"{size},{colour},{'yes' if (size > 0) ^ (colour == 'red') else 'no'}"
        for size, colour in zip(sizes, colours, strict=True)
    ]
    (tmp_path / "t.csv").write_text("size,colour,y\n" + "\n".join(lines), encoding="utf-8")
    assert hpo("search", "t.csv", "--target", "y", *QUICK).code == 0
    assert hpo("ensemble", "t", *BUILD, "--with", "knn", "--methods", "mean").code == 0
    new = "size,colour\n1.5,red\n,red\n-2,violet\n,\n"
    (tmp_path / "new.csv").write_text(new, encoding="utf-8")
    for model in ("winner", "ensemble"):
        ran = hpo("predict", "t", "--input", "new.csv", "--model", model, "--proba")
        assert ran.code == 0, ran.err
        assert len(rows(ran.out)) == 5
    (tmp_path / "new.csv").write_text("size\n1.5\n", encoding="utf-8")
    ran = hpo("predict", "t", "--input", "new.csv")
    assert ran.code == 3
    assert "colour" in ran.err
    (tmp_path / "new.csv").write_text("size,colour\nlarge,red\n", encoding="utf-8")
    ran = hpo("predict", "t", "--input", "new.csv")
    assert ran.code == 3
    assert "line 2, column 1 (size): 'large' is a text where a number must be" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("iris", "--input", "none.csv"), 3, "none.csv: there is no such file"),
        (("diabetes", "--input", "new.csv", "--proba"), 2, "--proba: diabetes predicts numbers"),
        (("iris", "--input", "new.csv", "--output", "no/out.csv"), 2, "--output no/out.csv: No"),
        (("iris", "--input", "new.csv", "--model", "x"), 2, "there is no model 'x'"),
    ],
)
def test_what_cannot_be_predicted_is_said_in_one_line(
    hpo: Hpo, built: Path, arguments: tuple[Any, ...], code: int, line: str
) -> None:
    table(built / "new.csv", arguments[0])
    ran = hpo("predict", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert len(ran.err.splitlines()) == 1
    assert line in ran.err


def test_nothing_is_written_to_the_storage(hpo: Hpo, built: Path) -> None:
    table(built / "new.csv", "iris")
    before = content(built / "hpo.db")
    assert hpo("predict", "iris", "--input", "new.csv").code == 0
    assert content(built / "hpo.db") == before


@pytest.mark.parametrize("version", ["0001", "0003"])
def test_a_database_of_an_older_schema_is_not_changed(
    hpo: Hpo, tmp_path: Path, version: str
) -> None:
    shutil.copytree(FOLDER / version / NETWORKS, tmp_path / "hpo.artifacts")
    shutil.copy(FOLDER / version / DATABASE, tmp_path / "hpo.db")
    table(tmp_path / "new.csv", "iris")
    before = content(tmp_path / "hpo.db")
    ran = hpo("predict", "golden", "--input", "new.csv")
    assert content(tmp_path / "hpo.db") == before
    if version == "0001":  # it does not say which network is the best
        assert (ran.code, ran.out) == (4, "")
        assert "an older version of hpo wrote it: hpo test STUDY brings it up to date" in ran.err
        assert hpo("test", "golden").code == 0
        ran = hpo("predict", "golden", "--input", "new.csv")
    assert ran.code == 0, ran.err
    assert len(rows(ran.out)) == 151


def test_ensembles_are_counted_by_doctor_and_left_by_gc(hpo: Hpo, built: Path) -> None:
    before = sorted(path.name for path in (built / "hpo.artifacts").iterdir())
    assert hpo("gc", "--older-than", 0).code == 0
    assert sorted(path.name for path in (built / "hpo.artifacts").iterdir()) == before
    health = hpo("doctor", "--json")
    assert health.code == 0, health.out
    with closing(sqlite3.connect(built / "hpo.db")) as connection:
        ((digest, record),) = connection.execute(
            "SELECT digest, record FROM hpo_ensembles WHERE name = 'ensemble' LIMIT 1"
        ).fetchall()
    assert json.loads(record)["method"] in {"mean", "best"}
    (built / "hpo.artifacts" / f"{digest}.npz").unlink()
    sick = hpo("doctor")
    assert "an ensemble: " in sick.out
    assert digest in sick.out


WITHOUT_PICKLE = """
import pickle, sys
import hpo.prediction, optuna, skops.io, sklearn.ensemble  # what they import may read caches

def forbidden(*_, **__):
    raise AssertionError("unpickled")

class Unpickler:
    def __init__(self, *_, **__):
        forbidden()

pickle.load = pickle.loads = forbidden
pickle.Unpickler = pickle._Unpickler = Unpickler
found, ready, model = hpo.prediction.stored_model("iris", sys.argv[1], "mixed")
table = hpo.prediction.new_rows(sys.argv[2], found, model)
for line in hpo.prediction.predicted(model, table, proba=True):
    print(*line, sep=",")
"""


def test_networks_and_trees_load_in_a_process_that_cannot_unpickle(
    hpo: Hpo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad_alone(method: str, *others: Any) -> Assembled:
        found = assemble(method, *others)
        return replace(found, loss=1e9) if method == BEST else found

    monkeypatch.setattr("hpo.ensembling.building.assemble", bad_alone)
    learners = ("--with", "forest,hist_gradient_boosting", "--methods", "mean", "--name", "mixed")
    ran = hpo("ensemble", "iris", *BUILD, *learners, "--json")
    assert ran.code == 0, ran.err
    built = ran.document
    names = {each["name"] for each in built["members"]}
    assert names >= {"forest", "hist_gradient_boosting"}
    assert len(names) == 4
    path = table(folder / "new.csv", "iris")
    ran = hpo("predict", "iris", "--model", "mixed", "--input", path, "--proba")
    url = f"sqlite:///{folder}/hpo.db"
    other = subprocess.run(
        [sys.executable, "-c", WITHOUT_PICKLE, url, str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 0, other.stderr
    assert other.stdout == ran.out
