"""The command's frame: commands, exit codes, and errors as one line on stderr."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from hpo._version import __version__
from hpo.cli.search import search
from hpo.data.errors import DataError
from hpo.errors import NoFiniteTrialError, UsageError
from storage.errors import ArtifactError, StorageError

EXIT_CODES: dict[type[Exception], int] = {
    UsageError: 2,
    DataError: 3,
    StorageError: 4,
    NoFiniteTrialError: 5,
    ArtifactError: 6,
}
INTERNAL, INTERRUPTED, TERMINATED = 1, 130, 143


class TerminatedError(BaseException):
    """SIGTERM arrived; no handler of ordinary errors may catch it."""


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: hpo search digits",
)
@click.version_option(__version__, prog_name="hpo")
@click.pass_context
def cli(context: click.Context) -> None:
    """Hyperparameter search for neural networks: a whole round of trials trains as one stack.

    \b
    Example:
      hpo search digits
      hpo search penguins.csv --target species --trials 200
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


cli.add_command(search)


def main() -> None:
    """Run the command and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    try:
        # The result names the next command, which is this one with a change.
        typed = list(arguments)
        result = cli.main(typed[:], prog_name="hpo", standalone_mode=False, obj=typed)
    except (Exception, TerminatedError) as error:
        if os.environ.get("HPO_DEBUG"):
            traceback.print_exc()
        code, line = _verdict(error)
        click.echo(f"hpo: {' '.join(line.split())}", err=True)
        return code
    return result if isinstance(result, int) else 0


def _verdict(error: BaseException) -> tuple[int, str]:
    """The exit code and the one line for an error."""
    if isinstance(error, click.ClickException):
        return error.exit_code, error.format_message()
    if isinstance(error, click.Abort):
        return INTERRUPTED, "interrupted; the same command goes on from here"
    if isinstance(error, TerminatedError):
        return TERMINATED, "terminated; the same command goes on from here"
    for kind, code in EXIT_CODES.items():
        if isinstance(error, kind):
            return code, str(error)
    what = f"internal error: {type(error).__name__}: {error}"
    return INTERNAL, f"{what}; HPO_DEBUG=1 shows where, please report it"


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise TerminatedError
