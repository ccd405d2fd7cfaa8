#!/usr/bin/env python3
"""Do to a program under load what is done to programs, and count what its clients notice.

Rolling reloads and replacements of the whole program, with no request lost; workers killed at random, with
only what they were answering lost, and their place filled again; stops, with everything answered that was
begun. Prints a table; the exit code is 1 when a promise was broken.

    python benchmarks/chaos.py                 the full count, some minutes
    python benchmarks/chaos.py --short         a few of each, some seconds
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from kirsch.supervise import ControlError, ask

PATIENCE = 60.0
"""Seconds after which something that should happen does not."""

BACK_S = 1.0
"""Seconds within which the place of a killed worker is to be filled."""

PROGRAM = """
import os, time

PID = str(os.getpid()).encode()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker", PID.decode())])
    if path == "/poll":
        time.sleep(0.7)
    if path == "/stream":
        return stream()
    if path == "/large":
        return [b"x" * 4_000_000]
    return [PID]

def stream():
    for _ in range(10):
        yield b"x" * 1000
        time.sleep(0.07)
"""


@dataclass(frozen=True)
class Place:
    """Where a program is found: a port, spoken to in TLS or not, or the path of a Unix socket."""

    port: int = 0
    path: str = ""
    tls: ssl.SSLContext | None = None


class BrokenError(Exception):
    """A request that was not answered as it should be."""


class Connection:
    """One kept connection, and who answers at its other end."""

    def __init__(self, place: Place) -> None:
        if place.path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE)
            self.sock.connect(place.path)
        else:
            self.sock = socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE)
        if place.tls is not None:
            self.sock = place.tls.wrap_socket(self.sock)
        self.stream: IO[bytes] = self.sock.makefile("rb")
        self.worker = ""
        self.stays = True

    def ask(self, path: str, pause: float = 0.0) -> int:
        """Ask once; return the size of the body. BrokenError or OSError when the answer is not whole."""
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: chaos.example\r\n\r\n".encode())
        line = self.stream.readline()
        if not line.startswith(b"HTTP/1.1 200 "):
            raise BrokenError(f"answered {line[:40]!r}")
        fields = {}
        while (text := self.stream.readline()) not in {b"\r\n", b""}:
            name, _, value = text.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        self.worker = fields.get("x-worker", "")
        self.stays = fields.get("connection", "").lower() != "close"
        if fields.get("transfer-encoding") == "chunked":
            return self._chunks()
        length = left = int(fields["content-length"])
        while left:
            data = self.stream.read(min(left, 65536))
            if not data:
                raise BrokenError(f"ended {left} bytes before its end")
            left -= len(data)
            if pause:
                time.sleep(pause)
        return length

    def _chunks(self) -> int:
        total = 0
        while True:
            line = self.stream.readline()
            if not line:
                raise BrokenError("ended between two chunks")
            size = int(line, 16)
            data = self.stream.read(size + 2)
            if len(data) != size + 2:
                raise BrokenError("ended within a chunk")
            if not size:
                return total
            total += size

    def close(self) -> None:
        """Close it."""
        self.stream.close()
        self.sock.close()


@dataclass
class Tally:
    """What one client has met. Owned by its thread until it is joined."""

    answered: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Which worker was asked, if that is known, and what went wrong."""


class Clients:
    """Threads that ask over kept connections, one request after the other."""

    def __init__(self, place: Place, count: int, think: float) -> None:
        self.tallies = [Tally() for _ in range(count)]
        self._stop = threading.Event()
        self._think = think
        self._threads = [
            threading.Thread(target=self._run, args=(place, tally), daemon=True) for tally in self.tallies
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, place: Place, tally: Tally) -> None:
        while not self._stop.is_set():
            worker = ""
            try:
                connection = Connection(place)
                try:
                    while connection.stays and not self._stop.is_set():
                        connection.ask("/")
                        worker = connection.worker
                        tally.answered += 1
                        if self._think:
                            time.sleep(random.uniform(0, 2 * self._think))
                finally:
                    connection.close()
            except (OSError, BrokenError, ValueError, KeyError) as error:
                tally.failed.append((worker, f"{type(error).__name__}: {error}"))

    @property
    def answered(self) -> int:
        return sum(tally.answered for tally in self.tallies)

    @property
    def failed(self) -> list[tuple[str, str]]:
        return [each for tally in self.tallies for each in tally.failed]


class Wrk:
    """`wrk` beside the clients, where it is installed; a context manager."""

    def __init__(self, place: Place, connections: int) -> None:
        self.requests = 0
        self.errors = 0
        self.said = ""
        self._process: subprocess.Popen[str] | None = None
        self._usable = shutil.which("wrk") is not None and not place.path
        scheme = "http" if place.tls is None else "https"
        url = f"{scheme}://127.0.0.1:{place.port}/"
        self._command = ["wrk", "-t1", f"-c{connections}", "-d3600", url]

    def __enter__(self) -> Self:
        if self._usable:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=PATIENCE)
        found = re.search(r"(\d+) requests in", output)
        self.requests = int(found[1]) if found else 0
        errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
        self.errors = sum(map(int, errors.groups())) if errors else 0
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        self.errors += int(refused[1]) if refused else 0
        self.said = output


