"""The body of a request, read as it is."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from kirsch.http import Headers
from kirsch.web import HTTPError, RequestBody


def make(data: bytes | None, length: int | None = None, kind: str = "") -> RequestBody:
    headers = Headers({"Content-Type": kind} if kind else {})
    file = None if data is None else BytesIO(data)
    return RequestBody(file, len(data or b"") if length is None else length, headers)


def test_it_reads_like_a_file() -> None:
    body = make(b"one\ntwo\nthree")
    assert body.readline() == b"one\n"
    assert body.readline(2) == b"tw"
    assert body.read(2) == b"o\n"
    assert list(body) == [b"three"]
    assert body.read() == b""


def test_an_empty_body_is_empty() -> None:
    body = make(None, 5)
    assert (body.length, body.read(), body.read_all(10), list(body.blocks())) == (0, b"", b"", [])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("", ("", {})),
        ("nonsense", ("", {})),
        ("Text/HTML; Charset=x", ("text/html", {"charset": "x"})),
    ],
)
def test_the_content_type_is_taken_apart(kind: str, expected: Any) -> None:
    assert make(b"", kind=kind).content_type == expected


@pytest.mark.parametrize(
    ("data", "length", "limit", "code"),
    [(b"12345", 5, 4, 413), (b"12345", -1, 4, 413), (b"123", 5, 10, 400), (b"", 5, 10, 400)],
)
def test_reading_all_has_a_limit_and_an_end(data: bytes, length: int, limit: int, code: int) -> None:
    with pytest.raises(HTTPError) as caught:
        make(data, length).read_all(limit)
    assert caught.value.code == code


@pytest.mark.parametrize(("data", "length"), [(b"12345", 5), (b"12345", -1), (b"", -1)])
def test_reading_all_within_the_limit(data: bytes, length: int) -> None:
    assert make(data, length).read_all(5) == data


def test_blocks_have_a_limit_and_an_end() -> None:
    body = make(b"x" * 100_000)
    assert b"".join(body.blocks()) == b"x" * 100_000
    with pytest.raises(HTTPError) as caught:
        list(make(b"123", 5).blocks())
    assert caught.value.code == 400
    body = make(b"12345", -1)
    body.max_bytes = 4
    with pytest.raises(HTTPError) as caught:
        list(body.blocks())
    assert caught.value.code == 413


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("text/x", "exact"), ("text/y", "major"), ("image/png", "none"), ("", "none")],
)
def test_the_nearest_processor_takes_it(kind: str, expected: str) -> None:
    seen: list[str] = []
    body = make(b"x", kind=kind)
    for name, label in (("text/x", "exact"), ("text/", "major"), ("", "none")):
        body.processors[name] = lambda _, label=label: seen.append(label)  # type: ignore[misc]
    body.process()
    assert seen == [expected]


def test_without_a_processor_it_is_left_to_be_read() -> None:
    body = make(b"x", kind="image/png")
    body.process()
    assert (body.read(), body.params) == (b"x", {})


def test_more_than_allowed_is_refused_before_a_processor_sees_it() -> None:
    body = make(b"x" * 11, kind="text/x")
    body.max_bytes = 10
    with pytest.raises(HTTPError) as caught:
        body.process()
    assert caught.value.code == 413


def test_processors_belong_to_one_request() -> None:
    body = make(b"")
    body.processors.clear()
    assert make(b"").processors
