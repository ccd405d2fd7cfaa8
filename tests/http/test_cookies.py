"""Cookies: what is read of a hostile field, and what a program may and may not set (CK1 to CK6)."""

from __future__ import annotations

import dataclasses
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import strategies as st

from kirsch.http import Headers
from kirsch.http.cookies import MOST_COOKIES, CookieError, SetCookie, parse_cookies
from tests.http.text import BOUND, anything, given, seconds, token, wire

octets = st.text(st.sampled_from("!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"), max_size=20)


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        (" a = 1 ;\tb=2\t", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1; a=2", {"a": "1"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ('a="b c"', {"a": "b c"}),
        ('a="b', {"a": '"b'}),
        ('a="', {"a": '"'}),
        ('a=""', {"a": ""}),
        (r'a="x\054y\"z\\"', {"a": 'x,y"z\\'}),
        (r'a="\303\251"', {"a": "\xc3\xa9"}),
        (r"a=x\054y", {"a": r"x\054y"}),
        ('a={"k": [1, 2]}', {"a": '{"k": [1, 2]}'}),
        ("a=\xe9", {"a": "\xe9"}),
        ("a=1; bad; b=2", {"a": "1", "b": "2"}),
        ("a=1; =x; b=2", {"a": "1", "b": "2"}),
        ("a=1; b c=x; d=2", {"a": "1", "d": "2"}),
        ("a=1; b\x00=x; c=\x00; d=2", {"a": "1", "d": "2"}),
        ("a=1;;; b=2;", {"a": "1", "b": "2"}),
        ("\x85__Host-a=1; \xa0__Host-b=1; __Host-c=1", {"__Host-c": "1"}),
        ('$Version=1; a="x; b=secret; c=y"', {"$Version": "1", "a": '"x', "b": "secret", "c": 'y"'}),
    ],
)
def test_a_malformed_pair_is_dropped_alone(field: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(field) == cookies


def test_the_number_of_cookies_is_bounded() -> None:
    field = "; ".join(f"c{number}={number}" for number in range(1000))
    assert len(parse_cookies(field)) == MOST_COOKIES
    assert parse_cookies(field, limit=2) == {"c0": "0", "c1": "1"}
    assert parse_cookies("a=1; b=2; c=3", limit=3) == {"a": "1", "b": "2", "c": "3"}


def test_parsing_is_linear() -> None:
    for prefix, suffix in (("a=", ""), ('a="', '"'), ("", "=1")):
        assert seconds(parse_cookies, prefix, suffix) < BOUND


@given(st.one_of(anything, wire))
def test_any_field_gives_cookies_without_controls_in_their_names(field: str) -> None:
    for name in parse_cookies(field):
        assert name.isascii()
        assert name.isprintable()


@given(token, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_what_the_standard_library_quotes_is_read_back(name: str, value: str) -> None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar[name] = value
    except Exception:  # noqa: BLE001  the standard library refuses names we do not care about
        return
    assert parse_cookies(jar[name].OutputString()) == {name: value}


@given(token.filter(lambda name: not name.startswith("__")), octets)
def test_a_cookie_set_comes_back(name: str, value: str) -> None:
    cookie = SetCookie(name, value, path=None, http_only=False, same_site=None)
    assert str(cookie) == f"{name}={value}"
    assert parse_cookies(str(cookie)) == {name: value}


def test_the_defaults_are_safe() -> None:
    assert str(SetCookie("id", "x")) == "id=x; Path=/; HttpOnly; SameSite=Lax"


def test_every_attribute_is_written() -> None:
    cookie = SetCookie(
        "id",
        "x",
        max_age=3600,
        expires=784111777,
        path="/a%20b",
        domain=".example.com",
        secure=True,
        same_site="None",
        partitioned=True,
    )
    assert str(cookie) == (
        "id=x; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=3600; Domain=.example.com; Path=/a%20b; "
        "Secure; HttpOnly; SameSite=None; Partitioned"
    )


def test_a_cookie_is_removed_by_its_own_kind() -> None:
    gone = SetCookie("__Host-id", "secret", secure=True, max_age=60).gone()
    assert str(gone) == (
        "__Host-id=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"name": "__Host-a"}, "set secure=True"),
        ({"name": "__HOST-a"}, "set secure=True"),
        ({"name": "__Secure-a"}, "set secure=True"),
        ({"name": "__Host-a", "secure": True, "domain": "example.com"}, "without a domain"),
        ({"name": "__Host-a", "secure": True, "path": "/a"}, "only with path='/'"),
        ({"name": "__Host-a", "secure": True, "path": None}, "only with path='/'"),
        ({"name": "a", "same_site": "None"}, "SameSite=None only with Secure"),
        ({"name": "a", "same_site": "lax"}, "not 'lax'"),
        ({"name": "a", "partitioned": True}, "Partitioned only with Secure"),
        ({"name": "a", "value": "x" * 4096}, "4097 bytes"),
        ({"name": "a", "path": "a"}, "must begin with '/'"),
        ({"name": "a", "path": ""}, "must begin with '/'"),
        ({"name": "a", "path": "/" * 1025}, "at most 1024"),
        ({"name": "a", "domain": ""}, "is not a host name"),
        ({"name": "a", "domain": "a..b"}, "is not a host name"),
        ({"name": "a", "domain": "http://a"}, "is not a host name"),
        ({"name": "a", "domain": "a:80"}, "is not a host name"),
        ({"name": "a", "domain": "a" * 1025}, "at most 1024"),
        ({"name": ""}, "the name must not be empty"),
        ({"name": "a b"}, "the name must not be empty"),
        ({"name": "a", "value": "x y"}, "percent-encode it"),
        ({"name": "a", "value": '"x"'}, "percent-encode it"),
        ({"name": "a", "value": "x\\y"}, "percent-encode it"),
        ({"name": "a", "value": "\xe9"}, "percent-encode it"),
    ],
)
def test_what_browsers_would_throw_away_is_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(CookieError, match=problem) as caught:
        SetCookie(**arguments)
    assert caught.value.name == arguments["name"]


@pytest.mark.parametrize("part", ["name", "value", "path", "domain"])
@pytest.mark.parametrize("char", ["\r", "\n", "\x00", ";", ",", "\x7f", "\r\nSet-Cookie: x=y"])
def test_nothing_in_a_cookie_splits_its_line(part: str, char: str) -> None:
    arguments: dict[str, Any] = {"name": "a", "value": "b", "path": "/c", "domain": "d"}
    arguments[part] += char + "e"
    with pytest.raises(CookieError):
        SetCookie(**arguments)


def test_the_prefixes_hold_when_their_promises_are_kept() -> None:
    assert str(SetCookie("__Host-a", secure=True)).startswith("__Host-a=; Path=/; Secure")
    assert "Domain=example.com" in str(SetCookie("__Secure-a", secure=True, domain="example.com", path="/x"))


def test_the_value_stays_out_of_messages_and_reprs() -> None:
    with pytest.raises(CookieError) as caught:
        SetCookie("id", "secret;")
    assert "secret" not in str(caught.value)
    assert repr(SetCookie("id", "secret")) == "<SetCookie id>"


def test_a_cookie_cannot_be_changed_past_its_checks() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SetCookie("id").name = "a\n"  # type: ignore[misc]


@given(anything, anything, anything, anything)
def test_whatever_is_set_is_refused_or_fits_a_header(name: str, value: str, path: str, domain: str) -> None:
    try:
        cookie = SetCookie(name, value, path=path, domain=domain)
    except CookieError:
        return
    Headers({"Set-Cookie": str(cookie)})