class Program:
    """A program under a supervisor; a context manager."""

    def __init__(self, folder: Path, workers: int, over: str, *settings: str) -> None:
        self.pidfile = folder / "chaos.pid"
        (folder / "chaotic.py").write_text(PROGRAM)
        self.log = folder / "error.log"
        options = [each for setting in settings for each in ("--set", setting)]
        command = ["-m", "kirsch", "run", "chaotic.py", "--pidfile", "chaos.pid"]
        command += ["--bind", "unix:chaos.sock" if over == "unix" else "127.0.0.1:0"]
        if over == "tls":
            command += ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]
        self._path = str(folder / "chaos.sock") if over == "unix" else ""
        self._tls = trusting(folder) if over == "tls" else None
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, "--workers", str(workers), *options],
                cwd=folder,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.workers = workers
        self.place = Place()

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE
        while (
            found := re.search(r" on (?:https?://127\.0\.0\.1:(\d+)|unix:)", self.log.read_text())
        ) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The program did not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        self.place = Place(int(found[1] or 0), self._path, self._tls)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ControlError, TimeoutError, OSError):
            self.tell("stop")
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def tell(self, action: str) -> dict[str, Any]:
        """Ask for something, and wait until it is done."""
        answer = ask(self.pidfile, {"do": action}, timeout=PATIENCE)
        if not answer["ok"]:
            raise ControlError(f"{action}: {answer['said']}\n{self.log.read_text()[-3000:]}")
        return answer

    def reached(self, action: str) -> dict[str, Any]:
        """The same, also while one program hands over to the next."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.tell(action)
            except ControlError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


@dataclass
class Row:
    """One line of the table."""

    what: str
    times: int
    requests: int = 0
    wrk_requests: int = 0
    failed: int = 0
    unexplained: int = 0
    """Failures that are not those of a killed worker's own connections."""
    back: list[float] = field(default_factory=list)
    """Seconds until all workers were there again, for each."""
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> bool:
        """Whether what was promised was kept."""
        slow = self.what.startswith("kill") and statistics.median(self.back or [0.0]) > BACK_S
        return not self.unexplained and not slow


def under_load(program: Program, row: Row, options: argparse.Namespace, act: Any, *, wrk: bool = True) -> Row:
    """Do `act` so many times while clients ask, and fill in the row."""
    begin = time.monotonic()
    connections = options.connections if wrk else 0
    with (
        Clients(program.place, options.clients, options.think) as clients,
        Wrk(program.place, connections) if connections else contextlib.nullcontext() as load,
    ):
        time.sleep(0.2)
        for _ in range(row.times):
            before = time.monotonic()
            act()
            row.back.append(time.monotonic() - before)
        time.sleep(0.2)
    row.seconds = time.monotonic() - begin
    row.requests, row.failed = clients.answered, len(clients.failed)
    row.unexplained = row.failed
    row.reasons = Counter(reason for _, reason in clients.failed)
    if load is not None:
        row.wrk_requests = load.requests
        row.failed += load.errors
        row.unexplained += load.errors
        if load.errors:
            row.reasons[f"wrk: {load.said}"] += 1
    return row


def reloads(program: Program, options: argparse.Namespace) -> Row:
    """Replace all workers, one after the other."""
    return under_load(
        program, Row("rolling reloads", options.reloads), options, lambda: program.tell("reload")
    )


def replacements(program: Program, options: argparse.Namespace) -> Row:
    """Replace the whole program."""

    def act() -> None:
        before = program.reached("status")["pid"]
        program.reached("restart")
        deadline = time.monotonic() + PATIENCE
        while program.reached("status")["pid"] == before:
            if time.monotonic() > deadline:
                raise ControlError("The new program does not take over.")
            time.sleep(0.01)

    return under_load(program, Row("replacements (USR2)", options.replacements), options, act)


