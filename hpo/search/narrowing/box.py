"""The box of a round: what the best trials of earlier rounds leave of each parameter's range."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from .scale import Numerical, Range, to_coordinate, to_value
from .settings import FinishedTrial, NarrowingSettings


@dataclass(frozen=True)
class Choices:
    """The choices of a categorical parameter that are left, in their order."""

    kept: tuple[Any, ...]


Box = Mapping[str, Range | Choices]
"""Name to what is left of a parameter's range; a parameter that is absent is not narrowed."""


def narrow(
    distributions: Mapping[str, BaseDistribution],
    finished: Iterable[FinishedTrial],
    settings: NarrowingSettings,
    round_index: int,
) -> dict[str, Range | Choices]:
    """Return the box of a round: what is left of each parameter's range.

    Only finite trials of earlier rounds count, so what is running or comes later does not change a
    box, and neither does the order of `finished`. A parameter's range is spanned by the best among
    the trials that have it with a value that its distribution still contains. Trials that were
    pruned rank behind all others: they span no range, and speak against their choices.

    A choice is dropped on evidence alone: if it had no influence, so few of its trials among the
    best quarter of all that have the parameter would be a rarity, less probable than
    ``settings.evidence`` (Fisher's exact test, one-sided, with the margins of that table). The
    choice of the best trial always stays, and one that explorers find good again comes back.

    Returns
    -------
    dict
        For a number ``(low, high)`` in the parameter's own units, both ends included, inside the
        full range, with ``low < high`` unless the full range is a single value. A grid's range ends
        on the grid and holds at least two of its values. For a categorical parameter its `Choices`.
    """
    finished, before = list(finished), round_index * settings.trials_per_round
    ranked = _ranked(finished, before)
    pruned = [trial for trial in finished if trial.pruned and trial.number < before]
    box: dict[str, Range | Choices] = {}
    for name, distribution in distributions.items():
        values = _values(ranked, name, distribution)
        if isinstance(distribution, Numerical):
            box[name] = _narrowed(distribution, values, settings)
        elif isinstance(distribution, CategoricalDistribution):
            behind = _values(pruned, name, distribution)
            box[name] = _chosen(distribution, values, behind, settings)
    return box


def warmed(
    distributions: Mapping[str, BaseDistribution],
    others: Iterable[FinishedTrial],
    settings: NarrowingSettings,
) -> dict[str, Range | Choices]:
    """Return the box of a first round: what the trials of another study leave of the ranges.

    Only their order counts, because values of other data are no measure here. The best share
    ``settings.keep`` of all of them spans the box, and not of a round, as in `narrow`: what was
    best there need not be so here.
    """
    ranked = _ranked(others, None)
    known = [FinishedTrial(place, place, each.params) for place, each in enumerate(ranked)]
    as_one_round = replace(settings, trials_per_round=max(1, len(known)))
    return narrow(distributions, known, as_one_round, 1)


