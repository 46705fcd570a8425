"""What textbooks say about a question, and whether it holds on these data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hpo.comparing.finding import listed, of, slowness
from hpo.comparing.questions import SMALL
from hpo.comparing.record import best_of

Record = Mapping[str, Any]
Verdict = tuple[str, str]
"""Whether it holds: yes, no, partly or untold; and what was found instead, if anything."""

YES, NO, PARTLY, UNTOLD = "yes", "no", "partly", "untold"


def textbook(record: Record) -> dict[str, str] | None:
    """The claim, whether it ``holds``, and what was found; None where none applies."""
    claim, check = CLAIMS[record["what"]]
    verdict = check(record)
    if verdict is None:
        return None
    holds, found = verdict
    return {"claim": claim, "holds": holds, "found": found}


def _named(record: Record, *names: str) -> list[Record] | None:
    """These choices, if all of them were trained."""
    there = {each["choice"]: each for each in record["choices"] if each["val_loss"] is not None}
    return [there[name] for name in names] if set(names) <= set(there) else None


_SLOW = ("sgd", "adadelta")


def _slowest(record: Record) -> Verdict | None:
    claimed = _named(record, *_SLOW)
    others = [each for each in record["choices"] if each["choice"] not in _SLOW]
    if claimed is None or _named(record, "adam") is None or len(others) < 2:
        return None
    equal = {
        each["choice"]: [other["choice"] for other in others if not _slower(each, other)]
        for each in claimed
    }
    missed = {name: names for name, names in equal.items() if names}
    found = "; ".join(f"{name} is no slower than {listed(names)}" for name, names in missed.items())
    return (YES, PARTLY, NO)[len(missed)], found


def _slower(one: Record, other: Record) -> bool:
    """Whether it takes longer to the level, by more than seeds differ; or alone never gets there.

    Where neither gets there the losses at the end decide.
    """
    times = slowness(one)[0], slowness(other)[0]
    if all(map(math.isinf, times)):
        return _above(one["val_loss"], other["val_loss"])
    if any(map(math.isinf, times)):
        return math.isinf(times[0])
    return _above(one["epochs_to_level"], other["epochs_to_level"])


def _above(one: Record | None, other: Record | None) -> bool:
    if one is None or other is None:
        return one is None and other is not None
    noise = math.hypot(one["sd"] or 0.0, other["sd"] or 0.0)
    return bool(one["mean"] - other["mean"] > noise)


_OF_RELU = ("relu", "leaky_relu")


def _he(record: Record) -> Verdict | None:
    if record["activation"] not in _OF_RELU or _named(record, "he_normal") is None:
        return None
    judged = record["judged_by"]
    best = best_of(record["choices"], judged)["choice"]
    first = min(record["choices"], key=slowness)["choice"]
    if not best.startswith("he_"):
        quickest = "it is the first at the level, but " if first.startswith("he_") else ""
        return (PARTLY if quickest else NO), f"{quickest}{best} has the lowest loss"
    equal = [each["baseline"] for each in of(record, judged) if not each["larger_than_noise"]]
    others = [each for each in equal if not each.startswith("he_")]
    return (UNTOLD, f"{listed(others)} cannot be told apart from it") if others else (YES, "")


def _sigmoid(record: Record) -> Verdict | None:
    found = _named(record, "sigmoid", "relu")
    if found is None:
        return None
    slow, quick = map(slowness, found)
    return (YES, "") if quick < slow else (NO, "sigmoid is not slower than relu")


def _rescue(record: Record) -> Verdict | None:
    pairs = [
        _named(record, each["choice"], each["baseline"])
        for each in record["choices"]
        if each["baseline"] == SMALL
    ]
    if not pairs or pairs[0] is None:
        return None
    rescued, alone = pairs[0]
    if slowness(alone)[0] < math.inf:
        return NO, "they are no obstacle here: without it the level is reached too"
    if slowness(rescued)[0] < math.inf:
        return YES, ""
    return NO, "with it the level is not reached either"


def _lowers(quantity: str) -> Callable[[Record], Verdict | None]:
    def check(record: Record) -> Verdict | None:
        found = of(record, quantity)
        known = [each for each in found if each["larger_than_noise"] is not None]
        if not known:
            return None
        verdicts = {each["choice"]: _lower(each) for each in known}
        if len(set(verdicts.values())) == 1:
            return next(iter(verdicts.values())), ""
        return PARTLY, ", ".join(f"{name}: {verdict}" for name, verdict in verdicts.items())

    return check


def _lower(difference: Record) -> str:
    if not difference["larger_than_noise"]:
        return UNTOLD
    return YES if difference["mean"] < 0 else NO


CLAIMS: Mapping[str, tuple[str, Callable[[Record], Verdict | None]]] = {
    "optimizer": ("sgd and adadelta are the slowest", _slowest),
    "initializer": ("he_normal does best with relu", _he),
    "activation": ("relu learns faster than sigmoid", _sigmoid),
    "batch-norm": ("batch normalisation rescues initial values of 0.01", _rescue),
    "weight-decay": (
        "weight decay narrows the gap between training and validation",
        _lowers("gap"),
    ),
    "dropout": ("dropout narrows the gap between training and validation", _lowers("gap")),
    "early-stopping": ("early stopping lowers the validation loss", _lowers("val_loss")),
}
"""For each question a claim that is in most textbooks on deep learning, and its check."""
