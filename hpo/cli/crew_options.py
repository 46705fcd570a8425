"""Who trains: the options, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from hpo.search.clusters.joining import BACKENDS, HERE, cores, joined

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Processes that train. Default: one per core, or all that a cluster has.",
    ),
    click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default=HERE,
        show_default=True,
        help="Whose processes they are: this machine's, or those of a Dask or Ray cluster.",
    ),
    click.option(
        "--address",
        metavar="URL",
        help="The cluster's, tcp://HOST:8786, auto or ray://HOST:10001. Default: a new one here.",
    ),
)


def crew_options(command: Command) -> Command:
    """Give a command the options of who trains."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def crew(workers: int | None, backend: str, address: str | None) -> Iterator[int]:
    """How many processes train what is trained inside; a cluster's, if one is asked for."""
    from hpo.cli.progress import say

    with joined(backend, address, workers or cores()) as cluster:
        for note in cluster.notes if cluster else ():
            say(f"note: {note}")
        yield workers or (cluster.n_workers if cluster else cores())


def is_alone(workers: int | None, backend: str) -> bool:
    """Whether the command's own process trains everything."""
    return backend == HERE and (workers or cores()) == 1
