"""Who the client is, where a trusted proxy says so, and that nobody else can."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kirsch.web import Application, current, expose
from tests.tools.helpers import make, wsgi

PROXY, CLIENT = "10.0.0.1", "203.0.113.9"


class Root:
    @expose
    def index(self) -> str:
        request = current()
        assert request is not None
        return f"{request.remote.ip} {request.base}"

    @expose
    def fields(self) -> str:
        return " ".join(sorted(current().headers))  # type: ignore[union-attr]


def app_of(**keys: Any) -> Application:
    named: dict[str, Any] = {f"proxy__{name}": value for name, value in keys.items()}
    return make(Root(), proxy__on=True, **named)


def get(fields: dict[str, str], peer: str = PROXY, path: str = "/", **keys: Any) -> str:
    keys.setdefault("trusted", ["10.0.0.0/8"])
    answer = wsgi(app_of(**keys), path, fields=fields, REMOTE_ADDR=peer)
    return answer.text if answer.code == 200 else answer.status


FORWARDED = {"X-Forwarded-For": CLIENT, "X-Forwarded-Host": "shop.test", "X-Forwarded-Proto": "https"}


def test_a_trusted_proxy_is_believed() -> None:
    assert get(FORWARDED) == f"{CLIENT} https://shop.test"


@pytest.mark.parametrize("trusted", [(), ["192.0.2.0/24"], "10.0.0.2", "unix", ["fd00::/8"]])
def test_nobody_else_is_by_default_or_ever(trusted: Any) -> None:
    assert get(FORWARDED, trusted=trusted) == f"{PROXY} http://example.test"


def test_with_the_list_opened_to_anybody_anybody_is_anybody() -> None:
    spoofed = {**FORWARDED, "X-Forwarded-For": f"127.0.0.1, {CLIENT}"}
    assert get(spoofed, peer="198.51.100.66", trusted="*") == "127.0.0.1 https://shop.test"
    assert get(spoofed, peer="198.51.100.66") == "198.51.100.66 http://example.test"


def test_what_nobody_trusted_said_is_removed() -> None:
    fields = {**FORWARDED, "Forwarded": "for=1.2.3.4", "X-Real-IP": "1.2.3.4", "X-Own": "1", "X-Other": "2"}
    assert get(fields, peer=CLIENT, path="/fields", local="X-Own") == "Host X-Other"
    assert "X-Forwarded-For" in get(fields, path="/fields")


@pytest.mark.parametrize(
    ("field", "remote"),
    [
        (CLIENT, CLIENT),
        (f" {CLIENT} ", CLIENT),
        (f"6.6.6.6, {CLIENT}", CLIENT),
        (f"6.6.6.6, {CLIENT}, 10.9.9.9", CLIENT),
        (f"{CLIENT},10.0.0.3,10.0.0.2", CLIENT),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (f"{CLIENT}:4711", CLIENT),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("", PROXY),
        (",,", PROXY),
        ("unknown", PROXY),
        ("127.0.0.1, _hidden", PROXY),
        ("127.0.0.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("127.0.0.1, <script>\xff", PROXY),
        ("0x7f000001", PROXY),
        ("127.1", PROXY),
        ("1.2.3.4:99999999", PROXY),
        (", ".join(["10.0.0.2"] * 1000), "10.0.0.2"),
    ],
)
def test_the_chain_is_followed_from_its_end_as_far_as_it_is_trusted(field: str, remote: str) -> None:
    assert get({"X-Forwarded-For": field}) == f"{remote} http://example.test"


def test_a_chain_has_an_end() -> None:
    field = ", ".join([CLIENT, *["10.0.0.2"] * 1000])
    assert get({"X-Forwarded-For": field}) == "10.0.0.2 http://example.test"


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ({"X-Forwarded-Host": "shop.test:8443"}, "http://shop.test:8443"),
        ({"X-Forwarded-Host": "[2001:db8::1]:80"}, "http://[2001:db8::1]:80"),
        ({"X-Forwarded-Proto": "HTTPS"}, "https://example.test"),
        (
            {"X-Forwarded-Proto": "https, http", "X-Forwarded-For": f"{CLIENT}, 10.0.0.2"},
            "https://example.test",
        ),
        (
            {"X-Forwarded-Proto": "https, http", "X-Forwarded-For": f"6.6.6.6, {CLIENT}"},
            "http://example.test",
        ),
        (
            {"X-Forwarded-Host": "evil.test, shop.test", "X-Forwarded-For": f"6.6.6.6, {CLIENT}"},
            "http://shop.test",
        ),
        (
            {"X-Forwarded-Host": "shop.test", "X-Forwarded-For": f"{CLIENT}, 10.0.0.2, 10.0.0.3"},
            "http://shop.test",
        ),
        (
            {"X-Forwarded-Host": "shop.test, inner", "X-Forwarded-For": f"{CLIENT}, 10.0.0.2"},
            "http://shop.test",
        ),
    ],
)
def test_host_and_scheme_are_those_of_the_hop_that_is_the_clients(fields: dict[str, str], base: str) -> None:
    assert get(fields).split()[1] == base


@pytest.mark.parametrize(
    "host", ["a b", "a/b", "user@host", "shop.test:99999", "<script>", "\xff", "a\\b", "http://x"]
)
def test_a_host_that_is_none_is_refused(host: str) -> None:
    assert get({"X-Forwarded-Host": host}) == "400 Bad Request"


@pytest.mark.parametrize("scheme", ["ftp", "javascript", "https:", "\xff", "on"])
def test_a_scheme_that_is_none_is_refused(scheme: str) -> None:
    assert get({"X-Forwarded-Proto": scheme}) == "400 Bad Request"


@pytest.mark.parametrize(
    ("field", "base"), [("on", "https"), ("ON", "https"), ("off", "http"), ("1", "http"), (None, "http")]
)
def test_a_field_about_ssl_says_on(field: str | None, base: str) -> None:
    fields = {} if field is None else {"X-Forwarded-Ssl": field}
    assert get(fields, scheme="X-Forwarded-Ssl") == f"{PROXY} {base}://example.test"


def test_fields_have_names_of_ones_own_or_none() -> None:
    fields = {**FORWARDED, "X-Client": "192.0.2.200"}
    assert get(fields, remote="X-Client", local="", scheme="") == "192.0.2.200 http://example.test"
    assert get(fields, remote="", local="", scheme="") == f"{PROXY} http://example.test"


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example/", "https://shop.example"),
        ("shop.example", "http://shop.example"),
    ],
)
def test_a_base_of_ones_own_stands_whoever_says_what(base: str, found: str) -> None:
    for trusted in ((), ["10.0.0.1"]):
        assert get({"X-Forwarded-Host": "evil.test"}, base=base, trusted=trusted).split()[1] == found
    assert get(FORWARDED, base="shop.example").split()[1] == "https://shop.example"


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (f"for={CLIENT};host=shop.test;proto=https", f"{CLIENT} https://shop.test"),
        (f'For="{CLIENT}:4711"', f"{CLIENT} http://example.test"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17 http://example.test"),
        (f"for=6.6.6.6;host=evil.test, for={CLIENT};host=shop.test", f"{CLIENT} http://shop.test"),
        (f"for={CLIENT};proto=https, for=10.0.0.2;proto=http", f"{CLIENT} https://example.test"),
        ("for=unknown, for=10.0.0.2", "10.0.0.2 http://example.test"),
        ("host=shop.test", f"{PROXY} http://shop.test"),
        ("", f"{PROXY} http://example.test"),
        (';;,="', f"{PROXY} http://example.test"),
    ],
)
def test_forwarded_of_rfc_7239_is_read_alone(field: str, found: str) -> None:
    assert get({**FORWARDED, "Forwarded": field}, forwarded=True) == found
    assert get({"Forwarded": field}).split()[0] == PROXY


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("::ffff:10.0.0.1", "10.0.0.0/8"),
        ("", "unix"),
        ("fd00::5", ["fd00::/8"]),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.9", "10.0.0.1/8"),
    ],
)
def test_who_is_trusted_is_said_by_address_network_or_socket(peer: str, trusted: Any) -> None:
    assert get(FORWARDED, peer=peer, trusted=trusted) == f"{CLIENT} https://shop.test"


def test_a_peer_without_an_address_is_not_trusted_by_networks() -> None:
    assert get(FORWARDED, peer="", trusted="0.0.0.0/0").endswith("http://example.test")
    assert get(FORWARDED, peer="nonsense").endswith("http://example.test")


@pytest.mark.parametrize("trusted", ["localhost", ["10.0.0.0/99"], [""], ["10.0.0.1", "*.test"]])
def test_an_entry_that_is_none_says_what_one_is(trusted: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert get(FORWARDED, trusted=trusted) == "500 Internal Server Error"
    assert "it is a list of addresses (192.0.2.1), networks" in caplog.text


def test_without_a_host_there_is_still_a_base() -> None:
    answer = wsgi(app_of(), REMOTE_ADDR=CLIENT, HTTP_HOST="")
    assert answer.text == f"{CLIENT} http://127.0.0.1:8080"


def test_a_password_is_taken_from_behind_a_proxy_that_ends_tls() -> None:
    app = app_of(trusted=["10.0.0.0/8"])
    app.config["/"].update(
        {
            "tools.auth_basic.on": True,
            "tools.auth_basic.realm": "r",
            "tools.auth_basic.checkpassword": lambda *_: True,
        }
    )
    assert wsgi(app, fields={**FORWARDED, "Authorization": "Basic YTpi"}, REMOTE_ADDR=PROXY).code == 200
    assert wsgi(app, fields={**FORWARDED, "Authorization": "Basic YTpi"}, REMOTE_ADDR=CLIENT).code == 403


def test_long_fields_are_read_in_no_time() -> None:
    app = app_of(trusted="*")
    wsgi(app)
    for field in ("1.2.3.4," * 8000, '"' * 60_000, "[" * 60_000, ":" * 60_000):
        begun = time.process_time()
        wsgi(app, fields={"X-Forwarded-For": field}, REMOTE_ADDR=PROXY)
        assert time.process_time() - begun < 0.2
