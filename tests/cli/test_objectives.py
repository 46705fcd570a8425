"""``--objectives``: several in one study, and the front as Optuna alone sees it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.cli.front import front_lines
from hpo.search import objectives
from tests.running import QUICK, Hpo, stock_optuna_at, stored_trials
from tests.storage.databases import Database

SIZES = {"4": 5 * 4 + 5 * 3, "8": 5 * 8 + 9 * 3, "4,4": 5 * 4 + 5 * 4 + 5 * 3}
"""Numbers of a network with these hidden layers, for iris: four features, three classes."""

TWO = (
    *QUICK[2:],
    "--trials", 12, "--epochs", 8, "--sampler", "nsga2", "--objectives", "score,size",
    "--space", "hidden=" + "|".join(SIZES),
)  # fmt: skip


def front_of(url: str, study: str = "iris") -> dict[int, tuple[list[float], dict[str, Any]]]:
    """Number -> values and parameters of the best trials, by Optuna alone."""
    with stock_optuna_at(url) as storage:
        found = optuna.load_study(study_name=study, storage=storage).best_trials
        return {trial.number: (trial.values, trial.params) for trial in found}


def told(document: dict[str, Any]) -> dict[int, tuple[list[float], dict[str, Any]]]:
    """The same, as the search told it."""
    return {
        each["trial"]: (list(each["values"].values()), each["params"])
        for each in document["pareto"]
    }


def test_the_front_is_that_of_stock_optuna(hpo: Hpo, database: Database) -> None:
    document = hpo("search", "iris", *TWO, "--storage", database.url, "--json").document
    assert told(document) == front_of(database.optunas)
    scores = [each["values"]["score"] for each in document["pareto"]]
    assert scores == sorted(scores, reverse=True)
    with stock_optuna_at(database.optunas) as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        assert [each.name for each in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        assert study.metric_names == ["accuracy", "size"]
        for trial in study.trials:
            assert trial.values[1] == SIZES[trial.params["hidden"]]
            assert trial.intermediate_values == {}  # Optuna keeps none of several objectives
        # Of equal scores the smaller network, so that the winner is on the front.
        best = min(study.trials, key=lambda each: (-each.values[0], each.values[1], each.number))
        assert document["best"]["trial"] == best.number


def test_a_search_of_two_objectives_goes_on_to_the_same_trials(hpo: Hpo, tmp_path: Path) -> None:
    """Rounds are of three trials, as the first call fixes them."""
    for study, totals in (("whole", (6, 18)), ("parts", (6, 7, 11, 12, 18))):
        for total in totals:
            ran = hpo("search", "iris", *TWO, "--study", study, "--trials", total, "--json")
            assert ran.code == 0, ran.err
        assert told(ran.document) == front_of("sqlite:///hpo.db", study)
    whole, parts = (stored_trials(tmp_path / "hpo.db", each) for each in ("whole", "parts"))
    assert whole == parts


def test_a_latency_is_measured_once_for_a_shape(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the search goes on in another process, where it would be another."""
    clock = iter(range(1, 100))

    def measure(*_: object) -> float:
        return float(next(clock))

    monkeypatch.setattr(objectives, "COSTS", {"size": objectives.size, "latency": measure})
    command = ("search", "iris", *TWO, "--objectives", "latency,score", "--repeats", 0)
    first = hpo(*command, "--trials", 6, "--json")
    assert first.code == 0, first.err
    document = hpo(*command, "--trials", 12, "--json").document
    assert told(document) == front_of("sqlite:///hpo.db")
    with stock_optuna_at("sqlite:///hpo.db") as storage:
        study = optuna.load_study(study_name="iris", storage=storage)
        assert study.metric_names == ["accuracy", "latency"]
        by_shape = {(trial.params["hidden"], trial.values[1]) for trial in study.trials}
    assert len(by_shape) == len({hidden for hidden, _ in by_shape})
    assert {value for _, value in by_shape} == set(range(1, len(by_shape) + 1))


def test_a_real_latency_and_a_size(hpo: Hpo) -> None:
    document = hpo(
        "search", "iris", *TWO, "--trials", 4, "--objectives", "score,size,latency", "--json"
    ).document
    assert told(document) == front_of("sqlite:///hpo.db")
    for each in document["pareto"]:
        assert list(each["values"]) == ["score", "size", "latency"]
        assert each["values"]["latency"] > 0


def test_two_objectives_over_folds(hpo: Hpo) -> None:
    document = hpo("search", "iris", *TWO, "--cv", 3, "--json").document
    assert told(document) == front_of("sqlite:///hpo.db")
    for each in document["pareto"]:  # of one of the three networks
        assert each["values"]["size"] == SIZES[each["params"]["hidden"]]
    latency = ("--objectives", "score,latency", "--study", "quick")
    assert hpo("search", "iris", *TWO, "--cv", 3, *latency).code == 0


