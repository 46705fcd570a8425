"""``hpo ensemble``: build ensembles of a study's networks and scikit-learn's learners."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.crew_options import crew
from hpo.cli.options import (
    Number,
    artifacts_option,
    json_option,
    storage_option,
    study_argument,
    whole_number,
)
from hpo.cli.pictures import page_of, pictures_option, write_page
from hpo.cli.printing import emit, room
from hpo.cli.study_again import data_again_options, study_again
from hpo.data.wording import did_you_mean
from hpo.errors import UsageError
from hpo.search.clusters.joining import HERE

if TYPE_CHECKING:
    from hpo.ensembling.building import Plan
    from hpo.preparation import Prepared

METHODS = ("greedy", "stacking", "blend", "mean", "weights", "bagging", "boosting")
"""Those of `hpo.ensembling.assembling`, which takes a second to import."""


def _listed(
    choices: tuple[str, ...] | None = None,
) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...] | None]:
    """A callback that splits at commas; each part must be one of ``choices``, if there are any."""

    def split(
        _context: click.Context, parameter: click.Parameter, value: str | None
    ) -> tuple[str, ...] | None:
        if value is None:
            return None
        parts = tuple(dict.fromkeys(each.strip() for each in value.split(",") if each.strip()))
        for each in parts:
            if choices is not None and each not in choices:
                flag = parameter.opts[0]
                near = did_you_mean(each, choices)
                raise UsageError(f"{flag} {each}: there is {', '.join(choices)}{near}")
        return parts

    return split


def _bytes(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A number of bytes, also with a unit."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9.]+) *([kMG]?)B?", value.strip())
    try:
        number = float(found[1]) if found else 0.0
    except ValueError:
        number = 0.0
    if found is None or number <= 0:
        raise UsageError(f"--max-size {value}: it is a number of bytes, or as 500kB or 20MB")
    return number * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]]


@click.command(short_help="Build an ensemble from a study, and keep the best.")
@study_argument
@storage_option
@click.option(
    "--with",
    "with_",
    metavar="NAME,NAME",
    callback=_listed(),
    help="Learners beside the networks: forest, extra_trees, hist_gradient_boosting, knn, svm, and "
    "logistic for classes or ridge for numbers; none for no one.  [default: forest,extra_trees,"
    "hist_gradient_boosting,logistic]",
)
@click.option(
    "--methods",
    metavar="NAME,NAME",
    callback=_listed(METHODS),
    default="greedy,stacking,blend",
    show_default=True,
    help="How they are combined: greedy, stacking, blend (of both), mean, weights; or the best "
    "network in a bag or boosted: bagging, boosting. The best is kept.",
)
@whole_number(
    "--top",
    "Best trials that take part.  [default: 8, with --no-refit all that are kept]",
    least=0,
)
@whole_number(
    "--folds",
    "Train everything over K folds.  [default: 5 up to 5,000 rows, else --no-refit]",
    least=2,
    most=100,
    metavar="K",
)
@click.option(
    "--no-refit",
    is_flag=True,
    help="Take the networks and the predictions that are stored.",
)
@click.option(
    "--max-latency",
    type=Number(0, min_open=True),
    metavar="MS",
    help="Milliseconds that it may take to predict 1,000 rows.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    callback=_bytes,
    help="How large it may be when it is stored: 500kB, 20MB.",
)
@click.option("--name", default="ensemble", show_default=True, help="What it is called.")
@data_again_options
@whole_number("--workers", "Processes.  [default: one per core]")
@pictures_option
@artifacts_option
@json_option
def ensemble(pictures: str | None, as_json: bool, **options: Any) -> None:
    """Combine the best networks of STUDY with learners of scikit-learn, and keep the best way.

    \b
    Example:
      hpo ensemble digits
      hpo ensemble digits --no-refit --methods greedy --with none

    Every model predicts rows that it was not trained on. How they are combined is learnt from some
    of these rows and scored on the others, so that the score can be believed. The test rows stay
    sealed: hpo test opens them. STUDY may be left out where there is only one.
    """
    if options["folds"] is not None and options["no_refit"]:
        raise UsageError("--folds trains again, and --no-refit does not; leave one out")
    draw = None if pictures is None else page_of("ensembles", pictures)
    document = _build(options)
    if pictures is not None and draw is not None:
        write_page(pictures, draw(document))
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    else:
        from hpo.cli.ensemble_screen import ensemble_lines

        emit("\n".join(ensemble_lines(document, room())))


def _build(options: Mapping[str, Any]) -> dict[str, Any]:
    """Build what was asked for, keep it, and describe it in plain values."""
    from hpo.ensembling.building import LONGEST_NAME, Builder, may_be_called
    from storage.urls import masked

    name = options["name"]
    if not may_be_called(name):
        raise UsageError(f"--name {name}: choose another one, of at most {LONGEST_NAME} letters")
    with crew(options["workers"], HERE, None) as n_workers, study_again(options) as experiment:
        builder = Builder(experiment.store, experiment.prepared, experiment.settings.seed)
        record = builder.build(_plan(experiment.prepared, options), n_workers)
        return {
            "study": experiment.study,
            "storage": masked(options["storage"]),
            "task": experiment.settings.task,
            "metric": experiment.settings.metric,
            "name": name,
            "model": record.digest,
            **record.record,
        }


def _plan(prepared: Prepared, options: Mapping[str, Any]) -> Plan:
    from hpo.ensembling.assembling import Budget
    from hpo.ensembling.building import planned

    return planned(
        prepared,
        learners=() if options["with_"] == ("none",) else options["with_"],
        methods=options["methods"],
        top=options["top"],
        folds=options["folds"],
        refit=not options["no_refit"],
        name=options["name"],
        budget=Budget(options["max_latency"] or math.inf, options["max_size"] or math.inf),
    )
