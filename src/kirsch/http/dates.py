"""HTTP dates: written as IMF-fixdate, read in the three forms of RFC 9110 5.6.7, without clock and locale.

Used by `server/` (Date, once a second), `cookies` (Expires), `etags` and `ranges` (conditions), `web/` and
the static tools.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final

__all__ = ["format_date", "parse_date"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER: Final = {name: number for number, name in enumerate(_MONTHS, 1)}

_EPOCH: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date.max.toordinal()
_DAY: Final = 86400
_FUTURE_YEARS: Final = 50
"""RFC 9110 5.6.7: a two-digit year further ahead than this many years belongs to the past."""

# RFC 9110 5.6.7    IMF-fixdate  = day-name "," SP date1 SP time-of-day SP GMT
#                   date1        = day SP month SP year
#                   rfc850-date  = day-name-l "," SP date2 SP time-of-day SP GMT
#                   date2        = day "-" month "-" 2DIGIT
#                   asctime-date = day-name SP date3 SP time-of-day SP year
#                   date3        = month SP ( 2DIGIT / ( SP 1DIGIT ))
#                   time-of-day  = hour ":" minute ":" second           second up to 60, for leap seconds
# HTTP-date is case-sensitive.
# The names are looked up afterwards: as alternatives in the patterns they would triple the time to compile.
_NAME: Final = "(?P<name>[A-Z][a-z]+)"
_MONTH: Final = "(?P<month>[A-Z][a-z]{2})"
_TIME: Final = "(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
_FORMS: Final = (
    (re.compile(rf"{_NAME}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"), _DAYS),
    (re.compile(rf"{_NAME}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"), _LONG_DAYS),
    (re.compile(rf"{_NAME} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"), _DAYS),
)
_LONGEST: Final = 40
"""No form is longer; what is longer is refused unread."""


@lru_cache(maxsize=64)
def _format_day(days: int) -> str:
    # Nearly every date a server writes falls on today or on the few days its files changed.
    when = date.fromordinal(_EPOCH + days)
    return f"{_DAYS[when.weekday()]}, {when.day:02d} {_MONTHS[when.month - 1]} {when.year:04d}"


def format_date(timestamp: int) -> str:
    """Return `timestamp`, whole seconds since 1970-01-01 UTC, as an IMF-fixdate.

    Such as `Sun, 06 Nov 1994 08:49:37 GMT`, in UTC and in English wherever the program runs.

    Raises ValueError before the year 1 and after 9999, which the form cannot say.
    """
    days, seconds = divmod(timestamp, _DAY)
    if not 0 < _EPOCH + days <= _LAST_DAY:
        raise ValueError(
            f"timestamp {timestamp} is outside the years 1 to 9999, which are all an HTTP date can say"
        )
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_format_day(days)} {hour:02d}:{minute:02d}:{second:02d} GMT"


def parse_date(text: str, now: int) -> int | None:
    """Return the timestamp, in seconds since 1970-01-01 UTC, that an HTTP date says; None if it is not one.

    Parameters:
        text: a date in one of the three forms of RFC 9110 5.6.7, all of which a recipient must accept.
        now: the current time as a timestamp, for the two-digit years of the RFC 850 form: a date more than 50
            years ahead is taken for the latest one in the past with the same two digits.

    A weekday that does not belong to the date is let pass, as nothing is decided by it.
    """
    if len(text) > _LONGEST:
        return None
    for form, names in _FORMS:
        match = form.fullmatch(text)
        if match is not None and match["name"] in names and match["month"] in _MONTH_NUMBER:
            return _timestamp(match, now)
    return None


def _timestamp(match: re.Match[str], now: int) -> int | None:
    day, year = int(match["day"]), int(match["year"])
    month = _MONTH_NUMBER[match["month"]]
    seconds = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    if len(match["year"]) == 2:  # noqa: PLR2004  the two digits of the RFC 850 form
        year = _full_year(year, (month, day, seconds), now)
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    return days * _DAY + seconds


def _full_year(digits: int, within: tuple[int, int, int], now: int) -> int:
    today = date.fromordinal(min(max(_EPOCH + now // _DAY, 1), _LAST_DAY))
    horizon = (today.year + _FUTURE_YEARS, today.month, today.day, now % _DAY)
    year = horizon[0] - horizon[0] % 100 + digits
    return year if (year, *within) <= horizon else year - 100
