"""The commands that a page of the documentation shows, and running them as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.running import Hpo, Ran


def commands(page: str) -> list[str]:
    """Every line of the page's blocks of shell commands."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def run(hpo: Hpo, command: str) -> Ran:
    """Run one, which must be ours, succeed and print something."""
    program, *arguments = command.split()
    assert program == "hpo"
    ran = hpo(*arguments)
    assert ran.code == 0, f"{command}: {ran.err}"
    assert ran.out
    return ran


def run_all(hpo: Hpo, several: Iterable[str]) -> None:
    """Run them in their order."""
    for command in several:
        run(hpo, command)
