"""The options that every command has, and the variables that set its others."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import click

from hpo.cli.configuration import keys, read
from hpo.cli.origins import Invocation, idle, origin, settle, variables
from hpo.errors import UsageError

EVERYWHERE = ("config", "quiet", "verbose")
"""The options that every command has."""

_QUIET, _VERBOSE = "hpo.quiet", "hpo.verbose"


def framed(command: click.Command) -> click.Command:
    """Give a command ``--config``, ``--quiet`` and ``--verbose``, and its variables."""
    command.params += [
        click.Option(
            ["--config"],
            metavar="FILE",
            envvar="HPO_CONFIG",
            is_eager=True,  # before the options whose defaults it holds
            expose_value=False,
            callback=_configure,
            help="Settings in TOML, before those of hpo.toml and pyproject.toml.",
        ),
        _loudness(["--quiet", "-q"], "Say nothing but results and errors."),
        _loudness(["--verbose", "-v"], "Say what variables and files set; trace internal errors."),
    ]
    for key, parameter in keys(command).items():
        parameter.envvar = variables(str(command.name), key)
    assert command.callback is not None
    command.callback = _telling(command.callback)
    return command


def _telling(work: Callable[..., Any]) -> Callable[..., Any]:
    """``work``; before it is said which variables set nothing, and by ``--verbose`` what sets."""

    @functools.wraps(work)
    def tell_and_work(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        group = context.find_root().command
        if isinstance(group, click.Group):
            for note in idle(group.commands):
                say(f"note: {note}")
        if is_verbose(context):
            for key, parameter in keys(context.command).items():
                found = origin(context, key, parameter)
                if found.kind in {"variable", "file"}:
                    say(f"{key} comes from {found}")
        return work(*arguments, **options)

    return tell_and_work


def _loudness(flags: list[str], says: str) -> click.Option:
    return click.Option(flags, is_flag=True, expose_value=False, callback=_hear, help=says)


def _configure(context: click.Context, _parameter: click.Parameter, chosen: str | None) -> None:
    group = context.find_root().command
    assert isinstance(group, click.Group)
    try:
        files = read(chosen, group.commands)
    except UsageError:
        if context.resilient_parsing:  # the shell completes a line, and nothing is to be said
            return
        raise
    settle(context, files)
    if isinstance(context.obj, Invocation):
        context.obj.context, context.obj.files = context, files


def _hear(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember one of the two flags; of both, what is said more explicitly holds."""
    context.meta[f"hpo.{parameter.name}"] = value
    if not (context.meta.get(_QUIET) and context.meta.get(_VERBOSE)):
        return
    said = {name: context.get_parameter_source(name) for name in ("quiet", "verbose")}
    if said["quiet"] == said["verbose"]:
        raise click.UsageError("--quiet says nothing and --verbose says more; leave one out")
    weaker = max(said, key=lambda name: said[name] or 0)
    context.meta[f"hpo.{weaker}"] = False


def is_quiet() -> bool:
    """Whether the command that runs was asked to say nothing but results and errors."""
    return bool(_of_this_command(_QUIET))


def is_verbose(context: click.Context | None = None) -> bool:
    """Whether the command was asked to say more."""
    return bool(_of_this_command(_VERBOSE, context))


def _of_this_command(name: str, context: click.Context | None = None) -> Any:
    context = context or click.get_current_context(silent=True)
    return None if context is None else context.meta.get(name)


def say(line: str) -> None:
    """Print one plain line on stderr, unless the command is to be quiet."""
    if is_quiet():
        return
    with contextlib.suppress(BrokenPipeError):  # nobody reads it, and the search goes on
        click.echo(line, err=True)
