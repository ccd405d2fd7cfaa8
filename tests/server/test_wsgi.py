"""The gateway to WSGI programs, held against PEP 3333 over real requests."""

from __future__ import annotations

import io
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.http.exchange import RequestHead
from kirsch.server import ApplicationError
from kirsch.server.answer import FileContent
from kirsch.server.wsgi import WSGIExchange, WSGIGateway
from tests.server.harness import GET, WAIT, Client, Log, hello, serving, trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kirsch.http.exchange import Exchange

CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"

Environ = dict[str, Any]
StartResponse = Any


def an_error() -> Any:
    """Return what `sys.exc_info` says where an error of the program is handled."""
    try:
        int("of the program")
    except ValueError:
        return sys.exc_info()


class Link:
    """A connection as far as a gateway looks at it."""

    def __init__(self, **facts: Any) -> None:
        self.derived: Any = None
        self.scheme = "http"
        self.peer = ("192.0.2.1", 4711)
        self.local = ("192.0.2.9", 8080)
        self.pushed: list[bytes] = []
        self.__dict__.update(facts)

    def push(self, exchange: Exchange, data: bytes) -> None:
        exchange.started = True
        self.pushed.append(data)

    def tls_environ(self) -> dict[str, str]:
        return {"HTTPS": "on"} if self.scheme == "https" else {}


def head(
    target: str = "/", *fields: tuple[str, str], method: str = "GET", minor: int = 1, **facts: Any
) -> RequestHead:
    path, _, query = target.partition("?")
    return RequestHead(method, target, path, query, minor, fields, host="test", **facts)


def environ_of(
    request: RequestHead, link: Link | None = None, body: bytes | None = None, **options: Any
) -> Environ:
    """Return the environ that a program gets for `request`."""
    seen: list[Environ] = []

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        seen.append(environ)
        return []

    gateway = WSGIGateway(application, **options)
    spool = None if body is None else io.BytesIO(body)
    gateway(WSGIExchange(request, spool, len(body or b""), link or Link()))
    return seen[0]


class Seen:
    """A program that keeps the environs it gets, and answers with the body it read."""

    def __init__(self) -> None:
        self.environs: list[Environ] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.environs.append(dict(environ))
        data = environ["wsgi.input"].read(-1)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
        return [data]


# ---- PEP 3333, checked by the standard library ---------------------------------------------------------


def application_of_pep_3333(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    kind = environ["PATH_INFO"]
    fields = [("Content-Type", "text/plain")]
    if kind == "/write":
        write = start_response("200 OK", fields)
        write(b"one ")
        write(b"")
        return [b"two"]
    if kind == "/body":
        source = environ["wsgi.input"]
        line = source.readline()
        more = source.read(3)
        rest = source.readlines()
        start_response("200 OK", fields)
        return [line, more, b"".join(rest), source.read(1)]
    if kind == "/again":
        start_response("200 OK", fields)
        start_response("503 Service Unavailable", fields, an_error())
        return [b"instead"]
    if kind == "/generator":
        start_response("200 OK", fields)
        return (piece for piece in (b"a", b"", b"b"))
    if kind == "/nothing":
        start_response("204 No Content", [])
        return []
    start_response("200 OK", fields)
    return [environ["PATH_INFO"].encode("latin-1")]


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (GET, b"200 OK", b"/"),
        (GET.replace(b"GET", b"HEAD"), b"200 OK", b""),
        (GET.replace(b"/ ", b"/write "), b"200 OK", b"one two"),
        (GET.replace(b"/ ", b"/again "), b"503 Service Unavailable", b"instead"),
        (GET.replace(b"/ ", b"/generator "), b"200 OK", b"ab"),
        (GET.replace(b"/ ", b"/nothing "), b"204 No Content", b""),
        (GET.replace(b"/ ", b"/%C3%A9?a=%20b "), b"200 OK", b"/\xc3\xa9"),
        (GET.replace(b"/ ", b"http://test/there "), b"200 OK", b"/there"),
        (b"GET /old HTTP/1.0\r\n\r\n", b"200 OK", b"/old"),
        (
            (
                b"POST /body HTTP/1.1\r\nHost: test\r\nContent-Type: text/plain\r\n"
                b"Content-Length: 11\r\n\r\nab\ncdefg\nhi"
            ),
            b"200 OK",
            b"ab\ncdefg\nhi",
        ),
        (
            CHUNKED.replace(b"/ ", b"/body ", 1) + b"4\r\nab\nc\r\n2\r\nde\r\n0\r\n\r\n",
            b"200 OK",
            b"ab\ncde",
        ),
    ],
)
def test_server_and_program_keep_the_rules_towards_each_other(
    request_: bytes, status: bytes, body: bytes
) -> None:
    log = Log()
    with serving(validator(application_of_pep_3333), log=log) as server, Client(server) as client:
        for _ in range(2):
            client.send(request_)
            line, _, got = client.response(head_only=request_.startswith(b"HEAD"))
            assert line == b"HTTP/1.1 " + status
            assert got == body
            if b"HTTP/1.0" in request_:
                break
    assert log.messages == []


