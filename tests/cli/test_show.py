"""``hpo show``: a study or a trial whole, against plain SQL and golden texts."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from hpo.cli.study_screen import study_lines
from hpo.cli.trial_screen import trial_lines
from storage.trials import RoundStorage
from tests.cli.documents import STUDY, TRIAL
from tests.filling import REASON, fill
from tests.running import Hpo, stored_trials
from tests.storage.looking import content, sql

WIDE = """\
flowers: classification, made 2026-01-02 03:04 UTC
data: flowers.csv, 1,150 rows, 4 columns, target 'kind', sha256 0123456789ab
split: 736 training, 184 validation and 230 test rows, seed 7
networks: 4-16-3, 131 weights each
settings: target kind, metric accuracy, seed 7, rounds 2, hidden 16
versions: hpo 0.1, numpy 2.0, machine x86_64
storage: sqlite:///hpo.db
trials: 6 complete, 1 pruned, 1 failed

round  trials  lr                weight decay      best val acc
    1       4  1.0e-05..1.0e-01  1.0e-05..1.0e+01         0.875
    2       4  1.5e-04..2.0e-02  1.0e-05..2.9e+00         0.938

rank  trial  val acc  train     gap  seconds        lr  weight decay
   1      5    0.938  0.969   0.031     0.12  2.00e-03      5.00e-01
   2      0    0.875  0.812  -0.062     0.12  2.00e-03      5.00e-01

failed: trial 2: diverged in epoch 3: the loss was not finite

winner after 8 trials: trial 0, chosen of 2 that were trained again over 5 folds
expected on new rows: acc 0.910 ± 0.012

trial  val acc again      ±    gap
    5          0.915  0.010  0.050
   *0          0.910  0.008  0.010

ensemble 'ensemble': stacking of 6 models, expected acc 0.930 ± 0.010, 15.5 kB

test rows: looked at 2 times
  look 1: 0.900, winner of the search (trial 0)
  look 2: no finite score, ensemble ensemble (stacking)

to make it again:
  hpo search flowers.csv --target kind --rounds 2 --seed 7 --hidden 16 --trials 8
"""

NARROW = """\
flowers: classification, made 2026-01-02
  03:04 UTC
data: flowers.csv, 1,150 rows, 4
  columns, target 'kind', sha256
  0123456789ab
split: 736 training, 184 validation and
  230 test rows, seed 7
networks: 4-16-3, 131 weights each
settings: target kind, metric accuracy,
  seed 7, rounds 2, hidden 16
versions: hpo 0.1, numpy 2.0, machine
  x86_64
storage: sqlite:///hpo.db
trials: 6 complete, 1 pruned, 1 failed

round  trials  best val acc
    1       4         0.875
    2       4         0.938

lr: 1.0e-05..1.0e-01, at last
  1.5e-04..2.0e-02
weight decay: 1.0e-05..1.0e+01, at last
  1.0e-05..2.9e+00

rank  trial  val acc        lr     decay
   1      5    0.938  2.00e-03  5.00e-01
   2      0    0.875  2.00e-03  5.00e-01
no room for train, gap, seconds: --json
  has all
"""

TRIAL_NARROW = """\
flowers, trial 5: complete, place 2 of 6
val acc 0.938, train acc 0.969, gap
  0.031
trained: 5 epochs, the best was epoch 4,
  0.12 s
network: is kept

lr: 2.00e-03
weight decay: 5.00e-01

loss by epoch: • validation, · training
1 ┤•••••
  ┤
  ┤     •••••••••
  ┤
  ┤              ••••••••••••••••••
  ┤                       ·········
  ┤
0 ┤                                ·····
   epoch 1                             5
