"""Only our hosts are answered for, and nobody is sent to others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.hosts import AllowedHosts, HTTPSRedirect, host_matches
from kirsch.web import expose
from kirsch.web.context import request
from tests.security.helpers import native, send, wsgi

PUBLIC = ("203.0.113.5", 80)
OURS = ("notes.example", ".wiki.example", "admin.example:8443", "[2001:db8::1]")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("notes.example", True),
        ("NOTES.example", True),
        ("notes.example:8080", True),
        ("notes.example.", True),
        ("wiki.example", True),
        ("de.wiki.example", True),
        ("a.b.wiki.example:1", True),
        ("admin.example:8443", True),
        ("[2001:DB8::1]:80", True),
        ("admin.example", False),
        ("admin.example:80", False),
        ("evil.example", False),
        ("notes.example.evil.example", False),
        ("evilnotes.example", False),
        ("evilwiki.example", False),
        ("x.notes.example", False),
        ("notes.example..", False),
        ("notes.example:99999", False),
        ("notes.example@evil.example", False),
        ("evil.example#notes.example", False),
        ("127.0.0.1", False),
        ("localhost", False),
    ],
)
def test_a_host_is_answered_for_if_it_is_on_the_list(host: str, ours: bool) -> None:
    guard = AllowedHosts(wsgi(), OURS)
    for _ in range(2):
        assert send(guard, host=host, local=PUBLIC).code == (200 if ours else 400)
    assert send(wsgi(), host=host, local=PUBLIC).code == 200
    assert host_matches(host, OURS) is ours


def test_a_link_made_from_a_forged_host_leaves_the_program_only_without_the_guard() -> None:
    class Root:
        @expose
        def index(self) -> str:
            return f"<a href='{request.base}/reset?token=secret'>"

    open_to_all = native(Root())
    assert (
        "https://evil.example/" in send(open_to_all, host="evil.example", scheme="https", local=PUBLIC).text
    )
    guarded = send(AllowedHosts(open_to_all, OURS), host="evil.example", scheme="https", local=PUBLIC)
    assert (guarded.code, "evil" in guarded.text) == (400, False)


@pytest.mark.parametrize("local", [("127.0.0.1", 8080), ("127.9.9.9", 80), ("::1", 80), ("/run/k.sock", 0)])
def test_a_loopback_address_may_be_asked_for_any_host_unless_it_may_not(local: tuple[str, int]) -> None:
    assert send(AllowedHosts(wsgi(), OURS), host="any.example", local=local).code == 200
    strict = AllowedHosts(wsgi(), OURS, loopback=False)
    assert send(strict, host="any.example", local=local).code == 400


def test_a_star_allows_all_and_no_host_of_http_1_0_passes() -> None:
    assert send(AllowedHosts(wsgi(), ["*"]), host="any.example", local=PUBLIC).code == 200
    assert send(AllowedHosts(wsgi(), OURS), host="", local=PUBLIC).code == 200


@pytest.mark.parametrize("host", ["https://a.example", "a b", "", ".", "a.example/x", "a@b"])
def test_what_is_no_host_is_refused_when_the_guard_is_made(host: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        AllowedHosts(wsgi(), [host])


def test_patterns_that_are_no_hosts_match_nothing() -> None:
    assert not host_matches("a.example", ["https://a.example"])
    assert not host_matches("", ["*.example"])


def test_what_is_remembered_of_hosts_is_bounded() -> None:
    guard = AllowedHosts(wsgi(), OURS)
    for number in range(3000):
        assert not guard.allows(f"h{number}.example")
    assert len(guard._known) <= 1025
    assert guard.allows("notes.example")
    assert guard.allows("notes.example")


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="notes.example:@/\\[]0123456789 \t\x00é", max_size=30))
def test_no_text_but_ours_is_let_in(host: str) -> None:
    name = host.lower().partition(":")[0].removesuffix(".")
    assert host_matches(host, ["notes.example"]) in {False, name == "notes.example"}


def redirected(target: str, host: str = "notes.example", **more: Any) -> tuple[int, str | None]:
    answer = send(HTTPSRedirect(wsgi(), OURS, **more), target, host=host, local=PUBLIC)
    return answer.code, answer.header("Location")


@pytest.mark.parametrize(
    ("target", "host", "place"),
    [
        ("/a/b?c=d&e=%2f", "notes.example", "https://notes.example/a/b?c=d&e=%2f"),
        ("//evil.example/", "notes.example:80", "https://notes.example//evil.example/"),
        ("*", "notes.example", "https://notes.example/"),
        ("/", "[2001:db8::1]", "https://[2001:db8::1]/"),
    ],
)
def test_a_request_without_tls_is_sent_to_the_same_place_with_it(target: str, host: str, place: str) -> None:
    assert redirected(target, host) == (308, place)


def test_the_redirect_names_the_port_and_never_another_host() -> None:
    assert redirected("/", port=8443) == (308, "https://notes.example:8443/")
    assert redirected("/", "evil.example") == (400, None)
    assert redirected("/", "") == (400, None)
    assert send(HTTPSRedirect(wsgi(), OURS), scheme="https").code == 200
