"""Settings files: ``--config FILE``, ``hpo.toml`` and ``[tool.hpo]`` in ``pyproject.toml``.

A key is an option's name without its dashes, or an argument's. At the top level stand those of
`COMMON`; every command has a table of its own, which goes before the top level of the same file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hpo.errors import UsageError

OURS = "hpo.toml"
PROJECT = "pyproject.toml"

COMMON = (
    "storage", "artifacts", "workers", "json", "quiet", "verbose",
    "target", "no-header", "numeric", "group", "time", "test-size", "test-file", "validation-size",
)  # fmt: skip
"""Keys of the top level, and variables ``HPO_KEY``: they mean the same for every command."""

NEVER = ("config", "help", "version")
"""Options that no file and no variable of a command sets."""

Commands = Mapping[str, click.Command]


@dataclass(frozen=True)
class File:
    """A settings file as it was read. ``prefix`` are the tables that ours stand in, as a text."""

    path: Path
    prefix: str
    values: Mapping[str, Any]

    def of(self, command: str) -> dict[str, tuple[Any, str]]:
        """Key -> the value for this command, and the table in which it stands."""
        found = {
            key: (value, self.table(""))
            for key, value in self.values.items()
            if not isinstance(value, Mapping)
        }
        own = self.values.get(command, {})
        return found | {key: (value, self.table(command)) for key, value in own.items()}

    def table(self, command: str) -> str:
        """``[search]``, ``[tool.hpo.search]``, ``[tool.hpo]``; empty for the top level."""
        name = ".".join(filter(None, [self.prefix, command]))
        return f"[{name}]" if name else ""

    def texts(self) -> Iterator[str]:
        """Every text of the file, for who must not repeat what is secret."""
        for value in self.values.values():
            inner = value.values() if isinstance(value, Mapping) else [value]
            yield from (each for each in inner if isinstance(each, str))


def keys(command: click.Command) -> dict[str, click.Parameter]:
    """The parameters of a command that settings name, by their keys."""
    named = {_key(each): each for each in command.params}
    return {key: each for key, each in named.items() if key not in NEVER}


def _key(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return next(each[2:] for each in parameter.opts if each.startswith("--"))
    return str(parameter.name)


def read(chosen: str | None, commands: Commands) -> list[File]:
    """The files that there are, the strongest first; each key and type in them was checked.

    Raises
    ------
    UsageError
        A file cannot be read, or holds a key that no command has, or a value of another type.
    """
    files = [] if chosen is None else [_opened(Path(chosen), "")]
    if Path(OURS).exists():
        files.append(_opened(Path(OURS), ""))
    if Path(PROJECT).exists():
        files.append(_opened(Path(PROJECT), "tool.hpo"))
    for file in files:
        _check(file, commands)
    return files


def _opened(path: Path, prefix: str) -> File:
    import tomllib

    try:
        values: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"--config {path}: there is no such file") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8, as TOML is") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    for name in filter(None, prefix.split(".")):
        values = values.get(name, {}) if isinstance(values, dict) else values
    if not isinstance(values, dict):
        raise UsageError(f"{path}: {prefix} must be a table, [{prefix}]")
    return File(path, prefix, values)


def _check(file: File, commands: Commands) -> None:
    everywhere: dict[str, click.Parameter] = {}
    for command in commands.values():
        everywhere |= {key: each for key, each in keys(command).items() if key in COMMON}
    for key, value in file.values.items():
        if key in commands:
            if not isinstance(value, Mapping):
                raise UsageError(f"{file.path}: {key} must be a table, {file.table(key)}")
            for inner, one in value.items():
                _check_value(file, key, keys(commands[key]), inner, one)
        elif isinstance(value, Mapping):
            raise UsageError(
                f"{file.path}: {file.table(key)} is the table of no command{_near(key, commands)}"
            )
        else:
            if key not in everywhere:
                _refuse_misplaced(file, key, commands)
            _check_value(file, "", everywhere, key, value)


def _refuse_misplaced(file: File, key: str, commands: Commands) -> None:
    """Raise ``UsageError`` for a key that some commands have, but not at the top level."""
    owners = [file.table(name) for name, command in commands.items() if key in keys(command)]
    if owners:
        raise UsageError(f"{file.path}: {key} must stand below {' or '.join(owners)}")


def _check_value(
    file: File, command: str, known: Mapping[str, click.Parameter], key: str, value: Any
) -> None:
    table = file.table(command)
    if key not in known:
        where = f"{file.path}: {table}" if table else str(file.path)
        raise UsageError(f"{where} has the unknown key {key!r}{_near(key, known)}")
    if wanted := _wrong(known[key], key, value):
        named = f"{table} {key}" if table else key
        raise UsageError(f"{file.path}: {named} must be {wanted}, not {_kind(value)}")


def _near(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name.replace("_", "-"), list(names), n=1)
    return f": did you mean {found[0]!r}?" if found else ""


def _wrong(parameter: click.Parameter, key: str, value: Any) -> str | None:
    """What the value must be; None if it is."""
    if isinstance(parameter, click.Option) and parameter.multiple:
        if isinstance(value, list) and all(_wrong_one(parameter, each) is None for each in value):
            return None
        return f'a list of texts, as in {key} = ["…"]'
    return _wrong_one(parameter, value)


def _wrong_one(parameter: click.Parameter, value: Any) -> str | None:
    # A bool is an int to Python, and none to anybody else.
    number = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(parameter.type, click.types.BoolParamType):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(parameter.type, click.types.IntParamType):
        return None if number else "a whole number"
    if isinstance(parameter.type, click.types.FloatParamType):
        return None if number or isinstance(value, float) else "a number"
    # The number of a column, or of a class, is a text on the command line too.
    return None if isinstance(value, str) or number else "a text in quotes"


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text in quotes"}
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list) else kinds.get(type(value), "a date or time")
