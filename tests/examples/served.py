"""A program of examples/, served by `kirsch run` in a process of its own, on a port the system chose."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

START_S = 30
"""Seconds a program may take to say that it serves; many times what it takes on a busy machine."""
END_S = 20
"""Seconds it may take to end after a signal."""


class Served:
    """A server in a process of its own, its log read line by line. A context manager that ends it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = 0
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="reader of the server's log", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            self._new.put(line)
        self._new.put(None)

    def __enter__(self) -> Self:
        try:
            self.port = int(self.wait_for(r" on http://127\.0\.0\.1:([0-9]+)(?:[ ;]|$)")[1])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_S)
        self._reader.join(END_S)
        assert self.process.stderr is not None
        self.process.stderr.close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the log."""
        deadline = time.monotonic() + START_S
        while True:
            line = self._new.get(timeout=max(0.001, deadline - time.monotonic()))
            assert line is not None, f"the program ended without it:\n{''.join(self.lines)}"
            found = re.search(pattern, line)
            if found is not None:
                return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(END_S)
        self._reader.join(END_S)
        return code

    def connect(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


def start(*arguments: str, cwd: Path = EXAMPLES, **environment: str) -> Served:
    """Start Python with arguments; every warning of the program is an error."""
    return Served(
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONWARNINGS": "error", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


def serve(target: str, *options: str, cwd: Path = EXAMPLES, **environment: str) -> Served:
    """Serve a target by `kirsch run`."""
    return start("-m", "kirsch", "run", target, "--bind", "127.0.0.1:0", *options, cwd=cwd, **environment)


def responses(connection: socket.socket, number: int) -> list[tuple[int, dict[str, str], bytes]]:
    """Read so many responses off a connection, whose bodies have a Content-Length or are chunked."""
    reader = connection.makefile("rb")
    found = []
    with reader:
        for _ in range(number):
            line = reader.readline()
            assert line.startswith(b"HTTP/1.1 "), line
            fields: dict[str, str] = {}
            while (field := reader.readline()) not in {b"\r\n", b""}:
                name, _, value = field.decode("latin-1").partition(":")
                fields[name.lower()] = value.strip()
            if fields.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(reader.readline(), 16):
                    body += reader.read(size)
                    assert reader.readline() == b"\r\n"
                assert reader.readline() == b"\r\n"
            else:
                body = reader.read(int(fields.get("content-length", "0")))
            found.append((int(line[9:12]), fields, body))
    return found
