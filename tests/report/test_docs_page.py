"""The commands of docs/report.md run as they stand, and every option is on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.cli.app import cli
from tests.pages import commands, run_all
from tests.running import Hpo

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
COMMANDS = commands(PAGE)


def test_the_commands_run_in_their_order(hpo: Hpo, tmp_path: Path) -> None:
    assert len(COMMANDS) == 3
    run_all(hpo, COMMANDS)
    assert {each.name for each in tmp_path.glob("*.html")} == {"iris-report.html", "iris.html"}


@pytest.mark.parametrize("name", ["report", "dashboard"])
def test_every_option_is_on_the_page(name: str) -> None:
    assert f"`hpo {name}" in PAGE
    options = {option for each in cli.commands[name].params for option in each.opts}
    everywhere = {"--config", "--quiet", "-q", "--verbose", "-v"}  # docs/configuration.md
    wanted = options - {"study", "storage"} - everywhere
    assert {each for each in wanted if each not in PAGE} == set()
