"""Waiting, with a bound, for the threads that keep the interpreter from ending."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["foreground_threads", "join_foreground"]


def foreground_threads() -> list[threading.Thread]:
    """Return the threads that keep the interpreter from ending, other than this one and the main thread.

    Workers of `concurrent.futures` are left out: they sleep until the interpreter tells them to end, which
    it does after the main thread is through.
    """
    workers: Any = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", ())
    return [
        thread
        for thread in threading.enumerate()
        if not thread.daemon
        and thread is not threading.current_thread()
        and thread is not threading.main_thread()
        and thread not in workers
    ]


def join_foreground(timeout: float, besides: Collection[threading.Thread] = ()) -> list[threading.Thread]:
    """Wait for `foreground_threads` and return those that still run.

    Parameters:
        timeout: seconds for all of them together.
        besides: threads to leave out.
    """
    deadline = time.monotonic() + timeout
    threads = [thread for thread in foreground_threads() if thread not in besides]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in threads if thread.is_alive()]
