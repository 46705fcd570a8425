"""Pictures on a page of HTML that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go


def page_of(
    title: str, figures: Iterable[go.Figure | None], remarks: Sequence[str] = (), width: int = 60
) -> str:
    """The figures that there are, one below the other, under a title and some remarks.

    ``width`` in letters.
    """
    parts: list[str] = [f"<p>{_plain(each)}</p>" for each in remarks]
    first = True
    for figure in figures:
        if figure is not None:
            # The library once, in the page itself.
            parts.append(
                figure.to_html(
                    full_html=False, include_plotlyjs=first, config={"displayModeBar": False}
                )
            )
            first = False
    head = f'<meta charset="utf-8"><title>{_plain(title)}</title>'
    style = f"<style>body{{font-family:sans-serif;max-width:{width}em;margin:auto}}</style>"
    body = "\n".join([f"<h1>{_plain(title)}</h1>", *parts])
    return f'<!doctype html><html lang="en"><head>{head}{style}</head><body>{body}</body></html>\n'


def _plain(text: str) -> str:
    """As text of HTML: names come from anywhere."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
