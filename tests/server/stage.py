"""A server's loop on a stage: no thread runs it but the test's own; the test says what its poller reports."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kirsch.config import ServerSettings
from kirsch.http.exchange import Exchange, RequestHead
from kirsch.http.pace import Pace
from kirsch.server import leader
from kirsch.server.connection import Connection
from kirsch.server.leader import Loop
from kirsch.server.phases import IDLE
from kirsch.server.pool import Pool, ThreadHooks
from tests.server.harness import GET, WAIT, Log

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from kirsch.server.listener import Listener


class Gateway:
    """Answers with what `handle` says; every request has the one pace."""

    exchange_type = Exchange

    def __init__(self) -> None:
        self.kind = Pace()
        self.handle: Callable[[Exchange], Any] = lambda _: b"ok"

    def pace(self, head: RequestHead) -> Pace:
        return self.kind

    def __call__(self, exchange: Exchange) -> None:
        exchange.status = "200 OK"
        exchange.content = self.handle(exchange)


class Steady(Pace):
    """A kind of request that stays short, however long a busy machine takes."""

    def __init__(self) -> None:
        super().__init__()
        self.short = True

    def observe(self, wall_ns: int, cpu_ns: int, *, leading: bool) -> None:
        pass


class Curtain(Exception):  # noqa: N818  no error: the end of what the test has laid out
    """Leaves a loop that would wait."""


class Script:
    """A poller that reports what the test lays into `batches`, and then lets the curtain fall."""

    edge = True

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []
        self.waits: list[float | None] = []
        self.watched: set[int] = set()
        self.poll: Callable[[float | None], list[tuple[int, int]]] = self._poll

    def _poll(self, timeout: float | None) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        if self.batches:
            return self.batches.pop(0)
        if timeout == 0:
            return []
        raise Curtain

    def register(self, descriptor: int, *, listener: bool = False) -> None:
        self.watched.add(descriptor)

    def unregister(self, descriptor: int) -> None:
        self.watched.discard(descriptor)

    def pause(self, descriptor: int) -> None:
        pass

    def resume(self, descriptor: int, *, writing: bool = False) -> None:
        pass

    def close(self) -> None:
        pass


class Stage:
    """A loop that no thread runs but the test's own, with as many connections as it asks for.

    Its clock stands still but for `tick`, when `stop_the_clock` was called.
    """

    def __init__(self, *, listeners: list[Listener] | None = None, **settings: Any) -> None:
        self.gateway = Gateway()
        self.poller = Script()
        self.log = Log()
        self.ends: list[BaseException] = []
        self.pooled: list[tuple[Any, Exchange]] = []
        self.pool = Pool(1, ThreadHooks(), "test", self.log)
        self.pool.put = self._put  # type: ignore[method-assign]  # what goes to the pool waits for `work`
        self.loop = Loop(
            ServerSettings(**settings),
            self.gateway,
            listeners or [],
            self.pool,
            log=self.log,
            end=self.ends.append,
            poller=self.poller,
        )
        self.appointed: list[str] = []
        self.loop._appoint = self._appoint  # type: ignore[method-assign]  # no thread is started here
        self.clients: list[socket.socket] = []
        self.clock = 0

    def _put(self, connection: Any, exchange: Exchange) -> None:
        self.pooled.append((connection, exchange))

    def _appoint(self, target: Callable[[], None], role: str) -> None:
        self.appointed.append(role)

    def stop_the_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let time pass only in `tick`."""
        self.clock = self.loop.now
        monkeypatch.setattr(leader, "monotonic_ns", lambda: self.clock)

    def tick(self, seconds: float = 0) -> None:
        """Let time pass, and the loop notice."""
        self.clock += int(seconds * 1e9)
        self.poller.batches.append([])
        self.play()

    def connect(self, data: bytes = GET) -> Connection:
        """Open a connection on which the client has sent `data`."""
        client, accepted = socket.socketpair()
        client.settimeout(WAIT)
        accepted.settimeout(0)
        client.sendall(data)
        connection = Connection(self.loop, accepted, ("192.0.2.1", 4711), "http", IDLE)
        self.loop.connections[connection.descriptor] = connection
        self.clients.append(client)
        return connection

    def play(self) -> None:
        """Run the loop until it would wait for something that the test has not laid out."""
        with contextlib.suppress(Curtain):
            self.loop.run()

    def batch(self, *connections: Connection, event: int = 5) -> None:
        """Have the poller report `event` of each connection, at once; readable and writable by default."""
        self.poller.batches.append([(each.descriptor, event) for each in connections])

    def work(self) -> Exchange:
        """Do what a pool thread would with the task that waits longest."""
        connection, exchange = self.pooled.pop(0)
        connection.answer(exchange)
        connection.release()
        return exchange

    def received(self, number: int = 0) -> bytes:
        """Return what the client of that number can read at once."""
        client = self.clients[number]
        client.setblocking(False)  # noqa: FBT003  the socket's own signature
        pieces = []
        with contextlib.suppress(BlockingIOError):
            while piece := client.recv(1 << 20):
                pieces.append(piece)
        client.settimeout(WAIT)
        return b"".join(pieces)

    def close(self) -> None:
        """Release everything."""
        for client in self.clients:
            client.close()
        for connection in list(self.loop.connections.values()):
            connection.busy = False
            connection.close()
        if not self.loop.drained.is_set():
            self.loop._end()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something another thread does and nothing can be waited on for."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "What the test waits for has not happened."
        time.sleep(0.002)


def held() -> tuple[int, int]:
    """Return how many descriptors and threads this process has."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
