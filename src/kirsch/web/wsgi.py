"""An application or a tree as a WSGI program (PEP 3333): environ in, start_response and content out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kirsch.http.exchange import Exchange, RequestHead
from kirsch.http.grammar import decimal
from kirsch.http.status import no_body
from kirsch.http.urls import quote
from kirsch.web.dispatch import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kirsch.http.exchange import Address

    Environ = dict[str, Any]

__all__ = ["Limited", "exchange_from_environ", "respond"]

_LONGEST = 2**62
_BLOCK = 65536


class Limited:
    """The request body of another server: `wsgi.input`, read no further than its declared length.

    PEP 3333 lets `read` past the end block for ever.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length if length >= 0 else _LONGEST

    def _size(self, size: int | None) -> int:
        return self._left if size is None or size < 0 else min(size, self._left)

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes; b"" at the end."""
        chunks = []
        wanted = self._size(size)
        while wanted and (data := self._file.read(min(wanted, _BLOCK))):
            chunks.append(data)
            wanted -= len(data)
            self._left -= len(data)
        return b"".join(chunks)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, at most `size` bytes of it."""
        wanted = self._size(size)
        data = self._file.readline(wanted) if wanted else b""
        self._left -= len(data)
        return data

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Return the lines that are left."""
        del hint
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


class _EnvironLink:
    """The connection as far as an environ tells of it."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self.derived: Any = None

    @property
    def scheme(self) -> str:
        scheme: str = self._environ.get("wsgi.url_scheme", "http")
        return scheme

    @property
    def peer(self) -> Address:
        return self._environ.get("REMOTE_ADDR", ""), _port(self._environ.get("REMOTE_PORT"))

    @property
    def local(self) -> Address:
        return self._environ.get("SERVER_NAME", ""), _port(self._environ.get("SERVER_PORT"))

    def push(self, exchange: Exchange, data: bytes) -> None:
        """Write through the `write` callable of the server, which is deprecated but all there is."""
        del exchange
        self._environ["kirsch.write"](data)

    def tls_environ(self) -> dict[str, str]:
        return {
            name: value for name, value in self._environ.items() if name == "HTTPS" or name.startswith("SSL_")
        }


def _port(text: object) -> int:
    return decimal(text, 65536) or 0 if isinstance(text, str) else 0


def _fields(environ: Environ) -> tuple[tuple[str, str], ...]:
    fields = [
        (name[5:].replace("_", "-").title(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]
    for key, name in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length")):
        if environ.get(key):
            fields.append((name, environ[key]))
    return tuple(fields)


def exchange_from_environ(environ: Environ, script_name: str | None) -> tuple[Exchange, Path]:
    """Return the exchange that an environ stands for, and the path below the application.

    Parameters:
        environ: the environ of PEP 3333.
        script_name: where the application is mounted; None for where the environ says.

    An application mounted by the server that called it finds its path in SCRIPT_NAME; one that was mounted by
    its own tree has it at the start of PATH_INFO.
    """
    above = environ.get("SCRIPT_NAME", "").rstrip("/")
    rest = environ.get("PATH_INFO", "")
    whole = above + rest
    if (
        script_name
        and (whole == script_name or whole.startswith(f"{script_name}/"))
        and len(script_name) > len(above)
    ):
        above, rest = script_name, whole[len(script_name) :]
    # latin-1 stands for the bytes (PEP 3333), which are encoded again as they came.
    above_quoted = quote(above.encode("latin-1", "replace"), "/")
    rest_quoted = quote(rest.encode("latin-1", "replace"), "/")
    query = environ.get("QUERY_STRING", "")
    path = above_quoted + rest_quoted
    length = decimal(environ.get("CONTENT_LENGTH") or "0", _LONGEST) or 0
    if (
        environ.get("wsgi.input_terminated")
        and not environ.get("CONTENT_LENGTH")
        and "HTTP_TRANSFER_ENCODING" in environ
    ):
        length = -1
    head = RequestHead(
        environ["REQUEST_METHOD"],
        f"{path}?{query}" if query else path,
        path,
        query,
        0 if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else 1,
        _fields(environ),
        host=environ.get("HTTP_HOST", ""),
        length=length,
    )
    body = cast("BinaryIO", Limited(environ["wsgi.input"], length)) if length else None
    decoded = above.encode("latin-1", "replace").decode("utf-8", "replace")
    return Exchange(head, body, length, _EnvironLink(environ)), Path(decoded, rest_quoted)


class _Content:
    """The iterable a WSGI server gets. `close` ends the exchange."""

    def __init__(self, pieces: Iterable[bytes], exchange: Exchange) -> None:
        self._pieces = iter(pieces)
        self._exchange: Exchange | None = exchange

    def __iter__(self) -> _Content:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Close the content and let the request end. The second time nothing happens."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        try:
            close = getattr(exchange.content, "close", None)
            if close is not None:
                close()
        finally:
            if exchange.after is not None:
                exchange.after()


def respond(
    answer: Callable[[Exchange, Path], object],
    environ: Environ,
    start_response: Callable[..., Any],
    script_name: str | None,
) -> Iterable[bytes]:
    """Answer an environ: call `answer` with its exchange, then `start_response`; return the content."""
    exchange, path = exchange_from_environ(environ, script_name)
    try:
        answer(exchange, path)
    except BaseException:
        if exchange.after is not None:
            exchange.after()
        raise
    fields = list(exchange.fields)
    content = exchange.content
    pieces: Iterable[bytes] = content if not isinstance(content, bytes) else (content,) if content else ()
    if isinstance(content, bytes):
        code = int(exchange.status[:3])
        if not no_body(code) and not any(name.lower() == "content-length" for name, _ in fields):
            fields = [*fields, ("Content-Length", str(len(content)))]
    if exchange.head.method == "HEAD":
        pieces = ()
    environ["kirsch.write"] = start_response(exchange.status, fields)
    return _Content(pieces, exchange)
