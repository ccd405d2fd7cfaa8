"""What protections of whole programs share: a gateway around a gateway, for objects and foreign programs.

A wrapper looks at an exchange before the program sees it, and may answer itself; or it changes each answer by
`Exchange.finish`, which the innermost gateway calls when it has set one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kirsch.http.exchange import Exchange, Gateway, RequestHead
    from kirsch.http.pace import Pace

__all__ = ["Wrapper", "finished_by", "refuse"]

_PLAIN: Final = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)


class Wrapper:
    """A gateway around another one; by itself it changes nothing.

    Parameters:
        gateway: what it protects.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        """What it protects."""

    @property
    def exchange_type(self) -> type[Exchange]:
        """The class of exchanges that the inner gateway wants."""
        return self.gateway.exchange_type

    def __call__(self, exchange: Exchange) -> None:
        """Have the inner gateway answer."""
        self.gateway(exchange)

    def pace(self, head: RequestHead) -> Pace:
        """See `kirsch.http.exchange.Gateway`."""
        return self.gateway.pace(head)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.gateway!r}>"


def finished_by(exchange: Exchange, finish: Callable[[Exchange], object]) -> None:
    """Have `finish` called with each answer of `exchange`, before what was to be called already."""
    outer = exchange.finish
    if outer is None:
        exchange.finish = finish
        return

    def both(exchange: Exchange) -> None:
        finish(exchange)
        outer(exchange)

    exchange.finish = both


def refuse(exchange: Exchange, status: str, text: str, fields: Iterable[tuple[str, str]] = ()) -> None:
    """Answer `exchange` in the place of the program.

    Parameters:
        exchange: the exchange.
        status: status line, such as `403 Forbidden`.
        text: one sentence for the client; nothing in it may come from the request.
        fields: more fields.
    """
    exchange.status = status
    exchange.fields = [*_PLAIN, *fields]
    exchange.content = f"{text}\n".encode()
    if exchange.finish is not None:
        exchange.finish(exchange)
