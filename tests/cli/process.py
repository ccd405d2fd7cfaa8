"""What the tests of the command line share: `kirsch` in its own process, and programs to serve."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

WAIT = 20.0
"""Seconds after which a test that waits for something has failed."""

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""

SLOW = """
import threading, sys

release = threading.Event()

def app(environ, start_response):
    print("in the handler", flush=True)
    if environ["PATH_INFO"] == "/stuck":
        release.wait(60)
    else:
        release.wait(0.5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"finished"]
"""


class Kirsch:
    """Runs `kirsch`, or `code` that becomes it, with `arguments` in `directory`. Both of its streams are
    collected, in `out` and `err`.

    A context manager: at its end, and after 20 seconds at the latest, the process is killed.
    """

    def __init__(
        self,
        *arguments: str,
        directory: Path,
        descriptors: Sequence[int] = (),
        code: str = "",
        **variables: str,
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KIRSCH_")}
        self.process = subprocess.Popen(
            [sys.executable, *(("-c", code) if code else ("-m", "kirsch")), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
            pass_fds=descriptors,
            env={**kept, "PYTHONWARNINGS": "error", **variables},
        )
        self.out = ""
        self.err = ""
        # Guards both texts; notified when one grows or ends.
        self._grown = threading.Condition()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, "out")),
            threading.Thread(target=self._read, args=(self.process.stderr, "err")),
        ]
        self._watchdog = threading.Timer(WAIT, self.process.kill)

    def __enter__(self) -> Self:
        for each in (*self._readers, self._watchdog):
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.end()

    def _read(self, stream: IO[str], name: str) -> None:
        with stream:
            for line in stream:
                with self._grown:
                    setattr(self, name, getattr(self, name) + line)
                    self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()

    def wait_for(self, pattern: str, *, stream: str = "err", count: int = 1) -> re.Match[str]:
        """Wait until a stream has `pattern` `count` times, and return the last match."""
        deadline = time.monotonic() + WAIT
        with self._grown:
            while True:
                found = list(re.finditer(pattern, getattr(self, stream)))
                if len(found) >= count:
                    return found[count - 1]
                alive = any(each.is_alive() for each in self._readers)
                assert alive, f"ended without {pattern!r}:\n{self.out}\n{self.err}"
                assert self._grown.wait(deadline - time.monotonic()), (
                    f"no {pattern!r}:\n{self.out}\n{self.err}"
                )

    def url(self, count: int = 1) -> str:
        """Wait for the start line, and return the address in it."""
        return self.wait_for(r"on (https?://\S+)", count=count)[1]

    def get(self, path: str = "/") -> httpx.Response:
        """Ask the program for `path`."""
        return httpx.get(self.url() + path, timeout=WAIT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        status = self.process.wait(WAIT)
        self._watchdog.cancel()
        for each in (*self._readers, self._watchdog):
            if each.ident is not None:
                each.join(WAIT)
                assert not each.is_alive(), "a process it has started holds its streams"
        return status


def run(*arguments: str, directory: Path, descriptors: Sequence[int] = (), **variables: str) -> Kirsch:
    """Return `kirsch run` with `arguments`, on a port of the system's choice."""
    bound = () if any(each == "--bind" for each in arguments) else ("--bind", "127.0.0.1:0")
    return Kirsch("run", *arguments, *bound, directory=directory, descriptors=descriptors, **variables)