def test_every_request_of_a_trusted_kind_passes_the_validator() -> None:
    log = Log()
    with serving(validator(hello), log=log) as server:
        trust(server)
        with Client(server) as client:
            assert [client.get()[2] for _ in range(50)] == [b"hello"] * 50
    assert log.messages == []


def test_a_unix_socket_has_the_names_that_pep_3333_asks_for(tmp_path: Path) -> None:
    seen = Seen()
    with (
        serving(validator(seen), bind=(f"unix:{tmp_path / 's'}",)) as server,
        socket.socket(socket.AF_UNIX) as sock,
    ):
        sock.settimeout(WAIT)
        sock.connect(server.addresses[0][0])
        sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert sock.recv(15) == b"HTTP/1.1 200 OK"

    [environ] = seen.environs
    assert [environ[key] for key in ("SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT")] == [
        "localhost",
        "80",
        "",
        "",
    ]


# ---- the environ ---------------------------------------------------------------------------------------


def test_the_whole_environ_of_a_request() -> None:
    seen = Seen()
    with serving(seen) as server, Client(server) as client:
        client.send(
            b"POST /a%20b/c?x=1&y=%41 HTTP/1.1\r\nHost: example.test:8\r\nContent-Type: text/x\r\n"
            b"Content-Length: 2\r\nX-One: 1\r\nx-one: 2\r\nCookie: a=1\r\ncookie: b=2\r\n"
            b"X_One: evil\r\n\r\nhi"
        )
        assert client.response()[2] == b"hi"
        name, port = client.sock.getsockname()
        address = server.addresses[0]
    [environ] = seen.environs

    assert type(environ.pop("wsgi.input")).__name__ == "BytesIO"
    assert environ.pop("wsgi.errors") is sys.stderr
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "x=1&y=%41",
        "REQUEST_URI": "/a%20b/c?x=1&y=%41",
        "RAW_URI": "/a%20b/c?x=1&y=%41",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "Kirsch",
        "SERVER_NAME": address[0],
        "SERVER_PORT": str(address[1]),
        "REMOTE_ADDR": name,
        "REMOTE_PORT": str(port),
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "2",
        "HTTP_HOST": "example.test:8",
        "HTTP_X_ONE": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileContent,
    }


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("*", ""),
        ("/%41%2f%2F", "/A//"),
        ("/%C3%A9", "/\xc3\xa9"),
        ("/%ff%00", "/\xff\x00"),
        ("/%zz%4", "/%zz%4"),
        ("/a+b", "/a+b"),
        ("/%2541", "/%41"),
        ("//a", "//a"),
    ],
)
def test_the_path_is_decoded_once_into_bytes_that_are_written_as_text(target: str, path: str) -> None:
    environ = environ_of(head(target))

    assert environ["PATH_INFO"] == path
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == target


@given(st.binary())
def test_any_bytes_in_a_path_come_back(raw: bytes) -> None:
    target = "/" + "".join(f"%{byte:02X}" for byte in raw)

    assert environ_of(head(target))["PATH_INFO"].encode("latin-1") == b"/" + raw


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((("X-A", "1"), ("X-A", "2"), ("x-a", "")), {"HTTP_X_A": "1, 2, "}),
        ((("Cookie", "a=1"), ("COOKIE", "b=2")), {"HTTP_COOKIE": "a=1; b=2"}),
        ((("X_A", "evil"),), {}),
        ((("X-A", "good"), ("X_A", "evil")), {"HTTP_X_A": "good"}),
        ((("Content_Length", "7"),), {}),
        ((("Transfer-Encoding", "chunked"),), {}),
        ((("Content-Type", "a/b"),), {"CONTENT_TYPE": "a/b"}),
        ((("Content-Length", "0"),), {"CONTENT_LENGTH": "0"}),
        ((("X-Latin", "\xe9"),), {"HTTP_X_LATIN": "\xe9"}),
    ],
)
def test_fields_become_keys(fields: tuple[tuple[str, str], ...], expected: dict[str, str]) -> None:
    bare = environ_of(head())

    added = {key: value for key, value in environ_of(head("/", *fields)).items() if key not in bare}

    assert added == expected


