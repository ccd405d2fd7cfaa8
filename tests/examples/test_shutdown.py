"""Ctrl-C and SIGTERM under load: exit code 0, no reset connection, no answer lost to an accepted request."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.examples.served import Served, responses, serve

PACES = "../tests/examples/programs/paces.py:Root"
CLIENTS = 12
LOAD_S = 0.6
"""Seconds of load before the signal comes."""

QUIET_S = 0.1
"""A server that stops closes connections that have rested for so long (`_QUIET_NS` of the reaper). A client
that is kept from running for longer may send its next request too late, as HTTP allows (RFC 9112 9.5)."""


@dataclass
class Tally:
    """What one client has seen. Owned by its thread."""

    answered: int = 0
    told_to_close: int = 0
    unaccepted: int = 0
    """Connections made after the signal that nobody took up any more."""
    resting: int = 0
    """Connections that had rested when the server closed them; see `QUIET_S`."""
    wrong: list[str] = field(default_factory=list)


class Clients:
    """Threads that each send request after request on a kept connection, until nobody listens any more."""

    def __init__(self, server: Served, paths: list[str]) -> None:
        self._server = server
        self._signalled = threading.Event()
        self.tallies = [Tally() for _ in range(CLIENTS)]
        self._threads = [
            threading.Thread(target=self._run, args=(number, paths[number % len(paths)], tally))
            for number, tally in enumerate(self.tallies)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def signal(self) -> None:
        """Note that the signal is about to be sent: from now on a connection may come too late."""
        self._signalled.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _run(self, number: int, path: str, tally: Tally) -> None:
        try:
            while self._connect(number, path, tally):
                pass
        except Exception as error:  # noqa: BLE001  the top of a thread: the test reads what went wrong
            tally.wrong.append(f"{type(error).__name__}: {error}")

    def _connect(self, number: int, path: str, tally: Tally) -> bool:
        late = self._signalled.is_set()
        try:
            connection = self._server.connect()
        except ConnectionRefusedError:
            if not self._signalled.is_set():
                tally.wrong.append("refused before the signal")
            return False
        answered = 0
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = time.monotonic()
            while True:
                before, asked = asked, time.monotonic()
                try:
                    kept = self._ask(connection, f"{number}-{tally.answered}", path)
                except (OSError, AssertionError) as error:
                    signalled = late or self._signalled.is_set()
                    # The system completes a connection before the server has accepted it; those that
                    # complete while the listening socket closes were never the server's.
                    if answered == 0 and signalled:
                        tally.unaccepted += 1
                    elif signalled and asked - before >= QUIET_S:
                        tally.resting += 1
                    else:
                        tally.wrong.append(f"{type(error).__name__} after {answered} answers: {error}")
                    return True
                answered += 1
                tally.answered += 1
                if not kept:
                    tally.told_to_close += 1
                    return True

    @staticmethod
    def _ask(connection: socket.socket, name: str, path: str) -> bool:
        """Ask once; return whether the connection stays open."""
        connection.sendall(f"GET /{path}?n={name} HTTP/1.1\r\nHost: load.example\r\n\r\n".encode())
        ((status, fields, body),) = responses(connection, 1)
        assert (status, body) == (200, f"{path} {name}".encode())
        return fields.get("connection", "").lower() != "close"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("paths", [["fast"], ["slow"], ["fast", "slow", "stream"]], ids="-".join)
def test_no_answer_is_lost_when_a_signal_comes_under_load(paths: list[str], number: signal.Signals) -> None:
    with serve(PACES) as server:
        clients = Clients(server, paths)
        clients.start()
        time.sleep(LOAD_S)
        clients.signal()
        code = server.end(number)
        clients.join()
    assert [tally.wrong for tally in clients.tallies if tally.wrong] == []
    assert code == 0
    assert sum(tally.answered for tally in clients.tallies) > CLIENTS
    assert sum(tally.told_to_close + tally.resting for tally in clients.tallies) >= CLIENTS
    assert any(tally.told_to_close for tally in clients.tallies)


@pytest.mark.skipif(
    shutil.which("wrk") is None, reason="wrk is not installed; the clients above need nothing"
)
def test_wrk_reads_no_broken_answer_when_a_signal_comes() -> None:
    with serve(PACES) as server:
        wrk = subprocess.Popen(
            ["wrk", "-t2", "-c32", "-d3", f"{server.url}/fast?n=1"], stdout=subprocess.PIPE, text=True
        )
        time.sleep(1)
        code = server.end()
        output, _ = wrk.communicate(timeout=20)
    assert code == 0
    # wrk goes on connecting when nobody listens any more, and counts that as connect or write errors.
    errors = re.search(r"Socket errors: connect \d+, read (\d+), write \d+, timeout (\d+)", output)
    assert errors is not None, output
    assert errors.groups() == ("0", "0"), output
    assert "Non-2xx" not in output


def test_a_handler_that_runs_when_the_signal_comes_is_answered_and_the_next_client_refused() -> None:
    with serve(PACES) as server, server.connect() as connection, server.connect() as idle:
        connection.sendall(b"GET /slow?n=1 HTTP/1.1\r\nHost: load.example\r\n\r\n")
        # The server has read the request when it answers a later one on another connection.
        idle.sendall(b"GET /fast?n=2 HTTP/1.1\r\nHost: load.example\r\n\r\n")
        responses(idle, 1)
        server.process.send_signal(signal.SIGTERM)
        ((status, fields, body),) = responses(connection, 1)
        assert (status, body) == (200, b"slow 1")
        assert fields["connection"] == "close"
        assert idle.recv(1) == b""
        assert server.process.wait(20) == 0
        with pytest.raises(ConnectionRefusedError):
            server.connect()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("hello/hello.py", ()),
        ("flask_app/guestbook.py", ()),
        ("survey.wsgi", ("--chdir", "django_app")),
        ("falcon_app/library.py", ()),
    ],
)
def test_each_program_ends_with_exit_code_0(
    target: str, options: tuple[str, ...], number: signal.Signals
) -> None:
    with serve(target, *options) as server, server.connect():
        assert server.end(number) == 0
