"""``hpo search`` from the command line to the database, on small real data."""

from __future__ import annotations

import json
import math
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from sklearn.datasets import load_diabetes, load_iris

from hpo import NarrowingSampler
from hpo.cli.app import run
from hpo.data.splitting import split_rows
from hpo.search.narrowing import NarrowingSettings
from tests.running import Hpo, finish, integrity, start, stock_optuna, stored_trials
from tests.storage.looking import content

QUICK = ("--trials", 12, "--rounds", 3, "--hidden", 8, "--epochs", 6, "--repeats", 0)


def search(hpo: Hpo, *arguments: object, data: object = "iris") -> dict[str, object]:
    ran = hpo("search", data, *QUICK, "--json", *arguments)
    assert ran.code == 0, ran.err
    return ran.document


def test_the_document_has_what_the_interface_promises(hpo: Hpo) -> None:
    document = hpo("search", "iris", *QUICK, "--repeats", 5, "--json").document
    assert document["study"] == "iris"
    assert document["storage"] == "sqlite:///hpo.db"
    assert (document["task"], document["metric"]) == ("classification", "accuracy")
    assert document["rows"] == {"train": 96, "validation": 24, "test": 30}
    assert document["trials"] == {"complete": 12, "pruned": 0, "failed": 0}
    assert [each["round"] for each in document["rounds"]] == [0, 1, 2]
    assert [each["trials"] for each in document["rounds"]] == [4, 4, 4]
    first = {"learning_rate": [1e-5, 1e-1], "weight_decay": [1e-5, 10.0]}
    assert document["rounds"][0]["ranges"] == first
    best = document["best"]
    assert best.keys() >= {"trial", "validation", "train", "expected", "expected_se", "params"}
    assert best["params"].keys() == {"learning_rate", "weight_decay"}
    assert 0 <= best["expected"] <= 1
    assert 0 < best["expected_se"] < 0.1
    assert document["selection"]["repeats"] == document["selection"]["folds"] == 5
    candidates = document["selection"]["candidates"]
    assert len(candidates) == 6
    assert best["trial"] in {each["trial"] for each in candidates}
    assert all(len(each["values"]) == 5 for each in candidates)
    assert document["test"]["evaluations"] == 1
    assert 0 < document["test"]["score"] <= 1
    assert document["stopped"] is None
    assert document["seconds"] > 0


def test_optuna_reads_the_study(hpo: Hpo, tmp_path: Path) -> None:
    document = hpo("search", "iris", *QUICK, "--repeats", 2, "--json").document
    with stock_optuna(tmp_path / "hpo.db") as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        trials, metrics, best = study.trials, study.metric_names, study.best_trial.number
    assert [trial.number for trial in trials] == list(range(12))
    for trial in trials:
        assert trial.state == optuna.trial.TrialState.COMPLETE
        assert trial.distributions == {
            "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
            "weight_decay": FloatDistribution(1e-5, 10.0, log=True),
        }
        assert list(trial.intermediate_values) == [1, 2, 4, 6]
        assert np.isfinite(
            np.array([trial.value, *trial.intermediate_values.values()], float)
        ).all()
        assert trial.datetime_complete is not None
    assert best in {each["trial"] for each in document["selection"]["candidates"]}
    assert metrics == ["accuracy"]


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc"])
def test_optunas_samplers_propose_rounds_too(hpo: Hpo, tmp_path: Path, sampler: str) -> None:
    for place in ("sqlite:///whole.db", "sqlite:///hpo.db"):
        search(hpo, "--sampler", sampler, "--keep-sealed", "--storage", place)
    search(hpo, "--sampler", sampler, "--trials", 13, "--keep-sealed")
    parts = search(hpo, "--sampler", sampler, "--trials", 20)
    whole = search(hpo, "--sampler", sampler, "--trials", 20, "--storage", "sqlite:///whole.db")
    assert {**whole, "seconds": 0, "storage": ""} == {**parts, "seconds": 0, "storage": ""}
    points = [
        {number: each["params"] for number, each in stored_trials(tmp_path / name, "iris").items()}
        for name in ("whole.db", "hpo.db")
    ]
    assert points[0] == points[1]
    full = {"learning_rate": [1e-5, 1e-1], "weight_decay": [1e-5, 10.0]}
    assert [each["ranges"] for each in whole["rounds"]] == [full] * 5  # type: ignore[attr-defined]


