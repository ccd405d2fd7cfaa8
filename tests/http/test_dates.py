"""HTTP dates: the standard's own examples, the two-digit year, and the standard library as a second
opinion."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import strategies as st

from kirsch.http.dates import format_date, parse_date
from tests.http.text import BOUND, anything, given, seconds

MOMENT = 784111777
IN_2026 = 1767225600
"""2026-01-01 00:00:00."""
FIRST, LAST = -62135596800, 253402300799


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_say_the_same_moment(text: str) -> None:
    assert parse_date(text, IN_2026) == MOMENT


def test_a_moment_is_written_as_imf_fixdate() -> None:
    assert format_date(MOMENT) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert format_date(-1) == "Wed, 31 Dec 1969 23:59:59 GMT"


def test_years_outside_four_digits_are_refused() -> None:
    assert format_date(FIRST) == "Mon, 01 Jan 0001 00:00:00 GMT"
    assert format_date(LAST) == "Fri, 31 Dec 9999 23:59:59 GMT"
    for moment in (FIRST - 1, LAST + 1, 10**30, -(10**30)):
        with pytest.raises(ValueError, match="outside the years 1 to 9999"):
            format_date(moment)


@pytest.mark.parametrize(
    ("day", "year"),
    [
        ("01-Jan-26", 2026),
        ("01-Jan-76", 2076),
        ("02-Jan-76", 1976),
        ("01-Jan-77", 1977),
        ("01-Jan-99", 1999),
        ("01-Jan-00", 2000),
        ("29-Feb-00", 2000),
    ],
)
def test_a_two_digit_year_more_than_fifty_years_ahead_is_past(day: str, year: int) -> None:
    moment = parse_date(f"Monday, {day} 00:00:00 GMT", IN_2026)
    assert moment is not None
    assert datetime.fromtimestamp(moment, UTC).year == year


def test_the_fifty_years_are_counted_to_the_second() -> None:
    assert parse_date("Monday, 01-Jan-76 00:00:00 GMT", IN_2026) == parse_date(
        "Mon, 01 Jan 2076 00:00:00 GMT", 0
    )
    assert parse_date("Monday, 01-Jan-76 00:00:01 GMT", IN_2026) == parse_date(
        "Mon, 01 Jan 1976 00:00:01 GMT", 0
    )


@pytest.mark.parametrize("now", [FIRST - 10**9, FIRST, LAST, LAST + 10**12])
def test_no_clock_is_too_wrong(now: int) -> None:
    assert parse_date("Sun, 06 Nov 1994 08:49:37 GMT", now) == MOMENT
    parse_date("Sunday, 06-Nov-94 08:49:37 GMT", now)


def test_a_leap_second_is_the_second_after() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT", 0) == parse_date("Sun, 01 Jan 2017 00:00:00 GMT", 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "784111777",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sunday, 29-Feb-27 00:00:00 GMT",
    ],
)
def test_a_bad_date_is_none(text: str) -> None:
    assert parse_date(text, IN_2026) is None


@given(st.integers(FIRST, LAST))
def test_what_is_written_reads_back_and_agrees_with_the_standard_library(moment: int) -> None:
    text = format_date(moment)
    assert parse_date(text, 0) == moment
    if moment >= -62135596800 + 86400 * 366 * 1000:
        assert text == format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)


@given(anything, st.integers(-(10**12), 10**12))
def test_any_text_gets_an_answer(text: str, now: int) -> None:
    parse_date(text, now)


def test_parsing_is_linear() -> None:
    assert seconds(lambda text: parse_date(text, 0), "Sun, ") < BOUND
