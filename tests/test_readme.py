"""The README's code blocks run, and its capture has the form of what is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.pages import run_all
from tests.running import Hpo

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def test_the_setup_commands_are_single_lines_that_make_their_environment() -> None:
    search, tests = blocks("sh")[:2]
    for command in (search, tests):
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert search.endswith("&& .venv/bin/hpo search digits\n")
    assert tests.endswith("&& .venv/bin/python -m pytest\n")
    assert {name for name, _ in BLOCKS} == {"sh", "text", "python"}


def test_the_japanese_one_has_the_same_blocks_and_links() -> None:
    japanese = (Path(__file__).parent.parent / "README.ja.md").read_text()
    assert re.findall(r"^```(\w+)\n(.*?)^```$", japanese, re.DOTALL | re.MULTILINE) == BLOCKS

    def links(text: str) -> set[str]:
        return set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README.ja.md"}

    assert links(japanese) == links(README)
    assert japanese.count("\n## ") == README.count("\n## ")


def shape(text: str) -> str:
    """The text with every number replaced."""
    return re.sub(r"\d+(\.\d+)?(e[+-]\d+)?", "#", text)


@pytest.fixture
def table(tmp_path: Path) -> None:
    """A table.csv with a price, as the commands name it."""
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{'xyz'[i % 3]},{3 * a + i % 3:.3f}" for i, a in enumerate(rng.normal(size=200))
    ]
    (tmp_path / "table.csv").write_text("\n".join(["size,kind,price", *rows]) + "\n")


@pytest.mark.usefixtures("table")
def test_the_code_blocks_run_in_their_order(hpo: Hpo, tmp_path: Path) -> None:
    commands = [line for block in blocks("sh")[2:] for line in block.splitlines()]
    assert len(commands) == 7
    run_all(hpo, commands)
    for script in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


@pytest.mark.slow
def test_the_capture_has_the_form_of_what_is_printed(hpo: Hpo) -> None:
    shown = blocks("text")[0]
    printed = hpo("search", "digits").out.replace(" --workers 1", "")
    assert [shape(line) for line in shown.splitlines()] == [
        shape(line) for line in printed.splitlines()
    ]
