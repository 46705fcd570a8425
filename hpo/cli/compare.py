"""``hpo compare``: one network with one thing changed, each choice with several seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.crew_options import crew
from hpo.cli.data_options import data_options, load_data, sizes
from hpo.cli.options import Number, json_option, whole_number
from hpo.cli.pictures import page_of, write_page
from hpo.cli.printing import emit, room
from hpo.cli.search_options import hidden_option, task_options
from hpo.cli.search_settings import task_and_metric
from hpo.comparing.questions import ACTIVATION, NETWORK, OPTIMIZER, QUESTIONS
from hpo.errors import UsageError
from hpo.search.clusters.joining import HERE
from hpo.settings import DEFAULT_EPOCHS, OPTIMIZERS

if TYPE_CHECKING:
    from hpo.comparing.comparison import Comparison
    from hpo.data.table import Dataset
    from hpo.settings import Settings

DEFAULT_SEEDS = 5


class InterruptedComparisonError(click.ClickException):
    """Ctrl-C: nothing is kept, so there is nothing to go on from."""

    exit_code = 130


def _rates(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> tuple[float, ...]:
    """Learning rates such as ``0.001,0.01`` as numbers; none if none are given."""
    if text is None:
        return ()
    try:
        rates = tuple(dict.fromkeys(map(float, text.split(","))))
    except ValueError:
        rates = ()
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise click.BadParameter(f"{text!r} are no learning rates; write e.g. 0.01 or 0.001,0.01")
    return rates


@click.command(short_help="Train one network with each choice of something, and show the curves.")
@data_options
@click.option(
    "--what",
    type=click.Choice(list(QUESTIONS)),
    required=True,
    help="What is compared.",
)
@click.option(
    "--choices",
    metavar="A,B",
    help="The choices: names of optimizers, initial values or activations; strengths of weight "
    "decay or dropout; patiences, or off; batch normalisation off, on, after. The first of "
    "strengths, patiences and places is what the others are measured against.",
)
@whole_number(
    "--seeds", "Networks of each choice, which differ in their seed.", default=DEFAULT_SEEDS
)
@click.option(
    "--level",
    type=Number(0, min_open=True),
    metavar="LOSS",
    help="Validation loss that epochs are counted to.  [default: 90 % of the way from guessing to "
    "the best]",
)
@task_options
@hidden_option(NETWORK)
@click.option(
    "--activation", metavar="NAME", help=f"Of the hidden layers.  [default: {ACTIVATION}]"
)
@click.option(
    "--optimizer", type=click.Choice(OPTIMIZERS), help=f"What trains.  [default: {OPTIMIZER}]"
)
@click.option(
    "--learning-rate",
    metavar="RATE[,RATE]",
    callback=_rates,
    help="Of all networks; of several each choice has the best one. Default: what is usual with "
    "the optimizer.",
)
@whole_number("--epochs", "Most epochs of a network.", default=DEFAULT_EPOCHS)
@whole_number("--batch-size", "Default: 8 to 128, by the number of rows.")
@whole_number("--seed", "Of the split and the networks.", default=0, least=0, most=2**32 - 1)
@whole_number("--workers", "Processes.  [default: one per core]")
@click.option("--pictures", metavar="FILE", help="Draw the curves, as a page of HTML.")
@json_option
def compare(data: str, pictures: str | None, as_json: bool, **options: Any) -> None:
    """Train the same network on DATA with each choice of something, and show what it changes.

    \b
    Example:
      hpo compare digits --what optimizer
      hpo compare digits --what dropout --choices 0,0.2,0.5 --pictures dropout.html

    Five hidden layers of 100 units train at a constant learning rate, each choice with the same
    few seeds, together as stacks. A sentence says what helped, and whether by more than the noise
    between seeds. Rows are split as hpo search splits them; the test rows stay sealed.
    """
    draw = None if pictures is None else page_of("comparison", pictures)
    try:
        document = _compared(data, options)
    except KeyboardInterrupt as error:
        raise InterruptedComparisonError("interrupted; a comparison begins anew") from error
    if pictures is not None and draw is not None:
        write_page(pictures, draw(document))
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    else:
        from hpo.cli.compare_screen import comparison_lines

        emit("\n".join(comparison_lines(document, room())))


def _compared(data: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Train what was asked for, and describe it in plain values."""
    asked = _asked(options)
    from hpo.cli.frame import say
    from hpo.comparing.comparison import compare as trained
    from hpo.preparation import prepare

    dataset = load_data(data, options)
    settings = _settings(dataset, options)
    prepared = prepare(dataset, settings)
    for warning in prepared.warnings:
        say(f"note: {warning}")
    with crew(options["workers"], HERE, None) as n_workers:
        record = trained(prepared, settings, asked, n_workers=n_workers, told=_say_trained)
    return {"data": dataset.name, **record}


def _say_trained(done: int, total: int) -> None:
    from hpo.cli.frame import say

    say(f"{done} of {total} networks trained")


def _asked(options: Mapping[str, Any]) -> Comparison:
    """What is compared, checked before any data are read."""
    from hpo.comparing.choices import choices_of
    from hpo.comparing.comparison import Comparison
    from hpo.search.tunable import TUNABLE

    what, texts = options["what"], options["choices"] or ""
    if what in {"optimizer", "activation"} and options[what] is not None:
        raise UsageError(f"--{what} is what is compared: name several with --choices A,B")
    activation = options["activation"] or ACTIVATION
    try:
        TUNABLE["activation"].check(activation)
    except ValueError as error:
        raise UsageError(f"--activation: {error}") from error
    named = tuple(filter(None, (each.strip() for each in texts.split(","))))
    try:
        choices = choices_of(what, named, activation)
    except ValueError as error:
        raise UsageError(f"--choices {texts}: {error}") from error
    common: dict[str, Any] = {"activation": activation}
    rates = options["learning_rate"]
    return Comparison(what, choices, options["seeds"], common, rates, options["level"])


def _settings(dataset: Dataset, options: Mapping[str, Any]) -> Settings:
    """As those of a search without any tuning, at a constant learning rate."""
    from hpo.settings import Settings

    task, metric = task_and_metric(dataset, options)
    return Settings(
        target=options["target"],
        header=not options["no_header"],
        numeric=tuple(options["numeric"]),
        task=task,
        metric=metric,
        space={},
        seed=options["seed"],
        group=options["group"],
        time=options["time"],
        positive=options["positive"],
        hidden=options["hidden"],
        optimizer=options["optimizer"] or OPTIMIZER,
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        schedule="constant",
        warmup=0.0,
        **sizes(options),
    )
