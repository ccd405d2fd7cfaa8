"""What time does to connections: timeouts, and the last phase of the server. Owned by the leader.

A sweep looks at every connection about once a second while there are any; between sweeps nothing counts time,
so a request costs no timer. A timeout may therefore end up to one sweep late.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import traceback
from time import perf_counter_ns
from typing import TYPE_CHECKING

from kirsch.server.errors import RequestError
from kirsch.server.phases import ASKED, BODY, HANDLER, HANDSHAKE, HEAD, IDLE, LINGER, WRITING
from kirsch.server.poller import READ

if TYPE_CHECKING:
    from kirsch.server.connection import Connection
    from kirsch.server.roles import Lead

__all__ = ["Reaper"]

_NS = 1_000_000_000
_NEVER = 1 << 62
_TURN_S = 10
"""Seconds after which remembered heads age by one generation."""

_QUIET_NS = 100_000_000
"""While the server drains, a connection that was active within this many nanoseconds is given as long again
for the request that may be on its way; the answer then says that it is the last one."""

_REST_NS = 2 * _NS
"""A connection idle for as many nanoseconds gives up what it only kept to be quick."""

_DRAIN_LINGER_NS = _NS // 2
"""The longest linger while the server drains, so that clients which never look at their idle connections do
not hold it up."""

_SLOW_HEAD = "The head of the request took too long to arrive."
_SLOW_BODY = "The body of the request took too long to arrive."
_STOPPING = "The server is stopping and could not wait for the rest of the request."


class Reaper:
    """Ends what takes too long.

    Parameters:
        loop: whose connections it looks after.
    """

    def __init__(self, loop: Lead) -> None:
        self._loop = loop
        settings = loop.settings
        self._timeouts = {
            HANDSHAKE: self._nanoseconds(settings.handshake_timeout),
            IDLE: self._nanoseconds(settings.idle_timeout),
            HEAD: self._nanoseconds(settings.head_timeout),
            BODY: self._nanoseconds(settings.body_timeout),
            WRITING: self._nanoseconds(settings.write_timeout),
            LINGER: self._nanoseconds(settings.linger_timeout),
        }
        self._body_rate = settings.body_min_rate
        self._handler = self._nanoseconds(settings.handler_timeout)
        shortest = min([*self._timeouts.values(), self._handler, _NS * 4])
        self._interval = max(shortest // 4, _NS // 100)
        self.due = loop.now + self._interval
        """Time of the next sweep, in nanoseconds of the loop's clock."""
        self._turn = loop.now + _TURN_S * _NS
        # What was reported: descriptor and begin. Both together are never those of another request.
        self._reported: set[tuple[int, int]] = set()
        self._drain_begin = 0
        self._stop_delay = self._nanoseconds(settings.shutdown_timeout) if settings.shutdown_timeout else 0
        self.cut: list[str] = []
        """What was cut off at the end of the shutdown timeout, in words."""

    @staticmethod
    def _nanoseconds(seconds: float) -> int:
        return int(seconds * _NS) if seconds else _NEVER

    def patience(self) -> float | None:
        """Return for how many seconds the leader may wait: until the next sweep, for ever when there is
        nothing to sweep.
        """
        loop = self._loop
        if not (loop.connections or loop.draining or loop.acceptor.paused or loop.heads.remembers):
            return None
        return max(0, self.due - loop.now) / _NS

    def sweep(self) -> bool:
        """Look at every connection. Return whether the lead was lost meanwhile."""
        loop = self._loop
        now = loop.now
        self.due = now + (min(self._interval, _NS // 50) if loop.draining else self._interval)
        if now >= self._turn:
            loop.heads.turn()
            self._turn = now + _TURN_S * _NS
        loop.acceptor.resume()
        for connection in list(loop.connections.values()):
            if connection.busy:
                self._look_at_handler(connection)
            elif self._drain(connection) if loop.draining else self._age(connection):
                return True
        if loop.draining:
            self._finish_drain()
        return False

    def _age(self, connection: Connection) -> bool:
        """End a connection that has waited too long for what it waits for."""
        now = self._loop.now
        state = connection.state
        if state == IDLE and not connection.requests:
            # The first request is not one a client may take its time for.
            if now - connection.since >= self._timeouts[HEAD]:
                connection.close()
        elif state == IDLE:
            if now - connection.active >= self._timeouts[IDLE]:
                connection.hang_up()
            elif now - connection.active >= _REST_NS:
                # What a gateway keeps for the next request is some kilobytes, too much for ten thousand idle
                # ones.
                connection.derived = None
        elif state == HEAD:
            if now - connection.since >= self._timeouts[HEAD]:
                connection.refuse(RequestError(408, _SLOW_HEAD, "slow_head"))
        elif state == BODY:
            self._age_body(connection)
        elif state == WRITING:
            if now - connection.active >= self._timeouts[WRITING]:
                connection.lost(TimeoutError("The client reads too slowly."))
        elif now - connection.since >= self._timeouts.get(state, _NEVER):
            connection.close()
        return False

    def _age_body(self, connection: Connection) -> None:
        now = self._loop.now
        allowed = self._timeouts[BODY]
        received = connection.body.received if connection.body is not None else 0
        late = now - connection.active >= allowed
        if self._body_rate and allowed != _NEVER:
            late = late or now - connection.since >= allowed + received * _NS // self._body_rate
        if late:
            connection.refuse(RequestError(408, _SLOW_BODY, "slow_body"))

    def _look_at_handler(self, connection: Connection) -> None:
        """Report a handler that runs too long, once, with its stack."""
        if connection.state != HANDLER or self._loop.now - connection.since < self._handler:
            return
        key = (connection.descriptor, connection.since)
        if key in self._reported:
            return
        running = {(each.descriptor, each.since) for each in self._loop.connections.values() if each.busy}
        self._reported = (self._reported & running) | {key}
        self._loop.log(self._report(connection))

    def _report(self, connection: Connection) -> str:
        exchange = connection.exchange
        what = f"{exchange.head.method} {exchange.head.path}" if exchange is not None else "a request"
        seconds = (self._loop.now - connection.since) / _NS
        for key, (running, begin) in list(self._loop.pool.running.items()):
            if running is exchange:
                seconds = (perf_counter_ns() - begin) / _NS
                frame = sys._current_frames().get(key)  # noqa: SLF001  the documented way to another thread's stack
                name = next((t.name for t in threading.enumerate() if t.ident == key), "a thread")
                stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
                return f"The handler of {what} has run for {seconds:.1f} s in {name}.\n{stack}"
        return f"The handler of {what} has waited or run for {seconds:.1f} s."

    # ---- the last phase ----------------------------------------------------------------------------

    def begin_drain(self) -> None:
        """Stop accepting; see `Server.stop` for the whole protocol."""
        loop = self._loop
        if loop.draining:
            return
        loop.acceptor.close()
        loop.draining = True
        for connection in loop.connections.values():
            if connection.busy and not connection.closing:
                connection.closing = ASKED
        self._drain_begin = loop.now
        self.due = loop.now

    def _drain(self, connection: Connection) -> bool:
        """Bring a connection nearer to its end. Return whether the lead was lost meanwhile."""
        now = self._loop.now
        state = connection.state
        if state == IDLE:
            if connection.buffer or now - max(connection.active, connection.since) < _QUIET_NS:
                return False
            # A request that came before this close is still answered.
            if connection.read(READ):
                return True
            if connection.state == IDLE and not connection.busy:
                connection.hang_up()
        elif state in {HEAD, BODY}:
            if now - self._drain_begin >= int(self._loop.settings.shutdown_head_timeout * _NS):
                connection.refuse(RequestError(503, _STOPPING, "shutdown"))
        elif state == HANDSHAKE:
            # It may have waited to be accepted when the server began to stop.
            if now - self._drain_begin >= int(self._loop.settings.shutdown_head_timeout * _NS):
                connection.close()
        elif state == LINGER:
            if now - connection.since >= min(_DRAIN_LINGER_NS, self._timeouts[LINGER]):
                connection.close()
        else:
            self._age(connection)
        return False

    def _finish_drain(self) -> None:
        loop = self._loop
        if loop.connections and loop.now - self._drain_begin < self._stop_delay:
            return
        for connection in list(loop.connections.values()):
            if connection.busy:
                self.cut.append(self._report(connection))
                connection.closing = True
                # The thread still uses the socket, so it is broken, not closed: its next write ends it.
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
            else:
                connection.close()
        loop.stop()
