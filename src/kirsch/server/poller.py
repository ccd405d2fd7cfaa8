"""Waiting for sockets: epoll, edge-triggered, where there is one; `selectors` elsewhere.

Both say the same: `poll` returns (descriptor, events) pairs, each readiness once. A connection that a pool
thread holds may be reported; the leader notes that and looks again when it has the connection back, so epoll
needs not be told to be silent meanwhile. With `selectors`, which go on reporting, the leader calls `pause`
and `resume`, which do nothing on epoll: a request costs no system call beside its reading and its writing.

Owned by the leader; only `register` and `unregister` of listeners happen elsewhere, before it runs.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["READ", "WRITE", "Poller", "make_poller"]

READ = 1
"""There is something to read, or the end of it, or an error. Equals EPOLLIN."""
WRITE = 4
"""The socket takes bytes again. Equals EPOLLOUT."""


class Poller(Protocol):
    """What the leader waits on."""

    edge: bool
    """Whether each readiness is reported once; the reader must then read until there is nothing left."""

    def poll(self, timeout: float | None, /) -> list[tuple[int, int]]:
        """Wait for at most so many seconds (None: for ever) and return (descriptor, events) pairs."""

    def register(self, descriptor: int, *, listener: bool = False) -> None:
        """Begin to watch; a listener goes on being reported while connections wait."""

    def unregister(self, descriptor: int) -> None:
        """Stop watching. A descriptor that is not watched is no error."""

    def pause(self, descriptor: int) -> None:
        """Report nothing until `resume`, where reports would repeat."""

    def resume(self, descriptor: int, *, writing: bool = False) -> None:
        """Report again: reading, and with `writing` that too."""

    def close(self) -> None:
        """Release it."""


if sys.platform == "linux":

    class EpollPoller:
        """epoll (Linux). One registration per connection for its whole life."""

        edge = True

        # RDHUP: the peer shut its sending side; it may come with the last bytes and then is not reported
        # again.
        _EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self.poll: Callable[[float | None], list[tuple[int, int]]] = self._epoll.poll

        def register(self, descriptor: int, *, listener: bool = False) -> None:
            """See `Poller.register`."""
            self._epoll.register(descriptor, select.EPOLLIN if listener else self._EVENTS)

        def unregister(self, descriptor: int) -> None:
            """See `Poller.unregister`."""
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(descriptor)

        def pause(self, descriptor: int) -> None:
            """Do nothing: an edge is reported once."""

        def resume(self, descriptor: int, *, writing: bool = False) -> None:
            """Do nothing: the registration stands."""

        def close(self) -> None:
            """See `Poller.close`."""
            self._epoll.close()


class SelectorPoller:
    """The system's best of `selectors` (kqueue, poll, select): works everywhere, Windows included."""

    edge = False

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """See `Poller.poll`."""
        return [
            (
                key.fd,
                (READ if events & selectors.EVENT_READ else 0)
                | (WRITE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(timeout)
        ]

    def register(self, descriptor: int, *, listener: bool = False) -> None:  # noqa: ARG002  one shape for both
        """See `Poller.register`."""
        self._selector.register(descriptor, selectors.EVENT_READ)

    def unregister(self, descriptor: int) -> None:
        """See `Poller.unregister`."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def pause(self, descriptor: int) -> None:
        """See `Poller.pause`."""
        self.unregister(descriptor)

    def resume(self, descriptor: int, *, writing: bool = False) -> None:
        """See `Poller.resume`."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        try:
            self._selector.modify(descriptor, events)
        except KeyError:
            self._selector.register(descriptor, events)

    def close(self) -> None:
        """See `Poller.close`."""
        self._selector.close()


def make_poller() -> Poller:
    """Return the best poller of this system."""
    if sys.platform == "linux":
        return EpollPoller()
    else:  # noqa: RET505  mypy takes what follows a platform check for unreachable
        return SelectorPoller()
