"""Shared by the tests of the wire: WSGI programs, good and bad, and what a server says to them."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.server.wire import Client, Live, echo, get, talk

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    Program = Callable[[dict[str, Any], Callable[..., Callable[[bytes], None]]], Iterable[bytes]]

OK = b"HTTP/1.1 200 OK\r\n"
TAIL = b"Date: -\r\nServer: Kirsch\r\n"
CLOSE = b"Connection: close\r\n\r\n"
BROKEN = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 73\r\nX-Content-Type-Options: nosniff\r\n"
    b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    + TAIL
    + CLOSE
    + b"The server met an"
    b" unexpected condition and could not answer the request.\n"
)


def undated(raw: bytes) -> bytes:
    """Return bytes with the dates in them struck out, after a look at their form."""
    date = rb"Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n"
    return re.sub(date, b"Date: -\r\n", raw)


class Stage:
    """A server whose program each test sets."""

    def __init__(self) -> None:
        self.program: Program = echo
        self.live: Live

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self.program(environ, start_response)

    def says(self, program: Program, request: bytes | None = None) -> bytes:
        """Return all that comes back to one request and the close behind it."""
        self.program = program
        return undated(talk(self.live, request or get("/")))


def answers(*content: bytes, status: str = "200 OK", fields: tuple[tuple[str, str], ...] = ()) -> Program:
    """Return a program that answers with a list."""

    def program(_: object, start_response: Any) -> list[bytes]:
        start_response(status, list(fields))
        return list(content)

    return program


def yields(*content: bytes | BaseException, fields: tuple[tuple[str, str], ...] = ()) -> Program:
    """Return a program that answers with a generator, which raises the exceptions in `content`."""

    def program(_: object, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(fields))
        for piece in content:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    return program


class Content:
    """An iterable that says how often it was closed."""

    def __init__(self, *pieces: bytes, error: type[BaseException] | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = threading.Semaphore(0)
        self.closes = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closes += 1
        self.closed.release()

    def check(self) -> None:
        """Require one close."""
        assert self.closed.acquire(timeout=10)
        assert self.closes == 1


def at_once(live: Live, seconds: float = 1.0, context: ssl.SSLContext | None = None) -> None:
    """Require that a request of another client is answered at once."""
    begin = time.monotonic()
    with Client(live, context) as client:
        client.send(get("/quick"))
        assert client.answer().body == b"quick"
    assert time.monotonic() - begin < seconds
