"""Locks of sessions: first among the threads of this process, then, where a store is shared, among processes.

No lock belongs to a thread: who took it may hand it to another thread, as servers and event loops do. Every
wait has an end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from kirsch.sessions.errors import LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HeldLock", "LocalLocks", "Lock", "SharedLock", "wait_for"]

_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05
"""Between two attempts at a lock another process holds: long enough for twenty waiting processes to cost a
store no more than 400 requests a second."""


class Lock(Protocol):
    """A lock that is held."""

    @property
    def held(self) -> bool:
        """Whether it is still ours; those that expire may be lost."""

    def release(self) -> None:
        """Give it back. The second time nothing happens."""


class HeldLock:
    """A lock of `LocalLocks` that is held."""

    __slots__ = ("_key", "_locks", "held")

    def __init__(self, locks: LocalLocks, key: str) -> None:
        self._locks = locks
        self._key = key
        self.held = True
        """Whether it was not given back."""

    def release(self) -> None:
        """Give it back."""
        if self.held:
            self.held = False
            self._locks.release(self._key)


class LocalLocks:
    """Locks by key among the threads of one process, handed over in the order they were asked for.

    Only keys that are locked take memory.
    """

    def __init__(self) -> None:
        # Guards `_waiting` and its queues; never held while waiting.
        self._mutex = threading.Lock()
        # Key to who waits for it: there is an entry as long as somebody holds the lock. A waiter is a lock of
        # its own, released when the key becomes its.
        self._waiting: dict[str, deque[threading.Lock] | None] = {}

    def acquire(self, key: str, timeout: float, waiters: int | None = None) -> HeldLock:
        """Lock `key` and return the lock.

        Parameters:
            key: the key.
            timeout: seconds to wait.
            waiters: how many may wait at once; one more is turned away without waiting. None for any number.

        Raises LockTimeoutError.
        """
        with self._mutex:
            if key not in self._waiting:
                self._waiting[key] = None
                return HeldLock(self, key)
            queue = self._waiting[key]
            if queue is None:
                queue = self._waiting[key] = deque()
            if waiters is not None and len(queue) >= waiters:
                raise LockTimeoutError(f"{waiters} requests wait for it already")
            mine = threading.Lock()
            mine.acquire()
            queue.append(mine)
        if not mine.acquire(timeout=max(0.0, timeout)):
            with self._mutex:
                # Else it was handed over between the end of the wait and now.
                if mine in queue:
                    queue.remove(mine)
                    raise LockTimeoutError(f"not free within {timeout:g} s")
        return HeldLock(self, key)

    def release(self, key: str) -> None:
        """Unlock `key`, or hand it to who has waited longest."""
        with self._mutex:
            queue = self._waiting[key]
            if queue:
                queue.popleft().release()
            else:
                del self._waiting[key]

    def __len__(self) -> int:
        return len(self._waiting)


class SharedLock:
    """A lock held in this process and in a store that others share.

    Parameters:
        local: the lock in this process.
        give_back: gives the other one back; must not raise.
        until: when the other one expires, on the clock `time.monotonic`; None for never.
    """

    __slots__ = ("_give_back", "_local", "_until")

    def __init__(self, local: HeldLock, give_back: Callable[[], object], until: float | None = None) -> None:
        self._local = local
        self._give_back = give_back
        self._until = until

    @property
    def held(self) -> bool:
        """Whether it was neither given back nor has expired."""
        return self._local.held and (self._until is None or time.monotonic() < self._until)

    def release(self) -> None:
        """Give both back, the shared one first."""
        if self._local.held:
            try:
                self._give_back()
            finally:
                self._local.release()


def wait_for(attempt: Callable[[], bool], deadline: float) -> None:
    """Call `attempt` until it returns True, with growing pauses. At least once.

    Parameters:
        attempt: tries to take a lock.
        deadline: when to give up, on the clock `time.monotonic`.

    Raises LockTimeoutError.
    """
    pause = _FIRST_PAUSE_S
    while not attempt():
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockTimeoutError("held by another process")
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
