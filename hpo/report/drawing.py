"""The parts that pictures are made of: a canvas with a name, axes, lines and marks.

Colours are those of the page, by class, so that a picture is light or dark as the page is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from hpo.report.markup import element
from hpo.report.scales import Scale, tick_text

Place = tuple[float, float]


def canvas(width: float, height: float, says: str, *parts: Element | None) -> Element:
    """A picture; ``says`` is what it shows, for who does not see it."""
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=says,
        class_="picture",
    )


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start") -> Element:
    """A text that begins, ends (``end``) or has its middle (``middle``) at ``x``."""
    return element("text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def line(start: Place, end: Place, class_: str) -> Element:
    """A straight line."""
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def box(left: float, top: float, right: float, bottom: float, class_: str) -> Element:
    """A rectangle, never too thin to be seen."""
    width, height = max(1.0, right - left), max(1.0, bottom - top)
    return element("rect", x=left, y=top, width=width, height=height, class_=class_)


def dot(place: Place, radius: float, class_: str, says: str | None = None) -> Element:
    """A dot; ``says`` appears where a pointer rests on it."""
    title = None if says is None else element("title", says)
    return element("circle", title, cx=place[0], cy=place[1], r=radius, class_=class_)


def cross(place: Place, radius: float, class_: str) -> Element:
    """A cross."""
    (x, y), r = place, radius
    path = (
        f"M{x - r:.1f} {y - r:.1f}l{2 * r:g} {2 * r:g}M{x - r:.1f} {y + r:.1f}l{2 * r:g} {-2 * r:g}"
    )
    return element("path", d=path, class_=class_)


def curve(places: Sequence[Place | None], class_: str) -> Element | None:
    """A line through the places, with a gap where there is none; None without any."""
    path, pen_down = "", False
    for place in places:
        if place is None:
            pen_down = False
            continue
        path += f"{'L' if pen_down else 'M'}{place[0]:.1f} {place[1]:.1f}"
        pen_down = True
    return element("path", d=path, class_=class_) if path else None


def group(parts: Iterable[Element | None], class_: str | None = None) -> Element:
    """Several parts as one."""
    return element("g", *parts, class_=class_)


def left_axis(scale: Scale, left: float, right: float, most: int = 5) -> Element:
    """Ticks of a scale from the bottom to the top, with lines across the picture."""
    parts = []
    for tick in scale.ticks(most):
        y = scale.at(tick)
        parts += [
            line((left, y), (right, y), "grid"),
            text(left - 5, y + 3.5, tick_text(tick), anchor="end"),
        ]
    return group(parts, "axis")


def bottom_axis(scale: Scale, bottom: float, most: int = 6) -> Element:
    """Ticks of a scale from the left to the right, below the picture."""
    parts = []
    for tick in scale.ticks(most):
        x = scale.at(tick)
        parts += [
            line((x, bottom), (x, bottom + 4), "tick"),
            text(x, bottom + 15, tick_text(tick), anchor="middle"),
        ]
    return group(parts, "axis")


def titles(width: float, height: float, x: str, y: str, left: float) -> Element:
    """What the axes mean: below the picture, and above its left end."""
    return group(
        [
            text((left + width) / 2, height - 4, x, anchor="middle") if x else None,
            text(2, 11, y) if y else None,
        ],
        "axis-title",
    )
