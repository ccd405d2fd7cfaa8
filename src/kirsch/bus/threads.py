"""Numbers for threads, so that programs can keep something per thread (a database connection, say)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kirsch.bus.plugins import Plugin

if TYPE_CHECKING:
    from kirsch.bus.bus import Bus

__all__ = ["ThreadManager"]


class ThreadManager(Plugin):
    """Numbers threads: publishes `start_thread` with a new one, `stop_thread` with one that is given back.

    Parameters:
        bus: the bus. Threads announce themselves by publishing `acquire_thread` and `release_thread`, without
            arguments.

    Numbers start at 1; a number that was given back is given out again, so no two threads have the same one.
    """

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        for channel in ("acquire_thread", "release_thread", "start_thread", "stop_thread"):
            bus.declare(channel)
        self.threads: dict[int, int] = {}
        """Numbers by thread ident. Guarded by a lock; copy it to look through it."""
        # Guards `threads`. Not held while start_thread and stop_thread are published.
        self._lock = threading.Lock()

    def acquire_thread(self) -> None:
        """Give the calling thread a number and publish `start_thread`, unless it has one."""
        ident = threading.get_ident()
        with self._lock:
            if ident in self.threads:
                return
            taken = set(self.threads.values())
            number = next(one for one in range(1, len(taken) + 2) if one not in taken)
            self.threads[ident] = number
        self.bus.publish("start_thread", number)

    def release_thread(self) -> None:
        """Take the calling thread's number back and publish `stop_thread`, if it has one."""
        with self._lock:
            number = self.threads.pop(threading.get_ident(), None)
        if number is not None:
            self.bus.publish("stop_thread", number)

    def stop(self) -> None:
        """Take all numbers back. Publishes `stop_thread` for each, in this thread."""
        with self._lock:
            numbers = list(self.threads.values())
            self.threads.clear()
        for number in numbers:
            self.bus.publish("stop_thread", number)

    graceful = stop