"""


def test_the_screen_of_a_study() -> None:
    assert "\n".join([*study_lines(STUDY, 80), ""]) == WIDE
    assert "\n".join([*study_lines(STUDY, 40), ""]).startswith(NARROW)
    assert study_lines(STUDY, None) == WIDE.splitlines()


def test_only_commands_are_wider_than_the_screen() -> None:
    lines = study_lines(STUDY, 40)
    assert {line for line in lines if len(line) > 40} == {f"  {STUDY['commands'][0]}"}


def test_the_screen_of_a_trial() -> None:
    assert "\n".join([*trial_lines(TRIAL, 40), ""]) == TRIAL_NARROW
    assert max(map(len, trial_lines(TRIAL, 80))) <= 80


def test_the_screen_of_a_failed_trial() -> None:
    nothing = dict.fromkeys(("rank", "validation", "train", "gap", "best_epoch"))
    failed = TRIAL | nothing | {"state": "failed", "reason": REASON, "curves": {}}
    assert trial_lines(failed, 80) == [
        "flowers, trial 5: failed",
        f"why: {REASON}",
        "trained: 5 epochs, 0.12 s",
        "",
        "lr: 2.00e-03",
        "weight decay: 5.00e-01",
    ]


def test_a_cost_has_a_column() -> None:
    best = [each | {"costs": {"size": 1310 * each["rank"]}} for each in STUDY["best"]]
    lines = study_lines(STUDY | {"best": best}, 80)
    place = lines.index("", lines.index("") + 1)
    assert lines[place + 1].split()[:7] == ["rank", "trial", "val", "acc", "train", "gap", "size"]
    assert [line.split()[5] for line in lines[place + 2 : place + 4]] == ["1,310", "2,620"]


def test_folds_and_choices_on_the_screen() -> None:
    rounds = [
        each
        | {"ranges": {**each["ranges"], "dropout": [0.0, 0.5], "batch_size": {"choices": kept}}}
        for each, kept in zip(STUDY["rounds"], ([32, 64], [64]), strict=True)
    ]
    lines = study_lines(STUDY | {"cv": 5, "rounds": rounds}, 80)
    assert lines[2] == "split: 736 training rows in 5 folds and 230 test rows, seed 7"
    assert lines[9:17] == [
        "round  trials  best cv acc",
        "    1       4        0.875",
        "    2       4        0.938",
        "",
        "lr: 1.0e-05..1.0e-01, at last 1.5e-04..2.0e-02",
        "weight decay: 1.0e-05..1.0e+01, at last 1.0e-05..2.9e+00",
        "dropout: 0..0.5",
        "batch size: 32|64, at last 64",
    ]


# What it reads


@pytest.fixture
def searched(two_searches: Path, tmp_path: Path) -> Path:
    """A database of two searches, of iris and wine."""
    shutil.copytree(two_searches, tmp_path, dirs_exist_ok=True)
    return tmp_path / "hpo.db"


def rows(path: Path, query: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def test_a_study_is_what_the_tables_hold(hpo: Hpo, searched: Path) -> None:
    before = content(searched)
    document = hpo("show", "iris", "--json").document
    ((uid, fingerprint, settings, preparation, versions),) = rows(
        searched,
        "SELECT uid, fingerprint, settings, preparation, versions FROM hpo_experiments "
        "WHERE source = 'iris'",
    )
    assert document["settings"] == json.loads(settings)
    assert document["versions"] == json.loads(versions)
    assert document["data"]["sha256"] == json.loads(fingerprint)["sha256"]
    assert (document["data"]["rows"], len(document["data"]["columns"])) == (150, 4)
    assert document["split"]["rows"] == {"train": 96, "validation": 24, "test": 30}
    assert document["split"]["sha256"] == json.loads(preparation)["split"]["sha256"]
    assert [each["ranges"] for each in document["rounds"]] == [
        json.loads(text)
        for (text,) in rows(
            searched, "SELECT ranges FROM hpo_rounds WHERE experiment = ? ORDER BY round", uid
        )
    ]
    assert [each["trials"] for each in document["rounds"]] == [2, 2]
    trials = stored_trials(searched, "iris")
    values = {number: each["values"][0][1] for number, each in trials.items()}
    assert [each["trial"] for each in document["best"]] == sorted(
        values, key=lambda number: (-values[number], number)
    )
    assert document["looks"] == [
        {"look": 1, "why": why, "score": score}
        for why, score in rows(
            searched, "SELECT why, score FROM hpo_test_looks WHERE experiment = ?", uid
        )
    ]
    assert document["winner"] is None
    assert content(searched) == before


def test_a_trial_is_what_the_tables_hold(hpo: Hpo, searched: Path) -> None:
    document = hpo("show", "wine/3", "--json").document
    stored = stored_trials(searched, "wine")[3]
    assert document["params"] == pytest.approx({name: v for name, v, _ in stored["params"]})
    assert document["validation"] == stored["values"][0][1]
    ((names, data),) = rows(
        searched,
        "SELECT names, data FROM hpo_curves JOIN hpo_experiments ON uid = experiment "
        "WHERE source = 'wine' AND number = 3",
    )
    curves = np.frombuffer(data, "<f4").reshape(len(json.loads(names)), -1)
    assert list(document["curves"]) == json.loads(names)
    np.testing.assert_array_equal(list(document["curves"].values()), curves)
    assert (document["epochs"], document["network_kept"], document["of"]) == (2, True, 4)
    sql(searched, "DELETE FROM hpo_artifacts WHERE number = 3")
    assert not hpo("show", "wine/3", "--json").document["network_kept"]


@pytest.mark.parametrize("columns", [40, 80])
def test_real_studies_fit_on_the_screen(
    hpo: Hpo, searched: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for what in ("iris", "wine/0"):
        lines = hpo("show", what).out.splitlines()
        wide = [line for line in lines if len(line) > columns]
        assert all(line.startswith("  hpo search") for line in wide)


def test_the_command_makes_the_study_again(hpo: Hpo, searched: Path) -> None:
    document = hpo("show", "iris", "--json").document
    (command,) = document["commands"]
    program, *arguments = shlex.split(command)
    assert program == "hpo"
    assert hpo(*arguments, "--workers", 1).code == 0, "it resumes, so its settings are the same"
    ran = hpo(*arguments, "--storage", "sqlite:///again.db", "--workers", 1)
    assert ran.code == 0
    again = stored_trials(searched.with_name("again.db"), "iris")
    assert again == stored_trials(searched, "iris")


def test_trials_of_all_states_and_reasons(hpo: Hpo, tmp_path: Path, empty: Path) -> None:
    path = Path(shutil.copy(empty, tmp_path / "hpo.db"))
    fill(path, 120)
    document = hpo("show", "--json").document
    assert document["failures"] == {REASON: [7, 57, 107]}
    assert (len(document["best"]), document["commands"]) == (10, None)
    assert hpo("show", "/7").out.splitlines()[:2] == ["big, trial 7: failed", f"why: {REASON}"]


def test_a_storage_of_the_first_version(hpo: Hpo, searched: Path) -> None:
    """Without the tables and columns that came later."""
    for table in ("repeats", "ensembles", "selections", "claims", "owners"):
        sql(searched, f"DROP TABLE hpo_{table}")
    for table, column in (
        ("experiments", "artifacts"), ("experiments", "split"), ("test_looks", "owner"),
        ("artifacts", "value"),
    ):  # fmt: skip
        sql(searched, f"ALTER TABLE hpo_{table} DROP COLUMN {column}")
    before = content(searched)
    document = hpo("show", "iris", "--json").document
    assert (document["winner"], document["ensembles"], len(document["rounds"])) == (None, [], 2)
    assert hpo("show", "iris/0").code == 0
    assert content(searched) == before


# Studies of other programs, and names


def test_a_study_of_another_program(hpo: Hpo, tmp_path: Path, empty: Path) -> None:
    path = Path(shutil.copy(empty, tmp_path / "hpo.db"))
    storage = RoundStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="a/b", direction="minimize")
    study.add_trial(optuna.trial.create_trial(value=2.5))
    document = hpo("show", "a/b", "--json").document
    assert (document["made"], document["settings"], document["looks"]) == (None, None, [])
    assert hpo("show", "a/b").out.splitlines()[:3] == [
        "a/b",
        "storage: sqlite:///hpo.db",
        "trials: 1 complete",
    ]
    assert hpo("show", "a/b/0").out.splitlines()[:2] == [
        "a/b, trial 0: complete, place 1 of 1",
        "val value 2.500",
    ]


NO_STUDY = "there is no study 'irs': the storage holds 'iris', 'wine'; did you mean 'iris'?"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("irs", "there is no study 'irs': the storage holds 'iris', 'wine'; did you mean 'iris'?"),
        (
            "irs/3",
            "there is no study 'irs': the storage holds 'iris', 'wine'; did you mean 'iris'?",
        ),
        ("iris/4", "study 'iris' has no trial 4: it has 0 to 3"),
        (
            "iris/best",
            "'iris/best': behind the slash stands the number of a trial, as in iris/0",
        ),
        ("/1", "the storage holds 2 studies, name one: 'iris', 'wine'"),
    ],
)
def test_what_is_not_there(hpo: Hpo, searched: Path, what: str, line: str) -> None:
    ran = hpo("show", what)
    assert (ran.code, ran.out, ran.err) == (2, "", f"hpo: {line}\n")
