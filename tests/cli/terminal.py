"""As much of a terminal as a live block needs, to see what a person would see."""

from __future__ import annotations

import re

_PIECES = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n])")


class Screen:
    """The rows of a terminal that is so many cells wide, and as high as need be.

    Like most terminals it breaks rows that stand there when it becomes narrower.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.at = 0
        self.column = 0
        self.has_cursor = True
        self.styles: set[str] = set()

    def write(self, text: str) -> None:
        """Take in what a program prints; raises ``ValueError`` for what is not known here."""
        place = 0
        while place < len(text):
            found = _PIECES.match(text, place)
            if found is None:
                raise ValueError(f"what is {text[place : place + 9]!r}?")
            place = found.end()
            argument, command, end, character = found.groups()
            if command:
                self._obey(command, argument)
            elif end == "\r":
                self.column = 0
            elif end:
                self._down()
            else:
                self._put(character)

    def resize(self, width: int) -> None:
        """Become so wide."""
        above, rows = [], []
        for place, row in enumerate(self.rows):
            pieces = [row[start : start + width] for start in range(0, len(row), width)] or [""]
            rows += pieces
            above.append(len(rows) - 1)
            if place == self.at:
                self.column = len(pieces[-1])
        self.rows, self.at, self.width = rows, above[self.at], width

    @property
    def shown(self) -> list[str]:
        """The rows without blanks at their ends; those at the end that are empty left out."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip("\n").split("\n")

    def _obey(self, command: str, argument: str) -> None:
        if command == "A":
            self.at = max(0, self.at - int(argument or 1))
        elif (command, argument) == ("K", "2"):
            self.rows[self.at] = ""
        elif argument == "?25":
            self.has_cursor = command == "h"
        elif command == "m":
            self.styles.update(argument.split(";"))
        else:
            raise ValueError(f"what is ESC [ {argument}{command}?")

    def _down(self) -> None:
        self.at, self.column = self.at + 1, 0
        if self.at == len(self.rows):
            self.rows.append("")

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self._down()
        row = self.rows[self.at].ljust(self.column)
        self.rows[self.at] = row[: self.column] + character + row[self.column + 1 :]
        self.column += 1
