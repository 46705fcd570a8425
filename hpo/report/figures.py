"""Pictures of a search for Optuna's dashboard, which shows figures of plotly.

A report draws the same by `hpo.report.narrowing` and `hpo.report.courses`, without a script.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from hpo.report import ensembles
from hpo.report.courses import MOST_POINTS, drawn, limits
from hpo.report.records import Parameter, Study, Trial
from hpo.report.scales import thinned
from hpo.report.words import parameter, score

BLUE, ORANGE, GREY = ensembles.BLUE, ensembles.ORANGE, ensembles.GREY
COLUMNS = 5
HEIGHT = 420
"""The dashboard cuts off what is higher."""

SMALL = {"size": 10}
HALF = 0.44
MOST_DOTS = 1000


def figures(study: Study) -> Iterator[tuple[str, go.Figure]]:
    """Name -> figure, of all that there are; a name may be an identifier of HTML."""
    if study.rounds:
        yield "narrowing", narrowing(study)
    if drawn(study) is not None:
        yield "curves-of-the-best", courses(study)
    for place, record in enumerate(study.ensembles, start=1):
        for name, draw in ensembles.PICTURES.items():
            if _has(record, name) and (figure := draw(record)) is not None:
                yield f"ensemble-{place}-{name.replace(' ', '-')}", figure


def _has(record: Any, name: str) -> bool:
    needed = {"size curve": "size_curve"}.get(name, name)
    return name == "leaderboard" or needed in record


def narrowing(study: Study) -> go.Figure:
    """What each round searched of each parameter, and its trials: the best tenth stands out."""
    searched = [each for each in study.parameters if each.name in study.rounds[0].ranges]
    across = math.ceil(math.sqrt(len(searched)))
    down = -(-len(searched) // across)
    names = [each.name.replace("_", " ") for each in searched]
    figure = make_subplots(down, across, subplot_titles=names)
    for place, each in enumerate(searched):
        row, col = place // across + 1, place % across + 1
        for trace in (_band(study, each), *_trials(study, each)):
            figure.add_trace(trace, row, col)
        figure.update_yaxes(type=_axis(each), row=row, col=col, automargin=True)
        figure.update_xaxes(title="round" if row == down else None, row=row, col=col, dtick=1)
    _lay_out(figure, "Narrowing")
    return figure


def _axis(of: Parameter) -> str:
    if of.choices:
        return "category"
    return "log" if of.log else "linear"


def _band(study: Study, of: Parameter) -> go.Scatter:
    """The ranges as one outline; of choices a square for each that is left."""
    if of.choices:
        pairs = [
            (each.index + 1, str(choice))
            for each in study.rounds
            for choice in _left(each.ranges.get(of.name))
        ]
        xs, ys = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        marker = {"symbol": "square", "size": 22, "color": BLUE, "opacity": 0.25}
        return go.Scatter(x=xs, y=ys, mode="markers", marker=marker, hoverinfo="skip")
    lows, highs, places = [], [], []
    for each in study.rounds:
        low, high = each.ranges[of.name]
        lows += [low, low]
        highs += [high, high]
        places += [each.index + 1 - HALF, each.index + 1 + HALF]
    return go.Scatter(
        x=places + places[::-1],
        y=highs + lows[::-1],
        fill="toself",
        mode="lines",
        line={"width": 0, "color": BLUE},
        hoverinfo="skip",
    )


def _left(found: Any) -> list[Any]:
    return list(found["choices"]) if isinstance(found, dict) else []


def _trials(study: Study, of: Parameter) -> Iterator[go.Scatter]:
    best = max(1, len(study.ranked) // 10)
    shown = thinned([each for each in study.trials if of.name in each.params], MOST_DOTS)
    good = [each for each in shown if each.rank is not None and each.rank <= best]
    failed = [each for each in shown if each.state == "failed"]
    others = [each for each in shown if each not in good and each not in failed]
    yield _dots(study, of, others, {"color": GREY, "size": 5, "opacity": 0.6})
    yield _dots(study, of, failed, {"color": GREY, "size": 6, "symbol": "x-thin-open"})
    yield _dots(study, of, good, {"color": ORANGE, "size": 8})


def _dots(study: Study, of: Parameter, trials: list[Trial], marker: dict[str, Any]) -> go.Scatter:
    values = [each.params[of.name] for each in trials]
    return go.Scatter(
        x=[_across(study, each) for each in trials],
        y=[str(each) for each in values] if of.choices else values,
        text=[_says(each, of) for each in trials],
        hoverinfo="text",
        mode="markers",
        marker=marker,
    )


def _across(study: Study, trial: Trial) -> float:
    share = (trial.number % study.trials_per_round + 0.5) / study.trials_per_round
    return trial.round + 1 + (share - 0.5) * 2 * (HALF - 0.05)


def _says(trial: Trial, of: Parameter) -> str:
    said = trial.state if trial.value is None else score(trial.value)
    return f"trial {trial.number}: {said}<br>{parameter(trial.params[of.name])}"


def courses(study: Study) -> go.Figure:
    """The best trials' scores after each epoch: validation solid, training dashed."""
    of = drawn(study)
    assert of is not None
    trials = [each for each in study.ranked if each.curves]
    down = -(-len(trials) // COLUMNS)
    heads = [f"Best-{each.rank}" for each in trials]
    figure = make_subplots(
        down, COLUMNS, subplot_titles=heads, shared_yaxes="all", shared_xaxes="all",
        horizontal_spacing=0.02, vertical_spacing=0.25 / down,
    )  # fmt: skip
    for place, each in enumerate(trials):
        row, col = place // COLUMNS + 1, place % COLUMNS + 1
        for name, line in (
            (of.train, {"color": ORANGE, "dash": "dash", "width": 1.5}),
            (of.validation, {"color": BLUE, "width": 1.8}),
        ):
            points = thinned(list(enumerate(each.curves.get(name, ()), start=1)), MOST_POINTS)
            xs, ys = [epoch for epoch, _ in points], [value for _, value in points]
            figure.add_trace(go.Scatter(x=xs, y=ys, mode="lines", line=line, name=name), row, col)
    figure.update_yaxes(range=list(limits(trials, of)))
    figure.update_xaxes(showticklabels=False)
    _lay_out(figure, f"{of.says} after each epoch: validation solid, training dashed")
    return figure


def _lay_out(figure: go.Figure, title: str) -> None:
    figure.update_annotations(font=SMALL)
    figure.update_xaxes(tickfont=SMALL)
    figure.update_yaxes(tickfont=SMALL)
    margin = {"t": 70, "b": 40, "l": 50, "r": 20}
    figure.update_layout(
        title=title, template="plotly_white", showlegend=False, height=HEIGHT, margin=margin
    )
