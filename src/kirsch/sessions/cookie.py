"""The cookie of a session: its name, its attributes, and how it is found in a request.

Over TLS the name gets the prefix `__Host-` when the cookie is for the whole host: browsers then refuse one
that another host of the domain, or a page without TLS, tries to plant (RFC 6265bis 4.1.3). On plain HTTP the
name stands alone, as browsers would not keep the other.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal, cast

from kirsch.http.cookies import CookieError, SetCookie, parse_cookies
from kirsch.http.headers import Headers
from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from kirsch.http.cookies import SameSite
    from kirsch.web.request import Request

__all__ = ["SessionCookie"]

_PREFIX: Final = "__Host-"
_SAME_SITE: Final = {"strict": "Strict", "lax": "Lax", "none": "None"}

_log = logging.getLogger("kirsch.sessions")


class SessionCookie:
    """How the cookie of a session looks.

    Parameters:
        name: its name, without a prefix.
        path: where browsers send it back; None for the whole host.
        path_header: a request field that holds the path instead, for programs behind a proxy that rewrites
            paths; the default path where it is absent.
        domain: a domain all of whose hosts get it; None, the safe choice, for this host alone.
        secure: whether it is sent over TLS only; None for whether the request came over TLS.
        httponly: whether it is hidden from scripts.
        same_site: `Lax`, `Strict`, `None` (over TLS only); None or False to leave it to the browser.
        persistent: whether it outlives the browser, by Max-Age; `"expires"` says so by Expires alone, as very
            old clients need it.
        host_prefix: whether the name may get the prefix.
        partitioned: whether it is kept apart per top-level site (CHIPS; over TLS only).

    Raises CookieError for attributes that browsers would not take, ValueError for an unknown `same_site`.
    """

    def __init__(
        self,
        *,
        name: str = "session_id",
        path: str | None = None,
        path_header: str | None = None,
        domain: str | None = None,
        secure: bool | None = None,
        httponly: bool = True,
        same_site: str | bool | None = "Lax",
        persistent: bool | Literal["expires"] = True,
        host_prefix: bool = True,
        partitioned: bool = False,
    ) -> None:
        self.name = name
        self.path = path or "/"
        self.path_header = path_header
        self.domain = domain or None
        self.secure = secure
        self.httponly = httponly
        self.same_site = _same_site(same_site)
        self.persistent = persistent
        self.partitioned = partitioned
        whole_host = self.path == "/" and self.domain is None and path_header is None
        self._secure_name = _PREFIX + name if host_prefix and whole_host else name
        self._warned = False
        # Refused now rather than at the first request.
        self._make("x", self.path, None, secure=secure is not False)

    def is_secure(self, request: Request) -> bool:
        """Return whether the cookie for `request` is one for TLS only."""
        return request.scheme == "https" if self.secure is None else self.secure

    def received(self, request: Request) -> str | None:
        """Return what the client sent as the cookie's value, or None.

        As it came: what a program does to `request.cookies` changes nothing here.
        """
        field = Headers.trusted(request.head.fields).get("Cookie", "")
        return parse_cookies(field).get(self._secure_name if self.is_secure(request) else self.name)

    def make(self, request: Request, value: str, life: float, now: float) -> SetCookie:
        """Return the cookie.

        Parameters:
            request: the request it answers.
            value: its value.
            life: seconds the session lasts if it is not used.
            now: the time, in seconds since 1970.

        Raises CookieError, and HTTPError 400 when the field that holds the path is no path.
        """
        secure = self.is_secure(request)
        if not secure and not self._warned and not _is_local(request):
            self._warned = True
            _log.warning(
                "The session cookie %s goes out over plain HTTP; anybody on the way can take the session "
                "over. Serve it by TLS, or set tools.sessions.secure behind a proxy that does.",
                self.name,
            )
        return self._make(value, self._path(request), life, secure=secure, now=now)

    def gone(self, request: Request) -> SetCookie:
        """Return the cookie that has the browser forget it."""
        return self._make("", self._path(request), None, secure=self.is_secure(request)).gone()

    def _path(self, request: Request) -> str:
        if self.path_header is None:
            return self.path
        path = request.headers.get(self.path_header) or self.path
        try:
            self._make("x", path, None, secure=self.secure is not False)
        except CookieError:
            raise HTTPError(400, f"The field {self.path_header} does not hold a path.") from None
        return path

    def _make(
        self, value: str, path: str, life: float | None, *, secure: bool, now: float = 0.0
    ) -> SetCookie:
        whole = None if life is None or not self.persistent else max(1, round(life))
        by_date = whole is not None and self.persistent == "expires"
        return SetCookie(
            self._secure_name if secure else self.name,
            value,
            max_age=None if by_date else whole,
            expires=int(now) + (whole or 0) if by_date else None,
            path=path,
            domain=self.domain,
            secure=secure,
            http_only=self.httponly,
            same_site=self.same_site,
            partitioned=self.partitioned,
        )


def _same_site(value: str | bool | None) -> SameSite | None:
    if value is None or value is False:
        return None
    found = _SAME_SITE.get(str(value).lower())
    if found is None:
        raise ValueError(
            f"tools.sessions.same_site is 'Lax', 'Strict', 'None', or None to leave it out, not {value!r}"
        )
    return cast("SameSite", found)


def _is_local(request: Request) -> bool:
    """Tell whether the client is on this machine, where nobody is on the way."""
    try:
        return ip_address(request.remote.ip).is_loopback
    except ValueError:
        return True  # a Unix socket
