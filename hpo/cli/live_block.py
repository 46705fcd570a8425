"""A block on a terminal that is drawn anew four times a second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType

from hpo.cli.bars import glyphs
from hpo.cli.block import block
from hpo.cli.progress import Progress
from hpo.search.loop import Event
from hpo.search.repeats import Retrained
from storage.records import SelectionRecord


class LiveBlock:
    """Shows a search; what is shown last stays on the terminal."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self.console = console
        self.progress = progress
        self._live = _Live(_Block(progress), console)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        # A process that is killed could not bring the cursor back.
        self.console.show_cursor(True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if kind is None:
            self.console.print()  # the result follows

    def follow(self, events: Iterable[Event]) -> None:
        """Let the search run to its end."""
        for event in events:
            self.progress.take(event)

    def hear(self, retrained: Retrained) -> None:
        """Show how many networks are trained of those that follow the search."""
        self.progress.hear(retrained)

    def end(self, chosen: SelectionRecord | None) -> None:
        """Show what there is in the end."""
        self.progress.end(chosen)


class _Block:
    """The block as Rich draws it; ``widths`` are the cells of the lines that it drew last."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.widths: list[int] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        standing, encoding = self.progress.standing, console.encoding
        study = standing.study.encode(encoding, "replace").decode(encoding)
        lines = block(
            replace(standing, study=study),
            self.progress.passing(),
            options.max_width,
            max(1, options.size.height - 1),
            glyphs(encoding),
        )
        self.widths = [each.cell_len for each in lines]
        yield from lines


class _Live(Live):
    """Rich's, which also cleans up when the terminal has become narrower.

    Most terminals then break the lines that stand there, and the block is higher than Rich knows.
    """

    def __init__(self, drawn: _Block, console: Console) -> None:
        super().__init__(drawn, console=console, refresh_per_second=4)
        self._drawn = drawn

    def refresh(self) -> None:
        """Draw the block in place of the one that stands there."""
        with self._lock:
            if more := rows_more(self._drawn.widths, self.console.width):
                up = [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * more
                self.console.control(Control((ControlType.ERASE_IN_LINE, 2), *up))
            super().refresh()


def rows_more(widths: Iterable[int], width: int) -> int:
    """How many rows more lines of these cells take than there are lines, in a width."""
    return sum(max(0, -(-each // max(1, width)) - 1) for each in widths)
