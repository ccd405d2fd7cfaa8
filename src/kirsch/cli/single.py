"""Commands and signals for a program of one process, which has no supervisor."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from kirsch._version import __version__
from kirsch.cli.station import Station

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kirsch.bus import Bus
    from kirsch.cli.logs import Logs
    from kirsch.cli.serve import Run
    from kirsch.cli.sockets import Sockets
    from kirsch.server import Server

__all__ = ["Single", "retire"]

_LOOK = 0.05
"""Seconds between two looks at whether a server that retires has connections left."""


def retire(server: Server, seconds: float) -> None:
    """Leave new connections to others, and answer the next request on each that is kept as its last one.

    Parameters:
        server: runs; others serve on its sockets.
        seconds: after which to return, if there are connections left; else as soon as there are none.

    Closing an idle connection instead would cost the client a request that is on its way at that moment.
    """
    loop = server.loop
    if loop is None:  # stopped already
        return

    def last_orders() -> None:
        loop.most_requests = 1
        loop.acceptor.close()

    loop.call(last_orders)
    deadline = time.monotonic() + seconds
    # Looked at now and then: this process has nothing else to do, and the server tells nobody of an end.
    while not loop.draining and time.monotonic() < deadline:
        time.sleep(_LOOK)
        if not loop.connections:
            return


class Single:
    """The station of a program of one process, and what may be asked of it.

    Parameters:
        run: what is served.
        bus: its bus.
        server: serves.
        sockets: the listening sockets.
        logs: where to tell of replacements.
    """

    def __init__(self, run: Run, bus: Bus, server: Server, sockets: Sockets, logs: Logs) -> None:
        self._run = run
        self._bus = bus
        self._server = server
        self._sockets = sockets
        self._began = time.monotonic()
        self.station = Station(run, bus, sockets, logs, answer=self.answer, finish=self._finish)
        """What this program has alone."""

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a command; RuntimeError with a sentence for what one process cannot do."""
        do = request.get("do")
        if do == "status":
            return self._status()
        if do in {"reload", "restart"}:
            # One process reads its program anew by giving way to another.
            return {"said": self.station.replace().result()}
        if do == "reopen-logs":
            self._bus.graceful()
            return {"said": "The logs are opened anew."}
        if do in {"stop", "quit"}:
            threading.Thread(
                target=self._bus.exit if do == "stop" else self._quit, name="Kirsch stop", daemon=True
            ).start()
            return {"said": "Stopping.", "follow": True}
        if do == "scale":
            raise RuntimeError("This program is one process without a supervisor; start it with --workers.")
        raise RuntimeError(f"There is no command {do!r}.")

    def _quit(self) -> None:
        self._bus.publish("exit")
        self._sockets.close()
        os._exit(1)

    def _finish(self) -> None:
        retire(self._server, self._run.configuration.server.worker_retire_timeout)
        self._bus.exit()

    def _status(self) -> Mapping[str, Any]:
        loop = self._server.loop
        state = "ready" if self._server.running else "stopping"
        age = time.monotonic() - self._began
        return {
            "version": __version__,
            "pid": os.getpid(),
            "target": self._run.target.text,
            "urls": self._server.urls,
            "wanted": 1,
            "ready": int(self._server.running),
            "state": "running" if self._server.running else "stopping",
            "age": age,
            "reloads": 0,
            "crashes": 0,
            "workers": [
                {
                    "number": 1,
                    "pid": os.getpid(),
                    "state": state,
                    "age": age,
                    "connections": 0 if loop is None else len(loop.connections),
                }
            ],
        }
