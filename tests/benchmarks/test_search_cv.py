"""The race of the two searches is fair, and its table says what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from benchmarks import search_cv
from benchmarks.tables import SHIPPED


@pytest.mark.parametrize(
    "distribution",
    [FloatDistribution(1e-3, 10, log=True), FloatDistribution(0.1, 1.0), IntDistribution(2, 9)],
)
def test_the_random_search_has_the_same_ranges(
    distribution: FloatDistribution | IntDistribution,
) -> None:
    drawn = search_cv.scipy_distribution(distribution).rvs(size=20_000, random_state=0)
    assert distribution.low <= drawn.min() <= drawn.max() <= distribution.high
    assert drawn.min() == pytest.approx(distribution.low, rel=0.01)
    assert drawn.max() == pytest.approx(distribution.high, rel=0.01)
    middle = np.sqrt(drawn.min() * drawn.max()) if distribution.log else drawn.mean()
    assert np.mean(drawn <= middle) == pytest.approx(0.5, abs=0.02)


def test_both_searches_see_the_same_rows_and_folds() -> None:
    X, X_test, y, _ = search_cv.split("digits", 3)
    assert len(X) == search_cv.MOST_ROWS
    assert len(X) + len(X_test) == 1797
    ours, theirs = search_cv.searches(search_cv.TASKS["SVC"], 3, 12).values()
    folds = [[rows.tolist() for _, rows in each.cv.split(X, y)] for each in (ours, theirs)]
    assert folds[0] == folds[1]
    assert ours.n_trials == theirs.n_iter == 12
    assert ours.scoring == theirs.scoring == "accuracy"
    assert set(ours.param_distributions) == set(theirs.param_distributions)


def test_the_table_says_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(search_cv, "TASKS", {"SVC": search_cv.TASKS["SVC"]})
    monkeypatch.setattr(search_cv, "SHIPPED", {"wine": SHIPPED["wine"]})
    search_cv.main(["--seeds", "2", "--trials", "5", "--jobs", "1", "--json", "-"])
    captured = capsys.readouterr()
    records = json.loads(captured.out)["records"]
    assert [(each["table"], each["seed"]) for each in records] == [("wine", 0), ("wine", 1)]
    mean = np.mean([each["narrowing_test"] for each in records])
    assert f"{mean:.4f}" in captured.err
    assert "mean rank on the test rows" in captured.err


def record(seed: int, ours: float, theirs: float) -> dict[str, object]:
    scores = {"narrowing_test": ours, "random_test": theirs}
    folds = {"narrowing_folds": 1.0, "random_folds": 1.0}
    return {"task": "SVC", "table": "wine", "seed": seed} | scores | folds


def test_ranks_and_what_is_behind_by_hand() -> None:
    close = [record(0, 0.9, 0.8), record(1, 0.8, 0.8), record(2, 0.7, 0.9)]
    assert search_cv._summary(close) == [
        "mean rank on the test rows: narrowing 1.50, random 1.50",
        "mean rank on the folds: narrowing 1.50, random 1.50",
        "behind by more than the seeds vary: nowhere",
    ]
    far = [record(seed, 0.5, 0.8 + seed / 100) for seed in range(3)]
    assert search_cv._summary(far)[0] == "mean rank on the test rows: narrowing 2.00, random 1.00"
    assert search_cv._summary(far)[2] == "behind by more than the seeds vary: SVC on wine"
