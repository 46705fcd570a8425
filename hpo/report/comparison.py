"""The picture of a comparison: mean curves in bands of their spread, and every seed's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative, unlabel_rgb
from plotly.subplots import make_subplots

from hpo.report.pages import page_of

Record = Mapping[str, Any]
"""What `hpo compare --json` prints."""

COLOURS: Sequence[str] = qualitative.Safe
"""Told apart by everybody."""

HEIGHT = 900

_ENDS = {
    "val_loss": "final validation loss, each seed",
    "best_val_loss": "lowest validation loss, each seed",
}

_CURVES = (("val", "solid"), ("train", "dash"))


def picture(record: Record) -> go.Figure:
    """Above the curves of loss and score, below where each seed ends: loss, and gap."""
    metric = record["metric"]
    figure = make_subplots(
        rows=2,
        cols=2,
        row_heights=[0.64, 0.36],
        subplot_titles=("loss", metric, _ENDS[record["judged_by"]], "gap, each seed"),
        vertical_spacing=0.12,
    )
    for place, choice in enumerate(record["choices"]):
        colour = COLOURS[place % len(COLOURS)]
        for column, quantity in enumerate(("loss", "score"), start=1):
            for trace in _curves(choice, quantity, colour):
                figure.add_trace(trace, row=1, col=column)
        for column, name in enumerate((record["judged_by"], "gap"), start=1):
            figure.add_trace(_ends(choice, name, colour), row=2, col=column)
    figure.add_hline(record["level"], line={"color": "#767676", "dash": "dot"}, row=1, col=1)
    return _laid_out(figure, record)


def page(record: Record) -> str:
    """The picture on a page of HTML that needs no network, with what it shows in words."""
    title = f"{record['data']}: {record['what'].replace('-', ' ')}"
    finding = record["finding"][:1].upper() + record["finding"][1:]
    return page_of(title, [picture(record)], [finding, _key(record)], width=80)


def _key(record: Record) -> str:
    """What the lines are."""
    seeds = record["n_seeds"]
    told = [
        "Solid: validation rows; dashed: training rows.",
        "These are a running mean while the weights change, with dropout where there is any.",
        f"Bands: standard deviation over {seeds} seeds." if seeds > 1 else "",
        f"Dotted: the loss that epochs are counted to, {record['level']:g}.",
        "A click on a name hides it, two clicks leave it alone.",
    ]
    return " ".join(filter(None, told))


def _curves(choice: Record, quantity: str, colour: str) -> list[go.Scatter]:
    """Band and line of validation, and a dashed line of training; what there is of them."""
    traces: list[go.Scatter] = []
    for part, dash in _CURVES:
        curve = choice["curves"].get(f"{part}_{quantity}")
        if curve is None:
            continue
        measured = [i for i, mean in enumerate(curve["mean"]) if mean is not None]
        epochs = [i + 1 for i in measured]
        means = [curve["mean"][i] for i in measured]
        if part == "val":
            deviations = [curve["sd"][i] for i in measured]
            traces += _band(choice["choice"], epochs, means, deviations, colour)
        line = {"color": colour, "dash": dash, "width": 2 if part == "val" else 1}
        traces.append(
            go.Scatter(
                x=epochs,
                y=means,
                mode="lines",
                name=choice["choice"],
                legendgroup=choice["choice"],
                showlegend=part == "val" and quantity == "loss",
                line=line,
                hovertemplate=f"{choice['choice']}, {part} %{{y:.4g}}, epoch %{{x}}<extra></extra>",
            )
        )
    return traces


def _band(
    group: str,
    epochs: Sequence[int],
    means: Sequence[float],
    deviations: Sequence[float | None],
    colour: str,
) -> list[go.Scatter]:
    """One standard deviation to both sides; nothing where a single seed has none."""
    known = [
        (epoch, mean, deviation)
        for epoch, mean, deviation in zip(epochs, means, deviations, strict=True)
        if deviation is not None
    ]
    if not known:
        return []
    red, green, blue = unlabel_rgb(colour)
    there, back = known, known[::-1]
    return [
        go.Scatter(
            x=[epoch for epoch, _, _ in (*there, *back)],
            y=[m + d for _, m, d in there] + [m - d for _, m, d in back],
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor=f"rgba({red:g},{green:g},{blue:g},0.18)",
            legendgroup=group,
            showlegend=False,
            hoverinfo="skip",
        )
    ]


def _ends(choice: Record, name: str, colour: str) -> go.Scatter:
    """A point for each seed that was trained."""
    values = [] if choice[name] is None else choice[name]["values"]
    return go.Scatter(
        x=values,
        y=[choice["choice"]] * len(values),
        mode="markers",
        marker={"color": colour, "size": 9, "opacity": 0.7},
        customdata=choice["seeds"],
        legendgroup=choice["choice"],
        showlegend=False,
        hovertemplate="%{y}, seed %{customdata}: %{x:.4g}<extra></extra>",
    )


def _laid_out(figure: go.Figure, record: Record) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT,
        legend={"orientation": "h", "y": 1.06, "yanchor": "bottom", "x": 0},
        margin={"t": 130},
    )
    figure.update_xaxes(title="epoch", row=1)
    figure.update_yaxes(automargin=True)
    figure.update_yaxes(autorange="reversed", row=2)
    # A network that learns nothing at first, or falls apart, would leave no room for the others.
    figure.update_yaxes(range=_range(record), row=1, col=1)
    return figure


def _range(record: Record) -> list[float]:
    """From below all curves to a little above guessing."""
    lowest = min(
        value
        for choice in record["choices"]
        for name in ("val_loss", "train_loss")
        for value in choice["curves"].get(name, {"mean": []})["mean"]
        if value is not None
    )
    room = 0.05 * abs(record["guess"] - lowest)
    return [lowest - room, record["guess"] + 2 * room]
