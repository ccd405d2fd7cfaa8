"""Accepting connections: up to a limit, and with patience when the system has no more descriptors. Owned by
the leader.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

from kirsch.server.connection import Connection
from kirsch.server.phases import HANDSHAKE, IDLE
from kirsch.server.response import error_page

if TYPE_CHECKING:
    from kirsch.server.listener import Listener
    from kirsch.server.roles import Lead

__all__ = ["Acceptor", "descriptor_limit"]

_AT_ONCE = 64
"""Connections accepted before the others have their turn; the listener is reported again while more wait."""

_RESERVE = 64
"""Descriptors left to the program: its files, its database connections."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
"""What a listening socket says for ever once somebody else has closed it or shut it down, as happens to
inherited ones."""

_FULL = "The server has as many connections as it can serve. Try again soon."


def descriptor_limit() -> int:
    """Return how many connections the limit on open files allows, less a reserve; a large number where there
    is none.
    """
    try:
        import resource
    except ImportError:
        # Windows: its `select`, all that Python has there, takes 512 sockets.
        return 512 - _RESERVE
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(16, soft - _RESERVE)


class Acceptor:
    """Turns what waits on the listeners into connections.

    Parameters:
        loop: the loop they belong to.
        listeners: open listening sockets.
    """

    def __init__(self, loop: Lead, listeners: list[Listener]) -> None:
        self._loop = loop
        self._listeners = {listener.sock.fileno(): listener for listener in listeners}
        self._limit = loop.settings.max_connections or descriptor_limit()
        self._kind = Connection
        if loop.context is not None:
            from kirsch.server.tls import TLSConnection

            self._kind = TLSConnection
        self._watching = False
        self.accepted = 0
        """Connections so far."""
        self.rejected = 0
        """Connections answered 503 because there were too many."""

    def start(self) -> None:
        """Begin to watch the listeners."""
        if not self._watching:
            for descriptor in self._listeners:
                self._loop.poller.register(descriptor, listener=True)
            self._watching = True

    def pause(self) -> None:
        """Stop watching the listeners: what connects waits in the system's queue."""
        if self._watching:
            for descriptor in self._listeners:
                self._loop.poller.unregister(descriptor)
            self._watching = False

    @property
    def paused(self) -> bool:
        """Whether the listeners are not watched for want of descriptors."""
        return bool(self._listeners) and not self._watching

    def resume(self) -> None:
        """Watch the listeners again after descriptors ran out; called when a connection closes and by the
        reaper.
        """
        if not self._watching and self._listeners and not self._loop.draining:
            self.start()

    def accept(self, descriptor: int, most: int = _AT_ONCE) -> bool:
        """Accept what waits at a listener, at most `most`; return whether more may be waiting."""
        listener = self._listeners.get(descriptor)
        if listener is None:
            self._loop.poller.unregister(descriptor)
            return False
        for _ in range(most):
            try:
                sock, peer = listener.sock.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.log("No more descriptors for new connections; waiting for some to close.")
                    self.pause()
                    return False
                if error.errno in _BROKEN:
                    self._loop.log(f"A listening socket is of no more use: {error.strerror}.")
                    self._drop(descriptor)
                    return False
                # Aborted before it was accepted; the next one is no worse for it.
                continue
            self._open(sock, peer, listener)
        return True

    def _open(self, sock: socket.socket, peer: Any, listener: Listener) -> None:
        loop = self._loop
        sock.setblocking(False)  # noqa: FBT003  the socket's own signature
        if listener.is_tcp and loop.settings.nodelay:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(loop.connections) >= self._limit:
            self._reject(sock)
            return
        self.accepted += 1
        address = (peer[0], peer[1]) if listener.is_tcp else ("", 0)
        tls = loop.context is not None
        connection = self._kind(loop, sock, address, "https" if tls else "http", HANDSHAKE if tls else IDLE)
        loop.connections[connection.descriptor] = connection
        loop.poller.register(connection.descriptor)

    def _reject(self, sock: socket.socket) -> None:
        self.rejected += 1
        with contextlib.suppress(OSError):
            if self._loop.context is None:
                sock.send(
                    error_page(503, "Service Unavailable", _FULL, b"Retry-After: 1\r\n" + self._loop.stamp())
                )
            sock.shutdown(socket.SHUT_WR)
        sock.close()

    def _drop(self, descriptor: int) -> None:
        self._loop.poller.unregister(descriptor)
        self._listeners.pop(descriptor).close()

    def close(self) -> None:
        """Accept what has connected already, then close the listeners: what comes later is refused by the
        system.
        """
        for listener in self._listeners.values():
            listener.turn_away()
        for descriptor in list(self._listeners):
            # No more than can wait, so that a flood of new ones does not hold up the end.
            self.accept(descriptor, self._loop.settings.backlog + 1)
        self.pause()
        for listener in self._listeners.values():
            listener.close()
        self._listeners = {}
