"""Pictures of the checks before a search: at which learning rates the network learns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from hpo.report.pages import page_of

Record = Mapping[str, Any]
"""What `hpo check --json` prints."""

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"
"""Told apart by everybody (Okabe & Ito 2008)."""

SEARCHED = "rgba(0, 114, 178, 0.08)"


def learning_rates(record: Record) -> go.Figure:
    """The training loss after the last epoch for each rate; crosses where training diverged."""
    found, (low, high) = record["curves"]["learning_rate_range"], record["searched"]
    rates, last = found["learning_rate"], [loss[-1] for loss in found["loss"]]
    first = found["loss"][0][0]
    top = 1.25 * first
    is_high = [value is None or value > top for value in last]
    figure = go.Figure(
        go.Scatter(
            x=rates,
            y=[None if high else value for high, value in zip(is_high, last, strict=True)],
            mode="lines+markers",
            line={"color": BLUE},
        )
    )
    beyond = [rate for rate, high in zip(rates, is_high, strict=True) if high]
    figure.add_scatter(
        x=beyond,
        y=[top] * len(beyond),
        mode="markers",
        marker={"symbol": "x", "color": ORANGE, "size": 9},
        hovertemplate="%{x:.1e}: diverged, or above<extra></extra>",
    )
    figure.add_hline(first, line={"color": GREY, "dash": "dash"}, annotation_text="before training")
    figure.add_vrect(low, high, fillcolor=SEARCHED, line_width=0, annotation_text="searched")
    figure.add_annotation(
        x=math.log10(found["best"]),
        y=min(filter(None, last)),
        text=f"best {found['best']:.1e}",
        ay=30,
    )
    title = f"Training loss after {len(found['loss'][0])} epochs, by learning rate"
    return _titled(figure, title, "learning rate", "training loss", log_x=True)


def small_batch(record: Record) -> go.Figure:
    """The training loss of a few rows over the epochs, at each learning rate."""
    found = record["curves"]["small_batch"]
    best, rates = found["best"], found["learning_rate"]
    figure = go.Figure()
    for rate, loss in zip(rates, found["loss"], strict=True):
        figure.add_scatter(
            y=loss,
            x=list(range(1, len(loss) + 1)),
            mode="lines",
            name=f"{rate:.0e}",
            line={"color": BLUE, "width": 3} if rate == best else {"color": GREY, "width": 1},
            hovertemplate="epoch %{x}: %{y:.3g}",
        )
    figure.update_yaxes(type="log", exponentformat="power")
    title = f"A few rows learnt by heart (blue: learning rate {best:.0e})"
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


def _titled(figure: go.Figure, title: str, x: str, y: str, *, log_x: bool = False) -> go.Figure:
    figure.update_layout(title=title, template="plotly_white", showlegend=False, height=420)
    figure.update_xaxes(title=x, **({"type": "log", "exponentformat": "power"} if log_x else {}))
    figure.update_yaxes(title=y, automargin=True)
    return figure
