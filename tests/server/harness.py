"""What the tests of the server share: a real server on a port of the system's choice, and raw sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from kirsch.config import ServerSettings
from kirsch.server import Server, WSGIGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
WAIT = 10.0
"""Seconds after which a test that waits for something has failed."""


class Log:
    """Collects what a server logs; `seen(text)` waits for nothing, it tells."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(self, message: str, *, traceback: bool = False) -> None:
        self.messages.append(message)

    def seen(self, text: str) -> bool:
        """Tell whether a message holds `text`."""
        return any(text in message for message in self.messages)


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with a greeting of five bytes."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


@contextlib.contextmanager
def serving(application: Any = hello, *, log: Log | None = None, **settings: Any) -> Iterator[Server]:
    """Run a server of `application` until the block ends."""
    settings.setdefault("bind", ("127.0.0.1:0",))
    settings.setdefault("threads", 4)
    gateway = application if hasattr(application, "exchange_type") else WSGIGateway(application)
    server = Server(gateway, ServerSettings(**settings), log=log or Log())
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Client:
    """A raw connection to a server."""

    def __init__(self, server: Server, **options: int) -> None:
        self.sock = socket.socket()
        for name, value in options.items():
            self.sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        self.sock.settimeout(WAIT)
        self.sock.connect(server.addresses[0])
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)

    def response(self, *, head_only: bool = False) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Read one response framed by Content-Length or chunks: status line, fields in lower case, body."""
        head = self._until(b"\r\n\r\n")
        line, *rest = head.rstrip(b"\r\n").split(b"\r\n")
        pairs = (each.partition(b":") for each in rest)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        if head_only or line[9:12] in {b"204", b"304"}:
            return line, fields, b""
        if fields.get(b"transfer-encoding") == b"chunked":
            return line, fields, self._chunks()
        if b"content-length" in fields:
            return line, fields, self._exactly(int(fields[b"content-length"]))
        return line, fields, self.rest()

    def get(self, path: bytes = b"/", *extra: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Send a GET and read its response."""
        self.send(b"\r\n".join((b"GET %b HTTP/1.1" % path, b"Host: test", *extra, b"", b"")))
        return self.response()

    def rest(self) -> bytes:
        """Read until the server closes."""
        data, self._unread = self._unread, b""
        while piece := self.sock.recv(65536):
            data += piece
        return data

    def closed(self) -> bool:
        """Wait for the server to close and tell whether it did without another byte."""
        return self.rest() == b""

    def _more(self) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError(f"The server closed after {self._unread!r}.")
        self._unread += piece

    def _until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._more()
        data, found, self._unread = self._unread.partition(end)
        return data + found

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._more()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return body


def trust(server: Server, path: bytes = b"/") -> None:
    """Have the server learn that `path` is short, so that the leader runs it."""
    assert server.loop is not None
    with Client(server) as client:
        for _ in range(100):
            client.get(path)
            head = next(iter(server.loop.heads.heads.values()))
            if server.gateway.pace(head).short:
                return
    raise AssertionError(f"The server does not trust {path!r} after a hundred requests.")


def thread_names() -> set[str]:
    """Return the names of the threads that live."""
    return {thread.name for thread in threading.enumerate()}
