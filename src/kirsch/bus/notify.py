"""Telling a service manager how the program is: systemd's notification protocol, in plain Python.

Datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names; see sd_notify(3). Where nobody asked
for them, nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

from kirsch.bus.background import Monitor
from kirsch.bus.plugins import Plugin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.bus.bus import Bus

__all__ = ["VARIABLES", "Notifier", "ServiceManager", "activated"]

VARIABLES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
)
"""What a service manager says to its program alone: other processes are started without them."""

_FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""


def activated(environ: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """Return the descriptors of the listening sockets a service manager has opened for this process.

    Parameters:
        environ: environment variables. `LISTEN_PID` tells whether they are meant for us or for a parent.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return ()
    count = environ.get("LISTEN_FDS", "")
    return tuple(range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))) if count.isdecimal() else ()


class Notifier:
    """Sends what a service manager wants to know. Any thread may use it.

    Parameters:
        environ: environment variables: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        ours = bool(address) and usec.isdecimal() and pid in {"", str(os.getpid())}
        self.watchdog = int(usec) / 2e6 if ours else 0.0
        """Seconds after which to say `WATCHDOG=1` again, half of what is allowed; 0 for never."""

    def send(self, **fields: object) -> bool:
        """Send `fields`, one line each; return whether somebody wanted them and could take them."""
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return False
        lines = "\n".join(f"{name}={_line(value)}" for name, value in fields.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # A manager that does not read must not hold up the program.
            sock.settimeout(1)
            sock.connect(self._address)
            sock.sendall(lines.encode())
            return True
        return False

    def ready(self, **fields: object) -> bool:
        """Say that the program serves: at the start, after a reload, and in place of another process."""
        return self.send(READY=1, MAINPID=os.getpid(), **fields)

    def reloading(self) -> bool:
        """Say that a reload begins; `ready` says that it is over."""
        # The time is what tells this reload from an earlier one: without it Type=notify-reload fails.
        return self.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self) -> bool:
        """Say that the program ends."""
        return self.send(STOPPING=1)


class ServiceManager(Plugin):
    """Tells the service manager when the bus has started and when it stops, and that it lives.

    Parameters:
        bus: the bus.
        notifier: sends it.
        alive: returns whether the program is well; asked before each sign of life.
    """

    def __init__(
        self, bus: Bus, notifier: Notifier | None = None, alive: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(bus)
        self.notifier = notifier or Notifier()
        """Sends what there is to say."""
        self._alive = alive
        self._monitor: Monitor | None = None

    def start(self) -> None:
        """Say that the program serves, and go on saying that it lives."""
        self.notifier.ready()
        self.watch()

    # After everything else: a server starts at 75.
    start.priority = 95  # type: ignore[attr-defined]  # read by Bus.subscribe

    def watch(self) -> None:
        """Say that the program lives, as often as the manager wants to hear it."""
        if self.notifier.watchdog and self._monitor is None:
            self._monitor = Monitor(self.bus, self._beat, self.notifier.watchdog, "Kirsch watchdog")
            self._monitor.start()

    def stop(self) -> None:
        """Say that the program ends. It still has to live meanwhile."""
        self.notifier.stopping()

    stop.priority = 0  # type: ignore[attr-defined]  # the same

    def exit(self) -> None:
        """Say no more."""
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.stop()

    def _beat(self) -> None:
        if self._alive():
            self.notifier.send(WATCHDOG=1)


def _line(value: object) -> str:
    """Return the value as one line: a line break would begin another field."""
    return " ".join(str(value).split("\n"))
