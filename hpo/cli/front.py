"""The table of the trials that no other beats in everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpo.cli.tables import Column, Value, text_table
from hpo.cli.words import metric_word, parameters, score, scored_word

_MARK = "*"


def cost(name: str) -> tuple[str, Callable[[Value], str]]:
    """The title of a cost's column, and how its numbers are written."""
    if name == "size":
        return name, lambda value: "-" if value is None else f"{value:,.0f}"
    return f"{name} (ms)", lambda value: "-" if value is None else f"{value:.3g}"


def front_lines(document: Mapping[str, Any]) -> list[str]:
    """A line for each point of the Pareto front, the winner marked; none of a lone objective."""
    front = document["pareto"]
    if not front:
        return []
    metric, (first, *costs) = metric_word(document["metric"]), front[0]["values"]
    winner = document["best"]["trial"]
    shown = [_shown(alike, winner) for alike in _points(front)]
    columns = [
        Column("trial", [_marked(each["trial"], winner) for each in shown]),
        Column(
            f"{scored_word(document['cv'])} {metric}",
            [each["values"][first] for each in shown],
            _score,
        ),
        *(
            Column(title, [each["values"][name] for each in shown], show)
            for name in costs
            for title, show in [cost(name)]
        ),
        Column("as good", [len(each) - 1 for each in _points(front)]),
        Column("parameters", [parameters(each["params"]) for each in shown], right=False),
    ]
    table, _ = text_table(columns, None)
    names = " and ".join(filter(None, [", ".join([metric, *costs[:-1]]), costs[-1]]))
    count = sum(document["trials"].values())
    head = f"Pareto front in {names}: {len(front)} of {count} trials"
    return [head, *table, _of_winner(winner, [each["trial"] for each in front])]


def _points(front: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The trials of the front by their values, in its order."""
    found: dict[tuple[float, ...], list[Mapping[str, Any]]] = {}
    for each in front:
        found.setdefault(tuple(each["values"].values()), []).append(each)
    return list(found.values())


def _shown(alike: Sequence[Mapping[str, Any]], winner: int) -> Mapping[str, Any]:
    """The winner, or else the first, of trials with the same values."""
    return next((each for each in alike if each["trial"] == winner), alike[0])


def _marked(number: int, winner: int) -> str:
    return f"{_MARK}{number}" if number == winner else str(number)


def _score(value: Value) -> str:
    assert isinstance(value, int | float)
    return score(value)


def _of_winner(winner: int, front: Sequence[int]) -> str:
    if winner in front:
        return f"{_MARK} the winner"
    return (
        f"the winner, trial {winner}, is not on it: it did better when the best were trained again"
    )
