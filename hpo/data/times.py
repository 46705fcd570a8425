"""Texts that stand for moments, put on one time axis.

ISO 8601 is read as it is. Of the other usual forms those are read that leave no doubt: the year has
four digits, months are numbers or English names. Where only numbers say day and month
(`23/03/2019`), the whole column decides which is which, and if it cannot, nothing is guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_CLOCK = r"(?:(?:T|,? +)(?P<clock>\d.*))?"
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})([-/.])(?P<month>\d\d?)(?:\2(?P<day>\d\d?))?{_CLOCK}")
_YEAR_LAST = re.compile(rf"(?P<one>\d\d?)([-/.])(?P<two>\d\d?)\2(?P<year>\d{{4}}){_CLOCK}")
_DAY_AND_NAME = re.compile(
    rf"(?P<day>\d\d?)[- ](?P<name>[a-z]{{3,9}})\.?[- ](?P<year>\d{{4}}){_CLOCK}", re.IGNORECASE
)
_NAME_AND_DAY = re.compile(
    rf"(?P<name>[a-z]{{3,9}})\.? (?P<day>\d\d?),? (?P<year>\d{{4}}){_CLOCK}", re.IGNORECASE
)
_TIME_OF_DAY = re.compile(
    r"(?P<hour>\d\d?):(?P<rest>\d\d(?::\d\d(?:\.\d+)?)?) ?(?P<half>[ap]m)? ?"
    r"(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MICROSECOND = timedelta(microseconds=1)


class TimeError(ValueError):
    """A text that cannot be put on the axis: its place among the texts, and why."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def read_times(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the moment of each text, in microseconds since 1970; (len(texts),).

    Times without a zone are taken as they stand, those with one are brought to UTC.

    Raises
    ------
    TimeError
        A text is no moment, or could be two, or only some of the texts have a time zone.
    """
    day_first = _day_first(texts)
    moments = []
    for index, text in enumerate(texts):
        try:
            moments.append(_moment(text, day_first=day_first))
        except (ValueError, OverflowError):
            reason = "is no time; write it as 2019-03-23 or 2019-03-23T20:21:09"
            raise TimeError(index, reason) from None
    _check_zones(moments)
    return np.array([_microseconds(moment) for moment in moments], dtype=np.int64)


def _day_first(texts: Iterable[str]) -> bool:
    """Tell whether `03/04/2019` is in April, by the other texts; False where none is like it."""
    found = {True: -1, False: -1}
    undecided, example = -1, ""
    for index, text in enumerate(texts):
        match = _YEAR_LAST.fullmatch(text)
        if match is None:
            continue
        one, two = int(match["one"]), int(match["two"])
        if (one > 12) != (two > 12):
            found[one > 12] = index
        elif one != two and undecided < 0:
            undecided, example = index, f"{match['year']}-{two:02}-{one:02}"
    if min(found.values()) >= 0:
        reason = "has day and month in another order than other cells have; write all as 2019-03-23"
        raise TimeError(max(found.values()), reason)
    if undecided >= 0 > max(found.values()):
        reason = f"may be day/month or month/day, and no other cell tells; write it as {example}"
        raise TimeError(undecided, reason)
    return found[True] >= 0


def _moment(text: str, *, day_first: bool) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if match := _YEAR_FIRST.fullmatch(text):
        month, day = int(match["month"]), int(match["day"] or 1)
    elif match := _YEAR_LAST.fullmatch(text):
        one, two = int(match["one"]), int(match["two"])
        month, day = (two, one) if day_first else (one, two)
    elif match := (_DAY_AND_NAME.fullmatch(text) or _NAME_AND_DAY.fullmatch(text)):
        month, day = _month(match["name"].lower()), int(match["day"])
    else:
        raise ValueError(text)
    date = f"{int(match['year']):04}-{month:02}-{day:02}"
    return datetime.fromisoformat(f"{date}T{_iso_clock(match['clock'] or '00:00')}")


def _month(name: str) -> int:
    """Return the number of a month given by its name or the first three letters of it."""
    for number, month in enumerate(_MONTHS, start=1):
        if name in {month, month[:3]} or (name == "sept" and number == 9):
            return number
    raise ValueError(name)


def _iso_clock(text: str) -> str:
    """Return a time of day, with `am` or `pm` and a zone or without, as ISO 8601 writes it."""
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        raise ValueError(text)
    hour, half, zone = int(match["hour"]), match["half"], (match["zone"] or "").upper()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    return f"{hour:02}:{match['rest']}{'+00:00' if zone in {'Z', 'UTC', 'GMT'} else zone}"


def _check_zones(moments: Sequence[datetime]) -> None:
    zoned = [moment.tzinfo is not None for moment in moments]
    if any(zoned) and not all(zoned):
        odd = zoned.index(not zoned[0])
        has, others = ("a", "none") if zoned[odd] else ("no", "one")
        raise TimeError(odd, f"has {has} time zone and other cells have {others}; write all alike")


def _microseconds(moment: datetime) -> int:
    start = datetime(1970, 1, 1, tzinfo=None if moment.tzinfo is None else UTC)
    return (moment - start) // _MICROSECOND
