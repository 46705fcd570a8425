"""The commands that make a study again, from what is kept of its settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from hpo.data.metrics import default_metric
from hpo.search.notation import write_item
from hpo.search.space import DEFAULT_NAMES, SearchSpace
from hpo.search.tunable import TUNABLE
from hpo.settings import DEFAULT_REPEATS, DEFAULT_TRIALS, Settings, described
from storage import decisions, our_experiments
from storage.our_experiments import Made

DEFAULT_STORAGE = "sqlite:///hpo.db"


class Course(NamedTuple):
    """How a study went. ``trials`` are all that it has, ``per_round`` as many as a round has.

    ``repeats`` is how often the best were trained again, None if no winner was chosen yet.
    """

    trials: int
    per_round: int
    repeats: int | None = None
    refit: bool = False
    sealed: bool = False


def commands(
    study: str, source: str, storage: str, settings: Settings, course: Course, test_file: str | None
) -> list[list[str]]:
    """The commands, word by word: one, or two if trials were added after those first planned.

    Options that are as by default are left out.
    """
    words = ["hpo", "search", source, *_data(settings, test_file), *_search(settings)]
    if study not in {source, Path(source).stem}:
        words += ["--study", study]
    if storage != DEFAULT_STORAGE:
        words += ["--storage", storage]
    words += _end(course)
    totals = _totals(course, settings.rounds)
    return [
        words + ([] if total == DEFAULT_TRIALS else ["--trials", str(total)]) for total in totals
    ]


def typed(
    connection: Connection, made: Made, study: str, storage: str, n_trials: int
) -> list[str] | None:
    """The commands that make the study again; None if too little is known of its settings."""
    stored = our_experiments.document(connection, made.uid, "settings")
    preparation = our_experiments.document(connection, made.uid, "preparation") or {}
    try:
        settings = Settings.from_json(stored)
    except (KeyError, TypeError):  # of another version
        return None
    chosen, looks = (
        decisions.selections(connection, made.uid),
        decisions.looks(connection, made.uid),
    )
    repeats = chosen[-1].repeats if chosen else 0 if looks else None
    course = Course(
        n_trials,
        our_experiments.trials_per_round(connection, made.uid),
        repeats,
        refit=bool(chosen) and chosen[-1].refit,
        sealed=bool(chosen) and not looks,
    )
    test_file = preparation.get("split", {}).get("test_file")
    typed = commands(study, made.source, storage, settings, course, test_file)
    return [shlex.join(words) for words in typed]


def _totals(course: Course, rounds: int) -> list[int]:
    """What ``--trials`` was: the size of a round is that total over the rounds, rounded up."""
    planned = course.per_round * rounds
    if course.trials > planned:
        return [planned, course.trials]
    as_large = -(-course.trials // rounds) == course.per_round
    return [course.trials if as_large else planned]


def _data(settings: Settings, test_file: str | None) -> Iterator[str]:
    yield from _valued("target", settings.target)
    if not settings.header:
        yield "--no-header"
    for column in settings.numeric:
        yield from ("--numeric", column)
    yield from _valued("group", settings.group)
    yield from _valued("time", settings.time)
    yield from _valued("test-file", test_file)


def _search(settings: Settings) -> Iterator[str]:
    defaults = {each.name: each.default for each in fields(Settings)}

    def changed(*names: str) -> Iterator[str]:
        for name in names:
            value = getattr(settings, name)
            if value != defaults[name] or defaults[name] is MISSING:
                yield from _valued(name.replace("_", "-"), value)

    yield from changed("test_size")
    # Folds leave no validation rows, and a size of these is refused with them.
    if settings.cv is None:
        yield from changed("validation_size")
    yield from ("--task", settings.task)
    if settings.metric != default_metric(settings.task):
        yield from ("--metric", settings.metric)
    yield from changed("positive", "rounds", "sampler", "objectives", "pruner")
    if settings.asynchronous:
        yield "--async"
    for point in settings.points:
        yield from ("--point", described(point))
    yield from changed("warm_start", "seed", "hidden", "optimizer", "epochs", "batch_size")
    yield from changed("patience", "schedule")
    yield from _space(settings.space)
    yield from changed("cv")


def _space(space: Mapping[str, Any]) -> Iterator[str]:
    for name, distribution in SearchSpace.from_json(space).distributions.items():
        if name not in DEFAULT_NAMES or distribution != TUNABLE[name].usual:
            yield from ("--space", write_item(name, distribution))


def _end(course: Course) -> Iterator[str]:
    if course.repeats is not None and course.repeats != DEFAULT_REPEATS:
        yield from ("--repeats", str(course.repeats))
    if course.refit:
        yield "--refit"
    if course.sealed:
        yield "--keep-sealed"


def _valued(flag: str, value: Any) -> Sequence[str]:
    if value is None:
        return ()
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return (f"--{flag}", text)
