"""Pictures of a search: how the range of each parameter went on, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

from hpo.report import drawing
from hpo.report.records import Parameter, Study, Trial
from hpo.report.scales import Choices, Scale, thinned, tick_text
from hpo.report.words import parameter, score, searched

WIDTH, TOP, LEFT, RIGHT = 380.0, 20.0, 58.0, 372.0
HEIGHT, ROW = 250.0, 24.0
HALF = 0.44
"""How far a round reaches to either side of its number."""

MOST_DOTS = 1000
"""How many trials are drawn of each parameter."""

Across = Scale | Choices


def funnel(study: Study, of: Parameter) -> Element:
    """The ranges of one parameter over the rounds, and the trials: the best tenth stands out."""
    height = HEIGHT if not of.choices else TOP + 40 + ROW * max(3, len(of.choices))
    bottom = height - 36
    rounds = Scale(-HALF, len(study.rounds) - 1 + HALF, LEFT, RIGHT)
    across: Across
    if of.choices:
        across = Choices(of.choices, TOP, bottom)
    else:
        across = Scale(of.low, of.high, bottom, TOP, of.log)
    return drawing.canvas(
        WIDTH,
        height,
        described(study, of),
        drawing.box(LEFT, TOP, RIGHT, bottom, "full"),
        _bands(study, of, rounds, across),
        _axis(across),
        _round_axis(len(study.rounds), rounds, bottom),
        drawing.group(_marks(study, of, rounds, across), "trials"),
        drawing.titles(RIGHT, height, "round", of.name.replace("_", " "), LEFT),
    )


def described(study: Study, of: Parameter) -> str:
    """What the picture shows, in a sentence or two."""
    first, last = study.rounds[0], study.rounds[-1]
    name = of.name.replace("_", " ")
    told = [f"{name}: round 1 searched {searched(first.ranges[of.name])}"]
    if last is not first:
        told.append(f"round {last.index + 1} searched {searched(last.ranges[of.name])}")
    if study.winner is not None and of.name in study.winner.params:
        told.append(f"the winner has {parameter(study.winner.params[of.name])}")
    return "; ".join(told)


def _bands(study: Study, of: Parameter, rounds: Scale, across: Across) -> Element:
    parts = []
    for each in study.rounds:
        found = each.ranges.get(of.name)
        if found is None:
            continue
        left, right = rounds.at(each.index - HALF), rounds.at(each.index + HALF)
        for top, end in _heights(found, across):
            parts.append(drawing.box(left, top, right, end, "band"))
    return drawing.group(parts)


def _heights(found: Any, across: Across) -> list[tuple[float, float]]:
    """From where to where what a round searched reaches."""
    if isinstance(across, Scale):
        low, high = found
        return [(across.at(high), across.at(low))]
    middles = [across.at(each) for each in found["choices"]]
    half = across.height / 2 - 1.5
    return [(middle - half, middle + half) for middle in middles if middle is not None]


def _axis(across: Across) -> Element:
    if isinstance(across, Scale):
        return drawing.left_axis(across, LEFT, RIGHT)
    parts = []
    for each in across.choices:
        y = across.at(each)
        assert y is not None
        parts.append(drawing.text(LEFT - 5, y + 3.5, _short(str(each)), anchor="end"))
    return drawing.group(parts, "axis")


def _short(name: str) -> str:
    return name if len(name) <= 9 else f"{name[:8]}…"


def _round_axis(count: int, rounds: Scale, bottom: float) -> Element:
    places = thinned(range(count), 12)
    parts = [
        drawing.text(rounds.at(each), bottom + 14, tick_text(each + 1), anchor="middle")
        for each in places
    ]
    return drawing.group(parts, "axis")


def _marks(study: Study, of: Parameter, rounds: Scale, across: Across) -> list[Element | None]:
    """The trials, the better ones over the others, and the winner over all."""
    best = max(1, len(study.ranked) // 10)
    shown = [each for each in study.trials if of.name in each.params]
    # Ranked ones come first, so that the thinned ones are of all ranks.
    marks = [
        _mark(study, each, of, rounds, across, good=each.rank is not None and each.rank <= best)
        for each in reversed(thinned(shown, MOST_DOTS))
    ]
    winner = study.winner
    if winner is not None and of.name in winner.params:
        place = _place(study, winner, of, rounds, across)
        marks.append(place and drawing.dot(place, 6.0, "winner", f"winner: trial {winner.number}"))
    return marks


def _mark(
    study: Study, trial: Trial, of: Parameter, rounds: Scale, across: Across, *, good: bool
) -> Element | None:
    place = _place(study, trial, of, rounds, across)
    if place is None:
        return None
    if trial.state == "failed":
        return drawing.cross(place, 3.0, "failed")
    said = trial.state if trial.value is None else score(trial.value)
    says = f"trial {trial.number}: {said}"
    return drawing.dot(place, 3.0 if good else 2.2, "good" if good else "other", says)


def _place(
    study: Study, trial: Trial, of: Parameter, rounds: Scale, across: Across
) -> tuple[float, float] | None:
    """Where a trial is: inside its round by its number, from the left to the right."""
    y = across.at(trial.params[of.name])
    if y is None:
        return None
    share = (trial.number % study.trials_per_round + 0.5) / study.trials_per_round
    return rounds.at(trial.round + (share - 0.5) * 2 * (HALF - 0.05)), y


def legend_entries() -> Sequence[tuple[str, str]]:
    """Class of a mark -> what it means."""
    return (
        ("band", "searched in this round"),
        ("good", "best tenth of the trials"),
        ("other", "other trial"),
        ("failed", "failed"),
        ("winner", "winner"),
    )
