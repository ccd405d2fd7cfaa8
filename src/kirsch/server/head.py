"""Request heads: bytes in, `RequestHead` or `RequestError` out. No I/O.

Strategy. httptools (llhttp, strict) is the parser. What it lets through and RFC 9110/9112 or prudence refuse
is checked here: line ends, the form of the request line, the version, exactly one valid Host, methods,
transfer codings, limits. Whatever is doubtful is refused with 400 and a closed connection, never guessed at.

Heads repeat: one client sends the same bytes with every request but for the request line, and often that too.
`HeadCache` therefore remembers what whole heads, and the field blocks below their request lines, were parsed
to. It is keyed by the exact bytes, so a hit answers exactly what parsing again would.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import httptools

from kirsch.http.exchange import RequestHead
from kirsch.http.grammar import is_host, split_target
from kirsch.server.errors import RequestError

__all__ = ["MALFORMED_LINE_END", "HeadCache", "HeadLimits", "HeadParser", "skip_empty_lines"]

# RFC 9112 section 3:   request-line = method SP request-target SP HTTP-version
# RFC 9110 section 5.6.2: the method is a token. RFC 3986 allows fewer characters in a target than this, but
# browsers send | { } ^ ` unencoded in queries (WHATWG URL). "#" cannot stand in a target (RFC 9112 section
# 3.2).
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([!-\"$-~]++) HTTP/([0-9])\.([0-9])\r\n")

# RFC 9112 section 2.2: a bare CR is invalid; a bare LF is a line end the recipient may take, which parsers in
# a chain take differently; NUL has no place in a head at all. A CR at the end may yet get its LF.
MALFORMED_LINE_END = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00")
"""A line end, or a NUL, that no head may hold; for heads that are still incomplete."""

_DIGITS = re.compile(r"[0-9]{1,18}\Z")
"""RFC 9110 section 8.6: Content-Length = 1*DIGIT. Eighteen digits are more than any disk holds and fit 64
bits."""

_EMPTY_LINES = 8
"""Bytes of empty lines ignored before a request line; RFC 9112 section 2.2 asks for one empty line at
least."""


class HeadLimits(NamedTuple):
    """Bounds of a head.

    Precedents, request line / one field / whole head / number of fields: nginx 8 KiB / 8 KiB / 32 KiB / none;
    Apache 8190 / 8190 / none / 100; gunicorn 4094 / 8190 / none / 100; Node.js 16 KiB for the whole head. RFC
    9112 section 3 asks for request lines of at least 8000 octets.
    """

    line: int = 8192
    """Bytes of the request line; longer ones get 414."""
    field: int = 16384
    """Bytes of one field line; longer ones get 431."""
    section: int = 65536
    """Bytes of the whole head, request line and empty line included; longer ones get 431."""
    fields: int = 100
    """Number of fields; more get 431."""
    body: int = 104857600
    """Bytes of the body; a larger Content-Length gets 413. 0 for no limit."""
    refused_methods: frozenset[str] = frozenset({"CONNECT", "TRACE"})
    """Methods answered with 501. An origin server is no tunnel, and TRACE echoes credentials to scripts (ASVS
    13.4.4)."""


class _Fields(NamedTuple):
    """What follows from a block of field lines alone; immutable, shared by every head with the same block."""

    fields: tuple[tuple[str, str], ...]
    host: str
    has_host: bool
    length: int
    chunked: bool
    close: bool
    keep: bool
    expect: str
    shared: dict[Any, Any]


class _Collector:
    """The callbacks of httptools: keeps what one head consists of."""

    __slots__ = ("complete", "fields")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


class HeadParser:
    """Parses complete heads. Used by one thread at a time: whoever leads.

    Parameters:
        limits: the bounds of heads.
    """

    def __init__(self, limits: HeadLimits | None = None) -> None:
        self.limits = limits or HeadLimits()
        self._methods: dict[bytes, str] = {}

    def parse(self, data: bytes) -> RequestHead:
        """Return the head that `data` consists of, its empty line included.

        Raises RequestError when it must be refused.
        """
        line = self._request_line(data)
        return self.assemble(line, self.fields(data, line[0]))

    def assemble(self, line: tuple[bytes, bytes, int], fields: _Fields) -> RequestHead:
        """Return the head made of (method, target, minor), as `known_line` gives them, and of its fields.

        Raises RequestError when they do not go together.
        """
        method, target, minor = self._methods[line[0]], line[1].decode("ascii"), line[2]
        if method in self.limits.refused_methods:
            raise RequestError(501, "This server does not implement the method of the request.", "method")
        path, query, host = self._split(method, target)
        if not fields.has_host and minor:
            raise RequestError(400, "An HTTP/1.1 request must name its Host.", "host")
        if fields.chunked and not minor:
            raise RequestError(400, "Transfer-Encoding has no meaning in HTTP/1.0.", "length_and_te")
        head = RequestHead(
            method,
            target,
            path,
            query,
            minor,
            fields.fields,
            host=host or fields.host,
            length=-1 if fields.chunked else fields.length,
            keep_alive=not fields.close and (minor == 1 or fields.keep),
            expect_continue=self._expects(fields, minor),
        )
        head.shared = fields.shared
        return head

    def _expects(self, fields: _Fields, minor: int) -> bool:
        # RFC 9110 section 10.1.1: ignored in HTTP/1.0, any other expectation may be refused with 417.
        if not fields.expect or not minor:
            return False
        if fields.expect != "100-continue":
            raise RequestError(417, "The only expectation this server can meet is 100-continue.", "expect")
        return fields.chunked or fields.length > 0

    def known_line(self, data: bytes) -> tuple[bytes, bytes, int, int] | None:
        """Return method, target, minor version and the index behind a request line that needs no further
        look.

        That is one of HTTP/1.1 with a method seen before and an origin-form target; None for any other.
        """
        match = _REQUEST_LINE.match(data)
        if match is None:
            return None
        method, target, major, minor = match.groups()
        if method not in self._methods or major != b"1" or minor != b"1" or target[:1] != b"/":
            return None
        end = match.end()
        if end > self.limits.line:
            return None
        return method, target, 1, end

    def check_unfinished(self, data: bytes, start: int) -> None:
        """Raise RequestError for a head that is still incomplete but known to be bad or too large.

        What stands before `start` was looked at when it came, so that a head sent byte by byte is not
        searched as often.
        """
        if MALFORMED_LINE_END.search(data, start):
            raise RequestError(400, "The head of the request has a malformed line end.", "header_value")
        line = data.find(b"\r\n")
        if (len(data) if line < 0 else line) > self.limits.line:
            raise RequestError(414, "The request line is longer than this server allows.", "uri_too_long")
        if line >= 0 and len(data) > self.limits.section:
            raise RequestError(
                431, "The head of the request is larger than this server allows.", "header_too_large"
            )

    def _request_line(self, data: bytes) -> tuple[bytes, bytes, int]:
        if data.find(b"\r\n") > self.limits.line:
            raise RequestError(414, "The request line is longer than this server allows.", "uri_too_long")
        match = _REQUEST_LINE.match(data)
        if match is None:
            raise RequestError(400, "The request line is malformed.", "request_line")
        method, target, major, minor = match.groups()
        if major != b"1":
            raise RequestError(505, "This server speaks HTTP/1.1.", "version")
        # RFC 9110 section 2.5: a higher minor version is to be treated as the highest one that is spoken.
        return method, target, 0 if minor == b"0" else 1

    def fields(self, data: bytes, method: bytes) -> _Fields:
        """Return what the field lines of the whole head `data` say about the request.

        Raises RequestError when they, or the method, must be refused.
        """
        limits = self.limits
        if len(data) > limits.section:
            raise RequestError(
                431, "The head of the request is larger than this server allows.", "header_too_large"
            )
        if data.find(b"\r\n\r\n") != len(data) - 4 or _has_malformed_line_end(data):
            raise RequestError(400, "The head of the request has a malformed line end.", "header_value")
        raw = self._tokenize(data)
        self._methods[method] = method.decode("ascii")
        if len(raw) > limits.fields:
            raise RequestError(
                431, "The request has more fields than this server allows.", "header_too_large"
            )
        fields = []
        special: dict[str, list[str]] = {}
        for name, value in raw:
            if len(name) + len(value) > limits.field:
                raise RequestError(
                    431, "A field of the request is longer than this server allows.", "header_too_large"
                )
            text = value.decode("latin-1").strip(" \t")
            fields.append((name.decode("ascii"), text))
            key = name.lower()
            if key in _SPECIAL:
                special.setdefault(key.decode("ascii"), []).append(text)
        return self._interpret(tuple(fields), special)

    @staticmethod
    def _tokenize(data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the field lines of a whole head as llhttp reads them."""
        collector = _Collector()
        try:
            # A parser for every head: one that has seen a head remembers it in ways of its own (after
            # "Connection: close" it takes no more), and a new one costs a fiftieth of the parsing.
            httptools.HttpRequestParser(collector).feed_data(_with_known_version(data))
        except httptools.HttpParserUpgrade:
            # Upgrade is ignored (RFC 9110 section 7.8 allows it); the callbacks have seen the whole head by
            # then.
            pass
        except httptools.HttpParserError as error:
            raise _refusal(error) from None
        if not collector.complete:
            raise RequestError(400, "The head of the request is malformed.", "header_name")
        return collector.fields

    def _interpret(self, fields: tuple[tuple[str, str], ...], special: dict[str, list[str]]) -> _Fields:
        hosts = special.get("host", [])
        if len(hosts) > 1:
            raise RequestError(400, "The request has more than one Host.", "host")
        if hosts and not is_host(hosts[0], empty=False):
            raise RequestError(400, "The Host of the request is malformed.", "host")
        options = [
            option.strip(" \t").lower()
            for line in special.get("connection", [])
            for option in line.split(",")
        ]
        return _Fields(
            fields,
            hosts[0] if hosts else "",
            bool(hosts),
            self._content_length(special),
            self._is_chunked(special),
            "close" in options,
            "keep-alive" in options,
            ", ".join(special.get("expect", [])).lower(),
            {},
        )

    def _content_length(self, special: dict[str, list[str]]) -> int:
        values = special.get("content-length")
        if values is None:
            return 0
        if len(values) > 1 or _DIGITS.match(values[0]) is None:
            raise RequestError(400, "The Content-Length of the request is malformed.", "dup_length")
        length = int(values[0])
        if self.limits.body and length > self.limits.body:
            raise RequestError(
                413, "The body of the request is larger than this server allows.", "body_too_large"
            )
        return length

    @staticmethod
    def _is_chunked(special: dict[str, list[str]]) -> bool:
        lines = special.get("transfer-encoding")
        if lines is None:
            return False
        if "content-length" in special:
            raise RequestError(
                400, "Content-Length and Transfer-Encoding exclude each other.", "length_and_te"
            )
        codings = [coding.strip(" \t").lower() for line in lines for coding in line.split(",")]
        if codings == ["chunked"]:
            return True
        # RFC 9112 section 6.1 and 6.3: another coding under a final chunked is one this server does not know;
        # without the final one, or with two of it, nobody knows where the body ends.
        if codings[-1] == "chunked" and codings.count("chunked") == 1 and all(codings):
            raise RequestError(501, "The only transfer coding this server knows is chunked.", "encoding")
        raise RequestError(400, "The Transfer-Encoding of the request is malformed.", "length_and_te")

    @staticmethod
    def _split(method: str, target: str) -> tuple[str, str, str]:
        """Return path, query, and the authority of an absolute-form target (RFC 9112 section 3.2)."""
        if target.startswith("/") and method != "CONNECT":
            path, _, query = target.partition("?")
            return path, query, ""
        parts = split_target(method, target)
        if parts is None:
            raise RequestError(400, "The request target is malformed.", "request_line")
        return parts.path, parts.query, parts.authority


