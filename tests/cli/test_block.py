"""The block of a search from a state made by hand: its golden texts in terminals of any size."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from rich.cells import cell_len

from hpo.cli.bars import ASCII, UNICODE, Glyphs
from hpo.cli.block import ENDED, Passing, block, line
from hpo.cli.standing import Best, Standing
from storage.records import SelectionRecord

SPACE = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "hidden": CategoricalDistribution(("64",)),
    "optimizer": CategoricalDistribution(("sgd", "adam", "nadam")),
}
BEST = Best(
    41, 0.9757, (), {"learning_rate": 1.1e-3, "dropout": 0.26, "hidden": "64", "optimizer": "adam"}
)
# Of 32 cells eight belong to a power of ten: from 1e-4 to 1e-2 are the cells 8 to 23, and
# log10(1.1e-3) + 5 is 2.04, which is in cell 16. Of dropout 0.26 is 0.52 of the range: cell 16.
RUNNING = Standing(
    study="digits",
    metric="accuracy",
    cv=None,
    space=SPACE,
    trials_per_round=20,
    total=100,
    index=2,
    ranges={
        "learning_rate": [1e-4, 1e-2],
        "dropout": [0.0, 0.5],
        "hidden": {"choices": ["64"]},
        "optimizer": {"choices": ["adam", "nadam"]},
    },
    finished=47,
    pruned=2,
    failed=3,
    best=BEST,
)
CANDIDATES = [
    {"trial": 40, "value": 0.9, "standard_error": 0.01},
    {"trial": 41, "value": 0.981, "standard_error": 0.002},
]
CHOSEN = SelectionRecord(100, 5, 41, "", {"candidates": CANDIDATES})
FINISHED = replace(RUNNING, finished=100, index=4, chosen=CHOSEN)
LEFT = Passing("12 s left")


def shown(
    standing: Standing,
    passing: Passing = ENDED,
    width: int = 80,
    height: int = 24,
    drawn: Glyphs = UNICODE,
) -> list[str]:
    return [each.plain for each in block(standing, passing, width, height, drawn)]


def test_at_80_columns() -> None:
    assert shown(RUNNING, LEFT) == [
        "digits: round 3/5, 47/100 trials, 2 pruned, 3 failed, 12 s left",
        "              searched now                                       best",
        "learning_rate ────────████████◆███████──────── 1.0e-04..1.0e-02  1.10e-03",
        "dropout       ████████████████◆███████████████ 0..0.5            2.60e-01",
        "hidden        64                               fixed             64",
        "optimizer     adam|nadam                       2 of 3            adam",
        "best val acc 0.976 (trial 41)",
    ]


def test_at_40_columns() -> None:
    # 17 cells are left for a bar, 4.25 to a power of ten: 4.25 to 12.75 are the cells 4 to 12, and
    # 2.04 times 4.25 is 8.7, in cell 8.
    assert shown(RUNNING, LEFT, 40) == [
        "digits: round 3/5, 47/100 trials,",
        "  2 pruned, 3 failed, 12 s left",
        "              searched now      best",
        "learning_rate ────████◆████──── 1.10e-03",
        "dropout       ████████◆████████ 2.60e-01",
        "hidden        64                64",
        "optimizer     adam|nadam        adam",
        "best val acc 0.976 (trial 41)",
    ]


def test_at_20_columns() -> None:
    assert shown(RUNNING, LEFT, 20) == [
        "digits: round 3/5,",
        "  47/100 trials,",
        "  2 pruned,",
        "  3 failed,",
        "  12 s left",
        "            now",
        "learning_r… ──██◆█──",
        "dropout     ████◆███",
        "hidden      64",
        "optimizer   adam|na…",
        "best val acc 0.976",
        "  (trial 41)",
    ]


def test_a_finished_search_names_its_winner_and_no_time() -> None:
    assert shown(FINISHED)[0] == "digits: round 5/5, 100/100 trials, 2 pruned, 3 failed"
    assert shown(FINISHED)[-2:] == [
        "best val acc 0.976 (trial 41)",
        "winner: trial 41 of the best 2, val acc 0.981 ± 0.002 trained again",
    ]


def test_a_winner_that_was_refitted() -> None:
    alone = SelectionRecord(100, 0, 41, "", {"candidates": [], "refit": 90}, refit=True)
    assert shown(replace(FINISHED, chosen=alone))[-1] == "winner: trial 41, refitted on 90 rows"


def test_while_the_best_are_trained_again() -> None:
    again = Passing(
        "3 s left", ("training the best 6 again to choose the winner", "12/30 networks")
    )
    lines = shown(replace(FINISHED, chosen=None), again)
    assert lines[0] == "digits: round 5/5, 100/100 trials, 2 pruned, 3 failed"
    assert lines[-2:] == [
        "best val acc 0.976 (trial 41)",
        "training the best 6 again to choose the winner, 12/30 networks, 3 s left",
    ]


def test_without_unicode() -> None:
    lines = shown(FINISHED, drawn=ASCII)
    assert lines[2].startswith("learning_rate --------########*#######-------- ")
    assert lines[-1].endswith("0.981 +- 0.002 trained again")
    assert shown(RUNNING, width=20, drawn=ASCII)[-6:-2] == [
        "learning_r~ --##*#--",
        "dropout     ####*###",
        "hidden      64",
        "optimizer   adam|na~",
    ]
    assert all(each.isascii() for each in lines)


def test_before_the_first_score() -> None:
    lines = shown(replace(RUNNING, best=None, finished=0, pruned=0, failed=0, index=0))
    assert lines[0] == "digits: round 1/5, 0/100 trials"
    assert lines[1] == "              searched now"
    assert lines[2] == f"learning_rate {'─' * 8}{'█' * 16}{'─' * 8} 1.0e-04..1.0e-02  -"
    assert lines[-1] == "no score yet"


def test_before_the_first_round() -> None:
    assert shown(replace(RUNNING, ranges={}, best=None), height=9) == [
        "digits: round 3/5, 47/100 trials, 2 pruned, 3 failed",
        "no score yet",
    ]


def test_a_low_terminal_shows_some_of_the_parameters() -> None:
    lines = shown(RUNNING, LEFT, height=5)
    assert [each.split()[0] for each in lines] == [
        "digits:", "searched", "learning_rate", "and", "best",
    ]  # fmt: skip
    assert lines[3] == "and 3 more parameters"
    assert [each.split()[0] for each in shown(RUNNING, LEFT, height=2)] == ["digits:", "best"]


@pytest.mark.parametrize("width", [1, 2, 7, 10, 19, 33, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 7, 24])
@pytest.mark.parametrize("name", ["digits", "x" * 90, "数字" * 20, "a\x1b[2Jb"])
def test_no_line_is_wider_and_no_block_higher_than_the_terminal(
    width: int, height: int, name: str
) -> None:
    for standing, drawn in ((RUNNING, UNICODE), (FINISHED, UNICODE), (FINISHED, ASCII)):
        lines = shown(replace(standing, study=name), LEFT, width, height, drawn)
        assert 1 <= len(lines) <= height
        assert max(map(cell_len, lines)) <= width
        assert "\x1b" not in "".join(lines)


def test_everything_in_one_line() -> None:
    assert line(RUNNING, LEFT) == (
        "digits: round 3/5, 47/100 trials, 2 pruned, 3 failed, best val acc 0.976 (trial 41), "
        "lr: 1.10e-03, dropout: 2.60e-01, hidden: 64, 1 more, 12 s left"
    )
    empty = replace(RUNNING, best=None, finished=0, pruned=0, failed=0)
    assert line(empty) == "digits: round 3/5, 0/100 trials, no score yet"
