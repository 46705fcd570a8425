"""``hpo ensemble``: build ensembles of a study's networks and scikit-learn's learners."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.options import artifacts_option, data_again_options, storage_option
from hpo.cli.printing import emit, plain, room, wrapped
from hpo.errors import UsageError

if TYPE_CHECKING:
    from hpo.cli.tables import Column

METHODS = ("greedy", "stacking", "mean", "weights", "bagging", "boosting")

MOST_NAMES = 8
"""How many of the models that were left out are named."""


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
                raise UsageError(f"{flag} {each}: there is {', '.join(choices)}")
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
@click.argument("study", required=False)
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
    default="greedy,stacking",
    show_default=True,
    help="How they are combined: greedy, stacking, mean, weights; or the best network in a bag or "
    "boosted: bagging, boosting. The best is kept.",
)
@click.option(
    "--top",
    type=click.IntRange(0),
    metavar="N",
    help="Best trials that take part.  [default: 4, with --no-refit all that are kept]",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    metavar="K",
    help="Train everything over K folds.  [default: 5 up to 5,000 rows, else --no-refit]",
)
@click.option(
    "--no-refit",
    is_flag=True,
    help="Take the networks and the predictions that are stored.",
)
@click.option(
    "--max-latency",
    type=click.FloatRange(0, min_open=True),
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
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes.  [default: one per core]"
)
@click.option(
    "--pictures", metavar="FILE", help="Draw it, as a page of HTML that needs no network."
)
@artifacts_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ensemble(
    study: str | None,
    storage: str,
    with_: tuple[str, ...] | None,
    methods: tuple[str, ...],
    top: int | None,
    folds: int | None,
    no_refit: bool,
    max_latency: float | None,
    max_size: float | None,
    name: str,
    data: str | None,
    labels: str | None,
    workers: int | None,
    pictures: str | None,
    artifacts: str | None,
    as_json: bool,
) -> None:
    """Combine the best networks of STUDY with learners of scikit-learn, and keep the best way.

    \b
    Example:
      hpo ensemble digits
      hpo ensemble digits --no-refit --methods greedy --with none

    Every model predicts rows that it was not trained on. How they are combined is learnt from some
    of these rows and scored on the others, so that the score can be believed. The test rows stay
    sealed: hpo test opens them. STUDY may be left out where there is only one.
    """
    if folds is not None and no_refit:
        raise UsageError("--folds trains again, and --no-refit does not; leave one out")
    draw = None if pictures is None else _page()
    import optuna

    from hpo.cli.crew_options import crew
    from hpo.ensembling.assembling import Budget
    from hpo.ensembling.building import LONGEST_NAME, Builder, may_be_called, planned
    from hpo.joining import Joining
    from hpo.reopening import reopened
    from hpo.search.clusters.joining import HERE
    from storage.urls import masked

    if not may_be_called(name):
        raise UsageError(f"--name {name}: choose another one, of at most {LONGEST_NAME} letters")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with (
        crew(workers, HERE, None) as n_workers,
        reopened(
            study, storage, data=data, labels=labels, joining=Joining(artifacts)
        ) as experiment,
    ):
        learners = () if with_ == ("none",) else with_
        plan = planned(
            experiment.prepared,
            learners=learners,
            methods=methods,
            top=top,
            folds=folds,
            refit=not no_refit,
            name=name,
            budget=Budget(max_latency or math.inf, max_size or math.inf),
        )
        builder = Builder(experiment.store, experiment.prepared, experiment.settings.seed)
        record = builder.build(plan, n_workers)
        document = {
            "study": experiment.study,
            "storage": masked(storage),
            "task": experiment.settings.task,
            "metric": experiment.settings.metric,
            "name": name,
            "model": record.digest,
            **record.record,
        }
    if pictures is not None and draw is not None:
        _write(pictures, draw(document))
    if as_json:
        emit(json.dumps(document, allow_nan=False))
    else:
        emit("\n".join(_screen(document)))


def _page() -> Callable[[Mapping[str, Any]], str]:
    """What draws; asked for before hours are spent on what could not be drawn."""
    try:
        from hpo.report.ensembles import page
    except ImportError as error:
        raise UsageError("--pictures needs plotly: pip install 'hpo-stacks[pictures]'") from error
    return page


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--pictures {path}: {error.strerror}") from error


def _screen(document: Mapping[str, Any]) -> list[str]:
    from hpo.cli.tables import text_table
    from hpo.cli.words import metric_word, plus_minus, score

    width, metric = room(), metric_word(document["metric"])
    loss = document["loss"].replace("_", " ")
    where = f"over {document['folds']} folds of" if document["folds"] else "on"
    count = len(document["members"]) + len(document["left_out"])
    study, rows = plain(document["study"]), document["rows"]
    seen = f"compared {where} {rows} rows that they did not see"
    lines = [f"{study}: {count} models, {seen}"]
    methods, _ = text_table(_methods(document, loss, metric), width)
    members, hidden = text_table(_members(document, loss, metric), width)
    method = document["method"]
    if method == "best":
        alone = document["members"][0]["name"]
        built = f"no combination is better than the best model alone, {alone}"
    else:
        count = sum(each["models"] for each in document["members"])
        built = f"{method} of {count} models"
    expected = f"{metric} cannot be told from so few rows"
    if document["expected"] is not None and document["expected_se"] is not None:
        expected = f"{metric} {plus_minus(document['expected'], document['expected_se'])}"
    elif document["expected"] is not None:
        expected = f"{metric} {score(document['expected'])}"
    lines += ["", *methods, "", f"{document['name']}: {built}", "", *members]
    if hidden:
        lines.append(f"no room for {', '.join(hidden)}: --json has all")
    if document["left_out"]:
        lines.append(f"left out: {_few(document['left_out'])}")
    lines += ["", f"expected on new rows: {expected}", f"built in {document['seconds']:.1f} s"]
    named = f"{shlex.quote(study)} --model {shlex.quote(document['name'])}"
    lines += ["next:", f"  hpo test {named}"]
    lines += [f"  hpo predict {named} --input new.csv --output predictions.csv"]
    return wrapped(lines, width)


def _few(names: Sequence[str]) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _methods(document: Mapping[str, Any], loss: str, metric: str) -> list[Column]:
    from hpo.cli.tables import Column

    rows = sorted(document["methods"], key=lambda each: each["loss"])
    names = ["best model" if each["method"] == "best" else each["method"] for each in rows]
    return [
        Column("method", names, right=False, weight=9),
        Column(loss, [each["loss"] for each in rows], _number, weight=8),
        Column(metric, [each["score"] for each in rows], _number, weight=7),
    ]


def _members(document: Mapping[str, Any], loss: str, metric: str) -> list[Column]:
    from hpo.cli.tables import Column
    from hpo.cli.words import size

    rows = sorted(document["members"], key=lambda each: each["loss"])

    def column(title: str, name: str, show: Any, weight: int) -> Column:
        return Column(title, [each[name] for each in rows], show, weight=weight)

    def size_or_none(value: Any) -> str:
        return "-" if value is None else size(value)

    columns = [
        Column("member", [each["name"] for each in rows], right=False, weight=9),
        column("models", "models", str, 3),
        column(loss, "loss", _number, 8),
        column(metric, "score", _number, 7),
        column("weight", "weight", _number, 6),
        column("adds", "adds", _number, 5),
        column("size", "bytes", size_or_none, 4),
        column("ms / 1,000", "milliseconds", _number, 3),
        column("seconds", "seconds", _number, 2),
    ]
    return [each for each in columns if any(value is not None for value in each.values)]


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if abs(value) < 0.01 else f"{value:.4f}"
