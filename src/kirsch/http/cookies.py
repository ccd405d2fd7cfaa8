"""Cookies: the Cookie field read, and Set-Cookie lines that browsers keep and nobody can split.

Used by `web/` (request and response cookies), `sessions/` and `security/`. Sources: RFC 6265 and its
successor draft (6265bis) for the name prefixes and SameSite, CHIPS for Partitioned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from kirsch.http.dates import format_date
from kirsch.http.grammar import TOKEN

__all__ = ["MOST_COOKIES", "CookieError", "SetCookie", "parse_cookies"]

MOST_COOKIES: Final = 200
"""Cookies read from one request. RFC 6265 6.1 asks browsers for 50 a domain at least, Chrome and Firefox keep
150 to 180."""

_MOST_PAIR: Final = 4096
"""Bytes of name and value together that browsers keep (RFC 6265 6.1; 6265bis has them drop longer ones)."""
_MOST_ATTRIBUTE: Final = 1024
"""Bytes of an attribute's value that browsers read (6265bis)."""

# RFC 6265 4.1.1    cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE )
#                   cookie-octet = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*+")
# RFC 6265 4.1.1    path-value   = *av-octet                    (as erratum 3444 has it)
#                   av-octet     = %x20-3A / %x3C-7E
# Without the comma: lists of Set-Cookie lines joined by commas are still split by some clients.
_PATH: Final = re.compile(r"/[\x21-\x2b\x2d-\x3a\x3c-\x7e]*+")
# RFC 1034 3.5, RFC 1123 2.1: labels of letters, digits and hyphens; the underscore is common in practice. One
# leading dot is legal and means nothing (RFC 6265 4.1.2.3).
_DOMAIN: Final = re.compile(r"\.?[0-9A-Za-z_-]++(?:\.[0-9A-Za-z_-]++)*")

# What a value received may hold: browsers send back JSON and spaces that programs set in spite of the
# grammar. No controls.
_RECEIVED: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*+")
# Python's http.cookies, and so every CherryPy program, writes such characters as \ooo or \c inside double
# quotes. One pass, at most three characters ahead: CVE-2024-7592 was a loop that went over the rest again for
# each backslash.
_ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)

SameSite = Literal["Strict", "Lax", "None"]


class CookieError(ValueError):
    """A cookie that must not be sent, or that browsers would throw away. The program that set it is at fault.

    The value of the cookie is not part of the message: it may be a session id, and messages end in logs.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"cookie {name!a}: {problem}")
        self.name = name
        """The cookie's name as it was given."""


def _unescape(match: re.Match[str]) -> str:
    octal: str | None = match[1]
    return chr(int(octal, 8)) if octal else match[2]


