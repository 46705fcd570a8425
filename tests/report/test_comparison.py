"""The picture of a comparison holds what its record says."""

from __future__ import annotations

import re
from typing import Any

from hpo.report.comparison import page, picture
from tests.comparing.making import comparison, lost, run


def record() -> dict[str, Any]:
    runs = {
        "a": [run("a", 0, [1.0, 0.5], 0.8), run("a", 1, [1.2, 0.7], 0.6)],
        "b<": [run("b<", 0, [1.8, 0.9], 0.5), lost("b<", 1)],
        "c": [lost("c", 0), lost("c", 1)],
    }
    return comparison("optimizer", runs)


def test_curves_bands_and_ends() -> None:
    figure = picture(record())
    lines = [each for each in figure.data if each.line.dash == "solid" and each.legendgroup == "a"]
    assert list(lines[0].x) == [1, 2]
    assert [round(each, 9) for each in lines[0].y] == [1.1, 0.6]
    (dashed, _) = [
        each for each in figure.data if each.line.dash == "dash" and each.legendgroup == "a"
    ]
    assert [round(each, 9) for each in dashed.y] == [0.55, 0.3]
    band, _ = [each for each in figure.data if each.fill == "toself"]  # of a's loss and score
    high, low = band.y[1], band.y[2]  # up to the last epoch, and back
    assert round(high - low, 9) == round(2 * 0.2 * 0.5**0.5, 9)
    ends = [each for each in figure.data if each.mode == "markers"]
    assert [list(each.x) for each in ends[:3:2]] == [[0.5, 0.7], [0.9]]
    assert {each.name for each in figure.data if each.showlegend is not False and each.name} == {
        "a",
        "b<",
    }


def test_scores_that_were_not_measured_are_left_out() -> None:
    made = record()
    for choice in made["choices"]:
        choice["curves"].pop("train_score", None)
    made["choices"][0]["curves"]["val_score"] = {"mean": [None, 0.7], "sd": [None, 0.1]}
    figure = picture(made)
    score = [each for each in figure.data if each.xaxis == "x2" and each.legendgroup == "a"]
    assert [list(each.x) for each in score] == [[2, 2], [2]]


def test_the_page_is_whole_and_harmless() -> None:
    text = page(record())
    assert "<h1>toy: optimizer</h1>" in text
    assert "b&lt; failed with 1 of 2 seeds" in text
    assert text.count("Plotly.newPlot(") == 1
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
