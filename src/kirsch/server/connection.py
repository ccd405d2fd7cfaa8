"""One connection: reads requests, has them answered, writes, lingers, closes.

A connection has one owner at a time. The leader owns it while it waits, reads, or writes what a slow client
left over.
While a handler runs off the leader (`busy`), the thread that runs it owns it: the leader then only notes what
it hears of the socket in `missed`, under the loop's `handover` lock. Methods are grouped by who may call
them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

from kirsch.http.status import reason
from kirsch.server.answer import attempt, prepare, push
from kirsch.server.body import receiver
from kirsch.server.errors import ClientGone, RequestError
from kirsch.server.head import skip_empty_lines
from kirsch.server.output import WOULD_BLOCK, FileSlice, Output
from kirsch.server.phases import ASKED, BODY, CLOSED, HANDLER, HANDSHAKE, HEAD, IDLE, LINGER, WRITING
from kirsch.server.poller import READ, WRITE
from kirsch.server.response import error_page

if TYPE_CHECKING:
    from typing import BinaryIO

    from kirsch.http.exchange import Address, Exchange, RequestHead
    from kirsch.server.answer import Stream
    from kirsch.server.body import ChunkedBody, LengthBody
    from kirsch.server.roles import Lead

__all__ = ["Connection"]

_READ_SIZE = 65536
_READABLE = READ | WRITE
"""What an edge-triggered poller says of a socket with something to read: nearly all can be written to as
well."""
_WRITE_AT_ONCE = 1 << 20
"""Bytes written to one connection before the others have their turn: a client on a fast network takes a file
as quickly as it is read."""
_AT_ONCE = 16
"""Pipelined requests served before the other connections have their turn (CVE-2021-29509)."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINE_ENDS = b"\r\n"


