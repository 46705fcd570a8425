"""Where the value of an option comes from.

A flag goes before a variable, a variable before the settings files, and these before the default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from hpo.cli.configuration import COMMON, File, keys


class Origin(NamedTuple):
    """``kind`` is flag, variable, file or default; ``where`` names the variable, or file and table.

    ``path`` is the whole path of the file.
    """

    kind: str
    where: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        return self.where or self.kind


OTHER_VARIABLES = (
    "HPO_CONFIG", "HPO_DEBUG", "HPO_BENCHMARK_DATA", "HPO_TEST_POSTGRESQL", "HPO_TEST_MYSQL",
)  # fmt: skip
"""Variables that set no option: some are for the benchmarks and for the tests."""

_ORIGINS = "hpo.origins"


@dataclass
class Invocation:
    """What was typed; and, once its settings files are read, the command that it calls."""

    arguments: list[str]
    context: click.Context | None = None
    files: list[File] | None = None

    def texts(self) -> Iterator[str]:
        """All that was said by the user in flags, variables and files."""
        yield from self.arguments
        yield from (value for name, value in os.environ.items() if name.startswith("HPO_"))
        for file in self.files or ():
            yield from file.texts()


def variables(command: str, key: str) -> list[str]:
    """The variables that set an option, the strongest first: ``HPO_SEARCH_SEED``."""
    name = key.upper().replace("-", "_")
    return [f"HPO_{command.upper()}_{name}", *([f"HPO_{name}"] if key in COMMON else [])]


def idle(commands: Mapping[str, click.Command]) -> Iterator[str]:
    """What to say of each variable of the environment that is named like ours and sets nothing."""
    known = {name: name for name in OTHER_VARIABLES}
    without_command: dict[str, str] = {}
    # Those of a search, which are set most, are meant first.
    for name in sorted(commands, key=lambda name: name != "search"):
        for key in keys(commands[name]):
            own = variables(name, key)
            known |= {each: each for each in own}
            without_command.setdefault(f"HPO_{key.upper().replace('-', '_')}", own[0])
    meant = without_command | known
    for name in sorted(os.environ):
        if name.startswith("HPO_") and name not in known:
            near = difflib.get_close_matches(name, meant, n=1, cutoff=0.8)
            yield f"{name} sets nothing" + (f": did you mean {meant[near[0]]}?" if near else "")


def settle(context: click.Context, files: Sequence[File]) -> None:
    """Let what settings files say be the defaults of ``context``'s command; strongest file first.

    Click then takes a flag, else a variable, else such a default, else the option's own.
    """
    known = keys(context.command)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for file in reversed(files):
        for key, (value, table) in file.of(str(context.info_name)).items():
            if key in known:
                parameter = str(known[key].name)
                values[parameter] = value
                where = " ".join(filter(None, [str(file.path), table]))
                origins[parameter] = Origin("file", where, str(file.path.resolve()))
    context.default_map = values
    context.meta[_ORIGINS] = origins


def origin(context: click.Context, key: str, parameter: click.Parameter) -> Origin:
    """Where the value of a parameter comes from that was parsed in ``context``."""
    source = context.get_parameter_source(str(parameter.name))
    if source is ParameterSource.COMMANDLINE:
        return Origin("flag" if isinstance(parameter, click.Option) else "argument")
    if source is ParameterSource.ENVIRONMENT:
        names = variables(str(context.info_name), key)
        return Origin("variable", next(each for each in names if os.environ.get(each)))
    if source is ParameterSource.DEFAULT_MAP:
        found: Origin = context.meta[_ORIGINS][parameter.name]
        return found
    return Origin("default")


def blamed(line: str, context: click.Context | None) -> str:
    """Whom an error should name besides the flags that it names: who has set them."""
    if context is None:
        return ""
    found = [
        f"{flag} comes from {who}"
        for key, parameter in keys(context.command).items()
        for flag, who in [(f"--{key}", origin(context, key, parameter))]
        if who.kind in {"variable", "file"} and re.search(rf"(?<![\w-]){flag}(?![\w-])", line)
    ]
    return f" ({', '.join(found)})" if found else ""
