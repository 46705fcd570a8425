"""``hpo search --metric``: any scorer of scikit-learn, from the option to the last line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.running import QUICK, Hpo, stored_trials


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """240 rows, of which a fifth are ill; ``day`` counts up, and the last are all well."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 2))
    ill = X.sum(axis=1) + 0.3 * rng.normal(size=240) > 0
    ill[100:] = False
    order = np.concatenate([rng.permutation(100), np.arange(100, 240)])
    lines = ["day,a,b,state"]
    lines += [
        f"{day},{a!r},{b!r},{'ill' if sick else 'well'}"
        for day, ((a, b), sick) in enumerate(zip(X[order].tolist(), ill[order], strict=True))
    ]
    path = tmp_path / "patients.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_search_for_one_class(hpo: Hpo, tmp_path: Path, patients: Path) -> None:
    search = ("search", patients, "--target", "state", "--space", "learning_rate=0.03..0.1:log")
    command = (*search, *QUICK, "--repeats", 2, "--epochs", 12)
    asked = ("--metric", "f1", "--positive", "ill")
    ran = hpo(*command, *asked, "--json")
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    best, test = ran.document["best"], ran.document["test"]
    assert ran.document["metric"] == "f1"
    assert ran.document["selection"]["folds"] == 2
    assert 0.3 < best["validation"] <= 1
    assert 0 <= test["score"] <= 1
    trials = stored_trials(tmp_path / "hpo.db", "patients")
    for each in trials.values():
        steps = {step: value for step, value, *_ in each["intermediate"]}
        assert sorted(steps) == [1, 2, 4, 8, 12]
        ((_, value, _),) = each["values"]
        assert steps[12] == value
    again = hpo(*command, *asked)
    assert again.code == 0
    assert stored_trials(tmp_path / "hpo.db", "patients") == trials
    assert f"val f1 {best['validation']:.3f}" in again.out
    assert "val f1" in hpo("leaderboard", "patients").out
    other = hpo(*command, "--metric", "f1", "--positive", "well")
    assert other.code == 2
    assert "positive ill (stored) / well (asked for)" in other.err


@pytest.mark.parametrize(
    ("data", "metric", "repeats"),
    [
        pytest.param("iris", "roc_auc_ovo_weighted", 0, marks=pytest.mark.slow),
        ("iris", "d2_log_loss_score", 3),
        ("diabetes", "neg_median_absolute_error", 0),
        ("diabetes", "neg_mean_gamma_deviance", 3),
    ],
)
def test_a_promise_is_made_with_and_without_repeats(
    hpo: Hpo, data: str, metric: str, repeats: int
) -> None:
    ran = hpo("search", data, "--metric", metric, *QUICK, "--repeats", repeats, "--json")
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    best = ran.document["best"]
    assert np.isfinite([best["expected"], best["validation"], ran.document["test"]["score"]]).all()
    assert best["expected_se"] > 0


def test_a_part_that_cannot_be_scored_is_refused_before_training(
    hpo: Hpo, tmp_path: Path, patients: Path
) -> None:
    ran = hpo(
        "search", patients, "--target", "state", *QUICK, "--metric", "roc_auc", "--time", "day"
    )
    assert ran.code == 3
    assert ran.err.count("\n") == 1
    assert "the validation part would have 39 rows, and roc_auc cannot score them" in ran.err
    assert "ill is missing" in ran.err
    assert not (tmp_path / "hpo.db").exists()


def test_a_rehearsal_knows_the_metric(hpo: Hpo) -> None:
    ran = hpo("search", "iris", "--metric", "roc_auc_ovr", *QUICK, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["metric"] == "roc_auc_ovr"
    assert "nan" not in ran.out.lower()
