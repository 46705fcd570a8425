"""The commands of docs/storage.md run as they stand, in their order."""

from __future__ import annotations

from pathlib import Path

from hpo.cli.app import cli
from hpo.cli.frame import EVERYWHERE
from tests.pages import commands, run_all
from tests.running import Hpo

PAGE = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()
COMMANDS = commands(PAGE)


def test_the_commands_run_in_their_order(hpo: Hpo) -> None:
    assert len(COMMANDS) == 10
    run_all(hpo, COMMANDS)


def test_every_option_of_the_commands_for_storages_is_on_the_page() -> None:
    for name in ("leaderboard", "studies", "doctor", "gc"):
        assert f"`hpo {name}" in PAGE
        own = (each for each in cli.commands[name].params if each.name not in EVERYWHERE)
        options = {option for each in own for option in each.opts}
        said = options - {"study", "--json", "--storage", "--artifacts"}
        assert {option for option in said if option not in PAGE} == set()
