"""The command that searches a study again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo import settings as defaults
from hpo.cli.data_options import DEFAULT_SIZE
from hpo.report.records import Study

_WITH_VALUE = {
    "sampler": "narrowing",
    "pruner": defaults.DEFAULT_PRUNER,
    "group": None,
    "time": None,
    "positive": None,
    "optimizer": "adam",
    "epochs": defaults.DEFAULT_EPOCHS,
    "batch_size": None,
    "patience": None,
    "schedule": defaults.DEFAULT_SCHEDULE,
    "cv": None,
    "warm_start": None,
    "seed": 0,
    "test_size": DEFAULT_SIZE,
    "validation_size": DEFAULT_SIZE,
}
"""Settings that are options of the same name -> what they are if the option is left out."""


def commands(study: Study) -> tuple[str, ...]:
    """What is typed to come to the same trials; two commands where trials were added later."""
    planned = study.trials_per_round * study.settings["rounds"]
    finished = sum(study.counts.get(state, 0) for state in ("complete", "pruned", "failed"))
    if finished > planned:
        totals = [planned, finished]
    elif -(-finished // study.settings["rounds"]) == study.trials_per_round:
        totals = [finished]  # as many rounds of as many trials come of it
    else:
        totals = [planned]
    return tuple(shlex.join(_arguments(study, total)) for total in totals)


def _arguments(study: Study, total: int) -> Iterator[str]:
    settings, source = study.settings, study.data.source
    yield from ("hpo", "search", source)
    if settings["target"] is not None:
        yield from ("--target", settings["target"], "--task", settings["task"])
    if not settings["header"]:
        yield "--no-header"
    for column in settings["numeric"]:
        yield from ("--numeric", column)
    if study.data.test_file is not None:
        yield from ("--test-file", study.data.test_file)
    if settings["metric"] != {"classification": "accuracy"}.get(settings["task"], "r2"):
        yield from ("--metric", settings["metric"])
    if study.name != Path(source).stem:
        yield from ("--study", study.name)
    if study.storage != "sqlite:///hpo.db":
        yield from ("--storage", study.storage)
    yield from ("--trials", str(total), "--rounds", str(settings["rounds"]))
    yield from _changed(study)
    yield from _space(settings["space"])
    yield from _choice(study)


def _changed(study: Study) -> Iterator[str]:
    """The options that are not what they are by themselves."""
    settings = study.settings
    for name, usual in _WITH_VALUE.items():
        value = settings.get(name, usual)
        # The size says nothing where a file brings the test rows, and folds score the trials.
        needless = {"test_size": study.data.test_file, "validation_size": study.cv}.get(name)
        if value != usual and needless is None:
            yield from (f"--{name.replace('_', '-')}", str(value))
    if tuple(settings["hidden"]) != defaults.DEFAULT_HIDDEN:
        yield from ("--hidden", ",".join(map(str, settings["hidden"])))
    if study.costs:
        yield from ("--objectives", ",".join(settings["objectives"]))
    if settings.get("asynchronous"):
        yield "--async"
    for point in settings.get("points", ()):
        yield from ("--point", defaults.described(point))


def _space(space: Mapping[str, Any]) -> Iterator[str]:
    from optuna.distributions import distribution_to_json

    from hpo.search.space import SearchSpace

    usual = SearchSpace().distributions
    for name, distribution in SearchSpace.from_json(space).distributions.items():
        if name not in usual or distribution_to_json(usual[name]) != distribution_to_json(
            distribution
        ):
            yield from ("--space", _item(name, distribution))


def _item(name: str, distribution: Any) -> str:
    """As ``--space`` reads it, with all digits."""
    if hasattr(distribution, "choices"):
        return f"{name}={'|'.join(map(str, distribution.choices))}"
    log = ":log" if distribution.log else ""
    return f"{name}={distribution.low!r}..{distribution.high!r}{log}"


def _choice(study: Study) -> Iterator[str]:
    """How the winner was chosen, and whether the test rows were opened for it."""
    chosen = study.selection
    repeats = 0 if chosen is None else chosen.repeats
    if repeats != defaults.DEFAULT_REPEATS:
        yield from ("--repeats", str(repeats))
    if chosen is not None and chosen.refit:
        yield "--refit"
    if not study.looks:
        yield "--keep-sealed"
