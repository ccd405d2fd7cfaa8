"""An exchange becomes an answer: calls the gateway, frames what it set, streams what it yields (RFC 9112
sections 6 and 7).

Everything a program can do wrong ends here: before the head is out it becomes a plain 500, after that the
connection is cut, so that a client never takes half an answer for a whole one.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from kirsch.http.exchange import FileBody
from kirsch.http.fields import SharedFields
from kirsch.server.errors import ApplicationError, ClientGone
from kirsch.server.output import FileSlice
from kirsch.server.response import (
    DATE,
    LENGTH,
    SERVER,
    FieldLines,
    Framing,
    Heads,
    Known,
    Special,
    StatusLines,
    error_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kirsch.http.exchange import Exchange
    from kirsch.server.roles import Answering, Lead

__all__ = ["FileContent", "Stream", "attempt", "prepare", "push"]

STATUS_LINES = StatusLines()
FIELD_LINES = FieldLines()
HEADS = Heads()
# All three are memories of pure functions; see their classes for why they may be shared.

_BROKEN = "The server met an unexpected condition and could not answer the request."


class FileContent(FileBody):
    """A file as content, from where it stands to its end. The `wsgi.file_wrapper`.

    Parameters:
        file: anything with `read`.
        block: bytes read at a time where the system cannot send it.
    """

    def __init__(self, file: Any, block: int = 65536) -> None:
        super().__init__(file, block=block)


def _slice_of(content: FileBody) -> FileSlice | None:
    """Return what the system can send of `content`, None when it is no regular file."""
    try:
        descriptor = content.file.fileno()
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return None
        position = content.file.tell() if content.start is None else content.start
    except (AttributeError, OSError, ValueError):
        return None
    left = max(0, facts.st_size - position)
    return FileSlice(descriptor, position, left if content.length < 0 else min(left, content.length))


def prepare(connection: Answering, exchange: Exchange) -> bytes | None:
    """Run the gateway and return the whole answer in bytes, or None when it is sent already.

    Never raises an Exception: one of the program before the head is out gives the bytes of a 500; a later one
    cuts the connection.
    """
    try:
        connection.loop.gateway(exchange)
        content: Any = exchange.content
        kind = type(content)
        if kind is list or kind is tuple:
            content = content[0] if len(content) == 1 else b"".join(content)
        if type(content) is bytes and not exchange.started:
            # The way most answers take: a head that was sent before, and a body of the length it says.
            try:
                known = HEADS.get(_key(exchange))
            except TypeError:
                known = None
            head = exchange.head
            if (
                known is None
                or known.length != len(content)
                or connection.closing
                or not head.minor
                or head.method == "HEAD"
            ):
                return _whole(connection, exchange, content)
            exchange.started = True
            connection.sent = known.length
            return b"".join((known, connection.loop.stamped, b"\r\n", content))
        _stream(connection, exchange)
    except ClientGone:
        connection.closing = True
        _close(connection, exchange.content)
    except Exception:  # noqa: BLE001  see below
        # The boundary of user code: whatever a program raises is logged here and answered.
        return _failed(connection, exchange)
    except BaseException as error:  # noqa: BLE001  see below
        # SystemExit and KeyboardInterrupt in a handler ask for the end of the program, and the client still
        # gets an answer.
        wire = _failed(connection, exchange)
        _end_program(connection.loop, error)
        return wire
    return None


def _key(exchange: Exchange) -> tuple[object, ...]:
    """Return what the head of the answer is remembered under."""
    fields = exchange.fields
    return (exchange.status, fields) if fields.__class__ is SharedFields else (exchange.status, *fields)


def attempt(loop: Lead, task: Callable[[], object], message: str) -> None:
    """Call `task`, code of the program that runs when its answer is out or given up: the log is all that is
    left to tell of an error.
    """
    try:
        task()
    except Exception:  # noqa: BLE001  the boundary of user code
        loop.log(message, traceback=True)
    except BaseException as error:  # noqa: BLE001  the same; no thread of the server ends by it
        loop.log(message, traceback=True)
        _end_program(loop, error)


def _end_program(loop: Lead, error: BaseException) -> None:
    # Others, such as asyncio.CancelledError and the timeouts of gevent, are the program's own affair.
    if isinstance(error, SystemExit | KeyboardInterrupt):
        loop.end(error)


def _failed(connection: Answering, exchange: Exchange) -> bytes | None:
    connection.loop.log(f"The program failed on {exchange.head.method} {exchange.head.path}.", traceback=True)
    connection.closing = True
    _close(connection, exchange.content)
    exchange.content = b""
    if exchange.started:
        # Without framing, the end of the connection is the end of the body: only a reset says that this is no
        # end.
        stream = connection.stream
        connection.abort(reset=stream is not None and not stream.framed)
        return None
    exchange.started = True
    exchange.status = "500 Internal Server Error"
    body = exchange.head.method != "HEAD"
    connection.sent = len(_BROKEN) + 1 if body else 0
    return error_page(500, "Internal Server Error", _BROKEN, connection.loop.stamp(), body=body)


def _close(connection: Answering, content: object) -> None:
    close = getattr(content, "close", None)
    if close is not None:
        attempt(connection.loop, close, "Closing the content of a response raised an error.")


def _whole(connection: Answering, exchange: Exchange, content: bytes) -> bytes:
    """Return head and body of an answer whose body is known, and remember the head."""
    head = exchange.head
    status = STATUS_LINES[exchange.status]
    size = len(content)
    framing = Framing(FIELD_LINES, exchange.fields)
    if status.bodiless or head.method == "HEAD" or framing.has_date or framing.has_server:
        return _whole_unusual(connection, exchange, content, framing)
    lines = framing.lines
    if framing.length < 0:
        lines.append(b"Content-Length: %d\r\n" % size)
    elif framing.length != size:
        raise ApplicationError(
            f"The program declared Content-Length {framing.length} and returned {size} bytes."
        )
    known = Known(b"".join((status, *lines)))
    known.length = size
    if not any(name.lower() == "set-cookie" for name, _ in exchange.fields):
        # A cookie is somebody's, and seldom the same twice.
        HEADS.keep(_key(exchange), known)
    exchange.started = True
    connection.sent = size
    return b"".join((known, connection.loop.stamped, connection.end_of_head(head.minor), content))


def _whole_unusual(connection: Answering, exchange: Exchange, content: bytes, framing: Framing) -> bytes:
    """Return the answer where the status, the method or the fields need more care."""
    status = STATUS_LINES[exchange.status]
    size = len(content)
    if status.bodiless:
        if content:
            raise ApplicationError(
                f"A response with status {status.code} has no body, but the program returned one."
            )
        if status.code == 204:  # noqa: PLR2004  RFC 9110 section 8.6: no Content-Length with 204
            framing.lines = [
                line for line in framing.lines if not (isinstance(line, Special) and line.kind == LENGTH)
            ]
    elif exchange.head.method == "HEAD":
        # The program may have left the body out, or not; its length is only known in the second case.
        if framing.length < 0 and size:
            framing.lines.append(b"Content-Length: %d\r\n" % size)
        content = b""
    elif framing.length < 0:
        framing.lines.append(b"Content-Length: %d\r\n" % size)
    elif framing.length != size:
        raise ApplicationError(
            f"The program declared Content-Length {framing.length} and returned {size} bytes."
        )
    exchange.started = True
    connection.sent = len(content)
    return b"".join((_head(connection, exchange, status, framing), content))


def _head(connection: Answering, exchange: Exchange, status: bytes, framing: Framing) -> bytes:
    stamp = connection.loop.stamped
    if framing.has_date or framing.has_server:
        own = [line for line in framing.lines if isinstance(line, Special) and line.kind != LENGTH]
        kinds = {line.kind for line in own}
        # The program's own Date or Server stands; of the stamp only the other line is taken.
        lines = stamp.splitlines(keepends=True)
        stamp = b"".join(
            line for line in lines if (DATE if line.startswith(b"Date:") else SERVER) not in kinds
        )
    return b"".join((status, *framing.lines, stamp, connection.end_of_head(exchange.head.minor)))


class Stream:
    """A response of unknown or larger size on its way: the framing of its body."""

    __slots__ = ("chunked", "framed", "left", "muted", "status")

    def __init__(self, connection: Answering, exchange: Exchange, framing: Framing, known: int) -> None:
        """Decide how the body ends (RFC 9112 section 6.3); `known` is its length where the server knows it,
        else -1.
        """
        self.status = STATUS_LINES[exchange.status]
        self.muted = self.status.bodiless or exchange.head.method == "HEAD"
        if framing.length < 0 and known >= 0 and not self.status.bodiless:
            framing.length = known
            framing.lines.append(b"Content-Length: %d\r\n" % known)
        self.left = framing.length
        self.chunked = False
        if framing.length < 0 and not self.muted:
            if exchange.head.minor:
                self.chunked = True
                framing.lines.append(b"Transfer-Encoding: chunked\r\n")
            else:
                connection.closing = True
        self.framed = self.muted or self.chunked or self.left >= 0

    def frame(self, data: bytes) -> bytes:
        """Return `data` as it goes to the socket. Raises ApplicationError for bytes past the declared
        length.
        """
        if self.muted:
            return b""
        if self.chunked:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self.left >= 0:
            if len(data) > self.left:
                raise ApplicationError("The program returned more bytes than the Content-Length it declared.")
            self.left -= len(data)
        return data


def _stream(connection: Answering, exchange: Exchange) -> None:
    """Send an answer as its content is produced; closes the content."""
    content = exchange.content
    if isinstance(content, FileBody) and not exchange.started and _send_file(connection, exchange, content):
        _close(connection, content)
        return
    iterator = _checked(content)
    first = next(iterator, b"")
    if exchange.started:
        push(connection, exchange, first)
        stream = _stream_of(connection)
    else:
        stream = _begin(connection, exchange, first)
    if not stream.muted:
        for data in iterator:
            _push_framed(connection, stream, data)
    _end(connection, stream)
    _close(connection, content)


def _send_file(connection: Answering, exchange: Exchange, content: FileBody) -> bool:
    """Send a regular file by the system's own means; return whether `content` is one."""
    piece = _slice_of(content)
    if piece is None:
        return False
    try:
        stream = _begin_file(connection, exchange, piece)
    except BaseException:
        piece.close()
        raise
    if stream.muted or not piece.left:
        piece.close()
    else:
        connection.sent = piece.left
        connection.transmit_file(piece)
    return True


