"""The load: wrk with its two shapes, and connections that are held idle."""

from __future__ import annotations

import itertools
import os
import select
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from environment import HERE
from process import Tree, cores, pinned

if TYPE_CHECKING:
    from types import TracebackType

FIGURES = "FIGURES "
PORTS_PER_ADDRESS = 20_000  # the kernel's ephemeral range holds 28 000 a source address; wrk needs some too
AT_ONCE = 64  # idle connections being opened at a time, well below every server's backlog


class LoadError(Exception):
    """wrk failed; the message is its own."""


@dataclass(frozen=True)
class Load:
    """What one wrk run saw. Times are in seconds."""

    requests: int
    duration: float
    errors: int  # connect, read, write errors, timeouts, and answers that are not 2xx or 3xx
    p50: float
    p99: float
    own_seconds: float  # CPU time of wrk itself

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.duration


class Wrk:
    """A wrk that runs in the background until `result` is asked for; ended by leaving the `with` block."""

    def __init__(
        self, port: int, *, connections: int, seconds: float, shape: str = "same", path: str = "/"
    ) -> None:
        self._seconds = seconds
        whole = max(1, round(seconds))
        words = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{whole}s"]
        words += [
            "--latency",
            "--timeout",
            "5s",
            "--script",
            str(HERE / "load.lua"),
            f"http://127.0.0.1:{port}{path}",
        ]
        self._before = os.times()
        self._process = subprocess.Popen(
            pinned(words, cores()[1]),
            env={**os.environ, "BENCH_SHAPE": shape, "BENCH_PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def result(self) -> Load:
        """Wait for the end and return the figures; raises LoadError when wrk could not run or hung."""
        try:
            output, _ = self._process.communicate(timeout=self._seconds + 15)
        except subprocess.TimeoutExpired:
            raise LoadError("wrk did not end") from None
        after = os.times()
        line = next((line for line in output.splitlines() if line.startswith(FIGURES)), None)
        if self._process.returncode or line is None:
            raise LoadError(f"wrk: {output.strip().splitlines()[-1:] or 'no output'}")
        requests, microseconds, *errors, p50, p99 = (int(word) for word in line.removeprefix(FIGURES).split())
        own = (
            after.children_user
            + after.children_system
            - self._before.children_user
            - self._before.children_system
        )
        return Load(requests, microseconds / 1e6, sum(errors), p50 / 1e6, p99 / 1e6, own)


def warm(port: int, *, connections: int, seconds: float, shape: str = "same", path: str = "/") -> None:
    """Let a server learn and grow before it is measured; nothing is read from this load."""
    with Wrk(port, connections=connections, seconds=seconds + 1, shape=shape, path=path):
        time.sleep(seconds)


def drive(port: int, *, connections: int, seconds: float, shape: str = "same", path: str = "/") -> Load:
    """Run wrk in the foreground."""
    with Wrk(port, connections=connections, seconds=seconds, shape=shape, path=path) as wrk:
        return wrk.result()


class IdleConnections:
    """Keep-alive connections that made one request and then say nothing; leaving the block closes them."""

    # A source network for each run: closed connections of the last one still block their ports for a minute.
    _networks = itertools.count(1)

    def __init__(self, port: int) -> None:
        self._port = port
        self._network = next(self._networks)
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._held:
            connection.close()
        self._held.clear()

    def open(self, count: int, *, within: float) -> int:
        """Open up to `count` connections within so many seconds; return how many were answered and kept."""
        deadline = time.monotonic() + within
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode()
        while len(self._held) < count and time.monotonic() < deadline:
            fresh: list[socket.socket] = []
            try:
                for number in range(len(self._held), min(count, len(self._held) + AT_ONCE)):
                    source = f"127.{self._network}.0.{1 + number // PORTS_PER_ADDRESS}"
                    fresh.append(socket.create_connection(("127.0.0.1", self._port), 5, (source, 0)))
                    fresh[-1].sendall(request)
                kept = [connection for connection in fresh if answered(connection)]
            except OSError:
                kept = []
            for connection in set(fresh) - set(kept):
                connection.close()
            self._held += kept
            if not kept:
                break  # the server takes no more
        return len(self._held)

    def still_open(self) -> int:
        """Count those the server has not closed since."""
        poller = select.poll()
        for connection in self._held:
            poller.register(connection, select.POLLIN | select.POLLHUP)
        return len(self._held) - len(poller.poll(0))


def answered(connection: socket.socket) -> bool:
    """Read one whole hello; False when the server closed or took more than five seconds."""
    answer = b""
    with suppress(OSError):
        while piece := connection.recv(4096):
            answer += piece
            if answer.endswith((b"Hello, world!", b"0\r\n\r\n")):
                return answer.startswith(b"HTTP/1.1 200")
    return False


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a server tree for each completed request, and the load that showed it."""

    seconds: float
    load: Load


def cost(tree: Tree, port: int, *, seconds: float, shape: str = "same") -> Cost:
    """Drive a server with thirty-two connections and read what that cost its tree."""
    before = tree.seconds()
    load = drive(port, connections=32, seconds=seconds, shape=shape)
    spent = tree.seconds() - before
    tree.forget_output()
    if not load.requests:
        raise LoadError("no request was answered")
    return Cost(spent / load.requests, load)
