"""Waiting for threads with a bound."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from kirsch.bus.joining import foreground_threads, join_foreground


def test_only_threads_that_keep_the_interpreter_alive_are_meant() -> None:
    done = threading.Event()
    ordinary = threading.Thread(target=done.wait)
    daemon = threading.Thread(target=done.wait, daemon=True)
    ordinary.start()
    daemon.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        found = foreground_threads()
        seen_from_it = ThreadPoolExecutor(1)
        inside = seen_from_it.submit(foreground_threads).result()
        seen_from_it.shutdown()
    done.set()
    ordinary.join()
    daemon.join()
    assert found == [ordinary]
    assert threading.main_thread() not in inside


def test_those_that_end_in_time_are_waited_for_and_the_others_returned() -> None:
    done = threading.Event()
    slow = threading.Thread(target=done.wait)
    slow.start()
    quick = threading.Timer(0.01, int)
    quick.start()
    assert join_foreground(0.1) == [slow]
    assert not quick.is_alive()
    done.set()
    assert join_foreground(10) == []
    assert not slow.is_alive()
