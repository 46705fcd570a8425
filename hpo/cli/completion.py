"""``hpo completion``: what makes a shell complete commands, options, studies and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hpo.cli.printing import emit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print what makes a shell complete this command.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script for SHELL that completes commands, options, studies and files.

    \b
    Example:
      hpo completion bash > ~/.local/share/bash-completion/completions/hpo
      hpo completion zsh > ~/.zfunc/_hpo
      hpo completion fish > ~/.config/fish/completions/hpo.fish

    The next shell that is started completes hpo then; for zsh the folder must be one of $fpath. To
    try it, run eval "$(hpo completion bash)".
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    group = click.get_current_context().find_root().command
    emit(kind(group, {}, "hpo", "_HPO_COMPLETE").source().rstrip("\n"))


def complete_data(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Data sets that begin so, and files."""
    from click.shell_completion import CompletionItem

    from hpo.data.shipped import SHIPPED

    names = [CompletionItem(name) for name in SHIPPED if name.startswith(begun)]
    return [*names, CompletionItem(begun, type="file")]


def complete_study(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Studies of the storage that begin so; none of a server, which may let a shell wait."""
    from click.shell_completion import CompletionItem

    url = context.params.get("storage") or "sqlite:///hpo.db"
    if not url.startswith("sqlite:"):
        return []
    from hpo.ranking import EXPERIMENT_ATTRIBUTE
    from storage import optuna_studies
    from storage.errors import StorageError
    from storage.reader import opened

    try:
        with opened(url) as reader:
            found = reader.read(lambda each: optuna_studies.studies(each, EXPERIMENT_ATTRIBUTE))
    except StorageError:
        return []
    return [CompletionItem(each.name) for each in found if each.name.startswith(begun)]
