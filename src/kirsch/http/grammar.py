r"""The grammar of HTTP: compiled patterns and small scanners that say what a token, a value or a host is.

Used by every other module of this room, by `server/` for what the parser does not enforce (names, values,
targets, authorities, decimal numbers) and by `web/` and `security/` for hosts.

Rules of this file:

- ASCII tables only. Nothing here uses `int()`, `str.strip()`, `\d` or `\s` on text that was not matched
  first: all of them accept characters of other scripts, and that difference between two parsers is how
  requests are smuggled.
- Every pattern is linear. Only single character classes carry possessive quantifiers (before 3.11.5 a
  possessive *group* with choices inside could match wrongly, CPython gh-106052); alternatives in a repeated
  group begin with different characters, so there is one way to match and nothing to go back to.
- Patterns are for `fullmatch`, unless their comment says otherwise.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = [
    "FIELD_VALUE",
    "FIELD_VALUE_BYTES",
    "QUOTED_STRING",
    "TARGET",
    "TARGET_BYTES",
    "TOKEN",
    "TOKEN_BYTES",
    "Target",
    "decimal",
    "is_field_value",
    "is_host",
    "is_token",
    "quote_string",
    "split_host",
    "split_members",
    "split_target",
    "unquote_string",
]

_TCHAR: Final = r"!#$%&'*+.^_`|~0-9A-Za-z-"

# RFC 9110 5.6.2    token = 1*tchar
#                   tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`"
#                         / "|" / "~" / DIGIT / ALPHA
TOKEN: Final = re.compile(rf"[{_TCHAR}]++")
"""A token as text: methods, field names, parameter names, cookie names."""
TOKEN_BYTES: Final = re.compile(TOKEN.pattern.encode())
"""A token as received."""

# RFC 9110 5.5      field-value   = *field-content
#                   field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
#                   field-vchar   = VCHAR / obs-text          obs-text = %x80-FF
# RFC 7230 3.2 had this wrong (erratum 4189, it allowed only one character between spaces); 9110 carries the
# repair. In words: printable, tabs and spaces inside but not at the ends, or empty.
FIELD_VALUE: Final = re.compile(r"(?![ \t])[\t\x20-\x7e\x80-\xff]*+(?<![ \t])")
"""A field value as text decoded from latin-1."""
FIELD_VALUE_BYTES: Final = re.compile(FIELD_VALUE.pattern.encode())
"""A field value as received, white space at its ends removed."""

# RFC 9110 5.6.4    quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
#                   qdtext        = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text
#                   quoted-pair   = "\" ( HTAB / SP / VCHAR / obs-text )
_QDTEXT: Final = r"\t \x21\x23-\x5b\x5d-\x7e\x80-\xff"
QUOTED_STRING: Final = re.compile(rf'"(?:[{_QDTEXT}]++|\\[\t\x20-\x7e\x80-\xff])*"')
"""A quoted string with its quotes."""

_QUOTABLE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*+")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)

# RFC 9110 5.6.1.2  a recipient parses  #element => [ element ] *( OWS "," OWS [ element ] ) Finds one member:
# anything but the separator, quoted strings whole. A quote that is never closed takes the rest, so the cost
# stays linear and the member is malformed for whoever parses it. For `finditer`.
_MEMBER: Final = {
    separator: re.compile(rf'(?:[^{separator}"]++|"(?:[^"\\]++|\\.?)*"?)+', re.DOTALL) for separator in ",;"
}

_DIGITS: Final = re.compile(r"[0-9]++")
_SAFE_DIGITS: Final = 18
"""Decimal digits that always fit 63 bits."""


def is_token(text: str) -> bool:
    """Tell whether `text` is a token (RFC 9110 5.6.2)."""
    return TOKEN.fullmatch(text) is not None


def is_field_value(text: str) -> bool:
    """Tell whether `text` may stand as a field value (RFC 9110 5.5).

    That is latin-1 without control characters, tabs excepted, and without white space at its ends, or
    nothing.
    """
    return FIELD_VALUE.fullmatch(text) is not None


def decimal(text: str, most: int) -> int | None:
    """Read `1*DIGIT` and nothing else: no sign, no spaces, no underscores, no digits of other scripts.

    Parameters:
        text: the digits.
        most: the answer for every number above it. A caller with a limit passes the limit plus one and
            compares. The work is bounded however many digits arrive.

    Returns None when `text` is not a decimal number.
    """
    if _DIGITS.fullmatch(text) is None:
        return None
    significant = text.lstrip("0")
    if len(significant) > max(_SAFE_DIGITS, len(str(most))):
        return most
    return min(int(significant or "0"), most)


def split_members(text: str, separator: str = ",") -> list[str]:
    """Split a list at `separator` (`,` or `;`) outside quoted strings (RFC 9110 5.6.1.2).

    Empty members are left out, others come without the white space around them. Linear in the length of
    `text`.
    """
    parts = (
        text.split(separator)
        if '"' not in text
        else [found[0] for found in _MEMBER[separator].finditer(text)]
    )
    return [member for part in parts if (member := part.strip(" \t"))]


def quote_string(text: str) -> str:
    """Return `text` as a quoted string (RFC 9110 5.6.4).

    Raises ValueError for control characters and for what latin-1 does not hold: no escape exists for either.
    """
    if _QUOTABLE.fullmatch(text) is None:
        raise ValueError(
            f"{text!a} cannot stand in a quoted string: it holds a control character, or one outside latin-1 "
            "(send such text as an extended parameter, RFC 8187)"
        )
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote_string(text: str) -> str | None:
    """Return what a quoted string says; None when `text` is not one (quotes included)."""
    if QUOTED_STRING.fullmatch(text) is None:
        return None
    return _QUOTED_PAIR.sub(r"\1", text[1:-1])


# --- Authorities and targets ---

# RFC 3986 3.2.2    reg-name    = *( unreserved / pct-encoded / sub-delims )
#                   unreserved  = ALPHA / DIGIT / "-" / "." / "_" / "~"
#                   sub-delims  = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="
# Every IPv4address is a reg-name, so it needs no pattern here.
# RFC 3986 3.2.2    IP-literal  = "[" ( IPv6address / IPvFuture  ) "]"
#                   IPvFuture   = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
# RFC 9110 7.2      Host        = uri-host [ ":" port ]               (4.1: port = *DIGIT of RFC 3986 3.2.3)
_NAME_CHAR: Final = r"0-9A-Za-z._~!$&'()*+,;=\-"
_AUTHORITY: Final = re.compile(
    rf"(?P<host>(?:[{_NAME_CHAR}]++|%[0-9A-Fa-f]{{2}})+|\[[^\[\]]*+\])(?::(?P<port>[0-9]*+))?"
)
_IP_FUTURE: Final = re.compile(rf"[vV][0-9A-Fa-f]++\.[{_NAME_CHAR}:]++")
_H16: Final = re.compile(r"[0-9A-Fa-f]{1,4}")
# RFC 3986 3.2.2    dec-octet   = DIGIT / %x31-39 DIGIT / "1" 2DIGIT / "2" %x30-34 DIGIT / "25" %x30-35
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IP_V4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")

_GROUPS: Final = 8
"""Groups of 16 bits in an IPv6 address."""
_LONGEST_IP_V6: Final = 45
"""Characters of the longest IPv6 address, six groups and a dotted quad."""
_HIGHEST_PORT: Final = 65535


def _is_ip_v6(text: str) -> bool:
    # RFC 3986 3.2.2  IPv6address: eight h16 groups, the last two of which may be an IPv4address, and at most
    # once `::` for one or more groups of zeros.
    if len(text) > _LONGEST_IP_V6:
        return False
    head, gap, tail = text.partition("::")
    groups = (head.split(":") if head else []) + (tail.split(":") if tail else [])
    count = len(groups)
    if groups and "." in groups[-1] and (tail or not gap):
        if _IP_V4.fullmatch(groups.pop()) is None:
            return False
        count += 1
    if any(_H16.fullmatch(group) is None for group in groups):
        return False
    return count < _GROUPS if gap else count == _GROUPS


def split_host(text: str) -> tuple[str, int | None] | None:
    """Split `host[:port]` (RFC 9110 7.2, RFC 3986 3.2.2).

    The host is a name, an IPv4 address, or an IPv6 literal in brackets.
    Returns the host as written, brackets kept, and the port, None where there is none or an empty one
    (`host:` is allowed and means the default port). Returns None when `text` is no such thing: an empty host,
    a port above 65535, user information, a zone id, anything outside the grammar.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    host, digits = match["host"], match["port"]
    if host[0] == "[" and not (_is_ip_v6(host[1:-1]) or _IP_FUTURE.fullmatch(host[1:-1])):
        return None
    if not digits:
        return host, None
    port = decimal(digits, _HIGHEST_PORT + 1)
    return None if port is None or port > _HIGHEST_PORT else (host, port)


