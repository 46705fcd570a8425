"""Parts of a sentence in lines that fit a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, chop_cells

from hpo.cli.printing import plain


def packed(parts: Sequence[str], width: int) -> list[str]:
    """The parts, set apart by commas, in lines broken between parts where they can be."""
    lines: list[str] = []
    for place, part in enumerate(parts):
        text = plain(part) + ("," if place + 1 < len(parts) else "")
        if not lines or not _takes(lines, text, width):
            for piece in _pieces(text, max(1, width - 2)):
                if not lines:
                    lines.append(piece)
                elif not _takes(lines, piece, width):
                    lines.append(f"  {piece}"[: max(width, 1)])
    return lines


def _takes(lines: list[str], text: str, width: int) -> bool:
    """Add ``text`` to the last line if there is room; returns whether there was."""
    if cell_len(lines[-1]) + 1 + cell_len(text) > width:
        return False
    lines[-1] += f" {text}"
    return True


def _pieces(text: str, width: int) -> list[str]:
    """The text, or its words if it is too long, or parts of a word that is."""
    if cell_len(text) <= width:
        return [text]
    return [piece for word in text.split(" ") for piece in chop_cells(word, width)]
