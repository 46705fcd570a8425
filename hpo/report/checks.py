"""Pictures of the checks before a search: at which learning rates the network learns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from hpo.report.pages import page_of

Record = Mapping[str, Any]
"""What `hpo check --json` prints."""

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"
"""Told apart by everybody (Okabe & Ito 2008)."""

DASHED = {"color": GREY, "dash": "dash"}

BARE = {"showarrow": False}

LEAST = 1e-5
"""Less of the first loss is drawn as this: a logarithm of nothing cannot be."""

SEARCHED = "rgba(0, 114, 178, 0.08)"


def learning_rates(record: Record) -> go.Figure:
    """The training loss after the last epoch for each rate; crosses where training diverged."""
    found, (low, high) = record["curves"]["learning_rate_range"], record["searched"]
    first, best = found["loss"][0][0], found["best"]
    top = 1.25 * first
    last = [
        (rate, loss[-1]) for rate, loss in zip(found["learning_rate"], found["loss"], strict=True)
    ]
    drawn = [(rate, None if value is None or value > top else value) for rate, value in last]
    figure = go.Figure()
    _add_curve(figure, drawn, GREY, 1)
    _add_curve(figure, [each for each in drawn if best[0] <= each[0] <= best[1]], BLUE, 3)
    beyond = [rate for rate, value in drawn if value is None]
    figure.add_scatter(
        x=beyond,
        y=[top] * len(beyond),
        mode="markers",
        marker={"symbol": "x", "color": ORANGE, "size": 9},
        hovertemplate="%{x:.1e}: diverged, or above<extra></extra>",
    )
    figure.add_hline(first, line=DASHED, annotation_text="before training")
    figure.add_vrect(low, high, fillcolor=SEARCHED, line_width=0)
    # An annotation takes the logarithm, and one that belongs to a shape would be given the number.
    figure.add_annotation(
        x=math.log10(low),
        xanchor="left",
        y=0,
        yref="paper",
        yanchor="bottom",
        text="searched",
        **BARE,
    )
    figure.update_xaxes(type="log", exponentformat="power")
    title = f"Training loss after {len(found['loss'][0])} epochs, by learning rate (blue: the best)"
    return _titled(figure, title, "learning rate", "training loss")


def _add_curve(
    figure: go.Figure, points: Sequence[tuple[float, float | None]], colour: str, width: int
) -> None:
    x, y = zip(*points, strict=True)
    line = {"color": colour, "width": width}
    hover = "%{x:.1e}: %{y:.3g}<extra></extra>"
    figure.add_scatter(x=x, y=y, mode="lines+markers", line=line, hovertemplate=hover)


def small_batch(record: Record) -> go.Figure:
    """The training loss of a few rows over the epochs, at each learning rate."""
    found = record["curves"]["small_batch"]
    best, rates, first = found["best"], found["learning_rate"], found["loss"][0][0]
    least = LEAST * first
    figure = go.Figure()
    for rate, loss in zip(rates, found["loss"], strict=True):
        figure.add_scatter(
            x=list(range(1, len(loss) + 1)),
            y=[None if value is None else max(value, least) for value in loss],
            mode="lines",
            name=f"{rate:.0e}",
            line={"color": BLUE, "width": 3} if rate == best else {"color": GREY, "width": 1},
            hovertemplate="epoch %{x}: %{y:.3g}",
        )
    enough = found["enough"] * first
    figure.add_hline(enough, line=DASHED)
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=math.log10(enough),
        yanchor="bottom",
        text="learnt below",
        **BARE,
    )
    top = math.log10(3 * first)
    figure.update_yaxes(type="log", exponentformat="power", range=[math.log10(least) - 0.2, top])
    title = f"A few rows learnt by heart, at each learning rate (blue: {best:.1e})"
    return _titled(figure, title, "epoch", "training loss")


def page(record: Record) -> str:
    """Both pictures on one page of HTML that needs no network."""
    found = [each for some in record["findings"].values() for each in some]
    told = [
        f"{each['level']}: {each['what']}"
        for each in found
        if each["level"] in {"warning", "problem"}
    ]
    figures = [learning_rates(record), small_batch(record)]
    return page_of(f"{record['name']}: checks before a search", figures, told)


def _titled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    figure.update_layout(title=title, template="plotly_white", showlegend=False, height=420)
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y, automargin=True)
    return figure
