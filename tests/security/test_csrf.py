"""The matrix of where requests come from (SECURITY.md FM1 to FM4), for objects and for foreign programs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.http.exchange import RequestHead
from kirsch.security.csrf import CSRFGuard, CSRFRules, csrf_token, verdict
from kirsch.security.tokens import SessionTokens
from kirsch.web import current, expose
from kirsch.web.context import request, response
from tests.security.helpers import native, send, values, wsgi

HOST = "notes.example"
COOKIE = {"Cookie": "session_id=anna"}
SITE, MODE, DEST = "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"
LISTED = "https://admin.example"


class Bank:
    """What is to be protected."""

    def __init__(self) -> None:
        self.sent = 0

    @expose
    def index(self) -> str:
        return csrf_token(current())  # type: ignore[arg-type]

    @expose
    def send(self, **_: str) -> str:
        self.sent += 1
        return "sent"

    @expose
    def login(self) -> str:
        response.set_cookie("session_id", "new")
        return csrf_token(current())  # type: ignore[arg-type]


def outcomes(method: str, fields: dict[str, str], *, scheme: str = "https", **rules: Any) -> list[int]:
    """Return the codes of a foreign program and of an object, guarded the same way; then unguarded."""
    foreign = CSRFGuard(wsgi(), CSRFRules(**rules))
    config = {f"tools.csrf.{name}": value for name, value in rules.items()}
    objects = native(Bank(), {"/": {"tools.csrf.on": True, **config}})
    bare = native(Bank())
    more: dict[str, Any] = {"scheme": scheme, "host": HOST}
    return [
        send(gateway, "/send", method, fields, **more).code for gateway in (foreign, objects, bare, wsgi())
    ]


MATRIX = [
    # Sec-Fetch-Site decides first
    ({SITE: "same-origin"}, True),
    ({SITE: "none"}, True),
    ({SITE: "cross-site"}, False),
    ({SITE: "same-site"}, False),
    ({SITE: "cross-site", "Origin": "null"}, False),
    ({SITE: "cross-site", "Origin": "https://evil.example"}, False),
    ({SITE: "same-site", "Origin": "https://evil.notes.example"}, False),
    ({SITE: "cross-site", "Referer": f"https://{HOST}/"}, False),
    # unknown values are ignored
    ({SITE: "future", "Origin": "https://evil.example"}, False),
    ({SITE: "future", "Origin": f"https://{HOST}"}, True),
    # then Origin
    ({"Origin": f"https://{HOST}"}, True),
    ({"Origin": f"https://{HOST}:443"}, True),
    ({"Origin": f"https://{HOST}:8443"}, False),
    ({"Origin": f"http://{HOST}"}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": f"https://{HOST}.evil.example"}, False),
    ({"Origin": f"https://evil{HOST}"}, False),
    ({"Origin": f"https://{HOST}@evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "https://["}, False),
    ({"Origin": "https://evil.example", "Referer": f"https://{HOST}/"}, False),
    # then Referer
    ({"Referer": f"https://{HOST}/page?a=b"}, True),
    ({"Referer": f"https://evil.example/{HOST}"}, False),
    ({"Referer": f"https://evil.example/https://{HOST}/"}, False),
    ({"Referer": f"http://{HOST}/"}, False),
    # then nothing, which a browser with cookies never sends
    ({}, False),
    ({"Referer": "about:blank"}, False),
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPPATCH"])
@pytest.mark.parametrize(("fields", "passes"), MATRIX)
def test_a_request_that_changes_something_passes_if_it_is_ours(
    fields: dict[str, str], passes: bool, method: str
) -> None:
    code = 200 if passes else 403
    assert outcomes(method, {**COOKIE, **fields}) == [code, code, 200, 200]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(("fields", "passes"), MATRIX)
def test_a_request_that_changes_nothing_passes(fields: dict[str, str], passes: bool, method: str) -> None:
    assert outcomes(method, {**COOKIE, **fields}) == [200] * 4


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({}, True),
        ({"Authorization": "Bearer abc"}, True),
        ({"Authorization": "Basic YTpi"}, False),
        ({"authorization": "DIGEST a"}, False),
        ({"Authorization": "Negotiate a"}, False),
        ({"Cookie": ""}, False),
    ],
)
def test_a_request_that_tells_nothing_passes_if_it_acts_for_nobody(
    fields: dict[str, str], passes: bool
) -> None:
    code = 200 if passes else 403
    assert outcomes("POST", fields)[:2] == [code, code]
    assert outcomes("POST", {**fields, SITE: "cross-site"})[:2] == [403, 403]


def test_without_tls_a_page_of_ours_over_tls_may_send_and_not_the_other_way_round() -> None:
    ours = {**COOKIE, "Origin": f"https://{HOST}"}
    assert outcomes("POST", ours, scheme="http")[:2] == [200, 200]
    assert outcomes("POST", {**COOKIE, "Origin": f"http://{HOST}"}, scheme="http")[:2] == [200, 200]
    assert outcomes("POST", {**COOKIE, "Origin": f"http://{HOST}"}, scheme="https")[:2] == [403, 403]


@pytest.mark.parametrize(
    ("fields", "rules", "passes"),
    [
        ({"Origin": LISTED}, {"origins": [LISTED]}, True),
        ({"Origin": LISTED, SITE: "cross-site"}, {"origins": [LISTED]}, True),
        ({"Referer": f"{LISTED}/a"}, {"origins": [LISTED]}, True),
        ({"Origin": f"{LISTED}.evil.example"}, {"origins": [LISTED]}, False),
        ({"Origin": LISTED.upper()}, {"origins": [LISTED]}, False),
        ({"Origin": LISTED}, {}, False),
        ({SITE: "same-site"}, {"same_site": True}, True),
        ({SITE: "same-site", "Origin": "https://b.example"}, {"same_site": True}, True),
        ({SITE: "cross-site"}, {"same_site": True}, False),
    ],
)
def test_other_pages_may_send_if_the_rules_say_so(
    fields: dict[str, str], rules: dict[str, Any], passes: bool
) -> None:
    code = 200 if passes else 403
    assert outcomes("POST", {**COOKIE, **fields}, **rules)[:2] == [code, code]


@pytest.mark.parametrize(
    "origin", ["https://a.example/", "a.example", "https://A.example", "https://a.example:443", "*"]
)
def test_what_is_no_origin_is_refused_in_the_rules(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        CSRFRules(origins=[origin])


@pytest.mark.parametrize(
    ("method", "fields", "passes"),
    [
        ("GET", {SITE: "same-origin"}, True),
        ("GET", {SITE: "none"}, True),
        ("GET", {}, True),
        (
            "GET",
            {SITE: "cross-site", MODE: "no-cors", DEST: "image"},
            False,
        ),
        ("GET", {SITE: "cross-site", MODE: "cors"}, False),
        (
            "GET",
            {SITE: "cross-site", MODE: "navigate", DEST: "document"},
            True,
        ),
        (
            "GET",
            {SITE: "cross-site", MODE: "navigate", DEST: "object"},
            False,
        ),
        (
            "GET",
            {SITE: "cross-site", MODE: "navigate", DEST: "iframe"},
            False,
        ),
        ("OPTIONS", {SITE: "cross-site", MODE: "navigate"}, False),
        ("GET", {SITE: "same-site", MODE: "no-cors"}, False),
        ("GET", {SITE: "cross-site", MODE: "cors", "Origin": LISTED}, True),
        ("POST", {SITE: "cross-site", MODE: "navigate"}, False),
        ("POST", {SITE: "same-origin"}, True),
    ],
)
def test_resources_can_be_kept_to_ourselves(method: str, fields: dict[str, str], passes: bool) -> None:
    code = 200 if passes else 403
    found = outcomes(method, {**COOKIE, **fields}, isolate=True, origins=[LISTED])
    assert found == [code, code, 200, 200]


def test_hosts_of_the_same_site_may_read_if_the_rules_say_so() -> None:
    fields = {SITE: "same-site", MODE: "no-cors"}
    assert outcomes("GET", fields, isolate=True, same_site=True)[:2] == [200, 200]


def test_caches_learn_what_the_answer_depended_on() -> None:
    refused = {**COOKIE, SITE: "cross-site"}
    objects = native(Bank(), {"/": {"tools.csrf.on": True}})
    for gateway in (CSRFGuard(wsgi()), objects):
        assert values(send(gateway, "/send", "POST", refused), "Vary") == ["Sec-Fetch-Site, Origin"]
        assert values(send(gateway, "/send"), "Vary") == []
    isolating = native(Bank(), {"/": {"tools.csrf.on": True, "tools.csrf.isolate": True}})
    for gateway in (CSRFGuard(wsgi(), CSRFRules(isolate=True)), isolating):
        assert values(send(gateway, "/send"), "Vary") == ["Sec-Fetch-Site, Origin"]


def test_a_vary_of_the_program_stays() -> None:
    class Root:
        @expose
        def index(self) -> str:
            return ""

    def vary() -> None:
        response.headers["Vary"] = "Cookie"

    sections = {"/": {"tools.csrf.on": True, "tools.csrf.isolate": True, "hooks.on_start_resource": vary}}
    assert values(send(native(Root(), sections)), "Vary") == ["Cookie, Sec-Fetch-Site, Origin"]


# --- exemption, logging ---


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/hooks/", 200),
        ("/hooks/a", 200),
        ("/hooks", 200),
        ("/hooksy", 403),
        ("/other", 403),
        ("/hooks/../send", 403),
        ("/hooks/%2e%2e/send", 403),
    ],
)
def test_exempt_paths_take_requests_from_anywhere(path: str, code: int) -> None:
    fields = {**COOKIE, SITE: "cross-site"}
    guard = CSRFGuard(wsgi(), exempt=("/hooks",))
    assert send(guard, path, "POST", fields).code == code
    assert send(CSRFGuard(wsgi()), path, "POST", fields).code == 403


def test_a_path_of_an_object_is_exempt_by_its_switch() -> None:
    sections = {"/": {"tools.csrf.on": True}, "/send": {"tools.csrf.on": False}}
    fields = {**COOKIE, SITE: "cross-site"}
    assert send(native(Bank(), sections), "/send", "POST", fields).code == 200
    assert send(native(Bank(), sections), "/", "POST", fields).code == 403


@pytest.mark.parametrize("log_only", [False, True])
def test_refusals_are_logged_and_may_be_only_logged(log_only: bool, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    fields = {**COOKIE, SITE: "cross-site", "User-Agent": "a\tb"}
    guard = CSRFGuard(wsgi(), log=said.append, log_only=log_only)
    assert send(guard, "/send?token=secret", "POST", fields, peer="").code == (200 if log_only else 403)
    assert said == ["forged request refused (cross-site): POST /send from a local socket"]
    sections = {"/": {"tools.csrf.on": True, "tools.csrf.log_only": log_only}}
    assert send(native(Bank(), sections), "/send", "POST", fields).code == (200 if log_only else 403)
    assert "forged request refused (cross-site): POST /send from 192.0.2.7" in caplog.text


# --- tokens ---

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ON = {"/": {"tools.csrf.on": True}}


def posted(bank: Bank, token: str | None, cookie: dict[str, str], config: dict[str, Any]) -> int:
    body = urlencode({"csrf_token": token} if token is not None else {"a": "b"}).encode()
    return send(native(bank, ON, **config), "/send", "POST", {**FORM, **cookie}, body=body).code


@pytest.mark.parametrize(
    "config", [{}, {"security.secret": "s" * 32}, {"security.secret": ["n" * 32, "s" * 32]}]
)
def test_a_token_in_a_form_or_a_field_lets_a_silent_client_act(config: dict[str, Any]) -> None:
    bank = Bank()
    token = send(native(bank, ON, **config), fields=COOKIE).text
    assert posted(bank, token, COOKIE, config) == 200
    header = {**COOKIE, "X-CSRF-Token": token}
    assert send(native(bank, ON, **config), "/send", "POST", header).code == 200
    assert bank.sent == 2
    for wrong in (None, "", token[:-1], token[::-1], "x" * 67):
        assert posted(bank, wrong, COOKIE, config) == 403
    assert bank.sent == 2


def test_a_token_of_another_session_is_refused() -> None:
    bank = Bank()
    eves = send(native(bank, ON), fields={"Cookie": "session_id=eve"}).text
    assert posted(bank, eves, COOKIE, {}) == 403
    assert posted(bank, eves, {"Cookie": "session_id=eve"}, {}) == 200


def test_a_token_from_before_a_login_does_not_count_after_it() -> None:
    bank = Bank()
    before = send(native(bank, ON), fields=COOKIE).text
    after = send(native(bank, ON), "/login", fields=COOKIE).text
    logged_in = {"Cookie": "session_id=new"}
    assert posted(bank, before, logged_in, {}) == 403
    assert posted(bank, after, logged_in, {}) == 200


def test_the_sessions_cookie_may_have_another_name_and_a_prefix() -> None:
    config = {"tools.sessions.name": "sid"}
    for name in ("sid", "__Host-sid"):
        bank = Bank()
        cookie = {"Cookie": f"{name}=anna"}
        token = send(native(bank, ON, **config), fields=cookie).text
        assert posted(bank, token, cookie, config) == 200
        assert posted(bank, token, {"Cookie": f"{name}=eve"}, config) == 403


def test_a_token_does_not_help_a_request_that_the_browser_calls_foreign() -> None:
    token = send(native(Bank(), ON), fields=COOKIE).text
    fields = {**COOKIE, "X-CSRF-Token": token, SITE: "cross-site"}
    assert send(native(Bank(), ON), "/send", "POST", fields).code == 403


def test_a_token_in_the_query_or_twice_in_a_form_counts_for_nothing() -> None:
    token = send(native(Bank(), ON), fields=COOKIE).text
    assert send(native(Bank(), ON), f"/send?csrf_token={token}", "POST", COOKIE).code == 403
    body = f"csrf_token={token}&csrf_token={token}".encode()
    assert send(native(Bank(), ON), "/send", "POST", {**FORM, **COOKIE}, body=body).code == 403


def test_a_short_secret_is_told() -> None:
    with pytest.raises(ValueError, match="32 bytes or more"):
        SessionTokens.of("short")
    assert request is not None


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="https:/notes.example@[]null \t%#?é", max_size=40),
    st.sampled_from(["Origin", "Referer"]),
)
def test_no_text_but_our_origin_passes(text: str, name: str) -> None:
    head = RequestHead("POST", "/", "/", "", 1, (("Host", HOST), (name, text)), host=HOST)
    said = verdict(head, "https", CSRFRules())
    assert said in {"cross-origin", "cross-referer", "token?"} or text.startswith(f"https://{HOST}")
