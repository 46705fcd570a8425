"""The story of a search in plain words: the same for a page and for a note in Markdown."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from hpo.report.caveats import caveats
from hpo.report.records import Parameter, Study
from hpo.report.words import (
    interval,
    metric_word,
    parameter,
    parameters,
    plus_minus,
    score,
    scored_word,
)

_METHODS = {
    "greedy": "greedy selection",
    "stacking": "stack",
    "blend": "blend of a greedy selection and a stack",
    "weights": "weighted mean",
    "bagging": "bag",
    "boosting": "boosted series",
    "best": "single choice",
}


class Section(NamedTuple):
    """A heading, and sentences that stand on their own."""

    title: str
    sentences: Sequence[str]


def story(study: Study) -> list[Section]:
    """What was searched, on which data, what came out, what mattered, what failed, and so on."""
    sections = [
        Section("What came out", _outcome(study)),
        Section("What was searched", _searched(study)),
        Section("On which data", _data(study)),
        Section("What mattered", _mattered(study)),
        Section("What failed, and why", _failed(study)),
        Section("What not to conclude", caveats(study)),
    ]
    return [each for each in sections if each.sentences]


def _outcome(study: Study) -> list[str]:
    winner, metric = study.winner, metric_word(study.metric)
    if winner is None or winner.value is None:
        return ["No trial has a score yet."]
    scored = f"{scored_word(study.cv)} {metric} {score(winner.value)}"
    trained = "" if winner.train is None else f", train {metric} {score(winner.train)}"
    told = [f"Trial {winner.number} won: {scored}{trained} ({parameters(winner.params)})."]
    told += [*_chosen(study), *_expected(study, metric), *_ensembles(study, metric)]
    return [*told, _test(study, metric)]


def _chosen(study: Study) -> list[str]:
    chosen = study.selection
    if chosen is None or not chosen.record["candidates"]:
        return ["It is the first of the ranking: the best trials were not trained again."]
    count, folds = len(chosen.record["candidates"]), chosen.record["folds"]
    where = f"over {folds} folds" if folds else f"{chosen.repeats} times with other seeds"
    told = (
        f"It was chosen among the best {count}, which were trained again {where}: of those within "
        "one standard error of the best it has the smallest gap between training and held-out rows."
    )
    networks = chosen.record.get("networks", chosen.repeats)
    what = f"The model is the mean of {networks} networks"
    if chosen.refit:
        return [told, f"{what} trained on all rows but the test's."]
    return [told, f"{what} that were trained for this choice."]


def _expected(study: Study, metric: str) -> list[str]:
    found = study.selection.record if study.selection else {}
    value, error = found.get("expected"), found.get("expected_se")
    if value is None:
        return []
    shown = score(value) if error is None else plus_minus(value, error)
    return [f"On new rows {metric} {shown} is to be expected of it."]


def _ensembles(study: Study, metric: str) -> list[str]:
    told = []
    for each in study.ensembles:
        count = sum(member["models"] for member in each["members"])
        value, error = each["expected"], each["expected_se"]
        promised = ""
        if value is not None:
            shown = score(value) if error is None else plus_minus(value, error)
            promised = f", of which {metric} {shown} is to be expected"
        models = "1 model" if count == 1 else f"{count} models"
        method = _METHODS.get(each["method"], each["method"])
        told.append(f"Ensemble {each['name']!r} is a {method} of {models}{promised}.")
    return told


def _test(study: Study, metric: str) -> str:
    seen = [each for each in study.looks if each.score is not None]
    if not seen:
        return "The test rows are still sealed: no score of them is known."
    rows = study.data.parts["test"]
    scores = "; ".join(f"{score(each.score or 0.0)} ({each.why})" for each in seen)
    count = "once" if len(study.looks) == 1 else f"{len(study.looks)} times"
    return f"The {rows:,} test rows were looked at {count}: {metric} {scores}."


def _searched(study: Study) -> list[str]:
    settings, finished = study.settings, sum(study.counts.values())
    layers = "" if study.network is None else f" of {'-'.join(map(str, study.network))} units"
    weights = "" if study.weights is None else f", {study.weights:,} weights each"
    if any(each.name == "hidden" for each in study.parameters):
        layers, weights = " whose layers were searched too", ""
    rounds = "1 round" if len(study.rounds) == 1 else f"{len(study.rounds)} rounds"
    counted = f"{finished} trials in {rounds} of up to {study.trials_per_round}"
    trained = f"trained by {settings['optimizer']} for up to {settings['epochs']} epochs"
    told = [f"{counted}: networks{layers}{weights}, {trained}."]
    ranges = [f"{each.name.replace('_', ' ')} {_range(each)}" for each in study.parameters]
    told.append(f"Searched were {_listed(ranges)}.")
    sampler = settings.get("sampler", "narrowing")
    if sampler == "narrowing":
        told.append(
            "Each round narrowed these ranges to where the best trials of the rounds before lay; "
            "a tenth of its trials went on exploring the full ranges."
        )
    else:
        told.append(f"The points were proposed by the sampler {sampler!r}.")
    if study.costs:
        told.append(f"Besides the score it was searched for a low {_listed(study.costs)}.")
    return told


def _range(of: Parameter) -> str:
    if of.choices:
        return "|".join(map(str, of.choices))
    return f"{interval(of.low, of.high)}{' (evenly in the logarithm)' if of.log else ''}"


def _data(study: Study) -> list[str]:
    data, parts, settings = study.data, study.data.parts, study.settings
    size = f"{data.rows:,} rows, {len(data.columns):,} columns"
    told = [f"{data.source}: {size}, {settings['task']} of {data.target!r}."]
    scored = f"{parts['validation']:,} scored the trials"
    if study.cv is not None:
        scored = f"the same rows scored the trials over {study.cv} folds"
    told.append(
        f"{parts['train']:,} rows trained the networks, {scored}, "
        f"{parts['test']:,} were kept sealed for the test; {_how_split(study)}."
    )
    return told


def _how_split(study: Study) -> str:
    settings = study.settings
    if settings.get("time") is not None:
        return f"split by {settings['time']!r}, the latest rows for the test"
    apart = ""
    if settings.get("group") is not None:
        apart = f", rows of one {settings['group']!r} always together"
    if study.data.test_file is not None:
        apart += f", the test rows from {study.data.test_file}"
    return f"drawn with seed {settings['seed']}{apart}"


def _mattered(study: Study) -> list[str]:
    told = []
    if study.importances:
        shares = [
            f"{name.replace('_', ' ')} {100 * share:.0f} %"
            for name, share in list(study.importances.items())[:6]
        ]
        told.append(
            f"What set the best tenth of the trials apart: {_listed(shares)} (PED-ANOVA, the "
            "measure that Optuna's dashboard shows)."
        )
    narrowed = [each for each in (_narrowed(study, each) for each in study.parameters) if each]
    if narrowed:
        told.append(f"The last round searched only {_listed(narrowed)}.")
    told += [
        f"The winner's {name.replace('_', ' ')} lies at the {end} end of its range."
        for name, end in study.edges.items()
    ]
    return told


def _narrowed(study: Study, of: Parameter) -> str | None:
    """How much of a full range the last round searched; None if it is most of it."""
    if not study.rounds or study.settings.get("sampler", "narrowing") != "narrowing":
        return None
    left, name = study.rounds[-1].ranges.get(of.name), of.name.replace("_", " ")
    if isinstance(left, dict):
        gone = len(of.choices) - len(left["choices"])
        return (
            f"{len(left['choices'])} of the {len(of.choices)} choices of {name}" if gone else None
        )
    if left is None or of.high <= of.low:
        return None
    low, high, first, last = (
        math.log(each) if of.log else each for each in (of.low, of.high, *left)
    )
    share = (last - first) / (high - low)
    return f"{100 * share:.0f} % of the range of {name}" if share < 0.8 else None


def _failed(study: Study) -> list[str]:
    told = []
    failed, pruned = study.failed, study.counts.get("pruned", 0)
    if failed:
        kinds = Counter(_kind(each.reason) for each in failed)
        for kind, count in kinds.most_common(5):
            told.append(f"{count} of {len(study.trials)} trials failed: {kind}.")
        told += _where(study)
    elif study.ranked:
        told.append("No trial failed.")
    if pruned:
        told.append(
            f"{pruned} trials were dropped before their end, because they had fallen behind "
            f"(--pruner {study.settings.get('pruner', 'none')})."
        )
    return told


def _kind(reason: str | None) -> str:
    """A reason without its numbers, by which those of one kind are counted together."""
    return re.sub(r"(?<![\w.])\d[\d.e+-]*", "…", reason or "no reason was kept").rstrip(".")


def _where(study: Study) -> list[str]:
    """Which parameter tells the failed trials from the others, if one does for nine in ten."""
    stumps = [
        _stump(study, each, upwards=upwards)
        for each in study.parameters
        if not each.choices
        for upwards in (True, False)
    ]
    found = min((each for each in stumps if each), key=lambda each: each.wrong, default=None)
    if found is None or 10 * found.wrong > len(study.failed) + len(study.ranked):
        return []
    return [found.says]


class _Stump(NamedTuple):
    wrong: int
    says: str


def _stump(study: Study, of: Parameter, *, upwards: bool) -> _Stump | None:
    """The value from which on trials failed, and for how many that is wrong."""
    sign = 1 if upwards else -1
    bad, good = (
        [sign * each.params[of.name] for each in trials if of.name in each.params]
        for trials in (study.failed, study.ranked)
    )
    if not bad or not good:
        return None
    wrong, edge = min(
        (sum(each < at for each in bad) + sum(each >= at for each in good), at) for at in bad
    )
    failing, scored = (sum(each >= edge for each in values) for values in (bad, good))
    value = sign * edge
    who = "It" if len(bad) == 1 else f"{failing} of the {len(bad)}"
    says = (
        f"{who} had a {of.name.replace('_', ' ')} of {parameter(value)} or "
        f"{'more' if upwards else 'less'}, as had {scored or 'none'} of the {len(good)} trials "
        "with a score."
    )
    return _Stump(wrong, says)


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