class Connection:
    """One accepted socket; also the `Link` that gateways see.

    Parameters:
        loop: the leader's loop, which owns the connection.
        sock: the accepted socket, non-blocking.
        peer: the client's address.
        scheme: `http` or `https`.
        state: what the connection waits for first: `HANDSHAKE` or `IDLE`.
    """

    __slots__ = (
        "active",
        "body",
        "buffer",
        "busy",
        "closing",
        "derived",
        "descriptor",
        "exchange",
        "head",
        "lingers",
        "loop",
        "missed",
        "out",
        "peer",
        "requests",
        "scheme",
        "sent",
        "since",
        "sock",
        "state",
        "stream",
    )

    def __init__(self, loop: Lead, sock: socket.socket, peer: Address, scheme: str, state: int) -> None:
        self.loop = loop
        self.sock = sock
        self.descriptor = sock.fileno()
        self.peer = peer
        self.scheme = scheme
        self.state = state
        self.busy = False
        """Whether another thread than the leader owns the connection."""
        self.missed = 0
        """Events that came while it was busy. Guarded by `loop.handover`."""
        self.closing: int = False
        """Whether the connection ends after the answer on its way, or shall (`ASKED`)."""
        self.lingers = True
        """Whether the close after the last answer waits for the client to have read it."""
        self.requests = 0
        self.active = self.since = loop.now
        """`active`: the loop's time, in nanoseconds, of the last progress; `since`: of the begin of this
        state."""
        self.buffer = b""
        """Bytes read and not used yet: the begin of a head, or pipelined requests."""
        self.head: RequestHead | None = None
        self.body: LengthBody | ChunkedBody | None = None
        self.exchange: Exchange | None = None
        self.out: Output | None = None
        self.stream: Stream | None = None
        """The framing of the response on its way, where it is not sent as a whole."""
        self.sent = 0
        """Bytes of body in the response, for the access log."""
        self.derived: Any = None
        """What the gateway derives from the connection; its own affair."""

    @property
    def local(self) -> Address:
        """See `Link.local`."""
        try:
            name = self.sock.getsockname()
        except OSError:
            return "", 0
        if isinstance(name, tuple):
            return name[0], name[1]
        return (name.decode() if isinstance(name, bytes) else name), 0

    # ---- called by the leader ----------------------------------------------------------------------

    def overhear(self, event: int) -> bool:
        """Take what the poller reported while another thread owned the connection, if one still does.

        Return whether one does. What it waits for is done here: bytes that it wants written are.
        """
        with self.loop.handover:
            if not self.busy:
                return False
            self.missed |= event
        out = self.out
        if event & ~READ and out is not None:
            with out.lock:
                self._try_flush(out)
        return True

    def watch(self) -> bool:
        """Have the poller report that a busy connection takes bytes again; for pollers that were paused."""
        if self.busy and self.state != CLOSED:
            self.loop.poller.resume(self.descriptor, writing=True)
        return False

    def on_event(self, event: int) -> bool:
        """Take what the poller reported. Return whether the caller lost the lead meanwhile."""
        if event == _READABLE and self.state == IDLE and not self.buffer:
            # The way most requests take: whole in one read, with a head that was seen before.
            try:
                data = self.sock.recv(_READ_SIZE)
            except WOULD_BLOCK:
                return False
            except OSError as error:
                self.lost(error)
                return False
            loop = self.loop
            head = loop.heads.heads.get(data)
            if head is None:
                return self.read(event, data)
            self.active = loop.now
            return self._dispatch(head, None, 0)
        return self.attend(event)

    def attend(self, event: int) -> bool:
        """Take what the poller reported, in whatever state. Return as `on_event` does."""
        if event & WRITE and self.out is not None:
            self._flush(self.out)
        state = self.state
        if not event & ~WRITE and state != HANDSHAKE:
            return False
        if state == HANDSHAKE:
            self.loop.shake_hands(self)
            return False
        if state >= LINGER:
            self._discard()
            return False
        if self._puts_off_reading():
            self.missed |= event
            return False
        return self.read(event)

    def _puts_off_reading(self) -> bool:
        # What comes while the client takes no answers, or ahead of its turn, waits in the kernel; `go_on`
        # follows.
        return self.state == WRITING or (self.state == IDLE and self.buffer != b"")

    def read(self, event: int, data: bytes | None = None) -> bool:
        """Read what is there and serve it, `data` first if that was read already. Return whether the caller
        lost the lead meanwhile.
        """
        for _ in range(_AT_ONCE):
            if data is None:
                try:
                    data = self.sock.recv(_READ_SIZE)
                except WOULD_BLOCK:
                    return False
                except OSError as error:
                    self.lost(error)
                    return False
            if self._take(data):
                # The lead is lost, and this event with it: whoever leads now looks for what it also told of.
                with self.loop.handover:
                    self.missed |= event | READ
                self.loop.call(self.go_on)
                return True
            if self.state >= LINGER:
                return False
            if len(data) < _READ_SIZE and not event & ~_READABLE and self.scheme == "http":
                # The kernel has no more, or it would have filled the buffer; what comes now is a new edge.
                return False
            with self.loop.handover:
                # Set before the owner can look: if there is more, no edge will tell of it again.
                if self.busy or self._puts_off_reading():
                    self.missed |= event | READ
                    return False
            data = None
        self.missed |= event | READ
        self.loop.call(self.go_on)
        return False

    def _take(self, data: bytes) -> bool:
        """Use what was read. Return whether the caller lost the lead meanwhile."""
        if not data:
            self._end_of_input()
            return False
        self.active = self.loop.now
        if self.state == BODY:
            if self._feed_body(data):
                return True
            # What lies behind a body that the leader has served.
            return self.state == IDLE and self.buffer != b"" and self.serve_buffer()
        known = len(self.buffer)
        self.buffer = self.buffer + data if known else data
        return self.serve_buffer(known)

    def serve_buffer(self, known: int = 0) -> bool:
        """Serve the requests in `buffer` as far as they are whole. Return whether the caller lost the lead
        meanwhile.

        `known` is the number of bytes at its begin that were looked at before.
        """
        for _ in range(_AT_ONCE):
            try:
                head = self._next_head(known)
                if head is None:
                    return False
                if self._begin(head):
                    return True
            except RequestError as error:
                self.refuse(error)
                return False
            if self.busy or self.state != IDLE or not self.buffer:
                return False
            known = 0
        self.loop.call(self.go_on)
        return False

    def _next_head(self, known: int) -> RequestHead | None:
        data = self.buffer
        if data[:1] in _LINE_ENDS and data:
            data = skip_empty_lines(data)
            known = 0
        # Two empty lines with nothing before them are no head: what is looked for lies behind a byte of one.
        end = data.find(b"\r\n\r\n", max(1, known - 3)) + 4
        if end < 4 or data[:1] in _LINE_ENDS:  # noqa: PLR2004  not found
            self.buffer = data
            self.loop.heads.parser.check_unfinished(data, max(0, known - 1))
            if data and self.state != HEAD:
                self.state = HEAD
                if self.requests:
                    # The time for the first head runs since the connection is open.
                    self.since = self.loop.now
            return None
        heads = self.loop.heads
        if end == len(data):
            self.buffer = b""
        else:
            self.buffer = data[end:]
            data = data[:end]
        return heads.heads.get(data) or heads.get(data)

    def _begin(self, head: RequestHead) -> bool:
        if head.length == 0:
            return self._dispatch(head, None, 0)
        self.head = head
        self.body = receiver(head.length, self.loop.body_limits)
        self.state = BODY
        self.since = self.loop.now
        rest, self.buffer = self.buffer, b""
        if rest:
            return self._feed_body(rest)
        if head.expect_continue:
            self.transmit(_CONTINUE)
        return False

    def _feed_body(self, data: bytes) -> bool:
        body, head = self.body, self.head
        if body is None or head is None:
            raise RuntimeError(
                "A body is fed to a connection that awaits none; this is a defect of the server."
            )
        try:
            rest = body.feed(data)
        except RequestError as error:
            self.refuse(error)
            return False
        if rest is None:
            return False
        self.buffer = rest
        self.body = self.head = None
        return self._dispatch(head, body.finish(), body.received)

    def _dispatch(self, head: RequestHead, body: BinaryIO | None, length: int) -> bool:
        loop = self.loop
        self.requests += 1
        self.closing = not head.keep_alive or loop.draining or self.requests >= loop.most_requests
        gateway = loop.gateway
        exchange = gateway.exchange_type(head, body, length, self)
        exchange.pace = pace = head.pace or gateway.pace(head)
        if pace.short and loop.inline:
            return loop.lead(self, exchange)
        self.busy = True
        self.state = HANDLER
        self.since = loop.now
        self.exchange = exchange
        loop.hand_to_pool(self, exchange)
        return False

    def settle(self) -> None:
        """Go on after an answer: wait for a slow reader, close, or wait for the next request."""
        self.exchange = None
        out = self.out
        if out is not None:
            if out.failed:
                self.close()
                return
            if out.size:
                self.state = WRITING
                self.active = self.since = self.loop.now
                return
            self.out = None
        if self.closing == ASKED:
            self.closing = False
        if self.closing:
            self.hang_up()
        else:
            self.state = IDLE
            self.active = self.loop.now

    def take_back(self) -> bool:
        """Own the connection again after a handler. Return as `on_event` does."""
        with self.loop.handover:
            self.busy = False
        if self.state == HANDLER:
            self.settle()
        return self.go_on()

    def go_on(self) -> bool:
        """Take up what was put off while other connections had their turn. Return as `on_event` does."""
        if self.busy or self.state == CLOSED:
            return False
        self.loop.poller.resume(self.descriptor, writing=self.state == WRITING)
        if self.state == LINGER:
            self._discard()
            return False
        if self.state in {IDLE, HEAD} and self.buffer and self.serve_buffer():
            return True
        missed = self._take_missed()
        return missed != 0 and self.state != CLOSED and self.on_event(missed)

    def _take_missed(self) -> int:
        with self.loop.handover:
            if self.busy:
                # It stays noted for the thread that has the connection now.
                return 0
            missed, self.missed = self.missed, 0
        return missed

    def _flush(self, out: Output) -> None:
        try:
            with out.lock:
                if out.flush(self.sock, _WRITE_AT_ONCE):
                    self.active = self.loop.now
        except OSError as error:
            self.lost(error)
            return
        if self.state == WRITING and not out.size:
            self.settle()
            if self.state == IDLE:
                self.loop.call(self.go_on)
        elif self.state == WRITING and not out.blocked:
            self.loop.call(lambda: self.on_event(WRITE))

    def refuse(self, error: RequestError) -> None:
        """Answer a request that must be refused, and close."""
        self.loop.count_refusal(self, error)
        self.give_up_body()
        self.buffer = b""
        self.closing = True
        self.transmit(error_page(error.status, reason(error.status), error.text, self.loop.stamp()))
        self.settle()

    def give_up_body(self) -> None:
        """Release a body that will not be served."""
        if self.body is not None:
            self.body.close()
        self.body = self.head = None

    def _end_of_input(self) -> None:
        if self.state == BODY or (self.state == HEAD and self.buffer.strip(_LINE_ENDS)):
            self.refuse(RequestError(400, "The request ended before it was complete.", "incomplete"))
        else:
            self.close()

    def lost(self, error: OSError) -> None:
        """Close after an error of the socket: the client reset it, most likely."""
        self.loop.count_lost(self, error)
        self.close()

    def hang_up(self) -> None:
        """Close after the last answer so that the client can read it (RFC 9112 section 9.6).

        The sending side is shut and what still comes is read and dropped for `linger_timeout`: closing a
        socket with unread bytes in it resets the connection, and the reset may overtake the answer.
        """
        if not (self.lingers and self.loop.lingers):
            self.close()
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self.state = LINGER
        self.since = self.loop.now
        self.loop.poller.resume(self.descriptor)
        self._discard()

    def _discard(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data = self.sock.recv(_READ_SIZE)
            except WOULD_BLOCK:
                return
            except (OSError, ValueError):
                data = b""
            if not data:
                self.close()
                return
        self.loop.call(self.go_on)

    def close(self) -> None:
        """Close the socket and release everything. Idempotent."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.closing = True
        self.give_up_body()
        self.buffer = b""
        if self.out is not None:
            self.out.fail()
        self.loop.forget(self)
        self.sock.close()

    # ---- called by the thread that runs the handler ------------------------------------------------

    def answer(self, exchange: Exchange) -> None:
        """Run the gateway on `exchange` and send the answer."""
        self.loop.stamp()
        wire = prepare(self, exchange)
        if wire is not None:
            self.transmit(wire)
        self.finish(exchange)

    def finish(self, exchange: Exchange) -> None:
        """Do what comes after an answer: its `after`, its body, the access log."""
        if exchange.after is not None:
            attempt(self.loop, exchange.after, "The end of a request raised an error.")
        if exchange.body is not None:
            exchange.body.close()
        if self.loop.access is not None:
            self.loop.access(self, exchange)

    def end_of_head(self, minor: int) -> bytes:
        """Return the last lines of a response head: what the connection does next (RFC 9112 section 9.3)."""
        if self.closing or self.loop.draining:
            self.closing = True
            return b"Connection: close\r\n\r\n"
        return b"\r\n" if minor else b"Connection: keep-alive\r\n\r\n"

    def abort(self, *, reset: bool) -> None:
        """Have the connection end without the rest of the answer; with `reset`, so that no client takes it
        for its end.
        """
        self.closing = True
        if reset:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.lingers = False

    def release(self) -> None:
        """Give the connection back to the leader after the answer."""
        loop = self.loop
        out = self.out
        with loop.handover:
            if not (self.missed or self.buffer or self.closing or out is not None) and loop.poller.edge:
                self.exchange = None
                self.active = loop.now
                self.state = IDLE
                self.busy = False
                return
        loop.call(self.take_back)

    def transmit(self, data: bytes | memoryview, *, wait: bool = False) -> None:
        """Send `data`, keeping what the socket does not take.

        Parameters:
            data: the bytes.
            wait: whether to wait when more than `response_buffer` bytes are kept, for at most `write_timeout`
            without
                progress; ClientGone is raised after that, and when the client went away. Without it an error
                of the connection is left for the leader to find.
        """
        if self.out is None:
            try:
                sent = self.sock.send(data)
            except WOULD_BLOCK:
                sent = 0
            except OSError:
                self.closing = True
                if wait:
                    raise ClientGone("The client closed the connection.") from None
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
            self.out = Output(self.loop.response_memory, plain=self.scheme == "http")
        out = self.out
        with out.lock:
            if out.failed:
                if wait:
                    raise ClientGone("The client closed the connection.")
                return
            out.append(data)
            self._try_flush(out)
            if wait:
                self._wait_for_room(out)

    def transmit_file(self, piece: FileSlice) -> None:
        """Send part of a file; the leader goes on where the socket does not take it all."""
        if self.out is None:
            self.out = Output(self.loop.response_memory, plain=self.scheme == "http")
        with self.out.lock:
            self.out.append_file(piece)
            self._try_flush(self.out)

    def _try_flush(self, out: Output) -> None:
        # Tried after `out` is in place: an edge that came before it was would have found nothing to write.
        try:
            out.flush(self.sock, _WRITE_AT_ONCE)
        except OSError:
            self.closing = True
            out.failed = True
            out.changed.notify_all()
        if out.size and not out.blocked:
            self.loop.call(self._flush_on)

    def _flush_on(self) -> bool:
        """Go on writing to a client that takes all it is given, after a turn of others. Called by the
        leader.
        """
        return not self.overhear(WRITE) and self.state != CLOSED and self.on_event(WRITE)

    def _wait_for_room(self, out: Output) -> None:
        if out.size > self.loop.response_buffer and not self.loop.poller.edge:
            self.loop.call(self.watch)
        while out.size > self.loop.response_buffer and not out.failed:
            size = out.size
            if not out.changed.wait(self.loop.write_timeout or None) and out.size >= size:
                out.failed = True
        if out.failed:
            self.closing = True
            raise ClientGone("The client closed the connection or reads too slowly.")

    def push(self, exchange: Exchange, data: bytes) -> None:
        """See `Link.push`."""
        push(self, exchange, data)

    def tls_environ(self) -> dict[str, str]:
        """See `Link.tls_environ`."""
        return {}
