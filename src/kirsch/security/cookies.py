"""Cookies of foreign programs made safe (ASVS 3.3): Secure over TLS, HttpOnly, SameSite=Lax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kirsch.security.wrapping import Wrapper, finished_by

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.http.exchange import Exchange, Gateway

__all__ = ["READABLE", "CookieGuard", "CookieRules", "guarded"]

READABLE: Final = frozenset({"csrftoken", "XSRF-TOKEN", "xsrf-token", "csrf_token", "_xsrf"})
"""Cookies that scripts of Django, Angular, Axios and Tornado must read: they carry a token, no authority."""


def guarded(
    value: str, *, tls: bool, readable: Collection[str] = READABLE, left: Collection[str] = ()
) -> str:
    """Return the value of a Set-Cookie field with what it lacks.

    Parameters:
        value: as the program wrote it. What it says itself stays, whatever it is.
        tls: whether the request came over TLS: only then is Secure added, as a browser would else drop it.
        readable: names of cookies that scripts read.
        left: names of cookies that stay as they are.
    """
    pair, *attributes = value.split(";")
    name = pair.partition("=")[0].strip(" \t")
    if name in left:
        return value
    known = {one.partition("=")[0].strip(" \t").lower() for one in attributes}
    more = ""
    if tls and "secure" not in known:
        more += "; Secure"
    if "httponly" not in known and name not in readable:
        more += "; HttpOnly"
    if "samesite" not in known:
        more += "; SameSite=Lax"
    return value + more


@dataclass(frozen=True, kw_only=True)
class CookieRules:
    """Which cookies are special.

    Parameters:
        readable: names of cookies that scripts read, beside `READABLE`; they get no HttpOnly.
        left: names of cookies that stay as they are.
    """

    readable: Collection[str] = ()
    left: Collection[str] = ()

    def apply(self, exchange: Exchange) -> None:
        """Make the cookies of an answer safe."""
        for name, _ in exchange.fields:
            if name.lower() == "set-cookie":
                break
        else:
            return
        tls = exchange.link.scheme == "https"
        readable = READABLE.union(self.readable)
        exchange.fields = [
            (name, guarded(value, tls=tls, readable=readable, left=self.left))
            if name.lower() == "set-cookie"
            else (name, value)
            for name, value in exchange.fields
        ]


class CookieGuard(Wrapper):
    """Makes every cookie that a program sets safe. `SecureHeaders` can do it too, and costs less.

    Parameters:
        gateway: the program.
        rules: which cookies are special.
    """

    def __init__(self, gateway: Gateway, rules: CookieRules | None = None) -> None:
        super().__init__(gateway)
        self.rules = CookieRules() if rules is None else rules
        """Which cookies are special."""
        self._finish = self.rules.apply

    def __call__(self, exchange: Exchange) -> None:
        """Have the program answer."""
        finished_by(exchange, self._finish)
        self.gateway(exchange)
