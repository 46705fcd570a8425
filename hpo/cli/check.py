"""``hpo check``: what would spoil a search, told before it begins."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hpo import settings as defaults
from hpo.cli.data_options import data_options, load_data, sizes
from hpo.cli.options import json_option
from hpo.cli.pictures import page_of, pictures_option, write_page
from hpo.cli.printing import emit, room
from hpo.cli.search_options import (
    batch_size_option,
    hidden_option,
    optimizer_option,
    seed_option,
    task_options,
)
from hpo.cli.search_settings import task_and_metric
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.data.table import Dataset
    from hpo.settings import Settings

_SETTINGS = ("target", "seed", "group", "time", "positive", "hidden", "optimizer", "batch_size")
"""Options that are settings of the same name."""


@click.command(short_help="What would spoil a search: leaks, and a network that cannot learn.")
@data_options
@task_options
@seed_option
@hidden_option(defaults.DEFAULT_HIDDEN)
@optimizer_option
@batch_size_option
@click.option("--data-only", is_flag=True, help="Check the data, and train nothing.")
@pictures_option
@click.option("--strict", is_flag=True, help="End with exit code 3 if there is a problem.")
@json_option
def check(data: str, pictures: str | None, strict: bool, as_json: bool, **options: Any) -> None:
    """Look for what would spoil a search on DATA, before any time is spent on it.

    \b
    Example:
      hpo check digits
      hpo check penguins.csv --target species

    First the data, split as hpo search splits them: rows that stand in two parts, columns that give
    the target away or number the rows, groups and times, missing cells, rare classes. Then the
    network: can it learn a few rows by heart, is its gradient right, at which learning rates does
    it learn. The test rows are not scored, and this is no look at them.
    """
    started = time.perf_counter()
    if pictures is not None and options["data_only"]:
        raise UsageError("--pictures draws how the network learns; leave --data-only out")
    draw = None if pictures is None else page_of("checks", pictures)
    dataset = load_data(data, options)
    document = _checked(dataset, _settings(dataset, options), data_only=options["data_only"])
    document["seconds"] = round(time.perf_counter() - started, 3)
    if pictures is not None and draw is not None:
        write_page(pictures, draw(document))
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    else:
        from hpo.cli.check_screen import check_lines

        emit("\n".join(check_lines(document, room())))
    if strict:
        _refuse_problems(document)


def _settings(dataset: Dataset, options: Mapping[str, Any]) -> Settings:
    """Those of the search that these options would begin."""
    from hpo.search.space import SearchSpace

    task, metric = task_and_metric(dataset, options)
    return defaults.Settings(
        header=not options["no_header"],
        numeric=tuple(options["numeric"]),
        task=task,
        metric=metric,
        space=SearchSpace().to_json(),
        **sizes(options),
        **{name: options[name] for name in _SETTINGS},
    )


def _checked(dataset: Dataset, settings: Settings, *, data_only: bool) -> dict[str, Any]:
    """What was found, in plain values."""
    from hpo.checking.data import check_data
    from hpo.checking.finding import counts
    from hpo.checking.network import check_network
    from hpo.checking.subject import Subject
    from hpo.preparation import prepare, refuse_giants
    from hpo.search.space import SearchSpace

    prepared = prepare(dataset, settings)
    space = SearchSpace()
    refuse_giants(prepared, space)
    of_data = check_data(Subject(dataset, prepared.split, settings.task))
    learning = None if data_only else check_network(prepared.problem)
    rate: Any = space.distributions["learning_rate"]
    searched = (rate.low, rate.high)
    of_network = [] if learning is None else learning.findings(searched)
    found = {"data": of_data, "network": of_network}
    return {
        "name": dataset.name,
        "source": dataset.source,
        "task": settings.task,
        "rows": prepared.rows,
        "network": None if learning is None else list(prepared.problem.architecture.sizes),
        "searched": list(searched),
        "counts": counts([*of_data, *of_network]),
        "findings": {part: [each.to_json() for each in some] for part, some in found.items()},
        "curves": None if learning is None else learning.curves(),
    }


def _refuse_problems(document: Mapping[str, Any]) -> None:
    from hpo.data.errors import DataError
    from hpo.data.wording import counted

    if count := document["counts"]["problem"]:
        raise DataError(f"{counted(count, 'problem')} found in {document['name']} (--strict)")
