"""`tools.etags`, `validate_etags` and `validate_since`: conditional requests (RFC 9110 13) for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kirsch.http.dates import parse_date
from kirsch.http.etags import ETag, evaluate, parse_etag
from kirsch.http.exchange import FileBody
from kirsch.http.status import valid_status
from kirsch.web.context import current
from kirsch.web.errors import HTTPError, HTTPRedirect, NoRequestError
from kirsch.web.response import close_body

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.web.request import Request

__all__ = ["etags", "validate_etags", "validate_since"]

_SAFE: Final = ("GET", "HEAD")
_NOT_MODIFIED: Final = 304


def etags(request: Request, /, autotags: bool = False, methods: Collection[str] | None = _SAFE) -> None:
    """Answer the conditions of a request by the ETag and Last-Modified of its response.

    Parameters:
        autotags: whether a response without an ETag gets a strong one, made of its body. Streams and files do
            not.
        methods: methods it is done for; None for all. Those that change something are left out because the
            change is done when there is a response: their handlers call `validate_etags` before it.

    Only what would be a success is compared (RFC 9110 13.2.1).
    """
    if methods is None or request.method in methods:
        _validate(request, autotags=autotags)


def validate_etags(autotags: bool = False, *, request: Request | None = None) -> None:
    """Compare the conditions of the request with the response as it is now.

    To be called by a handler that has set `ETag` or `Last-Modified`: before it makes a page, to save that, or
    before it changes something. See `etags` for the parameters.

    Raises HTTPRedirect 304 where the client has the page already, HTTPError 412 where it wants another
    version than there is.
    """
    found = current() if request is None else request
    if found is None:
        raise NoRequestError("conditions can only be compared while a request is being answered")
    _validate(found, autotags=autotags)


def validate_since(*, request: Request | None = None) -> None:
    """Do as `validate_etags` does; the name is for programs that have a date and no tag."""
    validate_etags(request=request)


def _validate(request: Request, *, autotags: bool) -> None:
    response = request.response
    if not _succeeds(response.status):
        return
    headers = response.headers
    written = headers.get("ETag")
    if written is None and autotags and not response.stream and not isinstance(response.body, FileBody):
        headers["ETag"] = written = str(_tag_of(response.collapse_body()))
    now = int(response.time)
    modified = headers.get("Last-Modified")
    get = request.headers.get
    verdict = evaluate(
        request.method,
        now=now,
        etag=None if written is None else parse_etag(written),
        last_modified=None if modified is None else parse_date(modified, now),
        if_match=get("If-Match"),
        if_none_match=get("If-None-Match"),
        if_modified_since=get("If-Modified-Since"),
        if_unmodified_since=get("If-Unmodified-Since"),
    )
    if verdict is None:
        return
    close_body(response.body)
    if verdict == _NOT_MODIFIED:
        raise HTTPRedirect([], verdict)
    raise HTTPError(verdict)


def _succeeds(status: int | str | None) -> bool:
    return status is None or valid_status(status)[0] // 100 == 2  # noqa: PLR2004  the class of successes


def _tag_of(data: bytes) -> ETag:
    from hashlib import blake2b

    return ETag(blake2b(data, digest_size=16).hexdigest())
