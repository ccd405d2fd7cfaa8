"""The pool: threads that run the handlers which wait for something.

The queue is the only thing the leader and the pool share; a task is owned by the thread that took it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any

from kirsch.bus import ChannelFailures

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.bus import Bus
    from kirsch.http.exchange import Exchange
    from kirsch.server.roles import Served

__all__ = ["BusThreads", "Pool", "ThreadHooks"]


class ThreadHooks:
    """What is told when a thread begins and ends to serve; the bus's channels of these names listen here."""

    def started(self) -> None:
        """Run in a new thread before its first request."""

    def stopped(self) -> None:
        """Run in a thread after its last request."""


class _SafeHooks(ThreadHooks):
    """Hooks that cost no thread when they fail."""

    def __init__(self, hooks: ThreadHooks, log: Callable[..., None]) -> None:
        self._hooks = hooks
        self._log = log

    def started(self) -> None:
        self._call(self._hooks.started, "The hook for the begin of a thread raised an error.")

    def stopped(self) -> None:
        self._call(self._hooks.stopped, "The hook for the end of a thread raised an error.")

    def _call(self, hook: Callable[[], None], message: str) -> None:
        try:
            hook()
        except Exception:  # noqa: BLE001  the boundary of user code: the thread serves, or ends, all the same
            self._log(message, traceback=True)


class BusThreads(ThreadHooks):
    """Tells a bus of the threads that serve: `acquire_thread` at their begin, `release_thread` at their end.

    A thread manager turns these into `start_thread` and `stop_thread` with a number for each thread, where
    programs open what they keep per thread.

    Parameters:
        bus: the bus.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def started(self) -> None:
        """See `ThreadHooks.started`. A listener that fails is logged by the bus; the thread serves all the
        same.
        """
        with contextlib.suppress(ChannelFailures):
            self._bus.publish("acquire_thread")

    def stopped(self) -> None:
        """See `ThreadHooks.stopped`."""
        with contextlib.suppress(ChannelFailures):
            self._bus.publish("release_thread")


class Pool:
    """A fixed number of threads.

    Parameters:
        size: number of threads.
        hooks: told of each thread's begin and end.
        name: prefix of the threads' names.
        log: takes a message and whether a traceback goes with it.
    """

    def __init__(self, size: int, hooks: ThreadHooks, name: str, log: Callable[..., None]) -> None:
        self.size = size
        self.hooks = _SafeHooks(hooks, log)
        """As given, but for what they raise: it is logged."""
        self._name = name
        self._log = log
        # SimpleQueue: its put takes no Python-level lock, so the leader never waits for a worker here.
        self._tasks: queue.SimpleQueue[tuple[Served, Exchange] | Callable[[], None] | None] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []
        self.before_wait: Callable[[], None] | None = None
        """Called by a thread before it waits, for what was put off; raises nothing."""
        self.running: dict[int, tuple[Exchange, int]] = {}
        """What each thread runs, by thread identifier, and since when in nanoseconds of the performance
        counter. Written by each thread under its own key; readers copy."""

    def start(self) -> None:
        """Start the threads."""
        for number in range(self.size):
            thread = threading.Thread(target=self._work, name=f"{self._name} worker {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def put(self, connection: Served, exchange: Exchange) -> None:
        """Have a thread answer `exchange`. The connection must be `busy`."""
        self._tasks.put((connection, exchange))

    def call(self, task: Callable[[], None]) -> None:
        """Have a thread call `task`."""
        self._tasks.put(task)

    @property
    def waiting(self) -> int:
        """Tasks no thread has taken yet."""
        return self._tasks.qsize()

    def stop(self, timeout: float) -> list[threading.Thread]:
        """End the threads once the queue is empty; return those still running after `timeout` seconds.

        They are daemons: what is left cannot keep the process from ending.
        """
        for _ in self._threads:
            self._tasks.put(None)
        end = perf_counter_ns() + int(timeout * 1e9)
        for thread in self._threads:
            # A handler may stop its own server: its thread is among those left, and is not waited for.
            if thread is not threading.current_thread():
                thread.join(max(0.0, (end - perf_counter_ns()) / 1e9))
        left = [thread for thread in self._threads if thread.is_alive()]
        self._threads = []
        return left

    def _work(self) -> None:
        self.hooks.started()
        try:
            while (task := self._next()) is not None:
                self._run(task)
                del task  # or this thread would hold the last request until its next one
        finally:
            self.hooks.stopped()

    def _next(self) -> Any:
        if self.before_wait is not None and self._tasks.empty():
            self.before_wait()
        return self._tasks.get()

    def _run(self, task: Any) -> None:
        try:
            if type(task) is tuple:
                self._serve(*task)
            else:
                task()
        except Exception:  # noqa: BLE001  see below
            # The top of a thread: a defect of the server must not cost it a worker.
            self._log("A worker thread met an error of the server itself.", traceback=True)

    def _serve(self, connection: Served, exchange: Exchange) -> None:
        key = threading.get_ident()
        begin = perf_counter_ns()
        cpu = thread_time_ns()
        self.running[key] = (exchange, begin)
        try:
            connection.answer(exchange)
        finally:
            del self.running[key]
            if exchange.pace is not None:
                cpu = thread_time_ns() - cpu
                exchange.pace.observe(perf_counter_ns() - begin, cpu, leading=False)
            connection.release()
