"""What stdout says of a finished search, from plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hpo.cli.output import rehearsal, result
from hpo.rehearsal import Rehearsal
from hpo.summary import Summary
from storage.records import Look, TrialRecord

RANGES = {"learning_rate": [1e-4, 1e-2]}


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines may have any length; where tests run side by side, something else may be set."""
    monkeypatch.delenv("COLUMNS", raising=False)


def document(**changes: Any) -> dict[str, Any]:
    return {
        "study": "s",
        "storage": "sqlite:///a b.db",
        "task": "classification",
        "metric": "accuracy",
        "rows": {"train": 70, "validation": 20, "test": 10},
        "cv": None,
        "trials": {"complete": 3, "pruned": 0, "failed": 2},
        "rounds": [
            {"round": 0, "trials": 4, "ranges": RANGES, "best": 0.75},
            {"round": 1, "trials": 1, "ranges": RANGES, "best": None},
        ],
        "best": {
            "trial": 2, "validation": 0.75, "train": 0.5, "expected": 0.7, "expected_se": 0.1,
            "params": {"learning_rate": 1e-3}, "edges": {},
        },
        "pareto": None,
        "selection": None,
        "test": {"score": 0.625, "evaluations": 3},
        "stopped": None,
        "seconds": 1.25,
    } | changes  # fmt: skip


def shown(
    look: Look | None = None, arguments: Sequence[str] = ("search", "x"), **changes: Any
) -> list[str]:
    best = [TrialRecord(2, "COMPLETE", 0.75, {"learning_rate": 1e-3}, {})]
    text = result(Summary(document(**changes), best, look, None), arguments)
    return [line.rstrip() for line in text.splitlines()]


def test_a_winner_at_the_end_of_a_range() -> None:
    best = document()["best"] | {"edges": {"learning_rate": "upper"}}
    line = "note: its learning rate lies at the upper end of its range: widen it (--space)"
    assert line in shown(best=best)
    assert len(line) <= 80


def test_a_winner_that_was_trained_again() -> None:
    candidates = [
        {"trial": 1, "value": 0.9, "standard_error": 0.1, "values": [0.8, 1.0], "gap": 0.1},
        {"trial": 2, "value": 0.7, "standard_error": 0.01, "values": [0.69, 0.71], "gap": 0.0},
    ]
    chosen = {
        "repeats": 2, "folds": 2, "candidates": candidates, "networks": 2, "refit": None
    }  # fmt: skip
    lines = shown(selection=chosen)
    assert "trained again over 2 folds: val acc 0.700 ± 0.010, chosen of 2" in lines
    assert "the model is the mean of these 2 networks" in lines
    again = shown(selection=chosen | {"folds": None})
    assert "trained again 2 times with other seeds: val acc 0.700 ± 0.010, chosen of 2" in again


def test_scores_over_folds_are_called_so() -> None:
    rows = {"train": 90, "validation": 90, "test": 10}
    candidates = [{"trial": 2, "value": 0.7, "standard_error": 0.01, "values": [0.7], "gap": 0.0}]
    chosen = {
        "repeats": 2, "folds": 5, "candidates": candidates, "networks": 10, "refit": None,
    }  # fmt: skip
    lines = shown(rows=rows, cv=5, selection=chosen)
    assert lines[0] == "s: classification, 90 rows in 5 folds and 10 test rows"
    assert "Best-1 (cv acc: 0.750) | lr: 1.00e-03" in lines
    assert "winner: trial 2, cv acc 0.750, train acc 0.500" in lines
    again = "cv acc 0.700 ± 0.010, chosen of 1"
    assert f"trained again 2 times over 5 other folds: {again}" in lines
    assert "the model is the mean of these 10 networks" in lines
    assert not any("val" in line for line in lines)
    once = shown(rows=rows, cv=5, selection=chosen | {"repeats": 1, "networks": 5})
    assert f"trained again over 5 other folds: {again}" in once
    few = document()["best"] | {"expected": None, "expected_se": None}
    assert "expected on new rows: cannot be told from so few rows" in shown(cv=5, best=few)


def test_a_winner_that_was_refitted() -> None:
    candidates = [{"trial": 2, "value": 0.7, "standard_error": 0.01, "values": [0.7], "gap": 0.0}]
    chosen = {"repeats": 5, "folds": 5, "candidates": candidates, "networks": 5, "refit": 90}
    lines = shown(selection=chosen)
    model = "trained on all 90 rows but the test's (--refit)"
    assert f"the model is the mean of 5 networks {model}" in lines
    before = "(of the networks that were chosen, before --refit)"
    assert f"expected on new rows: acc 0.700 ± 0.100 {before}" in lines
    alone = shown(selection=chosen | {"repeats": 0, "candidates": [], "networks": 1})
    assert f"the model is a network {model}" in alone
    assert not any(line.startswith("trained again") for line in alone)


def test_a_front_stands_before_the_winner() -> None:
    front = [{"trial": 2, "values": {"score": 0.75, "size": 1234.0}, "params": {"hidden": "8"}}]
    lines = shown(pareto=front)
    start = lines.index("Pareto front in acc and size: 1 of 5 trials")
    assert lines[start - 1 : start + 6] == [
        "",
        "Pareto front in acc and size: 1 of 5 trials",
        "trial  val acc   size  as good  parameters",
        "   *2    0.750  1,234        0  hidden: 8",
        "* the winner",
        "",
        "winner: trial 2, val acc 0.750, train acc 0.500",
    ]


