"""What proxies say is believed of ours alone, and no program sees what anybody else wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.guard import SecureHeaders
from kirsch.security.proxies import Hop, TrustedProxies, parse_forwarded
from kirsch.web import expose
from kirsch.web.context import request
from tests.security.helpers import native, send, values, wsgi

HSTS = "Strict-Transport-Security"
PROXY, SECOND, CLIENT, OTHER = "10.0.0.7", "10.1.2.3", "198.51.100.9", "203.0.113.66"
OURS = ("10.0.0.0/8", "2001:db8:ffff::/48", "unix")


class Who:
    @expose
    def index(self) -> str:
        return f"{request.remote.ip} {request.base} {request.headers['Host']}"


def environ_of(gateway: Any, seen: list[dict[str, Any]], **request: Any) -> dict[str, Any]:
    assert send(gateway, **request).code == 200
    return seen[-1]


def seen_by_both(fields: Any, peer: str, kind: Any = "x-forwarded", **more: Any) -> str:
    """Return what an object and a WSGI program see of a client; they agree."""
    text = send(TrustedProxies(native(Who()), OURS, fields=kind), fields=fields, peer=peer, **more).text
    seen: list[dict[str, Any]] = []
    gateway = TrustedProxies(wsgi(seen=seen), OURS, fields=kind)
    environ = environ_of(gateway, seen, fields=fields, peer=peer, **more)
    base = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
    assert text == f"{environ['REMOTE_ADDR']} {base} {environ['HTTP_HOST']}"
    assert not [key for key in environ if "FORWARD" in key or key == "HTTP_X_REAL_IP"]
    return text.rpartition(" ")[0]


@pytest.mark.parametrize(
    ("fields", "peer", "expected"),
    [
        ({}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Forwarded-For": CLIENT}, PROXY, f"{CLIENT} http://example.test"),
        ({"X-Forwarded-For": CLIENT}, "", f"{CLIENT} http://example.test"),
        ({"X-Forwarded-For": CLIENT}, OTHER, f"{OTHER} http://example.test"),
        ({"X-Forwarded-Proto": "https"}, PROXY, f"{PROXY} https://example.test"),
        ({"X-Forwarded-Proto": "https"}, OTHER, f"{OTHER} http://example.test"),
        ({"X-Forwarded-Host": "notes.example"}, PROXY, f"{PROXY} http://notes.example"),
        ({"X-Forwarded-Host": "evil.example"}, OTHER, f"{OTHER} http://example.test"),
        # What the client wrote stands in front of what our proxies added.
        ({"X-Forwarded-For": f"{OTHER}, {CLIENT}"}, PROXY, f"{CLIENT} http://example.test"),
        ({"X-Forwarded-For": f"{OTHER}, {CLIENT}, {SECOND}"}, PROXY, f"{CLIENT} http://example.test"),
        ({"X-Forwarded-For": f"{PROXY}, {SECOND}"}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Forwarded-Proto": "https, http"}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Forwarded-Host": "evil.example, notes.example"}, PROXY, f"{PROXY} http://notes.example"),
        ({"X-Forwarded-For": "2001:db8::9"}, PROXY, "2001:db8::9 http://example.test"),
        ({"X-Forwarded-For": "[2001:db8::9]:5000"}, PROXY, "2001:db8::9 http://example.test"),
        ({"X-Forwarded-For": f"{CLIENT}:5000"}, PROXY, f"{CLIENT} http://example.test"),
        ({"X-Forwarded-For": CLIENT}, "::ffff:10.0.0.7", f"{CLIENT} http://example.test"),
        ({"X-Forwarded-For": CLIENT}, "2001:db8:ffff::1", f"{CLIENT} http://example.test"),
        # What cannot be read is nothing.
        ({"X-Forwarded-For": "<script>"}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Forwarded-For": f"{CLIENT}, unknown"}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Forwarded-Proto": "javascript"}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Forwarded-Host": "a/b@c"}, PROXY, f"{PROXY} http://example.test"),
        # The other kind of fields is the client's.
        ({"Forwarded": f"for={CLIENT};proto=https"}, PROXY, f"{PROXY} http://example.test"),
        ({"X-Real-IP": CLIENT}, PROXY, f"{PROXY} http://example.test"),
    ],
)
def test_a_client_is_who_our_proxies_say(fields: dict[str, str], peer: str, expected: str) -> None:
    assert seen_by_both(fields, peer) == expected


@pytest.mark.parametrize(
    ("field", "peer", "expected"),
    [
        (f"for={CLIENT};proto=https;host=notes.example", PROXY, f"{CLIENT} https://notes.example"),
        (f"for={CLIENT};proto=https", OTHER, f"{OTHER} http://example.test"),
        (f'For="{CLIENT}:4711"; Proto=HTTPS', PROXY, f"{CLIENT} https://example.test"),
        ('for="[2001:db8::9]:4711"', PROXY, "2001:db8::9 http://example.test"),
        (f"for={OTHER};host=evil.example, for={CLIENT};proto=https", PROXY, f"{CLIENT} https://example.test"),
        (f"for={CLIENT};proto=https, for={SECOND};proto=http", PROXY, f"{CLIENT} https://example.test"),
        ("for=unknown;proto=https", PROXY, f"{PROXY} https://example.test"),
        ("for=_hidden", PROXY, f"{PROXY} http://example.test"),
        (f"for={CLIENT}; proto=https; proto=http", PROXY, f"{PROXY} http://example.test"),
        (f"for={CLIENT}; proto", PROXY, f"{PROXY} http://example.test"),
        (f'for="{CLIENT}', PROXY, f"{PROXY} http://example.test"),
        (f"for={CLIENT};host=a@b", PROXY, f"{PROXY} http://example.test"),
        (f"for={CLIENT};proto=gopher", PROXY, f"{PROXY} http://example.test"),
    ],
)
def test_forwarded_is_read_by_its_grammar(field: str, peer: str, expected: str) -> None:
    assert seen_by_both({"Forwarded": field}, peer, "forwarded") == expected


def test_a_field_of_the_other_kind_is_not_believed_and_several_lines_are_one_chain() -> None:
    assert seen_by_both({"X-Forwarded-For": CLIENT}, PROXY, "forwarded").startswith(PROXY)
    lines = [("X-Forwarded-For", OTHER), ("X-Forwarded-For", f"{CLIENT}"), ("X-Forwarded-For", SECOND)]
    assert seen_by_both(lines, PROXY).startswith(CLIENT)


def test_without_the_wrapper_a_program_reads_what_anybody_writes() -> None:
    seen: list[dict[str, Any]] = []
    spoofed = {"X-Forwarded-For": "127.0.0.1"}
    assert environ_of(wsgi(seen=seen), seen, fields=spoofed)["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert "HTTP_X_FORWARDED_FOR" not in environ_of(TrustedProxies(wsgi(seen=seen), ()), seen, fields=spoofed)


def test_strict_transport_security_follows_what_a_trusted_proxy_says() -> None:
    guard = SecureHeaders(TrustedProxies(wsgi(), OURS))
    https = {"X-Forwarded-Proto": "https"}
    for _ in range(2):
        assert values(send(guard, fields=https, peer=OTHER), HSTS) == []
        assert values(send(guard, fields=https, peer=PROXY), HSTS) == ["max-age=31536000"]
    around = TrustedProxies(SecureHeaders(wsgi()), OURS)
    assert values(send(around, fields=https, peer=PROXY), HSTS) == ["max-age=31536000"]
    hosts = TrustedProxies(native(Who(), tools__secureheaders__on=True), OURS)
    assert values(send(hosts, fields=https, peer=PROXY), HSTS) == ["max-age=31536000"]
    assert values(send(hosts, fields=https, peer=OTHER), HSTS) == []


def test_a_program_learns_of_tls_and_can_write() -> None:
    seen: list[dict[str, Any]] = []
    gateway = TrustedProxies(wsgi(seen=seen), OURS)
    https = environ_of(gateway, seen, fields={"X-Forwarded-Proto": "https"}, peer=PROXY)
    assert https["HTTPS"] == "on"
    http = environ_of(gateway, seen, fields={"X-Forwarded-For": CLIENT}, peer=PROXY)
    assert "HTTPS" not in http

    def writes(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])(b"written")
        return []

    from kirsch.server import WSGIGateway

    answer = send(TrustedProxies(WSGIGateway(writes), OURS), fields={"X-Forwarded-For": CLIENT}, peer=PROXY)
    assert answer.code == 200
    assert answer.exchange.link._link.pushed == [b"written"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("peers", "problem"),
    [
        (["0.0.0.0/0"], "is everybody"),
        (["::/0"], "is everybody"),
        (["proxy.example"], "is no address"),
        (["10.0.0.7/8"], "is no address"),
        (["*"], "is no address"),
    ],
)
def test_lists_that_believe_everybody_are_refused(peers: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TrustedProxies(wsgi(), peers)


def test_a_head_that_comes_again_is_read_once() -> None:
    from kirsch.http.exchange import Exchange
    from tests.web.helpers import FakeLink, make_exchange

    gateway = TrustedProxies(native(Who()), OURS)
    head = make_exchange(fields={"X-Forwarded-For": CLIENT}).head
    first, second = (Exchange(head, None, 0, FakeLink()) for _ in range(2))
    for exchange in (first, second):
        exchange.link.peer = (PROXY, 5000)  # type: ignore[misc]
        gateway(exchange)
    assert first.head is second.head
    assert first.head is not head
    assert str(first.content).startswith(f"b'{CLIENT} ")
    assert second.content == first.content


def test_there_are_two_kinds_of_fields() -> None:
    with pytest.raises(ValueError, match="x-forwarded or forwarded"):
        TrustedProxies(wsgi(), OURS, fields="both")  # type: ignore[arg-type]


def test_addresses_are_remembered_within_bounds() -> None:
    proxies = TrustedProxies(wsgi(), ["10.0.0.0/8"])
    for number in range(3000):
        assert not proxies.trusts(f"192.0.{number // 256}.{number % 256}")
    assert len(proxies._known) <= 1024
    assert not proxies.trusts("no address")
    assert not proxies.trusts("")
    assert proxies.trusts("10.255.0.1")


def test_hops_are_in_the_order_they_were_added() -> None:
    assert parse_forwarded("for=a;host=b, for=c") == [Hop("a", "", "b"), Hop("c")]
    assert parse_forwarded("") == []
    assert len(parse_forwarded(",".join(["for=a"] * 500)) or []) == 50


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='for=proto;host,"[]:.\\ https_unknown0123456789\té', max_size=60))
def test_any_forwarded_field_is_hops_or_nothing(field: str) -> None:
    hops = parse_forwarded(field)
    for hop in hops or ():
        assert hop.scheme in {"", "http", "https"}
    answer = send(
        TrustedProxies(native(Who()), OURS, fields="forwarded"), fields={"Forwarded": field}, peer=PROXY
    )
    assert answer.code == 200


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="0123456789.:,[] unknown/é", max_size=60))
def test_any_chain_ends_in_an_address(field: str) -> None:
    import ipaddress

    answer = send(TrustedProxies(native(Who()), OURS), fields={"X-Forwarded-For": field}, peer=PROXY)
    ipaddress.ip_address(answer.text.split(" ")[0])
