"""Request bodies: bytes in, a complete readable body out. No socket.

Each receiver is fed what the connection reads and says when its body is over and what of the input lies
behind it. A body is handed to the program only when it is whole, so one that is cut short can never look like
a shorter one.

A chunked body is decoded here and not by the parser of heads: the end of the body must be known to the byte,
since what follows is the next request, and extensions and trailers must be counted.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from io import BytesIO
from typing import BinaryIO, NamedTuple, Protocol, cast

from kirsch.server.errors import RequestError

__all__ = ["BodyLimits", "ChunkedBody", "LengthBody", "Receiver", "receiver"]


_NO_ROOM = "The server has no room for the body of the request now. Try again later."


class BodyLimits(NamedTuple):
    """Bounds of a body; the settings of the same names say why."""

    body: int = 104857600
    """Bytes of the body; 0 for no limit."""
    memory: int = 524288
    """Bytes kept in memory; a longer body goes to a temporary file."""
    overhead: int = 16384
    """Bytes of a chunked body that are neither data nor fair framing."""
    fields: int = 100
    """Fields in a trailer section."""
    field: int = 16384
    """Bytes of a trailer field line."""


class Receiver(Protocol):
    """Collects one body."""

    received: int
    """Bytes of data so far."""

    def feed(self, data: bytes) -> bytes | None:
        """Take the next bytes of the connection.

        Return what lies behind the body, or None while it is not over.

        Raises RequestError when the body is malformed or too large, or the disk is full.
        """

    def finish(self) -> BinaryIO:
        """Return the body, positioned at its start; it is the caller's from then on."""

    def close(self) -> None:
        """Give the body up; releases its file."""


class _Spool:
    """A body as it comes: in memory, past a limit in a temporary file without a name."""

    __slots__ = ("_file", "_in_memory", "_limit", "received")

    def __init__(self, limit: int) -> None:
        self._file: BinaryIO = BytesIO()
        self._in_memory = True
        self._limit = limit
        self.received = 0

    def write(self, data: bytes) -> None:
        self.received += len(data)
        try:
            if self._in_memory and self.received > self._limit:
                memory = cast("BytesIO", self._file)
                spill = tempfile.TemporaryFile(prefix="kirsch-body-")  # noqa: SIM115  `close` or its taker does
                self._file = cast("BinaryIO", spill)
                self._in_memory = False
                self._file.write(memory.getvalue())
            self._file.write(data)
        except OSError:
            raise RequestError(503, _NO_ROOM, "no_room") from None

    def rewind(self) -> None:
        try:
            # A file writes what it still buffers here.
            self._file.seek(0)
        except OSError:
            raise RequestError(503, _NO_ROOM, "no_room") from None

    def finish(self) -> BinaryIO:
        return self._file

    def close(self) -> None:
        # A file that cannot write what it buffers says so here once more, and is closed all the same.
        with contextlib.suppress(OSError):
            self._file.close()


class LengthBody:
    """A body of a length known in advance (RFC 9112 section 6.2).

    Parameters:
        length: bytes, more than 0.
        limits: bounds; the length has been checked against them by the head's parser.
    """

    __slots__ = ("_left", "_spool")

    def __init__(self, length: int, limits: BodyLimits) -> None:
        self._left = length
        self._spool = _Spool(limits.memory)

    @property
    def received(self) -> int:
        """Bytes of data so far."""
        return self._spool.received

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; see `Receiver.feed`."""
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            self._spool.write(data)
            return None
        self._left = 0
        self._spool.write(data[:left])
        self._spool.rewind()
        return data[left:]

    def finish(self) -> BinaryIO:
        """Return the body; see `Receiver.finish`."""
        return self._spool.finish()

    def close(self) -> None:
        """Give the body up."""
        self._spool.close()


# RFC 9112 section 7.1:   chunk          = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
#                         chunk-size     = 1*HEXDIG
#                         chunk-ext      = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
# (erratum 7633 for the line end). RFC 9110 section 5.6.3 has a recipient take BWS, bad white space, where the
# grammar has it; nowhere else, so a size followed by spaces alone is refused. Sixteen hexadecimal digits are
# 64 bits; more are refused, leading zeros or not. Linear: alternatives differ in their first byte, and only
# single classes are possessive (before 3.11.5 possessive groups could match wrongly, CPython gh-106052).
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[\t \x21-\x7e\x80-\xff])*"'
_BWS = rb"[\t ]*+"
_EXTENSION = rb"%b;%b%b(?:%b=%b(?:%b|%b))?" % (_BWS, _BWS, _TOKEN, _BWS, _BWS, _TOKEN, _QUOTED)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:%b)*\r\n" % _EXTENSION)

# RFC 9110 section 5.5 and 5.1; the same rules as in a head.
_TRAILER_LINE = re.compile(rb"(%b):[\t \x21-\x7e\x80-\xff]*+\r\n" % _TOKEN)

# RFC 9110 section 6.5.1: no trailer may carry what frames, routes, authenticates or describes the content.
_FORBIDDEN_TRAILERS = frozenset(
    b"transfer-encoding content-length host trailer te connection upgrade expect range cache-control "
    b"max-forwards authorization proxy-authorization cookie set-cookie content-encoding content-type "
    b"content-range".split()
)

_FAIR = 16
"""Bytes of framing every chunk may have for nothing, as Go counts it: a short size, a short extension, two
line ends."""

_SIZE, _AFTER_DATA, _TRAILER = range(3)
"""Which line comes next: a chunk's size, the line end behind its data, or a trailer field."""