def test_failed_trials_are_not_on_the_front(hpo: Hpo) -> None:
    # No learning rate of these leads anywhere, but for the smallest.
    rates = ("--space", "learning_rate=1e-3..1e18:log", "--optimizer", "sgd")
    document = hpo("search", "iris", *TWO, *rates, "--json").document
    assert document["trials"]["failed"] > 0
    assert document["trials"]["complete"] > 0
    assert told(document) == front_of("sqlite:///hpo.db")


def test_one_objective_has_no_front(hpo: Hpo) -> None:
    ran = hpo("search", "iris", *QUICK, "--json")
    assert ran.document["pareto"] is None
    assert "Pareto" not in hpo("search", "iris", *QUICK).out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--objectives", "score,size"],
            "sampler narrowing works towards one objective, and there are 2: choose --sampler {}",
        ),
        (
            ["--objectives", "score,size", "--sampler", "cmaes"],
            "sampler cmaes works towards one objective, and there are 2: choose --sampler {}",
        ),
        (
            ["--objectives", "score,size", "--sampler", "nsga2"],
            "objective size: all networks of this space have the same shape; tune it, with {}",
        ),
        (
            ["--objectives", "score,size", "--sampler", "tpe", "--pruner", "rungs"],
            "--pruner rungs drops trials by their score, and another objective may {}",
        ),
        (["--objectives", "size"], "'size' leaves the score out: write score,size"),
        (["--objectives", "score,speed"], "'speed' is none: choose of score, size, latency"),
        (["--objectives", "score,size,size"], "'score,size,size' names one twice"),
        (["--objectives", ""], "'' is none: choose of score, size, latency"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_cannot_be_is_one_line(
    hpo: Hpo, tmp_path: Path, options: list[str], line: str, dry: list[str]
) -> None:
    ran = hpo("search", "iris", *QUICK, *options, *dry)
    assert (ran.code, ran.out) == (2, "")
    others = (
        "tpe, or random, gp, qmc, nsga2",
        "--space 'hidden=16|32|64,64' say",
        "speak for them: leave it out, or search for one objective",
    )
    assert ran.err.strip().endswith(tuple(map(line.format, others)))
    assert not (tmp_path / "hpo.db").exists()


def test_a_study_keeps_to_its_objectives(hpo: Hpo) -> None:
    assert hpo("search", "iris", *TWO).code == 0
    ran = hpo("search", "iris", *TWO, "--objectives", "score,latency")
    assert ran.code == 2
    assert "objectives score,size (stored) / score,latency (asked for)" in ran.err


def test_the_leaderboard_tells_of_costs_and_the_front(hpo: Hpo) -> None:
    document = hpo("search", "iris", *TWO, "--json").document
    board = hpo("leaderboard", "--json").document
    assert board["direction"] == "maximize"
    lines = board["leaderboard"]
    assert {each["trial"] for each in lines if each["pareto"]} == set(told(document))
    for each in lines:
        assert each["costs"] == {"size": SIZES[each["params"]["hidden"]]}
    table = hpo("leaderboard").out.splitlines()
    assert "pareto" in table[3]
    assert "size" in table[3]
    rows = list(csv.DictReader(io.StringIO(hpo("leaderboard", "--format", "csv").out)))
    assert [float(row["size"]) for row in rows] == [each["costs"]["size"] for each in lines]
    assert [row["pareto"] == "yes" for row in rows] == [each["pareto"] for each in lines]
    (study,) = hpo("studies", "--json").document["studies"]
    assert study["best"] == lines[0]["validation"]
    assert study["metric"] == "accuracy"


def document(winner: int) -> dict[str, Any]:
    def trial(number: int, score: float, size: float, hidden: str) -> dict[str, Any]:
        values = {"score": score, "size": size, "latency": 1.23456}
        return {"trial": number, "values": values, "params": {"hidden": hidden}}

    return {
        "metric": "accuracy",
        "cv": None,
        "trials": {"complete": 20, "pruned": 0, "failed": 2},
        "best": {"trial": winner},
        "pareto": [
            trial(12, 0.976, 12345, "64,64"),
            trial(3, 0.9, 610, "8"),
            trial(17, 0.9, 610, "8"),
        ],
    }


def test_every_line_of_the_table() -> None:
    assert front_lines(document(12)) == [
        "Pareto front in acc, size and latency: 3 of 22 trials",
        "trial  val acc    size  latency (ms)  as good  parameters",
        "  *12    0.976  12,345          1.23        0  hidden: 64,64",
        "    3    0.900     610          1.23        1  hidden: 8",
        "* the winner",
    ]


def test_scores_over_folds_are_called_so() -> None:
    assert front_lines(document(12) | {"cv": 5})[1].split()[1] == "cv"


def test_a_winner_stands_for_those_that_equal_it() -> None:
    assert front_lines(document(17))[3].split()[0] == "*17"


def test_a_winner_off_the_front_is_told_of() -> None:
    assert front_lines(document(5))[-1] == (
        "the winner, trial 5, is not on it: it did better when the best were trained again"
    )
    assert not any("*" in line for line in front_lines(document(5)))
