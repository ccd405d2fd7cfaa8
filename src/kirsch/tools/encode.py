"""`tools.encode`: text in the charset the client asks for, or in another one than UTF-8.

Without it text goes out as UTF-8, or in the charset its Content-Type names. RFC 9110 12.5.2 deprecates
Accept-Charset, and browsers do not send it; this is for programs that have other clients.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.accept import AcceptCharset
from kirsch.http.exchange import FileBody
from kirsch.http.media import format_params, parse_content_type
from kirsch.web.errors import HTTPError
from kirsch.web.response import close_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.web.request import Request
    from kirsch.web.response import Response

__all__ = ["encode", "known_charset"]

_CHARSETS: Final = frozenset(
    {
        *("utf-8", "ascii", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le"),
        *(f"iso8859-{number}" for number in (*range(1, 12), *range(13, 17))),
        *(f"cp{number}" for number in (*range(1250, 1259), 437, 850, 866, 874, 932, 949)),
        *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "tis-620"),
        *("big5", "big5hkscs", "gb2312", "gbk", "gb18030", "euc_kr", "euc_jp", "shift_jis", "iso2022_jp"),
    }
)
"""Charsets a client may name, by Python's names. Not whatever Python knows: some of its codecs take quadratic
time (CVE-2022-45061), and some are no charsets."""


def known_charset(name: str) -> str | None:
    """Return Python's name of a charset that a client named; None for one that is not taken from clients."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return found if found in _CHARSETS else None


def encode(
    request: Request,
    /,
    encoding: str | None = None,
    errors: str = "strict",
    text_only: bool = True,
    add_charset: bool = True,
    default_encoding: str = "utf-8",
) -> None:
    """Encode the text a handler returns.

    Parameters:
        encoding: the charset, whatever the client asks for; HTTPError 406 if it refuses that. None to let the
            client choose.
        errors: what to do with characters the charset lacks: `strict` tries the next one, others are those of
            Python, such as `replace`.
        text_only: whether to leave all alone that is not `text/*`.
        add_charset: whether to name the charset in the Content-Type.
        default_encoding: the charset for clients that do not say.

    Raises HTTPError 406 when no charset the client takes has the characters, 500 when the default has not.
    """
    inner = request.handler
    if inner is None:
        return

    def encoded() -> Any:
        body = inner()
        response = request.response
        kind = response.headers.get("Content-Type", "")
        if text_only and not kind.lower().startswith("text/"):
            return body
        return _encoded(request, body, encoding, default_encoding, errors, add_charset=add_charset)

    request.handler = encoded


def _encoded(
    request: Request, body: Any, encoding: str | None, default: str, errors: str, *, add_charset: bool
) -> Any:
    response = request.response
    charsets = _charsets(request, encoding, default)
    if response.stream and not isinstance(body, (str, bytes, type(None), FileBody)):
        # Nothing of it can be looked at before it is sent.
        if add_charset:
            _name(response, charsets[0])
        return _Stream(body, charsets[0], errors)
    if isinstance(body, str):
        pieces: list[Any] = [body]
    elif isinstance(body, (list, tuple)) or hasattr(body, "__next__"):
        try:
            pieces = list(body)
        finally:
            close_body(body)
    else:
        return body
    if not any(isinstance(piece, str) for piece in pieces):
        return pieces
    for charset in charsets:
        try:
            data = [piece.encode(charset, errors) if isinstance(piece, str) else piece for piece in pieces]
        except UnicodeEncodeError:
            continue
        if add_charset:
            _name(response, charset)
        return data
    field = request.headers.get("Accept-Charset")
    if field is None:
        raise HTTPError(
            500, f"The page cannot be written in {charsets[0]}, the charset it is configured to have."
        )
    raise HTTPError(406, f"The page cannot be written in what is accepted; tried were {', '.join(charsets)}.")


def _charsets(request: Request, encoding: str | None, default: str) -> list[str]:
    """Return the charsets to try, the most welcome first; at least one."""
    field = request.headers.get("Accept-Charset")
    if field is None:
        return [encoding or default]
    accepted = AcceptCharset.parse(field)
    if encoding is not None:
        if accepted.present and not accepted.quality(encoding):
            raise HTTPError(406, f"The page is written in {encoding}.")
        return [encoding]
    named = [one.value for one in accepted.members if one.value != "*" and known_charset(one.value)]
    offers = list(dict.fromkeys([default, "utf-8", *named]))
    found = sorted((one for one in offers if accepted.quality(one)), key=lambda one: -accepted.quality(one))
    mentioned = {one.value for one in accepted.members}
    if accepted.members and not mentioned & {"iso-8859-1", "*"}:
        # Who does not refuse it takes it: so said RFC 2616 14.2, which those who send the field go by.
        found.append("iso-8859-1")
    if not found:
        raise HTTPError(406, f"The page can be written in {', '.join(offers)}.")
    return found


def _name(response: Response, charset: str) -> None:
    parsed = parse_content_type(response.headers.get("Content-Type", ""))
    if parsed is not None:
        kind, params = parsed
        response.headers["Content-Type"] = kind + format_params({**params, "charset": charset})


class _Stream:
    """Text encoded as it is produced. No generator, as one that was never begun would not close the body."""

    def __init__(self, body: Any, charset: str, errors: str) -> None:
        self._body = body
        self._pieces = iter(body)
        # One BOM at the start, not one a piece.
        self._encode = codecs.getincrementalencoder(charset)(errors).encode

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        return self._encode(piece) if isinstance(piece, str) else piece

    def close(self) -> None:
        close_body(self._body)