def is_host(text: str, *, empty: bool = True) -> bool:
    """Tell whether `text` is a valid Host field value: `split_host` can split it, or it is empty.

    Parameters:
        text: the value, without white space around it.
        empty: whether the empty value counts. RFC 9110 7.2 has clients send it for targets without an
            authority; for `http` and `https` targets an empty host is an error (4.2.1), so absolute-form
            callers pass False.
    """
    return empty if not text else split_host(text) is not None


# RFC 9112 3.2      request-target = origin-form / absolute-form / authority-form / asterisk-form
# Characters the URI grammar lacks are let pass, as browsers send `|`, `[`, `"` and `{` unescaped in queries.
# What can split a request line or hide a fragment is refused: controls, space, DEL, non-ASCII, `#`.
TARGET: Final = re.compile(r"[\x21\x22\x24-\x7e]++")
"""Any request target as text: visible ASCII without `#`."""
TARGET_BYTES: Final = re.compile(TARGET.pattern.encode())
"""Any request target as received."""

# RFC 9110 4.2.1    http-URI = "http" "://" authority path-abempty [ "?" query ]     (4.2.2: "https" likewise)
_ABSOLUTE: Final = re.compile(
    r"[Hh][Tt][Tt][Pp][Ss]?://(?P<authority>[^/?]*+)(?P<path>[^?]*+)(?:\?(?P<query>.*+))?"
)


