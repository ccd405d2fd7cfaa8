"""Shared by the tests of this room: a real server on a free port, and a client that speaks in raw bytes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kirsch.config import ServerSettings
from kirsch.server import Server, WSGIGateway

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    from kirsch.http.exchange import Gateway

PATIENCE = 10.0
"""Seconds after which a silent server fails a test. Never waited for when all is well."""


class Answer(NamedTuple):
    """One response as the client read it."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def get(self, name: str) -> str | None:
        """Return the only value of a field, None without one; AssertionError when it is repeated."""
        values = [value for field, value in self.fields if field.lower() == name.lower()]
        assert len(values) < 2, f"{name} is repeated"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Live(Server):
    """A server that keeps what it logs."""

    def __init__(self, gateway: Gateway, settings: ServerSettings, **options: Any) -> None:
        self.logged: list[str] = []
        """Messages, with the exception behind them when there was one."""
        options.setdefault("access_stream", StringIO())
        super().__init__(gateway, settings, log=self._keep, **options)

    def _keep(self, message: str, *, traceback: bool = False) -> None:
        import sys

        self.logged.append(f"{message} {sys.exc_info()[1]!r}" if traceback else message)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listener."""
        return self.addresses[0]


@contextlib.contextmanager
def serving(
    program: Callable[..., Iterable[bytes]], *, gateway: Gateway | None = None, **settings: Any
) -> Iterator[Live]:
    """Serve a WSGI program, or a gateway, on a free port of the loopback address until the block ends.

    The block fails when the server met an error of its own.
    """
    values = {"bind": ("127.0.0.1:0",), "threads": 4, "shutdown_timeout": 5.0, **settings}
    server = Live(gateway or WSGIGateway(program), ServerSettings(**values))
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert not [message for message in server.logged if "of its own" in message or "of the server" in message]


class Client:
    """A connection to a server, in raw bytes.

    Parameters:
        server: where to.
        context: speaks TLS with it, for the name `localhost`.
        buffer: bytes of the receive buffer, to be a slow reader with; the system's choice without it.
    """

    def __init__(self, server: Server, context: ssl.SSLContext | None = None, buffer: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if buffer:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.sock.settimeout(PATIENCE)
            self.sock.connect(server.addresses[0])
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise
        self.buffer = b""
        """Bytes received and not asked for yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes, pieces: int = 1) -> None:
        """Send `data` in so many pieces of about one size. A server that has closed meanwhile is no error."""
        step = max(1, -(-len(data) // pieces))
        with contextlib.suppress(ConnectionError):
            for begin in range(0, len(data), step):
                self.sock.sendall(data[begin : begin + step])

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Return what comes up to and with `mark`."""
        while mark not in self.buffer:
            assert self._more(), f"the connection ended before {mark!r}: {self.buffer!r}"
        found, mark, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        parts = [self.buffer]
        left = count - len(self.buffer)
        self.buffer = b""
        while left > 0:
            data = self.sock.recv(min(left, 1 << 18))
            assert data, f"the connection ended {left} bytes early"
            parts.append(data)
            left -= len(data)
        whole = b"".join(parts)
        self.buffer = whole[count:]
        return whole[:count]

    def rest(self) -> bytes:
        """Return everything until the server ends the connection."""
        while self._more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def answer(self, method: str = "GET") -> Answer:
        """Read one response, as strictly as it can be: the framing must be exact."""
        head = self.until(b"\r\n\r\n")
        lines = head[:-4].decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 ([1-5][0-9]{2}) ([^\x00-\x1f\x7f]*)", lines[0])
        assert match, lines[0]
        fields = []
        for line in lines[1:]:
            found = re.fullmatch(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([^\x00-\x08\x0a-\x1f\x7f]*)", line)
            assert found, line
            fields.append((found[1], found[2]))
        answer = Answer(int(match[1]), match[2], fields, b"", head)
        body, raw = self._body(answer, method)
        return answer._replace(body=body, raw=head + raw)

    def _body(self, answer: Answer, method: str) -> tuple[bytes, bytes]:
        length, coding = answer.get("Content-Length"), answer.get("Transfer-Encoding")
        if method == "HEAD" or answer.status < 200 or answer.status in {204, 304}:
            return b"", b""
        if coding is not None:
            assert (coding, length) == ("chunked", None)
            return self._chunks()
        if length is None:
            assert answer.get("Connection") == "close"
            rest = self.rest()
            return rest, rest
        body = self.exactly(int(length))
        return body, body

    def _chunks(self) -> tuple[bytes, bytes]:
        body = raw = b""
        while True:
            line = self.until(b"\r\n")
            assert re.fullmatch(rb"[0-9a-f]+\r\n", line), line
            size = int(line, 16)
            data = self.exactly(size + 2)
            assert data.endswith(b"\r\n")
            raw += line + data
            if not size:
                return body, raw
            body += data[:-2]

    def ended(self) -> bool:
        """Wait for the server to end the connection; return whether it said nothing more before."""
        return self.rest() == b""


def get(target: str = "/", *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request without a body in bytes."""
    lines = [f"{method} {target} HTTP/{version}", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def talk(server: Server, data: bytes, *, pieces: int = 1, context: ssl.SSLContext | None = None) -> bytes:
    """Send `data` in `pieces` and return all bytes that come back until the server ends the connection.

    The client says that it sends no more, so the server ends it at the latest when all is answered.
    """
    with Client(server, context) as client:
        client.send(data, pieces)
        if context is None:
            with contextlib.suppress(OSError):
                client.end()
        return client.rest()


def echo(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """A WSGI program that answers with what it saw, so that requests which were taken apart wrongly show."""
    body = environ["wsgi.input"].read()
    seen = {
        "method": environ["REQUEST_METHOD"],
        "target": environ["REQUEST_URI"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "protocol": environ["SERVER_PROTOCOL"],
        "fields": {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT_"))},
        "body": body.decode("latin-1"),
    }
    content = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]
