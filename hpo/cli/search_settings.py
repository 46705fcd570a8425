"""The options of ``hpo search`` as the settings of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo import settings as defaults
from hpo.cli.data_options import sizes
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.data.schema import Task
    from hpo.data.table import Dataset
    from hpo.settings import Settings


_AS_THEY_ARE = (
    "seed", "rounds", "sampler", "pruner", "group", "time", "positive", "hidden", "optimizer",
    "epochs", "schedule", "cv", "asynchronous", "warm_start", "objectives",
)  # fmt: skip
"""Options that are settings of the same name."""


def settings_of(dataset: Dataset, options: Mapping[str, Any]) -> Settings:
    """The settings with what the data decide filled in."""
    from hpo.search.space import SearchSpace

    _check_sampler(options)
    _check_pruner(options)
    if options["cv"] is not None and options["validation_size"] is not None:
        raise UsageError(
            f"--validation-size {options['validation_size']:g} makes no sense with --cv, where "
            "folds score the trials; leave one out"
        )
    task, metric = task_and_metric(dataset, options)
    try:
        space = SearchSpace.parse(
            options["space"],
            optimizer=options["optimizer"],
            classification=task == "classification",
        )
        points = tuple(
            space.point(text, optimizer=options["optimizer"]) for text in options["points"]
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    return defaults.Settings(
        target=options["target"],
        header=not options["no_header"],
        numeric=tuple(options["numeric"]),
        task=task,
        metric=metric,
        space=space.to_json(),
        points=points,
        batch_size=options["batch_size"],
        patience=options["patience"] or None,
        # One cycle rises by itself, and a constant rate is constant.
        warmup=0.0 if options["schedule"] in {"constant", "one_cycle"} else defaults.DEFAULT_WARMUP,
        **sizes(options),
        **{name: options[name] for name in _AS_THEY_ARE},
    )


def task_and_metric(dataset: Dataset, options: Mapping[str, Any]) -> tuple[Task, str]:
    """Return what the options of `task_options` say, or else what goes with the target.

    Raises
    ------
    UsageError
        There is no such metric, or it does not go with the target.
    DataError
        The target cannot be predicted so.
    """
    from hpo.data.metrics import default_metric, find_metric
    from hpo.data.schema import check_task, infer_task
    from hpo.data.target_encoding import class_labels

    task: Task = options["task"] or infer_task(dataset.target)
    check_task(dataset.target, task)
    metric = options["metric"] or default_metric(task)
    try:
        find_metric(metric, task, class_labels(dataset.target, task), options["positive"])
    except ValueError as error:
        raise UsageError(str(error)) from error
    return task, metric


def _check_sampler(options: Mapping[str, Any]) -> None:
    from hpo.search.proposals import NARROWING, check_objectives, missing

    name = options["sampler"]
    for option, given in (("async", "asynchronous"), ("warm-start", "warm_start")):
        if options[given] and name != NARROWING:
            raise UsageError(f"--{option} goes with --sampler {NARROWING}, not with {name}")
    try:
        check_objectives(name, len(options["objectives"]))
    except ValueError as error:
        raise UsageError(str(error)) from error
    absent = list(missing(name))
    if absent:
        raise UsageError(
            f"--sampler {name} needs {' and '.join(absent)}: pip install 'hpo-stacks[{name}]'"
        )


def _check_pruner(options: Mapping[str, Any]) -> None:
    if len(options["objectives"]) > 1 and options["pruner"] != "none":
        raise UsageError(
            f"--pruner {options['pruner']} drops trials by their score, and another objective may "
            "speak for them: leave it out, or search for one objective"
        )
