"""Status codes: reason phrases, validation of what a program sets, and which codes go without a body.

Used by `server/` (status lines, framing), `web/` (responses, errors, redirects) and the WSGI gateway. Pure
functions.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

__all__ = ["REASONS", "no_body", "no_content", "reason", "status_line", "valid_status"]

REASONS: Final[dict[int, str]] = {code.value: code.phrase for code in HTTPStatus} | {
    # Names of RFC 9110 section 15, which Python before 3.13 lacks.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Reason phrases by code. Read only; the names are those of the IANA registry."""

# RFC 9110 15: a client treats an unknown code as the x00 of its class, so an unknown code is named after its
# class.
_CLASSES: Final = ("", "Informational", "Successful", "Redirection", "Client Error", "Server Error")

_LOWEST: Final = 100
_HIGHEST: Final = 599
_SUCCESS: Final = 200

# RFC 9110 15       status-code   = 3DIGIT
# RFC 9112 4        status-line   = HTTP-version SP status-code SP [ reason-phrase ]
#                   reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )
_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?")


def reason(code: int) -> str:
    """Return the reason phrase of `code`, the name of its class for a code nobody registered.

    Raises ValueError outside 100 to 599.
    """
    known = REASONS.get(code)
    if known is not None:
        return known
    if not _LOWEST <= code <= _HIGHEST:
        raise ValueError(f"{code} is not an HTTP status code: it must be from {_LOWEST} to {_HIGHEST}")
    return _CLASSES[code // 100]


def status_line(code: int) -> str:
    """Return code and reason phrase, such as `404 Not Found`. Raises ValueError outside 100 to 599."""
    return f"{code} {reason(code)}"


def valid_status(status: int | str) -> tuple[int, str]:
    """Return code and reason phrase of `status`: a number, `"404"`, or `"404 Whatever one says"`.

    Raises ValueError, with a sentence, for codes outside 100 to 599, for control characters and for a reason
    phrase that latin-1 does not hold: each of them would break the status line.
    """
    if isinstance(status, int):
        return int(status), reason(status)
    match = _STATUS.fullmatch(status)
    if match is None:
        raise ValueError(
            f"{status!a} is not an HTTP status: write a code from {_LOWEST} to {_HIGHEST}, then, if you "
            "like, a space and a reason phrase of printable latin-1 characters, such as '404 Not Found'"
        )
    code = int(match[1])
    phrase: str = (match[2] or "").strip(" \t")
    return code, phrase or reason(code)


def no_body(code: int) -> bool:
    """Tell whether a response with `code` ends at its head, whatever its fields say (RFC 9112 6.3).

    So do 1xx, 204 and 304. 205 is not among them: clients frame it like any other response, so it needs
    `Content-Length: 0`.
    """
    return code < _SUCCESS or code in {204, 304}


def no_content(code: int) -> bool:
    """Tell whether `code` must not carry content: those of `no_body`, and 205 (RFC 9110 15.3.6)."""
    return code < _SUCCESS or code in {204, 205, 304}