def _begin_file(connection: Answering, exchange: Exchange, piece: FileSlice) -> Stream:
    framing = Framing(FIELD_LINES, exchange.fields)
    if framing.length > piece.left:
        raise ApplicationError(
            f"The program declared Content-Length {framing.length} for a file with {piece.left} bytes left."
        )
    if framing.length >= 0:
        piece.left = framing.length
    stream = Stream(connection, exchange, framing, piece.left)
    connection.stream = stream
    connection.sent = 0
    exchange.started = True
    connection.transmit(_head(connection, exchange, stream.status, framing), wait=True)
    return stream


def _checked(content: Iterable[bytes] | bytes) -> Iterator[bytes]:
    """Yield the pieces of `content` that are not empty; ApplicationError for one that is not bytes."""
    if isinstance(content, bytes):
        content = (content,)
    for data in content:
        if not isinstance(data, bytes):
            raise ApplicationError(f"The content of a response must be bytes, not {type(data).__name__}.")
        if data:
            yield data


def _stream_of(connection: Answering) -> Stream:
    stream: Stream | None = connection.stream
    if stream is None:
        raise RuntimeError("A response has begun without a stream; this is a defect of the server.")
    return stream


def _begin(connection: Answering, exchange: Exchange, first: bytes) -> Stream:
    """Send the head, and the first piece of the body with it; return the stream the rest goes through."""
    framing = Framing(FIELD_LINES, exchange.fields)
    stream = Stream(connection, exchange, framing, -1)
    body = stream.frame(first)
    head = _head(connection, exchange, stream.status, framing)
    connection.stream = stream
    connection.sent = len(first) if body else 0
    exchange.started = True
    connection.transmit(head + body, wait=True)
    return stream


def push(connection: Answering, exchange: Exchange, data: bytes) -> None:
    """Send one piece of the body now, after the head if that is not out yet: the `write()` of PEP 3333."""
    if exchange.started:
        _push_framed(connection, _stream_of(connection), data)
    else:
        _begin(connection, exchange, data)


def _push_framed(connection: Answering, stream: Stream, data: bytes) -> None:
    # What the program declared is sent before it is told that it produced more.
    if 0 <= stream.left < len(data) and not stream.muted:
        connection.transmit(data[: stream.left], wait=True)
    wire = stream.frame(data)
    if wire:
        connection.sent += len(data)
        connection.transmit(wire, wait=True)


def _end(connection: Answering, stream: Stream) -> None:
    """Send what ends the body. Raises ApplicationError when less came than was declared."""
    if stream.muted:
        return
    if stream.chunked:
        connection.transmit(b"0\r\n\r\n", wait=True)
    elif stream.left > 0:
        raise ApplicationError(
            f"The program returned {stream.left} bytes less than the Content-Length it declared."
        )
