"""Response heads: what a program sets becomes exactly one head, or an error that says what to change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.server.errors import ApplicationError
from kirsch.server.response import (
    DATE,
    LENGTH,
    SERVER,
    FieldLines,
    Framing,
    Heads,
    Known,
    Special,
    StatusLines,
    error_page,
    parse_status,
)


@pytest.mark.parametrize(
    ("status", "line", "bodiless"),
    [
        ("200 OK", b"HTTP/1.1 200 OK\r\n", False),
        ("200 ", b"HTTP/1.1 200 \r\n", False),
        ("200", b"HTTP/1.1 200 \r\n", False),
        ("299 \xdcber alles\tgut", b"HTTP/1.1 299 \xdcber alles\tgut\r\n", False),
        ("204 No Content", b"HTTP/1.1 204 No Content\r\n", True),
        ("304 Not Modified", b"HTTP/1.1 304 Not Modified\r\n", True),
        ("599 Own", b"HTTP/1.1 599 Own\r\n", False),
    ],
)
def test_a_status_becomes_a_status_line(status: str, line: bytes, *, bodiless: bool) -> None:
    parsed = StatusLines()[status]
    assert parsed == line
    assert (parsed.code, parsed.bodiless) == (int(status[:3]), bodiless)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("", "never called start_response"),
        (200, "not int"),
        (b"200 OK", "not bytes"),
        (None, "not NoneType"),
        ("OK", "'200 OK', not 'OK'"),
        ("20 OK", "'20 OK'"),
        ("2000 OK", "'2000 OK'"),
        ("600 OK", "'600 OK'"),
        ("099 OK", "'099 OK'"),
        ("200-OK", "'200-OK'"),
        (" 200 OK", "' 200 OK'"),
        ("200 O\r\nK", "'200 O"),
        ("200 OK\n", "'200 OK"),
        ("200 O\x00K", "'200 O"),
        ("200 \u20ac", "'200 "),
        ("\u0662\u0660\u0660 OK", "a code and a reason"),
        ("100 Continue", "interim"),
        ("101 Switching Protocols", "interim"),
    ],
)
def test_what_is_no_status_is_refused_in_words(status: Any, says: str) -> None:
    for read in (parse_status, StatusLines().__getitem__):
        with pytest.raises(ApplicationError) as caught:
            read(status)
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "line"),
    [
        (("X", "y"), b"X: y\r\n"),
        (("X", ""), b"X: \r\n"),
        (("!#$%&'*+-.^_`|~09aZ", "a\tb \xff"), b"!#$%&'*+-.^_`|~09aZ: a\tb \xff\r\n"),
        (("Set-Cookie", "a=b"), b"Set-Cookie: a=b\r\n"),
    ],
)
def test_a_field_becomes_a_line(pair: tuple[str, str], line: bytes) -> None:
    lines = FieldLines()
    assert lines[pair] == line
    assert not isinstance(lines[pair], Special)


@pytest.mark.parametrize(
    ("pair", "kind", "value"),
    [
        (("content-LENGTH", "0012"), LENGTH, 12),
        (("date", "Thu, 01 Jan 1970 00:00:00 GMT"), DATE, 0),
        (("SERVER", "x"), SERVER, 0),
    ],
)
def test_a_field_that_frames_says_so(pair: tuple[str, str], kind: int, value: int) -> None:
    line = FieldLines()[pair]
    assert isinstance(line, Special)
    assert (line.kind, line.value) == (kind, value)
    assert line == f"{pair[0]}: {pair[1]}\r\n".encode()


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (["X", "y"], "not list"),
        ("Xy", "not str"),
        (None, "not NoneType"),
        (("X",), "(name, value)"),
        (("X", "y", "z"), "(name, value)"),
        ((b"X", "y"), "bytes and str"),
        (("X", b"y"), "str and bytes"),
        (("X", 1), "str and int"),
        (("X", None), "str and NoneType"),
        (("", "y"), "must be a token"),
        (("X Y", "z"), "'X Y' is no field name"),
        (("X:", "y"), "must be a token"),
        (("X\r\nY", "z"), "must be a token"),
        (("X\n", "y"), "must be a token"),
        (("\xdc", "y"), "must be a token"),
        (("X", "y\r\nZ: z"), "The value of the response field X has a control character"),
        (("X", "y\n"), "control character"),
        (("X", "y\r"), "control character"),
        (("X", "\x00"), "control character"),
        (("X", "\x7f"), "control character"),
        (("X", "\x1b[2J"), "control character"),
        (("X", "\u20ac"), "outside latin-1"),
        *(
            ((name, "x"), f"field {name} is the server's to set")
            for name in (
                *("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "transfer-encoding"),
                "UPGRADE",
            )
        ),
        *(
            (("Content-Length", value), "must be a number of bytes")
            for value in ("", "+1", "-1", " 1", "1 ", "1.0", "0x1", "1_0", "\xb2", "1, 1", "9" * 19)
        ),
    ],
)
def test_what_must_not_stand_in_a_response_is_refused_in_words(pair: Any, says: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        Framing(FieldLines(), [pair])
    assert says in str(caught.value)


@settings(max_examples=200)
@given(st.tuples(st.text(max_size=12), st.text(max_size=12)))
def test_no_field_breaks_out_of_its_line(pair: tuple[str, str]) -> None:
    try:
        line = FieldLines()[pair]
    except ApplicationError:
        return
    assert line == f"{pair[0]}: {pair[1]}\r\n".encode("latin-1")
    assert not set(line[:-2]) & {0, 10, 13}
    assert line.count(b"\r\n") == 1


@settings(max_examples=100)
@given(st.one_of(st.text(max_size=12), st.text(max_size=12).map("200 {}".format)))
def test_no_status_breaks_out_of_its_line(status: str) -> None:
    try:
        line = parse_status(status)
    except ApplicationError:
        return
    assert line.startswith(b"HTTP/1.1 ")
    assert line.endswith(b"\r\n")
    assert not set(line[:-2]) & {0, 10, 13}


def test_framing_gathers_the_lines_in_order_and_what_they_say() -> None:
    framing = Framing(FieldLines(), [("B", "1"), ("Content-Length", "3"), ("A", "2"), ("B", "1")])
    assert framing.lines == [b"B: 1\r\n", b"Content-Length: 3\r\n", b"A: 2\r\n", b"B: 1\r\n"]
    assert (framing.length, framing.has_date, framing.has_server) == (3, False, False)
    framing = Framing(FieldLines(), (("Date", "x"), ("Server", "y")))
    assert (framing.length, framing.has_date, framing.has_server) == (-1, True, True)


def test_two_lengths_are_one_too_many() -> None:
    for second in ("3", "4"):
        with pytest.raises(ApplicationError, match="Content-Length twice"):
            Framing(FieldLines(), [("Content-Length", "3"), ("content-length", second)])


def test_what_is_remembered_stays_bounded_and_leaves_out_secrets_and_the_rare() -> None:
    lines, statuses, heads = FieldLines(), StatusLines(), Heads()
    for number in range(3000):
        assert lines["X", str(number)] == b"X: %d\r\n" % number
        assert statuses[f"200 {number}"] == b"HTTP/1.1 200 %d\r\n" % number
        heads.keep((number,), Known(b"x"))
        assert max(len(lines), len(statuses), len(heads)) <= 1024
    assert ("X", "2999") in lines
    for pair in (("Set-Cookie", "a=b"), ("sET-cOOKIE", "a=b"), ("X", "y" * 1200)):
        assert lines[pair]
        assert pair not in lines
    heads.keep(("long",), Known(b"x" * 5000))
    assert ("long",) not in heads


def test_an_error_page_is_a_whole_response_that_closes() -> None:
    page = error_page(413, "Content Too Large", "Too large.", b"Date: x\r\n")
    assert page == (
        b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 11\r\nX-Content-Type-Options: nosniff\r\n"
        b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nDate: x\r\n"
        b"Connection: close\r\n\r\nToo large.\n"
    )
    assert error_page(413, "Content Too Large", "Too large.", b"Date: x\r\n", body=False) == page[:-11]
