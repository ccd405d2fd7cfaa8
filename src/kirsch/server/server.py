"""The server: settings and a gateway in, connections served, until it is stopped."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import IO, TYPE_CHECKING

from kirsch.config import ServerSettings
from kirsch.server.access import AccessLog
from kirsch.server.leader import Loop
from kirsch.server.listener import open_listeners
from kirsch.server.pool import Pool, ThreadHooks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from kirsch.bus import Bus
    from kirsch.http.exchange import Gateway
    from kirsch.server.listener import Listener

__all__ = ["Server"]

_START_PRIORITY = 75
_STOP_PRIORITY = 25
_FLUSH_PRIORITY = 25


class Server:
    """An HTTP/1.1 server. May be made several times in one process, and started again after it was stopped.

    Parameters:
        gateway: what answers requests.
        settings: everything that can be set; hardened defaults without it.
        hooks: told when a thread begins and ends to serve.
        log: takes a message, and `traceback=True` to add the exception being handled; the logger
        `kirsch.error` by default.
        end: told of a SystemExit or KeyboardInterrupt that a handler raised; the end of the program by the
        bus, usually.
        access_stream: where access lines go; standard output by default.
        name: prefix of the threads' names.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: ServerSettings | None = None,
        *,
        hooks: ThreadHooks | None = None,
        log: Callable[..., None] | None = None,
        end: Callable[[BaseException], None] | None = None,
        access_stream: IO[str] | None = None,
        name: str = "kirsch",
    ) -> None:
        self.gateway = gateway
        self.settings = settings or ServerSettings()
        self.hooks = hooks or ThreadHooks()
        self.log = log or _log
        self.end = end or self._end
        self.access_stream = access_stream
        self.name = name
        self.loop: Loop | None = None
        """The running loop; None while the server is stopped."""
        self.ready = False
        """Whether load balancers should send requests: it runs and was not told to stop."""
        self.cut: list[str] = []
        """What the last stop cut off because it ran longer than `server.shutdown_timeout`, in words."""
        self.addresses: list[tuple[str, int]] = []
        """Host and real port of each listener, the path and 0 for a Unix socket; empty while stopped."""
        self.urls: list[str] = []
        """Where a person finds the server, one URL for each listener; empty while stopped."""
        self._pool: Pool | None = None
        self._access: AccessLog | None = None
        # Held through start and stop, so that two threads asking at once get one transition after the other.
        self._lock = threading.RLock()
        self._bus: Bus | None = None

    # ---- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind, then serve. Returns when connections are accepted.

        Raises BindError when an address or a certificate cannot be used; nothing is left behind then. A
        server that runs stays as it is.
        """
        with self._lock:
            if self.loop is not None:
                return
            context = None
            if self.settings.tls_certificate is not None:
                # Only then: importing ssl costs more than the rest of the server.
                from kirsch.server.tls import make_context

                context = make_context(self.settings)
            listeners = open_listeners(
                self.settings.bind, backlog=self.settings.backlog, unix_mode=self.settings.unix_mode
            )
            self.addresses = [listener.address for listener in listeners]
            self.urls = [listener.url(self.scheme) for listener in listeners]
            try:
                self._serve(listeners, context)
            except BaseException:
                # The system has no more descriptors or threads.
                self.addresses, self.urls = [], []
                for listener in listeners:
                    listener.close()
                raise
            for url in self.urls:
                self._tell(f"Serving on {url}")

    def _serve(self, listeners: list[Listener], context: ssl.SSLContext | None) -> None:
        pool = Pool(self.settings.threads, self.hooks, self.name, self.log)
        try:
            pool.start()
            loop = Loop(
                self.settings,
                self.gateway,
                listeners,
                pool,
                context=context,
                log=self.log,
                end=self.end,
                name=self.name,
            )
            self._open_access_log(loop, pool)
            loop.start()
        except BaseException:
            pool.stop(1)
            self._access = None
            raise
        self.loop, self._pool = loop, pool
        self.ready = True

    def _open_access_log(self, loop: Loop, pool: Pool) -> None:
        if self.settings.access_log == "off":
            return
        access = AccessLog(self.settings.access_log, self.access_stream or sys.stdout)
        self._access = access

        def before_wait() -> None:
            if access.waiting:
                if access.blocks:
                    access.flush_by(pool.call)
                else:
                    access.flush()

        loop.access = access
        loop.before_wait = before_wait
        # The leader may sleep for long while a pool thread is the last to answer.
        pool.before_wait = access.flush

    def stop(self) -> None:
        """Stop gracefully; returns when everything is closed. A stopped server stays as it is. Bounded at
        each step:

        0. For `drain_delay` the server goes on serving, and says that it is not `ready`.
        1. What has connected already is accepted; the listeners close, new connections are refused.
        2. Idle connections close; a request that reached the server before that is still answered.
        3. Running requests finish, their answers say `Connection: close`; at most `shutdown_timeout`.
        4. Half-sent requests may arrive for `shutdown_head_timeout`, then they get 503.
        5. What still runs is named in the log with its stack, its connection is cut.
        6. The leader and the pool end; a thread that does not within a second is left behind as a daemon.
        7. The access log is written.
        """
        with self._lock:
            loop, pool = self.loop, self._pool
            if loop is None or pool is None:
                return
            bound = self.settings.shutdown_timeout
            self.ready = False
            if self.settings.drain_delay:
                time.sleep(self.settings.drain_delay)
            loop.drain()
            if not loop.drained.wait(bound + 5):
                self.log("The server's loop did not end in time; its threads are left behind.")
            self.cut = list(loop.reaper.cut)
            for what in self.cut:
                self.log(f"Cut off after {bound:g} s of shutdown: {what}")
            joined = loop.join(1)
            stuck = [thread.name for thread in pool.stop(1)]
            if not joined:
                stuck.append(f"{self.name} leader")
            if stuck:
                self.log(f"Threads left behind in a handler: {', '.join(stuck)}.")
            if self._access is not None:
                self._access.flush()
            self.loop = self._pool = self._access = None
            self.addresses, self.urls = [], []

    @property
    def running(self) -> bool:
        """Whether the server accepts connections."""
        loop = self.loop
        return loop is not None and not loop.draining

    @property
    def scheme(self) -> str:
        """`https` when the server speaks TLS, else `http`."""
        return "https" if self.settings.tls_certificate is not None else "http"

    # ---- the bus -----------------------------------------------------------------------------------

    def subscribe(self, bus: Bus) -> None:
        """Start and stop with `bus`: after ordinary plugins on start (75), before them on stop (25)."""
        self._bus = bus
        bus.subscribe("start", self.start, _START_PRIORITY)
        bus.subscribe("stop", self.stop, _STOP_PRIORITY)
        bus.subscribe("graceful", self.flush, _FLUSH_PRIORITY)

    def unsubscribe(self) -> None:
        """Leave the bus."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.unsubscribe("start", self.start)
            bus.unsubscribe("stop", self.stop)
            bus.unsubscribe("graceful", self.flush)

    def flush(self) -> None:
        """Write the lines of the access log that wait; before the file is opened anew, on the bus's
        `graceful`.
        """
        access = self._access
        if access is not None:
            access.flush()

    def _tell(self, message: str) -> None:
        if self._bus is not None:
            self._bus.log(message)
        else:
            logging.getLogger("kirsch.error").info(message)

    def _end(self, error: BaseException) -> None:
        if self._bus is not None:
            bus = self._bus
            self.log(f"A handler raised {type(error).__name__}: the program ends.")
            threading.Thread(target=bus.exit, name=f"{self.name} end", daemon=True).start()


def _log(message: str, *, traceback: bool = False) -> None:
    logging.getLogger("kirsch.error").error(message, exc_info=traceback)
