from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http.cookies import CookieError
from kirsch.sessions.cookie import SessionCookie
from kirsch.sessions.memory import MemoryStore
from tests.sessions.helpers import Browser, Clock, Pages, gateway_of

if TYPE_CHECKING:
    from kirsch.web import Gateway

import kirsch


def program(**settings: Any) -> Gateway:
    def index() -> str:
        kirsch.session["n"] = kirsch.session.get("n", 0) + 1
        return str(kirsch.session["n"])

    def out() -> str:
        kirsch.session.delete()
        return "out"

    settings.setdefault("storage_class", MemoryStore())
    return gateway_of(Pages(index=index, out=out), **settings)


def test_on_plain_http_the_name_stands_alone() -> None:
    browser = Browser(program())
    browser.ask()
    assert set(browser.cookies) == {"session_id"}
    assert browser.attributes == {"Max-Age=3600", "Path=/", "HttpOnly", "SameSite=Lax"}


def test_over_tls_it_is_secure_and_bound_to_the_host() -> None:
    browser = Browser(program(), "https")
    browser.ask()
    assert set(browser.cookies) == {"__Host-session_id"}
    assert browser.attributes == {"Max-Age=3600", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    assert browser.text() == "2"


def test_over_tls_a_cookie_that_plain_http_could_plant_is_not_looked_at() -> None:
    gateway = program()
    plain = Browser(gateway)
    assert plain.text() == "1"
    assert Browser(gateway, "https", session_id=plain.id).text() == "1"
    assert plain.text() == "2"


@pytest.mark.parametrize(
    ("settings", "name", "attributes"),
    [
        ({"path": "/app"}, "session_id", {"Path=/app", "Secure"}),
        ({"domain": "example.test"}, "session_id", {"Path=/", "Domain=example.test", "Secure"}),
        ({"host_prefix": False}, "session_id", {"Path=/", "Secure"}),
        ({"secure": False}, "session_id", {"Path=/"}),
        ({"name": "sid"}, "__Host-sid", {"Path=/", "Secure"}),
        ({"partitioned": True}, "__Host-session_id", {"Path=/", "Secure", "Partitioned"}),
        ({"path_header": "X-Path"}, "session_id", {"Path=/below", "Secure"}),
    ],
)
def test_the_name_gets_its_prefix_only_where_browsers_would_keep_it(
    settings: dict[str, Any], name: str, attributes: set[str]
) -> None:
    browser = Browser(program(**settings), "https")
    browser.ask("/", {"X-Path": "/below"})
    assert set(browser.cookies) == {name}
    assert browser.attributes == attributes | {"Max-Age=3600", "HttpOnly", "SameSite=Lax"}


def test_secure_may_be_said_where_a_proxy_does_tls() -> None:
    browser = Browser(program(secure=True))
    browser.ask()
    assert set(browser.cookies) == {"__Host-session_id"}
    assert "Secure" in browser.attributes
    assert browser.text() == "2"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("strict", {"SameSite=Strict"}), ("None", {"SameSite=None"}), (None, set()), (False, set())],
)
def test_same_site_is_as_it_is_set(value: Any, shown: set[str]) -> None:
    browser = Browser(program(same_site=value), "https")
    browser.ask()
    assert {one for one in browser.attributes if one.startswith("SameSite")} == shown


def test_a_browser_session_has_no_max_age() -> None:
    browser = Browser(program(persistent=False, httponly=False))
    browser.ask()
    assert browser.attributes == {"Path=/", "SameSite=Lax"}


def test_very_old_clients_can_have_a_date(clock: Clock) -> None:
    clock.now = 1_000_000_000.0
    browser = Browser(program(persistent="expires", storage_class=MemoryStore(clock=clock)))
    browser.ask()
    assert browser.attributes == {
        "Expires=Sun, 09 Sep 2001 02:46:40 GMT",
        "Path=/",
        "HttpOnly",
        "SameSite=Lax",
    }


@pytest.mark.parametrize("path", ["x;y", "no-slash", "/a,b", "/é"])
def test_a_field_that_holds_no_path_is_a_400(path: str) -> None:
    answer = Browser(program(path_header="X-Path")).ask("/", {"X-Path": path})
    assert answer.code == 400
    assert "X-Path does not hold a path" in answer.text
    assert answer.header("Set-Cookie") is None


def test_without_the_field_the_path_is_the_usual_one() -> None:
    browser = Browser(program(path_header="X-Path"))
    browser.ask()
    assert "Path=/" in browser.attributes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "a b"}, "the name must not be empty"),
        ({"name": "a\r\nSet-Cookie: x=y"}, "the name must not be empty"),
        ({"path": "/;x"}, "the path"),
        ({"domain": "a b"}, "the domain"),
        ({"same_site": "None", "secure": False}, "only with Secure"),
        ({"partitioned": True, "secure": False}, "only with Secure"),
        ({"name": "__Host-x", "path": "/a"}, "only with path='/'"),
    ],
)
def test_what_browsers_would_not_take_is_refused_when_it_is_set(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(CookieError, match=message):
        SessionCookie(**settings)


def test_an_unknown_same_site_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tools\.sessions\.same_site is 'Lax', 'Strict', 'None'.*not 'lux'"):
        SessionCookie(same_site="lux")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_that_removes_it_has_its_name_path_and_domain(scheme: str) -> None:
    browser = Browser(program(path="/app", domain="example.test"), scheme)
    browser.ask()
    before = {one for one in browser.attributes if not one.startswith("Max-Age")}
    browser.ask("/out")
    assert browser.cookies == {}
    gone = {one for one in browser.attributes if not one.startswith(("Max-Age", "Expires"))}
    assert gone == before


@pytest.mark.parametrize(("peer", "warned"), [("192.0.2.7", True), ("127.0.0.1", False), ("", False)])
def test_an_id_over_plain_http_is_warned_of_once_unless_it_stays_on_the_machine(
    peer: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = program(renew_after=0)
    browser = Browser(gateway, peer=peer)
    with caplog.at_level(logging.WARNING):
        browser.ask()
        browser.ask()
    assert len([one for one in caplog.records if "goes out over plain HTTP" in one.message]) == warned
    assert browser.id not in caplog.text


def test_of_several_cookie_fields_all_are_read() -> None:
    gateway = program()
    browser = Browser(gateway)
    browser.ask()
    value = browser.id
    assert Browser(gateway, other="x", session_id=value).text() == "2"
