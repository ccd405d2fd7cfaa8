"""The response: what a handler sets, and how it becomes status, fields and content of an exchange."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.cookies import SetCookie
from kirsch.http.exchange import FileBody
from kirsch.http.headers import Headers
from kirsch.http.status import no_content, valid_status
from kirsch.web.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DEFAULT_FIELDS", "Response", "encode_body"]

HTML: Final = "text/html; charset=utf-8"

DEFAULT_FIELDS: Final = (("Content-Type", HTML),)
"""Fields of every response until a program says otherwise. The server adds Date, Server and the framing."""

_BLOCK: Final = 65536
"""Bytes read at a time from a file that is a body."""

_STATUSES: Final[dict[int, str]] = {}
"""Status lines by code, for the codes programs use; a memory of `valid_status`, at most 500 entries."""


class Response:
    """The response to one request. Owned by the thread that answers it.

    Parameters:
        fields: fields it begins with, checked before; not changed.
    """

    status: int | str | None = None
    """`404`, `"404"` or `"404 Not Found"`; None is 200. Checked when the response is finalized."""
    body: Any = b""
    """What a handler returned: str, bytes, None, an iterable of str and bytes, an object with `read`, or a
    `FileBody`, which the server sends by itself where it can."""
    stream: bool = False
    """Whether the body goes out as it is produced. Otherwise it is collected first, so that an error in it
    can
    still become an error page."""

    def __init__(self, fields: tuple[tuple[str, str], ...] | list[tuple[str, str]] = DEFAULT_FIELDS) -> None:
        self.headers = Headers.trusted(fields)
        """The fields. Setting one checks it: HeaderError for what could split the message."""
        self.header_list: list[tuple[str, str]] = []
        """The fields as they were sent; filled by `finalize`."""
        self.output_status = ""
        """The status as it was sent; filled by `finalize`."""

    @lazy
    def time(self) -> float:
        """When the response was begun, in seconds since 1970; the time of the first look."""
        return time.time()

    @lazy
    def cookies(self) -> dict[str, SetCookie]:
        """Cookies to be set, by name."""
        return {}

    def set_cookie(self, name: str, value: str = "", **attributes: Any) -> SetCookie:
        """Set a cookie and return it; `attributes` are those of `SetCookie`, by default HttpOnly and Lax.

        Raises CookieError for what browsers would drop or what could split the header.
        """
        cookie = SetCookie(name, value, **attributes)
        self.cookies[name] = cookie
        return cookie

    def finalize(self) -> tuple[str, list[tuple[str, str]], bytes | FileBody | Iterator[bytes]]:
        """Return status, fields and content as they go to the server. May be called again after changes.

        A status that allows no content (RFC 9110 15) drops body, Content-Type and Content-Length. Text is
        encoded in the charset of the Content-Type, utf-8 if it names none, and a text type then names it.

        Raises ValueError for a status that is none, TypeError for a body that is none, UnicodeEncodeError for
        text that the charset cannot express.
        """
        code, status = _status(self.status)
        headers = self.headers
        if no_content(code):
            close_body(self.body)
            self.body = b""
            content: bytes | FileBody | Iterator[bytes] = b""
            headers.remove("Content-Length")
            headers.remove("Content-Type")
        else:
            charset = self.charset()
            if isinstance(self.body, FileBody):
                content = self.body
                if content.length >= 0:
                    headers["Content-Length"] = content.length
            elif self.stream and not isinstance(self.body, (bytes, str, type(None))):
                content = encode_body(self.body, charset)
            else:
                content = self.collapse_body(charset)
                if "Content-Length" in headers:
                    headers["Content-Length"] = len(content)
        self.header_list = headers.items()
        cookies = self.__dict__.get("cookies")
        if cookies:
            # Checked by SetCookie, so added past the check of `headers`.
            self.header_list += [("Set-Cookie", str(cookie)) for cookie in cookies.values()]
        self.output_status = status
        return status, self.header_list, content

    def collapse_body(self, charset: str | None = None) -> bytes:
        """Make the body one piece of bytes, and return it. An iterable is used up and closed.

        Parameters:
            charset: of text in it; None for that of the Content-Type.
        """
        body = self.body
        if isinstance(body, bytes):
            return body
        if charset is None:
            charset = self.charset()
        if isinstance(body, str):
            body = body.encode(charset)
        elif body is None:
            body = b""
        else:
            body = b"".join(encode_body(body, charset))
        self.body = body
        return body

    def charset(self) -> str:
        """Return the charset of the body, and name it in the Content-Type of a text without one."""
        kind = self.headers.get("Content-Type", "")
        if kind == HTML:
            return "utf-8"
        _, found, rest = kind.lower().partition("charset=")
        if found:
            return rest.partition(";")[0].strip(' "') or "utf-8"
        if kind[:5].lower() == "text/":
            self.headers["Content-Type"] = f"{kind}; charset=utf-8"
        return "utf-8"


def _status(status: int | str | None) -> tuple[int, str]:
    if status is None:
        return 200, "200 OK"
    if isinstance(status, int) and status in _STATUSES:
        return status, _STATUSES[status]
    code, phrase = valid_status(status)
    line = f"{code} {phrase}"
    if isinstance(status, int):
        _STATUSES[code] = line
    return code, line


def encode_body(body: object, charset: str = "utf-8") -> Iterator[bytes]:
    """Return a body's pieces as bytes, one by one; what it holds is closed with the iterator, read or not.

    Raises TypeError for what is no body.
    """
    if isinstance(body, (str, bytes)):
        return _Pieces(iter((body,)), charset, None)
    read = getattr(body, "read", None)
    if read is not None:
        return _Pieces(_blocks(read), charset, body)
    if isinstance(body, dict):
        raise TypeError(
            "a handler returned a dict; return text or bytes, or switch on tools.json_out to send it as JSON"
        )
    try:
        iterator = iter(body)  # type: ignore[call-overload]  # whether it can be iterated is what is tried
    except TypeError:
        raise TypeError(
            f"a handler returned {type(body).__name__}; return str, bytes, None, an iterable of them, "
            "or an open file"
        ) from None
    return _Pieces(iterator, charset, body)


def _blocks(read: Callable[[int], Any]) -> Iterator[Any]:
    # The end is "" or b"", by the kind of file.
    while data := read(_BLOCK):
        yield data


class _Pieces:
    """Iterates over a body as bytes. `close` closes the body whether iteration began or not.

    A generator would not do: one that was never begun does not run its `finally`.
    """

    __slots__ = ("_body", "_charset", "_iterator")

    def __init__(self, iterator: Iterator[Any], charset: str, body: object) -> None:
        self._iterator = iterator
        self._charset = charset
        self._body = body

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._iterator)
        except StopIteration:
            self.close()
            raise
        if isinstance(piece, bytes):
            return piece
        if isinstance(piece, str):
            return piece.encode(self._charset)
        raise TypeError(f"a body yielded {type(piece).__name__}; it may yield str and bytes")

    def close(self) -> None:
        body, self._body = self._body, None
        close_body(body)


def close_body(body: object) -> None:
    """Call `close` of `body` if it has one."""
    close: Callable[[], object] | None = getattr(body, "close", None)
    if close is not None:
        close()
