"""The shape of a plugin: an object whose methods named after channels listen on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kirsch.bus.bus import Bus

__all__ = ["Plugin"]


class Plugin:
    """Binds methods to channels: in a subclass, a method `start` listens on channel `start`, and so on.

    Parameters:
        bus: the bus to listen on.

    A channel counts when the bus knows it at the time of `subscribe`. A method's attribute `priority` is its
    priority.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        """The bus this plugin listens on."""
        self._bound: list[str] = []

    def subscribe(self) -> None:
        """Bind every method whose name is a channel's. Doing it twice is doing it once."""
        for channel in tuple(self.bus.listeners):
            method = getattr(self, channel, None)
            if callable(method):
                self.bus.subscribe(channel, method)
                if channel not in self._bound:
                    self._bound.append(channel)

    def unsubscribe(self) -> None:
        """Unbind what `subscribe` has bound. Silent when that is nothing."""
        for channel in self._bound:
            self.bus.unsubscribe(channel, getattr(self, channel))
        self._bound.clear()
