"""The benchmarks of searches and of the storage: same work on both sides, and what they print."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import long, search, storage
from benchmarks.workloads import WORKLOADS
from hpo.data.loading import load
from hpo.preparation import prepare


def test_the_storage_is_measured_with_what_is_stored(capsys: pytest.CaptureFixture[str]) -> None:
    with storage.sqlite_file() as url:
        with storage.opened(url) as experiment:
            assert storage.enter_round(experiment) > 0
            assert storage.enter_round(experiment) > 0
            assert experiment.store.states() == {"COMPLETE": 2 * storage.ROUND}
            (trial, *_) = experiment.store.ranked()
            assert len(trial.params) == 2
            assert len(trial.attributes) == 4
            assert experiment.store.predictions([7])[7].shape == (288, 10)
        with storage.copied(url) as copy:
            assert len(storage.stock(copy, 2)) == 2
        with storage.opened(url) as experiment:
            assert experiment.store.size() == 2 * storage.ROUND
    storage.main(["--most", "0", "--rounds", "1", "--trials", "1", "--json", "-"])
    captured = capsys.readouterr()
    (record,) = json.loads(captured.out)["records"]
    assert record["database"] == "sqlite"
    assert record["optuna"] > record["ours"] > 0
    assert "SQLite: at least" in captured.err


@pytest.mark.slow
def test_both_searches_train_on_the_same_rows(tmp_path: Path) -> None:
    workload = WORKLOADS["small"](None)
    seconds = search.run(workload, 4)
    assert min(seconds) > 0
    rows = workload.split
    X = np.concatenate([rows.X, rows.X_validation])
    y = np.concatenate([rows.y, rows.y_validation])
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    split = search.split(workload, tmp_path)
    problem = prepare(load(str(tmp_path / "rows.npz")), search.settings(workload)).problem
    np.testing.assert_array_equal(split["X"], problem.training.X)
    np.testing.assert_array_equal(split["y_val"], problem.validation_target)
    assert split["hidden"].tolist() == [64]


def test_a_long_search_is_told_in_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(long, "STEP", 100)
    long.main(["--trials", "200", "--json", "-"])
    captured = capsys.readouterr()
    records = json.loads(captured.out)["records"]
    assert [record["trials"] for record in records] == [100, 200]
    assert all(record["ms"] > 0 and record["MB"] > 10 for record in records)
    assert "the last thousand cost" in captured.err
