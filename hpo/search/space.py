"""Which hyperparameters are tuned, and over which ranges."""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from hpo.search.narrowing import Range

DEFAULT_RANGES: Mapping[str, FloatDistribution] = MappingProxyType(
    {
        "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
        "weight_decay": FloatDistribution(1e-5, 10.0, log=True),
    }
)


@dataclass(frozen=True)
class SearchSpace:
    """The tuned parameters and their distributions.

    Parameters
    ----------
    distributions
        Name to Optuna distribution; by default the learning rate from 1e-5 to 1e-1 and the
        (decoupled) weight decay from 1e-5 to 10, both log.
    """

    distributions: Mapping[str, BaseDistribution] = field(
        default_factory=lambda: dict(DEFAULT_RANGES)
    )

    @classmethod
    def parse(cls, items: Sequence[str]) -> Self:
        """Return the default space with the ranges that `items` override.

        Parameters
        ----------
        items
            Texts such as ``learning_rate=1e-4..1e-2:log``; without ``:log`` the range is linear.

        Raises
        ------
        ValueError
            If a text is malformed, names an unknown parameter or one twice, or if a range is empty,
            negative, not finite, or log and starts at 0. The message is one line.
        """
        overrides: dict[str, FloatDistribution] = {}
        for item in items:
            name, distribution = _parse_item(item)
            if name in overrides:
                raise ValueError(f"search space {item!r}: {name} is given twice; keep one range")
            overrides[name] = distribution
        return cls({**DEFAULT_RANGES, **overrides})

    def to_json(self) -> dict[str, Any]:
        """Return the space as a JSON object: name to Optuna's record of the distribution."""
        return {
            name: json.loads(distribution_to_json(distribution))
            for name, distribution in self.distributions.items()
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the space that `to_json` wrote.

        Raises
        ------
        ValueError
            If the record holds what is no distribution.
        """
        try:
            return cls({name: json_to_distribution(json.dumps(d)) for name, d in record.items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no record of a search space: {record!r}") from error

    def ranges(self, box: Mapping[str, Range]) -> dict[str, list[float]]:
        """Return ``[low, high]`` of each float and int parameter: the box's, else the full range.

        Parameters
        ----------
        box
            Name to ``(low, high)``, as `hpo.search.narrowing.narrow` returns it.
        """
        return {
            name: list(box.get(name, (distribution.low, distribution.high)))
            for name, distribution in self.distributions.items()
            if isinstance(distribution, FloatDistribution | IntDistribution)
        }


def _parse_item(item: str) -> tuple[str, FloatDistribution]:
    """Return the name and the distribution that a text such as ``lr=1e-4..1e-2:log`` gives."""
    name, _, range_and_scale = (part.strip() for part in item.partition("="))
    _refuse_unknown(name, item)
    bounds, colon, scale = (part.strip() for part in range_and_scale.partition(":"))
    low_text, _, high_text = bounds.partition("..")
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)) or (colon and scale != "log"):
        raise ValueError(
            f"search space {item!r}: this is no range; write {name}=LOW..HIGH or "
            f"{name}=LOW..HIGH:log with two numbers, e.g. {name}=1e-4..1e-2:log"
        )
    _refuse_unusable(low, high, log=bool(colon), item=item)
    return name, FloatDistribution(low, high, log=bool(colon))


def _refuse_unknown(name: str, item: str) -> None:
    if name in DEFAULT_RANGES:
        return
    close = difflib.get_close_matches(name, DEFAULT_RANGES, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ValueError(
        f"search space {item!r}: {name!r} cannot be tuned.{hint} "
        f"Tunable are {', '.join(DEFAULT_RANGES)}; write e.g. learning_rate=1e-4..1e-2:log"
    )


def _refuse_unusable(low: float, high: float, *, log: bool, item: str) -> None:
    if low < 0:
        raise ValueError(f"search space {item!r}: {low:g} is negative; start at 0 or above")
    if low >= high:
        raise ValueError(
            f"search space {item!r}: the range is empty; {low:g} must be below {high:g}"
        )
    if log and low == 0:
        raise ValueError(
            f"search space {item!r}: a log range starts above 0; raise 0 or drop ':log'"
        )
