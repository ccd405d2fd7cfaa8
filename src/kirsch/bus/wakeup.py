"""A wake-up that a waiting thread sleeps on: set from any thread, and by the operating system's signals.

It is a socket pair rather than a condition because `signal.set_wakeup_fd` can write to it from the C-level
signal handler, on Windows too, where nothing else ends the wait of the main thread when Ctrl-C comes.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading

__all__ = ["INTERRUPTIBLE", "Wakeup"]

INTERRUPTIBLE = sys.platform != "win32"
"""Whether a signal ends a wait of the main thread by itself. On Windows only a byte sent to the wake-up
does.
"""

_READ = 4096
"""Bytes taken at once; one byte is one wake-up or one signal."""

# The one registry of this module: wake-ups that receive signals, the one that does so now last.
# `signal.set_wakeup_fd` is process-wide and may be called by the main thread alone, so the main thread alone
# changes this list.
_armed: list[Wakeup] = []
_foreign: list[int] = []
"""Where signals were sent before the first of `_armed` came; empty or one descriptor."""


class Wakeup:
    """A socket pair: one thread waits, any thread wakes it. Holds two file descriptors until `close`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        # set_wakeup_fd insists on it, and a full buffer means that the waiter is awake anyway.
        self._writer.setblocking(False)  # noqa: FBT003  positional-only

    def set(self, byte: bytes = b"\0") -> None:
        """Wake the waiter, now or when it next waits. Never blocks; nothing happens once closed."""
        with contextlib.suppress(OSError):
            self._writer.send(byte)

    def wait(self, timeout: float | None = None) -> bytes:
        """Sleep until woken; return the bytes that came: those of `set` and, when armed, signal numbers.

        Parameters:
            timeout: seconds; None for no bound. When it passes, the result is empty.

        One thread at a time may wait. In the main thread a signal handler that raises ends the wait with its
        error.
        """
        on_main = threading.current_thread() is threading.main_thread()
        if INTERRUPTIBLE or _armed or not on_main:
            return self._receive(timeout)
        previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            return self._receive(timeout)
        finally:
            signal.set_wakeup_fd(previous)

    def _receive(self, timeout: float | None) -> bytes:
        self._reader.settimeout(timeout)
        try:
            return self._reader.recv(_READ)
        except (TimeoutError, BlockingIOError):
            return b""

    def arm(self) -> None:
        """Have the number of every signal Python handles sent here. Main thread only (else ValueError)."""
        previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        if not _armed:
            _foreign[:] = [previous]
        _armed.append(self)

    def disarm(self) -> None:
        """Send signals to whoever had them before: the wake-up armed earlier, else another library's.

        Main thread only (else ValueError). Nothing happens when not armed.
        """
        if self not in _armed:
            return
        latest = _armed[-1] is self
        _armed.remove(self)
        if latest:
            heir = _armed[-1]._writer.fileno() if _armed else _foreign[0]  # noqa: SLF001  another object of this class
            try:
                signal.set_wakeup_fd(heir, warn_on_full_buffer=False)
            except (ValueError, OSError):  # the other library has closed its descriptor meanwhile
                signal.set_wakeup_fd(-1)

    @staticmethod
    def disarm_all() -> None:
        """Send signals to nobody; main thread only. For forked children: these are their parent's."""
        signal.set_wakeup_fd(-1)
        _armed.clear()

    def close(self) -> None:
        """Free both descriptors; must not be armed. For the thread that waits, or when none does."""
        self._reader.close()
        self._writer.close()
