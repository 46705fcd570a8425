"""The commands and examples of docs/data.md run as they stand, in their order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from hpo.cli.data_options import data_options
from hpo.data.cells import MISSING
from tests.running import Hpo

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_it_runs_in_its_order(hpo: Hpo, tmp_path: Path) -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds == ["python", "sh", "sh", "sh", "python"]
    for kind, text in BLOCKS:
        if kind == "python":
            command = [sys.executable, "-W", "error", "-c", text]
            done = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout
            continue
        for line in text.splitlines():
            program, *arguments = line.split()
            assert program == "hpo"
            ran = hpo(*arguments)
            assert ran.code == 0, f"{line}: {ran.err}"
            assert ran.out


def test_every_option_of_data_is_on_the_page() -> None:
    def command() -> None:
        """Take the options and do nothing."""

    options = [each for each in data_options(command).__click_params__ if each.name != "data"]
    assert len(options) == 9
    assert [each.opts[0] for each in options if each.opts[0] not in PAGE] == []


def test_what_is_missing_is_on_the_page() -> None:
    assert {text for text in MISSING if text.upper() not in PAGE.upper()} <= {"#N/A", "-nan"}
