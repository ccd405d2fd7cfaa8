"""What passes between the server and a gateway: one request head, its body, and the answer; no I/O.

The server parses a head once into a `RequestHead` and may hand the same object to every request that repeats
the same bytes (RFC 7541 rests on the same fact: on one connection most heads repeat). A gateway may therefore
keep what it derives from a head beside it, in `RequestHead.derived`, but must never change the head.

An `Exchange` is made per request. The gateway is called with it, fills in `status`, `fields` and `content`,
and returns; the server frames and writes the answer, then calls `content.close()` if there is one and `after`
if it is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kirsch.http.fields import SharedFields
    from kirsch.http.pace import Pace

__all__ = ["Address", "Exchange", "FileBody", "Gateway", "Link", "RequestHead"]

Address = tuple[str, int]
"""Host text and port of one end of a connection; `("", 0)` for an end without a name, as on Unix sockets."""


class RequestHead:
    """One parsed and validated request head (RFC 9112 sections 3 and 5). Immutable by agreement; shared
    between threads.

    Parameters:
        method: the method as received, a token, case kept.
        target: the request target exactly as received, visible ASCII.
        path: the path part of the target, still percent-encoded; `*` for the asterisk-form; empty for
        CONNECT.
        query: the part after the first `?`, without it, still percent-encoded.
        minor: the minor HTTP/1 version, 0 or 1.
        fields: (name, value) pairs in order, names in the case received, values without surrounding white
        space,
            bytes decoded as latin-1.
        host: the authority the request is for: of an absolute-form target, else of the Host field; "" if
        neither
            (HTTP/1.0 only).
        length: bytes of the body by Content-Length, 0 without one; -1 when the body is chunked.
        keep_alive: whether the connection may serve another request after this one.
        expect_continue: whether the client waits for 100 (Continue) before it sends the body (RFC 9110
        10.1.1).
    """

    __slots__ = (
        "derived",
        "expect_continue",
        "fields",
        "host",
        "keep_alive",
        "length",
        "method",
        "minor",
        "pace",
        "path",
        "query",
        "shared",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        minor: int,
        fields: tuple[tuple[str, str], ...],
        *,
        host: str = "",
        length: int = 0,
        keep_alive: bool = True,
        expect_continue: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.minor = minor
        self.fields = fields
        self.host = host
        self.length = length
        self.keep_alive = keep_alive
        self.expect_continue = expect_continue
        # Gateways store what they derive from this head under a key of their own: themselves, best. Two
        # threads may derive at
        # once: the values must be equal and never changed afterwards, so that either store is right.
        self.derived: dict[Any, Any] = {}
        # What `Gateway.pace` says of this head, for as long as the gateway lets it stand: one look-up less
        # per request.
        self.pace: Pace | None = None
        # The same for what follows from the fields alone: heads that differ in nothing but the request line
        # share it.
        self.shared: dict[Any, Any] = {}

    def get(self, name: str, default: str = "") -> str:
        """Return the value of the first field called `name` (any case), or `default`."""
        wanted = name.lower()
        for field, value in self.fields:
            if field.lower() == wanted:
                return value
        return default

    def __repr__(self) -> str:
        # Field values stay out: they carry cookies and credentials, and reprs end in logs.
        return f"<RequestHead {self.method} {self.path} HTTP/1.{self.minor}, {len(self.fields)} fields>"


class Link(Protocol):
    """The connection as a gateway may see it: names and capabilities, no socket."""

    derived: Any
    """What a gateway derives from the connection; None at first. Written by the thread that runs the
    gateway."""

    @property
    def scheme(self) -> str:
        """`https` over TLS of this server, else `http`."""

    @property
    def peer(self) -> Address:
        """The client's address; `("", 0)` on a Unix socket."""

    @property
    def local(self) -> Address:
        """The address the client connected to; `(path, 0)` on a Unix socket."""

    def push(self, exchange: Exchange, data: bytes) -> None:
        """Write `data` of `exchange` now, after the head if that is not out yet; may block for a slow reader.

        For the `write()` callable of PEP 3333 and whatever must reach the client before the gateway returns.
        Raises ConnectionError when the client is gone.
        """

    def tls_environ(self) -> dict[str, str]:
        """Return the TLS facts of the connection as environ keys (`HTTPS`, `SSL_PROTOCOL`, ...); empty
        without TLS.
        """


class Exchange:
    """One request and the answer to it. Owned by the thread that runs the gateway; the server reads it after
    that.

    Parameters:
        head: the request head.
        body: the whole request body, readable from its start; None when it is empty. It is complete: the
        server never
            starts a gateway on a body cut short.
        length: bytes in `body`.
        link: the connection.
    """

    __slots__ = (
        "after",
        "body",
        "content",
        "fields",
        "finish",
        "head",
        "length",
        "link",
        "pace",
        "started",
        "status",
    )

    def __init__(self, head: RequestHead, body: BinaryIO | None, length: int, link: Link) -> None:
        self.head = head
        self.body = body
        self.length = length
        self.link = link
        self.status: str = ""
        """Status code and reason phrase, such as `200 OK`."""
        self.fields: list[tuple[str, str]] | SharedFields = []
        """Response fields in order; the server adds Date, Server, framing and Connection."""
        self.finish: Callable[[Exchange], object] | None = None
        """Called by the gateway that answers, each time it has set `status` and `fields`: what wrappers of
        gateways do to every answer. It may change both. None where nobody wraps."""
        self.content: bytes | Iterable[bytes] = b""
        """The body: all of it as bytes, a `FileBody`, or another iterable the server walks; closed by the
        server if it has `close`."""
        self.started: bool = False
        """Whether the response head is on its way to the client; set by the server. It cannot be taken back
        then."""
        self.after: Callable[[], None] | None = None
        """Called once when the answer is over, sent or failed, by the thread that ran the gateway."""
        self.pace: Pace | None = None
        """The record of how long requests of this kind take, which the server keeps up to date."""


class FileBody:
    """Part of an open file as content: a server that can lets the system send it, every other one iterates.

    Parameters:
        file: an open binary file; `close` closes it.
        start: position of the first byte; None for where the file stands.
        length: bytes of the content; -1 for all up to the end of the file.
        block: bytes read at a time while it is iterated.

    A server that sends `file` by itself takes its descriptor from `file.fileno()`; there may be none.
    """

    def __init__(self, file: Any, start: int | None = None, length: int = -1, block: int = 65536) -> None:
        self.file = file
        self.start = start
        self.length = length
        self.block = block

    def __iter__(self) -> Iterator[bytes]:
        if self.start is not None:
            self.file.seek(self.start)
        left = self.length
        while left and (data := self.file.read(self.block if left < 0 else min(left, self.block))):
            if left > 0:
                left -= len(data)
            yield data

    def close(self) -> None:
        """Close the file, if it can be closed."""
        close = getattr(self.file, "close", None)
        if close is not None:
            close()


class Gateway(Protocol):
    """What the server serves: turns an exchange into an answer. Called from many threads at once."""

    @property
    def exchange_type(self) -> type[Exchange]:
        """The class the server makes for each request: `Exchange`, or a subclass with the same
        constructor.
        """

    def __call__(self, exchange: Any) -> None:
        """Answer `exchange`, one of `exchange_type`: set `status`, `fields` and `content`. An exception
        becomes a plain 500.
        """

    def pace(self, head: RequestHead) -> Pace:
        """Return the record of the kind of request `head` is. Runs on the leader: no user code, no I/O, no
        blocking.
        """