class Target(NamedTuple):
    """A request target taken apart; nothing decoded."""

    form: str
    """`origin`, `absolute`, `authority` or `asterisk` (RFC 9112 3.2)."""
    authority: str
    """`host[:port]` of the absolute-form and the authority-form, else empty."""
    path: str
    """The path, percent-encoded, beginning with `/`; `*` in the asterisk-form, empty in the
    authority-form."""
    query: str
    """What follows the first `?`, without it."""


def split_target(method: str, target: str) -> Target | None:
    """Take a request target apart by the form its method asks for (RFC 9112 3.2).

    None means 400 (Bad Request).
    CONNECT takes the authority-form and nothing else, with a port that is not empty (RFC 9110 9.3.6); `*` is
    for OPTIONS alone. The absolute-form is read for `http` and `https`, without user information (RFC 9110
    4.2.4) and never with an empty host; an absent path reads as `/`, or as `*` for OPTIONS without a query
    (RFC 9112 3.2.4).
    """
    if TARGET.fullmatch(target) is None:
        return None
    if method == "CONNECT":
        parts = split_host(target)
        return None if parts is None or parts[1] is None else Target("authority", target, "", "")
    if target[0] == "/":
        path, _, query = target.partition("?")
        return Target("origin", "", path, query)
    if target == "*":
        return Target("asterisk", "", "*", "") if method == "OPTIONS" else None
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not is_host(match["authority"], empty=False):
        return None
    absent = "*" if method == "OPTIONS" and match["query"] is None else "/"
    return Target("absolute", match["authority"], match["path"] or absent, match["query"] or "")
