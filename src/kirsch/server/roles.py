"""What the parts of the server may ask of each other, so that none imports the one that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable

    from kirsch.config import ServerSettings
    from kirsch.http.exchange import Exchange, Gateway
    from kirsch.server.body import BodyLimits
    from kirsch.server.errors import RequestError
    from kirsch.server.head import HeadCache
    from kirsch.server.output import FileSlice
    from kirsch.server.poller import Poller

__all__ = ["Answering", "Lead", "Served"]


class Served(Protocol):
    """A connection as the pool sees it: something that answers and is then given back."""

    def answer(self, exchange: Exchange) -> None:
        """Run the gateway on `exchange` and send the answer."""

    def release(self) -> None:
        """Give the connection back to the leader."""


class Answering(Protocol):
    """A connection as the answer sees it: something to send on, and the framing it is in."""

    closing: int
    sent: int
    stream: Any

    @property
    def loop(self) -> Lead:
        """The loop that leads."""

    def transmit(self, data: bytes | memoryview, *, wait: bool = False) -> None:
        """Send bytes, keeping what the socket does not take."""

    def transmit_file(self, piece: FileSlice) -> None:
        """Send part of a file."""

    def end_of_head(self, minor: int) -> bytes:
        """Return the last lines of a response head."""

    def abort(self, *, reset: bool) -> None:
        """Have the connection end without the rest of the answer."""


class Lead(Protocol):
    """The loop as its parts see it; `kirsch.server.leader.Loop` says what each is and who owns it."""

    settings: ServerSettings
    gateway: Gateway
    poller: Poller
    heads: HeadCache
    body_limits: BodyLimits
    connections: dict[int, Any]
    handover: threading.Lock
    context: ssl.SSLContext | None
    access: Callable[[Any, Exchange], None] | None
    log: Callable[..., None]
    end: Callable[[BaseException], None]
    now: int
    draining: bool
    inline: bool
    lingers: bool
    most_requests: int
    response_memory: int
    response_buffer: int
    write_timeout: float
    stamped: bytes
    # The acceptor and the pool, whose modules see this one.
    acceptor: Any
    pool: Any

    def stamp(self) -> bytes:
        """Bring the Date and Server lines up to date and return them."""

    def call(self, task: Callable[[], bool | None]) -> None:
        """Have the leader call `task` soon."""

    def lead(self, connection: Any, exchange: Exchange) -> bool:
        """Run a short handler and send its answer; return whether the lead was lost."""

    def hand_to_pool(self, connection: Any, exchange: Exchange) -> None:
        """Have the pool answer."""

    def shake_hands(self, connection: Any) -> None:
        """Take the next step of a TLS handshake."""

    def forget(self, connection: Any) -> None:
        """Drop a connection that closes."""

    def count_refusal(self, connection: Any, error: RequestError) -> None:
        """Note a refused request."""

    def count_lost(self, connection: Any, error: OSError) -> None:
        """Note a connection that broke."""

    def stop(self) -> None:
        """End once the inbox is empty."""
