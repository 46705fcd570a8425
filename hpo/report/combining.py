"""Pictures of an ensemble as parts of a page: its members, its size, how sure it may be of itself.

`hpo.report.ensembles` draws the same records for the browser, with plotly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from hpo.report import drawing
from hpo.report.scales import Scale

Record = Mapping[str, Any]
"""What `hpo ensemble --json` prints."""

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 380.0, 260.0, 58.0, 22.0, 368.0, 218.0
ROW = 22.0


def leaderboard(record: Record) -> Element:
    """The loss of every method and member, the best at the top."""
    bars = [(each["method"], each["loss"], "method") for each in record["methods"]]
    bars = [each for each in bars if each[0] != "best"]
    bars += [(each["name"], each["loss"], "member") for each in record["members"]]
    bars.sort(key=lambda each: each[1])
    height = 2 * TOP + ROW * len(bars)
    longest = Scale(0.0, max(loss for _, loss, _ in bars), 140.0, RIGHT - 52)
    parts = []
    for place, (name, loss, kind) in enumerate(bars):
        top = TOP + ROW * place
        short = name if len(name) <= 20 else f"{name[:19]}…"
        parts += [
            drawing.text(134, top + 14, short, anchor="end"),
            drawing.box(140, top + 3, longest.at(loss), top + ROW - 3, kind),
            drawing.text(longest.at(loss) + 5, top + 14, f"{loss:.4g}"),
        ]
    said = "; ".join(f"{name} {loss:.4g}" for name, loss, _ in bars)
    return drawing.canvas(
        WIDTH,
        height,
        f"{loss_word(record)} of methods and members, the best first: {said}",
        drawing.group(parts, "axis"),
        drawing.titles(RIGHT, height, loss_word(record), "", LEFT),
    )


def size_curve(record: Record) -> Element | None:
    """The loss of greedy selections of 1, 2, … members; None where it was not measured."""
    losses = record.get("size_curve")
    if not losses:
        return None
    single = next(each["loss"] for each in record["methods"] if each["method"] == "best")
    low, high = min(*losses, single), max(*losses, single)
    margin = (high - low) / 10 or 0.1
    across = Scale(low - margin, high + margin, BOTTOM, TOP)
    sizes = Scale(1, max(2, len(losses)), LEFT, RIGHT)
    places = [(sizes.at(size), across.at(loss)) for size, loss in enumerate(losses, start=1)]
    least = min(range(len(losses)), key=losses.__getitem__)
    says = (
        f"{loss_word(record)} of a greedy selection: {losses[0]:.4g} with 1 member, least with "
        f"{least + 1}: {losses[least]:.4g}; the best model alone: {single:.4g}"
    )
    return drawing.canvas(
        WIDTH,
        HEIGHT,
        says,
        drawing.left_axis(across, LEFT, RIGHT),
        drawing.bottom_axis(sizes, BOTTOM),
        drawing.line((LEFT, across.at(single)), (RIGHT, across.at(single)), "reference"),
        drawing.text(RIGHT, across.at(single) - 5, "best model alone", "note", anchor="end"),
        drawing.curve(places, "validation"),
        drawing.dot(places[least], 4.5, "winner"),
        drawing.titles(RIGHT, HEIGHT, "members selected", loss_word(record), LEFT),
    )


def reliability(record: Record) -> Element | None:
    """How often it is right when it is so sure; None for numbers."""
    found = record.get("reliability")
    if found is None:
        return None
    rows, share = Scale(0, 1, LEFT, RIGHT), Scale(0, 1, BOTTOM, TOP)
    there = [place for place, count in enumerate(found["rows"]) if count]
    total = sum(found["rows"])
    places = [(rows.at(found["probability"][k]), share.at(found["hits"][k])) for k in there]
    dots = [
        drawing.dot(place, 3 + 9 * (found["rows"][k] / total) ** 0.5, "good", _said(found, k))
        for place, k in zip(places, there, strict=True)
    ]
    says = "; ".join(_said(found, k) for k in there)
    return drawing.canvas(
        WIDTH,
        HEIGHT,
        f"Reliability, calibration error {found['error']:.3f}: {says}",
        drawing.left_axis(share, LEFT, RIGHT),
        drawing.bottom_axis(rows, BOTTOM),
        drawing.line((LEFT, BOTTOM), (RIGHT, TOP), "reference"),
        drawing.curve(places, "validation"),
        drawing.group(dots),
        drawing.titles(RIGHT, HEIGHT, "probability of the class it predicts", "right", LEFT),
    )


def loss_word(record: Record) -> str:
    """``log loss`` or ``squared error``."""
    return str(record["loss"]).replace("_", " ")


def _said(found: Mapping[str, Any], place: int) -> str:
    probability, hits, count = (found[name][place] for name in ("probability", "hits", "rows"))
    return f"said {probability:.2f}, right {hits:.2f}, {count} rows"
