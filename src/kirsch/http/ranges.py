"""Range requests (RFC 9110 section 14): which bytes a client asked for, and what to answer.

Used by `web/` and the static tools. Pure functions; at most `MOST_RANGES` ranges are looked at and
overlapping ones are merged, so that a request never costs more than sending the whole file (CVE-2011-3192,
CVE-2025-62727).
"""

from __future__ import annotations

import re
from typing import Final

from kirsch.http.dates import parse_date
from kirsch.http.etags import ETag, parse_etag, strong_match
from kirsch.http.grammar import decimal

__all__ = ["MOST_RANGES", "content_range", "if_range", "parse_range"]

MOST_RANGES: Final = 100
"""Ranges in one request. Apache serves 200, Starlette 100; viewers of PDF and video ask for a handful."""

_STRONG_AGE: Final = 60
"""Seconds after which RFC 9110 8.8.2.2 takes a modification date for a strong validator."""

# RFC 9110 14.1.1   ranges-specifier = range-unit "=" range-set
#                   range-unit       = token                            compared without case
#                   range-set        = 1#range-spec
#                   int-range        = first-pos "-" [ last-pos ]
#                   suffix-range     = "-" suffix-length                positions and lengths are 1*DIGIT
_UNIT: Final = re.compile(r"[Bb][Yy][Tt][Ee][Ss]=")
_SPEC: Final = re.compile(r"([0-9]*+)-([0-9]*+)")


def parse_range(field: str, length: int, limit: int = MOST_RANGES) -> list[tuple[int, int]] | None:
    """Return the byte ranges a Range field asks of a representation.

    Parameters:
        field: the value of the Range field.
        length: bytes of the representation.
        limit: ranges the field may list.

    Returns (start, stop) pairs, `stop` exclusive, all inside the representation; overlapping and adjacent
    ones are merged, and what is left is in the order of the request (RFC 9110 15.3.7.2). `[]` means none can
    be satisfied: 416. None means to ignore the field and send everything (200): not a byte range, not in the
    grammar, a range that ends before it begins, more than `limit`, or the end of an empty representation,
    which is all of it but has no Content-Range.
    """
    unit = _UNIT.match(field)
    if unit is None or field.count(",") >= limit:
        return None
    specs = [spec for part in field[unit.end() :].split(",") if (spec := part.strip(" \t"))]
    spans: list[tuple[int, int]] = []
    for spec in specs:
        span = _span(spec, length)
        if span is None:
            return None
        if span[0] < span[1]:
            spans.append(span)
    return _merge(spans) if specs else None


def _span(spec: str, length: int) -> tuple[int, int] | None:
    """Return what one range-spec asks for: empty when it lies outside, None when it is invalid."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        return None
    # Saturating one above the length is enough to decide everything: the work stays bounded for any number of
    # digits.
    first, last = decimal(match[1], length + 1), decimal(match[2], length + 1)
    if first is None:
        if last is None or (last and not length):
            return None
        return max(length - last, 0), length
    if last is None:
        return first, length
    if not _ordered(match[1], match[2]):
        return None
    return first, min(last + 1, length)


def _ordered(first: str, last: str) -> bool:
    # Compared as digits, since the saturated numbers cannot tell `9999-9998` of a short file from
    # `9998-9999`.
    first, last = first.lstrip("0"), last.lstrip("0")
    return (len(first), first) <= (len(last), last)


def _merge(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge overlapping and adjacent spans, O(n log n); a merged one stands where its first part stood."""
    merged: list[tuple[int, int, int]] = []
    for start, stop, place in sorted((start, stop, place) for place, (start, stop) in enumerate(spans)):
        if merged and start <= merged[-1][2]:
            before = merged[-1]
            merged[-1] = (min(before[0], place), before[1], max(before[2], stop))
        else:
            merged.append((place, start, stop))
    return [(start, stop) for _, start, stop in sorted(merged)]


def content_range(span: tuple[int, int] | None, length: int) -> str:
    """Return the Content-Range for one part of a 206, or, with None, for a 416 (RFC 9110 14.4).

    Parameters:
        span: (start, stop) as from `parse_range`, `stop` exclusive and above `start`.
        length: bytes of the whole representation.
    """
    return f"bytes */{length}" if span is None else f"bytes {span[0]}-{span[1] - 1}/{length}"


def if_range(field: str | None, *, etag: ETag | None, last_modified: int | None, now: int) -> bool:
    """Tell whether the Range field may be honoured (RFC 9110 13.1.5); False means to send everything.

    Parameters:
        field: the value of If-Range, None where absent, which allows the range.
        etag: the current tag; compared strongly, so a weak one never matches.
        last_modified: the current modification date, a timestamp in whole seconds.
        now: the current time as a timestamp in seconds.

    A date must equal the modification date exactly, and that must be a minute old: a younger one may have
    been given to two different versions within its second (8.8.2.2).
    """
    if field is None:
        return True
    if '"' in field:
        return strong_match(parse_etag(field), etag)
    date = parse_date(field, now)
    return date is not None and date == last_modified and now - date >= _STRONG_AGE
