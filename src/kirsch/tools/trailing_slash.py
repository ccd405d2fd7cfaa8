"""`tools.trailing_slash`: one URL for each page, with a slash at the end of an index and none elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.http.urls import escape_leading_slashes, quote
from kirsch.web.errors import HTTPRedirect
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from kirsch.web.plan import Building
    from kirsch.web.request import Request

__all__ = ["TrailingSlash", "trailing_slash"]

_PRIORITY = 60


def trailing_slash(
    request: Request, /, missing: bool = True, extra: bool = False, status: int | None = None
) -> None:
    """Redirect to the same page with its proper end.

    Parameters:
        missing: whether an index without a slash redirects to itself with one. Relative links on the page
            work then.
        extra: whether a page that is no index redirects from its URL with a slash to that without.
        status: of the redirect; None for 301, or 308 to methods other than GET and HEAD, which must be
            repeated as they are.

    Raises HTTPRedirect, to the same host whatever the path looks like.
    """
    path = request.path_info
    if request.is_index is True and missing and not path.endswith("/"):
        path += "/"
    elif request.is_index is False and extra and path.endswith("/") and path != "/":
        path = path.rstrip("/")
    else:
        return
    # In `path_info` only an encoded slash is still encoded.
    location = quote(request.script_name, "/") + quote(path.replace("%2F", "\0"), "/").replace("%00", "%2F")
    location = escape_leading_slashes(location or "/")
    if request.query_string:
        location += f"?{request.query_string}"
    if status is None:
        status = 301 if request.method in {"GET", "HEAD"} else 308
    raise HTTPRedirect(location, status)


class TrailingSlash(Tool):
    """The tool.

    Does not attach where it could never act: a path with a slash at its end while `extra` is off.
    """

    def __init__(self) -> None:
        super().__init__("before_handler", trailing_slash, priority=_PRIORITY)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Attach the hook where it may act."""
        if not building.slash or arguments.get("extra"):
            super().attach(building, arguments)