def test_a_sampler_whose_packages_are_missing_is_refused(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    ran = hpo("search", "iris", *QUICK, "--sampler", "gp")
    assert ran.code == 2
    assert ran.err == "hpo: --sampler gp needs torch: pip install 'hpo-stacks[gp]'\n"


def test_the_sampler_alone_goes_on_with_the_points_of_the_search(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo)
    with stock_optuna(tmp_path / "hpo.db") as storage:
        sampler = NarrowingSampler(n_rounds=3, trials_per_round=4)
        study = optuna.load_study(study_name="iris", storage=storage, sampler=sampler)
        trial = study.ask()
        asked = {
            "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-5, 10.0, log=True),
        }
    for total in (12, 13):
        search(hpo, "--storage", "sqlite:///other.db", "--trials", total)
    with stock_optuna(tmp_path / "other.db") as storage:
        searched = optuna.load_study(study_name="iris", storage=storage).trials[12].params
    assert asked == searched


def test_the_same_command_again_trains_nothing_and_looks_no_more(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hpo("search", "iris", *QUICK, "--json").document
    before = stored_trials(tmp_path / "hpo.db", "iris")

    def forbidden(*_: object) -> None:
        raise AssertionError("trained again, or looked at the test rows again")

    monkeypatch.setattr("hpo.search.evaluation.train_slots", forbidden)
    monkeypatch.setattr("hpo.preparation.SealedRows.score", forbidden)
    again = hpo("search", "iris", *QUICK, "--json").document
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert stored_trials(tmp_path / "hpo.db", "iris") == before


def test_more_trials_go_on_and_a_new_winner_is_a_new_look(hpo: Hpo, tmp_path: Path) -> None:
    first = hpo("search", "diabetes", *QUICK, "--json").document
    before = stored_trials(tmp_path / "hpo.db", "diabetes")
    looks = {first["best"]["trial"]}
    for total in (18, 26, 40):
        # The later option wins, so this is the same command with more trials.
        ran = hpo("search", "diabetes", *QUICK, "--json", "--trials", total).document
        assert sum(ran["trials"].values()) == total
        looks.add(ran["best"]["trial"])
        assert ran["test"]["evaluations"] == len(looks)
    assert len(looks) > 1, "the data were to bring a new winner"
    after = stored_trials(tmp_path / "hpo.db", "diabetes")
    assert list(after) == list(range(40))
    assert {number: after[number] for number in before} == before
    assert [each["trials"] for each in ran["rounds"]] == [4] * 10


def test_in_one_go_or_in_pieces_the_trials_are_the_same(hpo: Hpo, tmp_path: Path) -> None:
    pieces = ("--storage", "sqlite:///pieces.db")
    for total in (12, 5, 13, 20):
        hpo("search", "iris", *QUICK, *pieces, "--trials", total)
    # Four trials to a round, as the twelve in three rounds of the pieces.
    hpo("search", "iris", *QUICK)
    whole = hpo("search", "iris", *QUICK, "--trials", 20, "--json").document
    assert sum(whole["trials"].values()) == 20
    assert stored_trials(tmp_path / "pieces.db", "iris") == stored_trials(
        tmp_path / "hpo.db", "iris"
    )


def test_sealed_rows_stay_sealed_until_asked_for(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("hpo.preparation.SealedRows.score", None)
        document = hpo("search", "iris", *QUICK, "--keep-sealed", "--json").document
        text = hpo("search", "iris", *QUICK, "--keep-sealed").out
    assert document["test"] == {"score": None, "evaluations": 0}
    assert "the test rows stay sealed" in text
    assert hpo("search", "iris", *QUICK, "--json").document["test"]["evaluations"] == 1


def test_a_look_that_died_is_completed_and_counted_once(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise MemoryError("died while it looked")

    with monkeypatch.context() as patched:
        patched.setattr("hpo.preparation.SealedRows.score", dies)
        assert hpo("search", "iris", *QUICK).code == 1
    document = hpo("search", "iris", *QUICK, "--json").document
    assert document["test"]["evaluations"] == 1
    assert document["test"]["score"] is not None


def test_the_text_shows_narrowing_and_best(hpo: Hpo) -> None:
    ran = hpo("search", "iris", *QUICK)
    lines = ran.out.splitlines()
    assert lines[0] == "iris: classification, 96 training, 24 validation and 30 test rows"
    assert lines[2].split() == [
        "round",
        "trials",
        "learning_rate",
        "weight_decay",
        "best",
        "val",
        "acc",
    ]
    assert lines[3].split()[:4] == ["1", "4", "1.0e-05..1.0e-01", "1.0e-05..1.0e+01"]
    best = [line for line in lines if line.startswith("Best-")]
    assert len(best) == 10
    assert best[0].startswith("Best-1 (val acc: ")
    assert " | lr: " in best[0]
    assert ", weight decay: " in best[0]
    assert any(line.startswith("test: acc ") for line in lines)
    assert max(map(len, lines[: lines.index("next:")])) <= 80
    # Progress is no result: it stands on stderr, in plain lines.
    assert "round 1/3, 4/12 trials" in ran.err
    assert "\x1b" not in ran.err + ran.out


def test_the_next_command_is_this_one_with_more_trials(hpo: Hpo) -> None:
    ran = hpo("search", "iris", "--trials", 4, "--rounds=2", "--hidden", 8, "--study", "a b")
    command = "hpo search iris --rounds=2 --hidden 8 --study 'a b' --workers 1 --trials 6"
    assert f"\n  {command}\n" in ran.out
    again = hpo(*shlex.split(command)[1:])
    assert again.code == 0
    assert "--workers 1 --trials 8\n" in again.out
    assert "\n  hpo report 'a b'\n" in again.out


def test_workers_are_no_setting(hpo: Hpo, tmp_path: Path) -> None:
    one = search(hpo, "--workers", 1)
    two = search(hpo, "--workers", 2, "--storage", "sqlite:///two.db")
    assert {**one, "seconds": 0, "storage": ""} == {**two, "seconds": 0, "storage": ""}
    assert stored_trials(tmp_path / "hpo.db", "iris") == stored_trials(tmp_path / "two.db", "iris")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--hidden", "8,8"], "hidden 8 (stored) / 8,8 (asked for)"),
        (["--epochs", 7], "epochs 6 (stored) / 7 (asked for)"),
        (["--seed", 1], "seed 0 (stored) / 1 (asked for)"),
        (["--metric", "neg_log_loss"], "metric accuracy (stored) / neg_log_loss (asked for)"),
        (["--sampler", "tpe"], "sampler narrowing (stored) / tpe (asked for)"),
        (["--patience", 9], "patience none (stored) / 9 (asked for)"),
        (["--schedule", "step"], "schedule cosine (stored) / step (asked for)"),
        (["--batch-size", 16], "batch_size automatic (stored) / 16 (asked for)"),
        (["--rounds", 4], "rounds 3 (stored) / 4 (asked for)"),
        (["--space", "learning_rate=1e-4..1e-2:log"], "learning_rate=1e-05..0.1:log"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    hpo: Hpo, tmp_path: Path, arguments: list[object], named: str
) -> None:
    search(hpo)
    before = stored_trials(tmp_path / "hpo.db", "iris")
    ran = hpo("search", "iris", *QUICK, *arguments)
    assert ran.code == 2
    assert named in ran.err
    assert ran.err.count("\n") == 1
    assert stored_trials(tmp_path / "hpo.db", "iris") == before


def write_csv(path: Path, rows: int = 90) -> Path:
    data = load_iris()
    names = ["setosa", "versicolor", "virginica"]
    order = np.random.default_rng(0).permutation(150)[:rows]
    lines = ["a,b,c,d,kind"]
    lines += [",".join([*map(str, data.data[i]), names[data.target[i]]]) for i in order]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_changed_data_are_refused_with_the_difference(hpo: Hpo, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "flowers.csv")
    document = search(hpo, "--target", "kind", data=path)
    assert document["study"] == "flowers"
    text = path.read_text()
    path.write_text(text.replace("\n", "\r\n"))
    search(hpo, "--target", "kind", data=path)  # the same cells
    path.write_text("\n".join(text.splitlines()[:-1]) + "\n")
    ran = hpo("search", path, *QUICK, "--target", "kind")
    assert ran.code == 2
    assert "rows 90 -> 89" in ran.err
    lines = text.splitlines()
    lines[1] = "9.9," + lines[1].split(",", 1)[1]
    path.write_text("\n".join(lines) + "\n")
    ran = hpo("search", path, *QUICK, "--target", "kind")
    assert ran.code == 2
    assert "columns changed: a" in ran.err


@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_a_study_keeps_the_rows_that_it_began_with(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    """Whatever a later NumPy draws: or rows that were trained on would be tested on."""
    for url in ("sqlite:///here.db", "sqlite:///later.db"):
        search(hpo, "--storage", url, "--keep-sealed", data=data)
    here = search(hpo, "--storage", "sqlite:///here.db", "--trials", 20, data=data)

    def as_a_later_numpy(*arguments: Any, seed: int, **named: Any) -> Any:
        return split_rows(*arguments, seed=seed + 1000, **named)

    monkeypatch.setattr("hpo.data.parts.split_rows", as_a_later_numpy)
    later = search(hpo, "--storage", "sqlite:///later.db", "--trials", 20, data=data)
    assert {**later, "seconds": 0, "storage": ""} == {**here, "seconds": 0, "storage": ""}
    assert stored_trials(tmp_path / "later.db", data) == stored_trials(tmp_path / "here.db", data)
    anew = search(hpo, "--storage", "sqlite:///anew.db", "--trials", 12, data=data)
    assert anew["best"] != here["best"], "the other rows were to give other scores"


def test_other_rows_than_a_study_of_an_older_version_had_are_refused(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kept no rows, only their hash."""
    search(hpo)
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection, connection:
        connection.execute("UPDATE hpo_experiments SET split = NULL")
    search(hpo)
    before = stored_trials(tmp_path / "hpo.db", "iris")
    monkeypatch.setattr("hpo.data.splitting.Split.digest", lambda _: "another")
    ran = hpo("search", "iris", *QUICK, "--trials", 16)
    assert ran.code == 2
    assert f"NumPy {np.__version__} splits the rows in another way" in ran.err
    assert stored_trials(tmp_path / "hpo.db", "iris") == before


def test_a_study_goes_on_narrowing_as_it_began(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever defaults a later version has."""
    for url in ("sqlite:///here.db", "sqlite:///later.db"):
        search(hpo, "--storage", url)
    search(hpo, "--storage", "sqlite:///here.db", "--trials", 20)
    defaults = (1.0, 9, 3.0, 0.9, 0.9, 0.5, 1, True, True)
    monkeypatch.setattr(NarrowingSettings.__init__, "__defaults__", defaults)
    changed = NarrowingSettings(0, 1, 1)
    assert (changed.keep, changed.warm) == (1.0, True)
    search(hpo, "--storage", "sqlite:///later.db", "--trials", 20)
    here, later = (stored_trials(tmp_path / f"{name}.db", "iris") for name in ("here", "later"))
    assert len(here) == 20
    assert here == later


def test_regression_is_measured_in_the_units_of_the_user(hpo: Hpo) -> None:
    arguments = ("--metric", "neg_root_mean_squared_error", "--epochs", 40)
    best = search(hpo, *arguments, data="diabetes")["best"]
    assert isinstance(best, dict)
    spread = np.std(load_diabetes().target)
    assert -spread < best["validation"] < -spread / 2


def write_line(path: Path, rows: int, offset: float, noise: float = 1.0) -> Path:
    """A table whose target is a line of its one feature, far from zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    y = offset + 10 * x + noise * rng.normal(size=rows)
    path.write_text(
        "x,y\n"
        + "\n".join(f"{a!r},{b!r}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        + "\n"
    )
    return path


def test_a_target_far_from_zero_is_promised_what_it_gets(hpo: Hpo, tmp_path: Path) -> None:
    """Seconds since 1970: float32 could not tell them apart."""
    path = write_line(tmp_path / "times.csv", 400, 1.7e9)
    document = search(hpo, "--target", "y", "--epochs", 40, data=path)
    best, test = document["best"], document["test"]
    assert isinstance(best, dict)
    assert isinstance(test, dict)
    assert best["validation"] > 0.9
    assert best["expected"] == pytest.approx(best["validation"], abs=0.05)
    assert test["score"] > 0.9


@pytest.mark.parametrize("rows", [6, 8, 12])
@pytest.mark.parametrize("kind", ["classes", "quantity"])
def test_tiny_tables_give_valid_json_or_one_clear_line(
    hpo: Hpo, tmp_path: Path, rows: int, kind: str
) -> None:
    path = write_line(tmp_path / "tiny.csv", rows, 0.0)
    if kind == "classes":
        lines = path.read_text().splitlines()
        path.write_text(
            "x,y\n"
            + "".join(f"{line.split(',')[0]},{'ab'[i % 2]}\n" for i, line in enumerate(lines[1:]))
        )
    ran = hpo("search", path, "--target", "y", *QUICK, "--json")
    if kind == "quantity" and rows < 8:
        assert (ran.code, ran.out) == (3, "")
        assert "r2 needs at least 2" in ran.err
        return
    assert ran.code == 0, ran.err
    json.loads(ran.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "Warning" not in ran.err
    assert hpo("search", path, "--target", "y", *QUICK).code == 0


def test_a_study_is_named_as_it_is(hpo: Hpo) -> None:
    ran = hpo("search", "iris", *QUICK, "--study", "a:on:[b]/ü 1")
    assert ran.code == 0
    assert ran.out.startswith("a:on:[b]/ü 1: classification")
    assert "a:on:[b]/ü 1: round" in ran.err
    assert hpo("search", "iris", *QUICK, "--study", "\udcff").code == 2


def test_what_was_decided_about_the_data_is_noted(hpo: Hpo, tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_text("a,b,y\n" + "".join(f"{i},7,{'pq'[i % 2]}\n" for i in range(40)))
    ran = hpo("search", path, "--target", "y", *QUICK)
    assert "note: columns with one value in every row, left out: b" in ran.err.splitlines()


def test_a_file_whose_name_is_no_text_is_searched(tmp_path: Path) -> None:
    path = write_csv(tmp_path / os.fsdecode(b"caf\xe9.csv"))
    options = map(str, (*QUICK, "--target", "kind", "--study", "flowers", "--workers", 1))
    command = [sys.executable, "-m", "hpo", "search", str(path), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # The next command names the file in the bytes that it has.
    assert b"caf\xe9.csv" in done.stdout.splitlines()[-2]
    assert os.fsencode(path) in done.stdout


def test_every_core_trains_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Idle:
        def __init__(self, _problem: object, n_workers: int, deadline: float) -> None:
            assert deadline == math.inf
            asked.append(n_workers)

        def is_over(self) -> bool:
            return True

        def evaluate(self, _slots: object) -> list[list[object]]:
            return []

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hpo.joined_study.Workers", Idle)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for workers in ((), ("--workers", "2")):
        assert run(["search", "iris", "--storage", "sqlite:///hpo.db", *workers]) == 5
    assert asked == [3, 2]


def test_small_scores_keep_their_digits(hpo: Hpo, tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    rng = np.random.default_rng(0)
    path.write_text("x,y\n" + "".join(f"{v},{v * 1e-6}\n" for v in rng.normal(size=100).tolist()))
    ran = hpo("search", path, "--target", "y", *QUICK, "--metric", "neg_mean_squared_error")
    assert "0.000" not in ran.out
    assert "e-1" in next(line for line in ran.out.splitlines() if line.startswith("Best-1 "))


def test_sealed_after_a_look_is_said(hpo: Hpo) -> None:
    search(hpo)
    ran = hpo("search", "iris", *QUICK, "--keep-sealed")
    assert "test: the test rows stay sealed; they were looked at 1 times before" in ran.out


def test_a_network_larger_than_the_machine_is_refused(hpo: Hpo, tmp_path: Path) -> None:
    ran = hpo("search", "iris", *QUICK, "--hidden", "1000000000")
    assert ran.code == 2
    assert "--hidden 1000000000: one network needs" in ran.err
    assert not (tmp_path / "hpo.db").exists()


def test_studies_of_several_names_share_a_database(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo)
    search(hpo, "--study", "other", "--seed", 5)
    search(hpo, data="wine")
    for study in ("iris", "other", "wine"):
        assert len(stored_trials(tmp_path / "hpo.db", study)) == 12
    assert integrity(tmp_path / "hpo.db") == "ok"


def test_storage_comes_from_the_environment(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_STORAGE", "sqlite:///elsewhere.db")
    assert search(hpo)["storage"] == "sqlite:///elsewhere.db"
    assert (tmp_path / "elsewhere.artifacts").is_dir()
    assert not (tmp_path / "hpo.db").exists()


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_study_of_another_program_is_refused(
    hpo: Hpo, tmp_path: Path, direction: Literal["minimize", "maximize"]
) -> None:
    with stock_optuna(tmp_path / "hpo.db") as storage:
        study = optuna.create_study(study_name="iris", storage=storage, direction=direction)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    ran = hpo("search", "iris", *QUICK)
    assert ran.code == 2
    assert "was not made by hpo search" in ran.err


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_an_empty_study_of_another_program_is_refused_and_stays_as_it_is(
    hpo: Hpo, tmp_path: Path, direction: Literal["minimize", "maximize"]
) -> None:
    with stock_optuna(tmp_path / "hpo.db") as storage:
        optuna.create_study(study_name="iris", storage=storage, direction=direction)
    ran = hpo("search", "iris", *QUICK)
    assert ran.code == 2
    assert "was not made by hpo search" in ran.err
    with stock_optuna(tmp_path / "hpo.db") as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        assert study.direction.name.lower() == direction
        assert study.user_attrs == {}


def test_trials_of_another_program_count_but_never_win(hpo: Hpo, tmp_path: Path) -> None:
    best = search(hpo)["best"]
    with stock_optuna(tmp_path / "hpo.db") as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        study.optimize(lambda trial: 2.0 + trial.suggest_float("x", 0, 1), n_trials=3)
    document = search(hpo, "--trials", 16)
    assert isinstance(best, dict)
    assert document["trials"] == {"complete": 16, "pruned": 0, "failed": 0}
    after = document["best"]
    assert isinstance(after, dict)
    assert after["validation"] <= 1
    assert list(stored_trials(tmp_path / "hpo.db", "iris")) == list(range(16))


def test_a_trial_that_another_program_enqueued_is_refused(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo)
    with stock_optuna(tmp_path / "hpo.db") as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        study.enqueue_trial({"learning_rate": 1e-3})
    ran = hpo("search", "iris", *QUICK, "--trials", 16)
    assert ran.code == 4
    assert "trial 12 waits without parameters: another program added it" in ran.err


def test_a_study_deleted_and_made_again_starts_anew(hpo: Hpo, tmp_path: Path) -> None:
    first = search(hpo)
    with stock_optuna(tmp_path / "hpo.db") as storage:
        optuna.delete_study(study_name="iris", storage=storage)
    again = search(hpo)
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


@pytest.mark.parametrize("again", [False, True], ids=["gone", "made-anew"])
def test_a_study_deleted_while_it_is_searched_ends_with_4(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Another study may get the same number, and must not get these results."""
    from hpo.search import evaluation

    train = evaluation.train_slots

    def delete_and_train(*arguments: Any) -> Any:
        with stock_optuna(tmp_path / "hpo.db") as storage:
            optuna.delete_study(study_name="iris", storage=storage)
            if again:
                study = optuna.create_study(study_name="other", storage=storage)
                study.enqueue_trial({"x": 1})
        return train(*arguments)

    monkeypatch.setattr(evaluation, "train_slots", delete_and_train)
    ran = hpo("search", "iris", *QUICK)
    assert ran.code == 4
    assert "the study was deleted while it was searched" in ran.err
    assert integrity(tmp_path / "hpo.db") == "ok"
    if again:
        (trial,) = stored_trials(tmp_path / "hpo.db", "other").values()
        assert trial["state"] == "WAITING"


def test_all_trials_failing_ends_with_5_and_the_reason(hpo: Hpo) -> None:
    wild = ("--optimizer", "sgd", "--space", "learning_rate=1e6..1e7:log")
    ran = hpo("search", "diabetes", *QUICK, *wild)
    assert ran.code == 5
    assert "all 12 trials failed" in ran.err
    assert "diverged in epoch 1" in ran.err


def test_some_trials_failing_is_told_and_stored(hpo: Hpo, tmp_path: Path) -> None:
    wild = ("--optimizer", "sgd", "--space", "learning_rate=1e-3..1e6:log")
    document = search(hpo, *wild, data="diabetes")
    trials = document["trials"]
    assert isinstance(trials, dict)
    assert trials["failed"] > 0
    assert trials["complete"] > 0
    stored = stored_trials(tmp_path / "hpo.db", "diabetes")
    failed = [number for number, trial in stored.items() if trial["state"] == "FAIL"]
    with stock_optuna(tmp_path / "hpo.db") as storage:
        optunas = optuna.load_study(study_name="diabetes", storage=storage).trials
    for number in failed:
        assert "diverged in epoch" in optunas[number].user_attrs["reason"]
        assert stored[number]["values"] == []


@pytest.mark.parametrize("harm", ["missing", "truncated", "changed", "link"])
@pytest.mark.parametrize(("repeats", "table"), [(2, "hpo_selections"), (0, "hpo_artifacts")])
def test_a_damaged_network_of_the_winner_is_refused_with_6(
    hpo: Hpo, tmp_path: Path, harm: str, repeats: int, table: str
) -> None:
    best = search(hpo, "--keep-sealed", "--repeats", repeats)["best"]
    assert isinstance(best, dict)
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection:
        query = f"SELECT digest FROM {table} WHERE number = ?"
        (digest,) = connection.execute(query, (best["trial"],)).fetchone()
    path = tmp_path / "hpo.artifacts" / f"{digest}.npz"
    content = path.read_bytes()
    path.unlink()
    if harm == "truncated":
        path.write_bytes(content[:-9])
    elif harm == "changed":
        path.write_bytes(content[:-60] + b"\x00" + content[-59:])
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    ran = hpo("search", "iris", *QUICK, "--repeats", repeats)
    assert ran.code == 6
    assert f"trial {best['trial']}: {path}" in ran.err
    assert ran.err.splitlines()[-1].startswith("hpo: ")


def test_files_are_for_the_owner_only(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo)
    assert (tmp_path / "hpo.db").stat().st_mode & 0o777 == 0o600
    folder = tmp_path / "hpo.artifacts"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {0o600}


def test_only_as_many_networks_are_kept_as_asked_for_the_best(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo, "--trials", 30, "--keep", 3, "--repeats", 2, data="diabetes")
    trials = stored_trials(tmp_path / "hpo.db", "diabetes")
    complete = [number for number, each in trials.items() if each["state"] == "COMPLETE"]
    ranked = sorted(complete, key=lambda number: (-trials[number]["values"][0][1], number))
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection:
        kept = dict(connection.execute("SELECT number, digest FROM hpo_artifacts"))
        (winner,) = connection.execute("SELECT digest FROM hpo_selections").fetchone()
    assert sorted(kept) == sorted(ranked[:3])
    files = {path.stem for path in (tmp_path / "hpo.artifacts").glob("*.npz")}
    assert files == {*kept.values(), winner}


def test_how_many_networks_are_kept_is_no_setting(hpo: Hpo, tmp_path: Path) -> None:
    few = search(hpo, "--keep", 1, data="diabetes")
    many = search(hpo, "--storage", "sqlite:///many.db", data="diabetes")
    assert {**few, "seconds": 0, "storage": ""} == {**many, "seconds": 0, "storage": ""}
    assert stored_trials(tmp_path / "hpo.db", "diabetes") == stored_trials(
        tmp_path / "many.db", "diabetes"
    )
    # Nor does it hinder one who goes on with another number.
    search(hpo, "--keep", 2, "--trials", 16, data="diabetes")
    search(hpo, "--keep", 7, "--trials", 20, data="diabetes")


# Dropped early

DROPPING = (
    "--trials", 48, "--rounds", 3, "--hidden", 8, "--epochs", 12, "--repeats", 2,
    "--pruner", "rungs",
)  # fmt: skip


def test_hopeless_trials_are_pruned_and_shown_as_such(hpo: Hpo, tmp_path: Path) -> None:
    ran = hpo("search", "diabetes", *DROPPING, "--json")
    trials = stored_trials(tmp_path / "hpo.db", "diabetes")
    pruned = [number for number, each in trials.items() if each["state"] == "PRUNED"]
    document = ran.document
    assert document["trials"] == {"complete": 48 - len(pruned), "pruned": len(pruned), "failed": 0}
    assert 5 < len(pruned) <= 32
    assert min(pruned) >= 16
    assert [each["trials"] for each in document["rounds"]] == [16, 16, 16]
    assert f"48/48 trials, {len(pruned)} pruned, best" in ran.err
    # As it is in Optuna: the last score is the value; and ours: its curves, and no network.
    with stock_optuna(tmp_path / "hpo.db") as storage:
        frozen = optuna.load_study(study_name="diabetes", storage=storage).trials
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection:
        curves = dict(connection.execute("SELECT number, length(data) FROM hpo_curves"))
        with_networks = {n for (n,) in connection.execute("SELECT number FROM hpo_artifacts")}
        predicted = {n for (n,) in connection.execute("SELECT number FROM hpo_predictions")}
    for number in pruned:
        steps = frozen[number].intermediate_values
        epochs = max(steps)
        assert frozen[number].value == steps[epochs]
        assert list(steps) == [step for step in (1, 2, 4, 8) if step <= epochs]
        assert frozen[number].user_attrs["epochs"] == epochs
        assert "reason" not in frozen[number].user_attrs
        assert curves[number] == 4 * 4 * epochs
    assert predicted == set(range(48)) - set(pruned)
    assert not with_networks & set(pruned)
    # Greater values of trials that were dropped are no better ones.
    board = hpo("leaderboard", "--json").document
    assert board["trials"]["pruned"] == len(pruned)
    by_state = {
        state: [each for each in board["leaderboard"] if each["state"] == state]
        for state in ("complete", "pruned")
    }
    assert sorted(each["trial"] for each in by_state["pruned"]) == pruned
    assert {(each["rank"], each["validation"]) for each in by_state["pruned"]} == {(None, None)}
    best = max(each["validation"] for each in by_state["complete"])
    assert by_state["complete"][0]["validation"] == best
    assert document["best"]["trial"] not in pruned
    printed = hpo("search", "diabetes", *DROPPING).out
    assert f"trials: {48 - len(pruned)} complete, {len(pruned)} pruned, in" in printed


@pytest.mark.parametrize("sampler", ["narrowing", "tpe"])
def test_in_parts_the_same_trials_are_dropped(hpo: Hpo, tmp_path: Path, sampler: str) -> None:
    command = ("search", "diabetes", *DROPPING, "--repeats", 0, "--sampler", sampler, "--json")
    # The first call fixes the size of a round, and has no time for more.
    for url, totals, workers in (("a", (48, 48), 1), ("b", (48, 20, 33, 48), 2)):
        for place, total in enumerate(totals):
            short = () if place else ("--timeout", 1e-9)
            storage = ("--storage", f"sqlite:///{url}.db", "--workers", workers)
            ran = hpo(*command, *storage, "--trials", total, *short)
            assert ran.code == (0 if place else 5), ran.err
    whole = stored_trials(tmp_path / "a.db", "diabetes")
    assert Counter(each["state"] for each in whole.values())["PRUNED"] > 5
    assert stored_trials(tmp_path / "b.db", "diabetes") == whole


def test_without_a_pruner_every_trial_is_whole(hpo: Hpo, tmp_path: Path) -> None:
    """Which is so by default: the option stands at the end of those that drop."""
    document = hpo("search", "diabetes", *DROPPING[:-2], "--json").document
    assert document["trials"] == {"complete": 48, "pruned": 0, "failed": 0}
    other = hpo("search", "diabetes", *DROPPING)
    assert other.code == 2
    assert "pruner none (stored) / rungs (asked for)" in other.err


@pytest.mark.parametrize("pruner", ["median", "percentile", "asha", "hyperband"])
def test_optunas_pruners_need_one_process(hpo: Hpo, tmp_path: Path, pruner: str) -> None:
    command = ("search", "diabetes", *DROPPING, "--repeats", 0, "--pruner", pruner, "--json")
    refused = hpo(*command, "--workers", 2)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert f"--pruner {pruner}" in refused.err
    assert "--workers 1" in refused.err
    assert not (tmp_path / "hpo.db").exists()
    whole = hpo(*command, "--workers", 1).document["trials"]
    assert whole["pruned"] > 3
    assert whole["pruned"] + whole["complete"] == 48


def test_a_study_that_knows_of_no_pruner_goes_on_without(hpo: Hpo, tmp_path: Path) -> None:
    hpo("search", "diabetes", *DROPPING, "--trials", 32, "--rounds", 2, "--pruner", "none")
    with closing(sqlite3.connect(tmp_path / "hpo.db")) as connection, connection:
        (text,) = connection.execute("SELECT settings FROM hpo_experiments").fetchone()
        older = {name: each for name, each in json.loads(text).items() if name != "pruner"}
        connection.execute("UPDATE hpo_experiments SET settings = ?", (json.dumps(older),))
    ran = hpo("search", "diabetes", *DROPPING, "--rounds", 2, "--pruner", "none", "--json")
    assert ran.document["trials"] == {"complete": 48, "pruned": 0, "failed": 0}
    assert "pruner none (stored) / rungs" in hpo(
        "search", "diabetes", *DROPPING, "--rounds", 2
    ).err  # fmt: skip


# Ended early


class Clock:
    """Shows the time as it is, until it has been looked at so often; then it is far later."""

    def __init__(self, looks: int) -> None:
        self.left = looks
        self.perf_counter = time.perf_counter

    def time(self) -> float:
        self.left -= 1
        return time.time() + (1e9 if self.left < 0 else 0)


@pytest.mark.parametrize("looks", [6, 11, 17, 24])
def test_a_timeout_ends_well_and_the_same_command_goes_on_to_the_same_trials(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """The clock is looked at before a step, before a stack, and after each epoch."""
    monkeypatch.setattr("hpo.search.stacks.MOST_MEMBERS", 2)
    calm = search(hpo, "--storage", "sqlite:///calm.db", data="diabetes")
    clock = Clock(looks)
    with monkeypatch.context() as patched:
        patched.setattr("hpo.search.evaluation.time", clock)
        ran = hpo("search", "diabetes", *QUICK, "--timeout", 1000, "--json", "--keep-sealed")
        if looks < 10:
            assert ran.code == 5
            assert "no trial has finished yet: run the same command again" in ran.err
        else:
            assert ran.code == 0, ran.err
            assert ran.document["stopped"] == "timeout"
            assert 0 < ran.document["trials"]["complete"] < 12
    assert clock.left < 0
    states = {each["state"] for each in stored_trials(tmp_path / "hpo.db", "diabetes").values()}
    assert states <= {"COMPLETE", "WAITING"}, "what was not trained waits for another search"
    final = search(hpo, "--timeout", 1000, data="diabetes")
    assert {**final, "seconds": 0, "storage": ""} == {**calm, "seconds": 0, "storage": ""}
    assert stored_trials(tmp_path / "hpo.db", "diabetes") == stored_trials(
        tmp_path / "calm.db", "diabetes"
    )


def test_a_space_of_few_points_ends_the_search_when_all_were_tried(hpo: Hpo) -> None:
    few = ("--space", "learning_rate=0.01|0.1", "--space", "weight_decay=0|0.1|1")
    ran = hpo("search", "iris", *QUICK, *few, "--repeats", 2)
    assert ran.code == 0, ran.err
    assert "trials: 6 complete" in ran.out
    assert "(every point of the space was tried)" in ran.out
    assert "trained again over 2 folds" in ran.out
    document = hpo("search", "iris", *QUICK, *few, "--repeats", 2, "--json").document
    assert document["stopped"] == "exhausted"
    assert document["test"]["evaluations"] == 1


def test_a_timeout_before_the_winner_is_chosen_says_so_and_the_command_goes_on(hpo: Hpo) -> None:
    search(hpo, "--keep-sealed")
    late = search(hpo, "--keep-sealed", "--repeats", 2, "--timeout", 1e-9)
    assert (late["stopped"], late["selection"]) == ("timeout", None)
    chosen = search(hpo, "--repeats", 2)
    assert chosen["stopped"] is None
    assert chosen["selection"] is not None
    again = search(hpo, "--repeats", 2, "--timeout", 1e-9)
    assert {**again, "seconds": 0} == {**chosen, "seconds": 0}


def test_a_timeout_ends_training_that_has_no_end(hpo: Hpo) -> None:
    endless = ("--epochs", 10**6, "--patience", 0, "--timeout", 1)
    began = time.monotonic()
    ran = hpo("search", "iris", *QUICK, *endless)
    assert time.monotonic() - began < 30
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.count("\n") == 1
    assert "no trial has finished yet: run the same command again" in ran.err


def test_a_search_that_needs_nothing_more_was_not_stopped(hpo: Hpo) -> None:
    search(hpo)
    document = search(hpo, "--timeout", 1e-9)
    assert document["stopped"] is None
    assert document["trials"] == {"complete": 12, "pruned": 0, "failed": 0}


@pytest.mark.slow
def test_two_searches_at_once_are_one(hpo: Hpo, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    command = ("search", "wine", *QUICK, "--trials", 24, "--workers", 1, "--json")
    both = [finish(each) for each in [start(tmp_path / "shared", *command) for _ in range(2)]]
    calm = hpo(*command).document
    for ran in both:
        assert ran.code == 0, ran.err
        assert {**ran.document, "seconds": 0} == {**calm, "seconds": 0}
    path = tmp_path / "shared" / "hpo.db"
    assert stored_trials(path, "wine") == stored_trials(tmp_path / "hpo.db", "wine")
    with closing(sqlite3.connect(path)) as connection:
        for table, rows in (("hpo_owners", 0), ("hpo_claims", 0), ("hpo_test_looks", 1)):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)


# Rehearsed


def test_a_dry_run_writes_nothing_and_looks_at_no_test_row(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.preparation.SealedRows.score", None)
    path = write_csv(tmp_path / "flowers.csv")
    ran = hpo("search", path, "--target", "kind", *QUICK, "--dry-run")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == (
        "flowers: classification, 57 training, 15 validation and 18 test rows"
    )
    assert ran.out.splitlines()[1] == "networks: 4-8-3"
    assert ran.out.splitlines()[-1] == "nothing was written"
    assert set(content(tmp_path)) == {"flowers.csv"}


def test_a_dry_run_touches_no_study_that_is_there(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo)
    before = content(tmp_path)
    assert hpo("search", "iris", *QUICK, "--dry-run", "--seed", 5).code == 0
    assert content(tmp_path) == before
    assert hpo("search", "iris", *QUICK, "--dry-run", "--storage", "sqlite:///no/x.db").code == 0
    assert content(tmp_path) == before


def test_what_a_dry_run_foretells(hpo: Hpo) -> None:
    document = hpo("search", "iris", *QUICK, "--trials", 100, "--dry-run", "--json").document
    seconds, n_bytes = document["estimate"].pop("seconds"), document["estimate"].pop("bytes")
    assert document == {
        "dry_run": True,
        "study": "iris",
        "task": "classification",
        "metric": "accuracy",
        "rows": {"train": 96, "validation": 24, "test": 30},
        "cv": None,
        "network": [4, 8, 3],
        "trials": {"total": 100, "rounds": 3, "per_round": 34},
        "space": {"learning_rate": [1e-5, 1e-1], "weight_decay": [1e-5, 10.0]},
        "estimate": {},
    }
    assert 0 <= seconds < 60
    assert 10_000 < n_bytes < 10_000_000


def test_bad_data_and_settings_are_refused_in_a_dry_run_too(hpo: Hpo, tmp_path: Path) -> None:
    for arguments, code in (
        (["nothing.csv"], 3),
        (["digits", "--hidden", "8,0"], 2),
        (["iris", "--hidden", "1000000000"], 2),
    ):
        ran = hpo("search", *arguments, "--dry-run")
        assert (ran.code, ran.out) == (code, "")
        assert ran.err.count("\n") == 1
    assert content(tmp_path) == {}


def test_the_room_that_a_dry_run_foretells_is_about_what_is_taken(hpo: Hpo, tmp_path: Path) -> None:
    quick = ("--trials", 80, "--rounds", 1, "--hidden", "24,24", "--epochs", 20, "--keep", 10)
    foretold = hpo("search", "wine", *quick, "--dry-run", "--json").document["estimate"]["bytes"]
    search(hpo)  # which creates the tables
    before = sum(map(len, content(tmp_path).values()))
    assert hpo("search", "wine", *quick).code == 0
    taken = sum(map(len, content(tmp_path).values())) - before
    assert taken / 2 < foretold < taken * 2


@pytest.mark.slow
def test_the_time_that_a_dry_run_foretells_is_about_what_it_takes(hpo: Hpo) -> None:
    """Within a wide margin, for cores are shared."""
    slow = ("--trials", 20, "--rounds", 1, "--hidden", "96,96", "--epochs", 40, "--patience", 0)
    foretold = hpo("search", "digits", *slow, "--dry-run", "--json").document
    taken = hpo("search", "digits", *slow, "--json").document["seconds"]
    assert taken / 5 < foretold["estimate"]["seconds"] < taken * 5


def test_help_begins_with_an_example_and_imports_no_heavy_library() -> None:
    code = (
        "import sys; from hpo.cli.app import run; code = run(['search', '--help']); "
        "heavy = {'numpy', 'optuna', 'sklearn', 'sqlalchemy', 'joblib'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout.index("Example:") < done.stdout.index("Options:")
    for option in ("--target", "--no-header", "--trials", "--rounds", "--space", "--json"):
        assert option in done.stdout


def test_json_is_one_object_on_stdout(hpo: Hpo) -> None:
    ran = hpo("search", "iris", *QUICK, "--json")
    assert json.loads(ran.out) == ran.document
    assert ran.out.count("\n") == 1