_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})


def skip_empty_lines(data: bytes) -> bytes:
    """Return `data` without the empty lines before a request line; as it is when there is nothing else.

    Raises RequestError for more of them than `_EMPTY_LINES` allows, and for line ends that are none.
    """
    stripped = data.lstrip(b"\r\n")
    skipped = data[: len(data) - len(stripped)]
    whole = b"\r\n" * (len(skipped) // 2) + b"\r" * (len(skipped) % 2)
    if len(skipped) > _EMPTY_LINES or skipped != whole or (stripped and len(skipped) % 2):
        raise RequestError(400, "The request line is malformed.", "request_line")
    return stripped or skipped


def _has_malformed_line_end(data: bytes) -> bool:
    # What MALFORMED_LINE_END finds in a head that is whole, by counting: ten times as fast.
    pairs = data.count(b"\r\n")
    return data.count(b"\n") != pairs or data.count(b"\r") != pairs or b"\0" in data


def _with_known_version(data: bytes) -> bytes:
    """Return a head with its version as llhttp knows it: it knows none between 1.1 and 2.0."""
    end = data.find(b"\r\n")
    if data[end - 3 : end] in {b"1.1", b"1.0"}:
        return data
    return data[: end - 3] + b"1.1" + data[end:]


def _refusal(error: Exception) -> RequestError:
    """Turn llhttp's error, which names a rule and none of the input, into an answer."""
    message = str(error).lower()
    if isinstance(error, httptools.HttpParserInvalidMethodError) or "invalid method" in message:
        # The second are methods of RTSP, which llhttp knows too.
        return RequestError(501, "This server does not implement the method of the request.", "method")
    if "transfer-encoding" in message:
        return RequestError(400, "The Transfer-Encoding of the request is malformed.", "length_and_te")
    if "content-length" in message:
        return RequestError(400, "The Content-Length of the request is malformed or repeated.", "dup_length")
    return RequestError(400, "The head of the request is malformed.", "header_value")


class HeadCache:
    """Parsed heads by their bytes, and parsed field blocks by theirs.

    Bounded: two generations of `size` entries of each kind, so what is asked for again survives a flood of
    others. Bounded in time as well: `turn` ages both, the server calls it every ten seconds, so that a head
    with credentials in it does not outlive its client for long. Owned by the thread that leads; nobody else
    touches it.

    Parameters:
        parser: parses what is not remembered.
        size: entries in a generation.
        largest: heads of more bytes than this are not remembered.
    """

    def __init__(self, parser: HeadParser, size: int = 256, largest: int = 4096) -> None:
        self.parser = parser
        self.heads: dict[bytes, RequestHead] = {}
        """The young generation, for the hot path to look into before it calls `get`. Only heads without a
        body stand in it."""
        self._old_heads: dict[bytes, RequestHead] = {}
        self._blocks: dict[bytes, _Fields] = {}
        self._old_blocks: dict[bytes, _Fields] = {}
        self._size = size
        self._largest = largest

    def get(self, data: bytes) -> RequestHead:
        """Return the head that `data` consists of.

        Raises RequestError when it must be refused.
        """
        head = self._old_heads.get(data)
        if head is None:
            head = self._from_block(data)
        if head.length == 0 and len(data) <= self._largest:
            if len(self.heads) >= self._size:
                self._old_heads = self.heads
                self.heads = {}
            self.heads[data] = head
        return head

    def _from_block(self, data: bytes) -> RequestHead:
        line = self.parser.known_line(data)
        if line is None or len(data) > self.parser.limits.section:
            return self.parser.parse(data)
        block = data[line[3] :]
        fields = self._blocks.get(block)
        if fields is None:
            fields = self._old_blocks.get(block)
            if fields is None:
                fields = self.parser.fields(data, line[0])
            if len(block) <= self._largest:
                if len(self._blocks) >= self._size:
                    self._old_blocks = self._blocks
                    self._blocks = {}
                self._blocks[block] = fields
        return self.parser.assemble(line[:3], fields)

    @property
    def remembers(self) -> bool:
        """Whether there is anything that `turn` could age."""
        return bool(self.heads or self._old_heads or self._blocks or self._old_blocks)

    def turn(self) -> None:
        """Age: forget what was not asked for since the last turn but one."""
        self._old_heads, self.heads = self.heads, {}
        self._old_blocks, self._blocks = self._blocks, {}
