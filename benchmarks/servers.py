"""The table of servers: how each is started with which program, and the starting itself."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from environment import CHECKOUT, LIMIT, PROGRAMS, PYTHON
from process import Tree, cores

READY_WITHIN = 15.0
PYTHON_TEXT = str(PYTHON)

Command = Callable[[int], list[str]]


@dataclass(frozen=True)
class Server:
    """One row: a server with a program, and the loads it takes part in."""

    key: str  # what --only matches, by prefix
    name: str
    program: str
    package: str  # whose version goes into the report, and whose failure to build explains a missing row
    command: Command
    shapes: tuple[str, ...] = ("same", "varied")


def kirsch(target: str, *options: str) -> Command:
    """`kirsch run`, one process, as a person would start it."""
    return lambda port: [PYTHON_TEXT, "-m", "kirsch", "run", target, "--bind", f"127.0.0.1:{port}", *options]


def gunicorn(target: str) -> Command:
    """One gthread worker with ten threads; its limit on kept-alive connections lifted."""
    words = shlex.split(
        "--workers 1 --worker-class gthread --threads 10 --keep-alive 75 --worker-connections 60000"
    )
    words += shlex.split("--backlog 1024 --no-control-socket --log-level warning")
    return lambda port: [PYTHON_TEXT, "-m", "gunicorn", *words, "--bind", f"127.0.0.1:{port}", target]


def granian(target: str) -> Command:
    """One worker with the WSGI interface; its limit on connections lifted, its number of threads kept."""
    words = shlex.split("--interface wsgi --workers 1 --backpressure 60000 --blocking-threads 512")
    words += shlex.split("--log-level warning --host 127.0.0.1 --port")
    return lambda port: [PYTHON_TEXT, "-m", "granian", *words, str(port), target]


def uvicorn(target: str) -> Command:
    """One process on httptools and uvloop, without its access log."""
    words = shlex.split(
        "--interface asgi3 --http httptools --loop uvloop --no-access-log --timeout-keep-alive 75"
    )
    words += shlex.split("--log-level warning --host 127.0.0.1 --port")
    return lambda port: [PYTHON_TEXT, "-m", "uvicorn", *words, str(port), target]


def launched(server: str, target: str) -> Command:
    """Start a server through programs/serve.py."""
    return lambda port: [PYTHON_TEXT, str(PROGRAMS / "serve.py"), server, target, str(port)]


def cherrypy(port: int) -> list[str]:
    """CherryPy behind its own server."""
    return [PYTHON_TEXT, str(PROGRAMS / "hello_cherrypy.py"), str(port)]


def limit(port: int) -> list[str]:
    """The C loop."""
    return [str(LIMIT), str(port)]


OFF = ("--access-log", "off")
HELLO = "hello:app"
OBJECT = "hello_kirsch:Root"
SLEEPERS = "sleepers:app"
ONE_SHAPE = ("same",)

THE_LIMIT = Server("limit", "the limit (C epoll loop)", "constant bytes", "limit", limit)

# Whose cost is measured, in the order of the table.
HELLOS: tuple[Server, ...] = (
    THE_LIMIT,
    Server("kirsch-wsgi", "Kirsch", "WSGI hello", "kirsch", kirsch(HELLO, *OFF)),
    Server("bjoern", "bjoern", "WSGI hello", "bjoern", launched("bjoern", HELLO)),
    Server("fastwsgi", "fastwsgi", "WSGI hello", "fastwsgi", launched("fastwsgi", HELLO)),
    Server("granian", "Granian, WSGI", "WSGI hello", "granian", granian(HELLO)),
    Server("uvicorn-asgi", "uvicorn", "ASGI hello", "uvicorn", uvicorn("hello_asgi:app")),
    Server("uvicorn-wsgi", "uvicorn, a2wsgi", "WSGI hello", "uvicorn", uvicorn("hello_asgi:wrapped")),
    Server("gunicorn", "gunicorn gthread", "WSGI hello", "gunicorn", gunicorn(HELLO)),
    Server("waitress", "waitress", "WSGI hello", "waitress", launched("waitress", HELLO)),
    Server("cheroot", "Cheroot", "WSGI hello", "cheroot", launched("cheroot", HELLO)),
    Server("kirsch-object", "Kirsch", "object hello", "kirsch", kirsch(OBJECT, *OFF)),
    Server(
        "kirsch-log",
        "Kirsch, access log on",
        "object hello",
        "kirsch",
        kirsch(OBJECT, "--access-log", "combined"),
    ),
    Server("cherrypy", "CherryPy", "object hello", "cherrypy", cherrypy),
    Server("kirsch-falcon", "Kirsch", "Falcon hello", "kirsch", kirsch("hello_falcon:app", *OFF), ONE_SHAPE),
    Server(
        "granian-falcon", "Granian, WSGI", "Falcon hello", "granian", granian("hello_falcon:app"), ONE_SHAPE
    ),
    Server(
        "gunicorn-falcon",
        "gunicorn gthread",
        "Falcon hello",
        "gunicorn",
        gunicorn("hello_falcon:app"),
        ONE_SHAPE,
    ),
    Server("kirsch-flask", "Kirsch", "Flask hello", "kirsch", kirsch("hello_flask:app", *OFF), ONE_SHAPE),
    Server("granian-flask", "Granian, WSGI", "Flask hello", "granian", granian("hello_flask:app"), ONE_SHAPE),
    Server(
        "gunicorn-flask",
        "gunicorn gthread",
        "Flask hello",
        "gunicorn",
        gunicorn("hello_flask:app"),
        ONE_SHAPE,
    ),
)

# Who holds idle connections.
HOLDING: tuple[Server, ...] = tuple(
    server
    for server in HELLOS
    if server.key in {"limit", "kirsch-wsgi", "granian", "gunicorn", "waitress", "cheroot"}
)

# Whose way from nothing to the first answer is timed.
STARTING: tuple[Server, ...] = tuple(
    server
    for server in HELLOS
    if server.key
    in {
        "kirsch-wsgi",
        "kirsch-object",
        "cherrypy",
        "granian",
        "uvicorn-asgi",
        "gunicorn",
        "waitress",
        "cheroot",
    }
)

TEN = ("--threads", "10")

# Who runs short handlers beside sleeping ones, each with ten threads.
SLEEPING: tuple[Server, ...] = (
    Server("kirsch-wsgi", "Kirsch", "WSGI", "kirsch", kirsch(SLEEPERS, *OFF, *TEN)),
    Server("kirsch-object", "Kirsch", "objects", "kirsch", kirsch(OBJECT, *OFF, *TEN)),
    Server("waitress", "waitress", "WSGI", "waitress", launched("waitress", SLEEPERS)),
    Server("cheroot", "Cheroot", "WSGI", "cheroot", launched("cheroot", SLEEPERS)),
    Server("gunicorn", "gunicorn gthread", "WSGI", "gunicorn", gunicorn(SLEEPERS)),
)


class Started:
    """A server started for a measurement; `problem` says why it is not there, and is empty when it is."""

    def __init__(self, server: Server, failures: dict[str, str]) -> None:
        self.server = server
        self.port = free_port()
        self.ready_after = 0.0  # seconds from the start of the process to its first answer
        self.tree: Tree | None = None
        self.problem = ""
        if server.package in failures:
            self.problem = f"not installed: {failures[server.package]}"
            return
        began = time.perf_counter()
        path = os.pathsep.join([str(PROGRAMS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.tree = Tree(
            server.command(self.port), cwd=PROGRAMS, environment={"PYTHONPATH": path}, core=cores()[0]
        )
        try:
            self._wait(began)
        except BaseException:
            self.end()
            raise

    def _wait(self, began: float) -> None:
        assert self.tree is not None
        while time.perf_counter() - began < READY_WITHIN:
            if not self.tree.alive():
                self.problem = f"ended with code {self.tree.root.returncode}: {self.last_words()}"
                break
            if answer := ask(self.port):
                self.ready_after = time.perf_counter() - began
                if not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"Hello, world!")):
                    self.problem = f"answered {answer[:80]!r}"
                break
            time.sleep(0.003)
        else:
            self.problem = f"not ready within {READY_WITHIN:.0f} s: {self.last_words()}"
        if self.problem:
            self.end()

    def last_words(self) -> str:
        """The last line of the server's output, without this machine's folders, fit for a table."""
        assert self.tree is not None
        return self.tree.last_line().replace(f"{CHECKOUT}{os.sep}", "")[:160]

    def running(self) -> Tree:
        """Return the tree of a server that is there."""
        assert self.tree is not None
        return self.tree

    def end(self) -> None:
        """End the server's tree, if any; may be called twice."""
        if self.tree is not None:
            self.tree.end()
            self.tree = None


@contextmanager
def started(servers: Iterable[Server], failures: dict[str, str]) -> Iterator[list[Started]]:
    """Start servers one after another; end all together when the block is left, however it is left."""
    running: list[Started] = []
    try:
        for server in servers:
            running.append(Started(server, failures))  # noqa: PERF401  what runs must be known when the next one fails
        yield running
    finally:
        for one in running:
            if one.tree is not None:
                one.tree.ask_to_end()
        for one in running:
            one.end()


def free_port() -> int:
    """Ask the kernel for a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, path: str = "/") -> bytes:
    """Send one request and read the answer to its end; empty when nobody answers yet."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
                if answer.endswith(b"Hello, world!"):
                    break
            return answer
    except OSError:
        return b""


def chosen(servers: tuple[Server, ...], only: list[str]) -> list[Server]:
    """Filter by the prefixes of --only; the limit always stays, because every figure is a ratio to it."""
    return [
        server
        for server in servers
        if not only or server is THE_LIMIT or any(server.key.startswith(word) for word in only)
    ]
