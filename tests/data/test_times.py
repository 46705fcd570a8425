"""Texts as moments: pandas is the oracle for what it reads without doubt."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.data.times import TimeError, read_times

moments = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001
FORMATS = [
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%B-%Y %H:%M:%S",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y %I:%M %p",
    "%B %d, %Y, %I:%M:%S %p",
    "%Y-%m",
]


def seconds(*texts: str) -> list[float]:
    found: list[float] = (read_times(texts) / 1e6).tolist()
    return found


@given(st.sampled_from(FORMATS), st.lists(moments, min_size=1, max_size=9))
def test_what_the_clock_writes(form: str, chosen: list[datetime]) -> None:
    texts = [moment.strftime(form) for moment in chosen]
    parsed = [datetime.strptime(text, form) for text in texts]  # noqa: DTZ007
    expected = np.array(parsed, dtype="datetime64[us]").astype(np.int64)
    np.testing.assert_array_equal(read_times(texts), expected)


@given(st.lists(moments, min_size=1, max_size=9), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y"]))
def test_the_column_tells_days_from_months(chosen: list[datetime], form: str) -> None:
    """One date that leaves no doubt is enough."""
    chosen = [*chosen, datetime(2019, 3, 23)]  # noqa: DTZ001
    texts = [moment.strftime(form) for moment in chosen]
    expected = pd.to_datetime(pd.Series(texts), format=form).astype("datetime64[us]")
    np.testing.assert_array_equal(read_times(texts), expected.astype(np.int64))


@pytest.mark.parametrize(
    "text",
    [
        "2019-03-23",
        "2019-03-23T20:21:09",
        "2019-03-23 20:21:09.123456",
        "2019-3-5",
        "2019/3/5 8:05",
        "2019-03-23 8:21 PM",
        "23.03.2019",
        "23/3/2019 20:21",
        "3/23/2019 08:21:09 am",
        "5 Mar 2019",
        "05-MAR-2019",
        "March 5, 2019",
        "Mar 5 2019 12:00 AM",
        "5 Sept 2019",
        "2019-03",
    ],
)
def test_the_usual_forms_are_read_as_pandas_does(text: str) -> None:
    expected = pd.Timestamp(text.replace("Sept", "Sep")).timestamp()
    assert seconds(text) == [expected]


@given(
    moments,
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_zones_are_brought_to_one_axis(moment: datetime, zone: timezone) -> None:
    text = moment.replace(tzinfo=UTC).astimezone(zone).isoformat()
    assert read_times([text]) == read_times([moment.isoformat()])


@pytest.mark.parametrize("zone", ["Z", " UTC", " GMT", "+00:00", "+0000", " +00:00"])
def test_names_of_utc(zone: str) -> None:
    assert seconds(f"2019/03/23 20:21{zone}") == seconds("2019-03-23 20:21")


def test_equal_days_and_months_are_no_question() -> None:
    assert seconds("03/03/2019") == seconds("2019-03-03")


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "",
        "20:21:09",
        "23/03/19",
        "2019-13-01",
        "2019-02-30",
        "13/13/2019",
        "0000-01-01",
        "5 Mai 2019",
        "5 Marchember 2019",
        "2019-03-23 25:00",
        "2019-03-23 13:00 PM",
        "2019-03-23 noon",
        "٢٠١٩-٠٣-٢٣x",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(TimeError) as caught:
        read_times(["2019-03-23", text])
    assert caught.value.index == 1
    assert str(caught.value) == "is no time; write it as 2019-03-23 or 2019-03-23T20:21:09"


def test_a_month_that_could_be_a_day_is_not_guessed() -> None:
    with pytest.raises(TimeError) as caught:
        read_times(["2019-03-23", "05/05/2019", "03/04/2019"])
    assert caught.value.index == 2
    assert str(caught.value) == (
        "may be day/month or month/day, and no other cell tells; write it as 2019-04-03"
    )


def test_dates_that_contradict_each_other() -> None:
    with pytest.raises(TimeError, match=r"^has day and month in another order than other cells"):
        read_times(["23/03/2019", "03/23/2019"])


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["2019-03-23", "2019-03-24T00:00Z"], "has a time zone and other cells have none"),
        (["2019-03-24T00:00Z", "2019-03-23"], "has no time zone and other cells have one"),
    ],
)
def test_zones_and_none_do_not_mix(texts: list[str], says: str) -> None:
    with pytest.raises(TimeError, match=says) as caught:
        read_times(texts)
    assert caught.value.index == 1


def test_days_are_in_order() -> None:
    days = [(date(1999, 12, 25) + timedelta(i)).strftime("%d.%m.%Y") for i in range(400)]
    assert (np.diff(read_times(days)) == 86_400_000_000).all()
