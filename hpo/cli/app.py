"""The command's frame: commands, exit codes, and errors as one line on stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType
from urllib.parse import unquote

import click

from hpo._version import __version__
from hpo.cli.check import check
from hpo.cli.compare import compare
from hpo.cli.completion import completion
from hpo.cli.config import config
from hpo.cli.dashboard import dashboard
from hpo.cli.doctor import doctor
from hpo.cli.ensemble import ensemble
from hpo.cli.frame import framed, is_verbose
from hpo.cli.gc import gc
from hpo.cli.leaderboard import leaderboard
from hpo.cli.origins import Invocation, blamed
from hpo.cli.predict import predict
from hpo.cli.report import report
from hpo.cli.search import search
from hpo.cli.show import show
from hpo.cli.studies import studies
from hpo.cli.test import test
from hpo.data.errors import DataError
from hpo.errors import ClusterError, NoFiniteTrialError, UsageError
from storage.errors import ArtifactError, StorageError

EXIT_CODES: dict[type[Exception], int] = {
    UsageError: 2,
    DataError: 3,
    StorageError: 4,
    ClusterError: 4,
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


for command in (
    check, search, compare, ensemble, predict, test, leaderboard, studies, show, report, dashboard,
    doctor, gc, config, completion,
):  # fmt: skip
    cli.add_command(framed(command))


def main() -> None:
    """Run the command and exit with its code."""
    _watch_for_a_second_signal()
    signal.signal(signal.SIGTERM, _terminate)
    # A shell starts what runs in the background with this signal ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    code = run(sys.argv[1:])
    # All is said; a signal that interrupted what Python does at its end would show a traceback.
    _end_at_once_next_time()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    # The result names the next command, which is this one with a change.
    invocation = Invocation(list(arguments))
    try:
        result = cli.main(list(arguments), prog_name="hpo", standalone_mode=False, obj=invocation)
    except (Exception, TerminatedError) as error:
        return _report(error, invocation)
    return result if isinstance(result, int) else 0


def _report(error: BaseException, invocation: Invocation) -> int:
    """Say on stderr what went wrong; returns the exit code."""
    code, line = _verdict(error)
    called = invocation.context
    verbose = called is not None and is_verbose(called)
    if os.environ.get("HPO_DEBUG") or (verbose and code == INTERNAL):
        click.echo(_without_passwords(traceback.format_exc(), invocation), err=True)
    if code == EXIT_CODES[UsageError]:
        line += blamed(line, called)
    click.echo(f"hpo: {_without_passwords(' '.join(line.split()), invocation)}", err=True)
    return code


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


def _without_passwords(text: str, invocation: Invocation) -> str:
    """``text``, which may repeat what the user said, without the passwords of URLs in it."""
    for each in invocation.texts():
        user = each.partition("://")[2].rpartition("@")[0]
        if typed := user.partition(":")[2]:
            text = text.replace(typed, "***").replace(unquote(typed), "***")
    return text


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    _end_at_once_next_time()
    raise TerminatedError


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    _end_at_once_next_time()
    raise KeyboardInterrupt


def _end_at_once_next_time() -> None:
    """Leave the next signal to the watch: the first one gives back what is being trained."""
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, lambda _signal, _frame: None)


def _watch_for_a_second_signal() -> None:
    """Who sends another signal cannot wait, not even until a library's call returns.

    While the main thread waits for a lock in one, no handler of ours runs, but Python writes the
    signal's number to this pipe.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)

    def watch() -> None:
        os.read(reader, 1)
        (second,) = os.read(reader, 1)
        if os.isatty(2):
            # A live block leaves its last line open. Who takes nothing is not waited for.
            end = threading.Thread(target=os.write, args=(2, b"\n"), daemon=True)
            end.start()
            end.join(0.2)
        os._exit(128 + second)

    threading.Thread(target=watch, name="hpo-signals", daemon=True).start()