# What an unfinished line may look like; a CR can only be its last byte.
_SIZE_START = re.compile(rb"[0-9A-Fa-f]{1,16}+%b(?:;[\t \x21-\x7e\x80-\xff]*+)?\r?\Z" % _BWS)
_TRAILER_START = re.compile(rb"(?:%b(?::[\t \x21-\x7e\x80-\xff]*+)?)?\r?\Z" % _TOKEN)

_MALFORMED = "The chunked body of the request is malformed."


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1). Extensions and trailers are checked, counted and dropped.

    Parameters:
        limits: bounds.
    """

    __slots__ = ("_expected", "_left", "_limits", "_overhead", "_pending", "_spool", "_trailers")

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._spool = _Spool(limits.memory)
        self._pending = b""
        self._expected = _SIZE
        self._left = 0
        self._overhead = 0
        self._trailers = 0

    @property
    def received(self) -> int:
        """Bytes of data so far."""
        return self._spool.received

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; see `Receiver.feed`."""
        data = self._pending + data
        self._pending = b""
        position = 0
        while True:
            if self._left:
                piece = data[position : position + self._left]
                self._spool.write(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left:
                    return None
            end = data.find(b"\n", position) + 1
            if not end:
                # At most one unfinished line is kept, and `_check_start` bounds it.
                self._pending = data[position:]
                self._check_start(self._pending)
                return None
            over = self._line(data[position:end])
            position = end
            if over:
                self._spool.rewind()
                return data[position:]

    def _check_start(self, line: bytes) -> None:
        """Refuse an unfinished line that cannot become a good one, rather than wait for its end."""
        if self._expected == _SIZE:
            good = not line or _SIZE_START.match(line) is not None
        elif self._expected == _AFTER_DATA:
            good = b"\r\n".startswith(line)
        else:
            good = _TRAILER_START.match(line) is not None
        longest = self._limits.overhead if self._expected == _SIZE else self._limits.field
        if not good or len(line) > longest + _FAIR:
            raise RequestError(400, _MALFORMED, "chunk")

    def _line(self, line: bytes) -> bool:
        """Take one whole line; return whether the body is over."""
        if self._expected == _AFTER_DATA:
            if line != b"\r\n":
                raise RequestError(400, _MALFORMED, "chunk")
            self._expected = _SIZE
            return False
        if self._expected == _TRAILER:
            return self._trailer(line)
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise RequestError(400, _MALFORMED, "chunk")
        size = int(match[1], 16)
        if self._limits.body and self._spool.received + size > self._limits.body:
            raise RequestError(
                413, "The body of the request is larger than this server allows.", "body_too_large"
            )
        self._count(len(line) + 2, _FAIR + 2 * size)
        self._left = size
        self._expected = _AFTER_DATA if size else _TRAILER
        return False

    def _trailer(self, line: bytes) -> bool:
        if line == b"\r\n":
            return True
        match = _TRAILER_LINE.fullmatch(line)
        self._trailers += 1
        self._count(len(line), 0)
        if match is None or match[1].lower() in _FORBIDDEN_TRAILERS:
            raise RequestError(400, "The trailer section of the request is malformed or forbidden.", "chunk")
        if self._trailers > self._limits.fields or len(line) > self._limits.field:
            raise RequestError(431, "The trailer section of the request is too large.", "header_too_large")
        return False

    def _count(self, spent: int, fair: int) -> None:
        self._overhead = max(0, self._overhead + spent - fair)
        if self._overhead > self._limits.overhead:
            raise RequestError(400, "The chunked body of the request is mostly framing.", "chunk")

    def finish(self) -> BinaryIO:
        """Return the body; see `Receiver.finish`."""
        return self._spool.finish()

    def close(self) -> None:
        """Give the body up."""
        self._spool.close()


def receiver(length: int, limits: BodyLimits) -> LengthBody | ChunkedBody:
    """Return what collects a body of `length` bytes, or a chunked one for -1."""
    return ChunkedBody(limits) if length < 0 else LengthBody(length, limits)
