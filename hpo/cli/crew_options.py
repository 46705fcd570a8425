"""Who trains: the options, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from hpo.cli.frame import say
from hpo.cli.options import added, whole_number
from hpo.search.clusters.joining import BACKENDS, HERE, cores, joined

crew_options = added(
    whole_number(
        "--workers", "Processes that train. Default: one per core, or all that a cluster has."
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
"""Give a command the options of who trains."""


@contextmanager
def crew(workers: int | None, backend: str, address: str | None) -> Iterator[int]:
    """How many processes train what is trained inside; a cluster's, if one is asked for."""
    with joined(backend, address, workers or cores()) as cluster:
        for note in cluster.notes if cluster else ():
            say(f"note: {note}")
        yield workers or (cluster.n_workers if cluster else cores())


def is_alone(workers: int | None, backend: str) -> bool:
    """Whether the command's own process trains everything."""
    return backend == HERE and (workers or cores()) == 1
