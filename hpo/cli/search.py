"""``hpo search``: options to settings, and the order of events."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import click

from hpo import settings as defaults
from hpo.cli.crew_options import crew, crew_options, is_alone
from hpo.cli.data_options import data_options, load_data
from hpo.cli.objectives import objectives_option
from hpo.cli.printing import emit
from hpo.cli.search_settings import settings_of
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.joined_study import JoinedStudy
    from hpo.rehearsal import Rehearsal


def _sizes(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    """Layer sizes such as ``64,64`` as numbers."""
    parts = [part.strip() for part in text.split(",")]
    digits = all(part.isascii() and part.isdigit() for part in parts)
    sizes = tuple(int(part) for part in parts) if digits else ()
    if not sizes or min(sizes) < 1:
        raise click.BadParameter(f"{text!r} are no layer sizes; write e.g. 64,64")
    return sizes


@click.command(short_help="Tune networks on a data set, and test the winner once.")
@data_options
@click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="Default: told from the target.",
)
@click.option(
    "--metric",
    metavar="NAME",
    help="What to maximise, a scorer of scikit-learn. Default: accuracy, or r2.",
)
@click.option("--positive", metavar="CLASS", help="Which of two classes f1 and its like look for.")
@click.option("--study", metavar="NAME", help="Name of the study. Default: the data set's.")
@click.option(
    "--storage",
    envvar="HPO_STORAGE",
    default="sqlite:///hpo.db",
    show_default=True,
    metavar="URL",
    help="Where trials are kept; also $HPO_STORAGE.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    default=defaults.DEFAULT_TRIALS,
    show_default=True,
    help="Total of finished trials; a larger one later adds rounds.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    metavar="N",
    default=defaults.DEFAULT_ROUNDS,
    show_default=True,
    help="Rounds that a new study plans.",
)
@click.option(
    "--sampler",
    type=click.Choice(defaults.SAMPLERS),
    default="narrowing",
    show_default=True,
    help="Who proposes the points of a round; the others are Optuna's.",
)
@objectives_option
@click.option(
    "--pruner",
    type=click.Choice(defaults.PRUNERS),
    default=defaults.DEFAULT_PRUNER,
    show_default=True,
    help="Who drops hopeless trials early; the last four are Optuna's, with --workers 1.",
)
@click.option(
    "--async",
    "asynchronous",
    is_flag=True,
    help="Let a search begin the next round without waiting for the others'.",
)
@click.option(
    "--point",
    "points",
    multiple=True,
    metavar="POINT",
    help="Tried first: NAME=VALUE,NAME=VALUE; the rest is drawn. May be given again.",
)
@click.option(
    "--warm-start",
    metavar="STUDY",
    help="Narrow the first round to where another study was good.",
)
@click.option(
    "--warm-start-storage",
    metavar="URL",
    help="Where that study is kept. Default: in --storage.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Of the split, the points and the networks.",
)
@click.option(
    "--hidden",
    metavar="N,N",
    callback=_sizes,
    default=",".join(map(str, defaults.DEFAULT_HIDDEN)),
    show_default=True,
    help="Units of the hidden layers.",
)
@click.option(
    "--optimizer", type=click.Choice(defaults.OPTIMIZERS), default="adam", show_default=True
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    metavar="N",
    default=defaults.DEFAULT_EPOCHS,
    show_default=True,
    help="Most epochs of a network.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    metavar="N",
    help="Default: 32 to 256, by the number of rows.",
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="Epochs without a better validation loss before a network stops; 0: never.",
)
@click.option(
    "--schedule",
    type=click.Choice(defaults.SCHEDULES),
    default=defaults.DEFAULT_SCHEDULE,
    show_default=True,
    help="How the learning rate goes down over the epochs.",
)
@click.option(
    "--space",
    multiple=True,
    metavar="RANGE",
    help="What is tuned: NAME=LOW..HIGH[:log], NAME=A|B, NAME, or wide. May be given again.",
)
@crew_options
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="End after so long with what there is; the same command goes on.",
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    default=defaults.DEFAULT_KEEP,
    show_default=True,
    help="Networks that are kept whole, the best.",
)
@click.option(
    "--artifacts",
    envvar="HPO_ARTIFACTS",
    metavar="WHERE",
    help="Folder or s3://BUCKET/PREFIX of networks; also $HPO_ARTIFACTS. Default: beside the file.",
)
@click.option(
    "--repeats",
    type=click.IntRange(0),
    metavar="N",
    default=defaults.DEFAULT_REPEATS,
    show_default=True,
    help="How often the best few are trained again to choose the winner; 0: not at all.",
)
@click.option(
    "--cv",
    type=click.IntRange(2, defaults.MOST_FOLDS),
    metavar="K",
    help="Score each trial over K folds in place of validation rows.",
)
@click.option("--refit", is_flag=True, help="Train the winner again on all rows but the test's.")
@click.option("--dry-run", is_flag=True, help="Say what it would take, and write nothing.")
@click.option("--keep-sealed", is_flag=True, help="Do not look at the test rows.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def search(
    data: str,
    storage: str,
    trials: int,
    workers: int | None,
    backend: str,
    address: str | None,
    timeout: float | None,
    keep: int,
    artifacts: str | None,
    warm_start_storage: str | None,
    repeats: int,
    refit: bool,
    dry_run: bool,
    keep_sealed: bool,
    as_json: bool,
    **options: Any,
) -> None:
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

    from hpo.cli.output import result
    from hpo.cli.progress import follow, say
    from hpo.joined_study import check_pruner
    from hpo.joining import Joining, joined
    from hpo.rehearsal import rehearse
    from hpo.summary import summarise

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of each study it makes
    dataset = load_data(data, options)
    settings = settings_of(dataset, options)
    check_pruner(settings.pruner, alone=is_alone(workers, backend))
    if warm_start_storage is not None and settings.warm_start is None:
        raise UsageError("--warm-start-storage says where a study is: name it with --warm-start")
    study = _study_name(options["study"] or dataset.name)
    if dry_run:
        with crew(workers, backend, address) as n_workers:
            plan = rehearse(
                dataset,
                settings,
                study=study,
                trials=trials,
                workers=n_workers,
                keep=keep,
                warm_storage=warm_start_storage or storage,
            )
        _print_plan(plan, as_json=as_json)
        return
    joining = Joining(artifacts, keep, warm_start_storage)
    with (
        crew(workers, backend, address) as n_workers,
        joined(
            dataset, settings, study=study, url=storage, trials=trials, joining=joining
        ) as experiment,
    ):
        for warning in experiment.prepared.warnings:
            say(f"note: {warning}")
        follow(experiment, trials, n_workers, deadline)
        selection = experiment.choose(repeats, n_workers, deadline, refit=refit)
        chosen = selection.refit >= refit if selection else not (repeats or refit)
        stopped = _why_stopped(experiment, trials, deadline, chosen=chosen)
        summary = summarise(
            experiment,
            storage,
            started,
            keep_sealed=keep_sealed,
            selection=selection,
            stopped=stopped,
        )
    if as_json:
        emit(json.dumps(summary.document, allow_nan=False))
    else:
        emit(result(summary, click.get_current_context().obj).rstrip("\n"))


def _print_plan(plan: Rehearsal, *, as_json: bool) -> None:
    from hpo.cli.output import rehearsal
    from hpo.cli.progress import say

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
