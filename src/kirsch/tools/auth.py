"""What the tools that authenticate share: reading Authorization, refusing, telling the log (RFC 9110 11)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kirsch.http.grammar import quote_string
from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.web.request import Request

    Failed = Callable[[Request, str, str], object]

__all__ = ["LONGEST", "credentials", "is_private", "quoted", "refuse", "required"]

LONGEST: Final = 8192
"""Characters of an Authorization field. As one field of Apache (LimitRequestFieldSize)."""


def credentials(request: Request, scheme: str) -> str | None:
    """Return what follows `scheme` in the Authorization field; None without one, or with another scheme.

    HTTPError 400 for more than `LONGEST` characters, and for several fields.
    """
    fields = request.headers.get_all("Authorization")
    if not fields:
        return None
    if len(fields) > 1 or len(fields[0]) > LONGEST:
        raise HTTPError(400, "The Authorization field is longer than it may be, or there are several.")
    name, _, rest = fields[0].partition(" ")
    return rest.strip(" ") if name.lower() == scheme.lower() else None


def refuse(
    request: Request, challenge: str, *, user: str = "", reason: str = "", failed: Failed | None = None
) -> NoReturn:
    """Raise HTTPError 401 with a challenge.

    Parameters:
        request: the request.
        challenge: value of WWW-Authenticate.
        user: who it said it was.
        reason: what was wrong, for the log; empty for a request that did not try, which is not worth a line.
        failed: told of the failure: request, user, reason. May raise an HTTPError of its own, such as 429.
    """
    if reason:
        request.app.log(f"refused {user[:200]!a} from {request.remote.ip}: {reason}", "AUTH", logging.WARNING)
        if failed is not None:
            failed(request, user, reason)
    raise HTTPError(401, headers={"WWW-Authenticate": challenge})


def quoted(realm: str) -> str:
    """Return a realm as it stands in a challenge: a quoted string, in UTF-8.

    Raises ValueError for control characters.
    """
    return quote_string(realm.encode().decode("latin-1"))


def is_private(request: Request) -> bool:
    """Tell whether nobody on the way can read the request: TLS, or a client on this machine."""
    if request.scheme == "https":
        return True
    peer = request.exchange.link.peer[0]
    # Nothing is the peer of a Unix socket.
    return not peer or peer == "::1" or peer.startswith(("127.", "::ffff:127."))


def required(tool: str, **values: Any) -> None:
    """Raise ValueError for the first of `values` that is missing: it must be configured."""
    for name, value in values.items():
        if value is None or value == "":
            raise ValueError(f"'tools.{tool}.on' is set, but not 'tools.{tool}.{name}', which it needs")
