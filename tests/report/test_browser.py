"""The report in a real browser: narrow and wide, light and dark, on paper, loading nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hpo.report.page import report
from tests.browser import browse, measured, needs_browser
from tests.report.making import Page, made

pytestmark = needs_browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "made.html"
    path.write_text(report(made()))
    return path


def light(colour: str) -> float:
    """From 0, black, to 1, white, of ``rgb(…)``."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765


@pytest.mark.parametrize("width", [360, 1100])
def test_pictures_are_there_and_nothing_is_wider_than_the_page(
    page: Path, tmp_path: Path, width: int
) -> None:
    found = measured(tmp_path, page, width)
    pictures = Page(page.read_text()).attributes("svg")
    assert len(found["pictures"]) == sum(each.get("role") == "img" for each in pictures) > 5
    for wide, high, right in found["pictures"]:
        assert wide > 100
        assert high > 60
        assert right <= width
    assert found["wide"] <= width
    assert found["loaded"] == []


def test_it_is_light_or_dark_as_the_reader_likes(page: Path, tmp_path: Path) -> None:
    by_scheme: dict[int, dict[str, Any]] = {
        scheme: measured(tmp_path, page, 800, f"--blink-settings=preferredColorScheme={scheme}")
        for scheme in (0, 1)
    }
    dark, bright = by_scheme[0], by_scheme[1]
    assert light(dark["ink"]) - light(dark["paper"]) > 0.6
    assert light(bright["paper"]) - light(bright["ink"]) > 0.6


def test_it_prints(page: Path, tmp_path: Path) -> None:
    printed = tmp_path / "made.pdf"
    browse(tmp_path, f"--print-to-pdf={printed}", "--no-pdf-header-footer", page.as_uri())
    content = printed.read_bytes()
    assert content.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page[^s]", content))
    assert 2 <= pages <= 8
