"""What the tools that authenticate share."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.http import HeaderError
from kirsch.tools.auth import credentials, is_private, quoted, refuse, required
from kirsch.web import HTTPError, Request
from kirsch.web.dispatch import Path
from tests.web.helpers import FakeLink, app_of, make_exchange


def request_of(
    fields: dict[str, str] | None = None, peer: str = "192.0.2.7", scheme: str = "http"
) -> Request:
    exchange = make_exchange(fields=fields or {})
    link = FakeLink(scheme)
    link.peer = (peer, 5)
    exchange.link = link
    return Request(app_of(None), exchange, Path("", "/"))


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (None, None),
        ("Basic abc", "abc"),
        ("BASIC  abc ", "abc"),
        ("Basic", ""),
        ("Bearer abc", None),
        ("", None),
    ],
)
def test_credentials_are_those_of_the_scheme(field: str | None, found: str | None) -> None:
    request = request_of({} if field is None else {"Authorization": field})
    assert credentials(request, "Basic") == found


def test_a_field_that_is_too_long_or_comes_twice_is_refused() -> None:
    assert credentials(request_of({"Authorization": "Basic " + "a" * 8186}), "Basic") == "a" * 8186
    with pytest.raises(HTTPError, match="400"):
        credentials(request_of({"Authorization": "Basic " + "a" * 8187}), "Basic")
    with pytest.raises(HTTPError, match="400"):
        credentials(request_of({"Authorization": "Basic a", "authorization": "Basic b"}), "Basic")


def test_a_failure_is_logged_and_told_with_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    def failed(request: Request, user: str, reason: str) -> None:
        told.append((user, reason))

    with pytest.raises(HTTPError) as caught:
        refuse(request_of(), "Basic realm=x", user="é\r\nroot " * 100, reason="wrong", failed=failed)
    assert (caught.value.code, caught.value.headers) == (401, {"WWW-Authenticate": "Basic realm=x"})
    assert caplog.records[0].levelname == "WARNING"
    assert r"AUTH refused '\xe9\r\nroot " in caplog.text
    assert "from 192.0.2.7: wrong" in caplog.text
    assert len(caplog.records[0].getMessage()) < 1200
    assert told == [("é\r\nroot " * 100, "wrong")]


def test_who_did_not_try_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HTTPError, match="401"):
        refuse(request_of(), "Basic")
    assert not caplog.records


def test_the_program_may_answer_a_failure_otherwise() -> None:
    def failed(request: Request, user: str, reason: str) -> None:
        raise HTTPError(429)

    with pytest.raises(HTTPError, match="429"):
        refuse(request_of(), "Basic", reason="wrong", failed=failed)


@pytest.mark.parametrize(
    ("peer", "scheme", "private"),
    [
        ("192.0.2.7", "http", False),
        ("192.0.2.7", "https", True),
        ("127.0.0.1", "http", True),
        ("127.3.2.1", "http", True),
        ("::1", "http", True),
        ("::ffff:127.0.0.1", "http", True),
        ("", "http", True),
        ("10.0.0.1", "http", False),
        ("::ffff:192.0.2.7", "http", False),
    ],
)
def test_what_nobody_can_read_is_private(peer: str, scheme: str, private: bool) -> None:
    assert is_private(request_of(peer=peer, scheme=scheme)) is private


@pytest.mark.parametrize(
    ("realm", "text"), [("a", '"a"'), ('a"b\\c', r'"a\"b\\c"'), ("é", '"\xc3\xa9"'), ("€", '"\xe2\x82\xac"')]
)
def test_a_realm_is_quoted(realm: str, text: str) -> None:
    assert quoted(realm) == text


@pytest.mark.parametrize("realm", ["a\r\nX: y", "a\0"])
def test_a_realm_cannot_split_the_challenge(realm: str) -> None:
    with pytest.raises((ValueError, HeaderError), match="control character"):
        quoted(realm)


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_is_named(value: Any) -> None:
    required("x", a="1", b=print)
    with pytest.raises(ValueError, match=r"'tools\.x\.on' is set, but not 'tools\.x\.b'"):
        required("x", a="1", b=value)
