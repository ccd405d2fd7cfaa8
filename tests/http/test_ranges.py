"""Range requests: the RFC's examples, abuse, and what the answer says."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from kirsch.http import ETag
from kirsch.http.dates import format_date
from kirsch.http.ranges import MOST_RANGES, content_range, if_range, parse_range
from tests.http.text import BOUND, anything, given, seconds, wire


@pytest.mark.parametrize(
    ("field", "spans"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10000)]),
        ("bytes=9500-", [(9500, 10000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10000)]),
        ("bytes=500-600,601-999", [(500, 1000)]),
        ("bytes=500-700,601-999", [(500, 1000)]),
        ("BYTES=0-0", [(0, 1)]),
        ("bytes=0-0,,\t2-2,", [(0, 1), (2, 3)]),
        ("bytes=0-", [(0, 10000)]),
        ("bytes=0-99999999999999999999999999", [(0, 10000)]),
        ("bytes=-99999999999999999999999999", [(0, 10000)]),
        ("bytes=00000000000000000000000001-2", [(1, 3)]),
        ("bytes=9999-", [(9999, 10000)]),
        ("bytes=5-6,1-2", [(5, 7), (1, 3)]),
        ("bytes=8-9,0-1,9-12,4-5", [(8, 13), (0, 2), (4, 6)]),
        ("bytes=20000-20001,0-1", [(0, 2)]),
        ("bytes=0-1,5-6,0-9", [(0, 10)]),
        ("bytes=1-1,1-1", [(1, 2)]),
    ],
)
def test_ranges_are_read_merged_and_kept_in_order(field: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(field, 10000) == spans


@pytest.mark.parametrize(
    "field",
    ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999-", "bytes=-0,10000-"],
)
def test_what_lies_outside_cannot_be_satisfied(field: str) -> None:
    assert parse_range(field, 10000) == []


@pytest.mark.parametrize(
    "field",
    [
        "",
        "foo",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=2-1",
        "bytes=99999999999999999999-99999999999999999998",
        "bytes=0-1,x",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes =1-2",
        " bytes=1-2",
        "bytes:1-2",
        "items=0-1",
        "bytes=\u0661-\u0662",
        "bytes=\xb2-",
        "bytes=0-1\n",
        "byte\u017f=0-1",
    ],
)
def test_what_is_malformed_is_ignored(field: str) -> None:
    assert parse_range(field, 10000) is None


def test_an_empty_representation_has_no_ranges() -> None:
    assert parse_range("bytes=0-", 0) == []
    assert parse_range("bytes=0-0", 0) == []
    assert parse_range("bytes=-0", 0) == []
    assert parse_range("bytes=-5", 0) is None


def test_too_many_ranges_are_ignored() -> None:
    field = "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(MOST_RANGES))
    spans = parse_range(field, 10**6)
    assert spans is not None
    assert len(spans) == MOST_RANGES
    assert parse_range(field + ",900-901", 10**6) is None
    assert parse_range("bytes=0-0,2-2", 10, limit=1) is None
    assert parse_range("bytes=0-0", 10, limit=1) == [(0, 1)]


spec = st.one_of(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    st.integers(0, 30).map("{}-".format),
    st.integers(0, 30).map("-{}".format),
)


def bytes_asked_for(specs: list[str], length: int) -> set[int]:
    asked: set[int] = set()
    for text in specs:
        first, _, last = text.partition("-")
        if not first:
            asked.update(range(max(length - int(last), 0), length))
        else:
            asked.update(range(int(first), min(int(last) + 1 if last else length, length)))
    return asked


@given(st.lists(spec, min_size=1, max_size=12), st.integers(1, 25))
def test_exactly_the_bytes_asked_for_are_sent_and_each_once(specs: list[str], length: int) -> None:
    spans = parse_range("bytes=" + ",".join(specs), length)
    assert spans is not None
    sent = [place for start, stop in spans for place in range(start, stop)]
    assert len(sent) == len(set(sent))
    assert set(sent) == bytes_asked_for(specs, length)


@given(st.one_of(anything, wire.map("bytes={}".format)), st.integers(0, 2**63))
def test_any_field_gives_spans_inside_or_nothing(field: str, length: int) -> None:
    for start, stop in parse_range(field, length) or []:
        assert 0 <= start < stop <= length


def test_parsing_is_linear() -> None:
    for prefix in ("", "bytes=", "bytes=1-", "bytes=-"):
        assert seconds(lambda text: parse_range(text, 10**6, limit=10**6), prefix) < BOUND


def test_content_range_names_the_last_byte_inclusively() -> None:
    assert content_range((0, 500), 1234) == "bytes 0-499/1234"
    assert content_range((1233, 1234), 1234) == "bytes 1233-1233/1234"
    assert content_range(None, 47022) == "bytes */47022"


NOW = 1_700_000_000
OLD = NOW - 3600


@pytest.mark.parametrize(
    ("field", "etag", "modified", "allowed"),
    [
        (None, None, None, True),
        ('"a"', ETag("a"), None, True),
        ('"a"', ETag("b"), None, False),
        ('"a"', None, OLD, False),
        ('W/"a"', ETag("a", weak=True), None, False),
        ('W/"a"', ETag("a"), None, False),
        ('"a"', ETag("a", weak=True), None, False),
        ('"a", "b"', ETag("a"), None, False),
        (format_date(OLD), None, OLD, True),
        (format_date(OLD), None, OLD - 1, False),
        (format_date(OLD), None, OLD + 1, False),
        (format_date(OLD), ETag("a"), None, False),
        (format_date(NOW - 59), None, NOW - 59, False),
        (format_date(NOW - 60), None, NOW - 60, True),
        ("garbage", ETag("garbage"), OLD, False),
        ("", None, None, False),
    ],
)
def test_if_range_allows_the_range_only_for_the_very_same_bytes(
    field: str | None, etag: ETag | None, modified: int | None, *, allowed: bool
) -> None:
    assert if_range(field, etag=etag, last_modified=modified, now=NOW) is allowed
