"""Pictures of checks: they show the record's numbers, and the page needs no network."""

from __future__ import annotations

import re
from typing import Any

from hpo.report.checks import learning_rates, page, small_batch

RECORD: dict[str, Any] = {
    "name": "a<b",
    "searched": [1e-5, 1e-1],
    "findings": {
        "data": [
            {"level": "problem", "what": "'x' > y", "advice": ""},
            {"level": "ok", "what": "fine", "advice": ""},
        ],
        "network": [],
    },
    "curves": {
        "learning_rate_range": {
            "learning_rate": [1e-3, 1e-2, 1e-1, 1.0],
            "loss": [[2.0, 1.9], [1.8, 0.5], [3.0, 2.6], [9.0, None]],
            "learns": [1e-2, 1e-2],
            "best": [1e-2, 1e-2],
        },
        "small_batch": {
            "learning_rate": [1e-3, 1e-2],
            "loss": [[2.0, 1.0], [2.0, 0.0]],
            "best": 1e-2,
            "enough": 0.05,
        },
    },
}


def test_rates_are_drawn_and_what_is_too_high_is_crossed() -> None:
    figure = learning_rates(RECORD)
    curve, best, beyond = figure.data
    assert (list(best.x), list(best.y)) == ([1e-2], [0.5])
    assert list(curve.x) == [1e-3, 1e-2, 1e-1, 1.0]
    assert list(curve.y) == [1.9, 0.5, None, None]  # above 1.25 times the first loss
    assert (list(beyond.x), list(beyond.y)) == ([1e-1, 1.0], [2.5, 2.5])
    line, searched = figure.layout.shapes
    assert line.y0 == 2.0
    assert (searched.x0, searched.x1) == (1e-5, 1e-1)
    assert figure.layout.xaxis.type == "log"


def test_the_best_rate_of_a_small_batch_stands_out() -> None:
    figure = small_batch(RECORD)
    slow, best = figure.data
    assert (list(best.x), list(best.y)) == ([1, 2], [2.0, 2e-5])  # nothing has no logarithm
    assert figure.layout.shapes[0].y0 == 0.1
    assert best.line.width > slow.line.width


def test_the_page_is_whole_and_harmless() -> None:
    text = page(RECORD)
    assert "<h1>a&lt;b: checks before a search</h1>" in text
    assert "<p>problem: 'x' &gt; y</p>" in text
    assert "fine" not in text.split("<script")[0]
    assert text.count("Plotly.newPlot(") == 2
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
