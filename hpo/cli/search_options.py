"""The options of ``hpo search`` besides those of the data and of who trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hpo import settings as defaults
from hpo.cli.objectives import objectives_option
from hpo.cli.options import Number, Option, added, artifacts_of, storage_of, whole_number


def _sizes(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    """Layer sizes such as ``64,64`` as numbers."""
    parts = [part.strip() for part in text.split(",")]
    digits = all(part.isascii() and part.isdigit() for part in parts)
    sizes = tuple(int(part) for part in parts) if digits else ()
    if not sizes or min(sizes) < 1:
        raise click.BadParameter(f"{text!r} are no layer sizes; write e.g. 64,64")
    return sizes


task_options = added(
    click.option(
        "--task",
        type=click.Choice(["classification", "regression"]),
        help="Default: told from the target.",
    ),
    click.option(
        "--metric",
        metavar="NAME",
        help="What to maximise, a scorer of scikit-learn. Default: accuracy, or r2.",
    ),
    click.option(
        "--positive", metavar="CLASS", help="Which of two classes f1 and its like look for."
    ),
)
"""Give a command the options of what is predicted and how it is scored."""


def hidden_option(default: Sequence[int]) -> Option[Any]:
    """The option of the layers, these if it is not given."""
    return click.option(
        "--hidden",
        metavar="N,N",
        callback=_sizes,
        default=",".join(map(str, default)),
        show_default=True,
        help="Units of the hidden layers.",
    )


batch_size_option = whole_number("--batch-size", "Default: 32 to 256, by the number of rows.")

seed_option = whole_number(
    "--seed", "Of the split, the points and the networks.", default=0, least=0, most=2**32 - 1
)

optimizer_option = click.option(
    "--optimizer", type=click.Choice(defaults.OPTIMIZERS), default="adam", show_default=True
)

study_options = added(
    task_options,
    click.option("--study", metavar="NAME", help="Name of the study. Default: the data set's."),
    storage_of("trials"),
    whole_number(
        "--trials",
        "Total of finished trials; a larger one later adds rounds.",
        default=defaults.DEFAULT_TRIALS,
    ),
    whole_number("--rounds", "Rounds that a new study plans.", default=defaults.DEFAULT_ROUNDS),
    click.option(
        "--sampler",
        type=click.Choice(defaults.SAMPLERS),
        default="narrowing",
        show_default=True,
        help="Who proposes the points of a round; the others are Optuna's.",
    ),
    objectives_option,
    click.option(
        "--pruner",
        type=click.Choice(defaults.PRUNERS),
        default=defaults.DEFAULT_PRUNER,
        show_default=True,
        help="Who drops hopeless trials early; the last four are Optuna's, with --workers 1.",
    ),
    click.option(
        "--async",
        "asynchronous",
        is_flag=True,
        help="Let a search begin the next round without waiting for the others'.",
    ),
    click.option(
        "--point",
        "points",
        multiple=True,
        metavar="POINT",
        help="Tried first: NAME=VALUE,NAME=VALUE; the rest is drawn. May be given again.",
    ),
    click.option(
        "--warm-start",
        metavar="STUDY",
        help="Narrow the first round to where another study was good.",
    ),
    click.option(
        "--warm-start-storage",
        metavar="URL",
        help="Where that study is kept. Default: in --storage.",
    ),
    seed_option,
)
"""Give a command the options that say what is searched for, where it is kept, and how."""

network_options = added(
    hidden_option(defaults.DEFAULT_HIDDEN),
    optimizer_option,
    whole_number("--epochs", "Most epochs of a network.", default=defaults.DEFAULT_EPOCHS),
    batch_size_option,
    whole_number(
        "--patience",
        "Epochs without a better validation loss before a network stops; 0: never.",
        default=0,
        least=0,
    ),
    click.option(
        "--schedule",
        type=click.Choice(defaults.SCHEDULES),
        default=defaults.DEFAULT_SCHEDULE,
        show_default=True,
        help="How the learning rate goes down over the epochs.",
    ),
    click.option(
        "--space",
        multiple=True,
        metavar="RANGE",
        help="What is tuned: NAME=LOW..HIGH[:log], NAME=A|B, NAME, or wide. May be given again.",
    ),
)
"""Give a command the options of the networks, and of what is tuned of them."""

run_options = added(
    click.option(
        "--timeout",
        type=Number(0, min_open=True),
        metavar="SECONDS",
        help="End after so long with what there is; the same command goes on.",
    ),
    whole_number(
        "--keep", "Networks that are kept whole, the best.", default=defaults.DEFAULT_KEEP
    ),
    artifacts_of("of networks", " Default: beside the file."),
    whole_number(
        "--repeats",
        "How often the best few are trained again to choose the winner; 0: not at all.",
        default=defaults.DEFAULT_REPEATS,
        least=0,
    ),
    whole_number(
        "--cv",
        "Score each trial over K folds in place of validation rows.",
        least=2,
        most=defaults.MOST_FOLDS,
        metavar="K",
    ),
    click.option(
        "--refit", is_flag=True, help="Train the winner again on all rows but the test's."
    ),
    click.option("--dry-run", is_flag=True, help="Say what it would take, and write nothing."),
    click.option("--keep-sealed", is_flag=True, help="Do not look at the test rows."),
)
"""Give a command the options of how long it goes on, what it keeps, and how it chooses."""
