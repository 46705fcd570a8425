"""How ranges and choices are written: ``learning_rate=1e-4..1e-2:log``, ``optimizer=adam|sgd``."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpo.search.narrowing import contains
from hpo.search.tunable import TUNABLE, Tunable


def parse_item(item: str) -> tuple[str, BaseDistribution]:
    """Return the name and the distribution that one text gives.

    ``NAME`` alone is the usual range, ``NAME=LOW..HIGH`` a linear and ``NAME=LOW..HIGH:log`` a log
    range, ``NAME=A|B`` are choices, and ``NAME=A`` is one value for all trials.

    Raises
    ------
    ValueError
        One line that quotes the text and says what is wrong and what can be written.
    """
    name, equals, text = (part.strip() for part in item.partition("="))
    try:
        tunable = _find(name)
        if not equals:
            return name, tunable.usual
        if ".." in text and tunable.kind != "name":
            return name, _range(name, tunable, text)
        return name, CategoricalDistribution(_choices(name, tunable, text))
    except ValueError as error:
        raise ValueError(f"search space {item!r}: {error}") from None


def parse_point(text: str, distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return what ``NAME=VALUE,NAME=VALUE`` says of a point; a value may hold commas, as layers do.

    Raises
    ------
    ValueError
        In one line: if it is malformed, or a name is not searched, or a value lies outside.
    """
    point: dict[str, Any] = {}
    # A piece without a sign belongs to the value before it.
    for part in re.split(r",(?=[^,]*=)", text):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{part.strip()!r} is no NAME=VALUE; write e.g. learning_rate=0.003")
        if name in point:
            raise ValueError(f"{name} is given twice; keep one value")
        if name not in distributions:
            raise ValueError(_not_searched(name, distributions))
        point[name] = _inside(name, value, distributions[name])
    return point


def _not_searched(name: str, distributions: Mapping[str, BaseDistribution]) -> str:
    if name in TUNABLE:
        return f"{name} is not searched; add --space {name}"
    close = difflib.get_close_matches(name, distributions, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{name!r} is not searched.{hint} Searched are {', '.join(distributions)}"


def _inside(name: str, text: str, distribution: BaseDistribution) -> Any:
    kind = TUNABLE[name].kind
    try:
        value = text if kind == "name" else _number(text, whole=kind == "whole")
    except ValueError:
        wanted = "whole number" if kind == "whole" else "number"
        raise ValueError(f"{name} is a {wanted}, not {text!r}") from None
    if not contains(distribution, value):
        raise ValueError(
            f"{name}={text} lies outside of what is searched; widen --space "
            f"{write_item(name, distribution)}"
        )
    return distribution.to_external_repr(distribution.to_internal_repr(value))


def write_item(name: str, distribution: BaseDistribution) -> str:
    """Return the text that `parse_item` reads as this distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return f"{name}={'|'.join(map(str, distribution.choices))}"
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    log = ":log" if distribution.log else ""
    return f"{name}={written(distribution.low)}..{written(distribution.high)}{log}"


def written(number: float) -> str:
    """Return the shortest text that is read as this number."""
    short = f"{number:g}"
    return short if float(short) == number else str(number)


def _find(name: str) -> Tunable:
    if name in TUNABLE:
        return TUNABLE[name]
    close = difflib.get_close_matches(name, TUNABLE, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ValueError(
        f"{name!r} cannot be tuned.{hint} Tunable are {', '.join(TUNABLE)}; "
        "write e.g. learning_rate=1e-4..1e-2:log"
    )


def _range(name: str, tunable: Tunable, text: str) -> FloatDistribution | IntDistribution:
    bounds, colon, scale = (part.strip() for part in text.partition(":"))
    low_text, _, high_text = bounds.partition("..")
    whole = tunable.kind == "whole"
    example = "16..256" if whole else "1e-4..1e-2"
    try:
        low, high = _number(low_text, whole=whole), _number(high_text, whole=whole)
    except ValueError:
        low = high = math.nan
    if math.isnan(low + high) or (colon and scale != "log"):
        kind = "whole numbers" if whole else "numbers"
        raise ValueError(
            f"this is no range; write {name}=LOW..HIGH or {name}=LOW..HIGH:log with two {kind}, "
            f"e.g. {name}={example}:log"
        )
    if low >= high:
        raise ValueError(f"the range is empty; {low:g} must be below {high:g}")
    tunable.check(low)
    tunable.check(high)
    if colon and low <= 0:
        raise ValueError("a log range starts above 0; raise 0 or drop ':log'")
    if whole:
        return IntDistribution(int(low), int(high), log=bool(colon))
    return FloatDistribution(low, high, log=bool(colon))


def _choices(name: str, tunable: Tunable, text: str) -> tuple[Any, ...]:
    values = tuple(_value(name, tunable, part.strip()) for part in text.split("|"))
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice; keep one")
        tunable.check(value)
    return values


def _value(name: str, tunable: Tunable, text: str) -> Any:
    if tunable.kind == "name":
        if ".." in text:
            choices = getattr(tunable.usual, "choices", ())
            raise ValueError(f"{name} has choices and no range; write e.g. {name}="
                             f"{'|'.join(map(str, choices[:2]))}")  # fmt: skip
        return text
    try:
        return _number(text, whole=tunable.kind == "whole")
    except ValueError:
        kind = "whole number" if tunable.kind == "whole" else "number"
        raise ValueError(
            f"{text!r} is no {kind}; write {name}=LOW..HIGH for a range, or {name}=A|B for choices"
        ) from None


def _number(text: str, *, whole: bool) -> float:
    value = int(text) if whole else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
