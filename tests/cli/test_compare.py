"""``hpo compare``: what it prints, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo.cli.compare import compare
from hpo.cli.compare_screen import comparison_lines
from hpo.cli.search import search
from hpo.comparing import training
from hpo.comparing.questions import QUESTIONS
from tests.comparing.making import comparison, lost, run
from tests.running import Hpo

QUICK = ("--hidden", "6,5", "--epochs", 4, "--seeds", 3, "--workers", 1)


def made() -> dict[str, Any]:
    runs = {
        "sgd": [run("sgd", seed, [1.5, 1.0 + seed / 10], 0.6) for seed in range(2)],
        "adam": [run("adam", seed, [0.6 - seed / 5, 0.3], 0.9) for seed in range(2)],
        "nadam": [lost("nadam", seed) for seed in range(2)],
    }
    return comparison("optimizer", runs)


def test_the_screen() -> None:
    assert comparison_lines(made(), None) == GOLDEN.read_text().splitlines()


GOLDEN = Path(__file__).with_name("golden_compare.txt")


def test_a_narrow_terminal_has_the_main_columns() -> None:
    lines = comparison_lines(made(), 60)
    assert max(map(len, lines)) <= 60
    assert any("val loss" in line and "val acc" in line for line in lines)
    assert any(line.startswith("no room for") for line in lines)


def test_the_command(hpo: Hpo) -> None:
    ran = hpo("compare", "iris", "--what", "optimizer", "--choices", "sgd,adam", *QUICK)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("iris: optimizer, 96 training and 24 validation rows\n")
    assert "6 of 6 networks trained" in ran.err
    again = hpo("compare", "iris", "--what", "optimizer", "--choices", "sgd,adam", *QUICK, "--json")
    document = again.document
    assert document["finding"] in ran.out
    assert [each["choice"] for each in document["choices"]] == ["sgd", "adam"]
    assert [each["params"]["learning_rate"] for each in document["choices"]] == [0.01, 0.001]
    for each in document["choices"]:
        assert len(each["curves"]["val_loss"]["mean"]) == 4
        assert len(each["val_loss"]["values"]) == 3


def test_nothing_is_written(hpo: Hpo, tmp_path: Path) -> None:
    assert hpo("compare", "iris", "--what", "dropout", *QUICK).code == 0
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_predicted_and_any_scorer_scores(hpo: Hpo) -> None:
    ran = hpo("compare", "diabetes", "--what", "weight-decay", *QUICK, "--json")
    assert ran.document["metric"] == "r2"
    assert set(ran.document["choices"][0]["curves"]) == {
        "train_loss", "val_loss", "train_score", "val_score"
    }  # fmt: skip
    ran = hpo("compare", "iris", "--what", "batch-norm", *QUICK, "--metric", "f1_macro", "--json")
    # It is no mean over rows, so there is none while the weights change, and of validation rows
    # after epochs 1, 2, 4 …
    curves = ran.document["choices"][0]["curves"]
    assert "train_score" not in curves
    assert [each is None for each in curves["val_score"]["mean"]] == [False, False, True, False]


def test_the_test_rows_decide_nothing(hpo: Hpo, tmp_path: Path) -> None:
    rows = [f"{i % 7},{i * i % 11},{'ab'[(i % 7 + i * i % 11) % 2]}" for i in range(80)]
    (tmp_path / "train.csv").write_text("\n".join(["p,q,y", *rows]) + "\n")
    said = []
    for number, test in enumerate((["1,2,a", "2,1,b"], ["900,-900,b", "5,5,a", "5,6,a"])):
        (tmp_path / f"test{number}.csv").write_text("\n".join(["p,q,y", *test]) + "\n")
        files = ("train.csv", "--target", "y", "--test-file", f"test{number}.csv")
        document = hpo("compare", *files, "--what", "dropout", *QUICK, "--json").document
        said.append([each["val_loss"] for each in document["choices"]])
        assert "test" not in document["rows"]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "Missing option '--what'"),
        (("--what", "optimiser"), "'optimiser' is not one of 'optimizer', 'initializer'"),
        (
            ("--what", "optimizer", "--optimizer", "adam"),
            "--optimizer is what is compared: name several with --choices A,B",
        ),
        (
            ("--what", "activation", "--activation", "tanh"),
            "--activation is what is compared: name several with --choices A,B",
        ),
        (("--what", "dropout", "--activation", "rellu"), "--activation: "),
        (
            ("--what", "dropout", "--choices", "0.5"),
            "--choices 0.5: one choice alone compares with nothing; give two or more",
        ),
        (
            ("--what", "dropout", "--learning-rate", "inf"),
            "'inf' are no learning rates; write",
        ),
        (("--what", "dropout", "--learning-rate", "0.1,x"), "'0.1,x' are no learning rates"),
        (("--what", "dropout", "--metric", "r2"), "r2"),
        (("--what", "dropout", "--hidden", "1000000,1000000"), "choose smaller layers"),
        (
            ("--what", "dropout", "--pictures", "no/d.html"),
            "--pictures no/d.html: there is no such folder",
        ),
    ],
)
def test_what_is_refused(hpo: Hpo, options: tuple[object, ...], says: str) -> None:
    ran = hpo("compare", "iris", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_networks_that_all_fail_are_no_comparison(hpo: Hpo) -> None:
    ran = hpo("compare", "iris", "--what", "dropout", "--learning-rate", 1e12, *QUICK)
    assert (ran.code, ran.out) == (5, "")
    assert "none of the 6 networks could be trained: diverged in epoch 1" in ran.err


def test_without_plotly_it_says_so_before_anything_is_trained(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hpo.report.comparison", None)
    ran = hpo("compare", "iris", "--what", "dropout", "--pictures", "d.html")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "hpo: --pictures needs plotly: pip install 'hpo-stacks[pictures]'\n"


def test_the_page(hpo: Hpo, tmp_path: Path) -> None:
    ran = hpo(
        "compare", "iris", "--what", "early-stopping", *QUICK, "--pictures", "e.html", "--json"
    )
    text = (tmp_path / "e.html").read_text(encoding="utf-8")
    assert "<h1>iris: early stopping</h1>" in text
    assert json.dumps(ran.document["finding"][1:], ensure_ascii=False).strip('"') in text


def test_an_interrupted_comparison_does_not_promise_to_go_on(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_train_stack", interrupt)
    ran = hpo("compare", "iris", "--what", "dropout", *QUICK)
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "hpo: interrupted; a comparison begins anew\n"


def test_the_page_of_the_docs_has_every_question_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
    assert [each for each in QUESTIONS if f"| `{each}` |" not in page] == []
    rows = {each: row for row in page.splitlines() for each in QUESTIONS if f"| `{each}` |" in row}
    for what, usual in QUESTIONS.items():
        assert ", ".join(usual) in rows[what]
    own = [each.opts[0] for each in compare.params if each.opts[0] not in SEARCH]
    assert [each for each in own if each not in page] == []


SEARCH = {each.opts[0] for each in search.params}
"""Options that hpo search has too."""
