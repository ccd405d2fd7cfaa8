"""Values with parameters: Content-Type, Content-Disposition, and lists of such elements.

Used by `accept`, by `web/` (bodies, responses, uploads), `tools/` and `security/`. Sources: RFC 9110 5.6.6
(parameters), RFC 8187 (extended parameters), RFC 6266 (Content-Disposition).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kirsch.http.grammar import TOKEN, quote_string, split_members, unquote_string
from kirsch.http.urls import percent_decode, quote

__all__ = [
    "Element",
    "decode_ext_value",
    "format_disposition",
    "format_params",
    "parse_content_type",
    "parse_disposition",
    "parse_elements",
    "parse_params",
]

MOST_PARAMS: Final = 50
"""Parameters read of one element. Registered media types have at most a handful."""

# RFC 9110 8.3.1    media-type = type "/" subtype parameters            type, subtype = token
_MEDIA_TYPE: Final = re.compile(rf"{TOKEN.pattern}/{TOKEN.pattern}")

# RFC 8187 3.2.1    ext-value   = charset "'" [ language ] "'" value-chars
#                   value-chars = *( pct-encoded / attr-char )
#                   attr-char   = ALPHA / DIGIT / "!" / "#" / "$" / "&" / "+" / "-" / "." / "^" / "_" / "`"
#                               / "|" / "~"
_ATTR_CHAR: Final = "!#$&+-.^_`|~"
_EXT_VALUE: Final = re.compile(
    r"([0-9A-Za-z-]++)'[0-9A-Za-z-]*+'((?:[0-9A-Za-z!#$&+.^_`|~-]++|%[0-9A-Fa-f]{2})*)"
)
_CHARSETS: Final = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}

# RFC 6266 4.3 and appendix D: what readers of a plain `filename` disagree about, escapes, percent signs and
# all but ASCII.
_PLAIN_NAME: Final = re.compile(r"[\x20\x21\x23\x24\x26-\x5b\x5d-\x7e]*+")
_NOT_PLAIN: Final = re.compile(r"[^\x20\x21\x23\x24\x26-\x5b\x5d-\x7e]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Element(NamedTuple):
    """One element of a list, such as `gzip;q=0.5` in TE: a value and its parameters."""

    value: str
    """What stands before the first `;`, as written."""
    params: dict[str, str]
    """Its parameters as `parse_params` reads them."""


def parse_params(text: str) -> dict[str, str]:
    """Read `name=value; name="value"; name*=UTF-8''value`; never raises, linear in the length of `text`.

    Names come in lower case. A value that is neither a token nor a quoted string, a parameter without `=`,
    and an extended value that cannot be decoded are dropped alone. Of several with one name the first counts;
    `name*` replaces `name` wherever it stands (RFC 8187 4.2).
    """
    params: dict[str, str] = {}
    extended: dict[str, str] = {}
    for part in split_members(text, ";")[:MOST_PARAMS]:
        name, equals, raw = part.partition("=")
        # Matched before it is lowered: the Kelvin sign, for one, is a `k` in lower case.
        if not equals or TOKEN.fullmatch(name) is None:
            continue
        name = name.lower()
        if name[-1] == "*" and len(name) > 1:
            value = decode_ext_value(raw)
            target, name = extended, name[:-1]
        else:
            value = raw if TOKEN.fullmatch(raw) is not None else unquote_string(raw)
            target = params
        if value is not None:
            target.setdefault(name, value)
    return params | extended


def decode_ext_value(text: str) -> str | None:
    """Return what an extended value of RFC 8187 says, None if it is not one.

    UTF-8 and ISO-8859-1 are known; a value in another charset, or not in its own, counts as none.
    """
    match = _EXT_VALUE.fullmatch(text)
    if match is None:
        return None
    charset = _CHARSETS.get(match[1].lower())
    if charset is None:
        return None
    try:
        return percent_decode(match[2]).decode(charset)
    except UnicodeDecodeError:
        return None


def format_params(params: dict[str, str]) -> str:
    """Return parameters as they follow a value, each after `; `.

    Tokens stand as they are, other ASCII text is quoted. What is not ASCII goes as an extended value,
    `name*=UTF-8''...`. Raises ValueError for a name that is not a token and for control characters in values.
    """
    written = []
    for name, value in params.items():
        if TOKEN.fullmatch(name) is None or name[-1] == "*":
            raise ValueError(f"{name!a} is not a parameter name: it must be a token that does not end in '*'")
        if _CONTROL.search(value) is not None:
            raise ValueError(f"the parameter {name} holds a control character, which could split the header")
        if TOKEN.fullmatch(value) is not None:
            written.append(f"; {name}={value}")
        elif value.isascii():
            written.append(f"; {name}={quote_string(value)}")
        else:
            written.append(f"; {name}*=UTF-8''{quote(value, safe=_ATTR_CHAR)}")
    return "".join(written)


def parse_content_type(field: str) -> tuple[str, dict[str, str]] | None:
    """Return the media type of a Content-Type field, in lower case, and its parameters.

    None if it is not one.
    """
    value, _, rest = field.partition(";")
    value = value.strip(" \t")
    if _MEDIA_TYPE.fullmatch(value) is None:
        return None
    return value.lower(), parse_params(rest)


def parse_disposition(field: str) -> tuple[str, dict[str, str]] | None:
    """Return the kind of a Content-Disposition field (RFC 6266), in lower case, and its parameters.

    None if it is not one. `filename` is as the client wrote it, directories and all: reduce it before it goes
    near a file system.
    """
    value, _, rest = field.partition(";")
    value = value.strip(" \t")
    if TOKEN.fullmatch(value) is None:
        return None
    return value.lower(), parse_params(rest)


def format_disposition(kind: str, filename: str | None = None) -> str:
    """Return a Content-Disposition field value (RFC 6266).

    Parameters:
        kind: `attachment` or `inline`, or another token.
        filename: the name the user shall see. What clients read differently (not ASCII, quotes, backslashes,
            `%`) goes out twice: with `_` for each such character, accents taken off where that is enough, for
            old clients, and exactly, as `filename*`.

    Raises ValueError for a kind that is not a token and for control characters in the name.
    """
    if TOKEN.fullmatch(kind) is None:
        raise ValueError(f"{kind!a} is not a disposition: use 'attachment' or 'inline'")
    if filename is None:
        return kind
    if _CONTROL.search(filename) is not None:
        raise ValueError(
            f"the file name {filename!a} holds a control character, which could split the header; rename it"
        )
    if _PLAIN_NAME.fullmatch(filename) is not None:
        return f'{kind}; filename="{filename}"'
    fallback = _NOT_PLAIN.sub("_", _without_accents(filename))
    return f"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{quote(filename, safe=_ATTR_CHAR)}"


def _without_accents(text: str) -> str:
    # Late: a megabyte of tables for the rare name that needs it.
    import unicodedata

    return "".join(char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) != "Mn")


def parse_elements(field: str) -> list[Element]:
    """Split a list such as TE, Prefer or Connection into its elements, in order.

    Parameters are read as `parse_params` reads them.
    """
    elements = []
    for member in split_members(field):
        head = split_members(member, ";")
        if head and member[0] != ";":
            elements.append(Element(head[0], parse_params(member[len(head[0]) :])))
    return elements