@pytest.mark.parametrize(
    ("local", "scheme", "name", "port"),
    [
        (("192.0.2.9", 8080), "http", "192.0.2.9", "8080"),
        (("2001:db8::1", 443), "https", "2001:db8::1", "443"),
        (("/run/s", 0), "http", "localhost", "80"),
        (("/run/s", 0), "https", "localhost", "443"),
    ],
)
def test_the_server_has_a_name_and_a_port(local: tuple[str, int], scheme: str, name: str, port: str) -> None:
    environ = environ_of(head(), Link(local=local, scheme=scheme))

    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)
    assert environ["wsgi.url_scheme"] == scheme
    assert environ.get("HTTPS") == ("on" if scheme == "https" else None)


def test_the_host_of_an_absolute_target_replaces_the_field() -> None:
    seen = Seen()
    with serving(seen) as server, Client(server) as client:
        client.send(b"GET http://real.test:81/x?y HTTP/1.1\r\nHost: other.test\r\n\r\n")
        client.response()

    assert seen.environs[0]["HTTP_HOST"] == "real.test:81"
    assert seen.environs[0]["PATH_INFO"] == "/x"
    assert seen.environs[0]["REQUEST_URI"] == "http://real.test:81/x?y"


def test_a_request_of_http_1_0_without_host_has_none() -> None:
    request = RequestHead("GET", "/", "/", "", 0, ())

    environ = environ_of(request)

    assert "HTTP_HOST" not in environ
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/app", ""),
        ("/app/", "/"),
        ("/app/x", "/x"),
        ("/app%2Fx", "/x"),
        ("/application", "/application"),
        ("/", "/"),
    ],
)
def test_the_prefix_of_a_mounted_program_is_its_script_name(path: str, expected: str) -> None:
    environ = environ_of(head(path), script_name="/app")

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", expected)


def test_what_the_gateway_was_told_of_threads_and_processes_is_passed_on() -> None:
    environ = environ_of(head(), multithread=False, multiprocess=True)

    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"]) == (False, True)


def test_errors_go_where_sys_stderr_points_now(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)

    assert environ_of(head())["wsgi.errors"] is elsewhere


# ---- the input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1000, 600_000])
def test_a_chunked_body_has_a_length_and_an_end(size: int) -> None:
    seen = Seen()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    with serving(seen) as server, Client(server) as client:
        client.send(CHUNKED)
        for start in range(0, size, 50_000):
            piece = data[start : start + 50_000]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        assert client.response()[2] == data
    [environ] = seen.environs
    assert environ["CONTENT_LENGTH"] == str(size)
    assert environ["wsgi.input_terminated"] is True
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_reading_past_the_end_gives_nothing() -> None:
    body = environ_of(head(method="POST", length=3), body=b"abc")["wsgi.input"]

    assert [body.read(2), body.read(9), body.read(), body.readline(), list(body)] == [
        b"ab",
        b"c",
        b"",
        b"",
        [],
    ]


def test_without_a_body_the_input_is_empty() -> None:
    environ = environ_of(head())

    assert environ["wsgi.input"].read() == b""
    assert "CONTENT_LENGTH" not in environ


def test_an_empty_chunked_body_has_length_zero() -> None:
    seen = Seen()
    with serving(seen) as server, Client(server) as client:
        client.send(CHUNKED + b"0\r\n\r\n")
        client.response()

    assert seen.environs[0]["CONTENT_LENGTH"] == "0"


def test_a_body_may_be_read_while_the_answer_is_made() -> None:
    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield environ["wsgi.input"].read(2)
        yield environ["wsgi.input"].read()

    with serving(application) as server, Client(server) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabcde")
        assert client.response()[2] == b"abcde"


