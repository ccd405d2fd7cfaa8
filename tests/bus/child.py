"""A real program on a bus in a process of its own: what signals and exit codes must be tested with."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

PRELUDE = """
import itertools, os, signal, sys, threading
from kirsch.bus import Engine, SignalHandler, State

# Shells start background jobs, this suite perhaps among them, with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def say(text):
    os.write(1, (str(text) + "\\n").encode())

def hear():
    return sys.stdin.readline().strip()

bus = Engine()
bus.subscribe("log", lambda msg, level: say(f"{level} {msg}"))
"""


class Child:
    """Runs a script after the prelude; output is kept in `lines`. Killed when it takes 20 seconds."""

    def __init__(self, script: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env={**os.environ, **environ},
        )
        self.lines: list[str] = []
        self._watchdog = threading.Timer(20, self.process.kill)

    def __enter__(self) -> Self:
        self._watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        self._watchdog.join()
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()

    def expect(self, text: str) -> str:
        """Read lines until one holds `text`; return it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"{text!r} did not come; the child wrote {self.lines}")

    def tell(self, text: str = "") -> None:
        """Write a line to the child's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def status(self) -> int:
        """Read the rest of the output and return the exit status."""
        assert self.process.stdout is not None
        self.lines += [line.rstrip("\n") for line in self.process.stdout]
        return self.process.wait()
