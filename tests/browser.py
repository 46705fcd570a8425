"""Pages in a real browser without a window; tests of them are skipped where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.report.making import Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open pages")

_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--mute-audio",
    "--disable-extensions", "--disable-dev-shm-usage",
)  # fmt: skip


def browse(folder: Path, *arguments: str, seconds: float = 60) -> str:
    """What the browser prints; its own files stay in ``folder``."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *_QUIET, f"--user-data-dir={folder / 'browser'}", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds,
    )
    return done.stdout


def dom(folder: Path, url: str, milliseconds: int = 5000) -> Page:
    """What a page holds after its scripts have had so much time."""
    return Page(browse(folder, f"--virtual-time-budget={milliseconds}", "--dump-dom", url))


_MEASURE = """<!doctype html>
<iframe id=f style="width:%dpx;height:900px;border:0" src="%s"></iframe>
<pre id=out></pre><script>
document.getElementById('f').onload = function () {
  var d = this.contentDocument, w = this.contentWindow;
  var pictures = [...d.querySelectorAll('svg[role=img]')].map(function (each) {
    var box = each.getBoundingClientRect();
    return [box.width, box.height, box.right];
  });
  var style = w.getComputedStyle(d.body);
  document.getElementById('out').textContent = JSON.stringify({
    pictures: pictures, wide: d.documentElement.scrollWidth, paper: style.backgroundColor,
    ink: style.color, headings: d.querySelectorAll('h2').length,
    loaded: w.performance.getEntriesByType('resource').map(each => each.name),
  });
};
</script>"""


def measured(folder: Path, page: Path, width: int, *options: str) -> dict[str, Any]:
    """How a page of ours is laid out in a window of so many pixels."""
    frame = folder / "frame.html"
    frame.write_text(_MEASURE % (width, page.as_uri()))
    text = browse(
        folder,
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        f"--window-size={max(width, 500) + 50},1000",
        *options,
        "--dump-dom",
        frame.as_uri(),
    )
    found: dict[str, Any] = json.loads(Page(text).texts("pre")[0])
    return found
