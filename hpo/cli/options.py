"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hpo.cli.completion import complete_study

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]


def added(*options: Option[Any]) -> Option[Any]:
    """What gives a command these options, in their order in its help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class WholeNumber(click.IntRange):
    """What is refused is said to be no whole number, and not no range."""

    name = "whole number"


class Number(click.FloatRange):
    """What is refused is said to be no number, and not no range."""

    name = "number"


def whole_number(
    flag: str,
    says: str,
    *,
    default: int | None = None,
    least: int = 1,
    most: int | None = None,
    metavar: str = "N",
) -> Option[Any]:
    """An option that takes a whole number; its help shows the default, if there is one."""
    kind = WholeNumber(least, most)
    return click.option(
        flag, type=kind, metavar=metavar, default=default, show_default=True, help=says
    )


def storage_of(what: str) -> Option[Any]:
    """The option that says in which database ``what`` is kept."""
    return click.option(
        "--storage",
        envvar="HPO_STORAGE",
        default="sqlite:///hpo.db",
        show_default=True,
        metavar="URL",
        help=f"Where {what} are kept; also $HPO_STORAGE.",
    )


def artifacts_of(which: str, default: str = "") -> Option[Any]:
    """The option that says in which folder or bucket networks are."""
    return click.option(
        "--artifacts",
        envvar="HPO_ARTIFACTS",
        metavar="WHERE",
        help=f"Folder or s3://BUCKET/PREFIX {which}; also $HPO_ARTIFACTS.{default}",
    )


study_argument = click.argument("study", required=False, shell_complete=complete_study)

storage_option = storage_of("studies")

artifacts_option = artifacts_of("where networks are too")

model_option = click.option(
    "--model",
    metavar="NAME",
    help="The winner, or an ensemble by its name. Default: that with the best promised score.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
