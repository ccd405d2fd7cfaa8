"""URLs: decoded once, encoded once, and never so that a path becomes another host."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes, urlencode, urljoin
from urllib.parse import quote as standard_quote

import pytest
from hypothesis import strategies as st

from kirsch.http.urls import (
    MOST_FIELDS,
    TooManyFieldsError,
    decode_path,
    decode_segments,
    escape_leading_slashes,
    format_query,
    parse_query,
    percent_decode,
    quote,
    quote_location,
    remove_dot_segments,
)
from tests.http.text import BOUND, anything, given, seconds, wire

encodable = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("a+b", b"a+b"),
        ("%41%62%2f%2F", b"Ab//"),
        ("%", b"%"),
        ("%4", b"%4"),
        ("%zz%41", b"%zzA"),
        ("%2541", b"%41"),
        ("%00%ff", b"\x00\xff"),
        ("\xe9", b"\xc3\xa9"),
        ("%\u0661\u0661", "%\u0661\u0661".encode()),
        ("\ud800", b"\xed\xa0\x80"),
        (b"%e9\xe9", b"\xe9\xe9"),
    ],
)
def test_percent_signs_are_decoded_once(text: str | bytes, data: bytes) -> None:
    assert percent_decode(text) == data


@given(st.one_of(encodable, wire))
def test_percent_decoding_agrees_with_the_standard_library(text: str) -> None:
    assert percent_decode(text) == unquote_to_bytes(text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/a+b", "/a+b"),
        ("/a%2Fb", "/a/b"),
        ("/%C3%A9", "/\xe9"),
        ("/%E9", "/\xe9"),
        ("/%C3%A9/%E9", "/\xc3\xa9/\xe9"),
        ("/%252e", "/%2e"),
        ("/\xe9", "/\xe9"),
        ("*", "*"),
    ],
)
def test_a_path_is_decoded_as_utf_8_or_whole_as_latin_1(path: str, text: str) -> None:
    assert decode_path(path) == text


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", [""]),
        ("", [""]),
        ("/a/b", ["a", "b"]),
        ("/a//b/", ["a", "", "b", ""]),
        ("/a%2Fb/c", ["a/b", "c"]),
        ("/%C3%A9/x", ["\xe9", "x"]),
        ("/%C3%A9/%E9", ["\xc3\xa9", "\xe9"]),
        ("/%2e%2e/x", ["..", "x"]),
    ],
)
def test_an_encoded_slash_stays_in_its_segment(path: str, segments: list[str]) -> None:
    assert decode_segments(path) == segments


def test_strict_decoding_raises() -> None:
    for decode in (decode_path, decode_segments, parse_query):
        with pytest.raises(UnicodeDecodeError):
            decode("/%E9", strict=True)
    assert decode_path("/%C3%A9", strict=True) == "/\xe9"
    assert decode_segments("/%C3%A9", strict=True) == ["\xe9"]


@given(encodable)
def test_a_quoted_path_decodes_to_what_it_was(text: str) -> None:
    assert decode_path(quote(text, "/")) == text
    assert quote(text) == standard_quote(text, safe="")
    assert quote(text.encode()) == quote(text)


@given(st.lists(encodable, min_size=1, max_size=5))
def test_quoted_segments_decode_to_what_they_were(segments: list[str]) -> None:
    assert decode_segments("/" + "/".join(map(quote, segments))) == segments


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a=&b&=c&=", [("a", ""), ("b", ""), ("", "c"), ("", "")]),
        ("&&a=1&", [("a", "1")]),
        ("a=b=c", [("a", "b=c")]),
        ("a+b=c%2Bd+e", [("a b", "c+d e")]),
        ("a;b=1", [("a;b", "1")]),
        ("%C3%A9=%E9", [("\xe9", "\xe9")]),
        ("a=%", [("a", "%")]),
        ("12,34", [("12,34", "")]),
        (b"a=\xe9&b=%e2%82%ac", [("a", "\xe9"), ("b", "\u20ac")]),
    ],
)
def test_a_query_is_read_into_pairs(query: str | bytes, pairs: list[tuple[str, str]]) -> None:
    assert parse_query(query) == pairs


def test_semicolons_and_charsets_are_for_those_who_ask() -> None:
    assert parse_query("a=1;b=2", semicolons=True) == [("a", "1"), ("b", "2")]
    assert parse_query("a=%E9", encoding="latin-1", strict=True) == [("a", "\xe9")]
    with pytest.raises(LookupError):
        parse_query("a=1", encoding="klingon")


def test_the_number_of_fields_is_bounded_before_any_is_read() -> None:
    assert len(parse_query("&".join(["a"] * MOST_FIELDS))) == MOST_FIELDS
    with pytest.raises(TooManyFieldsError, match="1001 fields were sent and at most 1000 are read") as caught:
        parse_query("&" * 1000)
    assert (caught.value.count, caught.value.limit) == (1001, 1000)
    with pytest.raises(TooManyFieldsError):
        parse_query("a;b;c", limit=2, semicolons=True)
    assert parse_query("a;b;c", limit=1) == [("a;b;c", "")]


@given(st.lists(st.tuples(encodable, encodable), max_size=6))
def test_a_query_written_reads_back(pairs: list[tuple[str, str]]) -> None:
    query = format_query(pairs)
    assert query.isascii()
    assert parse_query(query) == pairs
    assert parse_query(urlencode(pairs)) == pairs
    assert (
        parse_qsl(query, keep_blank_values=True) == [pair for pair in pairs if pair != ("", "")]
        or ("", "") in pairs
    )


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/100%", "/100%25"),
        ("/%zz", "/%25zz"),
        ("/\xe9?\u20ac#x", "/%C3%A9?%E2%82%AC#x"),
        ("/a\\b", "/a%5Cb"),
        ("/\\evil.example", "/%5Cevil.example"),
        ('/<a>"{}|^`', "/%3Ca%3E%22%7B%7D%7C%5E%60"),
        ("https://user@[::1]:80/a;b=c,d?e=f&g=(h)!*'~$#i", "https://user@[::1]:80/a;b=c,d?e=f&g=(h)!*'~$#i"),
        ("", ""),
    ],
)
def test_a_location_is_encoded_once(url: str, location: str) -> None:
    assert quote_location(url) == location
    assert quote_location(location) == location


@pytest.mark.parametrize("char", ["\r", "\n", "\x00", "\t", "\x1b", "\x7f", "\x85"])
def test_a_location_holds_no_controls(char: str) -> None:
    with pytest.raises(ValueError, match="at position 2"):
        quote_location(f"/a{char}Set-Cookie: x=y")


@given(encodable)
def test_any_location_is_visible_ascii_or_refused(url: str) -> None:
    try:
        location = quote_location(url)
    except ValueError:
        return
    assert all("!" <= char <= "~" for char in location)
    assert quote_location(location) == location


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/a/b/c/./../../g", "/a/g"),
        ("mid/content=5/../6", "mid/6"),
        ("/", "/"),
        ("", ""),
        ("/a", "/a"),
        ("/.", "/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2E./b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.../b", "/a/.../b"),
        ("/a/..b/.c", "/a/..b/.c"),
        ("/a%2F../b", "/a%2F../b"),
        ("/a//../b", "/a/b"),
        ("//a/../b", "//b"),
        ("..", ""),
    ],
)
def test_dot_segments_are_removed(path: str, normal: str) -> None:
    assert remove_dot_segments(path) == normal


@given(segments=st.lists(st.sampled_from(["a", "b.c", ".", "..", "..."]), max_size=8), slash=st.booleans())
def test_dot_segments_are_removed_as_the_standard_library_does(segments: list[str], *, slash: bool) -> None:
    path = "/" + "/".join(segments) + ("/" if slash and segments else "")
    assert remove_dot_segments(path) == urljoin("http://h/", path).removeprefix("http://h")


@given(st.one_of(anything, wire))
def test_no_dot_segment_is_left(path: str) -> None:
    normal = remove_dot_segments(path)
    assert remove_dot_segments(normal) == normal
    assert not {".", ".."} & set(normal.lower().replace("%2e", ".").split("/"))


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/", "/"),
        ("", ""),
        ("/a//b", "/a//b"),
        ("//evil.example/x", "/%2Fevil.example/x"),
        ("///evil.example", "/%2F%2Fevil.example"),
        ("/\\evil.example", "/%2Fevil.example"),
        ("\\\\evil.example", "/%2Fevil.example"),
        ("\\/evil.example//x", "/%2Fevil.example//x"),
        ("//", "/%2F"),
    ],
)
def test_a_path_never_becomes_another_host(path: str, safe: str) -> None:
    assert escape_leading_slashes(path) == safe


@given(wire)
def test_any_text_is_decoded(text: str) -> None:
    decode_path(text)
    assert "/".join(decode_segments(text)) == decode_path(text.removeprefix("/"))
    parse_query(text)
    assert not escape_leading_slashes(text).startswith(("//", "/\\", "\\\\", "\\/"))


def test_every_function_is_linear() -> None:
    def work(text: str) -> None:
        decode_path(text)
        decode_segments(text)
        parse_query(text, limit=10**6, semicolons=True)
        remove_dot_segments(text)
        escape_leading_slashes(text)
        quote(text)
        if text.isprintable():
            quote_location(text)

    assert seconds(work) < BOUND
