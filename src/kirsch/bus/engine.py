"""A bus with the plugins most programs want at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.bus.autoreload import Autoreloader
from kirsch.bus.bus import Bus
from kirsch.bus.signals import SignalHandler, Signals
from kirsch.bus.threads import ThreadManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Engine"]


class Engine(Bus):
    """A bus with signal handler, thread manager and autoreloader as attributes, as CherryPy names them.

    The parameters are those of `Bus`. Making one changes nothing outside it: only the thread manager, which
        needs nothing else, is subscribed.
    """

    def __init__(
        self, *, join_timeout: float = 5.0, reexec: Callable[[Sequence[int]], object] | None = None
    ) -> None:
        super().__init__(join_timeout=join_timeout, reexec=reexec)
        self.signal_handler = SignalHandler(self)
        """Handles signals once it is subscribed."""
        self.signals = Signals(self)
        """`signals.subscribe()` makes the process obey signals, and console events where there are any."""
        self.thread_manager = ThreadManager(self)
        """Numbers the threads that publish `acquire_thread`. Subscribed."""
        self.autoreload = Autoreloader(self)
        """Restarts the program when its files change, once it is subscribed."""
        self.thread_manager.subscribe()
