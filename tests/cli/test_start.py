"""``hpo search`` with points to try first, from another study, and without waiting for others."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.data.loading import load
from hpo.joining import joined
from hpo.search.loop import OthersTrain, RoundClaimed
from hpo.search.narrowing import place
from hpo.search.space import SearchSpace
from hpo.settings import Settings, describe_difference
from tests.running import Hpo, stock_optuna, stored_trials

QUICK = (
    "--trials", 12, "--rounds", 3, "--hidden", 8, "--epochs", 3, "--repeats", 0, "--keep-sealed",
)  # fmt: skip


def search(hpo: Hpo, *arguments: object) -> dict[str, Any]:
    ran = hpo("search", "iris", *QUICK, "--json", *arguments)
    assert ran.code == 0, ran.err
    return ran.document


def params(folder: Path, study: str, file: str = "hpo.db") -> list[dict[str, float]]:
    """With plain SQL: the internal values of a number are the number."""
    with closing(sqlite3.connect(folder / file)) as connection:
        rows = connection.execute(
            "SELECT number, param_name, param_value FROM trial_params JOIN trials USING (trial_id) "
            "JOIN studies USING (study_id) WHERE study_name = ?",
            (study,),
        ).fetchall()
    found: dict[int, dict[str, float]] = {}
    for number, name, value in rows:
        found.setdefault(number, {})[name] = value
    return [found[number] for number in range(len(found))]


MINE = ("--point", "learning_rate=0.003,weight_decay=1e-4", "--point", "weight_decay=0.5")


def test_points_are_tried_first_and_remembered(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo)
    search(hpo, *MINE, "--study", "mine")
    assert sum(search(hpo, *MINE, "--study", "mine", "--trials", 13)["trials"].values()) == 13
    plain, mine = params(tmp_path, "iris"), params(tmp_path, "mine")
    assert mine[:2] == [
        {"learning_rate": 0.003, "weight_decay": 1e-4},
        plain[1] | {"weight_decay": 0.5},
    ]
    assert mine[2:4] == plain[2:4]
    ran = hpo("search", "iris", *QUICK, "--study", "mine")
    assert ran.code == 2
    assert ran.err == (
        "hpo: study 'mine' was made with other settings: points "
        "learning_rate=0.003,weight_decay=0.0001 and weight_decay=0.5 (stored) / none (asked for); "
        "repeat the stored ones, or use another --study\n"
    )


def other_study(path: Path, sign: int = 1) -> None:
    """A study of Optuna's own: the loss is least at a learning rate of 0.002."""
    with stock_optuna(path) as storage:
        study = optuna.create_study(
            study_name="o'ther",
            storage=storage,
            direction="minimize" if sign > 0 else "maximize",
            sampler=optuna.samplers.RandomSampler(0),
        )
        kinds = {"learning_rate": optuna.distributions.FloatDistribution(1e-6, 1.0, log=True)}
        for _ in range(40):
            trial = study.ask({**kinds, "depth": optuna.distributions.IntDistribution(1, 9)})
            study.tell(trial, sign * abs(trial.params["learning_rate"] - 0.002))


@pytest.mark.parametrize("sign", [1, -1])
def test_another_study_of_optunas_narrows_the_first_round(
    hpo: Hpo, tmp_path: Path, sign: int
) -> None:
    other_study(tmp_path / "other.db", sign)
    there = ("--warm-start", "o'ther", "--warm-start-storage", "sqlite:///other.db")
    planned = hpo("search", "iris", *QUICK, *there, "--dry-run", "--json").document
    assert planned["trials"]["per_round"] == 4
    assert not (tmp_path / "hpo.db").exists()
    search(hpo, *there)
    # What happens to the other study from now on changes nothing.
    (tmp_path / "other.db").unlink()
    document = search(hpo, *there, "--trials", 20)
    low, high = document["rounds"][0]["ranges"]["learning_rate"]
    assert 1e-5 < low < 0.002 < high < 0.1
    assert document["rounds"][0]["ranges"]["weight_decay"] == [1e-5, 10.0]
    found = params(tmp_path, "iris")
    assert len(found) == 20
    # The best point comes first, then those of the box, but for the one that explores.
    assert found[0]["learning_rate"] == pytest.approx(0.002, rel=0.5)
    assert sum(low <= point["learning_rate"] <= high for point in found[:4]) >= 3

    other_study(tmp_path / "other.db", sign)
    for total in (12, 20):
        search(hpo, *there, "--study", "whole", "--trials", total)
    assert params(tmp_path, "whole") == found


