"""The grammar: what is a token, a value, a list, a host and a target, in tables from the RFCs and by
properties."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example
from hypothesis import strategies as st

from kirsch.http import grammar
from kirsch.http.grammar import Target
from tests.http.text import BOUND, anything, given, latin, quotable, seconds, token, wire

TCHARS = set("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("char", [chr(code) for code in (*range(256), 0x2160, 0x212A, 0x660, 0xFF10)])
def test_each_character_is_in_a_token_or_a_value_as_the_rfc_says(char: str) -> None:
    assert grammar.is_token(char) is (char in TCHARS)
    visible = "!" <= char <= "~" or "\x80" <= char <= "\xff"
    assert grammar.is_field_value(char) is visible
    assert grammar.is_field_value(f"a{char}b") is (visible or char in " \t")
    if char <= "\xff":
        octet = char.encode("latin-1")
        assert (grammar.TOKEN_BYTES.fullmatch(octet) is not None) is (char in TCHARS)
        assert (grammar.FIELD_VALUE_BYTES.fullmatch(octet) is not None) is visible
        assert (grammar.TARGET_BYTES.fullmatch(octet) is not None) is ("!" <= char <= "~" and char != "#")


def test_a_token_is_never_empty_but_a_value_may_be() -> None:
    assert not grammar.is_token("")
    assert grammar.is_field_value("")


@pytest.mark.parametrize("value", [" a", "a ", "\ta", "a\t", " ", "a\n", "a\r\nb", "a\x00", "\x7f", "\u0100"])
def test_a_value_has_no_space_at_its_ends_no_controls_and_nothing_beyond_latin_1(value: str) -> None:
    assert not grammar.is_field_value(value)


@pytest.mark.parametrize(
    ("text", "most", "number"),
    [
        ("0", 9, 0),
        ("00000000000000000000000000000000000000000000007", 9, 7),
        ("7", 9, 7),
        ("10", 9, 9),
        ("9" * 18, 10**30, 10**18 - 1),
        ("9" * 30, 10**30, 10**30 - 1),
        ("9" * 100_000, 2**63, 2**63),
        ("9223372036854775807", 2**63, 2**63 - 1),
    ],
)
def test_a_decimal_number_is_read_and_saturates(text: str, most: int, number: int) -> None:
    assert grammar.decimal(text, most) == number


@pytest.mark.parametrize(
    "text", ["", "+1", "-1", "1_0", " 1", "1 ", "1\n", "0x1", "1e3", "1.0", "\u0661", "\xb2", "\uff11"]
)
def test_what_int_would_take_but_the_rfc_does_not_is_no_number(text: str) -> None:
    assert grammar.decimal(text, 99) is None


@given(st.integers(0, 2**70), st.integers(0, 2**70))
def test_decimal_agrees_with_int_below_its_bound(number: int, most: int) -> None:
    assert grammar.decimal(str(number), most) == min(number, most)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", []),
        (",", []),
        (" , ,\t", []),
        ("a", ["a"]),
        ("a, b ,\tc", ["a", "b", "c"]),
        (",a,,b,", ["a", "b"]),
        ('"a,b", c', ['"a,b"', "c"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        ('a="x, y"; b, c', ['a="x, y"; b', "c"]),
        ('a, "b, c', ["a", '"b, c']),
        ('"a\\', ['"a\\']),
        ("a\xa0,\x85b", ["a\xa0", "\x85b"]),
    ],
)
def test_a_list_is_split_outside_quotes(text: str, members: list[str]) -> None:
    assert grammar.split_members(text) == members


def test_parameters_are_split_at_semicolons() -> None:
    assert grammar.split_members('a; b="x;y" ;; c', ";") == ["a", 'b="x;y"', "c"]
    assert grammar.split_members("a; b,c", ";") == ["a", "b,c"]


@given(st.lists(st.one_of(token, quotable.map(grammar.quote_string)), max_size=6))
def test_joined_members_come_back(members: list[str]) -> None:
    assert grammar.split_members(", ".join(members)) == members


@given(quotable)
def test_a_quoted_string_says_what_went_in(text: str) -> None:
    quoted = grammar.quote_string(text)
    assert grammar.unquote_string(quoted) == text
    assert grammar.split_members(quoted) == [quoted]


@pytest.mark.parametrize("text", ["a\r\nb", "\x00", "\x7f", "\u20ac"])
def test_what_no_quoted_string_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a quoted string"):
        grammar.quote_string(text)


@pytest.mark.parametrize("text", ["", '"', "a", '"a', 'a"', '"a"b"', '"\\"', '"\n"', '"\\\n"', '"a" '])
def test_what_is_no_quoted_string_is_none(text: str) -> None:
    assert grammar.unquote_string(text) is None


def test_quoted_pairs_lose_their_backslash() -> None:
    assert grammar.unquote_string(r'"\a\"\\"') == 'a"\\'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("example.com", ("example.com", None)),
        ("EXAMPLE.com:80", ("EXAMPLE.com", 80)),
        ("example.com:", ("example.com", None)),
        ("example.com:0", ("example.com", 0)),
        ("example.com:65535", ("example.com", 65535)),
        ("example.com:00080", ("example.com", 80)),
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("a_b.example", ("a_b.example", None)),
        ("xn--kirsch-bva.example", ("xn--kirsch-bva.example", None)),
        ("a%20b", ("a%20b", None)),
        ("!$&'()*+,;=", ("!$&'()*+,;=", None)),
        ("[::1]", ("[::1]", None)),
        ("[::1]:443", ("[::1]", 443)),
        ("[::1]:", ("[::1]", None)),
        ("[::]", ("[::]", None)),
        ("[2001:DB8::8:800:200c:417A]:1", ("[2001:DB8::8:800:200c:417A]", 1)),
        ("[::ffff:129.144.52.38]", ("[::ffff:129.144.52.38]", None)),
        ("[v1.fe80::a+en1]", ("[v1.fe80::a+en1]", None)),
    ],
)
def test_a_host_is_split_into_name_and_port(text: str, parts: tuple[str, int | None]) -> None:
    assert grammar.split_host(text) == parts
    assert grammar.is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        ":80",
        "a:65536",
        "a:99999999999999999999",
        "a:-1",
        "a:+1",
        "a:1_0",
        "a:\u0661",
        "a:8080 ",
        " a",
        "a b",
        "a\t",
        "a\x00",
        "a\r\nb",
        "a\n",
        "user@a",
        "user:pw@a",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        'a"b',
        "<a>",
        "a%",
        "a%2",
        "a%zz",
        "\xe9.example",
        "\u2024com",
        "::1",
        "a:b",
        "a:80:80",
        "[]",
        "[:]",
        "[:::]",
        "[1]",
        "[::1",
        "::1]",
        "[::1]]",
        "[[::1]]",
        "[::1]a",
        "[::1]:a",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[v.a]",
        "[v1.]",
        "[vg.a]",
        "[1::2::3]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7:8::]",
        "[::1.2.3]",
        "[::1.2.3.256]",
        "[::01.2.3.4]",
        "[1.2.3.4::]",
        "[1.2.3.4]",
        "[::\u0661]",
        "[" + "0" * 60 + "]",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    assert grammar.split_host(text) is None
    assert not grammar.is_host(text)


def test_the_empty_host_counts_only_where_the_caller_allows_it() -> None:
    assert grammar.is_host("")
    assert not grammar.is_host("", empty=False)
    assert grammar.is_host("a", empty=False)
    assert grammar.split_host("") is None


@given(
    st.one_of(
        st.ip_addresses(v=6).map(str),
        st.ip_addresses(v=6).map(lambda address: address.exploded),
        st.ip_addresses(v=4).map("::ffff:{}".format),
        st.lists(st.sampled_from(["0", "1", "ffff", "10000", "", "g", "1.2.3.4"]), max_size=10).map(":".join),
        st.text(st.sampled_from("0123456789abcdefABCDEF:."), max_size=24),
    )
)
@example("1:2:3:4:5:6:1.2.3.4")
@example("1:2:3:4:5:6:7:1.2.3.4")
@example("::1:2:3:4:5:6:7")
@example("1:2:3:4:5:6:7::")
def test_ip_v6_literals_agree_with_the_standard_library(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
        valid = True
    except ValueError:
        valid = False
    assert (grammar.split_host(f"[{text}]") is not None) is valid


@pytest.mark.parametrize(
    ("method", "target", "parts"),
    [
        ("GET", "/", ("origin", "", "/", "")),
        ("GET", "/a/b?c=d?e", ("origin", "", "/a/b", "c=d?e")),
        ("GET", "/a?", ("origin", "", "/a", "")),
        ("GET", "//evil/x", ("origin", "", "//evil/x", "")),
        ("GET", '/a|b[]"{}', ("origin", "", '/a|b[]"{}', "")),
        ("OPTIONS", "*", ("asterisk", "", "*", "")),
        ("OPTIONS", "/a", ("origin", "", "/a", "")),
        ("GET", "http://example.com", ("absolute", "example.com", "/", "")),
        ("GET", "http://example.com?x", ("absolute", "example.com", "/", "x")),
        ("GET", "HTTPS://example.com:8443/a?b", ("absolute", "example.com:8443", "/a", "b")),
        ("GET", "http://[::1]:80/a", ("absolute", "[::1]:80", "/a", "")),
        ("OPTIONS", "http://example.com:8001", ("absolute", "example.com:8001", "*", "")),
        ("OPTIONS", "http://example.com?x", ("absolute", "example.com", "/", "x")),
        ("OPTIONS", "http://example.com/", ("absolute", "example.com", "/", "")),
        ("CONNECT", "example.com:443", ("authority", "example.com:443", "", "")),
    ],
)
def test_a_target_is_taken_apart(method: str, target: str, parts: tuple[str, str, str, str]) -> None:
    assert grammar.split_target(method, target) == Target(*parts)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", ""),
        ("GET", "*"),
        ("GET", "a"),
        ("GET", "?a"),
        ("GET", "/a#b"),
        ("GET", "/a b"),
        ("GET", "/a\t"),
        ("GET", "/a\r\n"),
        ("GET", "/\x00"),
        ("GET", "/\x7f"),
        ("GET", "/\xe9"),
        ("GET", "example.com:443"),
        ("GET", "ftp://example.com/"),
        ("GET", "http:/example.com"),
        ("GET", "http:///a"),
        ("GET", "http://:80/a"),
        ("GET", "http://user@example.com/"),
        ("GET", "http://example.com:99999/"),
        ("GET", "http\u017f://example.com/"),
        ("CONNECT", "example.com"),
        ("CONNECT", "example.com:"),
        ("CONNECT", "example.com:0x1"),
        ("CONNECT", "/"),
        ("CONNECT", "http://example.com:80/"),
        ("CONNECT", "*"),
        ("OPTIONS", "**"),
    ],
)
def test_what_is_no_target_of_its_method_is_refused(method: str, target: str) -> None:
    assert grammar.split_target(method, target) is None


@given(st.one_of(anything, latin, wire))
def test_any_text_gets_an_answer(text: str) -> None:
    for member in grammar.split_members(text) + grammar.split_members(text, ";"):
        assert member == member.strip(" \t") != ""
        assert member in text
    grammar.unquote_string(text)
    parts = grammar.split_host(text)
    assert parts is None or text.startswith(parts[0])
    target = grammar.split_target("GET", text)
    assert target is None or target.path.startswith("/")


@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ('"', ""), ("http://", "\x00")])
def test_every_scanner_is_linear(prefix: str, suffix: str) -> None:
    def scan(text: str) -> None:
        grammar.is_token(text)
        grammar.is_field_value(text)
        grammar.unquote_string(text + '"')
        grammar.decimal(text, 99)
        grammar.split_members(text)
        grammar.split_members(text, ";")
        grammar.split_host(text)
        grammar.split_target("GET", text)

    assert seconds(scan, prefix, suffix) < BOUND
