"""Cookies of foreign programs get what they lack, and keep what they say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.cookies import CookieGuard, CookieRules, guarded
from kirsch.security.guard import SecureHeaders
from tests.security.helpers import send, values, wsgi


@pytest.mark.parametrize(
    ("value", "over_tls", "without"),
    [
        ("sid=1", "sid=1; Secure; HttpOnly; SameSite=Lax", "sid=1; HttpOnly; SameSite=Lax"),
        (
            "sid=1; Path=/; Max-Age=60",
            "sid=1; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax",
            "sid=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
        ),
        ("sid=1; secure; HTTPONLY; samesite=strict", None, None),
        ("sid=1;Secure;HttpOnly;SameSite=None;Partitioned", None, None),
        ("sid=1; SameSite=None", "sid=1; SameSite=None; Secure; HttpOnly", "sid=1; SameSite=None; HttpOnly"),
        ("csrftoken=1", "csrftoken=1; Secure; SameSite=Lax", "csrftoken=1; SameSite=Lax"),
        ("mine=1", "mine=1; Secure; SameSite=Lax", "mine=1; SameSite=Lax"),
        ("left=1", None, None),
        # What looks like an attribute inside of a value or a path is none.
        (
            "sid=Secure-HttpOnly; Path=/Secure",
            "sid=Secure-HttpOnly; Path=/Secure; Secure; HttpOnly; SameSite=Lax",
            "sid=Secure-HttpOnly; Path=/Secure; HttpOnly; SameSite=Lax",
        ),
    ],
)
def test_a_cookie_gets_what_it_lacks(value: str, over_tls: str | None, without: str | None) -> None:
    gateway = wsgi([("Content-Type", "text/plain"), ("Set-Cookie", value), ("set-cookie", value)])
    rules = CookieRules(readable=["mine"], left=["left"])
    for guard in (CookieGuard(gateway, rules), SecureHeaders(gateway, cookies=rules)):
        for _ in range(2):
            assert values(send(guard, scheme="https"), "Set-Cookie") == [over_tls or value] * 2
            assert values(send(guard), "Set-Cookie") == [without or value] * 2
    assert values(send(gateway, scheme="https"), "Set-Cookie") == [value] * 2


def test_answers_without_cookies_stay_as_they_are() -> None:
    assert send(CookieGuard(wsgi())).fields == [("Content-Type", "text/plain")]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="sid=;, \tSecureHttpOnlySameSite-Lax\"'", max_size=60), st.booleans())
def test_any_cookie_keeps_what_it_says_and_has_each_attribute_once(value: str, tls: bool) -> None:
    once = guarded(value, tls=tls)
    assert once.startswith(value)
    assert guarded(once, tls=tls) == once
    added = once[len(value) :].lower()
    for name in ("secure", "httponly", "samesite"):
        assert added.count(f"; {name}") <= 1
