"""The leader: one thread polls, reads, parses and runs short handlers; a deputy takes over when it is caught
in a long one.

Under the interpreter lock, threads that fight for it ruin the tail of everybody's response times, so one
thread does all that is short. The rule:

1. The thread in `Loop.run` leads. Before it calls a handler it lays the exchange into `_baton`, afterwards it
takes it out.
2. The deputy looks every millisecond while there is something to see. When it finds the same exchange twice
it takes the
   baton itself, and with it the lead and what is left of the batch; a new deputy is appointed. Taking out of
   a list is atomic, so exactly one of the two has it.
3. A leader that comes back and finds the baton gone finishes that one answer as a pool thread would, and
ends.
4. While nothing runs, the deputy sleeps; the next handler wakes it.

The thread that leads owns everything here, but for what is said at each attribute.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter, deque
from time import monotonic_ns, perf_counter_ns
from typing import TYPE_CHECKING, Any

from kirsch.http.dates import format_date
from kirsch.http.exchange import Exchange, RequestHead
from kirsch.http.pace import SHORT_NS
from kirsch.server.acceptor import Acceptor
from kirsch.server.answer import prepare
from kirsch.server.body import BodyLimits
from kirsch.server.head import HeadCache, HeadLimits, HeadParser
from kirsch.server.phases import HANDLER, IDLE
from kirsch.server.poller import make_poller
from kirsch.server.reaper import Reaper

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from kirsch.config import ServerSettings
    from kirsch.http.exchange import Gateway
    from kirsch.http.pace import Pace
    from kirsch.server.connection import Connection
    from kirsch.server.errors import RequestError
    from kirsch.server.listener import Listener
    from kirsch.server.poller import Poller
    from kirsch.server.pool import Pool

__all__ = ["WATCH_S", "Loop"]

WATCH_S = 0.001
"""Seconds between two looks of the deputy: how long the others wait at most, give or take one look, for a
leader that is caught in a handler."""

_SAMPLE = 63
"""Of short handlers on the leader one in so many, and one, is noted: a mask, as the count goes by on the hot
path."""

_QUIET_LOOKS = 3
"""Looks that find no handler running before the deputy goes to sleep."""


_NO_HEAD = RequestHead("-", "-", "-", "", 1, ())
"""Stands in the access log for a head that was refused: nothing of it can be trusted to be one."""


def preemptions() -> int:
    """Return how often the system took the processor from the calling thread; 0 where it does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    who = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if who is None else resource.getrusage(who).ru_nivcsw


