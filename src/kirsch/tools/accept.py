"""`tools.accept`: which media type the client likes best, or 406 (RFC 9110 12.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.http.accept import Accept
from kirsch.tools.vary import add_vary
from kirsch.web.context import current
from kirsch.web.errors import HTTPError, NoRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kirsch.web.request import Request

__all__ = ["accept", "choose_media"]


def accept(request: Request, /, media: str | Sequence[str] | None = None) -> None:
    """Refuse clients that take none of the media types of a resource, with HTTPError 406.

    Parameters:
        media: the types, the one liked best first; None for any. Which one the client likes best is what
            `choose_media` returns to a handler.
    """
    if media:
        choose_media(media, request=request)


def choose_media(media: str | Sequence[str], *, request: Request | None = None) -> str:
    """Return the one of `media` that the client likes best, the first among equals, and say so in Vary.

    Parameters:
        media: media types, the one liked best first.
        request: the request; None for the one that is being answered.

    HTTPError 406 when it takes none of them.
    """
    found = current() if request is None else request
    if found is None:
        raise NoRequestError("what a client likes can only be asked while its request is being answered")
    offers = [media] if isinstance(media, str) else list(media)
    field = found.headers.get("Accept")
    add_vary(found.response.headers, "Accept")
    best = Accept.parse(field).best(offers)
    if best is None:
        raise HTTPError(
            406,
            f"This page can be had as {', '.join(offers)}; the request accepts only {(field or '')[:200]}.",
        )
    return best
