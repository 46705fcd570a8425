"""Which hyperparameters are tuned, and over which ranges."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from hpo.search.narrowing import Box, Choices, Point, Range, Shape, edge
from hpo.search.notation import parse_item, parse_point
from hpo.search.tunable import OPTIONS, STRUCTURAL, TUNABLE, WIDE, has_option

Listed = list[float] | dict[str, list[Any]]
Ranges = dict[str, Listed]
"""What a round searched, as plain values: see `SearchSpace.ranges`."""

WIDE_PRESET = "wide"
DEFAULT_NAMES = ("learning_rate", "weight_decay")


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
        default_factory=lambda: {name: TUNABLE[name].usual for name in DEFAULT_NAMES}
    )

    @classmethod
    def parse(
        cls, items: Sequence[str], *, optimizer: str = "adam", classification: bool = True
    ) -> Self:
        """Return the default space with what `items` override and add.

        Parameters
        ----------
        items
            Texts such as ``learning_rate=1e-4..1e-2:log``, ``dropout=0..0.5``, ``batch_size=32|64``
            and ``dropout``, which takes its usual range; ``wide`` tunes almost everything.
        optimizer
            The one that trains where none is tuned.

        Raises
        ------
        ValueError
            If a text is malformed, names an unknown parameter, or one twice, or one that has no
            meaning here, or if a range is empty or reaches what cannot be used. One line.
        """
        chosen: dict[str, BaseDistribution] = {}
        for item in items:
            if item.strip() == WIDE_PRESET:
                continue
            name, distribution = parse_item(item)
            if name in chosen:
                raise ValueError(f"search space {item!r}: {name} is given twice; keep one range")
            chosen[name] = distribution
        wide = WIDE if any(item.strip() == WIDE_PRESET for item in items) else frozenset()
        names = [name for name in TUNABLE if name in {*DEFAULT_NAMES, *wide, *chosen}]
        space = {name: chosen.get(name, TUNABLE[name].usual) for name in names}
        used = _optimizers(space, optimizer)
        for name in names:
            reason = _meaningless(name, used, classification=classification)
            if reason and name in chosen:
                raise ValueError(f"search space {name!r}: {reason}")
            if reason:
                del space[name]
        return cls(space)

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

    def shape(self, optimizer: str) -> Shape:
        """Return how the parameters belong together; `optimizer` trains where none is tuned."""

        def meaningful(params: Point) -> Point:
            used = params.get("optimizer", optimizer)
            return {name: value for name, value in params.items() if has_option(used, name)}

        return Shape(STRUCTURAL & set(self.distributions), meaningful)

    def point(self, text: str, *, optimizer: str = "adam") -> Point:
        """Return a point, or a part of one, that is written ``NAME=VALUE,NAME=VALUE``.

        Raises
        ------
        ValueError
            In one line: if it is malformed, or no point of this space.
        """
        try:
            point = parse_point(text, self.distributions)
            if "optimizer" in point:
                _refuse_meaningless(point, (point["optimizer"],))
            else:
                _refuse_meaningless(point, _optimizers(self.distributions, optimizer))
        except ValueError as error:
            raise ValueError(f"point {text!r}: {error}") from None
        return point

    def ranges(self, box: Box) -> Ranges:
        """Return ``[low, high]`` of each number, ``{"choices": [...]}`` of any other parameter.

        Parameters
        ----------
        box
            Name to range or choices, as `hpo.search.narrowing.narrow` returns it; a parameter that
            it lacks is not narrowed.
        """
        return {
            name: _listed(box.get(name), distribution)
            for name, distribution in self.distributions.items()
        }

    def box(self, ranges: Ranges) -> dict[str, Range | Choices]:
        """Return the box whose `ranges` these are, also after JSON wrote and read them."""
        return {
            name: Choices(tuple(left["choices"])) if isinstance(left, dict) else (left[0], left[1])
            for name, left in ranges.items()
        }

    def edges(self, ranges: Ranges, params: Mapping[str, Any]) -> dict[str, str]:
        """Return which of `params` lie at an end of their full range, name to "lower" or "upper".

        Parameters
        ----------
        ranges
            What the last round searched.
        params
            Those of the winner.
        """
        found = {}
        for name, left in ranges.items():
            if isinstance(left, list) and name in params:
                end = edge(self.distributions[name], (left[0], left[1]), params[name])
                if end is not None:
                    found[name] = end
        return found


def _listed(narrowed: Any, distribution: BaseDistribution) -> Listed:
    if isinstance(distribution, CategoricalDistribution):
        kept = narrowed.kept if isinstance(narrowed, Choices) else distribution.choices
        return {"choices": list(kept)}
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return list(narrowed or (distribution.low, distribution.high))


def _optimizers(space: Mapping[str, BaseDistribution], fixed: str) -> tuple[str, ...]:
    """Every optimizer that a trial may have."""
    tuned = space.get("optimizer")
    if isinstance(tuned, CategoricalDistribution):
        return tuple(str(each) for each in tuned.choices)
    return (fixed,)


def _refuse_meaningless(point: Point, optimizers: Sequence[str]) -> None:
    """Raise ValueError if one of the optimizers lacks what the point has of an optimizer."""
    for name in point:
        without = [each for each in optimizers if not has_option(each, name)]
        if without:
            advice = ": give the optimizer too" if len(optimizers) > 1 else ""
            raise ValueError(f"{without[0]} has no {name}{advice}")


def _meaningless(name: str, optimizers: Sequence[str], *, classification: bool) -> str | None:
    """Why a parameter has no meaning here; None if it has one."""
    if name == "label_smoothing" and not classification:
        return "it belongs to classification, and this is regression"
    if name in OPTIONS and not any(has_option(each, name) for each in optimizers):
        return f"{' and '.join(optimizers)} has no {name}; choose another --optimizer, or tune it"
    return None
