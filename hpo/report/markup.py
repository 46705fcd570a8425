"""Elements of HTML and SVG. Text and attributes are escaped where they are written, always.

Names of columns, classes and studies come from anywhere, so no markup is ever put together from
strings.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

Child = ET.Element | str | None


def element(tag: str, *children: Child, **attributes: str | float | None) -> ET.Element:
    """An element with these children; None is no child, and no attribute.

    ``class_`` stands for ``class``, and other low lines for hyphens.
    """
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), shown(value))
    for child in children:
        add(made, child)
    return made


def add(parent: ET.Element, child: Child) -> None:
    """Append an element or a text to ``parent``."""
    if child is None:
        return
    if not isinstance(child, str):
        parent.append(child)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + plain(child)
    else:
        parent.text = (parent.text or "") + plain(child)


def shown(value: str | float) -> str:
    """An attribute's text; of a number two decimals, which are hundredths of a pixel."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return plain(str(value))


def plain(text: str) -> str:
    """``text`` without control characters and halves of characters, which no page may hold."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def document(title: str, style: str, body: ET.Element) -> str:
    """A whole page, which may load nothing from anywhere and runs no script."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        _meta("viewport", "width=device-width, initial-scale=1"),
        _meta("color-scheme", "light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", title),
        _style(style),
    )
    page = element("html", head, body, lang="en")
    return f"<!doctype html>\n{ET.tostring(page, encoding='unicode', method='html')}\n"


def _meta(name: str, content: str) -> ET.Element:
    return element("meta", name=name, content=content)


def _style(text: str) -> ET.Element:
    made = ET.Element("style")
    made.text = text  # as it is: HTML escapes nothing in it
    return made
