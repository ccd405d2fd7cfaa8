"""The security header fields for programs that know nothing of them: Flask, Django, any WSGI program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.security.headers import HeaderRules
from kirsch.security.wrapping import Wrapper, finished_by

if TYPE_CHECKING:
    from kirsch.http.exchange import Exchange, Gateway
    from kirsch.security.cookies import CookieRules

__all__ = ["SecureHeaders"]


class SecureHeaders(Wrapper):
    """Gives every answer of a gateway the fields of `HeaderRules`. What the program sets itself stays.

    Parameters:
        gateway: what answers.
        rules: which fields; the defaults if None.
        cookies: how its cookies are made safe, None to leave them as they are.
        options: those of `HeaderRules`, in the place of `rules`.

    Raises ValueError for a policy with a nonce, which foreign programs have no way to write into their pages,
    and what `HeaderRules` raises.
    """

    def __init__(
        self,
        gateway: Gateway,
        rules: HeaderRules | None = None,
        *,
        cookies: CookieRules | None = None,
        **options: Any,
    ) -> None:
        super().__init__(gateway)
        self.rules = HeaderRules(**options) if rules is None else rules
        """Which fields."""
        finisher = self.rules.finisher
        if finisher.needs_nonce:
            raise ValueError(
                "a policy with a nonce needs pages that write it; use hashes for a program that is no Kirsch "
                "application"
            )
        self._cookies = cookies
        # Bound once: a bound method made for each request costs as much as the look-up.
        self._apply = finisher.finish_exchange
        self._finish = self._apply if cookies is None else self._with_cookies

    def __call__(self, exchange: Exchange) -> None:
        """Answer, with the fields."""
        if exchange.finish is None:
            exchange.finish = self._finish
        else:
            finished_by(exchange, self._finish)
        self.gateway(exchange)

    def _with_cookies(self, exchange: Exchange) -> None:
        self._apply(exchange)
        # What is remembered as a whole has no cookies in it: they are another for each answer.
        if self._cookies is not None and exchange.fields.__class__ is list:
            self._cookies.apply(exchange)
