"""Lines of JSON between two processes, over a pair of connected sockets.

The socket is also a lifeline: when the other process is gone, however it went, reading ends.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Link", "pair"]


class Link:
    """One end. `send` may be called from any thread, `messages` belongs to one.

    Parameters:
        sock: a connected stream socket; closed by `close`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # Held while a line is sent, so that lines do not mix.
        self._lock = threading.Lock()

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """Return the end that a parent process has passed on; OSError when there is none of that number.

        The descriptor is duplicated: a process that starts itself anew finds it again by its number.
        """
        import os

        return cls(socket.socket(fileno=os.dup(descriptor)))

    def send(self, **message: Any) -> bool:
        """Send one message; return whether somebody is there to take it."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                self._socket.sendall(line)
            except OSError:
                return False
        return True

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """Yield what arrives, until the other end is gone. A line that is no message is passed over."""
        with contextlib.suppress(OSError), self._socket.makefile("rb") as lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:  # cut off in the middle: its sender was killed
                    continue
                if isinstance(message, dict):
                    yield message

    def close(self) -> None:
        """Close this end; a thread in `messages` comes to its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def pair() -> tuple[Link, socket.socket]:
    """Return our end, and the socket whose descriptor is for the child."""
    ours, theirs = socket.socketpair()
    return Link(ours), theirs
