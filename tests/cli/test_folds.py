"""``hpo search --cv`` and ``--refit`` with the real command: what is stored, said and refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import accuracy_score, r2_score

from hpo.data.splitting import Split, split_rows
from tests.running import Hpo, stored_trials
from tests.storage.looking import content, sql

QUICK = ("--trials", 8, "--rounds", 2, "--hidden", 8, "--epochs", 8, "--repeats", 0)
MODELS = "SELECT json_extract(record, '$.networks'), repeats FROM hpo_selections ORDER BY repeats"


def predictions(path: Path) -> dict[int, np.ndarray]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT number, outputs, data FROM hpo_predictions").fetchall()
    return {
        number: np.frombuffer(data, "<f4").reshape(-1, outputs) for number, outputs, data in rows
    }


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_a_trial_is_scored_by_its_stored_predictions_in_the_order_of_the_data(
    hpo: Hpo, tmp_path: Path, name: str
) -> None:
    """By scikit-learn, over all rows that are not for the test."""
    X, y = (load_wine if name == "wine" else load_diabetes)(return_X_y=True)
    ran = hpo("search", name, *QUICK, "--cv", 4, "--json")
    assert ran.code == 0, ran.err
    document = ran.document
    split, _ = split_rows(len(X), y if name == "wine" else None, seed=0)
    pool = np.setdiff1d(np.arange(len(X)), split.test)
    assert document["cv"] == 4
    assert document["rows"] == {
        "train": len(pool), "validation": len(pool), "test": len(split.test),
    }  # fmt: skip
    ((packed,),) = sql(tmp_path / "hpo.db", "SELECT split FROM hpo_experiments")
    kept = Split.from_bytes(packed)
    np.testing.assert_array_equal(kept.train, pool)
    assert kept.folds is not None
    found = predictions(tmp_path / "hpo.db")
    trials = stored_trials(tmp_path / "hpo.db", name)
    assert set(found) == set(trials) == set(range(8))
    for number, trial in trials.items():
        ((_, value, _),) = trial["values"]
        assert found[number].shape == (len(pool), 3 if name == "wine" else 1)
        if name == "wine":
            score = accuracy_score(y[pool], found[number].argmax(axis=1))
        else:
            # Standardised by all rows that are not for the test.
            units = found[number][:, 0] * y[pool].std() + y[pool].mean()
            score = r2_score(y[pool], units)
        assert value == pytest.approx(score, abs=1e-6)


def test_in_pieces_and_with_two_workers_it_is_the_same(hpo: Hpo, tmp_path: Path) -> None:
    # Four trials to a round in both.
    for place, totals, n_workers in (("one", (8, 14), 1), ("two", (7, 9, 14), 2)):
        url = f"sqlite:///{place}.db"
        options = ("--cv", 3, "--workers", n_workers, "--storage", url, "--keep-sealed")
        for total in totals:
            ran = hpo("search", "iris", *QUICK, *options, "--trials", total)
            assert ran.code == 0, ran.err
    one, two = (stored_trials(tmp_path / f"{place}.db", "iris") for place in ("one", "two"))
    assert list(one) == list(range(14))
    assert one == two
    ours, theirs = (predictions(tmp_path / f"{place}.db") for place in ("one", "two"))
    assert {n: each.tobytes() for n, each in ours.items()} == {
        n: each.tobytes() for n, each in theirs.items()
    }


def test_the_choice_goes_over_other_folds(hpo: Hpo) -> None:
    options = ("--cv", 3, "--repeats", 2)
    document = hpo("search", "iris", *QUICK, *options, "--json").document
    assert document["selection"]["folds"] == 3
    assert document["selection"]["networks"] == 6
    assert document["selection"]["refit"] is None
    assert all(len(each["values"]) == 3 for each in document["selection"]["candidates"])
    ran = hpo("search", "iris", *QUICK, *options)
    assert "iris: classification, 120 rows in 3 folds and 30 test rows" in ran.out
    assert "trained again 2 times over 3 other folds: cv acc" in ran.out
    assert "best cv acc" in ran.out
    assert "val" not in ran.out


def test_progress_and_leaderboard_call_it_so(hpo: Hpo) -> None:
    ran = hpo("search", "iris", *QUICK, "--cv", 3)
    assert "best cv acc" in ran.err
    assert "best val" not in ran.err
    board = hpo("leaderboard", "iris")
    assert "cv acc" in board.out
    assert "networks 4-8-3, 67 weights each, 3 for each trial" in board.out
    document = hpo("leaderboard", "iris", "--json").document
    assert document["cv"] == 3
    plain = hpo("search", "wine", *QUICK)
    assert "best val acc" in plain.err
    assert hpo("leaderboard", "wine", "--json").document["cv"] is None


def test_another_number_of_folds_is_another_study(hpo: Hpo) -> None:
    assert hpo("search", "iris", *QUICK, "--cv", 3).code == 0
    for option, asked in (((), "none"), (("--cv", 4), "4")):
        ran = hpo("search", "iris", *QUICK, *option)
        assert ran.code == 2
        assert f"cv 3 (stored) / {asked} (asked for)" in ran.err


def test_a_study_without_folds_is_not_gone_on_with_over_folds(hpo: Hpo) -> None:
    assert hpo("search", "iris", *QUICK).code == 0
    ran = hpo("search", "iris", *QUICK, "--cv", 3)
    assert ran.code == 2
    assert "cv none (stored) / 3 (asked for)" in ran.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cv", 1), "--cv"),
        (("--cv", 101), "2<=x<=100"),
        (("--cv", 70), "--cv 70: 120 rows beside the test rows are too few"),
        (("--cv", 3, "--validation-size", 0.1), "--validation-size 0.1 makes no sense with --cv"),
        (("--cv", 3, "--patience", 5), "--cv 3 makes no sense with --patience 5"),
    ],
)
def test_what_cannot_be_is_refused(
    hpo: Hpo, tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    for command in (QUICK, (*QUICK, "--dry-run")):
        ran = hpo("search", "iris", *command, *options)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err
        assert ran.err.count("\n") == 1
    with_database = {"hpo.db", "hpo.db-wal", "hpo.db-shm"}
    assert set(content(tmp_path)) <= with_database


def test_refitted_models_are_found_again(
    hpo: Hpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("search", "iris", *QUICK, "--repeats", 2, "--refit", "--json")
    first = hpo(*command).document
    assert first["selection"]["refit"] == 120
    assert first["selection"]["networks"] == 2
    assert first["test"]["evaluations"] == 1
    # That of the choice, and the refitted one, whose number of repeats is stored as -1 - 2.
    assert sql(tmp_path / "hpo.db", MODELS) == [(2, -3), (2, 2)]
    digests = sql(tmp_path / "hpo.db", "SELECT digest FROM hpo_selections WHERE repeats < 0")
    assert sql(tmp_path / "hpo.db", "SELECT model FROM hpo_test_looks") == digests

    def forbidden(*_: object) -> None:
        raise AssertionError("trained again, or looked at the test rows again")

    with monkeypatch.context() as patched:
        patched.setattr("hpo.search.evaluation.train_slots", forbidden)
        patched.setattr("hpo.search.repeats.train_jobs", forbidden)
        patched.setattr("hpo.preparation.SealedRows.score", forbidden)
        again = hpo(*command).document
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    # Without the option it is the model that was chosen, which is another look.
    plain = hpo("search", "iris", *QUICK, "--repeats", 2, "--json").document
    assert plain["selection"]["refit"] is None
    assert plain["best"] == first["best"]
    assert plain["test"]["evaluations"] == 2
    assert hpo("gc").code == 0
    assert {**hpo(*command).document, "seconds": 0}["selection"] == first["selection"]


def test_more_trials_are_another_refit(hpo: Hpo, tmp_path: Path) -> None:
    for total in (8, 10):
        ran = hpo("search", "iris", *QUICK, "--refit", "--trials", total)
        assert ran.code == 0, ran.err
    assert sql(tmp_path / "hpo.db", "SELECT trials, repeats FROM hpo_selections") == [
        (8, -1),
        (10, -1),
    ]


def test_the_room_that_a_dry_run_foretells_counts_every_network(hpo: Hpo, tmp_path: Path) -> None:
    quick = ("--trials", 60, "--rounds", 1, "--hidden", "48,48", "--epochs", 20, "--repeats", 0)
    options = (*quick, "--cv", 5, "--keep", 50)
    foretold = hpo("search", "wine", *options, "--dry-run", "--json").document
    assert foretold["cv"] == 5
    assert foretold["rows"]["train"] == foretold["rows"]["validation"] == 142
    hpo("search", "iris", *QUICK)  # which creates the tables
    before = sum(map(len, content(tmp_path).values()))
    assert hpo("search", "wine", *options).code == 0
    taken = sum(map(len, content(tmp_path).values())) - before
    n_bytes = foretold["estimate"]["bytes"]
    assert taken / 2 < n_bytes < taken * 2
    single = hpo("search", "wine", *quick, "--keep", 50, "--dry-run", "--json").document
    assert n_bytes > 2 * single["estimate"]["bytes"]