def adopted(
    distributions: Mapping[str, BaseDistribution], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Return those of another study's parameters that lie in our ranges, as values of ours."""
    return {
        name: distribution.to_external_repr(distribution.to_internal_repr(params[name]))
        for name, distribution in distributions.items()
        if name in params and contains(distribution, params[name])
    }


def edge(distribution: BaseDistribution, left: Range, value: float) -> str | None:
    """Return "lower" or "upper" if a good value lies at that end of its full range, else None.

    That is said where the search has narrowed to less than half of the range, up to the very end,
    and the value lies in the outer tenth. A parameter without influence gets there by chance, but
    is not narrowed so far.
    """
    if not isinstance(distribution, Numerical) or distribution.single():
        return None
    ends = distribution.low, distribution.high, *left, value
    low, high, first, last, at = (to_coordinate(distribution, each) for each in ends)
    width = high - low
    if last - first >= width / 2:
        return None
    if left[0] <= distribution.low and at - low <= width / 10:
        return "lower"
    if left[1] >= distribution.high and high - at <= width / 10:
        return "upper"
    return None


def _ranked(finished: Iterable[FinishedTrial], before: int | None) -> list[FinishedTrial]:
    """Return the finite trials that were not pruned, best first: all, or those below `before`."""
    usable = [t for t in finished if math.isfinite(t.value) and not t.pruned]
    if before is not None:
        usable = [t for t in usable if t.number < before]
    return sorted(usable, key=lambda t: (t.value, t.number))


def _values(ranked: list[FinishedTrial], name: str, distribution: BaseDistribution) -> list[Any]:
    """Return the values of one parameter that its distribution still contains, in their order."""
    values = [trial.params[name] for trial in ranked if name in trial.params]
    return [value for value in values if contains(distribution, value)]


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a distribution has this value, whatever it is."""
    if type(value) is float and type(distribution) is FloatDistribution and not distribution.step:
        return distribution.low <= value <= distribution.high  # as below, a few times as fast
    try:
        return distribution._contains(distribution.to_internal_repr(value))  # noqa: SLF001
    except ValueError:
        return False


def _narrowed(distribution: Numerical, ranked: list[float], settings: NarrowingSettings) -> Range:
    """Return the range that the best of the ranked values span, widened by the margin."""
    n_best = _n_best(len(ranked), settings)
    full = distribution.low, distribution.high
    if n_best < 2 or distribution.single():
        return full
    bounds = to_coordinate(distribution, full[0]), to_coordinate(distribution, full[1])
    best = [to_coordinate(distribution, value) for value in ranked[:n_best]]
    pad = settings.margin / 2 * (max(best) - min(best))
    span = max(bounds[0], min(best) - pad), min(bounds[1], max(best) + pad)
    span = _at_least(settings.min_width, span, bounds)
    low = full[0] if span[0] <= bounds[0] else to_value(distribution, span[0], math.floor)
    high = full[1] if span[1] >= bounds[1] else to_value(distribution, span[1], math.ceil)
    # Rounding can close a range of a few neighbouring floating-point numbers.
    return (low, high) if low < high else full


def _n_best(n_ranked: int, settings: NarrowingSettings) -> int:
    """Return how many of the ranked trials span a box."""
    # Rounded first, because 0.07 * 100 is 7.000000000000001.
    share = math.ceil(round(settings.keep * settings.trials_per_round, 9))
    return min(max(share, settings.min_best), math.ceil(n_ranked / 2))


def _at_least(share: float, span: Range, bounds: Range) -> Range:
    """Return the span, or one of the given share of the bounds around it, slid into the bounds."""
    width = share * bounds[1] - share * bounds[0]
    if span[1] - span[0] >= width:
        return span
    centred = (span[0] + span[1] - width) / 2
    low = max(bounds[0], min(centred, bounds[1] - width))
    return low, low + width


def _chosen(
    distribution: CategoricalDistribution,
    ranked: Sequence[Any],
    pruned: Sequence[Any],
    settings: NarrowingSettings,
) -> Choices:
    """Return the choices against which the ranked values, and those behind them, are no evidence.

    The pruned ones have no order, so where fewer than a quarter are ranked these are the top.
    """
    places = [distribution.to_internal_repr(value) for value in (*ranked, *pruned)]
    top = places[: min(math.ceil(len(places) / 4), len(ranked))]
    best = top[0] if top else None
    kept = [
        choice
        for index, choice in enumerate(distribution.choices)
        if index == best
        or _at_most(top.count(index), places.count(index), len(top), len(places))
        >= settings.evidence
    ]
    return Choices(tuple(kept))


def _at_most(found: int, own: int, drawn: int, among: int) -> float:
    """Return how probable it is that a draw holds at most ``found`` of its own.

    The hypergeometric distribution's sum up to ``found``: ``drawn`` are taken ``among`` so many,
    of which ``own`` are of one kind.
    """
    ways = sum(math.comb(own, k) * math.comb(among - own, drawn - k) for k in range(found + 1))
    return ways / math.comb(among, drawn)
