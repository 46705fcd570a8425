"""What a check found, in plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "warning", "problem"]

LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")
"""From what is well to what makes a score worthless."""


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes
    ----------
    level : how bad it is
    check : the check that found it, a word such as `duplicates`
    what : what was found, beginning with where
    advice : what to do; empty where there is nothing to do
    columns : the columns it is about
    rows : the first rows it is about, counted from 0 in the data, or in the test file
    """

    level: Level
    check: str
    what: str
    advice: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}" if self.advice else self.what

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"columns": list(self.columns), "rows": list(self.rows)}


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings there are of each level, the worst first."""
    found = Counter(each.level for each in findings)
    return {level: found[level] for level in reversed(LEVELS)}
