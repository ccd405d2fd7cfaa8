"""The room's way in, and a user's own tool in the place of a built-in one, served by `kirsch run`."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.config import ConfigError
from kirsch.security.headers import SecureHeadersTool
from kirsch.security.wiring import KEYS, install, protect, protect_graft
from kirsch.web import Toolbox
from tests.examples.served import Served
from tests.security.helpers import send, values, wsgi

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import kirsch

{tool}
class Root:
    @kirsch.expose
    def index(self):
        return "hello"

if __name__ == "__main__":
    kirsch.quickstart(Root(), "", "site.conf")
"""

TOOL = """
@kirsch.tools.register('before_finalize', priority=60)
def secureheaders():
    headers = kirsch.response.headers
    headers['X-Frame-Options'] = 'DENY by hand'
    headers['X-XSS-Protection'] = '1; mode=block'
    headers['Content-Security-Policy'] = "default-src 'self';"
"""

CONF = """
[global]
server.bind = "127.0.0.1:0"

[/]
tools.secureheaders.on: True
"""


def headers_of(folder: Path, tool: str, *command: str) -> dict[str, str]:
    """Serve the program and return the fields of its page."""
    (folder / "site.conf").write_text(CONF, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM.format(tool=tool), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    with Served(process) as served, urllib.request.urlopen(served.url, timeout=10) as answer:
        return dict(answer.headers)


def test_a_users_own_tool_switched_on_by_a_file_replaces_the_built_in_one(tmp_path: Path) -> None:
    found = headers_of(tmp_path, TOOL, "program.py")
    assert found["X-Frame-Options"] == "DENY by hand"
    assert found["X-XSS-Protection"] == "1; mode=block"
    assert found["Content-Security-Policy"] == "default-src 'self';"
    assert "Referrer-Policy" not in found


def test_kirsch_run_has_it_too(tmp_path: Path) -> None:
    command = ("-m", "kirsch", "run", "--config", "site.conf", "program:Root")
    assert headers_of(tmp_path, TOOL, *command)["X-Frame-Options"] == "DENY by hand"


def test_without_it_the_built_in_one_is_on(tmp_path: Path) -> None:
    found = headers_of(tmp_path, "", "program.py")
    assert found["X-Frame-Options"] == "DENY"
    assert found["Referrer-Policy"] == "strict-origin-when-cross-origin"


def test_the_tools_of_the_room_go_into_any_toolbox() -> None:
    box = Toolbox("tools")
    install(box)
    assert isinstance(box.secureheaders, SecureHeadersTool)
    assert box.secureheaders.name == "secureheaders"


# --- protect ---


def test_a_foreign_program_is_protected_without_a_word() -> None:
    gateway = protect(
        wsgi([("Set-Cookie", "a=b"), ("X-Powered-By", "x")]), {"server.bind": "x"}, foreign=True
    )
    answer = send(gateway, scheme="https")
    assert values(answer, "X-Frame-Options") == ["DENY"]
    assert values(answer, "Set-Cookie") == ["a=b; Secure; HttpOnly; SameSite=Lax"]
    assert values(answer, "X-Powered-By") == []


def test_objects_are_left_to_their_tools() -> None:
    inner = wsgi()
    assert protect(inner, {}, foreign=False) is inner


def test_what_configuration_switches_off_is_off() -> None:
    inner = wsgi()
    off = {
        "security.headers": False,
        "security.cookies": False,
        "security.csrf": False,
        "security.proxies": None,
    }
    assert protect(inner, off, foreign=True) is inner


EVERYTHING: dict[str, Any] = {
    "security.headers": {"frame": "SAMEORIGIN"},
    "security.cookies": {"left": ["a"]},
    "security.hosts": "notes.example",
    "security.proxies": ["10.0.0.0/8"],
    "security.proxy_fields": "forwarded",
    "security.csrf": {"exempt": ["/hook"], "log_only": False},
    "security.cors": {"origins": ["https://app.example"]},
    "security.rate": 3,
    "security.secret": "s" * 32,
}


def test_every_protection_stands_where_it_knows_what_it_needs() -> None:
    said: list[str] = []
    gateway = protect(wsgi([("Set-Cookie", "a=b")]), EVERYTHING, foreign=True, log=said.append)
    public: dict[str, Any] = {"local": ("203.0.113.5", 80), "peer": "10.0.0.1"}
    via = {"Forwarded": "for=198.51.100.9;proto=https;host=notes.example", "Origin": "https://app.example"}
    answer = send(gateway, fields=via, **public)
    assert answer.code == 200
    assert values(answer, "Strict-Transport-Security") == ["max-age=31536000"]
    assert values(answer, "X-Frame-Options") == ["SAMEORIGIN"]
    assert values(answer, "Set-Cookie") == ["a=b"]
    assert values(answer, "Access-Control-Allow-Origin") == ["https://app.example"]
    assert values(answer, "RateLimit") == ['"default";r=2;t=20']
    elsewhere = send(gateway, host="evil.example", **public)
    forged = send(gateway, "/x", "POST", {**via, "Cookie": "a=b"}, **public)
    assert (elsewhere.code, forged.code) == (400, 403)
    assert said == ["forged request refused (cross-origin): POST /x from 198.51.100.9"]
    assert send(gateway, "/hook", "POST", {**via, "Cookie": "a=b"}, **public).code == 200
    limited = send(gateway, fields=via, **public)
    assert limited.code == 429
    for refused in (elsewhere, forged, limited):
        # A refusal says itself that it is not framed, and both fields agree.
        assert values(refused, "X-Frame-Options") == ["DENY"]
        assert values(refused, "Strict-Transport-Security") == (
            [] if refused is elsewhere else ["max-age=31536000"]
        )


def test_an_empty_list_of_proxies_believes_nobody() -> None:
    seen: list[dict[str, Any]] = []
    send(
        protect(wsgi(seen=seen), {"security.proxies": []}, foreign=False),
        fields={"X-Forwarded-For": "1.2.3.4"},
    )
    assert "HTTP_X_FORWARDED_FOR" not in seen[0]
    send(protect(wsgi(seen=seen), {"security.proxies": "10.0.0.1"}, foreign=False))
    assert len(seen) == 2


def test_rates_and_forgeries_may_be_configured_at_length() -> None:
    config = {"security.rate": {"limit": 1, "period": 5, "tell": False}, "security.csrf": True}
    gateway = protect(wsgi(), config, foreign=False)
    assert send(gateway).fields == [("Content-Type", "text/plain")]
    assert send(gateway).code == 429


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("security.header", {}, "Did you mean security.headers"),
        ("security.qqqqqqqqqqqqqqqqqqqqq", {}, "no such setting"),
        ("security.headers", {"frame": "x"}, "frame is DENY"),
        ("security.headers", {"frames": "x"}, "frames"),
        ("security.headers", "on", "options in a dict"),
        ("security.cookies", {"leave": ["a"]}, "leave"),
        ("security.hosts", ["https://a"], "is no host"),
        ("security.proxies", ["0.0.0.0/0"], "is everybody"),
        ("security.cors", {"origins": ["*"], "credentials": True}, "without credentials"),
        ("security.rate", {"limit": 0}, "at least 1 request"),
    ],
)
def test_what_cannot_be_is_told_by_its_key(key: str, value: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        protect(wsgi(), {key: value}, foreign=True)
    assert caught.value.key == key
    assert "security.secret" in KEYS


def test_the_keys_of_foreign_programs_mean_nothing_to_objects() -> None:
    inner = wsgi()
    assert protect(inner, {"security.headers": True, "security.cookies": True}, foreign=False) is inner


def test_a_program_in_a_tree_is_protected_if_configuration_says_so() -> None:
    inner = wsgi([("Set-Cookie", "a=b")])
    assert protect_graft(inner, {"security.rate": 1}) is inner
    answer = send(
        protect_graft(inner, {"security.headers": True, "security.cookies": True, "security.rate": 1})
    )
    assert values(answer, "X-Frame-Options") == ["DENY"]
    assert values(answer, "Set-Cookie") == ["a=b; HttpOnly; SameSite=Lax"]
    assert values(answer, "RateLimit") == []
    only = send(protect_graft(inner, {"security.cookies": {"left": ["a"]}}))
    assert only.fields == [("Set-Cookie", "a=b")]
    with pytest.raises(ConfigError, match="frame is DENY"):
        protect_graft(inner, {"security.headers": {"frame": "x"}})


GRAFTED = """
import kirsch

def program(environ, start_response):
    start_response("200 OK", [("Set-Cookie", "a=b")])
    return [b"hello"]

kirsch.config.update({"server.bind": "127.0.0.1:0", "security.hosts": ["notes.example"]})
kirsch.tree.graft(program)
kirsch.engine.signals.subscribe()
kirsch.engine.start()
kirsch.engine.block()
"""


def test_the_default_server_protects_what_it_serves(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(GRAFTED, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with Served(process) as served, urllib.request.urlopen(served.url, timeout=10) as answer:
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Set-Cookie"] == "a=b; HttpOnly; SameSite=Lax"