def test_every_line() -> None:
    assert shown(Look(2, "model", "why", 0.625)) == [
        "s: classification, 70 training, 20 validation and 10 test rows",
        "",
        "round  trials  learning_rate     best val acc",
        "    1       4  1.0e-04..1.0e-02         0.750",
        "    2       1  1.0e-04..1.0e-02             -",
        "",
        "Best-1 (val acc: 0.750) | lr: 1.00e-03",
        "",
        "winner: trial 2, val acc 0.750, train acc 0.500",
        "expected on new rows: acc 0.700 ± 0.100",
        "test: acc 0.625 on 10 rows (look 2); these rows were looked at 3 times",
        "trials: 3 complete, 2 failed, in 1.2 s",
        "",
        "next:",
        "  hpo search x --trials 9",
        "  hpo report s --storage 'sqlite:///a b.db'",
    ]


def test_what_cannot_be_told_is_said() -> None:
    best = document()["best"] | {"expected": None, "expected_se": None}
    lines = shown(Look(1, "model", "why", None), best=best, test={"score": None, "evaluations": 1})
    assert "expected on new rows: cannot be told from so few validation rows" in lines
    assert "test: no finite score on 10 rows (look 1)" in lines
    best = document()["best"] | {"expected": 1.0, "expected_se": None}
    sure = "expected on new rows: acc 1.000, how surely cannot be told from these rows"
    assert sure in shown(best=best)


def test_sealed_rows() -> None:
    never = {"score": None, "evaluations": 0}
    assert "test: the test rows stay sealed" in shown(test=never)
    assert "test: the test rows stay sealed; they were looked at 3 times before" in shown()


def test_words_in_colons_are_no_pictures() -> None:
    assert shown(study=":on:")[0].startswith(":on:: classification")


def test_a_narrow_terminal_cuts_no_number_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert shown()[:15] == [
        "s: classification, 70 training, 20",
        "  validation and 10 test rows",
        "",
        "round  trials  best val acc",
        "    1       4         0.750",
        "    2       1             -",
        "",
        "round  learning_rate",
        "    1  1.0e-04..1.0e-02",
        "    2  1.0e-04..1.0e-02",
        "",
        "Best-1 (val acc: 0.750) | lr: 1.00e-03",
        "",
        "winner: trial 2, val acc 0.750, train",
        "  acc 0.500",
    ]
    monkeypatch.setenv("COLUMNS", "25")
    at = shown().index("Best-1 (val acc: 0.750) |")
    assert shown()[at + 1] == "  lr: 1.00e-03"
    monkeypatch.setenv("COLUMNS", "20")
    assert "    2  1.0e-04..1.0e-02" in shown()


def test_an_end_before_all_trials_is_said_with_what_goes_on() -> None:
    line = (
        "trials: 3 complete, 2 failed, in 1.2 s (stopped by the timeout; the same command goes on)"
    )
    assert line in shown(stopped="timeout")


@pytest.mark.parametrize(
    ("typed", "repeated"),
    [
        (["--storage", "mysql://me:S3CRET@h/db"], "--storage 'mysql://me:***@h/db'"),
        (["--storage=mysql://me:S3CRET@h/db"], "'--storage=mysql://me:***@h/db'"),
        (["--trials", "4", "--seed", "1"], "--seed 1"),
        (["--seed", "1", "--trials=4"], "--seed 1"),
    ],
)
def test_the_next_command_repeats_the_arguments_without_a_password(
    typed: list[str], repeated: str
) -> None:
    lines = shown(None, ["search", "x", *typed])
    assert f"  hpo search x {repeated} --trials 9" in lines


def plan(cv: int | None = None, **estimate: float) -> Rehearsal:
    known = {
        "dry_run": True,
        "study": "s",
        "task": "regression",
        "metric": "r2",
        "rows": {"train": 70, "validation": 20, "test": 10},
        "cv": cv,
        "network": [4, 64, 64, 1],
        "trials": {"total": 100, "rounds": 5, "per_round": 20},
        "space": {"learning_rate": [1e-5, 0.1], "weight_decay": [0.0, 1.0]},
        "estimate": estimate,
    }
    return Rehearsal(known, ())


def test_what_a_dry_run_says() -> None:
    assert rehearsal(plan(seconds=12.3, bytes=1_234_567)).splitlines() == [
        "s: regression, 70 training, 20 validation and 10 test rows",
        "networks: 4-64-64-1",
        "space: learning_rate 1.0e-05..1.0e-01, weight_decay 0..1",
        "trials: 100 in 5 rounds of 20",
        "at most about 13 s and 1.2 MB of disk",
        "nothing was written",
    ]
    folded = rehearsal(plan(cv=5, seconds=12.3, bytes=1_234_567)).splitlines()
    assert folded[1] == "networks: 4-64-64-1, 5 for each trial"


def test_of_many_parameters_the_first_round_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    first = {"a": [1e-4, 1e-2], "b": [0.0, 1.0], "c": {"choices": ["x", "y"]}, "d": [2, 8]}
    last = first | {"a": [1e-3, 1e-2], "c": {"choices": ["y"]}}
    rounds = [
        {"round": 0, "trials": 4, "ranges": first, "best": 0.5},
        {"round": 1, "trials": 4, "ranges": last, "best": 0.75},
    ]
    assert shown(rounds=rounds)[2:7] == [
        "parameter  round 1           round 2",
        "a          1.0e-04..1.0e-02  1.0e-03..1.0e-02",
        "b          0..1              the same",
        "c          x|y               y",
        "d          2..8              the same",
    ]
    monkeypatch.setenv("COLUMNS", "40")
    assert shown(rounds=rounds)[3:9] == [
        "a",
        "  round 1  1.0e-04..1.0e-02",
        "  round 2  1.0e-03..1.0e-02",
        "b",
        "  round 1  0..1",
        "  round 2  the same",
    ]
