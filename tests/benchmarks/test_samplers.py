"""The tables hold what was trained, and what is said of samplers follows from them by hand."""

from __future__ import annotations

import itertools
import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import binomtest

from benchmarks import outcomes as made
from benchmarks import races, samplers
from benchmarks.lookup import ForestTable, GridTable, Scores, means
from benchmarks.outcomes import EIGHT, Outcomes, Plan, design, grid, outcomes
from benchmarks.races import Record, Remembered, noise, one_at_a_time, race
from benchmarks.significance import compare, holm, signed_rank
from hpo.data.loading import load
from hpo.joining import joined
from hpo.search.space import SearchSpace
from hpo.settings import Settings


def test_a_grid_has_every_pair_once_and_ends_with_the_ranges() -> None:
    points = grid(5, 3).points
    rates, decays = ({point[name] for point in points} for name in SearchSpace().distributions)
    assert sorted(rates) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert sorted(decays) == pytest.approx([1e-5, 1e-2, 10])
    assert [tuple(point.values()) for point in points] == sorted(itertools.product(rates, decays))


def test_a_design_is_even_in_each_of_its_eight_parameters() -> None:
    points = design(24).points
    assert len(EIGHT.distributions) == 8
    assert points == design(24).points
    strata = sorted(math.floor(6 * (math.log10(point["learning_rate"]) + 5)) for point in points)
    assert strata == list(range(24))
    for name, choices in (("activation", 3), ("hidden", 4), ("batch_size", 3)):
        counts = np.unique([str(point[name]) for point in points], return_counts=True)[1]
        assert counts.tolist() == [24 // choices] * choices


def test_what_was_trained_is_what_a_search_trains(tmp_path: Path) -> None:
    dataset = load("wine")
    settings = Settings(
        None, True, (), "classification", "accuracy", SearchSpace().to_json(), 1, hidden=(32, 32)
    )
    url = f"sqlite:///{tmp_path}/hpo.db"
    with joined(dataset, settings, study="s", url=url, trials=4) as experiment:
        for _ in experiment.search(4, 1):
            pass
        trials = experiment.store.trials()
        winner = experiment.winner()
        test = experiment.test(winner).score
    plan = Plan(SearchSpace(), [trial.params for trial in trials], seeds=1, splits=2)
    found = outcomes(dataset, plan, tmp_path)
    assert found.validation[1, :, 0].tolist() == [trial.value for trial in trials]
    assert found.test[1, winner.number, 0] == test


def test_what_was_trained_is_read_again_and_anything_else_is_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = grid(2, 2, seeds=2, splits=1)
    first = outcomes(load("wine"), plan, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".npz"

    def fail(*_: object) -> None:
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(made, "_trained", fail)
        again = outcomes(load("wine"), plan, tmp_path)
        assert np.array_equal(first.validation, again.validation)
        assert np.array_equal(first.test, again.test)
        with pytest.raises(AssertionError, match="trained again"):
            outcomes(load("breast_cancer"), plan, tmp_path)
        with pytest.raises(AssertionError, match="trained again"):
            outcomes(load("wine"), grid(2, 3, seeds=2, splits=1), tmp_path)
        patch.setattr(made, "HIDDEN", (8,))
        with pytest.raises(AssertionError, match="trained again"):
            outcomes(load("wine"), plan, tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_larger_data_set_is_drawn_from() -> None:
    whole = load("digits")
    part = made.sample(whole, 50)
    assert part.features.n_rows == len(part.target.values) == 50
    labels = whole.target.values
    rows = {tuple(row): labels[i] for i, row in enumerate(whole.features.numeric)}
    for row, label in zip(part.features.numeric, part.target.values, strict=True):
        assert rows[tuple(row)] == label
    assert made.sample(whole, 5000) is whole


def grid_table() -> GridTable:
    """Scores (2 rates × 3 decays, 2 seeds) on a second split; one training failed."""
    validation = np.array([[0, 2], [1, 1], [4, 4], [9, 3], [np.nan, 5], [0, 1]])[None] / 10
    test = validation / 2
    scores = (np.vstack([each * 0, each]) for each in (validation, test))
    return GridTable(Outcomes(grid(2, 3), *scores), 1)


def test_a_point_gets_one_training_of_the_nearest_node() -> None:
    table = grid_table()
    # In logarithms the middle of the rates is 1e-3, and 2e-5 lies next to 1e-5.
    point = {"learning_rate": 1.1e-3, "weight_decay": 2e-5}
    seen = {table.look(point, np.random.default_rng(seed)) for seed in range(20)}
    assert {each.seen for each in seen} == {0.9, 0.3}
    assert {round(each.validation, 9) for each in seen} == {0.6}
    assert {round(each.test, 9) for each in seen} == {0.3}
    assert table.node({"learning_rate": 0.9e-3, "weight_decay": 0.02}) == 1
    assert_allclose(table.best, (0.6, 0.3))


def test_a_failed_training_is_no_part_of_a_mean() -> None:
    assert means(np.array([[1.0, 3.0], [np.nan, 5.0], [np.nan, np.nan]])).tolist() == [2, 5, 1]


def smooth(points: int, seeds: int = 2) -> Outcomes:
    """A design whose scores fall with the distance from a rate of 1e-3; ``silu`` costs 0.3."""
    plan = design(points, seeds=seeds, splits=1)
    away = np.array([abs(math.log10(point["learning_rate"]) + 3) for point in plan.points])
    score = 1 - 0.4 * away - 0.3 * np.array([each["activation"] == "silu" for each in plan.points])
    noise = 0.01 * np.random.default_rng(0).standard_normal((1, points, seeds))
    return Outcomes(plan, score[None, :, None] + noise, score[None, :, None] - 0.1 + 0 * noise)


def test_a_forest_has_learnt_the_design() -> None:
    table = ForestTable(smooth(400), 0)
    rng = np.random.default_rng(1)
    base = design(7).points[3]
    scores = {(1e-3, "relu"): 1.0, (1e-5, "tanh"): 0.2, (1e-3, "silu"): 0.7}
    for (rate, activation), expected in scores.items():
        found = table.look({**base, "learning_rate": rate, "activation": activation}, rng)
        assert found.validation == pytest.approx(expected, abs=0.1)
        assert found.test == pytest.approx(expected - 0.1, abs=0.1)
    assert_allclose(table.best, (1, 0.9), atol=0.05)
    assert min(table.fit) > 0.95


def test_a_trial_is_shown_the_noise_of_trainings_near_by() -> None:
    clean = smooth(400)
    silu = np.array([point["activation"] == "silu" for point in clean.plan.points])
    level = np.full((1, 400, 1), 0.5)
    # Two trainings that lie 0.06 from their mean, where the activation is silu.
    spread = np.where(silu, 0.06, 0.0)[None, :, None] * [-1, 1]
    table = ForestTable(replace(clean, validation=level + spread), 0)
    rng = np.random.default_rng(0)
    for activation, away in (("relu", 0.0), ("silu", 0.06)):
        point = {**design(7).points[3], "learning_rate": 1e-4, "activation": activation}
        looks = [table.look(point, rng) for _ in range(200)]
        shown = {round(each.seen - each.validation, 9) for each in looks}
        assert shown == {round(-away, 9), round(away, 9)}
        assert len({each[1:] for each in looks}) == 1


def test_the_luck_of_an_unstable_point_lifts_no_other_above_it() -> None:
    clean = smooth(400)
    wild = clean.validation.mean(axis=2)[:, :, None] + [-0.5, 0.5]
    table = ForestTable(replace(clean, validation=wild), 0)
    rng = np.random.default_rng(0)
    for point in design(20).points:
        looks = [table.look(point, rng) for _ in range(50)]
        assert max(each.seen for each in looks) <= wild.max()
        # Deviations of two trainings, times the root of two, or less where those got less.
        assert all(abs(each.seen - each.validation) <= 0.5 * math.sqrt(2) for each in looks)
        assert max(abs(each.seen - each.validation) for each in looks) > 0.3


def test_scores_without_an_end_do_not_drown_the_others() -> None:
    outcomes = smooth(60)
    outcomes.validation[0, 3], outcomes.test[0, 3] = -1e6, -1e6
    table = ForestTable(outcomes, 0)
    found = table.look(outcomes.plan.points[3], np.random.default_rng(0))
    assert -1 <= found.validation < 0.5
    assert -1 <= found.test < 0.5


def test_the_first_of_the_best_is_chosen_and_a_failure_never() -> None:
    found = Remembered()
    for seen in (math.nan, 0.5, 0.7, 0.7, 0.9):
        found.add({}, Scores(seen, len(found.scores), 0.0), 0.0)
    assert [found.chosen(n).validation for n in (2, 4, 5)] == [1, 2, 4]
    assert [each.number for each in found.losses()] == [1, 2, 3, 4]
    assert found.losses()[0].value == -0.5


@pytest.mark.parametrize("contestant", ["narrowing", "random", "tpe", "qmc", "tpe-sequential"])
def test_a_race_is_repeatable_and_its_regret_is_that_of_the_best_seen(contestant: str) -> None:
    table = grid_table()
    first, second = (race("grid", "t", table, contestant, 3) for _ in range(2))
    assert [each.trials for each in first] == [100, 40]
    assert [each[:-1] for each in first] == [each[:-1] for each in second]
    # A hundred trials of six nodes see the 0.9 of one whose means are the best.
    assert first[0].validation == pytest.approx(0)
    assert first[0].test == pytest.approx(0)
    assert first[0].tried == pytest.approx(0)
    assert first[0].milliseconds > 0


def test_one_at_a_time_is_an_ordinary_study() -> None:
    table = grid_table()
    rates: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        point = {
            "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-5, 10, log=True),
        }
        rates.append(point["learning_rate"])
        return table.look(point, noise(5, trial.number)).seen

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=5))
    study.optimize(objective, 12)
    found = one_at_a_time("tpe-sequential", table, 5, 12)
    assert [point["learning_rate"] for point in found.points()] == rates


def test_holm_by_hand() -> None:
    # 0.05 / 4 = 0.0125, 0.05 / 3 = 0.0167, 0.05 / 2 = 0.025: the third is above its share.
    assert holm([0.016, 0.04, 0.0124, 0.026]) == [True, False, True, False]
    assert holm([0.02, 0.02, 0.02]) == [False, False, False]


def test_signed_ranks_of_equal_signs_are_a_matter_of_coins() -> None:
    ahead = np.arange(1.0, 9.0)
    assert signed_rank(ahead) == pytest.approx(binomtest(8, 8, alternative="greater").pvalue)
    assert signed_rank(-ahead) == pytest.approx(1)
    assert signed_rank(np.zeros(5)) == 1


def test_a_comparison_by_hand() -> None:
    def runs(*values: float) -> NDArray[np.float64]:
        return np.array(values)

    one = runs(1, 2, 3, 4, 5, 6, 7, 8)
    found = compare([one, runs(3, 1)], [one * 0, runs(1, 1)])
    # The means are 4.5 and 1; the variances of the means 6 / 8 and 2 / 2.
    assert found.mean == 2.75
    assert found.error == pytest.approx(math.sqrt(1.75) / 2)
    assert (found.better, found.worse) == (0, 1)
    turned = compare([one * 0, runs(1, 1)], [one, runs(3, 1)])
    assert (turned.better, turned.worse) == (1, 0)


def record(contestant: str, table: str, seed: int, test: float, milliseconds: float) -> Record:
    return Record("grid", table, contestant, 40, seed, test, test / 2, test / 4, milliseconds)


def test_the_targets_by_hand() -> None:
    records = [record("narrowing", "a", seed, 0.01, 0.5) for seed in range(6)]
    records += [record("random", "a", seed, 0.02 + seed / 1000, 0.1) for seed in range(6)]
    records += [record("tpe", "a", seed, 0.005 - seed / 1000, 3.0) for seed in range(6)]
    lines = samplers.report(records, "grid")
    assert lines[1] == "grid, 40 trials"
    cells = [each.split() for each in lines[3:6]]
    assert cells[0] == ["narrowing", "1.00", "0.50", "0.25", "-", "-", "-", "0.500"]
    assert cells[1] == ["random", "2.25", "1.12", "0.56", "-1.25", "±", "0.08", "1", "0", "0.100"]
    assert cells[2] == ["tpe", "0.25", "0.12", "0.06", "+0.75", "±", "0.08", "0", "1", "3.000"]
    assert lines[6:9] == [
        "not significantly worse than tpe on test rows: not met",
        "ahead of random on validation rows by 0.62 ± 0.04 points: met",
        "narrowing takes 0.500 ms a trial (target 1): met",
    ]


def test_the_table_says_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = {
        "grid": partial(grid, 3, 3, seeds=2, splits=1),
        "design": partial(design, 20, splits=1),
    }
    monkeypatch.setattr(samplers, "PLANS", small)
    for module in (samplers, races):
        monkeypatch.setattr(module, "BUDGETS", (5, 12))
    names = ["narrowing", "tpe-sequential"]
    cache = str(tmp_path)
    samplers.main(
        ["--tables", "wine", "--samplers", *names, "--seeds=2", "--cache", cache, "--json=-"]
    )
    captured = capsys.readouterr()
    records = json.loads(captured.out)["records"]
    assert len(records) == 2 * 2 * 2 * 2
    for kind, trials in itertools.product(small, (5, 12)):
        own = [each for each in records if (each["kind"], each["trials"]) == (kind, trials)]
        mean = np.mean([each["test"] for each in own if each["contestant"] == "narrowing"])
        assert f"narrowing{100 * mean:16.2f}" in captured.err
    assert "wine: the forest's rank correlation" in captured.err
    assert len(list(tmp_path.iterdir())) == 2


def test_a_sampler_whose_package_is_missing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(races, "missing", lambda name: ["torch"] if name == "gp" else [])
    present = samplers._present(["narrowing", "gp", "gp-sequential", "qmc"], sys.stdout)
    assert present == ["narrowing", "qmc"]
    assert capsys.readouterr().out.splitlines() == [
        "gp is left out: torch is not installed",
        "gp-sequential is left out: torch is not installed",
    ]
