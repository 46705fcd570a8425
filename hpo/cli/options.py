"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

storage_option = click.option(
    "--storage",
    envvar="HPO_STORAGE",
    default="sqlite:///hpo.db",
    show_default=True,
    metavar="URL",
    help="Where studies are kept; also $HPO_STORAGE.",
)

_DATA_AGAIN = (
    click.option("--data", metavar="DATA", help="Where the study's data are now."),
    click.option("--labels", metavar="FILE", help="Labels of an IDX image file."),
)


def data_again_options(command: Command) -> Command:
    """Give a command the options that say where a study's data are, if they were moved."""
    for option in reversed(_DATA_AGAIN):
        command = option(command)
    return command


artifacts_option = click.option(
    "--artifacts",
    envvar="HPO_ARTIFACTS",
    metavar="WHERE",
    help="Folder or s3://BUCKET/PREFIX where networks are too; also $HPO_ARTIFACTS.",
)
