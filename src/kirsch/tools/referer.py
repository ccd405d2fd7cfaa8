"""`tools.referer`: pages for those who come from certain pages. It keeps out links, not attackers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kirsch.tools.auth import required
from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from kirsch.web.request import Request

__all__ = ["referer"]


def referer(
    request: Request,
    /,
    pattern: str = "",
    accept: bool = True,
    accept_missing: bool = False,
    error: int = 403,
    message: str = "Forbidden Referer header.",
) -> None:
    """Refuse requests by where they come from (RFC 9110 10.1.3). Anybody can send any Referer.

    Parameters:
        pattern: a regular expression, matched with the start of the Referer.
        accept: whether those that match are let in, or those that do not.
        accept_missing: whether requests without a Referer are let in. Many clients send none.
        error: status of the refusal.
        message: text of the refusal.

    Raises ValueError while `pattern` is not configured.
    """
    required("referer", pattern=pattern)
    field = request.headers.get("Referer")
    if field is None and accept_missing:
        return
    if field is None or (re.match(pattern, field) is not None) is not accept:
        raise HTTPError(error, message)
