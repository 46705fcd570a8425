"""``hpo config``: every setting and where it comes from."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from hpo.cli.configuration import File, keys
from hpo.cli.options import json_option
from hpo.cli.origins import Invocation, Origin, origin, settle
from hpo.cli.printing import emit, plain, room
from hpo.errors import UsageError


class Setting(NamedTuple):
    """A setting's value, as it would be typed, and where it comes from."""

    key: str
    value: Any
    origin: Origin


@click.command(
    short_help="Every setting, and where it comes from.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("command", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@json_option
def config(command: str | None, arguments: tuple[str, ...], as_json: bool) -> None:
    """Show the settings of COMMAND, or of all commands, and where each comes from.

    \b
    Example:
      hpo config search
      hpo config search digits --trials 200

    A flag goes before a variable (HPO_SEARCH_TRIALS), this before --config FILE, hpo.toml and
    [tool.hpo] in pyproject.toml, and these before the default. ARGUMENTS are those that the command
    would be given.
    """
    context = click.get_current_context()
    group, invocation = context.find_root().command, context.obj
    assert isinstance(group, click.Group)
    assert isinstance(invocation, Invocation)
    commands = group.commands if command is None else {command: _found(group.commands, command)}
    files = invocation.files or []
    found = {
        name: _settings(name, each, files, arguments, invocation) for name, each in commands.items()
    }
    if as_json:
        emit(json.dumps(_document(found, files), allow_nan=False))
    else:
        emit("\n".join(_screen(found, files)))


def _found(commands: Mapping[str, click.Command], name: str) -> click.Command:
    if name in commands:
        return commands[name]
    near = difflib.get_close_matches(name, commands, n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(commands)}"
    raise UsageError(f"there is no command {name!r}: {meant}")


def _settings(
    name: str,
    command: click.Command,
    files: Sequence[File],
    arguments: Sequence[str],
    invocation: Invocation,
) -> list[Setting]:
    """Every setting that the command would have, given these arguments."""
    context = click.Context(command, info_name=name)
    invocation.context = context  # whoever refuses a value says where it comes from
    settle(context, files)
    given, left, _ = command.make_parser(context).parse_args(list(arguments))
    if left:
        raise UsageError(f"hpo {name} takes no argument {left[0]!r}")
    found = []
    for key, parameter in keys(command).items():
        value, source = parameter.consume_value(context, given)
        context.set_parameter_source(str(parameter.name), source)
        if source is not ParameterSource.DEFAULT:
            parameter.process_value(context, value)  # which refuses what cannot be
            value = parameter.type_cast_value(context, value)
        found.append(Setting(key, _plain(value), origin(context, key, parameter)))
    return found


def _plain(value: Any) -> Any:
    """The value for JSON; click marks by an object of its own what nobody has set."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        from hpo.cli.words import hidden

        return hidden(value)
    return value if isinstance(value, bool | int | float) else None


def _document(found: Mapping[str, Sequence[Setting]], files: Sequence[File]) -> dict[str, Any]:
    return {
        "files": [str(file.path.resolve()) for file in files],
        "commands": {
            name: {
                each.key: {
                    "value": each.value,
                    "origin": each.origin.kind,
                    "where": each.origin.where,
                    "path": each.origin.path,
                }
                for each in settings
            }
            for name, settings in found.items()
        },
    }


def _screen(found: Mapping[str, Sequence[Setting]], files: Sequence[File]) -> list[str]:
    from hpo.cli.tables import Column, text_table

    used = [str(file.path) for file in files if file.values]
    lines = [f"settings files: {plain(', '.join(used)) or 'none'}"]
    for name, settings in found.items():
        columns = [
            Column(f"hpo {name}", [each.key for each in settings], right=False, weight=3),
            Column(
                "value", [_text(each.value) for each in settings],
                right=False, weight=2, shortest=8,
            ),
            Column("from", [str(each.origin) for each in settings], right=False, shortest=10),
        ]  # fmt: skip
        table, _ = text_table(columns, room())
        lines += ["", *table]
    return lines


def _text(value: Any) -> str | None:
    """As a settings file has it, but without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    return None if value is None else str(value)