def parse_cookies(field: str, limit: int = MOST_COOKIES) -> dict[str, str]:
    """Return the cookies of a Cookie field, name to value. Never raises, and linear in the length of `field`.

    Parameters:
        field: the value of the field, decoded from latin-1; values keep that decoding
            (`value.encode("latin-1")` gives the bytes back).
        limit: cookies read; what follows is left unread.

    A malformed pair is dropped alone. Of several cookies with one name the first counts: browsers send the
    one with the longest path first (RFC 6265 5.4). The field is split at `;` before quotes are looked at, as
    browsers do, and `$Version` is a name like any other: legacy parsers can be made to swallow a neighbour's
    cookie into a quoted value. Names are tokens and only spaces and tabs are taken off them, so that no
    look-alike of a `__Host-` name passes.
    """
    cookies: dict[str, str] = {}
    for pair in field.split(";", limit)[:limit]:
        name, equals, value = pair.partition("=")
        name = name.strip(" \t")
        value = value.strip(" \t")
        if (
            not equals
            or name in cookies
            or TOKEN.fullmatch(name) is None
            or _RECEIVED.fullmatch(value) is None
        ):
            continue
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
            if "\\" in value:
                value = _ESCAPE.sub(_unescape, value)
        cookies[name] = value
    return cookies


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One Set-Cookie line (RFC 6265 4.1). Checked when made; `str(cookie)` is the value of the field.

    Parameters:
        name: a token. `__Host-` and `__Secure-` names (any case, as browsers compare them) must keep what
            they promise.
        value: ASCII without spaces, quotes, commas, semicolons and backslashes; never quoted for the caller,
            as readers disagree about quotes. Percent-encode or base64url what holds more.
        max_age: life in seconds; 0 or less removes the cookie; None makes it last until the browser closes.
        expires: the end of its life as a timestamp in seconds, for clients without Max-Age.
        path: where it is sent back; None leaves it to the browser (the directory of the request).
        domain: sent to this host and those under it; None, the safe choice, means this host only.
        secure: sent over TLS only.
        http_only: hidden from scripts.
        same_site: `Strict`, `Lax`, `None` (needs `secure`), or None to leave the attribute out.
        partitioned: kept apart per top-level site (CHIPS; needs `secure`).

    Raises CookieError, which names the cookie and what to change.
    """

    name: str
    value: str = ""
    max_age: int | None = None
    expires: int | None = None
    path: str | None = "/"
    domain: str | None = None
    secure: bool = False
    http_only: bool = True
    same_site: SameSite | None = "Lax"
    partitioned: bool = False

    def __post_init__(self) -> None:
        self._check_characters()
        self._check_promises()

    def _check_characters(self) -> None:
        if TOKEN.fullmatch(self.name) is None:
            raise CookieError(
                self.name,
                "the name must not be empty and may hold only ASCII letters, digits and !#$%&'*+-.^_`|~ "
                "(RFC 6265 4.1.1)",
            )
        if _VALUE.fullmatch(self.value) is None:
            raise CookieError(
                self.name,
                "the value may hold only visible ASCII without double quotes, commas, semicolons and "
                "backslashes; percent-encode it or use base64url",
            )
        if len(self.name) + len(self.value) > _MOST_PAIR:
            raise CookieError(
                self.name,
                f"name and value together are {len(self.name) + len(self.value)} bytes and browsers drop "
                f"more than {_MOST_PAIR}; keep the data on the server and only its key in the cookie",
            )
        if self.path is not None and (_PATH.fullmatch(self.path) is None or len(self.path) > _MOST_ATTRIBUTE):
            raise CookieError(
                self.name,
                f"the path {self.path[:80]!a} must begin with '/' and be visible ASCII without commas "
                f"and semicolons, at most {_MOST_ATTRIBUTE} characters; percent-encode the rest",
            )
        if self.domain is not None and (
            _DOMAIN.fullmatch(self.domain) is None or len(self.domain) > _MOST_ATTRIBUTE
        ):
            raise CookieError(
                self.name,
                f"the domain {self.domain[:80]!a} is not a host name: letters, digits, hyphens and dots, "
                "without scheme and port, at most 1024 characters",
            )

    def _check_promises(self) -> None:
        prefix = self.name.lower()
        if prefix.startswith(("__secure-", "__host-")) and not self.secure:
            raise CookieError(self.name, "browsers keep this name only with Secure; set secure=True")
        if prefix.startswith("__host-") and (self.domain is not None or self.path != "/"):
            raise CookieError(
                self.name,
                "browsers keep a __Host- name only with path='/' and without a domain; or choose __Secure-",
            )
        if self.same_site not in {None, "Strict", "Lax", "None"}:
            raise CookieError(
                self.name, f"SameSite is 'Strict', 'Lax', 'None' or left out, not {self.same_site!a}"
            )
        if self.same_site == "None" and not self.secure:
            raise CookieError(
                self.name, "browsers keep SameSite=None only with Secure; set secure=True or same_site='Lax'"
            )
        if self.partitioned and not self.secure:
            raise CookieError(self.name, "browsers keep Partitioned only with Secure; set secure=True")

    def gone(self) -> SetCookie:
        """Return the cookie that removes this one: the same name, path and domain, expired in 1970."""
        return replace(self, value="", max_age=0, expires=0)

    def __str__(self) -> str:
        parts = [f"{self.name}={self.value}"]
        if self.expires is not None:
            parts.append(f"Expires={format_date(self.expires)}")
        if self.max_age is not None:
            parts.append(f"Max-Age={int(self.max_age)}")
        if self.domain is not None:
            parts.append(f"Domain={self.domain}")
        if self.path is not None:
            parts.append(f"Path={self.path}")
        if self.secure:
            parts.append("Secure")
        if self.http_only:
            parts.append("HttpOnly")
        if self.same_site is not None:
            parts.append(f"SameSite={self.same_site}")
        if self.partitioned:
            parts.append("Partitioned")
        return "; ".join(parts)

    def __repr__(self) -> str:
        # The value stays out: it may be a session id, and reprs end in logs.
        return f"<SetCookie {self.name}>"
