"""`tools.expires`: how long clients and caches may keep a page (RFC 9111 5.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from kirsch.http.dates import format_date

if TYPE_CHECKING:
    from kirsch.web.request import Request

__all__ = ["expires"]

_PAST: Final = "Sun, 28 Jan 2007 00:00:00 GMT"
"""A date in the past, the same for everybody so that nothing follows from it. CherryPy's."""

_INDICATORS: Final = ("ETag", "Last-Modified", "Age", "Expires")


def expires(request: Request, /, secs: float | timedelta = 0, force: bool = False) -> None:
    """Set Expires, or keep the page out of caches.

    Parameters:
        secs: seconds the page stays fresh, or a timedelta; 0 for not at all: that sets `Cache-Control:
            no-cache, must-revalidate`, `Pragma: no-cache` and an Expires in the past.
        force: whether to do it for a page that does not look as if it could be cached (no ETag,
            Last-Modified, Age or Expires), and to replace what is set.

    Raises TypeError for a `secs` that is no number.
    """
    headers = request.response.headers
    if not force and not any(name in headers for name in _INDICATORS):
        return
    seconds = secs.total_seconds() if isinstance(secs, timedelta) else secs
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"tools.expires.secs is a number of seconds or a timedelta, not {seconds!r}")
    fields = {"Expires": _PAST if not seconds else format_date(int(request.response.time + seconds))}
    if not seconds:
        fields["Pragma"] = "no-cache"
        fields["Cache-Control"] = "no-cache, must-revalidate"
    for name, value in fields.items():
        if force or name not in headers:
            headers[name] = value
