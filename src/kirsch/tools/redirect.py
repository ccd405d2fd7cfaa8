"""`tools.redirect` and `tools.err_redirect`: another page answers, always or when this one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from kirsch.tools.auth import required
from kirsch.web.context import current
from kirsch.web.errors import HTTPError, HTTPRedirect, InternalRedirect

if TYPE_CHECKING:
    from kirsch.web.request import Request

__all__ = ["err_redirect", "redirect"]


def redirect(request: Request, /, url: str = "", internal: bool = True) -> NoReturn:
    """Let another page answer.

    Parameters:
        url: where it is: a path below the application, or, to send the client there, any URL, since it is
            the program's own.
        internal: whether it answers here, unseen by the client, or the client is sent there.

    Raises ValueError while `url` is not configured.
    """
    del request
    required("redirect", url=url)
    raise InternalRedirect(url) if internal else HTTPRedirect(url, external=True)


def err_redirect(url: str = "", internal: bool = True) -> NoReturn:
    """Let another page answer for unexpected errors of this one; see `redirect`.

    An error of the page that answers for another is shown as what it is.
    """
    required("err_redirect", url=url)
    request = current()
    if internal and request is not None and request.prev is not None:
        raise HTTPError(500)
    raise InternalRedirect(url) if internal else HTTPRedirect(url, external=True)