def test_the_input_is_closed_after_the_answer_even_when_the_program_kept_it() -> None:
    kept: list[Any] = []

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        kept.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return [b"ok"]

    with serving(application) as server, Client(server) as client:
        for _ in range(20):
            client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 600000\r\n\r\n" + bytes(600_000))
            client.response()
        client.get()

    assert [each.closed for each in kept] == [True] * 20 + [False]


# ---- what one request does to its environ is never seen by another -------------------------------------


def spoil(environ: Environ) -> None:
    """Do to an environ all that a program or its middleware may do (PEP 3333)."""
    for key in list(environ):
        if isinstance(environ[key], str):
            environ[key] += "!"
    environ["HTTP_X_USER"] = environ["wsgi.user"] = "admin"
    environ["REQUEST_METHOD"] = "SPOILT"
    environ.pop("HTTP_HOST", None)
    environ["wsgi.input"] = None
    environ["wsgi.version"] += (9,)
    environ.setdefault("kept", []).append(1)


def test_a_changed_environ_is_never_seen_by_another_request() -> None:
    keys = []
    spoilt = threading.Event()

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        facts = {key: value for key, value in environ.items() if isinstance(value, (str, tuple, bool))}
        keys.append(tuple(sorted(facts.items())))
        body = environ["wsgi.input"].read()
        spoil(environ)
        if len(keys) % 3 == 0:
            environ.clear()
        spoilt.set()
        start_response("200 OK", [])
        return [body]

    with serving(application) as server, Client(server) as one, Client(server) as two:
        trust(server)
        keys.clear()
        for number in range(40):
            for client in (one, two):
                # Heads that repeat whole, heads with a block that repeats, and heads whose environ is shared.
                client.get()
                client.get(b"/%d" % (number % 3))
                client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx")
                assert client.response()[2] == b"x"
        ports = {f"{client.sock.getsockname()[1]}" for client in (one, two)}

    found = [dict(each) for each in keys]
    assert len(set(keys)) == 2 * 5, "two clients, five requests that differ"
    assert {each["REMOTE_PORT"] for each in found} == ports
    assert all("!" not in str(each) and "admin" not in str(each) for each in found)
    assert {each["wsgi.version"] for each in found} == {(1, 0)}


def test_a_body_leaves_no_length_behind_for_the_next_request() -> None:
    seen = Seen()
    with serving(seen) as server, Client(server) as client:
        for _ in range(10):
            client.send(
                b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            )
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            client.response()
            client.response()

    assert [each.get("CONTENT_LENGTH") for each in seen.environs] == ["3", None] * 10


def test_two_gateways_on_the_same_heads_keep_to_themselves() -> None:
    request = head("/app/x", ("X-A", "1"))

    first = environ_of(request, script_name="/app")
    second = environ_of(request)

    assert (first["SCRIPT_NAME"], first["PATH_INFO"]) == ("/app", "/x")
    assert (second["SCRIPT_NAME"], second["PATH_INFO"]) == ("", "/app/x")


def test_two_connections_with_the_same_head_keep_their_ends_apart() -> None:
    request = head("/")
    gateway_seen: list[Environ] = []

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        gateway_seen.append(environ)
        return []

    gateway = WSGIGateway(application)
    links = [Link(), Link(peer=("192.0.2.2", 1)), Link(scheme="https")]

    for link in links * 3:
        gateway(WSGIExchange(request, None, 0, link))

    assert [each["REMOTE_ADDR"] for each in gateway_seen[:3]] == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    assert [each["wsgi.url_scheme"] for each in gateway_seen] == ["http", "http", "https"] * 3
    assert len({id(each) for each in gateway_seen}) == 9


# ---- start_response and write --------------------------------------------------------------------------


@pytest.fixture
def exchange() -> WSGIExchange:
    return WSGIExchange(head(), None, 0, Link())


def test_start_response_takes_status_and_fields_and_gives_write(exchange: WSGIExchange) -> None:
    fields = [("X", "y")]

    write = exchange.start_response("200 OK", fields)

    assert (exchange.status, exchange.fields) == ("200 OK", fields)
    write(b"x")
    assert isinstance(exchange.link, Link)
    assert exchange.link.pushed == [b"x"]


@pytest.mark.parametrize("status", [b"200 OK", 200, None, ""])
def test_a_status_that_is_no_text_is_refused(exchange: WSGIExchange, status: Any) -> None:
    with pytest.raises(ApplicationError):
        exchange.start_response(status, [])


