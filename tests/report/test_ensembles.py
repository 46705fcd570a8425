"""Pictures of ensembles: they show the record's numbers, and the page needs no network."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo.report.ensembles import PICTURES, diversity, leaderboard, page, reliability, size_curve
from tests.running import Hpo

RECORD: dict[str, Any] = {
    "study": "a<b",
    "name": "ensemble",
    "loss": "log_loss",
    "size_curve": [0.5, 0.3, 0.4],
    "methods": [
        {"method": "best", "loss": 0.5, "score": 0.9},
        {"method": "greedy", "loss": 0.3, "score": 0.95},
    ],
    "members": [
        {"name": "trial 3", "loss": 0.5, "score": 0.9},
        {"name": "forest", "loss": 0.7, "score": 0.8},
    ],
    "reliability": {
        "edges": [0.0, 0.5, 1.0],
        "probability": [None, 0.9],
        "hits": [None, 0.8],
        "rows": [0, 20],
        "error": 0.1,
    },
    "diversity": {
        "measure": "disagreement",
        "names": ["trial 3", "forest"],
        "matrix": [[0.0, 0.2], [0.2, 0.0]],
    },
}


def test_the_size_curve_shows_every_size_and_the_best() -> None:
    figure = size_curve(RECORD)
    assert list(figure.data[0].x) == [1, 2, 3]
    assert list(figure.data[0].y) == [0.5, 0.3, 0.4]
    texts = [each.text for each in figure.layout.annotations]
    assert texts == ["best model", "0.3 with 2"]
    assert figure.layout.shapes[0].y0 == 0.5
    assert figure.layout.yaxis.title.text == "log loss"


def test_reliability_leaves_empty_bins_out() -> None:
    figure = reliability(RECORD)
    assert figure is not None
    ideal, found = figure.data
    assert list(ideal.x) == list(ideal.y) == [0, 1]
    assert (list(found.x), list(found.y), list(found.customdata)) == ([0.9], [0.8], [20])
    assert "0.100" in figure.layout.title.text
    assert reliability(RECORD | {"reliability": None}) is None


def test_diversity_is_a_map_of_the_members() -> None:
    figure = diversity(RECORD)
    assert figure is not None
    assert list(figure.data[0].x) == ["trial 3", "forest"]
    assert [list(row) for row in figure.data[0].z] == [[0.0, 0.2], [0.2, 0.0]]
    assert [list(row) for row in figure.data[0].text] == [["0.000", "0.200"], ["0.200", "0.000"]]
    alone = {"measure": "disagreement", "names": ["trial 3"], "matrix": [[0.0]]}
    assert diversity(RECORD | {"diversity": alone}) is None


def test_the_leaderboard_has_the_best_on_top() -> None:
    (bars,) = leaderboard(RECORD).data
    assert list(bars.y) == ["forest", "trial 3", "greedy"]
    assert list(bars.x) == [0.7, 0.5, 0.3]


def test_the_page_is_whole_and_harmless() -> None:
    text = page(RECORD)
    assert "<h1>a&lt;b: ensemble</h1>" in text
    assert text.count("Plotly.newPlot(") == len(PICTURES)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)


def test_the_command_writes_the_page(hpo: Hpo, tmp_path: Path) -> None:
    quick = ("--trials", 4, "--rounds", 2, "--hidden", 4, "--epochs", 3, "--repeats", 0)
    assert hpo("search", "diabetes", *quick).code == 0
    build = ("ensemble", "diabetes", "--folds", 2, "--top", 2, "--with", "ridge", "--workers", 1)
    ran = hpo(*build, "--pictures", "e.html", "--json")
    assert ran.code == 0, ran.err
    text = (tmp_path / "e.html").read_text(encoding="utf-8")
    assert "squared error" in text
    assert len(ran.document["size_curve"]) == 30
    assert json.dumps(ran.document["size_curve"][0])[:6] in text
    refused = hpo(*build, "--pictures", "no/e.html")
    assert (refused.code, refused.out) == (2, "")
    assert "--pictures no/e.html: there is no such folder" in refused.err


def test_without_plotly_it_says_so_before_anything_is_trained(
    hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hpo.report.ensembles", None)
    ran = hpo("ensemble", "iris", "--pictures", "e.html")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "hpo: --pictures needs plotly: pip install 'hpo-stacks[pictures]'\n"
