"""``hpo dashboard``: Optuna's dashboard on a storage, guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hpo.cli.options import WholeNumber, storage_option
from hpo.cli.printing import emit
from hpo.errors import UsageError

if TYPE_CHECKING:
    pass

PORT = 8080


@click.command(short_help="Optuna's dashboard on a storage, guarded.")
@storage_option
@click.option(
    "--port",
    type=WholeNumber(0, 65535),
    default=PORT,
    show_default=True,
    help="Where it listens; 0 takes any that is free.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Another one lets other machines see all studies.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A name that this machine is called by in the browser. May be given again.",
)
def dashboard(storage: str, port: int, host: str, allow_host: tuple[str, ...]) -> None:
    """Show all studies of a storage in the browser, also while they are searched.

    \b
    Example:
      hpo dashboard
      hpo dashboard --storage sqlite:///other.db --port 9000

    Each study has its story as a note, its pictures, the curves of its best trials as CSV, and its
    report. Nothing can be changed or deleted from there. It answers to this machine only, and ends
    with Ctrl-C.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of each study it makes
    try:
        from hpo.dashboard.guard import is_here
        from hpo.dashboard.server import dashboard as guarded
    except ImportError as error:
        raise UsageError(
            "hpo dashboard needs optuna-dashboard and plotly: pip install 'hpo-stacks[dashboard]'"
        ) from error
    with guarded(storage, host=host, port=port, names=allow_host) as served:
        if not is_here(host):
            click.echo(f"note: whoever reaches {host} sees all studies", err=True)
        emit(served.url)
        click.echo("Ctrl-C ends it", err=True)
        try:
            served.serve()
        except KeyboardInterrupt:
            click.echo("ended", err=True)
