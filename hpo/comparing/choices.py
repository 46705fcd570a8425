"""The choices that a question puts beside each other, from how they are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.comparing.questions import QUESTIONS, SMALL
from hpo.nn.initializers import natural_initializer
from hpo.nn.members import RANGES
from hpo.search.tunable import TUNABLE

RATES: Mapping[str, float] = {
    "sgd": 0.01,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.01,
    "rmsprop": 0.001,
    "adadelta": 1.0,  # Zeiler 2012 has no learning rate, which is a factor of 1
    "adam": 0.001,
    "nadam": 0.001,
    "adamw": 0.001,
}
"""The learning rate that each optimizer is usually begun with."""


@dataclass(frozen=True)
class Choice:
    """One of the things that are compared.

    ``params`` are hyperparameters as a trial has them; ``patience`` stops a network early.
    ``baseline`` names the choice that this one is measured against, None if all compete.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    patience: int | None = None
    baseline: str | None = None


Maker = Callable[[Sequence[str], str], list[Choice]]
"""From texts, for networks with an activation; ``ValueError`` for a text that names no choice."""


def _competing(parameter: str) -> Maker:
    """Each text is a value of the parameter, and the best of them is looked for."""

    def choices(texts: Sequence[str], _activation: str) -> list[Choice]:
        for text in texts:
            TUNABLE[parameter].check(text)
        return [Choice(text, {parameter: text}) for text in texts]

    return choices


def _strengths(parameter: str) -> Maker:
    """Each text is a strength, 0 for none; the first is what the others are measured against."""
    words = parameter.replace("_", " ")

    def choices(texts: Sequence[str], _activation: str) -> list[Choice]:
        made: list[Choice] = []
        for text in texts:
            value, (low, high) = _number(text, words), RANGES[parameter]
            if math.isinf(value):
                raise ValueError(f"{words} {text}: it must be a finite number")
            if not low <= value <= high:
                raise ValueError(f"{words} {text}: it must be from {low:g} to {high:g}")
            name = f"{words} {value:g}" if value else f"no {words}"
            made.append(Choice(name, {parameter: value}, baseline=made[0].name if made else None))
        return made

    return choices


def _number(text: str, words: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{words} {text!r} is no number") from None


def _patiences(texts: Sequence[str], _activation: str) -> list[Choice]:
    """Each text is a patience, 0 or off for none."""
    made: list[Choice] = []
    for text in texts:
        if text != "off" and not (text.isascii() and text.isdigit()):
            raise ValueError(f"patience {text!r} is no whole number; off stops no network early")
        patience = 0 if text == "off" else int(text)
        name = f"patience {patience}" if patience else "no early stopping"
        baseline = made[0].name if made else None
        made.append(Choice(name, patience=patience or None, baseline=baseline))
    return made


_PLACES = {"off": "none", "on": "before", "before": "before", "after": "after"}


def _normalised(texts: Sequence[str], activation: str) -> list[Choice]:
    """Each text says where is normalised: from good initial values, and from ones too small."""
    for text in texts:
        if text not in _PLACES:
            raise ValueError(f"batch normalisation is off, on, before or after, not {text!r}")
    made: list[Choice] = []
    for initializer in (natural_initializer(activation), SMALL):
        first: str | None = None
        for text in texts:
            where = {"off": "", "on": " + batch norm"}.get(text, f" + batch norm {text}")
            params = {"initializer": initializer, "batch_norm": _PLACES[text]}
            made.append(Choice(initializer + where, params, baseline=first))
            first = first or made[-1].name
    return made


_MAKERS: Mapping[str, Maker] = {
    "optimizer": _competing("optimizer"),
    "initializer": _competing("initializer"),
    "activation": _competing("activation"),
    "batch-norm": _normalised,
    "weight-decay": _strengths("weight_decay"),
    "dropout": _strengths("dropout"),
    "early-stopping": _patiences,
}


def choices_of(what: str, texts: Sequence[str], activation: str) -> list[Choice]:
    """The choices that these texts name; the usual ones if there are none.

    Raises ``ValueError`` for a text that names none, and unless they are two or more, none twice.
    """
    written = texts or QUESTIONS[what]
    made = _MAKERS[what](written, activation)
    names = [each.name for each in made]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is given twice")
    if len(written) < 2:
        raise ValueError("one choice alone compares with nothing; give two or more")
    return made