def test_a_study_of_ours_in_the_same_storage_narrows_it_too(hpo: Hpo, tmp_path: Path) -> None:
    first = search(hpo)
    second = search(hpo, "--study", "second", "--warm-start", "iris", *MINE[:2])
    points = params(tmp_path, "second")
    best = max(stored_trials(tmp_path / "hpo.db", "iris").items(), key=lambda each: (
        each[1]["values"][0][1], -each[0]))[0]  # fmt: skip
    assert first["best"]["trial"] == best
    assert points[0] == {"learning_rate": 0.003, "weight_decay": 1e-4}
    assert points[1] == params(tmp_path, "iris")[best]
    widths = [
        each["rounds"][0]["ranges"]["learning_rate"][0] for each in (first, second)
    ]  # fmt: skip
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--warm-start", "nope"), "--warm-start: there is no study 'nope': the storage holds 'a'"),
        (
            ("--warm-start", "a", "--space", "learning_rate=1e-5..1e-4"),
            "--warm-start a: none of its 1 finished trials lies in what is searched",
        ),
        (
            ("--warm-start", "a", "--warm-start-storage", "sqlite:///none.db"),
            "there is no database",
        ),
        (
            ("--warm-start-storage", "sqlite:///hpo.db"),
            "--warm-start-storage says where a study is: name it with --warm-start",
        ),
        (("--warm-start", "a", "--sampler", "tpe"), "--warm-start goes with --sampler narrowing"),
        (("--async", "--sampler", "qmc"), "--async goes with --sampler narrowing, not with qmc"),
        (("--point", "depth=3"), "point 'depth=3': 'depth' is not searched."),
        (("--point", "learning_rate=3"), "point 'learning_rate=3': learning_rate=3 lies outside"),
    ],
)
def test_what_cannot_be_begun_with_is_refused_in_one_line(
    hpo: Hpo, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    with stock_optuna(tmp_path / "hpo.db") as storage:
        study = optuna.create_study(study_name="a", storage=storage)
        study.add_trial(
            optuna.create_trial(
                params={"learning_rate": 0.01},
                distributions={"learning_rate": optuna.distributions.FloatDistribution(0, 1)},
                value=1.0,
            )
        )
    ran = hpo("search", "iris", *QUICK, *options)
    assert ran.code in {2, 4}
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert len(params(tmp_path, "iris")) == 0


def test_a_study_with_several_values_has_no_order(hpo: Hpo, tmp_path: Path) -> None:
    with stock_optuna(tmp_path / "hpo.db") as storage:
        optuna.create_study(study_name="a", storage=storage, directions=["minimize"] * 2)
    ran = hpo("search", "iris", *QUICK, "--warm-start", "a")
    assert ran.code == 2
    assert "--warm-start a: its trials have 2 values each, and no order" in ran.err


# ------------------------------------------------------------------ rounds that do not wait


def test_a_study_remembers_that_its_rounds_do_not_wait(hpo: Hpo, tmp_path: Path) -> None:
    search(hpo, "--async")
    search(hpo, "--study", "sync")
    # One search alone has nobody to wait for.
    assert params(tmp_path, "iris") == params(tmp_path, "sync")
    ran = hpo("search", "iris", *QUICK)
    assert ran.code == 2
    assert "asynchronous True (stored) / False (asked for)" in ran.err


def test_what_an_older_study_did_not_say_is_what_it_did() -> None:
    new = Settings(
        target=None, header=True, numeric=(), task="classification", metric="accuracy", space={}
    )
    old = {name: value for name, value in new.to_json().items()
           if name not in {"asynchronous", "points", "warm_start"}}  # fmt: skip
    assert describe_difference(old, new.to_json()) == ""
    assert Settings.from_json(old) == new
    with_points = Settings.from_json(
        old | {"points": [{"learning_rate": 0.1}], "asynchronous": True}
    )
    assert Settings.from_json(json.loads(json.dumps(with_points.to_json()))) == with_points


def test_two_searches_begin_rounds_at_once_and_one_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real database, with the first search stopped in the middle of what it claimed."""
    monkeypatch.chdir(tmp_path)
    space = SearchSpace()
    settings = Settings(
        target=None, header=True, numeric=(), task="classification", metric="accuracy",
        space=space.to_json(), hidden=(4,), epochs=2, rounds=4, seed=5, asynchronous=True,
    )  # fmt: skip
    url = f"sqlite:///{tmp_path}/hpo.db"
    options: dict[str, Any] = {"study": "iris", "url": url, "trials": 32}
    with joined(load("iris"), settings, **options) as second:
        with joined(load("iris"), settings, **options) as first:
            events = first.search(32, 1)
            claimed = next(events)
            assert isinstance(claimed, RoundClaimed)
            assert [slot.number for slot in claimed.slots] == [0, 1, 2, 3]
            for event in second.search(32, 1):
                if isinstance(event, OthersTrain):
                    break
            states = second.store.states()
            assert (states["RUNNING"], sum(states.values())) == (4, 32)
            assert states.keys() <= {"RUNNING", "COMPLETE", "PRUNED"}
            before = second.rounds()
            assert [each.round for each in before] == [0, 1, 2, 3]
            del events
        kinds = [type(event) for event in second.search(32, 1)]
        assert RoundClaimed in kinds
        trials = second.store.trials()
        assert [trial.number for trial in trials] == list(range(32))
        assert {trial.state for trial in trials} <= {"COMPLETE", "PRUNED"}
        assert second.rounds() == before
        for record in before:
            numbers = range(8 * record.round, 8 * record.round + 8)
            box = space.box(record.ranges)
            points = place(space.distributions, box, second.narrowing, numbers)
            assert [trials[number].params for number in numbers] == points
