"""The security header fields for programs that know nothing of them: Flask, Django, any WSGI program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.security.headers import HeaderRules
from kirsch.security.wrapping import Wrapper, finished_by

if TYPE_CHECKING:
    from kirsch.http.exchange import Exchange, Gateway

__all__ = ["SecureHeaders"]


class SecureHeaders(Wrapper):
    """Gives every answer of a gateway the fields of `HeaderRules`. What the program sets itself stays.

    Parameters:
        gateway: what answers.
        rules: which fields; the defaults if None.
        options: those of `HeaderRules`, in the place of `rules`.

    Raises ValueError for a policy with a nonce, which foreign programs have no way to write into their pages,
    and what `HeaderRules` raises.
    """

    def __init__(self, gateway: Gateway, rules: HeaderRules | None = None, **options: Any) -> None:
        super().__init__(gateway)
        self.rules = HeaderRules(**options) if rules is None else rules
        """Which fields."""
        finisher = self.rules.finisher
        if finisher.needs_nonce:
            raise ValueError(
                "a policy with a nonce needs pages that write it; use hashes for a program that is no Kirsch "
                "application"
            )
        # Bound once: a bound method made for each request costs as much as the look-up.
        self._finish = finisher.finish_exchange

    def __call__(self, exchange: Exchange) -> None:
        """Answer, with the fields."""
        if exchange.finish is None:
            exchange.finish = self._finish
        else:
            finished_by(exchange, self._finish)
        self.gateway(exchange)
