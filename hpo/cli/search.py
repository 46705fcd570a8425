"""``hpo search``: options to settings, and the order of events."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.crew_options import crew, crew_options, is_alone
from hpo.cli.data_options import data_options, load_data
from hpo.cli.frame import say
from hpo.cli.options import json_option
from hpo.cli.printing import emit
from hpo.cli.search_options import network_options, run_options, study_options
from hpo.cli.search_settings import settings_of
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.data.table import Dataset
    from hpo.joined_study import JoinedStudy
    from hpo.rehearsal import Rehearsal
    from hpo.settings import Settings
    from hpo.summary import Summary


@click.command(short_help="Tune networks on a data set, and test the winner once.")
@data_options
@study_options
@network_options
@crew_options
@run_options
@json_option
def search(data: str, timeout: float | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Tune the hyperparameters of networks on DATA, and test the winner once.

    \b
    Example:
      hpo search digits
      hpo search penguins.csv --target species
      hpo search train-images-idx3-ubyte.gz --trials 40

    DATA is a CSV, TSV or Parquet file with --target, an NPZ file with arrays X and y, an IDX image
    file with its labels beside it, a set of OpenML (openml:61, openml:credit-g), or one that
    scikit-learn ships: digits, breast_cancer, wine, iris, diabetes. The same command again goes on
    where it stopped.
    """
    started = time.perf_counter()
    deadline = math.inf if timeout is None else time.time() + timeout
    # The libraries behind a search take a second to import, and --help needs none of them.
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of each study it makes
    dataset = load_data(data, options)
    settings = settings_of(dataset, options)
    _check_run(settings, options)
    study = _study_name(options["study"] or dataset.name)
    if dry_run:
        _print_plan(_rehearsed(dataset, settings, study, options), as_json=as_json)
    else:
        summary = _searched(dataset, settings, study, options, started, deadline)
        _print_summary(summary, as_json=as_json)


def _check_run(settings: Settings, options: Mapping[str, Any]) -> None:
    """Refuse what is no setting and does not go with the settings."""
    from hpo.joined_study import check_pruner

    check_pruner(settings.pruner, alone=is_alone(options["workers"], options["backend"]))
    if options["warm_start_storage"] is not None and settings.warm_start is None:
        raise UsageError("--warm-start-storage says where a study is: name it with --warm-start")


def _rehearsed(
    dataset: Dataset, settings: Settings, study: str, options: Mapping[str, Any]
) -> Rehearsal:
    from hpo.rehearsal import rehearse

    with crew(options["workers"], options["backend"], options["address"]) as n_workers:
        return rehearse(
            dataset,
            settings,
            study=study,
            trials=options["trials"],
            workers=n_workers,
            keep=options["keep"],
            warm_storage=options["warm_start_storage"] or options["storage"],
        )


def _searched(
    dataset: Dataset,
    settings: Settings,
    study: str,
    options: Mapping[str, Any],
    started: float,
    deadline: float,
) -> Summary:
    """Search, choose the winner, and look at the test rows."""
    from hpo.cli.display import display
    from hpo.joining import Joining, joined
    from hpo.summary import summarise

    url, trials, refit = options["storage"], options["trials"], options["refit"]
    joining = Joining(options["artifacts"], options["keep"], options["warm_start_storage"])
    with (
        crew(options["workers"], options["backend"], options["address"]) as n_workers,
        joined(
            dataset, settings, study=study, url=url, trials=trials, joining=joining
        ) as experiment,
    ):
        for warning in (*experiment.prepared.warnings, *_suspicions(experiment)):
            say(f"note: {warning}")
        repeats = options["repeats"]
        with display(experiment, trials, deadline) as shown:
            shown.follow(experiment.search(trials, n_workers, deadline))
            selection = experiment.choose(
                repeats, n_workers, deadline, refit=refit, heard=shown.hear
            )
            shown.end(selection)
        chosen = selection.refit >= refit if selection else not (repeats or refit)
        return summarise(
            experiment,
            url,
            started,
            keep_sealed=options["keep_sealed"],
            selection=selection,
            stopped=_why_stopped(experiment, trials, deadline, chosen=chosen),
        )


def _suspicions(experiment: JoinedStudy) -> list[str]:
    """What `hpo check` would warn of; said once, and no more when a search is resumed."""
    from hpo.checking.data import suspicions
    from hpo.checking.subject import Subject

    if experiment.is_finished(1):
        return []
    task = experiment.settings.task
    subject = Subject(experiment.dataset, experiment.prepared.split, task)
    return [str(each) for each in suspicions(subject)]


def _print_summary(summary: Summary, *, as_json: bool) -> None:
    from hpo.cli.output import result

    if as_json:
        emit(json.dumps(summary.document, allow_nan=False))
    else:
        emit(result(summary, click.get_current_context().obj.arguments).rstrip("\n"))


def _print_plan(plan: Rehearsal, *, as_json: bool) -> None:
    from hpo.cli.output import rehearsal

    for warning in plan.warnings:
        say(f"note: {warning}")
    emit(json.dumps(plan.document) if as_json else rehearsal(plan))


def _why_stopped(
    experiment: JoinedStudy, trials: int, deadline: float, *, chosen: bool
) -> str | None:
    """Why a search ended early; None if all was done that was asked for."""
    late = time.time() >= deadline
    if experiment.is_finished(trials):
        return "timeout" if late and not chosen else None
    return "exhausted" if experiment.has_few_points and not late else "timeout"


def _study_name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise UsageError(f"{shown} is no text: name the study with --study NAME") from error
    return name