class Loop:
    """Everything one leader leads: listeners, connections, the poller, what is remembered of heads.

    Parameters:
        settings: of the server.
        gateway: what answers.
        listeners: open listening sockets; the loop closes them when it drains.
        pool: runs what is not short.
        context: TLS for every connection; None for plain HTTP.
        log: takes a message and whether a traceback goes with it; called from any thread.
        end: told of a SystemExit or KeyboardInterrupt raised by a handler; called from any thread.
        name: prefix of the threads' names.
        poller: what to wait on; the system's best by default.
    """

    def __init__(
        self,
        settings: ServerSettings,
        gateway: Gateway,
        listeners: list[Listener],
        pool: Pool,
        *,
        context: ssl.SSLContext | None = None,
        log: Callable[..., None],
        end: Callable[[BaseException], None],
        name: str = "kirsch",
        poller: Poller | None = None,
    ) -> None:
        self.settings = settings
        self.gateway = gateway
        self.pool = pool
        self.context = context
        self.log = log
        self.end = end
        self.name = name
        self.poller = poller or make_poller()
        self._read_settings(settings)

        self.connections: dict[int, Connection] = {}
        """Open connections by descriptor."""
        self.now = monotonic_ns()
        """Time of the last poll, in nanoseconds of the monotonic clock. Any thread may read it."""
        self.handover = threading.Lock()
        """Guards `busy` and `missed` of connections while they change owners. Held for a few instructions."""
        self.draining = False
        """Whether the server stops: every answer closes its connection. Any thread may read it."""
        self.drained = threading.Event()
        """Set when the loop has ended."""
        self.refused: Counter[str] = Counter()
        """Refused requests by reason."""
        self.takeovers = 0
        """Times the deputy took the lead."""
        self.access: Callable[[Connection, Exchange], None] | None = None
        """Told of every answer; called from any thread."""
        self.before_wait: Callable[[], None] | None = None
        """Called by the leader before it waits, for what was put off."""

        self.acceptor = Acceptor(self, listeners)
        self.reaper = Reaper(self)
        self._batch: Iterator[tuple[int, int]] = iter(())
        # Appended to by any thread, emptied by the leader.
        self._inbox: deque[Callable[[], bool | None]] = deque()
        self._sleeping = False
        self._stopped = False
        self._wake_receiver, self._wake_sender = socket.socketpair()
        for end_of_pair in (self._wake_receiver, self._wake_sender):
            end_of_pair.setblocking(False)  # noqa: FBT003  the socket's own signature
        self._second = 0
        self.stamped = b""
        """The Date and Server lines; brought up to date by the leader after each wait, by other threads
        before each answer."""
        self.stamp()

        # The baton: empty, or the exchange the leader runs. Taken from by the leader and the deputy.
        self._baton: list[Exchange] = []
        # Released to wake the deputy; `_deputy_sleeps` is set by the deputy and cleared by whoever releases.
        self._alarm = threading.Lock()
        self._alarm.acquire()
        self._deputy_sleeps = False
        self._threads: list[threading.Thread] = []
        self._preemptions = 0
        self._led = 0

    def _read_settings(self, settings: ServerSettings) -> None:
        # Read once: attributes of the loop are a step nearer to the hot path than the settings.
        self.inline = settings.inline
        self.body_limits = BodyLimits(
            settings.max_body,
            settings.body_memory,
            settings.max_chunk_overhead,
            settings.max_fields,
            settings.max_field,
        )
        limits = HeadLimits(
            settings.max_request_line,
            settings.max_field,
            settings.max_head,
            settings.max_fields,
            settings.max_body,
        )
        self.heads = HeadCache(HeadParser(limits))
        self.response_memory = settings.response_memory
        self.response_buffer = settings.response_buffer
        self.write_timeout = settings.write_timeout
        self.lingers = settings.linger_timeout > 0
        self.most_requests = settings.max_requests_per_connection or (1 << 62)
        if not settings.idle_timeout:
            self.most_requests = 1

    # ---- threads -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Watch the listeners and start the leader and its deputy."""
        self.poller.register(self._wake_receiver.fileno(), listener=True)
        self.acceptor.start()
        self._appoint(self._lead_thread, "leader")
        self._appoint(self._deputy_thread, "deputy")

    def _appoint(self, target: Callable[[], None], role: str) -> None:
        thread = threading.Thread(target=target, name=f"{self.name} {role}", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _lead_thread(self) -> None:
        self.pool.hooks.started()
        try:
            self.run()
        finally:
            self.pool.hooks.stopped()

    def join(self, timeout: float) -> bool:
        """Wait for the loop's threads to end, at most `timeout` seconds; return whether they did."""
        end = time.monotonic() + timeout
        for thread in self._threads:
            # A handler may stop its own server: its thread is not waited for.
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # ---- leading -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Lead until the loop is stopped or the lead is lost."""
        connections = self.connections
        while True:
            for descriptor, event in self._batch:
                connection = connections.get(descriptor)
                if connection is None:
                    self._special(descriptor)
                elif connection.busy and connection.overhear(event):
                    continue
                else:
                    try:
                        if connection.on_event(event):
                            return
                    except Exception:  # noqa: BLE001  see below
                        # The top of the leader: a defect of the server costs the connection, never the
                        # thread.
                        self.log(
                            "The server met an error of its own; the connection is closed.", traceback=True
                        )
                        connection.close()
            if self._run_inbox():
                return
            if self.now >= self.reaper.due and self.reaper.sweep():
                return
            if self._stopped:
                self._end()
                return
            self._wait()

    def _run_inbox(self) -> bool:
        inbox = self._inbox
        for _ in range(len(inbox)):
            try:
                if inbox.popleft()():
                    return True
            except Exception:  # noqa: BLE001  see below
                # The same top, for what other threads asked the leader to do.
                self.log("The server met an error of its own.", traceback=True)
        return False

    def _wait(self) -> None:
        if self.before_wait is not None:
            self.before_wait()
        self._sleeping = True
        # Whoever appends after this looks sees `_sleeping` and wakes; whoever appended before is seen here.
        timeout = 0.0 if self._inbox else self.reaper.patience()
        events = self.poller.poll(timeout)
        self._sleeping = False
        self.now = monotonic_ns()
        self.stamp()
        self._batch = iter(events)

    def _special(self, descriptor: int) -> None:
        if descriptor == self._wake_receiver.fileno():
            with contextlib.suppress(BlockingIOError):
                while self._wake_receiver.recv(4096):
                    pass
        else:
            self.acceptor.accept(descriptor)

    def call(self, task: Callable[[], bool | None]) -> None:
        """Have the leader call `task` soon; it returns True when the caller lost the lead in it. From any
        thread.
        """
        self._inbox.append(task)
        if self._sleeping:
            self._sleeping = False
            # Full means that a wake-up is on its way already; closed, that the loop has ended.
            with contextlib.suppress(OSError):
                self._wake_sender.send(b"\0")

    def lead(self, connection: Connection, exchange: Exchange) -> bool:
        """Run a short handler and send its answer. Return whether the lead was lost meanwhile."""
        if self._deputy_sleeps:
            self._wake_deputy()
        baton = self._baton
        begin = perf_counter_ns()
        baton.append(exchange)
        wire = prepare(connection, exchange)
        try:
            baton.pop()
        except IndexError:
            if wire is not None:
                connection.transmit(wire)
            connection.finish(exchange)
            connection.release()
            return True
        took = perf_counter_ns() - begin
        self._led += 1
        if (took > SHORT_NS or not self._led & _SAMPLE) and exchange.pace is not None:
            self._note(exchange.pace, took)
        if wire is not None:
            connection.transmit(wire)
        if exchange.after is not None or exchange.body is not None or self.access is not None:
            connection.finish(exchange)
        if connection.closing or connection.out is not None:
            connection.settle()
        else:
            connection.state = IDLE
        return False

    def _note(self, pace: Pace, took: int) -> None:
        """Have a kind of request learn how long it took; unless the system took the processor from the
        leader.

        On a busy machine every kind would end in the pool otherwise. A handler that waits gives the processor
        up by itself, which the system counts apart.
        """
        before, self._preemptions = self._preemptions, preemptions()
        if took <= SHORT_NS or self._preemptions == before:
            pace.observe(took, -1, leading=True)

    def hand_to_pool(self, connection: Connection, exchange: Exchange) -> None:
        """Have the pool answer; the connection is `busy` from now on."""
        self.poller.pause(connection.descriptor)
        self.pool.put(connection, exchange)

    # ---- the deputy --------------------------------------------------------------------------------

    def _deputy_thread(self) -> None:
        quiet = 0
        while not self._stopped:
            if quiet >= _QUIET_LOOKS:
                self._deputy_sleeps = True
                # A handler laid down before the flag was set would not wake us: look once more before
                # sleeping.
                if not self._baton:
                    self._alarm.acquire()
                self._deputy_sleeps = False
                quiet = 0
                continue
            seen = self._baton[:1]
            self._alarm.acquire(timeout=WATCH_S)
            if not seen:
                quiet += 1
                continue
            quiet = 0
            if self.take_lead(seen[0]):
                self._lead_thread()
                return

    def _wake_deputy(self) -> None:
        if self._deputy_sleeps:
            self._deputy_sleeps = False
            # Released already when two threads wake it at once, which is as good.
            with contextlib.suppress(RuntimeError):
                self._alarm.release()

    def take_lead(self, seen: Exchange) -> bool:
        """Take the lead if the leader is still in the handler of `seen`; return whether it was taken.

        Called by the deputy. The connection of `seen` belongs to the old leader from then on.
        """
        if self._baton[:1] != [seen]:
            return False
        with self.handover:
            # Held until the connection is marked: the old leader, back from its handler, waits for it in
            # `release`.
            try:
                taken = self._baton.pop()
            except IndexError:
                return False
            connection: Any = taken.link
            connection.exchange = taken
            connection.state, connection.since = HANDLER, self.now
            connection.busy = True
        if taken.pace is not None:
            taken.pace.fall()
        self.poller.pause(connection.descriptor)
        self.takeovers += 1
        self._appoint(self._deputy_thread, "deputy")
        return True

    # ---- what connections ask for ------------------------------------------------------------------

    def stamp(self) -> bytes:
        """Bring `stamped` up to date and return it. From any thread: two may make the same bytes at once."""
        second = int(time.time())
        if second != self._second:
            server = self.settings.server_header
            line = f"Date: {format_date(second)}\r\n" + (f"Server: {server}\r\n" if server else "")
            self.stamped = line.encode("latin-1")
            self._second = second
        return self.stamped

    def shake_hands(self, connection: Connection) -> None:
        """Take the next step of a TLS handshake; its arithmetic runs in the pool."""
        from kirsch.server.tls import begin_handshake, shake_hands

        if self.context is not None and begin_handshake(connection, self.context):
            connection.busy = True
            self.poller.pause(connection.descriptor)
            self.pool.call(lambda: shake_hands(connection))

    def forget(self, connection: Connection) -> None:
        """Drop a connection that closes."""
        self.poller.unregister(connection.descriptor)
        if self.connections.get(connection.descriptor) is connection:
            del self.connections[connection.descriptor]
        self.acceptor.resume()

    def count_refusal(self, connection: Connection, error: RequestError) -> None:
        """Note a refused request, in the access log too."""
        self.refused[error.reason] += 1
        if self.access is not None:
            exchange = Exchange(connection.head or _NO_HEAD, None, 0, connection)
            exchange.status = str(error.status)
            connection.sent = len(error.text) + 1
            self.access(connection, exchange)

    def count_lost(self, connection: Connection, error: OSError) -> None:  # noqa: ARG002  metrics will tell them apart
        """Note a connection that broke."""
        self.refused["lost"] += 1

    # ---- the end -----------------------------------------------------------------------------------

    def drain(self) -> None:
        """Begin to stop: no new connections, every answer closes. From any thread; `drained` is set at the
        end.
        """
        self.call(self.reaper.begin_drain)

    def stop(self) -> None:
        """Have the leader end once it has seen the inbox. Called by the leader."""
        self._stopped = True

    def _end(self) -> None:
        for connection in list(self.connections.values()):
            connection.close()
        self._wake_deputy()
        with contextlib.suppress(RuntimeError):
            self._alarm.release()
        self.poller.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        if self.before_wait is not None:
            self.before_wait()
        self.drained.set()