def kills(program: Program, options: argparse.Namespace) -> Row:
    """Kill workers at random."""
    killed: set[str] = set()

    def act() -> None:
        state = program.tell("status")
        victim = random.choice([each for each in state["workers"] if each["state"] == "ready"])
        killed.add(str(victim["pid"]))
        os.kill(victim["pid"], signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while True:
            state = program.tell("status")
            ready = {each["pid"] for each in state["workers"] if each["state"] == "ready"}
            if victim["pid"] not in ready and len(ready) == state["wanted"]:
                return
            if time.monotonic() > deadline:
                raise ControlError("The place of a killed worker stays empty.")
            time.sleep(0.01)

    row = Row("kill -9 of a worker", options.kills)
    begin = time.monotonic()
    # Without wrk, which cannot say who it was talking to.
    with Clients(program.place, options.clients, options.think) as clients:
        time.sleep(0.2)
        for _ in range(row.times):
            before = time.monotonic()
            act()
            row.back.append(time.monotonic() - before)
    row.seconds = time.monotonic() - begin
    row.requests, row.failed = clients.answered, len(clients.failed)
    # A first request has no answer yet that says whose it is: a killed worker may have accepted it.
    strange = [reason for worker, reason in clients.failed if worker and worker not in killed]
    refused = [reason for _, reason in clients.failed if "Refused" in reason or "TimeoutError" in reason]
    row.unexplained = len(strange) + len(refused)
    row.reasons = Counter(strange + refused)
    return row


def stops(folder: Path, options: argparse.Namespace) -> Row:
    """Stop a program that is in the middle of streams, long polls and slow downloads."""
    row = Row("SIGTERM under load", options.stops)
    begin = time.monotonic()
    for _ in range(row.times):
        with Program(folder, options.workers, options.over) as program:
            results: list[str] = []
            begun = threading.Barrier(10)

            def begin_one(
                path: str,
                pause: float,
                place: Place = program.place,
                told: list[str] = results,
                all_begun: threading.Barrier = begun,
            ) -> None:
                try:
                    connection = Connection(place)
                    connection.ask("/")  # its worker has it
                    all_begun.wait(PATIENCE)
                    connection.ask(path, pause)
                    connection.close()
                    told.append("")
                except (
                    OSError,
                    BrokenError,
                    ValueError,
                    KeyError,
                    threading.BrokenErrorBarrierError,
                ) as error:
                    told.append(f"{path}: {type(error).__name__}: {error}")

            work = [("/poll", 0.0), ("/stream", 0.0), ("/large", 0.005)] * 3
            threads = [threading.Thread(target=begin_one, args=each, daemon=True) for each in work]
            for thread in threads:
                thread.start()
            begun.wait(PATIENCE)
            time.sleep(0.05)  # for their requests to be on the way
            before = time.monotonic()
            program.process.send_signal(signal.SIGTERM)
            for thread in threads:
                thread.join(PATIENCE)
            status = program.process.wait(PATIENCE)
            row.back.append(time.monotonic() - before)
            row.requests += len(work)
            wrong = [each for each in results if each]
            if status:
                wrong.append(f"exit code {status}: {program.log.read_text()[-2000:]}")
            row.failed += len(wrong)
            row.reasons.update(wrong)
    row.unexplained = row.failed
    row.seconds = time.monotonic() - begin
    return row


def trusting(folder: Path) -> ssl.SSLContext:
    """Make a certificate in the folder, and return what clients trust it by."""
    import trustme

    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(each.bytes() for each in server.cert_chain_pems))
    context = ssl.create_default_context()
    context.check_hostname = False
    authority.configure_trust(context)
    return context


def show(rows: list[Row]) -> None:
    """Print the table."""
    print(f"{'what':<22}{'times':>6}{'requests':>10}{'by wrk':>10}{'failed':>8}{'broken':>8}", end="")
    print(f"{'median':>9}{'p95':>8}{'most':>8}{'in all':>9}")
    for row in rows:
        took = sorted(row.back) or [0.0]
        p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
        print(
            f"{row.what:<22}{row.times:>6}{row.requests:>10}{row.wrk_requests:>10}{row.failed:>8}"
            f"{row.unexplained:>8}{statistics.median(took):>8.2f}s{p95:>7.2f}s{took[-1]:>7.2f}s{row.seconds:>8.1f}s"
        )
    print("failed: requests without a whole answer; broken: those of them that no killed worker explains.")
    print("median, p95, most: seconds until it was done; for a kill, until all workers were there again.")
    for row in rows:
        for reason, count in row.reasons.most_common(5):
            print(f"{row.what}: {count} x {reason}")


def main() -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--replacements", type=int, default=50)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4, help="threads that ask over kept connections")
    parser.add_argument(
        "--connections", type=int, default=16, help="of wrk, where it is installed; 0 for none"
    )
    parser.add_argument("--think", type=float, default=0.002, help="seconds between two requests, on average")
    parser.add_argument("--over", choices=("tcp", "unix", "tls"), default="tcp", help="what is spoken over")
    parser.add_argument("--short", action="store_true", help="3 of each, without wrk")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.short:
        options.reloads = options.kills = 3
        options.replacements = options.stops = 1
        options.connections = 0
    rows = []
    with tempfile.TemporaryDirectory(prefix="kirsch-chaos-") as name:
        folder = Path(name)
        # What is killed for the sake of it is no reason to wait, or to give up.
        settings = ("server.worker_backoff=0", "server.worker_crashes=0")
        with Program(folder, options.workers, options.over, *settings) as program:
            for phase, times in ((reloads, options.reloads), (kills, options.kills)):
                if times:
                    rows.append(phase(program, options))
            if options.replacements:
                rows.append(replacements(program, options))
        if options.stops:
            rows.append(stops(folder, options))
    if options.json:
        keys = ("what", "times", "requests", "wrk_requests", "failed", "unexplained", "back", "reasons")
        print(json.dumps([{key: getattr(row, key) for key in keys} for row in rows]))
    else:
        show(rows)
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
