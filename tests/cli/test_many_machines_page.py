"""The commands of docs/many_machines.md that need no other machine run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpo.cli.app import cli
from hpo.search.clusters.joining import BACKENDS
from tests.pages import commands, run
from tests.running import Hpo

PAGE = (Path(__file__).parents[2] / "docs" / "many_machines.md").read_text()
COMMANDS = commands(PAGE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(hpo: Hpo, command: str) -> None:
    assert "Best-1" in run(hpo, command).out


def test_every_cluster_is_on_the_page_and_no_option_that_is_none() -> None:
    assert COMMANDS
    for backend in set(BACKENDS) - {"loky"}:
        assert f"--backend {backend} --address" in PAGE
    known = {option for each in cli.commands["search"].params for option in each.opts}
    lines = [line for line in PAGE.splitlines() if "hpo search" in line]
    assert {word for line in lines for word in re.findall(r"--[a-z-]+", line)} <= known
