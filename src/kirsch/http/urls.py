"""Percent-encoding, paths and query strings.

Decoding happens once, here, and every function says what it leaves encoded.

Used by `web/` (dispatch, parameters, redirects, links), the WSGI gateway, `media`, and the static tools.

Text from the wire is latin-1 (visible ASCII, for targets). What the percent signs stand for is read as UTF-8;
where that fails the whole text is read as latin-1 instead, which never fails, has no surrogates that would
break a template or a log later, and is what CherryPy does with paths. Functions with `strict` raise
UnicodeDecodeError instead, for a 400 or 404.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "MOST_FIELDS",
    "TooManyFieldsError",
    "decode_path",
    "decode_segments",
    "escape_leading_slashes",
    "format_query",
    "parse_query",
    "percent_decode",
    "quote",
    "quote_location",
    "remove_dot_segments",
]

MOST_FIELDS: Final = 1000
"""Fields of one query or form. Django and PHP read 1000, Werkzeug's multipart parser too."""

# RFC 3986 2.1      pct-encoded = "%" HEXDIG HEXDIG
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_HEX: Final = "0123456789abcdefABCDEF"
_OCTETS: Final = {(a + b).encode(): bytes.fromhex(a + b) for a in _HEX for b in _HEX}

# RFC 3986 2.3      unreserved  = ALPHA / DIGIT / "-" / "." / "_" / "~"
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_QUOTED: Final = tuple(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in range(256))
# RFC 3986 2.2      gen-delims  = ":" / "/" / "?" / "#" / "[" / "]" / "@"
#                   sub-delims  = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="
# What is none of these, nor unreserved, nor the `%` of a valid escape, must be encoded wherever it stands in
# a URL.
_FOREIGN: Final = re.compile(rb"[^0-9A-Za-z._~:/?#\[\]@!$&'()*+,;=%-]|%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LEADING_SLASHES: Final = re.compile(r"[/\\]{2}")

_DOTS: Final = {".": 0, "%2e": 0, "..": 1, ".%2e": 1, "%2e.": 1, "%2e%2e": 1}
"""Dot segments, escapes in lower case, and how many segments before them they take away."""


class TooManyFieldsError(ValueError):
    """A query or form with more fields than allowed. The client is at fault: 400, or 413 for a body."""

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(
            f"{count} fields were sent and at most {limit} are read; send fewer or raise the limit"
        )
        self.count = count
        """Fields sent, empty ones counted."""
        self.limit = limit
        """Fields allowed."""


def percent_decode(text: str | bytes) -> bytes:
    """Return the bytes that percent-encoded `text` stands for.

    A `%` without two hexadecimal digits stays as it is. Text is taken as UTF-8 where it is not ASCII already.
    What PEP 3333 wants is `percent_decode(path).decode("latin-1")`.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _ESCAPE.sub(lambda match: _OCTETS[match[1]], data) if b"%" in data else data


def _text(data: bytes, encoding: str, *, strict: bool) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if strict:
            raise
        return data.decode("latin-1")


def decode_path(path: str, *, strict: bool = False) -> str:
    """Return a path decoded, once; an encoded slash becomes a slash.

    To be used where the path is one text (static files, logs, links). Where segments decide,
    `decode_segments` keeps an encoded slash inside its segment.
    """
    if "%" not in path and path.isascii():
        return path
    return _text(percent_decode(path), "utf-8", strict=strict)


def decode_segments(path: str, *, strict: bool = False) -> list[str]:
    """Split a path at its slashes, then decode each segment, so that `%2F` stays part of its segment.

    One leading slash is left out; empty segments are kept: `/a//b/` gives `["a", "", "b", ""]`, `/` gives
    `[""]`. Segments that are not UTF-8 turn the whole path to latin-1, as `decode_path` does.
    """
    segments = path.removeprefix("/").split("/")
    if "%" not in path and path.isascii():
        return segments
    decoded = [percent_decode(segment) for segment in segments]
    try:
        return [segment.decode("utf-8") for segment in decoded]
    except UnicodeDecodeError:
        if strict:
            raise
        return [segment.decode("latin-1") for segment in decoded]


def parse_query(
    query: str | bytes,
    *,
    limit: int = MOST_FIELDS,
    encoding: str = "utf-8",
    strict: bool = False,
    semicolons: bool = False,
) -> list[tuple[str, str]]:
    """Read a query string, or a form of the type application/x-www-form-urlencoded, into pairs in order.

    Parameters:
        query: the text without `?`, or the bytes of a form.
        limit: fields allowed; they are counted before any is read.
        encoding: charset of the decoded bytes, any Python knows.
        strict: raise UnicodeDecodeError for what is not in that charset; else the field is read as latin-1.
        semicolons: also split at `;`, as CherryPy did. Off, since caches that do not can be poisoned
            (CVE-2021-23336).

    Names repeat as they came, blank values are kept, a field without `=` has an empty value, `+` is a space,
    and empty fields (`&&`) are left out. Raises TooManyFieldsError; LookupError for an unknown charset.
    """
    data = query.encode("utf-8", "surrogatepass") if isinstance(query, str) else query
    if semicolons:
        data = data.replace(b";", b"&")
    if not data:
        return []
    count = data.count(b"&") + 1
    if count > limit:
        raise TooManyFieldsError(count, limit)
    pairs = []
    for field in data.replace(b"+", b" ").split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            pairs.append(
                (
                    _text(percent_decode(name), encoding, strict=strict),
                    _text(percent_decode(value), encoding, strict=strict),
                )
            )
    return pairs


def format_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return pairs as a query string in UTF-8, spaces as `+`; `parse_query` gives them back.

    Raises UnicodeEncodeError for lone surrogates.
    """
    return "&".join(
        [
            f"{quote(name, ' ').replace(' ', '+')}={quote(value, ' ').replace(' ', '+')}"
            for name, value in pairs
        ]
    )


def quote(text: str | bytes, safe: str = "") -> str:
    """Percent-encode `text`, as UTF-8, but for letters, digits, `-._~` and the ASCII characters in `safe`.

    For a path use `safe="/"`. Raises UnicodeEncodeError for lone surrogates.
    """
    data = text.encode() if isinstance(text, str) else text
    kept = safe.encode("ascii")
    return "".join([chr(octet) if octet in kept else _QUOTED[octet] for octet in data])


def quote_location(url: str) -> str:
    """Return `url` fit for a Location field (RFC 9110 10.2.2).

    What no URL may hold is encoded, valid escapes are left alone. Encoding twice changes nothing. Raises
    ValueError for control characters, which browsers drop and filters miss, and UnicodeEncodeError for lone
    surrogates. Whether the target is a place one wants to send people to is not checked.
    """
    control = _CONTROL.search(url)
    if control is not None:
        raise ValueError(
            f"the URL holds the control character {control[0]!a} at position {control.start()}; "
            "percent-encode the text it was made from (kirsch.http.quote) before joining it in"
        )
    return _FOREIGN.sub(lambda match: b"%%%02X" % match[0][0], url.encode()).decode("ascii")


def remove_dot_segments(path: str) -> str:
    """Return a percent-encoded path without `.` and `..` segments (RFC 3986 5.2.4).

    Escaped dots (`%2e`) count as dots. `..` at the root stays at the root. Empty segments are segments: the
    result may begin with `//`.
    """
    if "." not in path and "%2" not in path:
        return path
    rooted = path.startswith("/")
    kept: list[str] = []
    up: int | None = None
    for segment in path.removeprefix("/").split("/"):
        up = _DOTS.get(segment.lower())
        if up is None:
            kept.append(segment)
        elif up and kept:
            kept.pop()
    if up is not None:
        # A dot segment at the end names a directory: `/a/.` is `/a/`.
        kept.append("")
    return ("/" if rooted else "") + "/".join(kept)


def escape_leading_slashes(path: str) -> str:
    """Return `path` so that a browser never takes it for `//host`.

    The slashes after the first leading one become `%2F`. For redirects to a path the client sent. Backslashes
    count as slashes, as they do for browsers.
    """
    if _LEADING_SLASHES.match(path) is None:
        return path
    rest = path.lstrip("/\\")
    return "/" + "%2F" * (len(path) - len(rest) - 1) + rest
