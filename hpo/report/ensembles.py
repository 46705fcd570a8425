"""Pictures of an ensemble: how many members help, who they are, how sure it may be of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go

from hpo.report.pages import page_of

Record = Mapping[str, Any]
"""What `hpo ensemble --json` prints."""

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"
"""Told apart by everybody (Okabe & Ito 2008)."""

DASHED = {"color": GREY, "dash": "dash"}


def size_curve(record: Record) -> go.Figure:
    """The loss of greedy selections of 1, 2, … members, on rows that they were not selected by."""
    losses = record["size_curve"]
    sizes = list(range(1, len(losses) + 1))
    figure = go.Figure(
        go.Scatter(x=sizes, y=losses, mode="lines+markers", name="greedy", line={"color": BLUE})
    )
    single = next(each["loss"] for each in record["methods"] if each["method"] == "best")
    figure.add_hline(single, line=DASHED, annotation_text="best model")
    least = min(range(len(losses)), key=losses.__getitem__)
    figure.add_annotation(
        x=sizes[least], y=losses[least], text=f"{losses[least]:.4g} with {sizes[least]}", ay=30
    )
    return _titled(figure, "Members against loss", "members selected", _loss(record))


def reliability(record: Record) -> go.Figure | None:
    """How often it is right when it is so sure; None for numbers."""
    found = record["reliability"]
    if found is None:
        return None
    there = [place for place, rows in enumerate(found["rows"]) if rows]

    def of(name: str) -> list[Any]:
        return [found[name][place] for place in there]

    figure = go.Figure(
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", name="ideal", line={"color": GREY, "dash": "dash"}
        )
    )
    figure.add_scatter(
        x=of("probability"),
        y=of("hits"),
        mode="lines+markers",
        name=record["name"],
        line={"color": BLUE},
        cliponaxis=False,
        customdata=of("rows"),
        hovertemplate="said %{x:.2f}, right %{y:.2f}, %{customdata} rows<extra></extra>",
        marker={"size": [6 + 24 * rows / sum(found["rows"]) for rows in of("rows")]},
    )
    figure.update_xaxes(range=[0, 1.02])
    figure.update_yaxes(range=[0, 1.02])
    title = f"Reliability (calibration error {found['error']:.3f})"
    return _titled(
        figure, title, "probability of the class that it predicts", "share that is right"
    )


def diversity(record: Record) -> go.Figure | None:
    """How differently the members err, pair by pair; None of a single one."""
    found = record["diversity"]
    names, matrix = found["names"], found["matrix"]
    if len(names) < 2:
        return None
    text = [["" if value is None else f"{value:.3f}" for value in row] for row in matrix]
    figure = go.Figure(
        go.Heatmap(
            x=names, y=names, z=matrix, text=text, texttemplate="%{text}", colorscale="Blues"
        )
    )
    figure.update_yaxes(autorange="reversed")
    words = {
        "disagreement": "share of rows on which one is right and the other wrong",
        "residual_correlation": "correlation of what they miss the target by",
    }
    return _titled(figure, f"Diversity: {words[found['measure']]}", "", "")


def leaderboard(record: Record) -> go.Figure:
    """The loss of every method and member, on rows that had no part in it."""
    methods = [(each["method"], each["loss"], ORANGE) for each in record["methods"]]
    bars = [(name, loss, colour) for name, loss, colour in methods if name != "best"]
    bars += [(each["name"], each["loss"], BLUE) for each in record["members"]]
    bars.sort(key=lambda each: -each[1])
    figure = go.Figure(
        go.Bar(
            x=[loss for _, loss, _ in bars],
            y=[name for name, _, _ in bars],
            orientation="h",
            marker={"color": [colour for _, _, colour in bars]},
            text=[f"{loss:.4g}" for _, loss, _ in bars],
        )
    )
    return _titled(figure, "Methods (orange) and members (blue)", _loss(record), "")


PICTURES: Mapping[str, Callable[[Record], go.Figure | None]] = {
    "leaderboard": leaderboard,
    "size curve": size_curve,
    "reliability": reliability,
    "diversity": diversity,
}


def page(record: Record) -> str:
    """All pictures on one page of HTML that needs no network."""
    drawn = (draw(record) for draw in PICTURES.values())
    return page_of(f"{record['study']}: {record['name']}", drawn)


def _loss(record: Record) -> str:
    return str(record["loss"]).replace("_", " ")


def _titled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    figure.update_layout(title=title, template="plotly_white", showlegend=False, height=420)
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y, automargin=True)
    return figure
