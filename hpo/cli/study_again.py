"""A study that a command opens again: where its data are now, and the experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.options import added

if TYPE_CHECKING:
    from hpo.joined_study import JoinedStudy

data_again_options = added(
    click.option("--data", metavar="DATA", help="Where the study's data are now."),
    click.option("--labels", metavar="FILE", help="Labels of an IDX image file."),
)
"""Give a command the options that say where a study's data are, if they were moved."""


@contextmanager
def study_again(options: Mapping[str, Any]) -> Iterator[JoinedStudy]:
    """The experiment of the study that the options name, also those of `data_again_options`.

    Raises what `reopened` raises.
    """
    import optuna

    from hpo.joining import Joining
    from hpo.reopening import reopened

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reopened(
        options["study"],
        options["storage"],
        data=options["data"],
        labels=options["labels"],
        joining=Joining(options["artifacts"]),
    ) as experiment:
        yield experiment
