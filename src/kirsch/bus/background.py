"""Functions called again and again in a thread of their own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from kirsch.bus.bus import ERROR
from kirsch.bus.plugins import Plugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kirsch.bus.bus import Bus

__all__ = ["BackgroundTask", "Monitor"]

_JOIN = 5.0
"""Seconds `Monitor.stop` waits for a call that is under way; its thread is a daemon and keeps nobody from
ending.
"""


class BackgroundTask(threading.Thread):
    """A daemon thread that calls `function(*args, **kwargs)` every `interval` seconds until it is cancelled.

    Parameters:
        interval: seconds between the end of one call and the beginning of the next; the first call comes
            after one.
        function: what to call.
        args: its positional arguments.
        kwargs: its keyword arguments.
        bus: where errors are logged; without it they go to the logger `kirsch.bus`.
        name: the thread's name; without it that of the function.
        stop_on_error: whether the first error ends the task. Otherwise it is logged and the task goes on.
    """

    def __init__(
        self,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        bus: Bus | None = None,
        *,
        name: str | None = None,
        stop_on_error: bool = False,
    ) -> None:
        called = getattr(function, "__name__", type(function).__name__)
        super().__init__(name=name or f"Background task {called}", daemon=True)
        self.interval = interval
        """Seconds between two calls. A change takes effect after the next call."""
        self.function = function
        """What is called."""
        self.args = tuple(args)
        """Its positional arguments."""
        self.kwargs = dict(kwargs or {})
        """Its keyword arguments."""
        self.bus = bus
        """Where errors are logged."""
        self.stop_on_error = stop_on_error
        """Whether the first error ends the task."""
        self.errors = 0
        """Calls that have failed. Written by the task's thread."""
        self.last_error: Exception | None = None
        """The error of the latest call that failed."""
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the task: at once when it sleeps, else after the call under way. From any thread."""
        self._cancelled.set()

    def run(self) -> None:
        """Sleep and call until cancelled. Called by `start`, in the task's thread."""
        while not self._cancelled.wait(self.interval):
            try:
                self.function(*self.args, **self.kwargs)
            except Exception as error:  # noqa: BLE001  the thread's top: one bad call must not end all later ones
                self.errors += 1
                self.last_error = error
                self._report(error)
                if self.stop_on_error:
                    return

    def _report(self, error: Exception) -> None:
        fate = "it ends" if self.stop_on_error else "it goes on"
        text = f"Error {self.errors} in background task {self.name!r} ({fate})"
        if self.bus is None:
            logging.getLogger("kirsch.bus").error(text, exc_info=error)
        else:
            self.bus.log(text, level=ERROR, traceback=True)


class Monitor(Plugin):
    """A background task that runs while the bus does.

    Parameters:
        bus: the bus.
        callback: called every `frequency` seconds.
        frequency: seconds; 0 or less for never.
        name: of the thread; without it that of the class.
    """

    def __init__(
        self, bus: Bus, callback: Callable[[], object], frequency: float = 60, name: str | None = None
    ) -> None:
        super().__init__(bus)
        self.callback = callback
        """What is called."""
        self.frequency = frequency
        """Seconds between two calls; read by `start`."""
        self.name = name
        """Name of the thread."""
        self.thread: threading.Thread | None = None
        """The task's thread while it runs. Owned by the thread that runs the transition of the bus."""

    def start(self) -> None:
        """Start the task, unless it runs or `frequency` is 0 or less."""
        if self.frequency > 0 and self.thread is None:
            self.thread = self.make_thread(self.name or type(self).__name__)
            self.thread.start()

    start.priority = 70  # type: ignore[attr-defined]  # read by Bus.subscribe

    def stop(self) -> None:
        """End the task and wait for the call under way, at most 5 seconds.

        A call that stops the monitor itself is not waited for.
        """
        thread, self.thread = self.thread, None
        if thread is None:
            return
        self.cancel_thread(thread)
        if thread is not threading.current_thread():
            thread.join(_JOIN)

    def graceful(self) -> None:
        """Replace the task's thread by a new one, so that a changed `frequency` takes effect."""
        if self.thread is not None:
            self.stop()
            self.start()

    def make_thread(self, name: str) -> threading.Thread:
        """Return the thread that does the work, not yet started. Subclasses may wait for other things."""
        return BackgroundTask(self.frequency, self.callback, bus=self.bus, name=name)

    def cancel_thread(self, thread: threading.Thread) -> None:
        """Ask a thread of `make_thread` to end."""
        if isinstance(thread, BackgroundTask):
            thread.cancel()
