"""Response heads: what the gateway set becomes bytes, checked (RFC 9112 section 4 to 6, PEP 3333). No socket.

Field lines repeat from one response to the next, so each (name, value) pair is checked and encoded once and
remembered. A remembered line that the framing must know of is a `Special`, so that the loop over the lines
tells it by its class.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kirsch.server.errors import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "FieldLines",
    "Framing",
    "Heads",
    "Known",
    "Special",
    "Status",
    "StatusLines",
    "error_page",
    "parse_status",
]

# RFC 9110 section 5.1 and 5.5. Controls but HTAB are refused in values: they split responses, or logs that
# repeat them.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")

# RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
_STATUS = re.compile(r"([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\Z")

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""PEP 3333 "Other HTTP Features": fields that belong to the connection, which is the server's."""

_DIGITS = re.compile(r"[0-9]{1,18}\Z")

LENGTH, DATE, SERVER = range(3)


class Special(bytes):
    """A field line the framing must know of.

    Attributes:
        kind: `LENGTH`, `DATE` or `SERVER`.
        value: the number in a Content-Length, else 0.
    """

    kind: int
    value: int


class Status(bytes):
    """A status line in bytes, with what the code means for the body.

    Attributes:
        code: the status code.
        bodiless: whether a response with it never has a body: 1xx, 204, 304 (RFC 9112 section 6.3).
    """

    code: int
    bodiless: bool


def parse_status(status: object) -> Status:
    """Return the status line for `status`, such as `200 OK`; ApplicationError when it is none."""
    if not isinstance(status, str):
        raise ApplicationError(f"The status must be a str such as '200 OK', not {type(status).__name__}.")
    if not status:
        raise ApplicationError("The program returned without a status: it never called start_response.")
    match = _STATUS.match(status)
    if match is None:
        raise ApplicationError(
            f"The status must be a code and a reason such as '200 OK', not {status[:40]!r}."
        )
    if match[1].startswith("1"):
        raise ApplicationError(f"The status {match[1]} is interim; a program's answer begins at 200.")
    line = Status(f"HTTP/1.1 {match[1]} {match[2] or ''}\r\n".encode("latin-1"))
    line.code = int(match[1])
    line.bodiless = line.code in {204, 304}
    return line


class StatusLines(dict[str, Status]):
    """Status lines by status. Bounded; shared by all threads: an entry lost to a race is made again."""

    _MOST = 256

    def __missing__(self, status: str) -> Status:
        line = parse_status(status)
        if len(self) >= self._MOST:
            self.clear()
        self[status] = line
        return line


class FieldLines(dict[tuple[str, str], bytes]):
    """Field lines by (name, value). Bounded; shared by all threads: an entry lost to a race is made again.

    `lines[pair]` returns the line in bytes; ApplicationError when the pair must not stand in a response.
    Cookies are not remembered: each is another, and secret.
    """

    _MOST = 1024
    _LONGEST = 1024
    """Longer values are seldom the same twice."""

    def __missing__(self, pair: tuple[str, str]) -> bytes:
        line = _field_line(pair)
        if len(line) <= self._LONGEST and pair[0].lower() != "set-cookie":
            if len(self) >= self._MOST:
                self.clear()
            self[pair] = line
        return line


def _field_line(pair: object) -> bytes:
    if not isinstance(pair, tuple) or len(pair) != 2:  # noqa: PLR2004  a pair
        raise ApplicationError(f"A response field must be a (name, value) tuple, not {type(pair).__name__}.")
    name, value = pair
    if not isinstance(name, str) or not isinstance(value, str):
        raise ApplicationError(
            "Name and value of a response field must be str, not"
            f" {type(name).__name__} and {type(value).__name__}."
        )
    if _NAME.match(name) is None:
        raise ApplicationError(f"{name[:40]!r} is no field name: it must be a token (RFC 9110 section 5.1).")
    if _VALUE.match(value) is None:
        raise ApplicationError(
            f"The value of the response field {name} has a control character or one outside latin-1. "
            "Encode or remove it (RFC 9110 section 5.5)."
        )
    lower = name.lower()
    if lower in _HOP_BY_HOP:
        raise ApplicationError(
            f"The response field {name} is the server's to set (PEP 3333), not the program's."
        )
    line = f"{name}: {value}\r\n".encode("latin-1")
    if lower == "content-length":
        return _special(line, LENGTH, _length(value))
    if lower == "date":
        return _special(line, DATE)
    if lower == "server":
        return _special(line, SERVER)
    return line


def _length(value: str) -> int:
    if _DIGITS.match(value) is None:
        raise ApplicationError(f"Content-Length must be a number of bytes in digits, not {value[:40]!r}.")
    return int(value)


def _special(line: bytes, kind: int, value: int = 0) -> Special:
    special = Special(line)
    special.kind = kind
    special.value = value
    return special


class Framing:
    """The lines of one response head and what they say about its framing.

    Parameters:
        lines: the memory of field lines.
        fields: the response fields in order.

    Raises ApplicationError for a field that must not stand there.
    """

    __slots__ = ("has_date", "has_server", "length", "lines")

    def __init__(self, lines: FieldLines, fields: Iterable[tuple[str, str]]) -> None:
        self.lines: list[bytes] = []
        self.length = -1
        """The declared Content-Length; -1 without one."""
        self.has_date = False
        self.has_server = False
        for pair in fields:
            try:
                line = lines[pair]
            except TypeError:
                # Not hashable, so no tuple of strings: this says what is wrong with it.
                line = _field_line(pair)
            if isinstance(line, Special):
                self._note(line)
            self.lines.append(line)

    def _note(self, line: Special) -> None:
        if line.kind == LENGTH:
            if self.length >= 0:
                raise ApplicationError("The program set Content-Length twice.")
            self.length = line.value
        elif line.kind == DATE:
            self.has_date = True
        else:
            self.has_server = True


class Known(bytes):
    """A response head that was sent before: status line and fields, without Date, Server and Connection.

    Attributes:
        length: bytes of the body it says.
    """

    length: int


class Heads(dict[tuple[object, ...], Known]):
    """Whole heads by `(status, *fields)`.

    Fields that declare their Content-Length, or repeat with bodies of one length, come again and again; where
    they do not, a head costs one entry. Bounded; shared by all threads: an entry lost to a race is made
    again.
    """

    _MOST = 512
    _LONGEST = 2048

    def keep(self, key: tuple[object, ...], head: Known) -> None:
        """Remember `head`."""
        if len(head) <= self._LONGEST:
            if len(self) >= self._MOST:
                self.clear()
            self[key] = head


def error_page(status: int, reason: str, text: str, date: bytes, *, body: bool = True) -> bytes:
    """Return a whole plain response that closes the connection; `text` is fixed text of the server's own.

    Parameters:
        status: status code.
        reason: reason phrase.
        text: one sentence for the client.
        date: ready field lines (Date, Server).
        body: False in answer to HEAD.
    """
    content = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(content)}\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    ).encode("ascii")
    return b"".join((head, date, b"Connection: close\r\n\r\n", content if body else b""))
