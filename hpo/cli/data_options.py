"""The options that say what the data are and how their rows are split, and what they load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.completion import complete_data
from hpo.cli.options import added
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.data.table import Dataset

DEFAULT_SIZE = 0.2
"""Of the test part of all rows, and of the validation part of the others."""

data_options = added(
    click.argument("data", default="digits", shell_complete=complete_data),
    click.option(
        "--target", metavar="COL", help="Column to predict: a name, or a number without a header."
    ),
    click.option("--no-header", is_flag=True, help="The table has no header line."),
    click.option(
        "--numeric", multiple=True, metavar="COL", help="A column that must hold numbers."
    ),
    click.option("--labels", metavar="FILE", help="Labels of an IDX image file, if not beside it."),
    click.option(
        "--group", metavar="COL", help="Keep rows of one group, as a patient's, in one part."
    ),
    click.option(
        "--time",
        metavar="COL",
        help="Train on the earliest rows, test on the latest.",
    ),
    click.option(
        "--test-size",
        type=float,
        metavar="F",
        help=f"Share of all rows kept sealed for the test.  [default: {DEFAULT_SIZE}]",
    ),
    click.option(
        "--test-file", metavar="FILE", help="The rows for the test, with the columns of DATA."
    ),
    click.option(
        "--validation-size",
        type=float,
        metavar="F",
        help=f"Share of the others that scores the trials.  [default: {DEFAULT_SIZE}]",
    ),
)
"""Give a command the argument DATA and the options of data and splits, as `load_data` reads."""


def load_data(data: str, options: Mapping[str, Any]) -> Dataset:
    """Return the data set that the options of `data_options` name.

    Raises
    ------
    UsageError
        An option is missing, does not fit the data, or does not go with another.
    DataError
        The data cannot be used.
    """
    if options["test_file"] is not None and options["test_size"] is not None:
        raise UsageError(
            f"--test-size {options['test_size']:g} makes no sense with --test-file, whose rows are "
            "the test part; leave one out"
        )
    for name, size in sizes(options).items():
        if not 0 < size < 1:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} {size:g}: it must lie between 0 and 1, as 0.2 does")
    from hpo.data.errors import OptionError
    from hpo.data.loading import load

    named = {name: options[name] for name in ("target", "labels", "group", "time", "test_file")}
    try:
        return load(data, header=not options["no_header"], numeric=options["numeric"], **named)
    except OptionError as error:
        raise UsageError(str(error)) from error


def sizes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shares of the test part and of the validation part, by the names of settings."""
    names = ("test_size", "validation_size")
    return {name: DEFAULT_SIZE if options[name] is None else options[name] for name in names}
