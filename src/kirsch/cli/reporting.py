"""The child's end of `--reload`: tells the parent which files the program is made of.

One JSON array of paths a line, over a socket the parent has made; the socket is also the lifeline: when the
parent is gone, so is its end of it, and the child stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from kirsch.bus import Monitor
from kirsch.bus.autoreload import module_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kirsch.bus import Bus
    from kirsch.config import EngineSettings

__all__ = ["Reporter", "program_files", "trace_files"]


def program_files(match: str = ".*") -> set[str]:
    """Return the files of the loaded modules of the program, without Python's and installed ones."""
    return {str(path) for path in module_files(match) if not _is_installed(path)}


def _is_installed(path: Path) -> bool:
    own = ("site-packages", "dist-packages")
    prefixes = {Path(prefix) / "lib" for prefix in (sys.prefix, sys.base_prefix)}
    return any(part in own for part in path.parts) or any(path.is_relative_to(prefix) for prefix in prefixes)


def trace_files(error: BaseException | None) -> set[str]:
    """Return the files that the traceback of `error` goes through, and the one with the syntax error."""
    files: set[str] = set()
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        files.update(frame.filename for frame in traceback.extract_tb(error.__traceback__))
        if isinstance(error, SyntaxError) and error.filename:
            files.add(error.filename)
        error = error.__cause__ or error.__context__
    paths = {Path(name).absolute() for name in files if not name.startswith("<")}
    return {str(path) for path in paths if not _is_installed(path)}


class Reporter:
    """Tells the parent what to watch.

    Parameters:
        descriptor: of the socket that leads to it.

    `tell` may be called from any thread, `listen` and `watch` once each.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Duplicated, as a restart of this process finds the descriptor by its number.
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._told: set[str] = set()
        # Held while a line is sent, so that lines do not mix; guards `_told`.
        self._lock = threading.Lock()

    def listen(self) -> None:
        """Stop this process, as by SIGTERM, when the parent is gone."""
        threading.Thread(target=self._wait, name="Kirsch reload lifeline", daemon=True).start()

    def _wait(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(1024):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    def tell(self, files: Iterable[str]) -> None:
        """Tell the files that the parent does not know yet."""
        with self._lock:
            new = sorted(set(files) - self._told)
            self._told.update(new)
            if new:
                with contextlib.suppress(OSError):  # it is gone: the lifeline does what is to be done
                    self._socket.sendall(json.dumps(new).encode() + b"\n")

    def watch(self, bus: Bus, settings: EngineSettings) -> None:
        """Go on telling of modules that are loaded later, for as long as `bus` runs."""

        def look() -> None:
            self.tell(program_files(settings.autoreload_match))

        look()
        bus.keep_fds.append(self._descriptor)
        Monitor(bus, look, settings.autoreload_frequency, "Kirsch reload reporter").subscribe()