@pytest.mark.parametrize("fields", [(("X", "y"),), {"X": "y"}, None, iter([])])
def test_fields_that_are_no_list_are_refused(exchange: WSGIExchange, fields: Any) -> None:
    with pytest.raises(ApplicationError, match="must be a list"):
        exchange.start_response("200 OK", fields)


def test_a_second_start_needs_exc_info(exchange: WSGIExchange) -> None:
    exchange.start_response("200 OK", [])

    with pytest.raises(ApplicationError, match="second time"):
        exchange.start_response("500 X", [])


def test_before_the_head_is_out_exc_info_replaces_it(exchange: WSGIExchange) -> None:
    exchange.start_response("200 OK", [])

    exchange.start_response("500 Broken", [("X", "y")], an_error())

    assert (exchange.status, exchange.fields) == ("500 Broken", [("X", "y")])


def test_after_the_head_is_out_exc_info_is_raised_again(exchange: WSGIExchange) -> None:
    exchange.start_response("200 OK", [])(b"x")

    with pytest.raises(ValueError, match="of the program") as caught:
        exchange.start_response("500 Broken", [], an_error())

    assert "an_error" in [each.name for each in caught.traceback]
    assert exchange.status == "200 OK"


def test_after_the_head_is_out_an_exc_info_of_nothing_is_refused(exchange: WSGIExchange) -> None:
    exchange.start_response("200 OK", [])(b"x")

    with pytest.raises(ApplicationError, match="no exception"):
        exchange.start_response("500 Broken", [], (None, None, None))


def test_an_error_page_after_the_head_cuts_the_answer() -> None:
    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "100")])
        yield b"begun"
        start_response("500 Broken", [], an_error())
        yield b"never"

    with serving(application) as server, Client(server) as client:
        client.send(GET)
        data = client.rest()

    assert data.startswith(b"HTTP/1.1 200 OK")
    assert data.endswith(b"\r\n\r\nbegun")


@pytest.mark.parametrize("data", ["text", None, 7, bytearray(b"x")])
def test_write_takes_bytes_alone(exchange: WSGIExchange, data: Any) -> None:
    with pytest.raises(ApplicationError, match="takes bytes"):
        exchange.start_response("200 OK", [])(data)


def test_writing_nothing_sends_nothing(exchange: WSGIExchange) -> None:
    exchange.start_response("200 OK", [])(b"")

    assert not exchange.started


def test_what_is_written_reaches_the_client_before_the_program_returns() -> None:
    read = threading.Event()

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"now")
        assert read.wait(WAIT)
        return [b"then"]

    with serving(application) as server, Client(server) as client:
        client.send(GET)
        data = b""
        while b"now" not in data:
            data += client.sock.recv(100)
        read.set()
        client._unread = data
        assert client.response()[2] == b"nowthen"


def test_a_program_may_start_its_response_as_late_as_its_first_piece() -> None:
    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("202 Accepted", [("X-Late", "yes")])
        yield b"late"

    with serving(application) as server, Client(server) as client:
        line, fields, body = client.get()

    assert (line, fields[b"x-late"], body) == (b"HTTP/1.1 202 Accepted", b"yes", b"late")


def test_a_program_that_never_starts_its_response_is_told_so() -> None:
    log = Log()
    with serving(lambda environ, start_response: [b"x"], log=log) as server, Client(server) as client:
        assert client.get()[0] == b"HTTP/1.1 500 Internal Server Error"
    assert log.messages == ["The program failed on GET /."]


def test_close_is_called_after_the_client_has_the_answer() -> None:
    closed = threading.Event()

    class Content:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.set()

    def application(environ: Environ, start_response: StartResponse) -> Content:
        start_response("200 OK", [])
        return Content()

    with serving(application) as server, Client(server) as client:
        assert client.get()[2] == b"ab"
        assert closed.wait(WAIT)


# ---- paces ---------------------------------------------------------------------------------------------


def test_requests_of_one_shape_share_a_pace() -> None:
    gateway = WSGIGateway(lambda environ, start_response: [])

    paces = [gateway.pace(head(target)) for target in ("/item/1", "/item/2", "/item", "/item/1?q")]
    again = head("/item/3")

    assert paces[0] is paces[1] is paces[3]
    assert paces[0] is not paces[2]
    assert gateway.pace(again) is gateway.pace(again) is paces[0]
    assert gateway.pace(head("/item/1", method="POST")) is not paces[0]
