"""Foreign programs get the fields however they answer, from a real server with and without TLS."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import flask
import pytest
import trustme

from kirsch.config import ServerSettings
from kirsch.security.csp import NONCE
from kirsch.security.guard import SecureHeaders
from kirsch.security.headers import HeaderRules
from kirsch.server import Server, WSGIGateway
from tests.security.helpers import send, values, wsgi
from tests.security.test_headers import EXPECTED, HSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


def program(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer in the way the path names."""
    path = environ["PATH_INFO"]
    fields = [("Content-Type", "text/plain"), ("X-Powered-By", "Program/1.2.3")]
    if path == "/write":
        start_response("200 OK", fields)(b"written")
        return [b" and returned"]
    if path == "/late":
        return late(start_response, fields)
    if path == "/again":
        start_response("200 OK", fields)
        try:
            int("no number")
        except ValueError:
            start_response("503 Service Unavailable", [("Retry-After", "1")], sys.exc_info())
        return [b"sorry"]
    if path == "/raise":
        raise RuntimeError("unexpected")
    if path == "/unchanged":
        start_response("304 Not Modified", [("ETag", '"1"')])
        return []
    start_response("404 Not Found" if path == "/missing" else "200 OK", fields)
    return [b"hello"]


def late(start_response: Any, fields: list[tuple[str, str]]) -> Iterator[bytes]:
    """Begin the answer when its first piece is asked for."""
    start_response("200 OK", fields)
    yield b"piece"


def ask(server: Server, path: str, context: ssl.SSLContext | None = None, method: str = "GET") -> bytes:
    """Return the head of the answer of a real server."""
    with socket.create_connection(server.addresses[0], timeout=10) as sock:
        wire = sock if context is None else context.wrap_socket(sock, server_hostname="127.0.0.1")
        with wire:
            wire.sendall(f"{method} {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := wire.recv(65536):
                data += piece
    return data.partition(b"\r\n\r\n")[0]


def lines(head: bytes, name: str) -> list[str]:
    found = []
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(": ")
        if key.lower() == name.lower():
            found.append(value)
    return found


def serve(gateway: Any, **settings: Any) -> Server:
    quiet: Callable[..., None] = lambda *args, **more: None  # noqa: E731  the shape of a log
    server = Server(gateway, ServerSettings(bind=("127.0.0.1:0",), threads=2, **settings), log=quiet)
    server.start()
    return server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    server = serve(SecureHeaders(WSGIGateway(program)))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, ssl.SSLContext]]:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    gateway = SecureHeaders(WSGIGateway(program))
    server = serve(gateway, tls_certificate=str(folder / "both.pem"), tls_key=str(folder / "both.pem"))
    yield server, context
    server.stop()


WAYS = [
    ("/", 200),
    ("/missing", 404),
    ("/write", 200),
    ("/late", 200),
    ("/again", 503),
    ("/unchanged", 304),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "code"), WAYS)
def test_every_way_to_answer_has_the_fields_once(plain: Server, path: str, code: int, method: str) -> None:
    head = ask(plain, path, method=method)
    assert head.startswith(f"HTTP/1.1 {code} ".encode())
    for name, value in EXPECTED.items():
        assert lines(head, name) == [value]
    assert lines(head, HSTS) == []
    assert lines(head, "X-Powered-By") == []
    assert lines(head, "Server") == ["Kirsch"]


def test_a_program_without_the_guard_is_bare() -> None:
    server = serve(WSGIGateway(program))
    try:
        head = ask(server, "/")
    finally:
        server.stop()
    assert lines(head, "X-Frame-Options") == []
    assert lines(head, "X-Powered-By") == ["Program/1.2.3"]


def test_pages_that_the_server_draws_itself_let_nothing_run(plain: Server) -> None:
    for head in (ask(plain, "/raise"), ask(plain, "/ /")):
        assert head[9:12] in {b"500", b"400"}
        assert lines(head, "X-Content-Type-Options") == ["nosniff"]
        assert lines(head, "Content-Security-Policy") == ["default-src 'none'; frame-ancestors 'none'"]


@pytest.mark.parametrize(("path", "code"), WAYS)
def test_strict_transport_security_is_sent_over_tls(
    over_tls: tuple[Server, ssl.SSLContext], path: str, code: int
) -> None:
    head = ask(over_tls[0], path, over_tls[1])
    assert head.startswith(f"HTTP/1.1 {code} ".encode())
    assert lines(head, HSTS) == ["max-age=31536000"]


def test_one_guard_on_both_schemes_keeps_them_apart() -> None:
    guard = SecureHeaders(wsgi())
    assert [values(send(guard, scheme=scheme), HSTS) for scheme in ("https", "http", "https", "http")] == [
        ["max-age=31536000"],
        [],
        ["max-age=31536000"],
        [],
    ]


def test_what_a_program_sets_itself_stands() -> None:
    guard = SecureHeaders(wsgi([("x-frame-options", "SAMEORIGIN"), ("Referrer-Policy", "unsafe-url")]))
    answer = send(guard)
    assert values(answer, "X-Frame-Options") == ["SAMEORIGIN"]
    assert values(answer, "Referrer-Policy") == ["unsafe-url"]
    assert "frame-ancestors 'self'" in (answer.header("Content-Security-Policy") or "")


def test_the_list_a_program_passed_stays_as_it_was() -> None:
    fields = [("Content-Type", "text/plain")]

    def keeps(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", fields)
        return [b"hello"]

    assert values(send(SecureHeaders(WSGIGateway(keeps))), "X-Frame-Options") == ["DENY"]
    assert fields == [("Content-Type", "text/plain")]


def test_what_is_for_one_person_is_kept_out_of_caches() -> None:
    guard = SecureHeaders(wsgi())
    assert values(send(guard, fields={"Authorization": "x"}), "Cache-Control") == ["no-store, max-age=0"]
    assert values(send(guard), "Cache-Control") == []
    cookie = SecureHeaders(wsgi([("set-cookie", "a=b")]))
    assert values(send(cookie), "Cache-Control") == ["no-store, max-age=0"]


def test_flask_pages_have_the_fields_its_own_errors_too() -> None:
    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    guard = SecureHeaders(WSGIGateway(app))
    for target, code in (("/", 200), ("/missing", 404)):
        answer = send(guard, target)
        assert answer.code == code
        for name, value in EXPECTED.items():
            assert values(answer, name) == [value]


def test_options_may_come_as_rules_or_one_by_one() -> None:
    assert values(send(SecureHeaders(wsgi(), HeaderRules(frame=None))), "X-Frame-Options") == []
    assert values(send(SecureHeaders(wsgi(), frame="SAMEORIGIN")), "X-Frame-Options") == ["SAMEORIGIN"]


def test_a_nonce_is_refused_as_no_foreign_page_would_have_it() -> None:
    with pytest.raises(ValueError, match="needs pages that write it"):
        SecureHeaders(wsgi(), csp=f"script-src {NONCE}")


def test_a_guard_in_a_guard_lets_the_inner_one_speak_first() -> None:
    answer = send(SecureHeaders(SecureHeaders(wsgi(), frame="SAMEORIGIN")))
    assert values(answer, "X-Frame-Options") == ["SAMEORIGIN"]
